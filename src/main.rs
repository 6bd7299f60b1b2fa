//! The command `oggflv`.

#![forbid(unsafe_code)]

mod cli;

use std::io::{self, Write};
use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use indicatif::{HumanBytes, HumanDuration, ProgressBar, ProgressStyle};
use oggflv::{Error, Progress, Report, convert_file};
use signal_hook::consts::{SIGINT, SIGTERM};

/// Exit code of a run that SIGINT or SIGTERM ended: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    let job = cli::parse();
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&interrupted)) {
            say(&format!("oggflv: warning: an interruption will leave a temporary file: {error}"));
        }
    }
    let display = Display::new(&job);
    let result = convert_file(&job.input, &job.output, job.overwrite, &job.options, &mut |progress| {
        display.show(&progress);
        if interrupted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    display.clear();
    match result {
        Ok(report) => {
            for warning in &report.warnings {
                say(&format!("oggflv: {}: warning: {warning}", job.input.display()));
            }
            display.summarise(&job, &report);
            ExitCode::SUCCESS
        }
        Err(error) => {
            say(&format!("oggflv: {error}"));
            if matches!(error, Error::Interrupted) { ExitCode::from(INTERRUPTED) } else { ExitCode::FAILURE }
        }
    }
}

/// Prints a line on standard error. Where nobody can read it there is nobody to tell.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// A line of progress, if standard error is a terminal.
struct Display {
    bar: ProgressBar,
}

impl Display {
    fn new(job: &cli::Job) -> Self {
        // A pipe has no length; then there is no telling how much is left.
        if job.quiet {
            return Self { bar: ProgressBar::hidden() };
        }
        let length =
            job.input.metadata().ok().filter(std::fs::Metadata::is_file).map(|metadata| metadata.len());
        let bar = length.map_or_else(ProgressBar::no_length, ProgressBar::new);
        let template = match length {
            Some(_) => "{percent:>3}% {bar:30} {msg}, {eta} left",
            None => "{spinner} {msg}",
        };
        bar.set_style(ProgressStyle::with_template(template).expect("the template is correct"));
        Self { bar }
    }

    fn show(&self, progress: &Progress) {
        self.bar.set_position(progress.bytes_read);
        let done = Duration::from_secs_f64(progress.time.seconds().max(0.0));
        let written = HumanBytes(progress.bytes_written);
        self.bar.set_message(format!("{} at {}, {written}", clock(done), self.speed(done)));
    }

    /// How many times faster than the content plays it is converted.
    fn speed(&self, done: Duration) -> String {
        format!("{:.1}x", done.as_secs_f64() / self.bar.elapsed().as_secs_f64().max(0.001))
    }

    fn clear(&self) {
        self.bar.finish_and_clear();
    }

    fn summarise(&self, job: &cli::Job, report: &Report) {
        if self.bar.is_hidden() {
            return;
        }
        let duration = Duration::from_secs_f64(report.duration.seconds().max(0.0));
        let elapsed = self.bar.elapsed();
        let taken =
            if elapsed.as_secs() > 0 { HumanDuration(elapsed).to_string() } else { "a moment".to_owned() };
        let (speed, bytes) = (self.speed(duration), HumanBytes(report.bytes));
        say(&format!("{}: {}, {bytes}, in {taken} ({speed})", job.output.display(), clock(duration)));
    }
}

/// Hours, minutes and seconds.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    format!("{}:{:02}:{:02}", seconds / 3600, seconds / 60 % 60, seconds % 60)
}
