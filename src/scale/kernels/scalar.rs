//! The passes in plain Rust, which defines them.

use super::{Dots, Quads, Rows, Strips, Sum, Taps};

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
    for (target, quad) in target.samples.iter_mut().zip(&quads.samples[target.start..]) {
        let samples = &source[quad.first..][..quad.count];
        let products = samples.iter().zip(quad.weights).map(|(&sample, w)| i32::from(sample) * i32::from(w));
        *target = (products.sum::<i32>() >> 6) as i16;
    }
}

/// Sums up four weighted rows, each part rounded to 1/32, and rounds to whole samples.
pub(super) fn blend(rows: [&[i16]; 4], weights: [i16; 4], target: &mut [u8]) {
    let rows = rows.map(|row| &row[..target.len()]);
    for (i, target) in target.iter_mut().enumerate() {
        let part =
            |row: usize| ((i32::from(rows[row][i]) * i32::from(weights[row]) + (1 << 14)) >> 15) as i16;
        let sum = [1, 2, 3].into_iter().fold(part(0), |sum, row| sum.wrapping_add(part(row)));
        *target = (sum.wrapping_add(1 << 4) >> 5).clamp(0, 255) as u8;
    }
}
