//! The command line: strings to options.

use std::collections::HashSet;
use std::io::{self, IsTerminal};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::{Path, PathBuf};

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use clap_complete::Shell;
use oggflv::STANDARD_STREAM;
use oggflv::options::{AudioRate, Filter, Fit, Line, Options, Poster, Preset, Quality, Size, VideoRate};
use oggflv::time::Time;

/// Seconds of the line that a player's buffer holds unless told.
const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();

/// Converts Ogg Theora/Vorbis into FLV (Sorenson H.263 and MP3).
#[derive(Debug, Parser)]
#[command(
    name = "oggflv",
    version,
    about,
    override_usage = "oggflv [OPTIONS] <INPUT> [OUTPUT]
       oggflv [OPTIONS] --out-dir <FOLDER> <INPUT>...
       oggflv <COMMAND>",
    after_help = "\
Example: oggflv in.ogv out.flv --size 800x600

Exit codes: 0 done, 1 input or output failed, 2 wrong usage, 130 interrupted",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    /// The Ogg file, or - for standard input; then the FLV file, or - for standard output, by default the input's name with
    /// the ending .flv
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Convert all files that are named, each into a file of the same name in this folder
    #[arg(short, long, value_name = "FOLDER")]
    out_dir: Option<PathBuf>,

    /// Pass over files whose output exists
    #[arg(long, conflicts_with = "overwrite")]
    skip_existing: bool,

    /// Where to begin in the source: seconds, or hours, minutes and seconds such as 1:02:30.5
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = time)]
    start: Time,

    /// Where to end in the source
    #[arg(long, value_name = "TIME", value_parser = time)]
    end: Option<Time>,

    /// How much of the source to convert, instead of where to end
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "end")]
    duration: Option<Time>,

    /// Picture size, such as 800x600, 800x-1 (the height as it comes), or 50%; without it, that of the source
    #[arg(short, long, value_name = "WIDTHxHEIGHT", allow_hyphen_values = true, help_heading = "Picture")]
    size: Option<Size>,

    /// What to do with pictures of another shape: stretch them, pad them with black, crop them, or make the output
    /// smaller so that they fit inside
    #[arg(long, value_name = "HOW", default_value_t, help_heading = "Picture")]
    fit: Fit,

    /// How to scale: bilinear, bicubic or lanczos3
    #[arg(long, value_name = "NAME", default_value_t, help_heading = "Picture")]
    filter: Filter,

    /// Constant quality, from 0 (smallest) to 100 (best); 20 more take twice the bits
    #[arg(short, long, value_name = "N", default_value_t, help_heading = "Picture")]
    quality: Quality,

    /// Bits per second of the pictures on average, such as 600k or 1.2M, instead of a constant quality
    #[arg(long, value_name = "RATE", value_parser = video_rate, conflicts_with = "quality", help_heading = "Picture")]
    video_bitrate: Option<NonZeroU32>,

    /// Size of the whole file, such as 124MB, in two passes over the input, instead of a constant quality
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = file_size,
        conflicts_with_all = ["quality", "video_bitrate", "no_video"],
        help_heading = "Picture"
    )]
    target_size: Option<NonZeroU64>,

    /// Bits per second that a line can carry of the pictures; a player with the buffer of --bufsize never waits
    #[arg(long, value_name = "RATE", value_parser = video_rate, help_heading = "Picture")]
    maxrate: Option<NonZeroU32>,

    /// Bits that a player's buffer holds; without it, two seconds of --maxrate
    #[arg(long, value_name = "BITS", value_parser = video_rate, requires = "maxrate", help_heading = "Picture")]
    bufsize: Option<NonZeroU32>,

    /// How much time to spend on smaller pictures of the same quality: fast, balanced or best
    #[arg(short, long, value_name = "NAME", default_value = "balanced", help_heading = "Picture")]
    preset: Preset,

    /// Seconds from one key frame to the next at most; players seek to key frames
    #[arg(long, value_name = "SECONDS", default_value = "10", value_parser = seconds, help_heading = "Picture")]
    keyint: Time,

    /// Save a picture of the film, too, as JPEG or PNG: the first one that is not blank
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_video", "out_dir"], help_heading = "Picture")]
    poster: Option<PathBuf>,

    /// Where in the source to take the picture for --poster
    #[arg(long, value_name = "TIME", value_parser = time, requires = "poster", help_heading = "Picture")]
    poster_at: Option<Time>,

    /// Which video stream, counted from 1; without it, the first
    #[arg(long, value_name = "N", help_heading = "Picture", conflicts_with = "no_video")]
    video_stream: Option<NonZeroUsize>,

    /// Pixels that a picture of the source may have at most
    #[arg(long, value_name = "N", default_value = "16777216", value_parser = clap::value_parser!(u64).range(1..=1 << 32), help_heading = "Picture")]
    max_pixels: u64,

    /// Leave the picture out
    #[arg(long, help_heading = "Picture", conflicts_with = "no_audio")]
    no_video: bool,

    /// Bits per second of the MP3 sound, such as 128k; the nearest rate that MP3 has is taken
    #[arg(long, value_name = "RATE", default_value = "128k", value_parser = bitrate, help_heading = "Sound")]
    audio_bitrate: u32,

    /// Variable bit rate of a constant quality instead, from 0 (best) to 9 (smallest)
    #[arg(
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u8).range(0..=9),
        conflicts_with = "audio_bitrate",
        help_heading = "Sound"
    )]
    audio_quality: Option<u8>,

    /// Which audio stream, counted from 1; without it, the first that can be decoded
    #[arg(long, value_name = "N", help_heading = "Sound", conflicts_with = "no_audio")]
    audio_stream: Option<NonZeroUsize>,

    /// Sample rate of the sound: 11025, 22050 or 44100; without it, the nearest that is not below the source's
    #[arg(long, value_name = "HZ", value_parser = sample_rate, help_heading = "Sound")]
    audio_rate: Option<u32>,

    /// Mix all channels into one
    #[arg(long, help_heading = "Sound")]
    mono: bool,

    /// Louder or softer: a factor such as 0.5, or decibels such as 6dB or -3dB
    #[arg(
        long,
        value_name = "GAIN",
        default_value = "1",
        value_parser = volume,
        allow_hyphen_values = true,
        help_heading = "Sound"
    )]
    volume: f32,

    /// Leave the sound out
    #[arg(long, help_heading = "Sound")]
    no_audio: bool,

    /// Fail if the input is damaged or cut off, instead of converting what is there
    #[arg(long)]
    strict: bool,

    /// A text for the metadata, such as title=Holidays; an empty one leaves out what the source says
    #[arg(long, value_name = "NAME=TEXT", value_parser = metadata)]
    meta: Vec<(String, String)>,

    /// Replace the output if it exists
    #[arg(short = 'y', long)]
    overwrite: bool,

    /// Threads for pictures; without it, one for each core. The output does not depend on it
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Tell in the report how far the coded pictures are from those that were encoded
    #[arg(long, help_heading = "Messages")]
    psnr: bool,

    /// Print progress once a second and a report at the end as JSON, an object a line, on standard output (on standard
    /// error if the FLV goes there)
    #[arg(long, conflicts_with = "quiet", help_heading = "Messages")]
    json: bool,

    /// Print nothing but warnings and errors
    #[arg(long, help_heading = "Messages")]
    quiet: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what is in Ogg and FLV files: streams, sizes, rates, durations, key frames, damage
    Probe {
        /// Ogg or FLV files, or - for standard input
        #[arg(required = true, value_name = "FILE")]
        files: Vec<PathBuf>,

        /// Print an object a line for each file
        #[arg(long)]
        json: bool,

        /// Print only what is wrong; exit code 1 if a file is damaged or against the specification
        #[arg(long)]
        check: bool,
    },
    /// Print a script that completes the options in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page
    Man,
}

/// What is to be done.
pub(crate) enum Task {
    Convert {
        jobs: Vec<Job>,
        /// A folder that is to be there first.
        folder: Option<PathBuf>,
    },
    Probe {
        files: Vec<PathBuf>,
        json: bool,
        check: bool,
    },
    /// To print this on standard output.
    Print(Vec<u8>),
}

/// A file that is to be converted.
#[derive(Clone, Debug)]
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
    pub(crate) overwrite: bool,
    pub(crate) skip_existing: bool,
    pub(crate) talk: Talk,
    pub(crate) options: Options,
}

/// Who is told of progress and success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Talk {
    Nobody,
    People,
    Programs,
}

/// Parses the command line; prints help and leaves the process if that is asked for, or if the usage is wrong.
pub(crate) fn parse() -> Task {
    let arguments = Arguments::parse();
    match arguments.command {
        None => Task::Convert { folder: arguments.out_dir.clone(), jobs: jobs(arguments) },
        Some(Command::Probe { files, json, check }) => Task::Probe { files, json, check },
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "oggflv", &mut script);
            Task::Print(script)
        }
        Some(Command::Man) => {
            let mut page = Vec::new();
            let rendered = clap_mangen::Man::new(Arguments::command()).render(&mut page);
            rendered.expect("writing to memory does not fail");
            Task::Print(page)
        }
    }
}

fn jobs(arguments: Arguments) -> Vec<Job> {
    let pairs = match (&arguments.out_dir, &arguments.files[..]) {
        (Some(folder), inputs) => {
            inputs.iter().map(|input| (input.clone(), in_folder(folder, input))).collect()
        }
        (None, [input, output]) => vec![(input.clone(), output.clone())],
        (None, [input]) => vec![(input.clone(), beside(input))],
        _ => usage_error("several files are converted into a folder: --out-dir FOLDER"),
    };
    let mut outputs = HashSet::new();
    for (_, output) in &pairs {
        if output == Path::new(STANDARD_STREAM) && io::stdout().is_terminal() {
            usage_error("standard output is a terminal: write to a file or a pipe");
        }
        if !outputs.insert(output) {
            usage_error(&format!("two files would become {}", output.display()));
        }
    }
    let talk = match (arguments.json, arguments.quiet) {
        (true, _) => Talk::Programs,
        (_, true) => Talk::Nobody,
        _ => Talk::People,
    };
    let (overwrite, skip_existing) = (arguments.overwrite, arguments.skip_existing);
    let options = options(arguments);
    let job =
        |(input, output)| Job { input, output, overwrite, skip_existing, talk, options: options.clone() };
    pairs.into_iter().map(job).collect()
}

/// The output of an input that is alone.
fn beside(input: &Path) -> PathBuf {
    if input == Path::new(STANDARD_STREAM) {
        usage_error("standard input gives the output no name: name the output, too");
    }
    input.with_extension("flv")
}

fn in_folder(folder: &Path, input: &Path) -> PathBuf {
    match input.file_name() {
        Some(name) if input != Path::new(STANDARD_STREAM) => folder.join(name).with_extension("flv"),
        _ => usage_error(&format!("{} gives the output no name", input.display())),
    }
}

fn options(arguments: Arguments) -> Options {
    let line = arguments.maxrate.map(|bits_per_second| Line {
        bits_per_second,
        buffer_bits: arguments.bufsize.unwrap_or(bits_per_second.saturating_mul(TWO)),
    });
    let defaults = Options::default();
    let end = match (arguments.end, arguments.duration) {
        (_, Some(duration)) => arguments.start + duration,
        (Some(end), None) => end,
        (None, None) => defaults.end,
    };
    if end <= arguments.start {
        usage_error("the end has to lie after the start");
    }
    Options {
        size: arguments.size,
        fit: arguments.fit,
        filter: arguments.filter,
        video_rate: match (arguments.target_size, arguments.video_bitrate) {
            (Some(bytes), _) => VideoRate::FileSize(bytes),
            (None, Some(bits_per_second)) => VideoRate::Average(bits_per_second),
            (None, None) => VideoRate::Quality(arguments.quality),
        },
        line,
        preset: arguments.preset,
        keyframe_interval: arguments.keyint,
        audio_rate: arguments
            .audio_quality
            .map_or(AudioRate::Constant(arguments.audio_bitrate), AudioRate::Quality),
        video: !arguments.no_video,
        audio: !arguments.no_audio,
        sample_rate: arguments.audio_rate,
        mono: arguments.mono,
        volume: arguments.volume,
        start: arguments.start,
        end,
        poster: arguments.poster.map(|path| Poster { path, at: arguments.poster_at }),
        video_stream: arguments.video_stream,
        audio_stream: arguments.audio_stream,
        max_pixels: arguments.max_pixels,
        strict: arguments.strict,
        metadata: arguments.meta,
        psnr: arguments.psnr,
        threads: arguments.threads.unwrap_or(defaults.threads),
    }
}

fn usage_error(message: &str) -> ! {
    Arguments::command().error(ErrorKind::ValueValidation, message).exit()
}

/// Parses a bit rate of sound.
fn bitrate(text: &str) -> Result<u32, String> {
    let rate = scaled(text).filter(|rate| (8_000.0..=320_000.0).contains(rate));
    rate.map(|rate| rate as u32).ok_or_else(|| "a rate from 8k to 320k".to_owned())
}

/// Parses a bit rate of pictures, or the size of a buffer.
fn video_rate(text: &str) -> Result<NonZeroU32, String> {
    let rate = scaled(text).filter(|rate| (1_000.0..=1e9).contains(rate));
    rate.and_then(|rate| NonZeroU32::new(rate as u32)).ok_or_else(|| "a number from 1k to 1000M".to_owned())
}

/// Parses the size of a file: bytes, or with a unit of decimal or binary thousands.
fn file_size(text: &str) -> Result<NonZeroU64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => Some(1.0),
        "k" | "K" | "kB" | "KB" => Some(1e3),
        "M" | "MB" => Some(1e6),
        "G" | "GB" => Some(1e9),
        "KiB" => Some(1024.0),
        "MiB" => Some(1048576.0),
        "GiB" => Some(1073741824.0),
        _ => None,
    };
    let bytes = unit.zip(scaled(digits)).map(|(unit, number)| unit * number);
    bytes
        .filter(|bytes| (1.0..=1e12).contains(bytes))
        .and_then(|bytes| NonZeroU64::new(bytes as u64))
        .ok_or_else(|| "a number of bytes up to 1000 GB, such as 124MB or 118MiB".to_owned())
}

/// A number, in thousands with a k behind it, in millions with an M.
fn scaled(text: &str) -> Option<f64> {
    let (number, unit) = match text.strip_suffix(['k', 'K', 'M']) {
        Some(number) if text.ends_with('M') => (number, 1e6),
        Some(number) => (number, 1e3),
        None => (text, 1.0),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain.then(|| number.parse::<f64>().ok()).flatten().map(|number| number * unit)
}

/// Parses a name and a text.
fn metadata(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, text)) if !name.is_empty() && name.len() <= 255 && text.len() <= 65_535 => {
            Ok((name.to_owned(), text.to_owned()))
        }
        _ => Err("a name, an equals sign, and a text, such as title=Holidays".to_owned()),
    }
}

/// Parses a sample rate that FLV has.
fn sample_rate(text: &str) -> Result<u32, String> {
    let rate = text.parse().ok().filter(|rate| [11_025, 22_050, 44_100].contains(rate));
    rate.ok_or_else(|| "one of 11025, 22050, 44100".to_owned())
}

/// Parses a gain as a factor.
fn volume(text: &str) -> Result<f32, String> {
    let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
    let factor = match text.strip_suffix("dB") {
        Some(decibels) => number(decibels).map(|decibels| libm::pow(10.0, decibels / 20.0)),
        None => number(text),
    };
    let factor = factor.filter(|factor| (0.0..=1000.0).contains(factor));
    factor
        .map(|factor| factor as f32)
        .ok_or_else(|| "a factor from 0 to 1000, or decibels such as 6dB".to_owned())
}

/// Parses a place: seconds, or minutes and hours before them.
fn time(text: &str) -> Result<Time, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut seconds = (parts.len() <= 3).then_some(0.0);
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let plain =
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' && last);
        let value = part.parse::<f64>().ok().filter(|value| plain && (index == 0 || *value < 60.0));
        seconds = seconds.zip(value).map(|(seconds, value)| 60.0 * seconds + value);
    }
    seconds
        .filter(|seconds| *seconds <= 2_000_000.0)
        .map(|seconds| Time::from_milliseconds((seconds * 1000.0).round() as i32))
        .ok_or_else(|| "seconds, or a time such as 1:02:30.5".to_owned())
}

/// Parses a time.
fn seconds(text: &str) -> Result<Time, String> {
    let seconds = scaled(text).filter(|seconds| (0.001..=86_400.0).contains(seconds));
    seconds
        .map(|seconds| Time::from_milliseconds((seconds * 1000.0) as i32))
        .ok_or_else(|| "a number of seconds up to 86400".to_owned())
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
        for wrong in ["", "k", "128", "7999", "321k", "5000000k", "-1k", "1e5", "nan", "12.8.1k"] {
            assert!(bitrate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            ["1.2M", "600k", "1000"].map(|text| video_rate(text).map(u32::from)),
            [Ok(1_200_000), Ok(600_000), Ok(1_000)]
        );
        for wrong in ["0", "999", "1001M", "inf", "-600k"] {
            assert!(video_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn file_sizes() {
        let cases =
            [("124MB", 124_000_000), ("1.5k", 1500), ("7", 7), ("2MiB", 2 << 20), ("1000GB", 10_u64.pow(12))];
        for (text, bytes) in cases {
            assert_eq!(file_size(text).map(u64::from), Ok(bytes), "{text}");
        }
        for wrong in ["", "MB", "0", "-1", "1001G", "12 MB", "12Mb", "1e3", "1kk", "inf"] {
            assert!(file_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn places() {
        for (text, milliseconds) in
            [("0", 0), ("90", 90_000), ("12.345", 12_345), ("1:30", 90_000), ("1:02:30.5", 3_750_500)]
        {
            assert_eq!(time(text), Ok(Time::from_milliseconds(milliseconds)), "{text}");
        }
        for wrong in ["", "-1", "1:60", "1:2:3:4", ":5", "1:", "1.5:00", "x", "1e3", "3000000"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn gains() {
        assert_eq!((volume("0.5"), volume("0dB"), volume("-20dB")), (Ok(0.5), Ok(1.0), Ok(0.1)));
        for wrong in ["", "dB", "-1", "nan", "1001", "70dB", "loud"] {
            assert!(volume(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(
            (seconds("10"), seconds("0.5")),
            (Ok(Time::from_seconds(10)), Ok(Time::from_milliseconds(500)))
        );
        for wrong in ["0", "-1", "86401", "1:00"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
