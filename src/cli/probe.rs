//! `oggflv probe`: what is in files.

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use oggflv::probe::probe_file;

use super::{say, table};

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Ogg or FLV files, or - for standard input
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Print an object a line for each file
    #[arg(long)]
    json: bool,

    /// Print only what is wrong; exit code 1 if a file is damaged or against the specification
    #[arg(long)]
    check: bool,
}

impl Arguments {
    /// Looks into one file after the other.
    pub(super) fn run(&self) -> ExitCode {
        let mut is_good = true;
        for file in &self.files {
            let result = probe_file(file);
            is_good &= result.as_ref().is_ok_and(|probe| !self.check || probe.findings.errors == 0);
            if let Err(error) = &result {
                say(&format!("oggflv: {error}"));
            }
            let text = match (&result, self.json) {
                (_, true) => table::json(file, &result),
                (Ok(probe), false) if self.check => table::verdict(file, probe),
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
}
