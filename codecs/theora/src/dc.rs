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
    let columns = plane.columns;
    let range = plane.first..plane.first + plane.blocks();
    let (mut references_below, mut dc_below) = (vec![Reference::None; columns], vec![0; columns + 2]);
    let (mut usable, mut coded) = (vec![0; columns], vec![0; columns]);
    let rows =
        frame.references[range.clone()].chunks_exact(columns).zip(frame.dc[range].chunks_exact_mut(columns));
    for (references, dc) in rows {
        find_usable(&mut usable, references, &references_below);
        let mut left = 0;
        for &column in find_coded(&mut coded, references) {
            let column = column as usize;
            let p = usize::from(usable[column]);
            let last = &mut last[references[column] as usize];
            let prediction = if p == 0 {
                i32::from(*last)
            } else {
                predict(
                    p,
                    [left, dc_below[column], dc_below[column + 1], dc_below[column + 2]].map(i32::from),
                )
            };
            *last = (i32::from(dc[column]) + prediction) as i16;
            dc[column] = *last;
            left = *last;
        }
        references_below.copy_from_slice(references);
        dc_below[1..=columns].copy_from_slice(dc);
    }
}

/// Finds which neighbours have the reference that the block has: P, with P[0] as the lowest bit. For blocks that are
/// not coded the result means nothing. (Vector instructions do this better than branches.)
fn find_usable(usable: &mut [u8], references: &[Reference], below: &[Reference]) {
    let last = references.len() - 1;
    for (usable, (reference, below)) in usable.iter_mut().zip(references.iter().zip(below)) {
        *usable = u8::from(reference == below) << 2;
    }
    for (usable, (reference, left)) in usable[1..].iter_mut().zip(references[1..].iter().zip(references)) {
        *usable |= u8::from(reference == left);
    }
    for (usable, (reference, below)) in usable[1..].iter_mut().zip(references[1..].iter().zip(below)) {
        *usable |= u8::from(reference == below) << 1;
    }
    for (usable, (reference, below)) in usable[..last].iter_mut().zip(references.iter().zip(&below[1..])) {
        *usable |= u8::from(reference == below) << 3;
    }
}

/// Lists the columns of the coded blocks of a row.
fn find_coded<'a>(coded: &'a mut [u32], references: &[Reference]) -> &'a [u32] {
    if references.iter().fold(0, |any, &reference| any | reference as u8) == Reference::None as u8 {
        return &[];
    }
    let mut count = 0;
    for (column, &reference) in (0..).zip(references) {
        coded[count] = column;
        count += usize::from(reference != Reference::None);
    }
    &coded[..count]
}

/// W and the binary logarithm of PDIV (table 7.47), by P with P[0] as the lowest bit.
#[rustfmt::skip]
const WEIGHTS: [([i32; 4], u32); 16] = [
    ([0, 0, 0, 0], 0),
    ([1, 0, 0, 0], 0),
    ([0, 1, 0, 0], 0),
    ([1, 0, 0, 0], 0),
    ([0, 0, 1, 0], 0),
    ([1, 0, 1, 0], 1),
    ([0, 0, 1, 0], 0),
    ([29, -26, 29, 0], 5),
    ([0, 0, 0, 1], 0),
    ([75, 0, 0, 53], 7),
    ([0, 1, 0, 1], 1),
    ([75, 0, 0, 53], 7),
    ([0, 0, 1, 0], 0),
    ([75, 0, 0, 53], 7),
    ([0, 3, 10, 3], 4),
    ([29, -26, 29, 0], 5),
];

/// The predictor by the usable neighbours (section 7.8.1): left, below to the left, below, below to the right.
#[inline]
fn predict(p: usize, neighbours: [i32; 4]) -> i32 {
    let (weights, shift) = WEIGHTS[p];
    let sum: i32 = (0..4).map(|i| weights[i] * neighbours[i]).sum();
    // Divides with truncation towards zero.
    let prediction = (sum + (sum >> 31 & ((1 << shift) - 1))) >> shift;
    if p & 7 == 7 {
        // Outranging predictors are replaced.
        for neighbour in [neighbours[2], neighbours[0], neighbours[1]] {
            if (prediction - neighbour).abs() > 128 {
                return neighbour;
            }
        }
    }
    prediction
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::PixelFormat;

    /// A few rows of table 7.47 as printed: P, W, PDIV.
    #[rustfmt::skip]
    const TABLE: [([usize; 4], [i32; 4], i32); 8] = [
        ([1, 1, 0, 0], [1, 0, 0, 0], 1),
        ([1, 0, 1, 0], [1, 0, 1, 0], 2),
        ([0, 1, 1, 0], [0, 0, 1, 0], 1),
        ([1, 1, 1, 0], [29, -26, 29, 0], 32),
        ([1, 1, 0, 1], [75, 0, 0, 53], 128),
        ([0, 1, 0, 1], [0, 1, 0, 1], 2),
        ([0, 1, 1, 1], [0, 3, 10, 3], 16),
        ([1, 1, 1, 1], [29, -26, 29, 0], 32),
    ];

    fn bits(usable: [usize; 4]) -> usize {
        (0..4).map(|i| usable[i] << i).sum()
    }

    #[test]
    fn predictors_follow_the_table() {
        // Near one another, so that nothing outranges; the divisions truncate differently from flooring.
        for values in [[40, 35, -37, 31], [-41, -35, -60, -33], [7, 9, -8, -20]] {
            for (usable, weights, divisor) in TABLE {
                let sum: i32 = (0..4).map(|i| weights[i] * values[i]).sum();
                assert_eq!(predict(bits(usable), values), sum / divisor, "{usable:?}");
            }
        }
        // Only neighbours that are usable count, and the weights sum up to one.
        for (p, (weights, shift)) in WEIGHTS.iter().enumerate().skip(1) {
            assert!((0..4).all(|i| p >> i & 1 == 1 || weights[i] == 0), "{p:04b}");
            assert_eq!(weights.iter().sum::<i32>(), 1 << shift, "{p:04b}");
        }
    }

    #[test]
    fn outranging_predictors_are_replaced() {
        // 29 * (l + d) - 26 * dl is far from d, from l, from dl.
        assert_eq!(predict(7, [300, 0, 0, 999]), 0);
        assert_eq!(predict(7, [0, 0, 300, 999]), 0);
        // (29 * -5 - 26 * 71) / 32 = -62, which is 133 away from 71 alone.
        assert_eq!(predict(15, [1, 71, -6, 5]), 71);
        // Exactly 128 away from d is kept: (29 * 142 - 26 * 0) / 32 = 128.
        assert_eq!(predict(7, [142, 0, 0, 999]), 128);
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
