//! Inputs that can be read as often as it takes.

use std::fs::{self, File};
use std::io::{self, Seek};
use std::path::Path;

use crate::STANDARD_STREAM;
use crate::error::{Error, InputError};

/// A file, or what came out of a pipe.
#[derive(Debug)]
pub(super) struct Input {
    pub(super) name: String,
    file: File,
}

impl Input {
    /// Opens `path`. What can be read only once is copied into a temporary file.
    pub(super) fn open(path: &Path) -> Result<Self, Error> {
        let name = path.display().to_string();
        let open = || {
            if path == Path::new(STANDARD_STREAM) {
                return Ok(spool(io::stdin().lock())?);
            }
            let metadata = fs::metadata(path)?;
            if metadata.is_dir() {
                return Err(InputError::Folder);
            }
            let file = File::open(path)?;
            if metadata.is_file() { Ok(file) } else { Ok(spool(file)?) }
        };
        match open() {
            Ok(file) => Ok(Self { name, file }),
            Err(problem) => Err(Error::Input { name, problem }),
        }
    }

    /// The file, at its start.
    pub(super) fn rewound(&self) -> io::Result<&File> {
        (&self.file).rewind()?;
        Ok(&self.file)
    }

    pub(super) fn error(&self, problem: impl Into<InputError>) -> Error {
        Error::Input { name: self.name.clone(), problem: problem.into() }
    }
}

fn spool(mut input: impl io::Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(&mut input, &mut file)?;
    Ok(file)
}
