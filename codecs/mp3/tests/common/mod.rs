//! An independent decoder, a parser of side information, and signals, for the tests.

#![allow(dead_code)] // Each test binary uses its own part.

use oggflv_common::BitReader;
use oggflv_mp3::{Config, Encoder};
use symphonia::core::codecs::audio::well_known::CODEC_ID_MP3;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::Packet;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::MpaDecoder;

pub(crate) const SAMPLE_RATES: [u32; 9] = [8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000];

/// Encodes planar samples in pieces of `piece` samples.
pub(crate) fn encode_in_pieces(config: Config, pcm: &[Vec<f32>], piece: usize) -> Vec<Vec<u8>> {
    let mut encoder = Encoder::new(config).expect("a legal configuration");
    let mut frames = Vec::new();
    let length = pcm[0].len();
    for start in (0..length).step_by(piece) {
        let end = length.min(start + piece);
        let slices: Vec<&[f32]> = pcm.iter().map(|samples| &samples[start..end]).collect();
        encoder.encode(&slices, &mut frames);
    }
    encoder.finish(&mut frames);
    frames
}

pub(crate) fn encode(config: Config, pcm: &[Vec<f32>]) -> Vec<Vec<u8>> {
    encode_in_pieces(config, pcm, usize::MAX)
}

/// Everything that symphonia decodes, untrimmed, planar.
pub(crate) fn decode(frames: &[Vec<u8>], channels: usize) -> Vec<Vec<f32>> {
    let mut params = AudioCodecParameters::new();
    params.codec = CODEC_ID_MP3;
    let mut decoder =
        MpaDecoder::try_new(&params, &AudioDecoderOptions::default()).expect("a decoder for MP3");
    let mut out = vec![Vec::new(); channels];
    for (i, frame) in frames.iter().enumerate() {
        let packet = Packet::new(0, Timestamp::new(i as i64), Duration::new(1), frame.clone());
        let decoded = decoder.decode(&packet).unwrap_or_else(|error| panic!("frame {i}: {error}"));
        let mut planes: Vec<Vec<f32>> = Vec::new();
        decoded.copy_to_vecs_planar(&mut planes);
        assert_eq!(planes.len(), channels);
        for (out, plane) in out.iter_mut().zip(planes) {
            out.extend(plane);
        }
    }
    out
}

/// Signal-to-noise ratio in decibels of `output`, which lags by `delay`.
pub(crate) fn snr(input: &[f32], output: &[f32], delay: usize) -> f64 {
    let (mut signal, mut noise) = (0.0, 1e-30);
    for (i, &x) in input.iter().enumerate() {
        let (x, y) = (f64::from(x), f64::from(output[i + delay]));
        signal += x * x;
        noise += (x - y) * (x - y);
    }
    10.0 * (signal / noise).log10()
}

/// Uniform noise in -amplitude..amplitude.
pub(crate) fn noise(length: usize, amplitude: f32, seed: u32) -> Vec<f32> {
    let mut state = seed;
    (0..length)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            amplitude * ((state >> 8) as f32 / 8_388_608.0 - 1.0)
        })
        .collect()
}

/// Sines of a chord with a slow tremolo, at most full scale times `amplitude`.
pub(crate) fn chord(length: usize, amplitude: f32, sample_rate: u32, root: f32) -> Vec<f32> {
    (0..length)
        .map(|i| {
            let t = i as f32 / sample_rate as f32 * std::f32::consts::TAU;
            let partials = [1.0, 1.26, 1.5, 2.0, 3.0, 4.2];
            let sum: f32 = partials.iter().map(|p| (t * root * p).sin() / p).sum();
            amplitude * 0.3 * sum * (0.8 + 0.2 * (3.0 * t).sin())
        })
        .collect()
}

/// One channel of one granule as the side information tells.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Granule {
    pub(crate) part2_3_length: u32,
    pub(crate) big_values: u32,
    pub(crate) global_gain: u32,
    pub(crate) block_type: u32,
}

/// A parsed frame.
#[derive(Clone, Debug)]
pub(crate) struct FrameInfo {
    pub(crate) bitrate: u32,
    pub(crate) padding: bool,
    pub(crate) main_data_begin: usize,
    /// Bytes behind the side information.
    pub(crate) slot: usize,
    pub(crate) granules: Vec<Granule>,
}

/// Reads header and side information (11172-3 and 13818-3, 2.4.1), and checks what a decoder relies on.
pub(crate) fn parse(frame: &[u8]) -> FrameInfo {
    let mut bits = BitReader::new(frame);
    assert_eq!(bits.read(11), 0x7FF, "syncword");
    let version = bits.read(2);
    assert_ne!(version, 0b01, "reserved version");
    let mpeg1 = version == 0b11;
    assert_eq!(bits.read(2), 0b01, "Layer III");
    assert_eq!(bits.read(1), 1, "no CRC");
    let bitrate_index = bits.read(4) as usize;
    let row = if mpeg1 {
        [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320]
    } else {
        [0, 8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160]
    };
    let bitrate = row[bitrate_index] * 1000;
    let sampling_frequency = bits.read(2) as usize;
    let rate = [44100, 48000, 32000][sampling_frequency] / [4, 0, 2, 1][version as usize];
    let padding = bits.read(1) == 1;
    bits.skip(1);
    let mono = bits.read(2) == 0b11;
    bits.skip(6);
    let length = if mpeg1 { 144 } else { 72 } * bitrate / rate + u32::from(padding);
    assert_eq!(length as usize, frame.len(), "frame length");

    let channels = if mono { 1 } else { 2 };
    let main_data_begin = bits.read(if mpeg1 { 9 } else { 8 }) as usize;
    if mpeg1 {
        bits.skip(if mono { 5 } else { 3 });
        bits.skip(4 * channels);
    } else {
        bits.skip(channels);
    }
    let mut granules = Vec::new();
    for _ in 0..if mpeg1 { 2 } else { 1 } * channels {
        let mut granule = Granule {
            part2_3_length: bits.read(12),
            big_values: bits.read(9),
            global_gain: bits.read(8),
            ..Granule::default()
        };
        assert!(granule.big_values <= 288, "big_values {}", granule.big_values);
        let scalefac_compress = bits.read(if mpeg1 { 4 } else { 9 });
        assert!(mpeg1 || scalefac_compress < 512);
        let tables = if bits.read_bit() {
            granule.block_type = bits.read(2);
            assert_ne!(granule.block_type, 0, "block_type with window switching");
            bits.skip(1);
            let tables = [bits.read(5), bits.read(5), 0];
            bits.skip(9);
            tables
        } else {
            let tables = [bits.read(5), bits.read(5), bits.read(5)];
            let (region0_count, region1_count) = (bits.read(4), bits.read(3));
            assert!(region0_count + region1_count + 2 <= 22, "regions {region0_count} and {region1_count}");
            tables
        };
        assert!(!tables.contains(&4) && !tables.contains(&14), "tables {tables:?}");
        bits.skip(if mpeg1 { 3 } else { 2 });
        granules.push(granule);
    }
    assert_eq!(bits.position() % 8, 0);
    FrameInfo {
        bitrate,
        padding,
        main_data_begin,
        slot: frame.len() - bits.position() as usize / 8,
        granules,
    }
}
