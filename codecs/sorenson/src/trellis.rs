//! Rate-distortion optimal quantisation: of all levels near the quotients, those with the least squared error plus
//! lambda times bits.
//!
//! The bits of a coefficient depend on the distance from the one before it, so the best choice up to each coefficient
//! follows from the best ones up to those before it.

use crate::block::{Levels, SCAN, TCOEF_BITS};
use crate::kernels::Block;
use crate::quant::{SCALE_BITS, dequantize};

/// Levels of at least this magnitude are worth more than any run: nothing leads past them.
const CERTAIN: i16 = 3;

/// Room for the search of one block at a time: what may come before the next coefficient, in ascending order of place and of
/// cost.
#[derive(Clone, Debug)]
pub(crate) struct Trellis([Way; 65]);

/// The best way up to a coefficient.
#[derive(Clone, Copy, Debug)]
struct Way {
    /// Gain of all its levels, bits taken into account.
    cost: i32,
    /// The position behind its last coefficient.
    place: u8,
    /// The positions of its coefficients, and of those whose levels are one less than the quotients.
    kept: u64,
    lowered: u64,
}

impl Way {
    const NONE: Self = Self { cost: 0, place: 0, kept: 0, lowered: 0 };

    /// Goes on to `position`.
    fn and(self, choice: Choice, position: usize) -> Self {
        Self {
            cost: choice.cost(),
            place: position as u8 + 1,
            kept: self.kept | 1 << position,
            lowered: self.lowered | u64::from(choice.lowers()) << position,
        }
    }
}

/// A way to go on as one number, so that finding the cheapest takes no branches: its cost, where it comes from, and whether
/// it has the quotient or one less.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Choice(i64);

impl Choice {
    const NONE: Self = Self(i64::MAX);

    fn new(cost: i32, from: usize, lowers: bool) -> Self {
        Self(i64::from(cost) << 32 | (from as i64) << 1 | i64::from(!lowers))
    }

    fn cost(self) -> i32 {
        (self.0 >> 32) as i32
    }

    fn from(self) -> usize {
        (self.0 as u32 >> 1) as usize
    }

    fn lowers(self) -> bool {
        self.0 & 1 == 0
    }
}

impl Trellis {
    pub(crate) fn new() -> Self {
        Self([Way::NONE; 65])
    }

    /// Chooses among `levels` (the quotients), the next smaller ones, and zero. `first` is 1 behind INTRADC.
    ///
    /// Returns what is gained over a block without coefficients: 64 times the change of the squared error plus lambda
    /// times the bits, 0 or less.
    pub(crate) fn optimize(
        &mut self,
        coefficients: &Block,
        quantizer: u8,
        lambda: i32,
        first: usize,
        levels: &mut Levels,
    ) -> i32 {
        if levels.mask == 0 {
            return 0;
        }
        let scaled = |level: i16| i32::from(dequantize(level, quantizer)) << SCALE_BITS;
        let (one, step) = (scaled(1), scaled(2) - scaled(1));
        let ways = &mut self.0;
        ways[0] = Way { place: first as u8, ..Way::NONE };
        let mut count = 1;
        let mut end = Way::NONE;
        let mut mask = levels.mask;
        while mask != 0 {
            let position = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let at = usize::from(SCAN[position]);
            let c = i32::from(coefficients[at].unsigned_abs());
            let most = levels.levels[at].abs();
            let error = c - one - step * i32::from(most - 1);
            let gain = error * error - c * c;
            let more_error = error + step;
            let less_gain = more_error * more_error - c * c;
            let (mut on, mut last) = (Choice::NONE, Choice::NONE);
            for (from, way) in ways[..count].iter().enumerate() {
                let bits = &TCOEF_BITS[position - usize::from(way.place)];
                let mut consider = |level: i16, gain: i32, lowers: bool| {
                    let choice = |bits| Choice::new(way.cost + gain + lambda * i32::from(bits), from, lowers);
                    let [bits, last_bits] = bits[(level as usize).min(64)];
                    (on, last) = (on.min(choice(bits)), last.min(choice(last_bits)));
                };
                if most > 1 {
                    consider(most - 1, less_gain, true);
                }
                consider(most, gain, false);
            }
            if last.cost() < end.cost {
                end = ways[last.from()].and(last, position);
            }
            let way = ways[on.from()].and(on, position);
            if most >= CERTAIN {
                count = 0;
            }
            while count > 0 && ways[count - 1].cost >= way.cost {
                count -= 1;
            }
            ways[count] = way;
            count += 1;
        }
        levels.mask = end.kept;
        let mut lowered = end.lowered;
        while lowered != 0 {
            let level = &mut levels.levels[usize::from(SCAN[lowered.trailing_zeros() as usize])];
            *level -= level.signum();
            lowered &= lowered - 1;
        }
        end.cost
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::write_tcoefs;
    use crate::quant::{divisor, quantize};
    use oggflv_common::BitCounter;

    /// 64 times the squared error plus lambda times the bits.
    fn cost(coefficients: &Block, quantizer: u8, lambda: i32, first: usize, levels: &Levels) -> i64 {
        let mut counter = BitCounter::new();
        write_tcoefs(&mut counter, levels, first);
        let mut sum = i64::from(lambda) * counter.bits() as i64;
        for (position, &at) in SCAN.iter().enumerate().skip(first) {
            let level = if levels.mask >> position & 1 != 0 { levels.levels[usize::from(at)] } else { 0 };
            let c = i64::from(dequantize(level, quantizer)) << SCALE_BITS;
            sum += (i64::from(coefficients[usize::from(at)]) - c).pow(2);
        }
        sum
    }

    fn blocks() -> impl Iterator<Item = Block> {
        let mut state = 3u32;
        let mut random = move || {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 12) as i32
        };
        (0..300).map(move |i| {
            let mut block = [0; 64];
            for &at in SCAN.iter().take(4 + i % 60) {
                block[usize::from(at)] = (random() % (1200 / (1 + i32::from(at) / 4)) - 100) as i16;
            }
            block
        })
    }

    #[test]
    fn gain_is_the_difference_of_costs() {
        for (i, block) in blocks().enumerate() {
            let (quantizer, first) = (2 + (i % 20) as u8, i % 2);
            let lambda = 54 * i32::from(quantizer).pow(2);
            let mut levels = Levels::NONE;
            quantize(&block, divisor(quantizer, 8), first == 1, &mut levels);
            let plain = cost(&block, quantizer, lambda, first, &levels);
            let gain = Trellis::new().optimize(&block, quantizer, lambda, first, &mut levels);
            let none = cost(&block, quantizer, lambda, first, &Levels::NONE);
            let chosen = cost(&block, quantizer, lambda, first, &levels);
            assert_eq!(i64::from(gain), chosen - none);
            assert!(chosen <= plain && gain <= 0);
        }
    }

    /// Every combination of the candidates of small blocks.
    #[test]
    fn the_choice_is_the_best_one() {
        let mut compared = 0;
        for (i, block) in blocks().enumerate() {
            let quantizer = 6 + (i % 20) as u8;
            let lambda = 40 * i32::from(quantizer).pow(2);
            let mut levels = Levels::NONE;
            quantize(&block, divisor(quantizer, 8), false, &mut levels);
            let candidates = levels.clone();
            let places: Vec<usize> = (0..64).filter(|i| candidates.mask >> i & 1 != 0).collect();
            if places.len() > 7 {
                continue;
            }
            let gain = Trellis::new().optimize(&block, quantizer, lambda, 0, &mut levels);
            let none = cost(&block, quantizer, lambda, 0, &Levels::NONE);
            let mut best = 0;
            for mut choice in 0..3usize.pow(places.len() as u32) {
                let mut trial = Levels::NONE;
                for &position in &places {
                    let at = usize::from(SCAN[position]);
                    let most = candidates.levels[at];
                    let level = [most, most - most.signum(), 0][choice % 3];
                    choice /= 3;
                    trial.levels[at] = level;
                    trial.mask |= u64::from(level != 0) << position;
                }
                best = best.min(cost(&block, quantizer, lambda, 0, &trial) - none);
            }
            compared += 1;
            // Nodes of higher cost are closed early, which may miss a bit.
            assert!(
                i64::from(gain) <= best + 2 * i64::from(lambda) && i64::from(gain) >= best,
                "{gain} for {best}"
            );
        }
        assert!(compared > 50);
    }
}
