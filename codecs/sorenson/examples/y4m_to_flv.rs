//! Encodes a YUV4MPEG2 file: `y4m_to_flv IN.y4m OUT.flv --quantizer Q [--keyint N]`.
//!
//! Every frame gives one video tag, so that the encoder can be measured alone. IN may be `-` for the standard input.

use oggflv_common::{Frame, PixelFormat};
use oggflv_sorenson::{Config, Encoder};
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
        return Err("usage: y4m_to_flv IN.y4m OUT.flv --quantizer Q [--keyint N]".into());
    };
    let input: Box<dyn Read> =
        if input == "-" { Box::new(io::stdin()) } else { Box::new(File::open(input)?) };
    let mut reader = Y4mReader::new(BufReader::with_capacity(1 << 20, input))?;
    let mut config = Config { width: reader.width, height: reader.height, quantizer: 5, keyint: 250 };
    for option in options.chunks(2) {
        match option {
            [name, value] if name == "--quantizer" => config.quantizer = value.parse()?,
            [name, value] if name == "--keyint" => config.keyint = value.parse()?,
            _ => return Err(format!("cannot make sense of {}", option.join(" ")).into()),
        }
    }
    let mut encoder = Encoder::new(config)?;
    let mut writer = FlvWriter::new(BufWriter::new(File::create(output)?))?;
    let mut frame = Frame::new(PixelFormat::Yuv420, reader.width, reader.height);
    let mut count = 0u64;
    while reader.read(&mut frame)? {
        let packet = encoder.encode(&frame)?;
        let milliseconds = (count * 1000 * reader.rate.1 + reader.rate.0 / 2) / reader.rate.0;
        writer.video(milliseconds as u32, packet.key, &packet.data)?;
        count += 1;
    }
    Ok(writer.out.flush()?)
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
}

impl<W: Write> FlvWriter<W> {
    fn new(mut out: W) -> io::Result<Self> {
        out.write_all(b"FLV\x01\x01\x00\x00\x00\x09\x00\x00\x00\x00")?;
        Ok(Self { out })
    }

    fn video(&mut self, milliseconds: u32, key: bool, data: &[u8]) -> io::Result<()> {
        let size = data.len() as u32 + 1;
        self.out.write_all(&[9])?;
        self.out.write_all(&size.to_be_bytes()[1..])?;
        self.out.write_all(&milliseconds.to_be_bytes()[1..])?;
        self.out.write_all(&milliseconds.to_be_bytes()[..1])?;
        self.out.write_all(&[0, 0, 0, if key { 0x12 } else { 0x22 }])?;
        self.out.write_all(data)?;
        self.out.write_all(&(size + 11).to_be_bytes())
    }
}
