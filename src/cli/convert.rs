//! The command without a name: Ogg files become FLV files.

use std::collections::HashSet;
use std::fs;
use std::io::{self, IsTerminal};
use std::num::{NonZeroU32, NonZeroU64, NonZeroUsize};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::Args;
use oggflv::options::{
    AudioRate, ContactSheet, Filter, Fit, FrameRate, Grid, Line, Options, Poster, Preset, Quality, Size,
    VideoRate,
};
use oggflv::time::Time;
use oggflv::{Error, STANDARD_STREAM};

use super::display::Display;
use super::remote::{self, Remote, is_prefix, is_remote, is_there};
use super::values::{bitrate, file_size, metadata, sample_rate, seconds, time, video_rate, volume};
use super::{interruption, say, usage_error};

/// Seconds of the line that a player's buffer holds unless told.
const TWO: NonZeroU32 = NonZeroU32::new(2).unwrap();
/// Exit code of a run that SIGINT or SIGTERM ended: 128 and the number of SIGINT.
pub(super) const INTERRUPTED: u8 = 130;

#[derive(Debug, Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// The Ogg file, or - for standard input; then the FLV file, an object such as s3://bucket/key.flv, or - for standard
    /// output, by default the input's name with the ending .flv
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Convert all files that are named, each into a file of the same name in this folder, or below s3://bucket/prefix/
    #[arg(short, long, value_name = "FOLDER")]
    out_dir: Option<PathBuf>,

    /// Pass over files whose output exists
    #[arg(hide_short_help = true, long, conflicts_with = "overwrite")]
    skip_existing: bool,

    /// Where to begin in the source, such as 90 or 1:02:30.5
    ///
    /// The part is cut exactly: at the picture that stands then, and at the sample. Seconds, or hours, minutes and
    /// seconds.
    ///
    /// Example: --start 1:30 --duration 45
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = time)]
    start: Time,

    /// Where to end in the source
    ///
    /// Without it, the end of the source.
    ///
    /// Example: --start 10 --end 1:02:30.5
    #[arg(hide_short_help = true, long, value_name = "TIME", value_parser = time)]
    end: Option<Time>,

    /// How much of the source to convert
    ///
    /// Instead of --end.
    ///
    /// Example: --duration 45
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "end")]
    duration: Option<Time>,

    /// Picture size: 800x600, 800x-1 (height as it comes), or 50%
    ///
    /// Without it, pictures keep their size. With -1, a side follows from the other one and the shape of the source.
    ///
    /// Example: --size 800x600 --fit pad
    #[arg(short, long, value_name = "WIDTHxHEIGHT", allow_hyphen_values = true, help_heading = "Picture")]
    size: Option<Size>,

    /// For pictures of another shape: stretch, pad, crop or inside
    ///
    /// What to do with pictures whose shape is not that of --size: stretch them; pad them with black bars; crop what
    /// does not fit; or make the output smaller so that they fit inside. All but stretch make pixels square.
    ///
    /// Example: --size 800x600 --fit pad
    #[arg(long, value_name = "HOW", default_value_t, help_heading = "Picture")]
    fit: Fit,

    /// Pictures per second at most, such as 25 or 30000/1001
    ///
    /// Of pictures that come faster some are dropped, evenly; the others keep their times. Without it, all are kept.
    ///
    /// Example: --fps 25
    #[arg(
        hide_short_help = true,
        long,
        value_name = "RATE",
        help_heading = "Picture",
        conflicts_with = "no_video"
    )]
    fps: Option<FrameRate>,

    /// How to scale: bilinear, bicubic or lanczos3
    ///
    /// From soft and fast to sharp and slow. All of them average where pictures shrink.
    ///
    /// Example: --filter lanczos3
    #[arg(hide_short_help = true, long, value_name = "NAME", default_value_t, help_heading = "Picture")]
    filter: Filter,

    /// Constant quality, from 0 (smallest) to 100 (best)
    ///
    /// Twenty more take about twice the bits. Other ways to say how many bits to spend are --video-bitrate and
    /// --target-size.
    ///
    /// Example: --quality 35
    #[arg(short, long, value_name = "N", default_value_t, help_heading = "Picture")]
    quality: Quality,

    /// Bits per second of the pictures on average, such as 600k
    ///
    /// Instead of a constant quality.
    ///
    /// Example: --video-bitrate 1.2M
    #[arg(hide_short_help = true, long, value_name = "RATE", value_parser = video_rate, conflicts_with = "quality", help_heading = "Picture")]
    video_bitrate: Option<NonZeroU32>,

    /// Size of the whole file, such as 124MB, in two passes
    ///
    /// Instead of a constant quality. The input is read twice, so it cannot be a pipe. Units are B, kB, MB, GB, KiB,
    /// MiB, GiB.
    ///
    /// Example: --target-size 124MB
    #[arg(
        long,
        value_name = "BYTES",
        value_parser = file_size,
        conflicts_with_all = ["quality", "video_bitrate", "no_video"],
        help_heading = "Picture"
    )]
    target_size: Option<NonZeroU64>,

    /// Bits per second that a line can carry of the pictures
    ///
    /// A player with the buffer of --bufsize never waits. It goes with any of --quality, --video-bitrate and
    /// --target-size. Without it, there is no limit.
    ///
    /// Example: --maxrate 800k
    #[arg(hide_short_help = true, long, value_name = "RATE", value_parser = video_rate, help_heading = "Picture")]
    maxrate: Option<NonZeroU32>,

    /// Bits that a player's buffer holds
    ///
    /// Without it, two seconds of --maxrate.
    ///
    /// Example: --maxrate 800k --bufsize 3200k
    #[arg(hide_short_help = true, long, value_name = "BITS", value_parser = video_rate, requires = "maxrate", help_heading = "Picture")]
    bufsize: Option<NonZeroU32>,

    /// Time to spend on smaller pictures: fast, balanced or best
    ///
    /// All of them give the same quality: fast takes the least time and the most bits, best the most time and the
    /// fewest bits.
    ///
    /// Example: --preset best
    #[arg(short, long, value_name = "NAME", default_value = "balanced", help_heading = "Picture")]
    preset: Preset,

    /// Seconds from one key frame to the next at most
    ///
    /// Players seek to key frames. Scene cuts get one anyway.
    ///
    /// Example: --keyint 2
    #[arg(hide_short_help = true, long, value_name = "SECONDS", default_value = "10", value_parser = seconds, help_heading = "Picture")]
    keyint: Time,

    /// Save a picture of the film, too, as JPEG or PNG
    ///
    /// The first one that is not blank, or the one of --poster-at, as large as those of the film.
    ///
    /// Example: --poster film.jpg
    #[arg(long, value_name = "FILE", conflicts_with_all = ["no_video", "out_dir"], help_heading = "Picture")]
    poster: Option<PathBuf>,

    /// Where in the source to take the picture for --poster
    ///
    /// Without it, the first picture that is not blank is taken.
    ///
    /// Example: --poster film.jpg --poster-at 1:30
    #[arg(hide_short_help = true, long, value_name = "TIME", value_parser = time, requires = "poster", help_heading = "Picture")]
    poster_at: Option<Time>,

    /// Save small pictures of the film in rows, with their times, as JPEG or PNG
    ///
    /// They are spread evenly over the film, and no wider than 240 pixels.
    ///
    /// Example: --contact-sheet film.png --contact-sheet-grid 5x3
    #[arg(hide_short_help = true, long, value_name = "FILE", conflicts_with_all = ["no_video", "out_dir"], help_heading = "Picture")]
    contact_sheet: Option<PathBuf>,

    /// Columns and rows of the contact sheet
    ///
    /// From 1x1 to 20x20.
    ///
    /// Example: --contact-sheet film.png --contact-sheet-grid 5x3
    #[arg(
        hide_short_help = true,
        long,
        value_name = "COLUMNSxROWS",
        default_value_t,
        requires = "contact_sheet",
        help_heading = "Picture"
    )]
    contact_sheet_grid: Grid,

    /// Which video stream, counted from 1
    ///
    /// Without it, the first one. `oggflv probe` lists them.
    ///
    /// Example: --video-stream 2
    #[arg(
        hide_short_help = true,
        long,
        value_name = "N",
        help_heading = "Picture",
        conflicts_with = "no_video"
    )]
    video_stream: Option<NonZeroUsize>,

    /// Pixels that a picture of the source may have at most
    ///
    /// Larger ones are refused, since they take much memory.
    ///
    /// Example: --max-pixels 2073600
    #[arg(hide_short_help = true, long, value_name = "N", default_value = "16777216", value_parser = clap::value_parser!(u64).range(1..=1 << 32), help_heading = "Picture")]
    max_pixels: u64,

    /// Leave the picture out
    ///
    /// The output is an FLV file with sound alone.
    #[arg(hide_short_help = true, long, help_heading = "Picture", conflicts_with = "no_audio")]
    no_video: bool,

    /// Bits per second of the MP3 sound
    ///
    /// The nearest rate that MP3 has at the sample rate is taken, from 8k to 320k.
    ///
    /// Example: --audio-bitrate 64k
    #[arg(long, value_name = "RATE", default_value = "128k", value_parser = bitrate, help_heading = "Sound")]
    audio_bitrate: u32,

    /// Variable bit rate, from 0 (best) to 9 (smallest)
    ///
    /// Instead of --audio-bitrate.
    ///
    /// Example: --audio-quality 2
    #[arg(
        hide_short_help = true,
        long,
        value_name = "N",
        value_parser = clap::value_parser!(u8).range(0..=9),
        conflicts_with = "audio_bitrate",
        help_heading = "Sound"
    )]
    audio_quality: Option<u8>,

    /// Which audio stream, counted from 1
    ///
    /// Without it, the first one that can be decoded. `oggflv probe` lists them.
    ///
    /// Example: --audio-stream 2
    #[arg(
        hide_short_help = true,
        long,
        value_name = "N",
        help_heading = "Sound",
        conflicts_with = "no_audio"
    )]
    audio_stream: Option<NonZeroUsize>,

    /// Sample rate of the sound: 11025, 22050 or 44100
    ///
    /// Without it, the nearest that is not below the source's.
    ///
    /// Example: --audio-rate 22050
    #[arg(hide_short_help = true, long, value_name = "HZ", value_parser = sample_rate, help_heading = "Sound")]
    audio_rate: Option<u32>,

    /// Mix all channels into one
    ///
    /// Without it, sound of two channels and more becomes stereo.
    #[arg(hide_short_help = true, long, help_heading = "Sound")]
    mono: bool,

    /// Louder or softer: a factor, or decibels
    ///
    /// What gets too loud is clipped.
    ///
    /// Example: --volume -3dB
    #[arg(
        hide_short_help = true,
        long,
        value_name = "GAIN",
        default_value = "1",
        value_parser = volume,
        allow_hyphen_values = true,
        help_heading = "Sound"
    )]
    volume: f32,

    /// Copy an MP3 file in place of the sound
    ///
    /// It is not encoded anew. Its sound begins with the first picture; the delay that its encoder names, or 1105
    /// samples, is made up for. FLV takes MP3 of 44100, 22050, 11025 or 8000 Hz.
    ///
    /// Example: --audio music.mp3
    #[arg(
        long,
        value_name = "FILE.mp3",
        help_heading = "Sound",
        conflicts_with_all = [
            "no_audio", "no_video", "audio_bitrate", "audio_quality", "audio_stream", "audio_rate", "mono", "volume"
        ]
    )]
    audio: Option<PathBuf>,

    /// Leave the sound out
    ///
    /// The output is an FLV file with pictures alone.
    #[arg(hide_short_help = true, long, help_heading = "Sound")]
    no_audio: bool,

    /// Fail if the input is damaged or cut off
    ///
    /// Without it, what is there is converted, and warnings tell what is missing.
    #[arg(hide_short_help = true, long)]
    strict: bool,

    /// A text for the metadata, such as title=Holidays
    ///
    /// It takes the place of what the source says; an empty text leaves that out. The option may be given several
    /// times.
    ///
    /// Example: --meta title=Holidays --meta encoder=
    #[arg(hide_short_help = true, long, value_name = "NAME=TEXT", value_parser = metadata)]
    meta: Vec<(String, String)>,

    /// Replace the output if it exists
    ///
    /// Without it, an output that exists is an error.
    #[arg(short = 'y', long)]
    overwrite: bool,

    /// Threads for pictures
    ///
    /// Without it, one for each core. The output does not depend on it.
    ///
    /// Example: --threads 4
    #[arg(hide_short_help = true, long, value_name = "N")]
    threads: Option<NonZeroUsize>,

    /// Tell how far the pictures are from the source's
    ///
    /// The report at the end has the peak signal-to-noise ratio of the coded pictures against those that were encoded,
    /// in decibels.
    #[arg(hide_short_help = true, long, help_heading = "Messages")]
    psnr: bool,

    /// Tell progress and results as JSON
    ///
    /// An object a second, and a report at the end, a line each, on standard output; on standard error if the FLV file
    /// goes to standard output.
    #[arg(hide_short_help = true, long, conflicts_with = "quiet", help_heading = "Messages")]
    json: bool,

    /// Print nothing but warnings and errors
    #[arg(long, help_heading = "Messages")]
    quiet: bool,

    #[command(flatten)]
    remote: remote::Arguments,
}

/// A file that is to be converted.
#[derive(Clone, Debug)]
pub(super) struct Job {
    pub(super) input: PathBuf,
    pub(super) output: PathBuf,
    pub(super) overwrite: bool,
    pub(super) skip_existing: bool,
    pub(super) talk: Talk,
    pub(super) options: Options,
}

/// Who is told of progress and success.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Talk {
    Nobody,
    People,
    Programs,
}

impl Arguments {
    pub(super) fn run(self) -> ExitCode {
        let folder = self.out_dir.clone().filter(|folder| !is_remote(folder));
        let (remote, overwrite, interrupted) = (self.remote.clone(), self.overwrite, interruption());
        let jobs = jobs(self);
        let remote = remote.remote(&jobs, overwrite, Arc::clone(&interrupted));
        convert(&jobs, folder.as_deref(), &remote, &interrupted)
    }
}

/// Converts one file after the other; what becomes of one does not matter to the others.
fn convert(jobs: &[Job], folder: Option<&Path>, remote: &Remote, interrupted: &AtomicBool) -> ExitCode {
    if let Some((folder, error)) = folder.and_then(|folder| Some((folder, fs::create_dir_all(folder).err()?)))
    {
        say(&format!("oggflv: {}: cannot be made: {error}", folder.display()));
        return ExitCode::FAILURE;
    }
    let mut failed = Vec::new();
    for (number, job) in (1..).zip(jobs) {
        if job.skip_existing && job.output.exists() {
            continue;
        }
        let mut display = Display::new(job, (number, jobs.len()));
        let result = remote.convert(job, &mut |progress| {
            display.show(&progress);
            if interrupted.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        if job.skip_existing && result.as_ref().is_err_and(is_there) {
            continue;
        }
        display.end(&result);
        match result.and_then(|_| remote.copy(job)) {
            Ok(()) => {}
            Err(Error::Interrupted) => return ExitCode::from(INTERRUPTED),
            Err(_) => failed.push(job.input.display().to_string()),
        }
    }
    if failed.is_empty() {
        return ExitCode::SUCCESS;
    }
    if jobs.len() > 1 {
        say(&format!("oggflv: {} of {} files failed: {}", failed.len(), jobs.len(), failed.join(", ")));
    }
    ExitCode::FAILURE
}

fn jobs(arguments: Arguments) -> Vec<Job> {
    let pairs = match (&arguments.out_dir, &arguments.files[..]) {
        (Some(folder), inputs) => {
            inputs.iter().map(|input| (input.clone(), in_folder(folder, input))).collect()
        }
        (None, [input, output]) if is_prefix(output) => vec![(input.clone(), in_folder(output, input))],
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
        frame_rate_limit: arguments.fps,
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
        audio_file: arguments.audio,
        start: arguments.start,
        end,
        poster: arguments.poster.map(|path| Poster { path, at: arguments.poster_at }),
        contact_sheet: arguments
            .contact_sheet
            .map(|path| ContactSheet { path, grid: arguments.contact_sheet_grid }),
        video_stream: arguments.video_stream,
        audio_stream: arguments.audio_stream,
        max_pixels: arguments.max_pixels,
        strict: arguments.strict,
        metadata: arguments.meta,
        psnr: arguments.psnr,
        threads: arguments.threads.unwrap_or(defaults.threads),
    }
}
