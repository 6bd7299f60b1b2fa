//! The passes in plain Rust, which defines them.

use super::{Dots, Halves, Quads, Rows, Strips, Sum, Taps, Window};

/// Samples in the middle of a sum, so many that they stay in registers.
const BLOCK: usize = 32;

/// Sums up weighted rows, each part rounded down to 1/128.
pub(super) fn vertical(source: Rows<'_>, sum: Sum<'_>, target: &mut [i16]) {
    for (i, target) in target.chunks_mut(BLOCK).enumerate() {
        target.fill(sum.bias);
        add_parts(source, i * BLOCK, sum.positive, target, |sum, part| sum.wrapping_add((part >> 8) as i16));
        add_parts(source, i * BLOCK, sum.negative, target, |sum, part| sum.wrapping_sub((part >> 8) as i16));
    }
}

/// The same for any number of rows: rounded only once, in the end.
pub(super) fn vertical_many(source: Rows<'_>, sum: Sum<'_>, target: &mut [i16]) {
    for (i, target) in target.chunks_mut(BLOCK).enumerate() {
        let mut sums = [0_i32; BLOCK];
        let sums = &mut sums[..target.len()];
        add_parts(source, i * BLOCK, sum.positive, sums, |sum, part| sum + part as i32);
        add_parts(source, i * BLOCK, sum.negative, sums, |sum, part| sum - part as i32);
        for (target, sum) in target.iter_mut().zip(sums) {
            *target = (((*sum + (1 << 7)) >> 8) - (128 << 7)) as i16;
        }
    }
}

/// Adds the weighted samples of each row, or pair of rows, from column `x` on to sums.
fn add_parts<T: Copy>(source: Rows<'_>, x: usize, taps: Taps<'_>, sums: &mut [T], add: impl Fn(T, u32) -> T) {
    for tap in taps.single {
        let row = &source.samples[tap.rows[0] * source.stride + x..];
        for (sum, &sample) in sums.iter_mut().zip(row) {
            *sum = add(*sum, u32::from(sample) * u32::from(tap.weight()));
        }
    }
    for tap in taps.paired {
        let [upper, lower] = tap.rows.map(|row| &source.samples[row * source.stride + x..]);
        for (sum, (&upper, &lower)) in sums.iter_mut().zip(upper.iter().zip(lower)) {
            *sum = add(*sum, (u32::from(upper) + u32::from(lower)) * u32::from(tap.weight()));
        }
    }
}

/// Sums up weighted samples of a row and rounds to whole samples.
pub(super) fn dots(source: &[i16], dots: &Dots, target: Strips<'_>) {
    let weights = dots.weights.chunks_exact(dots.taps);
    let sums = dots.firsts.iter().zip(weights).skip(target.start);
    for (target, (&first, weights)) in target.samples.iter_mut().zip(sums) {
        let samples = &source[first as usize..][..dots.taps];
        let sum: i32 =
            samples.iter().zip(weights).map(|(&sample, &weight)| i32::from(sample) * i32::from(weight)).sum();
        *target = (((sum + (1 << 20)) >> 21) + 128).clamp(0, 255) as u8;
    }
}

/// Sums up four weighted samples of a row, rounded down to 1/64.
pub(super) fn widen(source: &[u8], quads: &Quads, target: Strips<'_, i16>) {
    sum_columns(source, &quads.samples[target.start..], target.samples);
}

/// The same for eight.
pub(super) fn halve(source: &[u8], halves: &Halves, target: Strips<'_, i16>) {
    sum_columns(source, &halves.samples[target.start..], target.samples);
}

/// Sums up the weighted samples of each window.
pub(super) fn sum_columns(source: &[u8], windows: &[Window], target: &mut [i16]) {
    for (target, window) in target.iter_mut().zip(windows) {
        let samples = &source[window.first..][..window.count];
        let products =
            samples.iter().zip(window.weights).map(|(&sample, w)| i32::from(sample) * i32::from(w));
        *target = (products.sum::<i32>() >> 6) as i16;
    }
}

/// Sums up weighted rows, each part rounded to 1/32, and rounds to whole samples.
pub(super) fn blend(rows: &[&[i16]], weights: &[i16], target: &mut [u8]) {
    for (i, target) in target.iter_mut().enumerate() {
        let part = |(row, &weight): (&&[i16], &i16)| {
            ((i32::from(row[i]) * i32::from(weight) + (1 << 14)) >> 15) as i16
        };
        let sum = rows.iter().zip(weights).map(part).fold(1 << 4, i16::wrapping_add);
        *target = (sum >> 5).clamp(0, 255) as u8;
    }
}
