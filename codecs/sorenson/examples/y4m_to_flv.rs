//! Encodes a YUV4MPEG2 file: `y4m_to_flv IN.y4m OUT.flv (--quantizer Q | --video-bitrate R) [--preset P] [--keyint N] [--threads N]`.
//!
//! Every frame gives one video tag, so that the encoder can be measured alone. IN may be `-` for the standard input.

use oggflv_common::{Frame, PixelFormat};
use oggflv_sorenson::{Config, Input, Lookahead, Packet, Preset, RateControl, encode_parallel};
use std::cell::RefCell;
use std::error::Error;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::process::ExitCode;

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
            "usage: y4m_to_flv IN.y4m OUT.flv (--quantizer Q | --video-bitrate R) [--preset P] [--keyint N] [--threads N]".into()
        );
    };
    let input: Box<dyn Read> =
        if input == "-" { Box::new(io::stdin()) } else { Box::new(File::open(input)?) };
    let mut reader = Y4mReader::new(BufReader::with_capacity(1 << 20, input))?;
    let mut config = Config { width: reader.width, height: reader.height, quantizer: 5, keyint: 250 };
    let (mut preset, mut threads, mut bitrate) = (Preset::default(), 1, None);
    for option in options.chunks(2) {
        match option {
            [name, value] if name == "--quantizer" => config.quantizer = value.parse()?,
            [name, value] if name == "--preset" => preset = value.parse()?,
            [name, value] if name == "--threads" => threads = value.parse()?,
            [name, value] if name == "--video-bitrate" => bitrate = Some(value.parse()?),
            [name, value] if name == "--keyint" => config.keyint = value.parse()?,
            _ => return Err(format!("cannot make sense of {}", option.join(" ")).into()),
        }
    }
    let mut writer = FlvWriter::new(BufWriter::new(File::create(output)?), reader.rate)?;
    let mut lookahead = Lookahead::new(&config);
    let frames_per_second = reader.rate.0 as f64 / reader.rate.1.max(1) as f64;
    let rate = RefCell::new(bitrate.map(|bitrate| RateControl::average(bitrate, frames_per_second)));
    let mut failure = None;
    let inputs = std::iter::from_fn(|| {
        loop {
            if let Some((frame, mut plan)) = lookahead.receive() {
                if let Some(rate) = &mut *rate.borrow_mut() {
                    rate.plan(&mut plan);
                }
                return Some(Input::Frame(frame, plan));
            }
            if lookahead.is_finished() {
                return None;
            }
            if let Err(error) = next(&mut reader, &mut lookahead) {
                failure = Some(error);
                return None;
            }
        }
    });
    let sink = |packet: Packet| -> Result<(), Box<dyn Error>> {
        if let Some(rate) = &mut *rate.borrow_mut() {
            rate.encoded(&packet);
        }
        Ok(writer.video(&packet)?)
    };
    encode_parallel(&config, preset, threads, inputs, sink)?;
    failure.map_or_else(|| Ok(writer.out.flush()?), Err)
}

/// Sends the next frame, or says that there is none.
fn next<R: BufRead>(reader: &mut Y4mReader<R>, lookahead: &mut Lookahead) -> Result<(), Box<dyn Error>> {
    let mut frame = Frame::new(PixelFormat::Yuv420, reader.width, reader.height);
    if reader.read(&mut frame)? {
        lookahead.send(frame)?;
    } else {
        lookahead.finish();
    }
    Ok(())
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

/// Writes an FLV file with video tags only.
struct FlvWriter<W> {
    out: W,
    /// Frames in so many seconds.
    rate: (u64, u64),
    count: u64,
}

impl<W: Write> FlvWriter<W> {
    fn new(mut out: W, rate: (u64, u64)) -> io::Result<Self> {
        out.write_all(b"FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")?;
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
