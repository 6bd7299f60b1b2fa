//! `oggflv remux`: FLV files copied without encoding anything anew.

use std::io::{self, IsTerminal};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::Ordering;

use clap::Args;
use oggflv::remux::{Options, Report, remux_files};
use oggflv::time::Time;
use oggflv::{Error, STANDARD_STREAM};

use super::convert::INTERRUPTED;
use super::values::{metadata, time};
use super::{interruption, say, usage_error};

#[derive(Debug, Args)]
#[command(
    override_usage = "oggflv remux [OPTIONS] <INPUT>... <OUTPUT>",
    after_help = "\
Examples: oggflv remux broken.flv whole.flv
          oggflv remux film.flv part.flv --start 1:00 --duration 30
          oggflv remux one.flv two.flv both.flv
          oggflv remux film.flv other.flv --audio music.mp3
          oggflv remux film.flv sound.mp3"
)]
pub(super) struct Arguments {
    /// FLV files that follow one another, or - for standard input; then the output: an FLV file, an MP3 file if its name
    /// ends with .mp3, or - for FLV on standard output
    #[arg(required = true, num_args = 2.., value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Where to begin: with the last key frame before this time
    #[arg(long, value_name = "TIME", default_value = "0", value_parser = time)]
    start: Time,

    /// Where to end
    #[arg(long, value_name = "TIME", value_parser = time)]
    end: Option<Time>,

    /// How much to copy from --start on, instead of where to end
    #[arg(long, value_name = "TIME", value_parser = time, conflicts_with = "end")]
    duration: Option<Time>,

    /// An MP3 file to copy instead of the sound, from the first picture on
    #[arg(long, value_name = "FILE.mp3", conflicts_with = "no_audio")]
    audio: Option<PathBuf>,

    /// Leave the picture out
    #[arg(long, conflicts_with = "no_audio")]
    no_video: bool,

    /// Leave the sound out
    #[arg(long)]
    no_audio: bool,

    /// A text for the metadata, such as title=Holidays; an empty one leaves out what the input says
    #[arg(long, value_name = "NAME=TEXT", value_parser = metadata)]
    meta: Vec<(String, String)>,

    /// Replace the output if it exists
    #[arg(short = 'y', long)]
    overwrite: bool,

    /// Print nothing but warnings and errors
    #[arg(long)]
    quiet: bool,
}

impl Arguments {
    pub(super) fn run(self) -> ExitCode {
        let Some((output, inputs)) = self.files.split_last() else {
            usage_error("name the input and the output");
        };
        if inputs.iter().chain(&self.audio).filter(|input| *input == Path::new(STANDARD_STREAM)).count() > 1 {
            usage_error("standard input can be read only once");
        }
        if output == Path::new(STANDARD_STREAM) && io::stdout().is_terminal() {
            usage_error("standard output is a terminal: write to a file or a pipe");
        }
        let end = match (self.end, self.duration) {
            (_, Some(duration)) => self.start + duration,
            (end, None) => end.unwrap_or(Time::MAX),
        };
        if end <= self.start {
            usage_error("the end has to lie after the start");
        }
        let options = Options {
            start: self.start,
            end,
            audio: self.audio.clone(),
            video: !self.no_video,
            sound: !self.no_audio,
            metadata: self.meta.clone(),
        };
        let interrupted = interruption();
        let mut go_on = || {
            if interrupted.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        match remux_files(inputs, output, self.overwrite, &options, &mut go_on) {
            Ok(report) => {
                self.tell(output, &inputs[0], &report);
                ExitCode::SUCCESS
            }
            Err(error) => {
                say(&format!("oggflv: {error}"));
                if matches!(error, Error::Interrupted) {
                    ExitCode::from(INTERRUPTED)
                } else {
                    ExitCode::FAILURE
                }
            }
        }
    }

    fn tell(&self, output: &Path, input: &Path, report: &Report) {
        for warning in &report.warnings {
            say(&format!("oggflv: {}: warning: {warning}", input.display()));
        }
        if self.quiet || !io::stderr().is_terminal() {
            return;
        }
        let from =
            if report.start > Time::ZERO { format!(" from {} on", report.start) } else { String::new() };
        say(&format!(
            "{}: {}{from}, {} pictures, {} key frames, {} frames of sound, {}",
            output.display(),
            report.duration,
            report.pictures,
            report.key_frames,
            report.sounds,
            indicatif::HumanBytes(report.bytes)
        ));
    }
}
