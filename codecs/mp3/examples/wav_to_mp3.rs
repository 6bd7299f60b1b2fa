//! `wav_to_mp3 IN.wav OUT.mp3 [--bitrate K | --vbr N] [--threads T]`: encodes a WAV file, K in kbit/s (128 by default),
//! N from 0 (best) to 9. T may be any number of threads from 1 on; the encoder needs one and uses one. The first frame is a Xing or Info header with the delay, so that players cut off what is no input
//! (mpg123 does; ffmpeg only where the header names LAME or Lavc as the encoder, which would be untrue here).

use oggflv_mp3::{Config, Encoder};
use std::error::Error;
use std::num::NonZeroUsize;
use std::process::ExitCode;

/// Delay of a decoder, which the header leaves out of the encoder's delay.
const DECODER_DELAY: usize = 529;
const USAGE: &str = "usage: wav_to_mp3 IN.wav OUT.mp3 [--bitrate KBIT | --vbr QUALITY] [--threads COUNT]";

/// Samples of a WAV file, planar.
struct Wav {
    sample_rate: u32,
    channels: Vec<Vec<f32>>,
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match run(&args) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wav_to_mp3: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &[String]) -> Result<(), Box<dyn Error>> {
    let [input, output, options @ ..] = args else { return Err(USAGE.into()) };
    let wav = parse_wav(&std::fs::read(input).map_err(|error| format!("{input}: {error}"))?)
        .map_err(|error| format!("{input}: {error}"))?;
    let channels = wav.channels.len();
    let (mut bitrate, mut quality) = (None, None);
    for option in options.chunks(2) {
        match option {
            [name, value] if name == "--bitrate" => {
                bitrate = Some(value.parse::<u32>()?.saturating_mul(1000))
            }
            [name, value] if name == "--vbr" => quality = Some(value.parse()?),
            [name, value] if name == "--threads" => {
                value.parse::<NonZeroUsize>()?;
            }
            _ => return Err(USAGE.into()),
        }
    }
    let mut encoder = match (bitrate, quality) {
        (None, None) => Encoder::new(Config::new(wav.sample_rate, channels, 128_000))?,
        (Some(bitrate), None) => Encoder::new(Config { sample_rate: wav.sample_rate, channels, bitrate })?,
        (None, Some(quality)) => Encoder::new_vbr(wav.sample_rate, channels, quality)?,
        (Some(_), Some(_)) => return Err(USAGE.into()),
    };
    let variable = quality.is_some();
    let mut frames = Vec::new();
    encoder.encode(&wav.channels.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut frames);
    encoder.finish(&mut frames);
    let mut out = Vec::new();
    if let Some(first) = frames.first() {
        let samples = wav.channels[0].len();
        let delay = encoder.delay() - DECODER_DELAY;
        let padding = frames.len() * encoder.samples_per_frame() - delay - samples;
        out.extend(info_frame(first, &frames, variable, delay, padding));
    }
    out.extend(frames.iter().flatten());
    std::fs::write(output, out).map_err(|error| format!("{output}: {error}"))?;
    Ok(())
}

/// Reads RIFF WAVE: PCM of 16, 24 or 32 bits or floats of 32 bits, one or two channels.
fn parse_wav(data: &[u8]) -> Result<Wav, String> {
    if data.len() < 12 || &data[..4] != b"RIFF" || &data[8..12] != b"WAVE" {
        return Err("no RIFF WAVE file".into());
    }
    let mut format = None;
    let mut rest = &data[12..];
    while let Some((head, body)) = rest.split_at_checked(8) {
        let length = u32::from_le_bytes([head[4], head[5], head[6], head[7]]) as usize;
        let chunk = &body[..length.min(body.len())];
        match &head[..4] {
            b"fmt " if chunk.len() >= 16 => {
                let word = |at: usize| u16::from_le_bytes([chunk[at], chunk[at + 1]]);
                // An extensible format names its encoding in the first word of a GUID.
                let encoding = if word(0) == 0xFFFE && chunk.len() >= 26 { word(24) } else { word(0) };
                let sample_rate = u32::from_le_bytes([chunk[4], chunk[5], chunk[6], chunk[7]]);
                format = Some((encoding, word(2) as usize, sample_rate, word(14)));
            }
            b"data" => {
                let (encoding, channels, sample_rate, bits) = format.ok_or("data before the format")?;
                if !(1..=2).contains(&channels) {
                    return Err(format!("{channels} channels"));
                }
                let channels = match (encoding, bits) {
                    (1, 16) => {
                        planar(chunk, channels, |b: &[u8; 2]| f32::from(i16::from_le_bytes(*b)) / 32768.0)
                    }
                    (1, 24) => planar(chunk, channels, |b: &[u8; 3]| {
                        i32::from_le_bytes([0, b[0], b[1], b[2]]) as f32 / 2_147_483_648.0
                    }),
                    (1, 32) => {
                        planar(chunk, channels, |b: &[u8; 4]| i32::from_le_bytes(*b) as f32 / 2_147_483_648.0)
                    }
                    (3, 32) => planar(chunk, channels, |b: &[u8; 4]| f32::from_le_bytes(*b)),
                    _ => return Err(format!("encoding {encoding} with {bits} bits")),
                };
                return Ok(Wav { sample_rate, channels });
            }
            _ => {}
        }
        rest = body.get(length + length % 2..).unwrap_or_default();
    }
    Err("no data".into())
}

/// The samples of each channel, of `N` bytes each.
fn planar<const N: usize>(data: &[u8], channels: usize, sample: impl Fn(&[u8; N]) -> f32) -> Vec<Vec<f32>> {
    let frames = data.chunks_exact(N * channels);
    let channel = |c: usize| {
        frames.clone().filter_map(|frame| frame[c * N..].first_chunk()).map(&sample).collect::<Vec<f32>>()
    };
    (0..channels).map(channel).collect()
}

/// A silent frame that holds the header: "Xing" for a variable bitrate, "Info" for a constant one, with the number of
/// frames and bytes, a table to seek by, and the delay and padding in the layout of LAME's extension.
fn info_frame(first: &[u8], frames: &[Vec<u8>], variable: bool, delay: usize, padding: usize) -> Vec<u8> {
    let mpeg1 = first[1] & 0x08 != 0;
    let mono = first[3] >> 6 == 0b11;
    let rate =
        [44100, 48000, 32000][usize::from(first[2] >> 2 & 3)] / [4, 1, 2, 1][usize::from(first[1] >> 3 & 3)];
    // 128 kbit/s, or 64 in MPEG-2 and 2.5: long enough at every rate.
    let (bitrate_index, length) = if mpeg1 { (9, 144 * 128_000 / rate) } else { (8, 72 * 64_000 / rate) };
    let mut frame = vec![0; length];
    frame[..4].copy_from_slice(&[first[0], first[1], bitrate_index << 4 | first[2] & 0x0C, first[3] & 0xCF]);
    let tag = 4 + match (mpeg1, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        (false, true) => 9,
    };
    let bytes: usize = length + frames.iter().map(Vec::len).sum::<usize>();
    let mut put = |at: usize, bytes: &[u8]| frame[tag + at..][..bytes.len()].copy_from_slice(bytes);
    put(0, if variable { b"Xing" } else { b"Info" });
    put(4, &0b0111u32.to_be_bytes());
    put(8, &(frames.len() as u32).to_be_bytes());
    put(12, &(bytes as u32).to_be_bytes());
    // Where each hundredth of the time begins, in 256ths of the bytes.
    let mut position = length;
    let mut next = 0;
    for (i, frame) in frames.iter().enumerate() {
        while next < 100 && i * 100 >= next * frames.len() {
            put(16 + next, &[(position * 256 / bytes).min(255) as u8]);
            next += 1;
        }
        position += frame.len();
    }
    put(116, b"oggflv   ");
    let delays = (delay.min(4095) << 12 | padding.min(4095)) as u32;
    put(116 + 21, &delays.to_be_bytes()[1..]);
    put(116 + 28, &(bytes as u32).to_be_bytes());
    let crc = crc16(&frame[..tag + 116 + 34]);
    frame[tag + 116 + 34..][..2].copy_from_slice(&crc.to_be_bytes());
    frame
}

/// CRC-16 with the reflected polynomial 0x8005.
fn crc16(data: &[u8]) -> u16 {
    data.iter().fold(0, |crc, &byte| {
        (0..8).fold(crc ^ u16::from(byte), |crc, _| if crc & 1 == 1 { crc >> 1 ^ 0xA001 } else { crc >> 1 })
    })
}
