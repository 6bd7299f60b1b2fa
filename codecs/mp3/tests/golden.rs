//! The bytes of a tiny stream, so that no change or machine alters the output unnoticed.

mod common;

use common::encode;
use oggflv_mp3::Config;

/// A triangle and a ramp: no functions of the platform.
fn input() -> Vec<Vec<f32>> {
    let triangle = (0..1500).map(|i: i32| (i % 100 - 50).abs() as f32 / 50.0 - 0.5).collect();
    let ramp = (0..1500).map(|i: i32| (i % 333) as f32 / 400.0 - 0.4).collect();
    vec![triangle, ramp]
}

/// FNV-1a, 64 bits.
fn hash(frames: &[Vec<u8>]) -> u64 {
    frames
        .iter()
        .flatten()
        .fold(0xCBF2_9CE4_8422_2325, |h, &byte| (h ^ u64::from(byte)).wrapping_mul(0x100_0000_01B3))
}

#[test]
fn hashes_of_streams() {
    let settings =
        [(44100, 2, 128_000), (44100, 2, 64_000), (32000, 1, 64_000), (22050, 2, 64_000), (8000, 1, 16_000)];
    let hashes = settings.map(|(sample_rate, channels, bitrate)| {
        hash(&encode(Config::new(sample_rate, channels, bitrate), &input()[..channels]))
    });
    assert_eq!(
        hashes,
        [
            0xC23F_284E_E165_8AEE,
            0xADD1_D7B1_9965_726F,
            0xA229_88EA_EC50_D56F,
            0x8429_65AA_10B4_8B08,
            0x8B70_B67C_6DD7_DEDA
        ],
        "{hashes:#018X?}"
    );
}

#[test]
fn header_and_side_information_of_a_frame() {
    let frames = encode(Config::new(8000, 1, 16_000), &input()[..1]);
    assert_eq!(frames[2][..13], [255, 227, 40, 196, 9, 28, 196, 114, 217, 190, 130, 154, 94]);
}
