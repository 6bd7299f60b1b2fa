//! `wav_to_mp3 IN.wav OUT.mp3 [--bitrate K | --vbr N] [--threads T]`: encodes a WAV file, K in kbit/s (128 by default),
//! N from 0 (best) to 9. Up to 48 kbit/s a channel, what has more than 32 kHz is resampled to that. T may be any number of
//! threads from 1 on; the encoder needs one and uses one. The first frame is a Xing or Info header with the delay, so that
//! players cut off what is no input (mpg123 does; ffmpeg only where the header names LAME or Lavc as the encoder, which
//! would be untrue here).

use oggflv::resample::Resampler;
use oggflv_mp3::{Config, Encoder};
use std::error::Error;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Take, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;

/// Delay of a decoder, which the header leaves out of the encoder's delay.
const DECODER_DELAY: usize = 529;
const USAGE: &str = "usage: wav_to_mp3 IN.wav OUT.mp3 [--bitrate KBIT | --vbr QUALITY] [--threads COUNT]";

/// Samples of each channel that are read at once.
const PIECE: usize = 4096;

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
    let mut wav = File::open(input)
        .map_err(Into::into)
        .and_then(Wav::new)
        .map_err(|error| format!("{input}: {error}"))?;
    let channels = wav.channels;
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
    let mut sample_rate = wav.sample_rate;
    let mut encoder = match (bitrate, quality) {
        (Some(_), Some(_)) => return Err(USAGE.into()),
        (None, Some(quality)) => Encoder::new_vbr(sample_rate, channels, quality)?,
        (Some(bitrate), None) => {
            sample_rate = Config::advised_sample_rate(sample_rate, channels, bitrate);
            Encoder::new(Config { sample_rate, channels, bitrate })?
        }
        (None, None) => Encoder::new(Config::new(sample_rate, channels, 128_000))?,
    };
    let variable = quality.is_some();
    let mut resampler = Resampler::new(wav.sample_rate, sample_rate, channels)?;
    let mut frames = Vec::new();
    let mut samples = 0;
    let mut encode = |pcm: Vec<Vec<f32>>| {
        encoder.encode(&pcm.iter().map(Vec::as_slice).collect::<Vec<_>>(), &mut frames);
        samples += pcm[0].len();
    };
    let mut pcm = vec![Vec::new(); channels];
    while wav.read(&mut pcm).map_err(|error| format!("{input}: {error}"))? {
        encode(resampler.push(&pcm));
    }
    encode(resampler.finish());
    encoder.finish(&mut frames);
    if let Some(first) = frames.first() {
        let delay = encoder.delay() - DECODER_DELAY;
        let padding = frames.len() * encoder.samples_per_frame() - delay - samples;
        frames.insert(0, info_frame(first, &frames, variable, delay, padding));
    }
    write(output, &frames).map_err(|error| format!("{output}: {error}"))?;
    Ok(())
}

fn write(output: &str, frames: &[Vec<u8>]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(output)?);
    frames.iter().try_for_each(|frame| file.write_all(frame))?;
    file.flush()
}

/// A WAV file, read piece by piece: PCM of 16, 24 or 32 bits or floats of 32 bits, one or two channels.
struct Wav {
    sample_rate: u32,
    channels: usize,
    sample: Sample,
    /// The rest of the data.
    data: Take<BufReader<File>>,
    /// Bytes and samples of a piece.
    bytes: Vec<u8>,
    interleaved: Vec<f32>,
}

/// How a sample is stored.
#[derive(Clone, Copy)]
enum Sample {
    Int16,
    Int24,
    Int32,
    Float,
}

impl Wav {
    /// Reads up to the samples.
    fn new(file: File) -> Result<Self, Box<dyn Error>> {
        let mut file = BufReader::new(file);
        let mut head = [0; 12];
        file.read_exact(&mut head).map_err(|_| "no RIFF WAVE file")?;
        if &head[..4] != b"RIFF" || &head[8..] != b"WAVE" {
            return Err("no RIFF WAVE file".into());
        }
        let mut format = None;
        loop {
            let mut head = [0; 8];
            file.read_exact(&mut head).map_err(|_| "no data")?;
            let length = u64::from(u32::from_le_bytes([head[4], head[5], head[6], head[7]]));
            if &head[..4] == b"data" {
                let (sample, channels, sample_rate) = format.ok_or("data before the format")?;
                return Ok(Self {
                    sample_rate,
                    channels,
                    sample,
                    data: file.take(length),
                    bytes: Vec::new(),
                    interleaved: Vec::new(),
                });
            }
            let mut chunk = file.by_ref().take(length + length % 2);
            if &head[..4] == b"fmt " {
                format = Some(parse_format(&mut chunk)?);
            }
            io::copy(&mut chunk, &mut io::sink())?;
        }
    }

    /// Reads the next samples of each channel. Returns whether there were any.
    fn read(&mut self, pcm: &mut [Vec<f32>]) -> io::Result<bool> {
        let width = match self.sample {
            Sample::Int16 => 2,
            Sample::Int24 => 3,
            Sample::Int32 | Sample::Float => 4,
        };
        self.bytes.clear();
        let piece = (PIECE * self.channels * width) as u64;
        self.data.by_ref().take(piece).read_to_end(&mut self.bytes)?;
        let samples = self.bytes.chunks_exact(width);
        let out = &mut self.interleaved;
        out.clear();
        match self.sample {
            Sample::Int16 => {
                out.extend(samples.map(|x| f32::from(i16::from_le_bytes([x[0], x[1]])) / 32768.0));
            }
            Sample::Int24 => out
                .extend(samples.map(|x| i32::from_le_bytes([0, x[0], x[1], x[2]]) as f32 / 2_147_483_648.0)),
            Sample::Int32 => out.extend(
                samples.map(|x| i32::from_le_bytes([x[0], x[1], x[2], x[3]]) as f32 / 2_147_483_648.0),
            ),
            Sample::Float => {
                out.extend(samples.map(|x| f32::from_le_bytes([x[0], x[1], x[2], x[3]])));
            }
        }
        for (c, pcm) in pcm.iter_mut().enumerate() {
            pcm.clear();
            pcm.extend(self.interleaved.chunks_exact(self.channels).map(|frame| frame[c]));
        }
        Ok(!pcm[0].is_empty())
    }
}

/// How samples are stored, the number of channels and the sampling rate, of a format chunk.
fn parse_format(chunk: &mut impl Read) -> Result<(Sample, usize, u32), Box<dyn Error>> {
    let mut format = Vec::new();
    chunk.take(40).read_to_end(&mut format)?;
    if format.len() < 16 {
        return Err("a format that is too short".into());
    }
    let word = |at: usize| u16::from_le_bytes([format[at], format[at + 1]]);
    // An extensible format names its encoding in the first word of a GUID.
    let encoding = if word(0) == 0xFFFE && format.len() >= 26 { word(24) } else { word(0) };
    let (channels, bits) = (usize::from(word(2)), word(14));
    if !(1..=2).contains(&channels) {
        return Err(format!("{channels} channels").into());
    }
    let sample = match (encoding, bits) {
        (1, 16) => Sample::Int16,
        (1, 24) => Sample::Int24,
        (1, 32) => Sample::Int32,
        (3, 32) => Sample::Float,
        _ => return Err(format!("encoding {encoding} with {bits} bits").into()),
    };
    Ok((sample, channels, u32::from_le_bytes([format[4], format[5], format[6], format[7]])))
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
