//! Outputs of a conversion on an S3 server.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use oggflv::upload::{Location, UploadError};
use oggflv::{Error, OutputError, Progress, Report, convert_file, convert_to_object};

use super::convert::Job;
use super::s3::{self, Server};
use super::upload::{Transfer, tell};
use super::usage_error;

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(super) struct Arguments {
    /// Upload the output when it is complete, to s3://bucket/key.flv or below s3://bucket/prefix/
    #[arg(hide_short_help = true, long, value_name = "PLACE", help_heading = "Upload")]
    upload: Option<PathBuf>,

    #[command(flatten)]
    s3: s3::Arguments,
}

/// Converts into files and objects.
pub(super) struct Remote {
    server: Server,
    /// Where copies of local outputs go.
    copies: Option<Location>,
}

impl Arguments {
    pub(super) fn remote(self, jobs: &[Job], overwrite: bool, interrupted: Arc<AtomicBool>) -> Remote {
        let copies = self.upload.as_deref().map(|name| match s3::location(name) {
            Some(location) if location.is_prefix() || jobs.len() == 1 => location,
            Some(_) => {
                usage_error("several files go to a prefix, which ends with a slash: s3://bucket/prefix/")
            }
            None => usage_error("--upload takes a place such as s3://bucket/key.flv"),
        });
        let is_file =
            |job: &Job| !is_remote(&job.output) && job.output.file_name().is_some_and(|name| name != "-");
        if copies.is_some() && !jobs.iter().all(is_file) {
            usage_error("--upload uploads a file: write one");
        }
        Remote { server: self.s3.server(overwrite, interrupted), copies }
    }
}

impl Remote {
    /// Converts into a file, or into an object.
    pub(super) fn convert(
        &self,
        job: &Job,
        observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Report, Error> {
        let Some(location) = s3::location(&job.output) else {
            return convert_file(&job.input, &job.output, job.overwrite, &job.options, observe);
        };
        let client = self.server.client(&location.bucket);
        let object = client
            .and_then(|client| client.write_object(&location, &self.server.options))
            .map_err(|problem| error(&location, problem))?;
        let (report, uploaded) = convert_to_object(&job.input, object, job.overwrite, &job.options, observe)?;
        tell(&uploaded, &location, job.talk);
        Ok(report)
    }

    /// Uploads a file that is complete, if that is wanted, and tells of it.
    pub(super) fn copy(&self, job: &Job) -> Result<(), Error> {
        let Some(target) = &self.copies else { return Ok(()) };
        let name = job.output.file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let location = if target.is_prefix() { target.join(name) } else { target.clone() };
        let transfer = Transfer { file: job.output.clone(), location, resume: false, talk: job.talk };
        transfer.run(&self.server).map_err(|problem| error(&transfer.location, problem))
    }
}

fn error(location: &Location, problem: UploadError) -> Error {
    match problem {
        UploadError::Interrupted => Error::Interrupted,
        problem => Error::Output { name: location.to_string(), problem: problem.into() },
    }
}

/// Whether a name means something on a server.
pub(super) fn is_remote(name: &Path) -> bool {
    s3::location(name).is_some()
}

/// Whether a name means all that is below it on a server.
pub(super) fn is_prefix(name: &Path) -> bool {
    s3::location(name).is_some_and(|location| location.is_prefix())
}

/// Whether an object is there and was not to be replaced.
pub(super) fn is_there(error: &Error) -> bool {
    matches!(error, Error::Output { problem: OutputError::Upload(UploadError::Exists), .. })
}
