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
            0x4CC0_3077_4FE2_0492,
            0xBF2C_26B2_1802_6C82,
            0xE2BD_97A5_8C6E_3D88,
            0x5CD1_AE9A_61E9_F53C,
            0x41AD_87A7_963C_F003
        ],
        "{hashes:#018X?}"
    );
}

#[test]
fn header_and_side_information_of_a_frame() {
    let frames = encode(Config::new(8000, 1, 16_000), &input()[..1]);
    assert_eq!(frames[2][..13], [255, 227, 40, 196, 12, 28, 196, 114, 217, 190, 130, 154, 94]);
}
