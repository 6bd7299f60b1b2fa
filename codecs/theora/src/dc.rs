//! Undoing DC prediction (Theora specification, 7.8).

use crate::layout::{Layout, PlaneLayout};
use crate::parse::{ParsedFrame, Reference};

/// Turns the DC residuals of all coded blocks into DC coefficients (section 7.8.2).
pub(crate) fn undo_prediction(frame: &mut ParsedFrame, layout: &Layout) {
    for pli in 0..3 {
        if frame.plane_starts[pli] < frame.plane_starts[pli + 1] {
            undo_plane(frame, &layout.planes[pli]);
        }
    }
}

fn undo_plane(frame: &mut ParsedFrame, plane: &PlaneLayout) {
    // LASTDC by reference.
    let mut last = [0i16; 4];
    let range = plane.first..plane.first + plane.blocks();
    let references = &frame.references[range.clone()];
    let dc = &mut frame.dc[range];
    for y in 0..plane.rows {
        for x in 0..plane.columns {
            let block = y * plane.columns + x;
            let reference = references[block];
            if reference == Reference::None {
                continue;
            }
            // A neighbour's DC, if it is there and uses the same reference.
            let neighbour = |inside: bool, back: usize| {
                (inside && references[block - back] == reference).then(|| i32::from(dc[block - back]))
            };
            let left = neighbour(x > 0, 1);
            let down_left = neighbour(x > 0 && y > 0, plane.columns + 1);
            let down = neighbour(y > 0, plane.columns);
            let down_right = neighbour(x + 1 < plane.columns && y > 0, plane.columns - 1);
            let last = &mut last[reference as usize];
            let prediction = predict(left, down_left, down, down_right).unwrap_or(i32::from(*last));
            *last = (i32::from(dc[block]) + prediction) as i16;
            dc[block] = *last;
        }
    }
}

/// The predictor by the usable neighbours (section 7.8.1, table 7.47); none without neighbours.
fn predict(
    left: Option<i32>,
    down_left: Option<i32>,
    down: Option<i32>,
    down_right: Option<i32>,
) -> Option<i32> {
    Some(match (left, down_left, down, down_right) {
        (None, None, None, None) => return None,
        (Some(l), Some(dl), Some(d), _) => {
            let prediction = (29 * (l + d) - 26 * dl) / 32;
            if (prediction - d).abs() > 128 {
                d
            } else if (prediction - l).abs() > 128 {
                l
            } else if (prediction - dl).abs() > 128 {
                dl
            } else {
                prediction
            }
        }
        (Some(l), _, _, Some(dr)) => (75 * l + 53 * dr) / 128,
        (Some(l), None, Some(d), None) => (l + d) / 2,
        (Some(l), _, None, None) => l,
        (None, Some(dl), Some(d), Some(dr)) => (3 * (dl + dr) + 10 * d) / 16,
        (None, _, Some(d), _) => d,
        (None, Some(dl), None, Some(dr)) => (dl + dr) / 2,
        (None, Some(dl), None, None) => dl,
        (None, None, None, Some(dr)) => dr,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::PixelFormat;

    /// Table 7.47 as printed: P, W, PDIV.
    #[rustfmt::skip]
    const TABLE: [([u8; 4], [i32; 4], i32); 15] = [
        ([1, 0, 0, 0], [1, 0, 0, 0], 1),
        ([0, 1, 0, 0], [0, 1, 0, 0], 1),
        ([1, 1, 0, 0], [1, 0, 0, 0], 1),
        ([0, 0, 1, 0], [0, 0, 1, 0], 1),
        ([1, 0, 1, 0], [1, 0, 1, 0], 2),
        ([0, 1, 1, 0], [0, 0, 1, 0], 1),
        ([1, 1, 1, 0], [29, -26, 29, 0], 32),
        ([0, 0, 0, 1], [0, 0, 0, 1], 1),
        ([1, 0, 0, 1], [75, 0, 0, 53], 128),
        ([0, 1, 0, 1], [0, 1, 0, 1], 2),
        ([1, 1, 0, 1], [75, 0, 0, 53], 128),
        ([0, 0, 1, 1], [0, 0, 1, 0], 1),
        ([1, 0, 1, 1], [75, 0, 0, 53], 128),
        ([0, 1, 1, 1], [0, 3, 10, 3], 16),
        ([1, 1, 1, 1], [29, -26, 29, 0], 32),
    ];

    #[test]
    fn predictors_follow_the_table() {
        // Near one another, so that nothing outranges; the divisions truncate differently from flooring.
        for values in [[40, 35, -37, 31], [-41, -35, -60, -33], [7, 9, -8, -20]] {
            for (usable, weights, divisor) in TABLE {
                let [l, dl, d, dr] = [0, 1, 2, 3].map(|i| (usable[i] == 1).then_some(values[i]));
                let sum: i32 = (0..4).map(|i| weights[i] * values[i]).sum();
                assert_eq!(predict(l, dl, d, dr), Some(sum / divisor), "{usable:?}");
            }
        }
        assert_eq!(predict(None, None, None, None), None);
    }

    #[test]
    fn outranging_predictors_are_replaced() {
        // 29 * (l + d) - 26 * dl is far from d, from l, from dl.
        assert_eq!(predict(Some(300), Some(0), Some(0), None), Some(0));
        assert_eq!(predict(Some(0), Some(0), Some(300), None), Some(0));
        // (29 * -5 - 26 * 71) / 32 = -62, which is 133 away from 71 alone.
        assert_eq!(predict(Some(1), Some(71), Some(-6), Some(5)), Some(71));
        // Exactly 128 away from d is kept: (29 * 142 - 26 * 0) / 32 = 128.
        assert_eq!(predict(Some(142), Some(0), Some(0), None), Some(128));
    }

    #[test]
    fn each_reference_has_its_own_last_value() {
        // One row of four luma blocks and another above.
        let layout = Layout::new(PixelFormat::Yuv420, 32, 16);
        let mut frame = ParsedFrame::new(&layout);
        use Reference::{Golden, Intra, None, Previous};
        frame.references[..8]
            .copy_from_slice(&[Previous, Golden, Intra, Golden, None, Previous, Golden, Golden]);
        frame.dc[..8].copy_from_slice(&[10, 20, 30, 5, 99, 1, 2, 3]);
        undo_plane(&mut frame, &layout.planes[0]);
        // Golden at 3 takes the last golden, Previous at 5 its lower left neighbour, Golden at 6 (dl + dr) / 2, and
        // Golden at 7 the mean of left and down.
        assert_eq!(frame.dc[..8], [10, 20, 30, 25, 99, 11, 2 + 22, 3 + 24]);
    }

    #[test]
    fn values_wrap_to_16_bits() {
        let layout = Layout::new(PixelFormat::Yuv420, 16, 16);
        let mut frame = ParsedFrame::new(&layout);
        frame.references[..2].fill(Reference::Intra);
        frame.dc[..2].copy_from_slice(&[i16::MAX, 2]);
        undo_plane(&mut frame, &layout.planes[0]);
        assert_eq!(frame.dc[..2], [i16::MAX, i16::MIN + 1]);
    }
}
