//! From a file to a file.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::error::{Error, InputError, OutputError};
use crate::options::Options;
use crate::output::Output;
use crate::pipeline::{self, Names, Progress, Report};

/// The name that stands for standard input, or for standard output.
pub const STANDARD_STREAM: &str = "-";

/// Converts the Ogg file `input` (or standard input, if it is [`STANDARD_STREAM`]) into the FLV file `output`
/// (or standard output).
///
/// The output is written under a temporary name in the same folder and gets its own name when it is complete. One
/// that exists already is replaced only if `overwrite` says so. Standard output gets everything as soon as it is ready; its
/// metadata lack what is not known at the start: duration, sizes, rates, and the index of key frames.
///
/// `observe` is called about ten times a second; if it breaks, the conversion ends with [`Error::Interrupted`].
///
/// # Errors
/// If the input cannot be converted, or the output cannot be written. Nothing of the output is left then.
pub fn convert_file(
    input: &Path,
    output: &Path,
    overwrite: bool,
    options: &Options,
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Report, Error> {
    let (input_name, output_name) = (input.display().to_string(), output.display().to_string());
    let names = Names { input: &input_name, output: &output_name };
    let input_error = |problem: io::Error| Error::Input { name: input_name.clone(), problem: problem.into() };
    let output_error = |problem: OutputError| Error::Output { name: output_name.clone(), problem };

    let source: Box<dyn Read + Send> = if input == Path::new(STANDARD_STREAM) {
        Box::new(io::stdin())
    } else {
        if fs::metadata(input).map_err(input_error)?.is_dir() {
            return Err(Error::Input { name: input_name, problem: InputError::Folder });
        }
        Box::new(File::open(input).map_err(input_error)?)
    };
    if output == Path::new(STANDARD_STREAM) {
        let target = io::BufWriter::with_capacity(1 << 16, io::stdout());
        let (mut target, _, report) = pipeline::run(source, target, true, options, &names, observe)?;
        target.flush().map_err(|problem| output_error(problem.into()))?;
        return Ok(report);
    }
    let target = resolve_target(input, output, overwrite).map_err(output_error)?;
    let target = Output::create(&target, overwrite).map_err(|problem| output_error(problem.into()))?;
    let (target, head, report) = pipeline::run(source, target, false, options, &names, observe)?;
    target.complete(&head).map_err(|problem| match problem.kind() {
        io::ErrorKind::AlreadyExists => output_error(OutputError::Exists),
        _ => output_error(problem.into()),
    })?;
    Ok(report)
}

/// Finds out where the output belongs, which for a symbolic link is where it leads, and refuses a target that must not
/// be written to, before any work is done.
fn resolve_target(input: &Path, output: &Path, overwrite: bool) -> Result<PathBuf, OutputError> {
    if output.symlink_metadata().is_err() {
        return Ok(output.to_owned());
    }
    let target = output.canonicalize().map_err(|_| OutputError::NotAFile)?;
    let metadata = fs::metadata(&target)?;
    if metadata.is_dir() {
        return Err(OutputError::Folder);
    }
    if !metadata.is_file() {
        return Err(OutputError::NotAFile);
    }
    if input.canonicalize().is_ok_and(|input| input == target) {
        return Err(OutputError::IsInput);
    }
    if overwrite { Ok(target) } else { Err(OutputError::Exists) }
}
