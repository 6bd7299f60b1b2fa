//! Motion search: the vector of least SAD plus weighted bits.

use super::half_pel::predict_block;
use super::{Mv, MvLimits};
use crate::macroblock::{wrap_mvd, write_mvd};
use crate::planes::CodedPlane;
use oggflv_common::BitCounter;

/// A vector and what it costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) mv: Mv,
    /// 16 SAD plus lambda times the bits of MVD.
    pub(crate) cost: u32,
}

/// What a search of one block needs to know.
pub(crate) struct Search<'a> {
    pub(crate) source: &'a CodedPlane,
    pub(crate) reference: &'a CodedPlane,
    /// Top left sample of the block.
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) limits: MvLimits,
    pub(crate) predictor: Mv,
    /// Sixteenths of a SAD unit per bit.
    pub(crate) lambda: u32,
}

/// Steps to the neighbours of a full-sample vector.
const DIAMOND: [(i16, i16); 4] = [(0, -1), (-1, 0), (1, 0), (0, 1)];
const HEXAGON: [(i16, i16); 6] = [(-2, 0), (-1, -2), (1, -2), (2, 0), (1, 2), (-1, 2)];

impl Search<'_> {
    /// Searches a `SIZE` x `SIZE` block from `seeds` on.
    pub(crate) fn run<const SIZE: usize>(&self, seeds: &[Mv]) -> Found {
        let mut best = Found { mv: Mv::ZERO, cost: u32::MAX };
        for seed in seeds {
            let whole = Mv {
                x: round_to_full(seed.x, self.limits.max_x),
                y: round_to_full(seed.y, self.limits.max_y),
            };
            self.try_mv::<SIZE>(whole, &mut best);
        }
        // Downhill in wide steps, then in narrow ones.
        while self.step::<SIZE>(&HEXAGON, 2, &mut best) {}
        while self.step::<SIZE>(&DIAMOND, 2, &mut best) {}
        let centre = best.mv;
        for y in -1..=1 {
            for x in -1..=1 {
                if (x, y) != (0, 0) {
                    self.try_mv::<SIZE>(Mv { x: centre.x + x, y: centre.y + y }, &mut best);
                }
            }
        }
        best
    }

    /// Tries the neighbours of the best vector; whether one of them is better.
    fn step<const SIZE: usize>(&self, neighbours: &[(i16, i16)], scale: i16, best: &mut Found) -> bool {
        let centre = best.mv;
        for (x, y) in neighbours {
            self.try_mv::<SIZE>(Mv { x: centre.x + scale * x, y: centre.y + scale * y }, best);
        }
        best.mv != centre
    }

    fn try_mv<const SIZE: usize>(&self, mv: Mv, best: &mut Found) {
        if !self.limits.contain(mv) || mv == best.mv && best.cost != u32::MAX {
            return;
        }
        let rate = self.lambda * mvd_bits(mv, self.predictor);
        if rate < best.cost {
            let cost = rate + 16 * self.sad::<SIZE>(mv);
            if cost < best.cost {
                *best = Found { mv, cost };
            }
        }
    }

    /// Sum of absolute differences between the source and its prediction.
    fn sad<const SIZE: usize>(&self, mv: Mv) -> u32 {
        let source = self.source.at(self.x as isize, self.y as isize);
        if mv.x & 1 == 0 && mv.y & 1 == 0 {
            let (x, y) = (self.x as isize + isize::from(mv.x / 2), self.y as isize + isize::from(mv.y / 2));
            return sad::<SIZE>(source, self.source.stride, self.reference.at(x, y), self.reference.stride);
        }
        let mut prediction = [0; 256];
        predict_block::<SIZE>(self.reference, self.x, self.y, mv, &mut prediction, SIZE);
        sad::<SIZE>(source, self.source.stride, &prediction, SIZE)
    }
}

/// The nearest even component within the limits.
fn round_to_full(component: i16, max: i16) -> i16 {
    (component & !1).clamp(MvLimits::MIN, max & !1)
}

/// Bits of the MVD of a vector.
pub(crate) fn mvd_bits(mv: Mv, predictor: Mv) -> u32 {
    let mut counter = BitCounter::new();
    write_mvd(&mut counter, wrap_mvd(mv.x - predictor.x));
    write_mvd(&mut counter, wrap_mvd(mv.y - predictor.y));
    counter.bits() as u32
}

/// Sum of absolute differences of two blocks.
pub(crate) fn sad<const SIZE: usize>(a: &[u8], a_stride: usize, b: &[u8], b_stride: usize) -> u32 {
    (0..SIZE)
        .map(|y| {
            let (a, b) = (&a[y * a_stride..][..SIZE], &b[y * b_stride..][..SIZE]);
            a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>()
        })
        .sum()
}
