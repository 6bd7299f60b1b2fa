//! What the user sees while a conversion runs and when it ends.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use oggflv::{Error, Loss, Progress, Report, STANDARD_STREAM};
use serde::Serialize;

use super::convert::{Job, Talk};
use super::say;

/// Steps of the bar.
const STEPS: u64 = 1000;
/// How often programs are told how far it is.
const JSON_INTERVAL: Duration = Duration::from_secs(1);

/// Tells of one conversion.
pub(super) struct Display<'a> {
    job: &'a Job,
    /// Which job this is, from 1 on, and how many there are.
    number: (usize, usize),
    start: Instant,
    /// The pass that is running, and since when.
    pass: (u32, Instant),
    /// A line of progress, if standard error is a terminal and people are told.
    bar: ProgressBar,
    last_json: Instant,
}

impl<'a> Display<'a> {
    pub(super) fn new(job: &'a Job, number: (usize, usize)) -> Self {
        let bar = if job.talk == Talk::People { ProgressBar::new(STEPS) } else { ProgressBar::hidden() };
        let now = Instant::now();
        Self { job, number, start: now, pass: (1, now), bar, last_json: now }
    }

    /// Tells how far the conversion has come.
    pub(super) fn show(&mut self, progress: &Progress) {
        if progress.pass != self.pass.0 {
            self.pass = (progress.pass, Instant::now());
        }
        let speed = progress.time.seconds() / self.pass.1.elapsed().as_secs_f64().max(0.001);
        let fraction = progress.fraction();
        let left = fraction.filter(|fraction| *fraction > 0.0).map(|fraction| {
            Duration::from_secs_f64(self.start.elapsed().as_secs_f64() * (1.0 / fraction - 1.0))
        });
        match self.job.talk {
            Talk::Nobody => {}
            Talk::Programs if self.last_json.elapsed() < JSON_INTERVAL => {}
            Talk::Programs => {
                self.last_json = Instant::now();
                self.json(&Line::progress(progress, speed, left));
            }
            Talk::People => self.draw(progress, speed, left),
        }
    }

    fn draw(&self, progress: &Progress, speed: f64, left: Option<Duration>) {
        let mut message = String::new();
        if self.number.1 > 1 {
            message += &format!("file {} of {}: ", self.number.0, self.number.1);
        }
        message += &clock(progress.time.into());
        if let Some(duration) = progress.duration {
            message += &format!(" of {}", clock(duration.into()));
        }
        if progress.passes > 1 {
            message += &format!(" in pass {} of {}", progress.pass, progress.passes);
        }
        message += &format!(" at {speed:.1}x, {}", HumanBytes(progress.bytes_written));
        if let Some(left) = left {
            message += &format!(", {} left", clock(left));
        }
        let template = match progress.fraction() {
            Some(fraction) => {
                self.bar.set_position((fraction * STEPS as f64) as u64);
                "{percent:>3}% {bar:30} {msg}"
            }
            None => "{spinner} {msg}",
        };
        self.bar.set_style(ProgressStyle::with_template(template).expect("the template is correct"));
        self.bar.set_message(message);
    }

    /// Tells how the conversion ended.
    pub(super) fn end(&self, result: &Result<Report, Error>) {
        self.bar.finish_and_clear();
        let to_programs = self.job.talk == Talk::Programs;
        // Where programs read standard error they are told by objects alone.
        let in_words = !(to_programs && self.on_stderr());
        match result {
            Ok(report) => {
                for warning in report.warnings.iter().filter(|_| in_words) {
                    say(&format!("oggflv: {}: warning: {warning}", self.job.input.display()));
                }
                for note in report.notes.iter().filter(|_| in_words && self.job.talk == Talk::People) {
                    say(&format!("oggflv: {}: note: {note}", self.job.input.display()));
                }
                if to_programs {
                    self.json(&Line::report(self.job, report, self.start.elapsed()));
                } else if !self.bar.is_hidden() || report.psnr.is_some() {
                    self.summarise(report);
                }
            }
            Err(error) => {
                if in_words {
                    say(&format!("oggflv: {error}"));
                }
                if to_programs {
                    self.json(&Line::Error { message: error.to_string() });
                }
            }
        }
    }

    /// Says what came of it, to who sees progress or has asked for figures.
    fn summarise(&self, report: &Report) {
        let (elapsed, duration) = (self.start.elapsed(), Duration::from(report.duration));
        let taken =
            if elapsed.as_secs() > 0 { HumanDuration(elapsed).to_string() } else { "a moment".to_owned() };
        let speed = duration.as_secs_f64() / elapsed.as_secs_f64().max(0.001);
        let psnr = report.psnr.map_or_else(String::new, |[y, u, v]| {
            format!(", PSNR {y:.2} dB (Y), {u:.2} dB (U), {v:.2} dB (V)")
        });
        say(&format!(
            "{}: {}, {}, in {taken} ({speed:.1}x){psnr}",
            self.job.output.display(),
            clock(duration),
            HumanBytes(report.bytes),
        ));
    }

    /// Whether objects go to standard error, since the output has standard output.
    fn on_stderr(&self) -> bool {
        self.job.output == Path::new(STANDARD_STREAM)
    }

    fn json(&self, line: &Line) {
        let text = serde_json::to_string(line).expect("numbers and strings can be written");
        if self.on_stderr() {
            say(&text);
        } else {
            let _ = writeln!(io::stdout(), "{text}");
        }
    }
}

/// Hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}

/// What programs are told, an object a line. Times are in seconds, rates in bits per second.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Progress {
        pass: u32,
        passes: u32,
        time: f64,
        duration: Option<f64>,
        fraction: Option<f64>,
        speed: f64,
        time_left: Option<f64>,
        bytes_read: u64,
        bytes_written: u64,
    },
    Report(Box<Summary>),
    Error {
        message: String,
    },
}

#[derive(Serialize)]
struct Summary {
    input: String,
    output: String,
    duration: f64,
    elapsed: f64,
    speed: f64,
    bytes: u64,
    bitrate: f64,
    video: Option<Video>,
    audio: Option<Audio>,
    cpu: BTreeMap<&'static str, f64>,
    warnings: Vec<String>,
    notes: Vec<String>,
    losses: Vec<Missing>,
}

#[derive(Serialize)]
struct Video {
    width: usize,
    height: usize,
    bytes: u64,
    bitrate: f64,
    decoded: u64,
    damaged: u64,
    coded: u64,
    repeated: u64,
    /// In decibels, of Y, U and V; `null` where there is no difference.
    psnr: Option<[f64; 3]>,
}

#[derive(Serialize)]
struct Audio {
    bytes: u64,
    bitrate: f64,
}

/// A place of the output where something of the source is missing.
#[derive(Serialize)]
struct Missing {
    start: f64,
    end: f64,
    pictures: u64,
    /// Seconds of sound.
    sound: f64,
    /// About how many packets of sound that is.
    packets: u64,
}

impl From<&Loss> for Missing {
    fn from(loss: &Loss) -> Self {
        Self {
            start: loss.start.seconds(),
            end: loss.end.seconds(),
            pictures: loss.pictures,
            sound: loss.sound.seconds(),
            packets: loss.packets,
        }
    }
}

impl Line {
    fn progress(progress: &Progress, speed: f64, left: Option<Duration>) -> Self {
        Self::Progress {
            pass: progress.pass,
            passes: progress.passes,
            time: progress.time.seconds(),
            duration: progress.duration.map(|duration| duration.seconds()),
            fraction: progress.fraction(),
            speed,
            time_left: left.map(|left| left.as_secs_f64()),
            bytes_read: progress.bytes_read,
            bytes_written: progress.bytes_written,
        }
    }

    fn report(job: &Job, report: &Report, elapsed: Duration) -> Self {
        let duration = report.duration.seconds();
        let bitrate = |bytes: u64| if duration > 0.0 { bytes as f64 * 8.0 / duration } else { 0.0 };
        Self::Report(Box::new(Summary {
            input: job.input.display().to_string(),
            output: job.output.display().to_string(),
            duration,
            elapsed: elapsed.as_secs_f64(),
            speed: duration / elapsed.as_secs_f64().max(0.001),
            bytes: report.bytes,
            bitrate: bitrate(report.bytes),
            video: report.size.map(|(width, height)| Video {
                width,
                height,
                bytes: report.video_bytes,
                bitrate: bitrate(report.video_bytes),
                decoded: report.pictures.decoded,
                damaged: report.pictures.damaged,
                coded: report.pictures.coded,
                repeated: report.pictures.repeated,
                psnr: report.psnr,
            }),
            audio: (report.audio_bytes > 0)
                .then(|| Audio { bytes: report.audio_bytes, bitrate: bitrate(report.audio_bytes) }),
            cpu: report.cpu.iter().map(|(stage, time)| (*stage, time.as_secs_f64())).collect(),
            warnings: report.warnings.clone(),
            notes: report.notes.clone(),
            losses: report.losses.iter().map(Missing::from).collect(),
        }))
    }
}
