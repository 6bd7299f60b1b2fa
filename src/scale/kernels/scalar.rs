//! The passes in plain Rust, which defines them.

use super::{Dots, Quads, Rows, Strips, Taps};

/// Samples in the middle of a sum, so many that they stay in registers.
const BLOCK: usize = 32;

/// Sums up weighted rows, each part rounded down to 1/128.
pub(super) fn vertical(source: Rows<'_>, taps: Taps<'_>, target: &mut [i16]) {
    for (i, target) in target.chunks_mut(BLOCK).enumerate() {
        target.fill(taps.bias);
        for tap in taps.positive {
            for (sum, &sample) in
                target.iter_mut().zip(&source.samples[tap.row * source.stride + i * BLOCK..])
            {
                *sum = sum.wrapping_add(part(sample, tap.weight()));
            }
        }
        for tap in taps.negative {
            for (sum, &sample) in
                target.iter_mut().zip(&source.samples[tap.row * source.stride + i * BLOCK..])
            {
                *sum = sum.wrapping_sub(part(sample, tap.weight()));
            }
        }
    }
}

/// A sample times a weight.
fn part(sample: u8, weight: u16) -> i16 {
    ((u32::from(sample) * u32::from(weight)) >> 8) as i16
}

/// The same for any number of rows: rounded only once, in the end.
pub(super) fn vertical_many(source: Rows<'_>, taps: Taps<'_>, target: &mut [i16]) {
    for (i, target) in target.chunks_mut(BLOCK).enumerate() {
        let mut sums = [0_i32; BLOCK];
        let sums = &mut sums[..target.len()];
        for tap in taps.positive {
            for (sum, &sample) in sums.iter_mut().zip(&source.samples[tap.row * source.stride + i * BLOCK..])
            {
                *sum += i32::from(sample) * i32::from(tap.weight());
            }
        }
        for tap in taps.negative {
            for (sum, &sample) in sums.iter_mut().zip(&source.samples[tap.row * source.stride + i * BLOCK..])
            {
                *sum -= i32::from(sample) * i32::from(tap.weight());
            }
        }
        for (target, sum) in target.iter_mut().zip(sums) {
            *target = (((*sum + (1 << 7)) >> 8) - (128 << 7)) as i16;
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

/// Sums up four weighted samples of a row, rounded to 1/128.
pub(super) fn widen(source: &[u8], quads: &Quads, target: Strips<'_, i16>) {
    for (target, quad) in target.samples.iter_mut().zip(&quads.samples[target.start..]) {
        let samples = &source[quad.first..][..quad.count];
        let products = samples.iter().zip(quad.weights).map(|(&sample, w)| i32::from(sample) * i32::from(w));
        *target = (((products.sum::<i32>() + (1 << 4)) >> 5) - (128 << 7)) as i16;
    }
}

/// Sums up four weighted rows, each part rounded to 1/64, and rounds to whole samples.
pub(super) fn blend(rows: [&[i16]; 4], weights: [i16; 4], target: &mut [u8]) {
    let rows = rows.map(|row| &row[..target.len()]);
    for (i, target) in target.iter_mut().enumerate() {
        let part =
            |row: usize| ((i32::from(rows[row][i]) * i32::from(weights[row]) + (1 << 14)) >> 15) as i16;
        let sum = [1, 2, 3].into_iter().fold(part(0), |sum, row| sum.wrapping_add(part(row)));
        *target = (sum.wrapping_add((128 << 6) + (1 << 5)) >> 6).clamp(0, 255) as u8;
    }
}
