//! Stands in for outputs on an S3 server where the program is built without them.

use std::ops::ControlFlow;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::Args;
use oggflv::{Error, Progress, Report, convert_file};

use super::convert::Job;
use super::usage_error;

#[derive(Clone, Debug, Args)]
#[group(skip)]
pub(super) struct Arguments {}

/// Converts into files.
pub(super) struct Remote;

impl Arguments {
    #[expect(clippy::unused_self, reason = "with S3 there are options")]
    pub(super) fn remote(self, _: &[Job], _: bool, _: Arc<AtomicBool>) -> Remote {
        Remote
    }
}

impl Remote {
    /// Converts into a file.
    pub(super) fn convert(
        &self,
        job: &Job,
        observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
    ) -> Result<Report, Error> {
        convert_file(&job.input, &job.output, job.overwrite, &job.options, observe)
    }

    /// There are no copies.
    pub(super) fn copy(&self, _: &Job) -> Result<(), Error> {
        Ok(())
    }
}

/// Leaves the process if a name means something on a server.
pub(super) fn is_remote(name: &Path) -> bool {
    if name.to_str().is_some_and(|name| name.starts_with("s3://")) {
        usage_error("this program is built without the feature s3, so it writes to no server");
    }
    false
}

/// Nothing is on a server.
pub(super) fn is_prefix(name: &Path) -> bool {
    is_remote(name)
}

/// Nothing is on a server.
pub(super) fn is_there(_: &Error) -> bool {
    false
}
