//! Motion search: the vector of least difference plus weighted bits.

use super::{Mv, MvLimits};
use crate::kernels::{Kernels, STRIDE};
use crate::macroblock::component_bits;
use crate::planes::{CodedPlane, MbSamples};

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
    /// Cost from which on no step is worth trying.
    pub(crate) hopeless: u32,
    /// Cost below which a seed is good enough to skip the wide steps.
    pub(crate) good: u32,
}

/// No step, and those to the neighbours of a vector in the order of [`Kernels::sad_16_beside`].
const STEPS: [(i16, i16); 5] = [(0, 0), (0, -1), (-1, 0), (1, 0), (0, 1)];
/// Wider steps, around the clock.
const HEXAGON: [(i16, i16); 6] = [(-2, 0), (-1, -2), (1, -2), (2, 0), (1, 2), (-1, 2)];

impl Search<'_> {
    /// Searches 16x16 samples from `seeds` on.
    pub(crate) fn macroblock(&self, seeds: &[Mv]) -> Found {
        let sad = |mv: Mv| (self.kernels.sad_16)(self.source.luma(), self.at(mv), self.reference.stride);
        let mut best = self.seed_16(seeds);
        if best.cost >= self.hopeless {
            return best;
        }
        if best.cost >= self.good {
            self.wide_steps(&sad, &mut best);
        }
        self.narrow_steps_16(&mut best);
        if !self.satd {
            return self.half_pel_16(best);
        }
        let satd = |mv: Mv| {
            (self.kernels.satd_16)(self.source.luma(), self.at(mv), self.reference.stride, mv.fraction())
        };
        self.half_pel(best, &satd)
    }

    /// Searches 8x8 samples from `seeds` on.
    pub(crate) fn block(&self, seeds: &[Mv]) -> Found {
        let source = &self.source.0[self.start..];
        let sad = |mv: Mv| (self.kernels.sad_8)((source, STRIDE), (self.at(mv), self.reference.stride));
        let mut best = self.seed(seeds, &sad);
        self.narrow_steps(&sad, &mut best);
        let fraction = |mv: Mv| {
            let mut prediction = [0; 128];
            (self.kernels.predict_8)(self.at(mv), self.reference.stride, mv.fraction(), &mut prediction);
            let difference = if self.satd { self.kernels.satd_8 } else { self.kernels.sad_8 };
            difference((source, STRIDE), (&prediction, STRIDE))
        };
        self.half_pel(best, &fraction)
    }

    /// Reference samples from where the whole part of `mv` leads.
    fn at(&self, mv: Mv) -> &[u8] {
        self.reference.at(self.x as isize + isize::from(mv.x >> 1), self.y as isize + isize::from(mv.y >> 1))
    }

    /// The best of the seeds of 16x16 samples, rounded to full samples.
    fn seed_16(&self, seeds: &[Mv]) -> Found {
        let mut best = Found { mv: Mv::ZERO, cost: u32::MAX };
        for seeds in seeds.chunks(3) {
            let mv = |i: usize| self.whole(seeds[i.min(seeds.len() - 1)]);
            let mvs = [mv(0), mv(1), mv(2)];
            let places = [self.at(mvs[0]), self.at(mvs[1]), self.at(mvs[2])];
            let sads = (self.kernels.sads_16)(self.source.luma(), places, self.reference.stride);
            for (mv, sad) in mvs.into_iter().zip(sads) {
                let found = Found { mv, cost: self.lambda * mvd_bits(mv, self.predictor) + 16 * sad };
                best = if found.cost < best.cost { found } else { best };
            }
        }
        best
    }

    /// The best of the seeds, rounded to full samples.
    fn seed(&self, seeds: &[Mv], difference: &impl Fn(Mv) -> u32) -> Found {
        let mut best = Found { mv: Mv { x: i16::MIN, y: 0 }, cost: u32::MAX };
        for &seed in seeds {
            self.try_mv(self.whole(seed), difference, &mut best);
        }
        best
    }

    /// The nearest legal vector to a full sample.
    fn whole(&self, mv: Mv) -> Mv {
        let whole = |component: i16, most: i16| (component & !1).clamp(MvLimits::MIN, most & !1);
        Mv { x: whole(mv.x, self.limits.max_x), y: whole(mv.y, self.limits.max_y) }
    }

    /// [`Self::narrow_steps`] of 16x16 samples.
    fn narrow_steps_16(&self, best: &mut Found) {
        loop {
            let centre = best.mv;
            self.step(2, self.sads_beside(centre, false), best);
            if best.mv == centre {
                return;
            }
        }
    }

    /// Judges the half-sample neighbours of a vector of 16x16 samples: those beside it, and if one is better, the one
    /// between the better ones of them.
    fn half_pel_16(&self, full: Found) -> Found {
        let (centre, mut best) = (full.mv, full);
        let sads = self.sads_beside(centre, true);
        self.step(1, sads, &mut best);
        if best.mv == centre {
            return best;
        }
        let [above, left, right, below] = sads;
        let (x, y) = (if right < left { 1 } else { -1 }, if below < above { 1 } else { -1 });
        let sad = |mv: Mv| {
            (self.kernels.sad_16_half)(self.source.luma(), self.at(mv), self.reference.stride, mv.fraction())
        };
        self.try_mv(Mv { x: centre.x + x, y: centre.y + y }, &sad, &mut best);
        best
    }

    /// Differences at the four neighbours of a full-sample vector.
    fn sads_beside(&self, mv: Mv, half: bool) -> [u32; 4] {
        let from = self.at(Mv { x: mv.x - 2, y: mv.y - 2 });
        (self.kernels.sad_16_beside)(self.source.luma(), from, self.reference.stride, half)
    }

    /// Goes to the best of four neighbours with known differences, if it is legal and better.
    ///
    /// All are compared as numbers that hold the step in their low bits, which takes no branches.
    fn step(&self, length: i16, sads: [u32; 4], best: &mut Found) {
        let Mv { x, y } = best.mv;
        let x_bits = |x: i16| component_bits(x - self.predictor.x);
        let y_bits = |y: i16| component_bits(y - self.predictor.y);
        let (left, here_x, right) = (x_bits(x - length), x_bits(x), x_bits(x + length));
        let (above, here_y, below) = (y_bits(y - length), y_bits(y), y_bits(y + length));
        let rates = [here_x + above, left + here_y, right + here_y, here_x + below];
        let legal = [
            y - length >= MvLimits::MIN,
            x - length >= MvLimits::MIN,
            x + length <= self.limits.max_x,
            y + length <= self.limits.max_y,
        ];
        let mut least = best.cost << 3;
        for i in 0..4 {
            let choice = (self.lambda * rates[i] + 16 * sads[i]) << 3 | (i as u32 + 1);
            least = if legal[i] { least.min(choice) } else { least };
        }
        let (step_x, step_y) = STEPS[(least & 7) as usize];
        *best = Found { mv: Mv { x: x + length * step_x, y: y + length * step_y }, cost: least >> 3 };
    }

    /// Goes to the best of the four nearest neighbours as long as there is a better one.
    fn narrow_steps(&self, difference: &impl Fn(Mv) -> u32, best: &mut Found) {
        let mut before = best.mv;
        loop {
            let centre = best.mv;
            for &(x, y) in &STEPS[1..] {
                let mv = Mv { x: centre.x + 2 * x, y: centre.y + 2 * y };
                if mv != before {
                    self.try_mv(mv, difference, best);
                }
            }
            if best.mv == centre {
                return;
            }
            before = centre;
        }
    }

    /// Goes to the best corner of a hexagon around the best vector as long as there is a better one. After the first
    /// step, only the three corners around the last direction are new.
    fn wide_steps(&self, difference: &impl Fn(Mv) -> u32, best: &mut Found) {
        let mut corners = 0..6;
        loop {
            let (centre, mut direction) = (best.mv, None);
            for corner in corners {
                let (x, y) = HEXAGON[corner % 6];
                if self.try_mv(Mv { x: centre.x + 2 * x, y: centre.y + 2 * y }, difference, best) {
                    direction = Some(corner % 6);
                }
            }
            match direction {
                Some(direction) => corners = direction + 5..direction + 8,
                None => return,
            }
        }
    }

    /// Judges a full-sample vector and its neighbours by `difference`: those beside it, then those between the better
    /// ones of them.
    fn half_pel(&self, full: Found, difference: &impl Fn(Mv) -> u32) -> Found {
        let centre = full.mv;
        let start = if self.satd { Found { cost: self.cost(centre, difference), ..full } } else { full };
        let mut best = start;
        // The better one of two opposite neighbours.
        let mut better = |steps: [(i16, i16); 2]| {
            let costs = steps.map(|(x, y)| {
                let mut found = Found { mv: centre, cost: u32::MAX };
                self.try_mv(Mv { x: centre.x + x, y: centre.y + y }, difference, &mut found);
                if found.cost < best.cost {
                    best = found;
                }
                found.cost
            });
            if costs[1] < costs[0] { steps[1] } else { steps[0] }
        };
        let (x, y) = (better([(-1, 0), (1, 0)]).0, better([(0, -1), (0, 1)]).1);
        if self.satd && best.mv == centre {
            return best;
        }
        self.try_mv(Mv { x: centre.x + x, y: centre.y + y }, difference, &mut best);
        if self.satd {
            let other = if best.mv.x == centre.x { (-x, y) } else { (x, -y) };
            self.try_mv(Mv { x: centre.x + other.0, y: centre.y + other.1 }, difference, &mut best);
        }
        best
    }

    fn cost(&self, mv: Mv, difference: &impl Fn(Mv) -> u32) -> u32 {
        self.lambda * mvd_bits(mv, self.predictor) + 16 * difference(mv)
    }

    /// Takes a vector if it is legal and better; whether it was.
    fn try_mv(&self, mv: Mv, difference: &impl Fn(Mv) -> u32, best: &mut Found) -> bool {
        let rate = self.lambda * mvd_bits(mv, self.predictor);
        if mv != best.mv && self.limits.contain(mv) && rate < best.cost {
            let cost = rate + 16 * difference(mv);
            if cost < best.cost {
                *best = Found { mv, cost };
                return true;
            }
        }
        false
    }
}

/// Bits of the MVD of a vector.
pub(crate) fn mvd_bits(mv: Mv, predictor: Mv) -> u32 {
    component_bits(mv.x - predictor.x) + component_bits(mv.y - predictor.y)
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
            write_mvd(&mut counter, Mv { x, y: -7 });
            assert_eq!(u64::from(mvd_bits(Mv { x, y: -5 }, Mv { x: 0, y: 2 })), counter.bits());
        }
    }
}
