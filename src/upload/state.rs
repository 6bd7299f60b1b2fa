//! What is remembered of an unfinished upload, in a file beside the one that is uploaded.

use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use tempfile::NamedTempFile;

use super::Location;

/// Bytes that such a file has at most; others are not ours.
const MAX_BYTES: u64 = 1 << 16;

/// Where an unfinished upload leads, and what the server calls it. Which parts there are, the server knows.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct State {
    bucket: String,
    key: String,
    pub(super) upload_id: String,
}

impl State {
    pub(super) fn new(location: &Location, upload_id: &str) -> Self {
        let Location { bucket, key } = location.clone();
        Self { bucket, key, upload_id: upload_id.to_owned() }
    }

    /// What is remembered of an upload of `file` to `location`.
    pub(super) fn load(file: &Path, location: &Location) -> Option<Self> {
        let path = path(file);
        if fs::metadata(&path).ok()?.len() > MAX_BYTES {
            return None;
        }
        let state: Self = serde_json::from_slice(&fs::read(path).ok()?).ok()?;
        (state.bucket == location.bucket && state.key == location.key).then_some(state)
    }

    pub(super) fn save(&self, file: &Path) -> io::Result<()> {
        let path = path(file);
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let mut temporary = NamedTempFile::new_in(folder.unwrap_or(Path::new(".")))?;
        serde_json::to_writer(&mut temporary, self)?;
        temporary.write_all(b"\n")?;
        temporary.persist(path)?;
        Ok(())
    }

    /// Forgets an upload of `file` to `location`; one to another place stays.
    pub(super) fn remove(file: &Path, location: &Location) {
        if Self::load(file, location).is_some() {
            // Where it cannot be removed it is found to be outdated the next time.
            let _ = fs::remove_file(path(file));
        }
    }
}

/// Whether an upload of `file` to `location` was begun and can be resumed, as far as is known here.
#[must_use]
pub fn is_unfinished(file: &Path, location: &Location) -> bool {
    State::load(file, location).is_some()
}

fn path(file: &Path) -> PathBuf {
    let mut name = OsString::from(file);
    name.push(".oggflv-upload");
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_kept_for_one_place() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("film.flv");
        let [here, there] = ["s3://bucket/a.flv", "s3://bucket/b.flv"].map(|name| name.parse().unwrap());
        let state = State::new(&here, "id");
        assert_eq!(State::load(&file, &here), None);
        state.save(&file).unwrap();
        assert_eq!((State::load(&file, &here), State::load(&file, &there)), (Some(state), None));
        State::remove(&file, &there);
        assert!(State::load(&file, &here).is_some());
        State::remove(&file, &here);
        assert_eq!(fs::read_dir(&folder).unwrap().count(), 0);
    }

    #[test]
    fn what_is_not_ours_is_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let (file, here) = (folder.path().join("film.flv"), "s3://bucket/a.flv".parse().unwrap());
        for content in ["", "{}", "[1]", "{\"bucket\":\"bucket\",\"key\":\"a.flv\"}"] {
            fs::write(path(&file), content).unwrap();
            assert_eq!(State::load(&file, &here), None, "{content}");
        }
    }
}
