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
            0x1AD8_0B9E_C28A_9467,
            0x3F6D_CF24_3A84_AEAB,
            0xB7EB_57BC_305B_2909,
            0xDEB5_EB71_5F0C_CACE,
            0xE551_DDD4_354A_3962
        ],
        "{hashes:#018X?}"
    );
}

#[test]
fn header_and_side_information_of_a_frame() {
    let frames = encode(Config::new(8000, 1, 16_000), &input()[..1]);
    assert_eq!(frames[2][..13], [255, 227, 40, 196, 29, 31, 132, 114, 217, 190, 131, 78, 190]);
}
