//! Every level against `scalar`, and the transforms against their definition.

use super::*;
use crate::block::SCAN;
use std::f64::consts::PI;

struct Random(u64);

impl Random {
    fn below(&mut self, limit: u32) -> u32 {
        self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        ((self.0 >> 33) as u32) % limit
    }

    fn samples<const N: usize>(&mut self, round: usize) -> [u8; N] {
        // Extremes come first, then noise of growing smoothness.
        match round {
            0 => [0; N],
            1 => [255; N],
            2 => [(); N].map(|()| (self.below(2) * 255) as u8),
            _ => [(); N].map(|()| (128 + self.below(round as u32 % 128 + 1)) as u8),
        }
    }
}

/// Runs `check` with the kernels of every other level beside the scalar ones.
fn compare(mut check: impl FnMut(&Kernels, &Kernels, &mut Random, usize)) {
    let scalar = Kernels::new(Level::SCALAR);
    for level in Level::available() {
        let (kernels, mut random) = (Kernels::new(level), Random(5));
        for round in 0..300 {
            check(&scalar, &kernels, &mut random, round);
        }
    }
}

#[test]
fn measures_and_predictions_are_the_same_at_every_level() {
    compare(|scalar, kernels, random, round| {
        let a: [u8; 256] = random.samples(round);
        let b: [u8; 256] = random.samples((round + 1) % 100);
        let extreme: [u8; 17 * 17] = random.samples((round + 1) % 100);
        let stride = 18 + round % 20;
        // Nothing follows the last sample that any kernel reads, and all begin at any address.
        let reference: [u8; 17 * 37 + 18 + 16] = random.samples([round + 1, 2, 127][round % 3]);
        let reference = &reference[round % 16..][..17 * stride + 18];
        for half in [false, true] {
            let sads = |kernels: &Kernels| (kernels.sad_16_beside)(&a, reference, stride, half);
            assert_eq!(sads(kernels), sads(scalar));
            let sads =
                |kernels: &Kernels| (kernels.sad_8_beside)((&a[8..], STRIDE), (reference, stride), half);
            assert_eq!(sads(kernels), sads(scalar));
        }
        assert_eq!((kernels.sad_16)(&a, reference, stride), (scalar.sad_16)(&a, reference, stride));
        let places = [0, 1, round % 3].map(|x| &reference[x..]);
        assert_eq!((kernels.sads_16)(&a, places, stride), (scalar.sads_16)(&a, places, stride));
        let (a_8, b_8, r_8) = ((&a[8..], STRIDE), (&b[136..], STRIDE), (reference, stride));
        for (a, b) in [(a_8, r_8), (a_8, b_8), (r_8, (&b[..8], 0))] {
            assert_eq!((kernels.sad_8)(a, b), (scalar.sad_8)(a, b));
            assert_eq!((kernels.satd_8)(a, b), (scalar.satd_8)(a, b));
        }
        assert_eq!((kernels.activity_16)(&a), (scalar.activity_16)(&a));
        for rows in [a_8, r_8] {
            assert_eq!((kernels.activity_8)(rows), (scalar.activity_8)(rows));
            assert_eq!((kernels.deviation_8)(rows), (scalar.deviation_8)(rows));
            let places = [0, 1, round % 5].map(|x| &reference[x..]);
            assert_eq!((kernels.sads_8)(rows, places, stride), (scalar.sads_8)(rows, places, stride));
        }
        for fraction in 0..4 {
            let sad = |kernels: &Kernels| (kernels.sad_16_half)(&a, reference, stride, fraction);
            assert_eq!(sad(kernels), sad(scalar), "fraction {fraction}");
            for (reference, stride) in [(reference, stride), (&extreme, 17)] {
                let satd = |kernels: &Kernels| (kernels.satd_16)(&a, reference, stride, fraction);
                assert_eq!(satd(kernels), satd(scalar), "fraction {fraction}");
            }
            let [mut one, mut other] = [a; 2];
            (kernels.predict_16)(reference, stride, fraction, &mut one);
            (scalar.predict_16)(reference, stride, fraction, &mut other);
            assert_eq!(one, other, "fraction {fraction}");
            (kernels.predict_8)(reference, stride, fraction, &mut one[136..]);
            (scalar.predict_8)(reference, stride, fraction, &mut other[136..]);
            assert_eq!(one, other, "fraction {fraction}");
        }
        let copies = |kernels: &Kernels| {
            let mut copies = [[7; 15 * 18 + 16]; 3];
            let [y, cb, cr] = copies.each_mut().map(|copy| (&mut copy[..], 16 + round % 3));
            (kernels.copy)([(&a, STRIDE), (reference, stride), (&b[8..], STRIDE)], [y, cb, cr]);
            copies
        };
        assert_eq!(copies(kernels), copies(scalar));
        let (a, b): ([u8; 384], [u8; 384]) = (random.samples(round), random.samples(round / 2));
        let size = round % 190;
        let [mut one, mut other] = [[0; 190]; 2];
        (kernels.halve)(&a, &b, &mut one[..size]);
        (scalar.halve)(&a, &b, &mut other[..size]);
        assert_eq!(one, other);
        assert_eq!((kernels.squared_errors)(&a, &b), (scalar.squared_errors)(&a, &b));
        let planes = [(&b[1..], STRIDE), (reference, stride), (&b[200..], STRIDE + 3)];
        let errors = |kernels: &Kernels| (kernels.squared_errors_16)(&a, planes);
        assert_eq!(errors(kernels), errors(scalar));
    });
}

#[test]
fn transforms_are_the_same_at_every_level() {
    compare(|scalar, kernels, random, round| {
        let (a, b): ([u8; 128], [u8; 128]) = (random.samples(round), random.samples((round + 1) % 100));
        let q = round as i16 % 31 + 1;
        let divisor = Divisor {
            reciprocal: 65536u32.div_ceil(q as u32 * 16) as u16,
            offset: 3 * (q - 15),
            most: 90,
            step: 16 * q,
            rest: 8 * q,
        };
        // Samples that differ where a coefficient is positive or negative make it as large as it gets.
        let frequency = random.below(64) as usize;
        let largest: [u8; 128] = std::array::from_fn(|i| {
            let sign = basis(frequency / 8, i % 8) * basis(frequency % 8, i / STRIDE);
            if sign > 0.0 { 255 } else { 0 }
        });
        let inverted = largest.map(|sample| !sample);
        for (a, b) in [(&a, &b), (&largest, &inverted), (&inverted, &largest)] {
            let quantize = |kernels: &Kernels| {
                let [mut coefficients, [mut first, mut second]] = [[[7; 64]; 2]; 2];
                let levels = [&mut first, &mut second];
                let quantized = (kernels.quantize_2)(a, b, &divisor, &mut coefficients, levels);
                (quantized, coefficients, first, second)
            };
            assert_eq!(quantize(kernels), quantize(scalar));
        }
        // All up to the last in the order of transmission, or few, or a large one.
        for last in [0, 1, 2, 5, 9, 10, 30, 63] {
            let mut coefficients = [0; 64];
            for &at in &SCAN[..=last] {
                let most = if last < 3 { 2047 } else { 250 };
                if random.below(3) <= round as u32 % 4 {
                    coefficients[usize::from(at)] = random.below(2 * most + 1) as i16 - most as i16;
                }
            }
            if round % 8 == 0 {
                coefficients = [0; 64];
                let at = SCAN[random.below(last as u32 + 1) as usize];
                coefficients[usize::from(at)] = 2047 - random.below(4095) as i16;
            }
            let [mut one, mut other] = [a; 2];
            let start = round % 9;
            (kernels.inverse_add)(&coefficients, last as u32, &mut one[start..]);
            (scalar.inverse_add)(&coefficients, last as u32, &mut other[start..]);
            assert_eq!(one, other, "{last}: {coefficients:?}");
        }
    });
}

/// Every slice that a kernel reads or writes may end with the last sample, and not before.
#[test]
fn slices_that_are_too_short_are_refused() {
    const WIDE: usize = 21;
    let end = |rows: usize, columns: usize| (rows - 1) * WIDE + columns;
    let (macroblock, samples) = ([9; 256], [7; 384]);
    for kernels in Level::available().into_iter().map(Kernels::new) {
        let works = |length: usize, kernel: &dyn Fn(&mut [u8])| {
            let run = || kernel(&mut vec![3; length]);
            std::panic::catch_unwind(std::panic::AssertUnwindSafe(run)).is_ok()
        };
        let check = |length: usize, kernel: &dyn Fn(&mut [u8])| {
            assert!(works(length, kernel) && !works(length - 1, kernel), "{length}");
        };
        let block = (&macroblock[..], STRIDE);
        check(end(16, 16), &|from| _ = (kernels.sad_16)(&macroblock, from, WIDE));
        for short in 0..3 {
            check(end(16, 16), &|from| {
                let mut places = [&samples[..]; 3];
                places[short] = from;
                _ = (kernels.sads_16)(&macroblock, places, WIDE);
            });
        }
        check(end(8, 8), &|from| _ = (kernels.sad_8)(block, (from, WIDE)));
        check(end(8, 8), &|from| _ = (kernels.sad_8)((from, WIDE), block));
        check(end(8, 8), &|from| _ = (kernels.satd_8)(block, (from, WIDE)));
        check(end(8, 8), &|from| _ = (kernels.satd_8)((from, WIDE), block));
        check(end(8, 8), &|from| _ = (kernels.activity_8)((from, WIDE)));
        check(end(8, 8), &|from| _ = (kernels.deviation_8)((from, WIDE)));
        check(end(8, 8), &|from| _ = (kernels.sads_8)((from, WIDE), [&samples; 3], WIDE));
        for short in 0..3 {
            check(end(8, 8), &|from| {
                let mut places = [&samples[..]; 3];
                places[short] = from;
                _ = (kernels.sads_8)(block, places, WIDE);
            });
        }
        check(end(8, 8), &|from| _ = (kernels.sad_8_beside)((from, WIDE), (&samples, 24), false));
        for half in [false, true] {
            let large: &dyn Fn(&mut [u8]) =
                &|from| _ = (kernels.sad_16_beside)(&macroblock, from, WIDE, half);
            let small: &dyn Fn(&mut [u8]) = &|from| _ = (kernels.sad_8_beside)(block, (from, WIDE), half);
            // The last row is only read below the middle; a level may ask for all of it.
            assert!(works(end(18, 18), large) && !works(end(18, 17) - 1, large));
            assert!(works(end(10, 10), small) && !works(end(10, 9) - 1, small));
        }
        for fraction in 0..4 {
            let (right, below) = (fraction & 1, fraction >> 1);
            let (large, small) = (end(16 + below, 16 + right), end(8 + below, 8 + right));
            check(large, &|from| _ = (kernels.sad_16_half)(&macroblock, from, WIDE, fraction));
            check(large, &|from| _ = (kernels.satd_16)(&macroblock, from, WIDE, fraction));
            check(large, &|from| (kernels.predict_16)(from, WIDE, fraction, &mut macroblock.clone()));
            check(small, &|from| (kernels.predict_8)(from, WIDE, fraction, &mut macroblock.clone()));
            check(7 * STRIDE + 8, &|out| (kernels.predict_8)(&samples, 32, fraction, out));
        }
        for last in [0, 9, 63] {
            check(7 * STRIDE + 8, &|out| (kernels.inverse_add)(&[1; 64], last, out));
        }
        let planes = [(&samples[..], STRIDE); 3];
        for (i, size) in [16, 8, 8].into_iter().enumerate() {
            check(end(size, size), &|from| {
                let mut planes = planes;
                planes[i] = (from, WIDE);
                _ = (kernels.squared_errors_16)(&samples, planes);
            });
            check(end(size, size), &|from| {
                let (mut planes, mut copies) = (planes, [samples; 3]);
                planes[i] = (from, WIDE);
                (kernels.copy)(planes, copies.each_mut().map(|copy| (&mut copy[..], STRIDE)));
            });
            check(end(size, size), &|to| {
                let mut copies = [samples; 3];
                let mut copies = copies.each_mut().map(|copy| (&mut copy[..], STRIDE));
                copies[i] = (to, WIDE);
                (kernels.copy)(planes, copies);
            });
        }
    }
}

/// What frequency `u` adds to place `x`.
fn basis(u: usize, x: usize) -> f64 {
    let c = if u == 0 { (1.0f64 / 8.0).sqrt() } else { 0.5 };
    c * ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos()
}

/// The definition (H.263, 6.2.2) in floating point, forward or inverse, of column-by-column coefficients and
/// row-by-row samples.
fn analytical(input: &[f64; 64], forward: bool) -> [f64; 64] {
    let mut out = [0.0; 64];
    for frequency in 0..64 {
        for place in 0..64 {
            let factor = basis(frequency / 8, place % 8) * basis(frequency % 8, place / 8);
            let (from, to) = if forward { (place, frequency) } else { (frequency, place) };
            out[to] += input[from] * factor;
        }
    }
    out
}

#[test]
fn forward_is_near_the_definition() {
    let mut random = Random(9);
    for round in 0..200 {
        let (a, b): ([u8; 128], [u8; 128]) =
            (random.samples(round), random.samples(if round < 3 { 1 } else { 90 }));
        let mut out = [[0; 64]; 2];
        scalar::forward_2(&a, &b, &mut out);
        let mut difference = [0.0; 64];
        for (i, d) in difference.iter_mut().enumerate() {
            let at = i / 8 * STRIDE + i % 8;
            *d = f64::from(a[at]) - f64::from(b[at]);
        }
        for (c, exact) in out[0].iter().zip(analytical(&difference, true)) {
            assert!((f64::from(*c) - 8.0 * exact).abs() < 5.0, "{c} for {}", 8.0 * exact);
        }
    }
}

#[test]
fn inverse_is_near_the_definition() {
    let mut random = Random(11);
    for _ in 0..200 {
        let mut coefficients = [0; 64];
        for c in &mut coefficients[..20] {
            *c = random.below(200) as i16 - 100;
        }
        let exact = analytical(&coefficients.map(f64::from), false);
        let mut samples = [128; 128];
        scalar::inverse_add(&coefficients, 63, &mut samples);
        for (i, exact) in exact.iter().enumerate() {
            let sample = f64::from(samples[i / 8 * STRIDE + i % 8]);
            assert!((sample - (128.0 + exact).clamp(0.0, 255.0)).abs() < 1.1, "{sample} for {exact}");
        }
    }
}

#[test]
fn inverse_of_the_first_coefficient() {
    let mut coefficients = [0; 64];
    let mut samples = [0; 128];
    coefficients[0] = 8 * 200;
    scalar::inverse_add(&coefficients, 63, &mut samples);
    assert_eq!(samples[..8], [200; 8]);
    assert_eq!(samples[8..16], [0; 8]);
    // A second one in the row takes it off the shortcut: 2^14 sqrt(2) cos(pi / 16) counts.
    coefficients[8] = 1;
    let mut samples = [0; 128];
    scalar::inverse_add(&coefficients, 63, &mut samples);
    let row = (1600 * 16383 + 22725 + (1 << 10)) >> 11;
    assert_eq!(i64::from(samples[0]), ((row + 32) * 16383i64) >> 20);
}
