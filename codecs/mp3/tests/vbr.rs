//! Variable bitrates.

mod common;

use common::{chord, decode, noise, parse, snr};
use oggflv_mp3::{ConfigError, Encoder};

fn encode(sample_rate: u32, quality: u8, pcm: &[Vec<f32>]) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new_vbr(sample_rate, pcm.len(), quality).expect("a legal configuration");
    let mut frames = Vec::new();
    encoder.encode(&pcm.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut frames);
    encoder.finish(&mut frames);
    frames
}

#[test]
fn better_quality_takes_more_bytes_and_leaves_less_noise() {
    for sample_rate in [44100, 22050, 8000] {
        let length = sample_rate as usize;
        let input = [chord(length, 0.6, sample_rate, 300.0), noise(length, 0.1, 3)];
        let (mut last_bytes, mut last_ratio) = (usize::MAX, f64::INFINITY);
        for quality in [0, 3, 6, 9] {
            let frames = encode(sample_rate, quality, &input);
            let bytes = frames.iter().map(Vec::len).sum();
            let ratio = snr(&input[0], &decode(&frames, 2)[0], 1057);
            assert!(
                bytes < last_bytes && ratio < last_ratio,
                "{sample_rate} Hz, quality {quality}: {ratio:.1} dB"
            );
            (last_bytes, last_ratio) = (bytes, ratio);
        }
    }
}

#[test]
fn silence_takes_the_least_bitrate_and_noise_more() {
    let pcm = [[vec![0.0; 44100], noise(44100, 0.8, 1)].concat()];
    let frames = encode(44100, 2, &pcm);
    assert_eq!(parse(&frames[10]).bitrate, 32_000);
    assert!(parse(&frames[60]).bitrate > 64_000);
}

#[test]
fn the_quality_has_limits() {
    assert_eq!(Encoder::new_vbr(44100, 2, 10).err(), Some(ConfigError::Quality(10)));
    assert_eq!(Encoder::new_vbr(44000, 2, 1).err(), Some(ConfigError::SampleRate(44000)));
}
