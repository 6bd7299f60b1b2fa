//! Undoing DC prediction (Theora specification, 7.8).

use crate::layout::Layout;
use crate::masks;
use crate::parse::{ParsedFrame, Reference};

/// Turns the DC residuals of all coded blocks into DC coefficients (section 7.8.2).
pub(crate) fn undo_prediction(frame: &mut ParsedFrame, layout: &Layout) {
    for pli in 0..3 {
        if frame.plane_starts[pli] < frame.plane_starts[pli + 1] {
            undo_plane(frame, layout, pli);
        }
    }
}

fn undo_plane(frame: &mut ParsedFrame, layout: &Layout, pli: usize) {
    let plane = &layout.planes[pli];
    // LASTDC by reference.
    let mut last = [0i16; 4];
    let columns = plane.columns;
    let range = plane.range();
    let (mut references_below, mut dc_below) = (vec![Reference::None; columns], vec![0; columns + 2]);
    let mut usable = vec![0; columns];
    let rows =
        frame.references[range.clone()].chunks_exact(columns).zip(frame.dc[range].chunks_exact_mut(columns));
    for ((references, dc), masks) in rows.zip(frame.coded_masks[pli].chunks_exact(plane.masks_in_row())) {
        if masks.iter().all(|&mask| mask == 0) {
            references_below.copy_from_slice(references);
            continue;
        }
        find_usable(&mut usable, references, &references_below);
        // The lengths are those of the row, which spares checks.
        let (dc, usable) = (&mut dc[..references.len()], &usable[..references.len()]);
        let mut left = 0;
        for (start, &mask) in (0..).step_by(masks::BLOCKS).zip(masks) {
            for bit in masks::ones(mask) {
                let column = start + bit;
                let p = usize::from(usable[column]);
                let last = &mut last[references[column] as usize];
                let prediction = if p == 0 {
                    i32::from(*last)
                } else {
                    let below = &dc_below[column..column + 3];
                    predict(p, [left, below[0], below[1], below[2]].map(i32::from))
                };
                left = (i32::from(dc[column]) + prediction) as i16;
                *last = left;
                dc[column] = left;
            }
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

/// W and PDIV (table 7.47), by P with P[0] as the lowest bit.
#[rustfmt::skip]
const TABLE: [([i32; 4], i32); 16] = [
    ([0, 0, 0, 0], 1),
    ([1, 0, 0, 0], 1),
    ([0, 1, 0, 0], 1),
    ([1, 0, 0, 0], 1),
    ([0, 0, 1, 0], 1),
    ([1, 0, 1, 0], 2),
    ([0, 0, 1, 0], 1),
    ([29, -26, 29, 0], 32),
    ([0, 0, 0, 1], 1),
    ([75, 0, 0, 53], 128),
    ([0, 1, 0, 1], 2),
    ([75, 0, 0, 53], 128),
    ([0, 0, 1, 0], 1),
    ([75, 0, 0, 53], 128),
    ([0, 3, 10, 3], 16),
    ([29, -26, 29, 0], 32),
];

/// The weights in units of 1/128, which all of the table are multiples of: one division serves all.
const WEIGHTS: [[i32; 4]; 16] = {
    let mut weights = [[0; 4]; 16];
    let mut index = 0;
    while index < 64 {
        let (w, pdiv) = TABLE[index / 4];
        weights[index / 4][index % 4] = w[index % 4] * (128 / pdiv);
        index += 1;
    }
    weights
};

/// The predictor by the usable neighbours (section 7.8.1): left, below to the left, below, below to the right.
#[inline]
fn predict(p: usize, neighbours: [i32; 4]) -> i32 {
    let [left, below_left, below, _] = neighbours;
    if p & 7 == 7 {
        // Most blocks have these three, whatever there is below to the right.
        let prediction = divide(29 * (left + below) - 26 * below_left, 5);
        let far = |neighbour: i32| (prediction - neighbour).abs() > 128;
        if far(below) | far(left) | far(below_left) {
            // Outranging predictors are replaced.
            return if far(below) {
                below
            } else if far(left) {
                left
            } else {
                below_left
            };
        }
        return prediction;
    }
    let weights = &WEIGHTS[p & 15];
    divide((0..4).map(|i| weights[i] * neighbours[i]).sum(), 7)
}

/// Divides by a power of two with truncation towards zero.
#[inline]
fn divide(sum: i32, shift: u32) -> i32 {
    (sum + (sum >> 31 & ((1 << shift) - 1))) >> shift
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::PixelFormat;

    /// A few rows of table 7.47 as printed: P, W, PDIV.
    #[rustfmt::skip]
    const ROWS: [([usize; 4], [i32; 4], i32); 8] = [
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
            for (usable, weights, divisor) in ROWS {
                let sum: i32 = (0..4).map(|i| weights[i] * values[i]).sum();
                assert_eq!(predict(bits(usable), values), sum / divisor, "{usable:?}");
            }
        }
        // Only neighbours that are usable count, and the weights sum up to one.
        for (p, weights) in WEIGHTS.iter().enumerate().skip(1) {
            assert!((0..4).all(|i| p >> i & 1 == 1 || weights[i] == 0), "{p:04b}");
            assert_eq!(weights.iter().sum::<i32>(), 128, "{p:04b}");
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
        frame.find_coded(&layout);
        undo_plane(&mut frame, &layout, 0);
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
        frame.find_coded(&layout);
        undo_plane(&mut frame, &layout, 0);
        assert_eq!(frame.dc[..2], [i16::MAX, i16::MIN + 1]);
    }
}
