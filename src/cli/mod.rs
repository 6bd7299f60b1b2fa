//! The command line. Each command has a file: its arguments, and what it does with them.

mod convert;
mod display;
mod page;
mod probe;
mod publish_plan;
#[cfg_attr(not(feature = "s3"), path = "no_remote.rs")]
mod remote;
mod remux;
#[cfg(feature = "s3")]
mod s3;
mod table;
#[cfg(feature = "s3")]
mod upload;
mod values;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{CommandFactory, Parser, Subcommand, error::ErrorKind};
use clap_complete::Shell;
use signal_hook::consts::{SIGINT, SIGTERM};

/// Converts Ogg Theora/Vorbis into FLV (Sorenson H.263 and MP3).
#[derive(Debug, Parser)]
#[command(
    name = "oggflv",
    version,
    about,
    override_usage = "oggflv [OPTIONS] <INPUT> [OUTPUT]
       oggflv [OPTIONS] --out-dir <FOLDER> <INPUT>...
       oggflv <COMMAND>",
    after_help = "Example: oggflv in.ogv out.flv --size 800x600      All options: oggflv --help",
    after_long_help = "\
Examples: oggflv in.ogv out.flv --size 800x600
          oggflv in.ogv out.flv --preset best --target-size 124MB
          oggflv --out-dir flv *.ogv --skip-existing
          oggflv remux broken.flv whole.flv

Exit codes: 0 done, 1 input or output failed, 2 wrong usage, 130 interrupted",
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true,
    disable_help_subcommand = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Option<Command>,

    #[command(flatten)]
    convert: convert::Arguments,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Tell what is in Ogg and FLV files: streams, sizes, rates, durations, key frames, damage
    Probe(probe::Arguments),
    /// Copy FLV files without encoding: repair, cut, join, other sound, or the sound as MP3
    Remux(remux::Arguments),
    /// Make a web page that plays an FLV file in today's browsers
    Page(page::Arguments),
    /// Print a CloudFormation template that serves the films of a bucket through CloudFront
    PublishPlan(publish_plan::Arguments),
    /// Upload files to S3, or go on with an upload that was interrupted
    #[cfg(feature = "s3")]
    Upload(Box<upload::Arguments>),
    /// Print a script that completes the options in a shell
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Print the manual page, or that of a command
    Man {
        /// The command; without it, oggflv itself
        command: Option<String>,
    },
}

/// Does what the command line asks for; prints help and leaves the process if that is asked for, or if the usage is wrong.
pub(crate) fn run() -> ExitCode {
    let arguments = Arguments::parse();
    match arguments.command {
        None => arguments.convert.run(),
        Some(Command::Probe(arguments)) => arguments.run(),
        Some(Command::Remux(arguments)) => arguments.run(),
        Some(Command::Page(arguments)) => arguments.run(),
        Some(Command::PublishPlan(arguments)) => arguments.run(),
        #[cfg(feature = "s3")]
        Some(Command::Upload(arguments)) => arguments.run(),
        Some(Command::Completions { shell }) => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Arguments::command(), "oggflv", &mut script);
            print(&script)
        }
        Some(Command::Man { command }) => man(command.as_deref()),
    }
}

/// Prints the manual page of a command, of oggflv itself without one.
fn man(command: Option<&str>) -> ExitCode {
    let mut all = Arguments::command();
    // Commands are given their full names, as they are called.
    all.build();
    let page = match command {
        None => Some(&all),
        Some(name) => all.find_subcommand(name),
    };
    let Some(page) = page else {
        let names: Vec<&str> = all.get_subcommands().map(clap::Command::get_name).collect();
        usage_error(&format!("there is no command {}: {}", command.unwrap_or_default(), names.join(", ")));
    };
    let mut out = Vec::new();
    let title = page.get_display_name().unwrap_or("oggflv");
    let rendered = clap_mangen::Man::new(page.clone()).title(title).render(&mut out);
    rendered.expect("writing to memory does not fail");
    print(&out)
}

/// Prints on standard output.
fn print(text: &[u8]) -> ExitCode {
    match io::stdout().write_all(text) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("oggflv: standard output cannot be written: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Prints a line on standard error. Where nobody can read it there is nobody to tell.
fn say(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// Is set when SIGINT or SIGTERM comes.
fn interruption() -> Arc<AtomicBool> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [SIGINT, SIGTERM] {
        if let Err(error) = signal_hook::flag::register(signal, Arc::clone(&interrupted)) {
            say(&format!("oggflv: warning: an interruption will leave something unfinished: {error}"));
        }
    }
    interrupted
}

/// Leaves the process because options do not go together.
fn usage_error(message: &str) -> ! {
    Arguments::command().error(ErrorKind::ValueValidation, message).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_consistent() {
        Arguments::command().debug_assert();
    }
}
