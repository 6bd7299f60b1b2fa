//! The command `oggflv`.

#![forbid(unsafe_code)]

mod cli;
mod display;

use std::ops::ControlFlow;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oggflv::{Error, convert_file};
use signal_hook::consts::{SIGINT, SIGTERM};

use display::{Display, say};

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
    let mut display = Display::new(&job);
    let result = convert_file(&job.input, &job.output, job.overwrite, &job.options, &mut |progress| {
        display.show(&progress);
        if interrupted.load(Ordering::Relaxed) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    });
    display.end(&result);
    match result {
        Ok(_) => ExitCode::SUCCESS,
        Err(Error::Interrupted) => ExitCode::from(INTERRUPTED),
        Err(_) => ExitCode::FAILURE,
    }
}
