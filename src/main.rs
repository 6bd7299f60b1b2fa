//! The command `oggflv`.

#![forbid(unsafe_code)]

mod cli;
mod display;
mod table;

use std::fs;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use oggflv::probe::probe_file;
use oggflv::{Error, convert_file};
use signal_hook::consts::{SIGINT, SIGTERM};

use cli::{Job, Task};
use display::{Display, say};

/// Exit code of a run that SIGINT or SIGTERM ended: 128 and the number of SIGINT.
const INTERRUPTED: u8 = 130;

fn main() -> ExitCode {
    match cli::parse() {
        Task::Convert { jobs, folder } => convert(&jobs, folder.as_deref()),
        Task::Probe { files, json, check } => probe(&files, json, check),
        Task::Print(text) => match io::stdout().write_all(&text) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => {
                say(&format!("oggflv: standard output cannot be written: {error}"));
                ExitCode::FAILURE
            }
        },
    }
}

/// Converts one file after the other; what becomes of one does not matter to the others.
fn convert(jobs: &[Job], folder: Option<&Path>) -> ExitCode {
    if let Some((folder, error)) = folder.and_then(|folder| Some((folder, fs::create_dir_all(folder).err()?)))
    {
        say(&format!("oggflv: {}: cannot be made: {error}", folder.display()));
        return ExitCode::FAILURE;
    }
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&interrupted)) {
            say(&format!("oggflv: warning: an interruption will leave a temporary file: {error}"));
        }
    }
    let mut failed = Vec::new();
    for (number, job) in (1..).zip(jobs) {
        if job.skip_existing && job.output.exists() {
            continue;
        }
        let mut display = Display::new(job, (number, jobs.len()));
        let result = convert_file(&job.input, &job.output, job.overwrite, &job.options, &mut |progress| {
            display.show(&progress);
            if interrupted.load(Ordering::Relaxed) {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        });
        display.end(&result);
        match result {
            Ok(_) => {}
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

/// Looks into one file after the other.
fn probe(files: &[PathBuf], json: bool, check: bool) -> ExitCode {
    let mut is_good = true;
    for file in files {
        let result = probe_file(file);
        is_good &= result.as_ref().is_ok_and(|probe| !check || probe.findings.errors == 0);
        if let Err(error) = &result {
            say(&format!("oggflv: {error}"));
        }
        let text = match (&result, json) {
            (_, true) => table::json(file, &result),
            (Ok(probe), false) if check => table::verdict(file, probe),
            (Ok(probe), false) => table::table(file, probe),
            (Err(_), false) => continue,
        };
        if io::stdout().write_all(text.as_bytes()).is_err() {
            // Nobody reads it any more.
            return ExitCode::FAILURE;
        }
    }
    if is_good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
