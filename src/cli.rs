//! The command line: strings to options.

use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, error::ErrorKind};
use oggflv::STANDARD_STREAM;
use oggflv::options::{Options, Quality, Size};

/// Converts Ogg Theora/Vorbis into FLV (Sorenson H.263 and MP3).
#[derive(Debug, Parser)]
#[command(version, about, after_help = "Example: oggflv in.ogv out.flv --size 800x600")]
pub(crate) struct Arguments {
    /// The Ogg file, or - for standard input
    input: PathBuf,

    /// The FLV file; without it, the input's name with the ending .flv
    output: Option<PathBuf>,

    /// Picture size; without it, that of the source
    #[arg(short, long, value_name = "WIDTHxHEIGHT", help_heading = "Picture")]
    size: Option<Size>,

    /// Quantiser, from 1 (best, largest) to 31 (smallest)
    #[arg(short, long, value_name = "N", default_value_t, help_heading = "Picture")]
    quality: Quality,

    /// Leave the picture out
    #[arg(long, help_heading = "Picture", conflicts_with = "no_audio")]
    no_video: bool,

    /// Bits per second of the MP3 sound, such as 128k; the nearest rate that MP3 has is taken
    #[arg(long, value_name = "RATE", default_value = "128k", value_parser = bitrate, help_heading = "Sound")]
    audio_bitrate: u32,

    /// Leave the sound out
    #[arg(long, help_heading = "Sound")]
    no_audio: bool,

    /// Replace the output if it exists
    #[arg(short = 'y', long)]
    overwrite: bool,
}

/// What is to be done.
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    pub(crate) overwrite: bool,
    pub(crate) options: Options,
}

/// Parses the command line; prints help and leaves the process if that is asked for, or if the usage is wrong.
pub(crate) fn parse() -> Job {
    let arguments = Arguments::parse();
    let output = match arguments.output {
        Some(output) if output == Path::new(STANDARD_STREAM) => {
            usage_error("the output has to be a file: an FLV file's head is only known at its end")
        }
        Some(output) => output,
        None if arguments.input == Path::new(STANDARD_STREAM) => {
            usage_error("standard input gives the output no name: name the output, too")
        }
        None => arguments.input.with_extension("flv"),
    };
    let options = Options {
        size: arguments.size,
        quality: arguments.quality,
        audio_bitrate: arguments.audio_bitrate,
        video: !arguments.no_video,
        audio: !arguments.no_audio,
    };
    Job { input: arguments.input, output, overwrite: arguments.overwrite, options }
}

fn usage_error(message: &str) -> ! {
    Arguments::command().error(ErrorKind::ValueValidation, message).exit()
}

/// Parses a bit rate: bits per second, or thousands of them with a k.
fn bitrate(text: &str) -> Result<u32, String> {
    let (number, unit) = match text.strip_suffix(['k', 'K']) {
        Some(number) => (number, 1000),
        None => (text, 1),
    };
    let rate = number.parse::<u32>().ok().and_then(|number| number.checked_mul(unit));
    rate.filter(|rate| (8_000..=320_000).contains(rate)).ok_or_else(|| "a rate from 8k to 320k".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn bitrates() {
        assert_eq!(
            (bitrate("128k"), bitrate("128000"), bitrate("8K")),
            (Ok(128_000), Ok(128_000), Ok(8_000))
        );
        for wrong in ["", "k", "128", "7999", "321k", "5000000k", "-1k", "12.8k"] {
            assert!(bitrate(wrong).is_err(), "{wrong}");
        }
    }
}
