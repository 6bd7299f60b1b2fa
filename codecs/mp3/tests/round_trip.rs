//! Encoded by this crate, decoded by symphonia.

mod common;

use common::{SAMPLE_RATES, chord, decode, encode, noise, snr};
use oggflv_mp3::{Config, Encoder};

/// Noise that falls off towards high frequencies, as the ear's threshold lets those above 16 kHz be lost.
fn muffled_noise(length: usize, seed: u32) -> Vec<f32> {
    let noise = noise(length + 9, 1.0, seed);
    let mean = |x: &[f32]| x.windows(4).map(|w| w.iter().sum::<f32>() / 4.0).collect::<Vec<_>>();
    mean(&mean(&mean(&noise)))
}

fn delay(config: Config) -> usize {
    Encoder::new(config).expect("a legal configuration").delay()
}

/// Lag at which the output resembles the input most.
fn best_lag(input: &[f32], output: &[f32]) -> usize {
    let correlation = |lag: usize| -> f64 {
        input.iter().zip(&output[lag..]).map(|(&x, &y)| f64::from(x) * f64::from(y)).sum()
    };
    (0..=output.len() - input.len())
        .max_by(|&a, &b| correlation(a).total_cmp(&correlation(b)))
        .expect("a lag")
}

#[test]
fn the_delay_is_exact() {
    for sample_rate in SAMPLE_RATES {
        let config = Config::new(sample_rate, 1, 64_000);
        let input = noise(3000, 0.5, 5);
        let output = decode(&encode(config, std::slice::from_ref(&input)), 1);
        assert_eq!(best_lag(&input, &output[0]), delay(config), "{sample_rate} Hz");
    }
}

#[test]
fn every_sample_comes_out() {
    for (sample_rate, spf) in [(44100, 1152), (22050, 576)] {
        for length in [1, 94, 95, 96, 1151, 1152, 1153, 2000, 5000] {
            let config = Config::new(sample_rate, 1, 64_000);
            let frames = encode(config, &[vec![0.25; length]]);
            assert_eq!(frames.len(), (length + delay(config)).div_ceil(spf));
            assert_eq!(decode(&frames, 1)[0].len(), frames.len() * spf);
        }
    }
}

#[test]
fn more_bits_bring_less_noise() {
    // Floors in dB for a chord, which has few lines, and for noise, which has all of them.
    let cases = [
        (44100, 2, 64_000, 15.5, 6.5),
        (44100, 2, 128_000, 20.5, 11.5),
        (44100, 2, 320_000, 40.0, 23.5),
        (44100, 1, 64_000, 19.5, 11.0),
        (48000, 2, 128_000, 20.0, 11.5),
        (32000, 2, 128_000, 17.5, 12.0),
        (24000, 2, 64_000, 17.5, 9.0),
        (22050, 1, 64_000, 14.5, 18.0),
        (22050, 2, 64_000, 14.0, 9.5),
        (16000, 1, 32_000, 15.0, 12.5),
        (12000, 1, 32_000, 25.5, 15.5),
        (11025, 2, 32_000, 12.5, 8.0),
        (8000, 1, 64_000, 28.5, 32.0),
    ];
    for (sample_rate, channels, bitrate, chord_floor, noise_floor) in cases {
        let config = Config::new(sample_rate, channels, bitrate);
        let length = sample_rate as usize;
        for (name, floor) in [("chord", chord_floor), ("noise", noise_floor)] {
            let input: Vec<Vec<f32>> = (0..channels)
                .map(|c| match name {
                    "chord" => chord(length, 0.7, sample_rate, 220.0 + 40.0 * c as f32),
                    _ => muffled_noise(length, c as u32),
                })
                .collect();
            let output = decode(&encode(config, &input), channels);
            for c in 0..channels {
                let ratio = snr(&input[c], &output[c], delay(config));
                assert!(ratio > floor, "{name} in channel {c} of {config:?}: {ratio:.1} dB");
            }
        }
    }
}

#[test]
fn silence_stays_silent() {
    for sample_rate in SAMPLE_RATES {
        let output =
            decode(&encode(Config::new(sample_rate, 2, 64_000), &[vec![0.0; 5000], vec![0.0; 5000]]), 2);
        assert!(output.iter().flatten().all(|&y| y == 0.0));
    }
}

#[test]
fn a_full_scale_sine_keeps_its_level() {
    let config = Config::new(44100, 1, 128_000);
    let input: Vec<f32> = (0..44100).map(|i| (i as f32 * 0.1).sin()).collect();
    let output = decode(&encode(config, std::slice::from_ref(&input)), 1);
    // The steady part: where it sets in and ends, a sine is none.
    let ratio = snr(&input[20000..40000], &output[0], 20000 + delay(config));
    assert!(ratio > 45.0, "{ratio:.1} dB");
    assert!(output[0][4000..44000].iter().all(|y| y.abs() < 1.02));
}

#[test]
fn a_sine_that_ends_abruptly_sounds_to_its_end() {
    let config = Config::new(16000, 1, 32_000);
    let input: Vec<f32> = (0..32000).map(|i| (i as f32 * 0.1).sin()).collect();
    let output = decode(&encode(config, std::slice::from_ref(&input)), 1);
    let ratio = snr(&input[31000..], &output[0], 31000 + delay(config));
    assert!(ratio > 15.0, "{ratio:.1} dB");
}

#[test]
fn an_impulse_stays_in_place() {
    let mut input = vec![0.0; 6000];
    input[3000] = 1.0;
    let config = Config::new(44100, 1, 128_000);
    let output = decode(&encode(config, &[input]), 1);
    let peak = (0..output[0].len()).max_by(|&a, &b| output[0][a].total_cmp(&output[0][b])).unwrap();
    assert_eq!(peak, 3000 + delay(config));
}

#[test]
fn channels_stay_apart() {
    let config = Config::new(44100, 2, 128_000);
    let input = [chord(20000, 0.8, 44100, 300.0), vec![0.0; 20000]];
    let output = decode(&encode(config, &input), 2);
    let ratio = snr(&input[0], &output[0], delay(config));
    assert!(ratio > 20.0, "{ratio:.1} dB");
    assert!(output[1].iter().all(|&y| y == 0.0));
}

#[test]
fn input_that_is_no_audio_is_clipped() {
    let config = Config::new(44100, 1, 128_000);
    for value in [f32::INFINITY, f32::MAX, 7.0] {
        let output = decode(&encode(config, &[vec![value; 5000]]), 1);
        assert!((output[0][3000] - 1.0).abs() < 0.1, "{}", output[0][3000]);
    }
    let output = decode(&encode(config, &[vec![f32::NAN; 5000]]), 1);
    assert!(output[0].iter().all(|&y| y == 0.0));
}
