use super::*;
use crate::config::Format;
use crate::psycho::{LONG_WINDOW, SHORT_WINDOW};

/// Every level but scalar.
fn levels() -> impl Iterator<Item = (&'static str, Kernels)> {
    let levels = Level::available().into_iter().filter(|&level| level != Level::SCALAR);
    levels.map(|level| (level.name(), Kernels::new(level)))
}

/// Numbers from 0 to `most` that fall off, with some zeros.
fn magnitudes(length: usize, most: f32, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..length)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            if state.is_multiple_of(7) {
                0.0
            } else {
                most * (state >> 8) as f32 / 16_777_216.0 / (1 + i) as f32
            }
        })
        .collect()
}

#[test]
fn the_fast_rounding_is_that_of_the_standard() {
    for i in 0..82_060 {
        let x = i as f32 / 10.0 + 0.013;
        assert_eq!(i32::from(nearest(x)), (f64::from(x) - 0.0946).round() as i32, "{x}");
    }
    assert_eq!(nearest(0.0), 0);
}

#[test]
fn powers_are_what_they_are_called() {
    let x = magnitudes(64, 3.0, 1);
    let mut power34 = vec![0.0; 64];
    let Powers { largest, energy, roots } = (Kernels::new(Level::SCALAR).powers)(&x, &mut power34);
    let close = |a: f32, b: f64| (f64::from(a) - b).abs() < 1e-5 * b;
    assert!(x.iter().zip(&power34).all(|(&x, &p)| close(p, f64::from(x).powf(0.75)) || x == 0.0));
    assert_eq!(largest, power34.iter().copied().fold(0.0, f32::max));
    assert!(close(energy, x.iter().map(|&x| f64::from(x).powi(2)).sum()));
    assert!(close(roots, x.iter().map(|&x| f64::from(x).sqrt()).sum()));
}

#[test]
fn every_level_measures_like_scalar() {
    let scalar = Kernels::new(Level::SCALAR);
    let power43: Power43 = std::array::from_fn(|i| libm::pow(i as f64, 4.0 / 3.0) as f32);
    for (name, kernels) in levels() {
        for (length, most) in [(0, 1.0), (8, 1e-9), (8, 1e6), (16, 3.0), (160, 100.0), (192, 8206.0)] {
            for seed in 0..20 {
                let x = magnitudes(length, most, seed);
                let (mut expected, mut actual) = (vec![0.0; length], vec![0.0; length]);
                let powers = (scalar.powers)(&x, &mut expected);
                assert_eq!((kernels.powers)(&x, &mut actual), powers, "{name}");
                assert_eq!(expected, actual, "{name}");
                // The last step makes values beyond those that can be coded.
                for step in [1e-3f32, 1.0, 0.03, 1e-12] {
                    let steps = [step, 1.5 * step, 2.0 * step].map(|step| [libm::powf(step, -0.75), step]);
                    let (mut pairs, mut others) = ([[0; MAX_WIDTH / 2]; 3], [[0; MAX_WIDTH / 2]; 3]);
                    let sums = (scalar.measure_three)(&x, &expected, steps, &power43, &mut pairs);
                    let others_sums = (kernels.measure_three)(&x, &actual, steps, &power43, &mut others);
                    assert_eq!((others_sums, others), (sums, pairs), "{name}");
                    let mut single = [[0; MAX_WIDTH / 2]];
                    let sums_of_one = (kernels.measure)(&x, &actual, [steps[0]], &power43, &mut single);
                    assert_eq!((sums_of_one[0], single[0]), (sums[0], pairs[0]), "{name}");
                }
            }
        }
    }
}

/// Samples between -1 and 1.
fn samples(length: usize, seed: u32) -> Vec<f32> {
    let sign = |i: usize| if i.is_multiple_of(3) { -1.0 } else { 1.0 };
    magnitudes(length, 1.0, seed).iter().enumerate().map(|(i, x)| sign(i) * x * (1 + i) as f32).collect()
}

#[test]
fn every_level_filters_like_scalar() {
    let scalar = Kernels::new(Level::SCALAR);
    let (bank, mdct) = (Polyphase::new(), Mdct::new(0));
    let mut subbands = [[[0.0; 32]; 18]; 3];
    for (i, subbands) in subbands.iter_mut().enumerate() {
        (scalar.polyphase)(&bank, &samples(1056, i as u32), subbands);
    }
    let [previous, current, _] = &subbands;
    for (name, kernels) in levels() {
        for (i, expected) in subbands.iter().enumerate() {
            let mut actual = [[0.0; 32]; 18];
            (kernels.polyphase)(&bank, &samples(1056, i as u32), &mut actual);
            assert_eq!(&actual, expected, "{name}");
        }
        for block_type in BlockType::ALL {
            let (mut expected, mut actual) = ([0.0; LINES], [0.0; LINES]);
            (scalar.mdct)(&mdct, previous, current, block_type, &mut expected);
            (kernels.mdct)(&mdct, previous, current, block_type, &mut actual);
            assert_eq!(actual, expected, "{name}, {block_type:?}");
        }
    }
}

#[test]
fn every_level_hears_like_scalar() {
    let scalar = Kernels::new(Level::SCALAR);
    let format = Format::new(44100, 2).unwrap();
    let (left, right) = (samples(LONG_WINDOW, 1), samples(LONG_WINDOW, 2));
    for (name, kernels) in levels() {
        for length in [SHORT_WINDOW, LONG_WINDOW] {
            let resolution = Resolution::of_length(&format, length);
            for pcm in [&[&left[..length]][..], &[&left[..length], &right[..length]]] {
                let expected = (scalar.energies)(&resolution, pcm);
                assert!(expected[0].iter().any(|&energy| energy > 1.0));
                assert_eq!((kernels.energies)(&resolution, pcm), expected, "{name}");
                let thresholds = (scalar.thresholds)(&resolution, &expected[0]);
                assert_eq!((kernels.thresholds)(&resolution, &expected[0]), thresholds, "{name}");
            }
        }
    }
}
