//! Encodes a YUV4MPEG2 file: `y4m_to_flv IN.y4m OUT.flv [MODE] [--maxrate R --bufsize R] [--preset P] [--keyint N]
//! [--threads N]`, where MODE is `--quantizer Q`, `--quality N`, `--video-bitrate R`, or `--target-size BYTES`.
//!
//! Every frame gives one video tag, so that the encoder can be measured alone. IN may be `-` for the standard input,
//! except with a target size, for which it is read twice. Rates are in bits per second, the size of the buffer in bits.

use oggflv_common::{Frame, PixelFormat};
use oggflv_sorenson::{
    Config, Input, Lookahead, Packet, ParallelEncoder, Preset, RateControl, quantizer_for_quality,
};
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Duration;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("y4m_to_flv: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [input, output, options @ ..] = arguments else {
        return Err(
            "usage: y4m_to_flv IN.y4m OUT.flv [--quantizer Q | --quality N | --video-bitrate R | --target-size BYTES] \
             [--maxrate R --bufsize R] [--preset P] [--keyint N] [--threads N]"
                .into(),
        );
    };
    let mut settings = Settings { input, preset: Preset::default(), keyint: 250, threads: NonZeroUsize::MIN };
    let (mut mode, mut line, mut buffer) = (Mode::Quantizer(80), None, None);
    for option in options.chunks(2) {
        let [name, value] = option else { return Err(format!("{} lacks a value", option[0]).into()) };
        match name.as_str() {
            "--quantizer" => mode = Mode::Quantizer((16.0 * value.parse::<f64>()?) as u16),
            "--quality" => mode = Mode::Quantizer(quantizer_for_quality(value.parse()?)),
            "--video-bitrate" => mode = Mode::Average(value.parse()?),
            "--target-size" => mode = Mode::Size(value.parse()?),
            "--maxrate" => line = Some(value.parse()?),
            "--bufsize" => buffer = Some(value.parse()?),
            "--preset" => settings.preset = value.parse()?,
            "--threads" => settings.threads = value.parse()?,
            "--keyint" => settings.keyint = value.parse()?,
            _ => return Err(format!("there is no option {name}").into()),
        }
    }
    let mut rate = match mode {
        Mode::Quantizer(quantizer) => RateControl::constant(quantizer),
        Mode::Average(bits_per_second) => RateControl::average(bits_per_second),
        Mode::Size(bytes) => first_pass(&settings, bytes)?,
    };
    if let (Some(line), Some(buffer)) = (line, buffer) {
        rate = rate.bounded(line, buffer);
    }
    let reader = settings.open()?;
    let mut writer = FlvWriter::new(BufWriter::new(File::create(output)?), reader.rate)?;
    let rate = settings.encode(reader, rate, settings.preset, |packet| writer.video(packet))?;
    if rate.dropped() + rate.overflows() > 0 {
        eprintln!("pictures dropped: {}, too large: {}", rate.dropped(), rate.overflows());
    }
    Ok(writer.out.flush()?)
}

/// What decides on the quantisers.
enum Mode {
    /// In units of 1/16.
    Quantizer(u16),
    /// Bits per second.
    Average(u32),
    /// Bytes of the file.
    Size(u64),
}

/// Encodes once to learn how large the pictures become.
fn first_pass(settings: &Settings<'_>, bytes: u64) -> Result<RateControl, Box<dyn Error>> {
    let mut reader = settings.open()?;
    let mut frame = Frame::new(PixelFormat::Yuv420, reader.width, reader.height);
    let mut frames = 0;
    while reader.read(&mut frame)? {
        frames += 1;
    }
    let bits = 8 * bytes.saturating_sub(FILE_HEADER.len() as u64 + frames * TAG_BYTES);
    let bits_per_second = bits as f64 / reader.time(frames).as_secs_f64();
    let rate = RateControl::average(bits_per_second as u32).recording();
    let rate = settings.encode(settings.open()?, rate, Preset::Fast, |_| Ok(()))?;
    let first_pass = rate.into_first_pass().ok_or("nothing was recorded")?;
    Ok(RateControl::two_pass(&first_pass, bits))
}

type Source = BufReader<Box<dyn Read>>;

#[derive(Clone, Copy)]
struct Settings<'a> {
    input: &'a str,
    preset: Preset,
    keyint: u32,
    threads: NonZeroUsize,
}

impl Settings<'_> {
    fn open(&self) -> Result<Y4mReader<Source>, Box<dyn Error>> {
        let input: Box<dyn Read> =
            if self.input == "-" { Box::new(io::stdin()) } else { Box::new(File::open(self.input)?) };
        Y4mReader::new(BufReader::with_capacity(4096, input))
    }

    /// Encodes all frames with `preset`; they are planned for that of the settings.
    fn encode<R: BufRead>(
        &self,
        mut reader: Y4mReader<R>,
        rate: RateControl,
        preset: Preset,
        mut sink: impl FnMut(&Packet) -> io::Result<()>,
    ) -> Result<RateControl, Box<dyn Error>> {
        let config = Config { width: reader.width, height: reader.height, quantizer: 5, keyint: self.keyint };
        let mut lookahead = Lookahead::with_preset(&config, self.preset);
        let mut encoder = ParallelEncoder::new(config, preset, self.threads)?.with_rate(rate);
        // Frames to use again.
        let mut spare = Vec::new();
        let mut count = 0;
        while !lookahead.is_finished() {
            let mut frame =
                spare.pop().unwrap_or_else(|| Frame::new(PixelFormat::Yuv420, reader.width, reader.height));
            if reader.read(&mut frame)? {
                lookahead.send_at(frame, reader.time(count))?;
                count += 1;
            } else {
                lookahead.finish();
            }
            while let Some((frame, plan)) = lookahead.receive() {
                if let Some(output) = encoder.encode(Input::Frame(frame, plan))? {
                    sink(&output.packet)?;
                    spare.extend(output.frame);
                }
            }
        }
        while let Some(output) = encoder.finish() {
            sink(&output.packet)?;
        }
        Ok(encoder.into_rate().expect("it was given one"))
    }
}

struct Y4mReader<R> {
    input: R,
    width: usize,
    height: usize,
    /// Frames in so many seconds.
    rate: (u64, u64),
}

impl<R: BufRead> Y4mReader<R> {
    fn new(mut input: R) -> Result<Self, Box<dyn Error>> {
        let mut line = String::new();
        (&mut input).take(4096).read_line(&mut line)?;
        let mut words = line.split_whitespace();
        if words.next() != Some("YUV4MPEG2") {
            return Err("not a YUV4MPEG2 file".into());
        }
        let (mut width, mut height, mut rate) = (0, 0, (25, 1));
        for word in words {
            match word.split_at(1) {
                ("W", value) => width = value.parse()?,
                ("H", value) => height = value.parse()?,
                ("F", value) => {
                    let (frames, seconds) = value.split_once(':').ok_or("the frame rate is no ratio")?;
                    rate = (frames.parse()?, seconds.parse()?);
                }
                ("C", "420" | "420jpeg" | "420mpeg2" | "420paldv") => {}
                ("C", value) => return Err(format!("samples are {value}, not 8-bit 4:2:0").into()),
                _ => {}
            }
        }
        if rate.0 == 0 {
            return Err("the frame rate is 0".into());
        }
        Ok(Self { input, width, height, rate })
    }

    /// When frame `number` appears.
    fn time(&self, number: u64) -> Duration {
        Duration::from_nanos((number * self.rate.1 * 1_000_000_000 + self.rate.0 / 2) / self.rate.0)
    }

    /// Reads the next frame; whether there was one.
    fn read(&mut self, frame: &mut Frame) -> Result<bool, Box<dyn Error>> {
        let mut line = Vec::new();
        (&mut self.input).take(4096).read_until(b'\n', &mut line)?;
        if line.is_empty() {
            return Ok(false);
        }
        if !line.starts_with(b"FRAME") {
            return Err("a frame does not begin with FRAME".into());
        }
        for plane in &mut frame.planes {
            self.input.read_exact(plane.data_mut())?;
        }
        Ok(true)
    }
}

const FILE_HEADER: &[u8] = b"FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00";
/// Bytes of a tag besides the packet.
const TAG_BYTES: u64 = 16;

/// Writes an FLV file with video tags only.
struct FlvWriter<W> {
    out: W,
    /// Frames in so many seconds.
    rate: (u64, u64),
    count: u64,
}

impl<W: Write> FlvWriter<W> {
    fn new(mut out: W, rate: (u64, u64)) -> io::Result<Self> {
        out.write_all(FILE_HEADER)?;
        Ok(Self { out, rate, count: 0 })
    }

    fn video(&mut self, packet: &Packet) -> io::Result<()> {
        let size = packet.data.len() as u32 + 1;
        let milliseconds = ((self.count * 1000 * self.rate.1 + self.rate.0 / 2) / self.rate.0) as u32;
        self.count += 1;
        self.out.write_all(&[9])?;
        self.out.write_all(&size.to_be_bytes()[1..])?;
        self.out.write_all(&milliseconds.to_be_bytes()[1..])?;
        self.out.write_all(&milliseconds.to_be_bytes()[..1])?;
        self.out.write_all(&[0, 0, 0, if packet.key { 0x12 } else { 0x22 }])?;
        self.out.write_all(&packet.data)?;
        self.out.write_all(&(size + 11).to_be_bytes())
    }
}
