//! What every decoder relies on in a stream, checked with a parser of its own.

mod common;

use common::{SAMPLE_RATES, chord, encode, encode_in_pieces, noise, parse};
use oggflv_mp3::Config;

/// Walks the main data through the frames: none of it begins before the end of that of the frame before, none goes
/// beyond its own frame, and `main_data_begin` says where it begins.
fn assert_consistent(frames: &[Vec<u8>], mpeg1: bool) {
    let capacity = if mpeg1 { 511 } else { 255 };
    // Bytes of room in all frames so far, and where the main data of the last frame ended.
    let (mut room, mut end) = (0, 0);
    for (i, frame) in frames.iter().enumerate() {
        let info = parse(frame);
        assert!(info.main_data_begin <= capacity.min(room), "frame {i}: reservoir {}", info.main_data_begin);
        let begin = room - info.main_data_begin;
        assert!(begin >= end, "frame {i}: main data begins {} bytes early", end - begin);
        let bits: u32 = info.granules.iter().map(|granule| granule.part2_3_length).sum();
        room += info.slot;
        end = begin + bits.div_ceil(8) as usize;
        assert!(end <= room, "frame {i}: main data ends {} bytes behind its frame", end - room);
    }
}

fn signals(length: usize, sample_rate: u32) -> Vec<(&'static str, Vec<f32>)> {
    let mut impulse = vec![0.0; length];
    impulse[length / 2] = 1.0;
    let mut mixed = noise(length, 1.0, 3);
    mixed[..length / 3].fill(0.0);
    mixed[length / 2..].copy_from_slice(&chord(length - length / 2, 0.5, sample_rate, 300.0));
    vec![
        ("silence", vec![0.0; length]),
        ("impulse", impulse),
        ("full-scale noise", noise(length, 1.0, 1)),
        ("faint noise", noise(length, 3e-5, 2)),
        ("chord", chord(length, 0.9, sample_rate, 440.0)),
        ("mixed", mixed),
        ("square at full scale", (0..length).map(|i| if i / 40 % 2 == 0 { 1.0 } else { -1.0 }).collect()),
        ("over full scale", noise(length, 50.0, 4)),
        (
            "no numbers",
            (0..length)
                .map(|i| [0.5, f32::NAN, f32::INFINITY, -f32::INFINITY, f32::MAX, 1e-42][i % 6])
                .collect(),
        ),
    ]
}

#[test]
fn streams_are_consistent() {
    for sample_rate in SAMPLE_RATES {
        for (channels, bitrate) in [(1, 32_000), (2, 32_000), (2, 128_000), (1, 320_000), (2, 320_000)] {
            let config = Config::new(sample_rate, channels, bitrate);
            for (name, signal) in signals(5000, sample_rate) {
                let other = noise(signal.len(), 0.1, 9);
                let frames = encode(config, &[signal, other][..channels]);
                println!("{name}, {config:?}");
                assert_consistent(&frames, sample_rate >= 32000);
            }
        }
    }
}

#[test]
fn the_mean_bitrate_is_exact() {
    for sample_rate in SAMPLE_RATES {
        for bitrate in [32_000, 56_000, 128_000] {
            let config = Config::new(sample_rate, 1, bitrate);
            let frames = encode(config, &[vec![0.0; 3 * sample_rate as usize]]);
            let spf = if sample_rate < 32000 { 576 } else { 1152 };
            let mut bytes = 0;
            for (i, frame) in frames.iter().enumerate() {
                let info = parse(frame);
                assert_eq!(info.bitrate, config.bitrate);
                bytes += frame.len() as u64;
                // Never behind by a whole byte, never ahead.
                let exact = (i as u64 + 1) * spf * u64::from(config.bitrate) / 8;
                let lag = exact - bytes * u64::from(sample_rate);
                assert!(lag < u64::from(sample_rate), "frame {i} of {config:?}");
            }
        }
    }
}

#[test]
fn bytes_do_not_depend_on_the_pieces() {
    let pcm = [noise(9001, 0.7, 1), chord(9001, 0.8, 44100, 200.0)];
    let config = Config::new(44100, 2, 96_000);
    let whole = encode(config, &pcm);
    for piece in [1, 7, 576, 1152, 1153, 5000] {
        assert!(encode_in_pieces(config, &pcm, piece) == whole, "pieces of {piece}");
    }
}

#[test]
fn no_input_gives_no_frames() {
    assert!(encode(Config::new(44100, 2, 128_000), &[vec![], vec![]]).is_empty());
}
