//! Decodes the pictures of an FLV file with the reference decoder: `flv_to_yuv IN.flv OUT.yuv`.
//!
//! Y, U and V of all pictures follow one another. Vectors into the border read what ffmpeg's decoder keeps there.

use oggflv_sorenson::Decoder;
use std::error::Error;
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::process::ExitCode;

fn main() -> ExitCode {
    match run(&std::env::args().skip(1).collect::<Vec<_>>()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("flv_to_yuv: {error}");
            ExitCode::FAILURE
        }
    }
}

const FILE_HEADER: usize = 13;
const TAG_HEADER: usize = 11;
const VIDEO: u8 = 9;
/// CodecID of Sorenson H.263.
const SORENSON: u8 = 2;

fn run(arguments: &[String]) -> Result<(), Box<dyn Error>> {
    let [input, output] = arguments else { return Err("usage: flv_to_yuv IN.flv OUT.yuv".into()) };
    let file = fs::read(input)?;
    let mut out = BufWriter::new(File::create(output)?);
    let mut decoder = Decoder::new();
    let mut rest = file.get(FILE_HEADER..).ok_or("the file has no header")?;
    while let Some((header, tail)) = rest.split_first_chunk::<TAG_HEADER>() {
        let size = u32::from_be_bytes([0, header[1], header[2], header[3]]) as usize;
        let data = tail.get(..size).ok_or("the last tag is cut off")?;
        rest = tail.get(size + 4..).ok_or("the last tag is cut off")?;
        if header[0] != VIDEO {
            continue;
        }
        let (kind, picture) = data.split_first().ok_or("a video tag is empty")?;
        if kind & 15 != SORENSON {
            return Err(format!("video is coded as {}, not as Sorenson H.263", kind & 15).into());
        }
        decoder.decode(picture)?;
        for plane in decoder.picture().planes {
            for y in 0..plane.height {
                out.write_all(plane.row(y))?;
            }
        }
    }
    Ok(out.flush()?)
}
