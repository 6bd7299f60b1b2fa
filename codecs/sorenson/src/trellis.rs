//! Rate-distortion optimal quantisation: of all levels near the quotients, those with the least squared error plus
//! lambda times bits.
//!
//! The bits of a coefficient depend on the distance from the one before it, so the best choice up to each coefficient
//! follows from the best ones up to those before it.

use crate::block::{Levels, SCAN, TCOEF_BITS};
use crate::kernels::Block;
use crate::quant::{SCALE_BITS, dequantize};

/// The best way to reach a coefficient that is not zero.
#[derive(Clone, Copy)]
struct Node {
    /// Position in the order of transmission, plus 1.
    place: u8,
    /// Magnitude of its level.
    level: i16,
    /// Index of the node before it; node 0 is the start of the block.
    before: u8,
    /// Gain of all levels up to here, bits taken into account.
    cost: i32,
}

/// Levels of at least this magnitude are worth more than any run: nothing leads past them.
const CERTAIN: i16 = 3;

/// Chooses among `levels` (the quotients), the next smaller ones, and zero. `first` is 1 behind INTRADC.
///
/// Returns what is gained over a block without coefficients: 64 times the change of the squared error plus lambda
/// times the bits, 0 or less.
pub(crate) fn optimize(
    coefficients: &Block,
    quantizer: u8,
    lambda: i32,
    first: usize,
    levels: &mut Levels,
) -> i32 {
    if levels.mask == 0 {
        return 0;
    }
    let start = Node { place: first as u8, level: 0, before: 0, cost: 0 };
    let mut nodes = [Node { place: 0, ..start }; 65];
    nodes[0] = start;
    // Nodes that others may follow, in ascending order of place and of cost.
    let mut open = [0u8; 65];
    let (mut count, mut opened) = (1, 1);
    let mut end = start;
    let mut mask = levels.mask;
    while mask != 0 {
        let position = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        let at = usize::from(SCAN[position]);
        let c = i32::from(coefficients[at].unsigned_abs());
        let most = levels.levels[at].abs();
        let least = (most - 1).max(1);
        let gain = |level: i16| {
            let error = c - (i32::from(dequantize(level, quantizer)) << SCALE_BITS);
            error * error - c * c
        };
        let magnitude = |level: i16| usize::from(level.unsigned_abs()).min(64);
        let choices = [(least, gain(least), magnitude(least)), (most, gain(most), magnitude(most))];
        // Where both are one, it is tried once.
        let choices = if least == most { &choices[1..] } else { &choices[..] };
        let mut node = Node { place: position as u8 + 1, level: 0, before: 0, cost: i32::MAX };
        let mut last = node;
        for &before in &open[..opened] {
            let from = &nodes[usize::from(before)];
            let run = position - usize::from(from.place);
            for &(level, gain, magnitude) in choices {
                let cost = from.cost + gain;
                let with_bits = |last: usize| cost + lambda * i32::from(TCOEF_BITS[last][run][magnitude]);
                let cost = with_bits(1);
                if cost < last.cost {
                    (last.level, last.before, last.cost) = (level, before, cost);
                }
                let cost = with_bits(0);
                if cost < node.cost {
                    (node.level, node.before, node.cost) = (level, before, cost);
                }
            }
        }
        if last.cost < end.cost {
            end = last;
        }
        nodes[count] = node;
        if most >= CERTAIN {
            opened = 0;
        }
        while opened > 0 && nodes[usize::from(open[opened - 1])].cost >= node.cost {
            opened -= 1;
        }
        open[opened] = count as u8;
        opened += 1;
        count += 1;
    }
    keep(levels, &nodes, end);
    end.cost
}

/// Leaves of `levels` those on the way to `end`.
fn keep(levels: &mut Levels, nodes: &[Node; 65], end: Node) {
    let mut kept = 0;
    let mut node = end;
    while node.level != 0 {
        let position = usize::from(node.place) - 1;
        let level = &mut levels.levels[usize::from(SCAN[position])];
        *level = node.level * level.signum();
        kept |= 1 << position;
        node = nodes[usize::from(node.before)];
    }
    levels.mask = kept;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::block::write_tcoefs;
    use crate::kernels::Kernels;
    use crate::quant::{divisor, quantize};
    use oggflv_common::BitCounter;
    use oggflv_common::simd::Level;

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
        let kernels = Kernels::new(Level::SCALAR);
        for (i, block) in blocks().enumerate() {
            let (quantizer, first) = (2 + (i % 20) as u8, i % 2);
            let lambda = 54 * i32::from(quantizer).pow(2);
            let mut levels = Levels::NONE;
            quantize(&kernels, &block, divisor(quantizer, 8), first == 1, &mut levels);
            let plain = cost(&block, quantizer, lambda, first, &levels);
            let gain = optimize(&block, quantizer, lambda, first, &mut levels);
            let none = cost(&block, quantizer, lambda, first, &Levels::NONE);
            let chosen = cost(&block, quantizer, lambda, first, &levels);
            assert_eq!(i64::from(gain), chosen - none);
            assert!(chosen <= plain && gain <= 0);
        }
    }

    /// Every combination of the candidates of small blocks.
    #[test]
    fn the_choice_is_the_best_one() {
        let kernels = Kernels::new(Level::SCALAR);
        let mut compared = 0;
        for (i, block) in blocks().enumerate() {
            let quantizer = 6 + (i % 20) as u8;
            let lambda = 40 * i32::from(quantizer).pow(2);
            let mut levels = Levels::NONE;
            quantize(&kernels, &block, divisor(quantizer, 8), false, &mut levels);
            let candidates = levels.clone();
            let places: Vec<usize> = (0..64).filter(|i| candidates.mask >> i & 1 != 0).collect();
            if places.len() > 7 {
                continue;
            }
            let gain = optimize(&block, quantizer, lambda, 0, &mut levels);
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
