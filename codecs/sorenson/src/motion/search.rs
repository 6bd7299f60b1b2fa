//! Motion search: the vector of least difference plus weighted bits.

use super::{Mv, MvLimits};
use crate::kernels::Kernels;
use crate::macroblock::wrap_mvd;
use crate::planes::{CodedPlane, MbSamples};
use crate::tables::MVD;

/// A vector and what it costs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Found {
    pub(crate) mv: Mv,
    /// 16 times the sum of differences plus lambda times the bits of MVD.
    pub(crate) cost: u32,
}

/// What a search of one block needs to know.
pub(crate) struct Search<'a> {
    pub(crate) kernels: &'a Kernels,
    pub(crate) source: &'a MbSamples,
    pub(crate) reference: &'a CodedPlane,
    /// Top left sample of the block, and where it begins in `source`.
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) start: usize,
    pub(crate) limits: MvLimits,
    pub(crate) predictor: Mv,
    /// Sixteenths of a difference unit per bit.
    pub(crate) lambda: u32,
    /// Whether half samples are judged by Hadamard-transformed differences.
    pub(crate) satd: bool,
}

/// Steps to the neighbours of a full-sample vector.
const DIAMOND: [(i16, i16); 4] = [(0, -1), (-1, 0), (1, 0), (0, 1)];
const HEXAGON: [(i16, i16); 6] = [(-2, 0), (-1, -2), (1, -2), (2, 0), (1, 2), (-1, 2)];

impl Search<'_> {
    /// Searches 16x16 samples from `seeds` on.
    pub(crate) fn macroblock(&self, seeds: &[Mv]) -> Found {
        let sad = |mv: Mv| (self.kernels.sad_16)(self.source.luma(), self.at(mv), self.reference.stride);
        let best = self.full_pel(seeds, &sad);
        let fraction = |mv: Mv| {
            let (from, stride) = (self.at(mv), self.reference.stride);
            if self.satd {
                let mut prediction = [0; 256];
                (self.kernels.predict_16)(from, stride, mv.fraction(), &mut prediction);
                (self.kernels.satd_16)(self.source.luma(), &prediction)
            } else {
                (self.kernels.sad_16_half)(self.source.luma(), from, stride, mv.fraction())
            }
        };
        self.half_pel(best, &fraction)
    }

    /// Searches 8x8 samples from `seeds` on.
    pub(crate) fn block(&self, seeds: &[Mv]) -> Found {
        let source = &self.source.0[self.start..];
        let best =
            self.full_pel(seeds, &|mv| (self.kernels.sad_8)(source, self.at(mv), self.reference.stride));
        let fraction = |mv: Mv| {
            let mut prediction = [0; 128];
            (self.kernels.predict_8)(self.at(mv), self.reference.stride, mv.fraction(), &mut prediction);
            if self.satd {
                (self.kernels.satd_8)(source, &prediction)
            } else {
                (self.kernels.sad_8)(source, &prediction, crate::kernels::STRIDE)
            }
        };
        self.half_pel(best, &fraction)
    }

    /// Reference samples from where the whole part of `mv` leads.
    fn at(&self, mv: Mv) -> &[u8] {
        self.reference.at(self.x as isize + isize::from(mv.x >> 1), self.y as isize + isize::from(mv.y >> 1))
    }

    /// The best of the seeds, then downhill in wide and in narrow steps.
    fn full_pel(&self, seeds: &[Mv], difference: &impl Fn(Mv) -> u32) -> Found {
        let mut best = Found { mv: Mv { x: i16::MIN, y: 0 }, cost: u32::MAX };
        for seed in seeds {
            let whole = |component: i16, most: i16| (component & !1).clamp(MvLimits::MIN, most & !1);
            let mv = Mv { x: whole(seed.x, self.limits.max_x), y: whole(seed.y, self.limits.max_y) };
            self.try_mv(mv, difference, &mut best);
        }
        while self.step(&HEXAGON, difference, &mut best) {}
        while self.step(&DIAMOND, difference, &mut best) {}
        best
    }

    /// Tries the neighbours of the best vector; whether one of them is better.
    fn step(&self, neighbours: &[(i16, i16)], difference: &impl Fn(Mv) -> u32, best: &mut Found) -> bool {
        let centre = best.mv;
        for (x, y) in neighbours {
            self.try_mv(Mv { x: centre.x + 2 * x, y: centre.y + 2 * y }, difference, best);
        }
        best.mv != centre
    }

    /// Judges a full-sample vector and its eight neighbours by `difference`.
    fn half_pel(&self, full: Found, difference: &impl Fn(Mv) -> u32) -> Found {
        let centre = full.mv;
        let mut best = if self.satd { Found { cost: self.cost(centre, difference), ..full } } else { full };
        for y in -1..=1 {
            for x in -1..=1 {
                self.try_mv(Mv { x: centre.x + x, y: centre.y + y }, difference, &mut best);
            }
        }
        best
    }

    fn cost(&self, mv: Mv, difference: &impl Fn(Mv) -> u32) -> u32 {
        self.lambda * mvd_bits(mv, self.predictor) + 16 * difference(mv)
    }

    fn try_mv(&self, mv: Mv, difference: &impl Fn(Mv) -> u32, best: &mut Found) {
        if mv != best.mv && self.limits.contain(mv) && self.lambda * mvd_bits(mv, self.predictor) < best.cost
        {
            let cost = self.cost(mv, difference);
            if cost < best.cost {
                *best = Found { mv, cost };
            }
        }
    }
}

/// Bits of one component of MVD, by the difference plus 32.
static MVD_BITS: [u8; 64] = {
    let mut bits = [1; 64];
    let mut i = 0;
    while i < 64 {
        if i != 32 {
            bits[i] = MVD[i.abs_diff(32)].len + 1;
        }
        i += 1;
    }
    bits
};

/// Bits of the MVD of a vector.
pub(crate) fn mvd_bits(mv: Mv, predictor: Mv) -> u32 {
    let bits = |difference: i16| u32::from(MVD_BITS[(wrap_mvd(difference) + 32) as usize]);
    bits(mv.x - predictor.x) + bits(mv.y - predictor.y)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::macroblock::write_mvd;
    use oggflv_common::BitCounter;

    #[test]
    fn the_table_of_bits_counts_what_is_written() {
        for x in -32..32 {
            let mut counter = BitCounter::new();
            write_mvd(&mut counter, x);
            write_mvd(&mut counter, -7);
            assert_eq!(u64::from(mvd_bits(Mv { x, y: -5 }, Mv { x: 0, y: 2 })), counter.bits());
        }
    }
}
