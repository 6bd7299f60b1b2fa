//! The passes in vector instructions of aarch64.

use std::arch::aarch64::*;

use super::{Dots, Halves, Kernels, Rows, Strips, Sum, Tap, halve_blocks, scalar};

/// The kernels for NEON.
pub(super) fn neon() -> Kernels {
    Kernels {
        // SAFETY: NEON belongs to aarch64.
        vertical: |source, sum, target| unsafe { vertical(source, sum, target) },
        // SAFETY: NEON belongs to aarch64.
        dots: |source, dots, target| unsafe { sum_dots(source, dots, target) },
        dot_lanes: 8,
        groups: None,
        widen: scalar::widen,
        // SAFETY: NEON belongs to aarch64.
        halve: |source, halves, target| unsafe { halve(source, halves, target) },
        // SAFETY: NEON belongs to aarch64.
        blend: |rows, weights, target| unsafe { blend(rows, weights, target) },
        fetch: |_| {},
    }
}

/// See `Kernels::vertical`.
#[target_feature(enable = "neon")]
fn vertical(source: Rows<'_>, sum: Sum<'_>, target: &mut [i16]) {
    /// Samples in two vectors.
    const BLOCK: usize = 16;
    let width = target.len();
    if width < BLOCK {
        return scalar::vertical(source, sum, target);
    }
    source.check(sum, width);
    for x in (0..width).step_by(BLOCK) {
        // The last block overlaps the one before.
        let x = x.min(width - BLOCK);
        // SAFETY: `check` has seen `width` samples in each row, and `x` is at most `width - BLOCK`.
        let load = |row: usize| unsafe { vld1q_u8(source.samples.as_ptr().add(row * source.stride + x)) };
        let single = |tap: &Tap| {
            let samples = load(tap.rows[0]);
            [vmovl_u8(vget_low_u8(samples)), vmovl_high_u8(samples)]
                .map(|samples| part(samples, tap.weight()))
        };
        let paired = |tap: &Tap| {
            let [upper, lower] = tap.rows.map(load);
            [vaddl_u8(vget_low_u8(upper), vget_low_u8(lower)), vaddl_high_u8(upper, lower)]
                .map(|samples| part(samples, tap.weight()))
        };
        let mut sums = [vdupq_n_s16(sum.bias); 2];
        let positive = sum.positive;
        for [low, high] in positive.single.iter().map(single).chain(positive.paired.iter().map(paired)) {
            sums = [vaddq_s16(sums[0], low), vaddq_s16(sums[1], high)];
        }
        let negative = sum.negative;
        for [low, high] in negative.single.iter().map(single).chain(negative.paired.iter().map(paired)) {
            sums = [vsubq_s16(sums[0], low), vsubq_s16(sums[1], high)];
        }
        // SAFETY: `x` is at most `width - BLOCK`, and `target` has `width` samples.
        unsafe {
            let target = target.as_mut_ptr().add(x);
            vst1q_s16(target, sums[0]);
            vst1q_s16(target.add(8), sums[1]);
        }
    }
}

/// Samples times a weight, shifted right by 8.
#[inline]
#[target_feature(enable = "neon")]
fn part(samples: uint16x8_t, weight: u16) -> int16x8_t {
    let low = vshrn_n_u32::<8>(vmull_n_u16(vget_low_u16(samples), weight));
    let high = vshrn_n_u32::<8>(vmull_high_n_u16(samples, weight));
    vreinterpretq_s16_u16(vcombine_u16(low, high))
}

/// See `Kernels::dots`.
#[target_feature(enable = "neon")]
fn sum_dots(source: &[i16], dots: &Dots, target: Strips<'_>) {
    dots.check(source.len(), &target);
    for (target, first) in target.samples.chunks_mut(4).zip((target.start..).step_by(4)) {
        let sum = |lane: usize| {
            let i = first + lane;
            let mut sum = vdupq_n_s32(0);
            for tap in (0..dots.taps).step_by(8) {
                // SAFETY: `check` has seen that there are whole eights of target samples, that each has `taps`
                // weights, a multiple of 8, and that the source has as many samples from its first one on.
                let (samples, weights) = unsafe {
                    let sample = *dots.firsts.as_ptr().add(i) as usize;
                    (
                        vld1q_s16(source.as_ptr().add(sample + tap)),
                        vld1q_s16(dots.weights.as_ptr().add(i * dots.taps + tap)),
                    )
                };
                sum = vmlal_s16(sum, vget_low_s16(samples), vget_low_s16(weights));
                sum = vmlal_high_s16(sum, samples, weights);
            }
            sum
        };
        let sums = vpaddq_s32(vpaddq_s32(sum(0), sum(1)), vpaddq_s32(sum(2), sum(3)));
        // 128 is what samples between the passes lack; the shift rounds.
        let rounded = vrshrq_n_s32::<21>(vaddq_s32(sums, vdupq_n_s32(128 << 21)));
        let words = vqmovn_s32(rounded);
        let bytes = vqmovun_s16(vcombine_s16(words, words));
        let bytes = vget_lane_u32::<0>(vreinterpret_u32_u8(bytes)).to_le_bytes();
        target.copy_from_slice(&bytes[..target.len()]);
    }
}

/// See `Kernels::halve`.
#[target_feature(enable = "neon")]
fn halve(source: &[u8], halves: &Halves, target: Strips<'_, i16>) {
    halves.check(source.len(), &target);
    let weights = halves.pairs.map(|pair| [pair.words as i16, (pair.words >> 16) as i16]);
    halve_blocks::<8>(source, halves, target, |samples, target| {
        let mut sums = [vdupq_n_s32(0); 2];
        for (tap, weights) in (0..).step_by(2).zip(weights) {
            // SAFETY: a block of eight has 2 * 7 + 8 samples, of which these are sixteen from 0, 2, 4 or 6 on.
            let uint8x8x2_t(even, odd) = unsafe { vld2_u8(samples.as_ptr().add(tap)) };
            for (samples, weight) in [even, odd].into_iter().zip(weights) {
                let samples = vreinterpretq_s16_u16(vmovl_u8(samples));
                sums[0] = vmlal_n_s16(sums[0], vget_low_s16(samples), weight);
                sums[1] = vmlal_high_n_s16(sums[1], samples, weight);
            }
        }
        let words = vcombine_s16(vshrn_n_s32::<6>(sums[0]), vshrn_n_s32::<6>(sums[1]));
        // SAFETY: 8 words are what the vector has.
        unsafe { vst1q_s16(target.as_mut_ptr(), words) };
    });
}

/// See `Kernels::blend`.
#[target_feature(enable = "neon")]
fn blend(rows: &[&[i16]], weights: &[i16], target: &mut [u8]) {
    let width = target.len();
    if width < 16 {
        return scalar::blend(rows, weights, target);
    }
    assert!(rows.iter().all(|row| row.len() >= width), "the rows are long enough");
    for x in (0..width).step_by(16) {
        // The last block overlaps the one before.
        let x = x.min(width - 16);
        let mut sums = [vdupq_n_s16(1 << 4); 2];
        for (row, &weight) in rows.iter().zip(weights) {
            for (n, sum) in sums.iter_mut().enumerate() {
                // SAFETY: rows have `width` samples, and there are 16 from `x` on.
                let samples = unsafe { vld1q_s16(row.as_ptr().add(x + 8 * n)) };
                *sum = vaddq_s16(*sum, vqrdmulhq_n_s16(samples, weight));
            }
        }
        let [low, high] = sums.map(|sum| vqmovun_s16(vshrq_n_s16::<5>(sum)));
        // SAFETY: the target has `width` samples, and there are 16 from `x` on.
        unsafe { vst1q_u8(target.as_mut_ptr().add(x), vcombine_u8(low, high)) };
    }
}
