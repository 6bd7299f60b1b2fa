//! A file that is complete or absent: written under another name beside the target, renamed at the end.

use std::fs;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use tempfile::{Builder, NamedTempFile};

/// Bytes moved at a time when the head is put in front.
const CHUNK: usize = 1 << 20;

/// The file under construction. Dropped before [`Output::complete`], it takes its temporary file along.
#[derive(Debug)]
pub(crate) struct Output {
    file: io::BufWriter<NamedTempFile>,
    target: PathBuf,
    overwrite: bool,
}

impl Output {
    /// Creates the temporary file beside `target`.
    ///
    /// # Errors
    /// What the file system says, above all if the folder is missing or may not be written to.
    pub(crate) fn create(target: &Path, overwrite: bool) -> io::Result<Self> {
        let folder = match target.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let mut builder = Builder::new();
        builder.prefix(".oggflv-").suffix(".part");
        #[cfg(unix)]
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o666)); // less the umask, as for any file
        let file = builder.tempfile_in(folder)?;
        Ok(Self { file: io::BufWriter::with_capacity(1 << 18, file), target: target.to_owned(), overwrite })
    }

    /// Puts `head` in front of all that was written and gives the file its name.
    ///
    /// # Errors
    /// What the file system says, [`io::ErrorKind::AlreadyExists`] if the target appeared meanwhile.
    pub(crate) fn complete(self, head: &[u8]) -> io::Result<()> {
        let mut file = self.file.into_inner().map_err(io::IntoInnerError::into_error)?;
        insert(file.as_file_mut(), head)?;
        let persisted =
            if self.overwrite { file.persist(&self.target) } else { file.persist_noclobber(&self.target) };
        persisted.map_err(|failed| failed.error)?;
        Ok(())
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Moves the content of `file` back by the length of `head`, from its end on, and writes `head` in front.
fn insert(file: &mut fs::File, head: &[u8]) -> io::Result<()> {
    let mut end = file.seek(SeekFrom::End(0))?;
    let mut chunk = vec![0; CHUNK.min(end as usize)];
    while end > 0 {
        let start = end.saturating_sub(CHUNK as u64);
        let bytes = &mut chunk[..(end - start) as usize];
        file.seek(SeekFrom::Start(start))?;
        file.read_exact(bytes)?;
        file.seek(SeekFrom::Start(start + head.len() as u64))?;
        file.write_all(bytes)?;
        end = start;
    }
    file.seek(SeekFrom::Start(0))?;
    file.write_all(head)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    #[test]
    fn the_head_comes_first_whatever_the_length() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.flv");
        for (body, head) in [(0, 3), (5, 0), (1, 1), (3 * CHUNK + 17, 1234), (CHUNK, 2 * CHUNK)] {
            let body: Vec<u8> = (0..body).map(|i| (i % 251) as u8).collect();
            let head: Vec<u8> = (0..head).map(|i| (i % 241) as u8).collect();
            let mut output = Output::create(&target, true).unwrap();
            output.write_all(&body).unwrap();
            output.complete(&head).unwrap();
            assert_eq!(fs::read(&target).unwrap(), [head, body].concat());
            assert_eq!(names(folder.path()), ["a.flv"]);
        }
    }

    #[test]
    fn nothing_is_left_of_an_output_that_was_dropped() {
        let folder = tempfile::tempdir().unwrap();
        let mut output = Output::create(&folder.path().join("a.flv"), false).unwrap();
        output.write_all(&[1; 100_000]).unwrap();
        assert_eq!(names(folder.path()).len(), 1);
        drop(output);
        assert!(names(folder.path()).is_empty());
    }

    #[test]
    fn a_target_that_appeared_meanwhile_survives() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("a.flv");
        let output = Output::create(&target, false).unwrap();
        fs::write(&target, "mine").unwrap();
        assert_eq!(output.complete(b"head").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&target).unwrap(), b"mine");
        assert_eq!(names(folder.path()), ["a.flv"]);
    }

    #[cfg(unix)]
    #[test]
    fn the_file_has_ordinary_permissions() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        let (target, other) = (folder.path().join("a.flv"), folder.path().join("b"));
        Output::create(&target, false).unwrap().complete(b"head").unwrap();
        fs::write(&other, "").unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode();
        assert_eq!(mode(&target), mode(&other));
    }
}
