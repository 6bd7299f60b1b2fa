//! The upload of a file, which can be interrupted and goes on.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;

use super::checksum::Crc64;
use super::error::UploadError;
use super::multipart::{self, Listed, Multipart};
use super::sender::Sender;
use super::state::State;
use super::{Client, Location, MAX_PARTS, ObjectOptions, PART_BYTES, Uploaded};

/// What the server says of parts, by their numbers.
type ListedParts = BTreeMap<i32, Listed>;

/// How far an upload has come.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct UploadProgress {
    /// Bytes that the server has.
    pub bytes: u64,
    /// Those of them that it had from an earlier upload.
    pub bytes_found: u64,
    /// Size of the file in bytes.
    pub bytes_total: u64,
}

impl Client {
    /// Uploads a file. If that fails or is interrupted after it has begun, the parts that have arrived stay on the server,
    /// and what is needed to go on is written beside the file, into `FILE.oggflv-upload`.
    ///
    /// With `resume`, parts that the server has from such an upload, and whose checksums are those of the file, are not
    /// sent again; an object that is there already and is the file is left as it is. If there is nothing to go on with, the
    /// upload begins.
    ///
    /// `observe` is called whenever a part has arrived.
    ///
    /// # Errors
    /// If the file cannot be read, or what the server says.
    pub fn upload_file(
        &self,
        file: &Path,
        location: &Location,
        options: &ObjectOptions,
        resume: bool,
        observe: &mut dyn FnMut(UploadProgress),
    ) -> Result<Uploaded, UploadError> {
        let mut reader = File::open(file).map_err(UploadError::Read)?;
        let bytes_total = reader.metadata().map_err(UploadError::Read)?.len();
        let s3 = self.s3(&location.bucket);
        if (resume || !options.overwrite)
            && let Some(stored) = self.wait(multipart::stored(&s3, location))?
        {
            if resume {
                let checksum = checksum_of(file).map_err(UploadError::Read)?;
                if stored.is(bytes_total, checksum) {
                    State::remove(file, location);
                    let (bytes, etag) = (bytes_total, stored.etag);
                    return Ok(Uploaded { bytes, bytes_sent: 0, checksum, verified: true, etag });
                }
            }
            if !options.overwrite {
                return Err(UploadError::Exists);
            }
        }
        if bytes_total <= PART_BYTES as u64 {
            let bytes = read(&mut reader, bytes_total)?;
            return self.wait(multipart::put(&s3, location, bytes, options));
        }

        let (multipart, mut listed) = match self.unfinished(file, location, resume)? {
            Some(unfinished) => unfinished,
            None => (self.wait(Multipart::create(s3, location, options))?, ListedParts::new()),
        };
        // Without the file, `ListMultipartUploads` finds the upload.
        let _ = State::new(location, multipart.upload_id()).save(file);
        let mut sender = Sender::new(self, multipart);
        let mut bytes_found = 0;
        let mut left = bytes_total;
        for number in 1.. {
            let bytes = read(&mut reader, left.min(part_bytes(bytes_total)))?;
            left -= bytes.len() as u64;
            match listed.remove(&number).and_then(|part| part.if_it_holds(&bytes)) {
                Some(part) => {
                    bytes_found += part.bytes;
                    sender.add(part);
                }
                None => sender.send(number, bytes)?,
            }
            observe(UploadProgress { bytes: sender.bytes(), bytes_found, bytes_total });
            if left == 0 {
                break;
            }
        }
        while sender.arrive()? {
            observe(UploadProgress { bytes: sender.bytes(), bytes_found, bytes_total });
        }
        let multipart = sender.multipart.clone();
        let uploaded = self.wait(multipart.complete(sender.finish()?, options))?;
        State::remove(file, location);
        Ok(Uploaded { bytes_sent: bytes_total - bytes_found, ..uploaded })
    }

    /// An upload of the file that was begun and not completed, with the parts that the server has. One that is known
    /// and not to be resumed is given up.
    fn unfinished(
        &self,
        file: &Path,
        location: &Location,
        resume: bool,
    ) -> Result<Option<(Multipart, ListedParts)>, UploadError> {
        let s3 = self.s3(&location.bucket);
        let known =
            State::load(file, location).map(|state| Multipart::resume(s3.clone(), location, state.upload_id));
        if !resume {
            if let Some(known) = known {
                // If that fails, --abort tells why.
                let _ = self.wait(known.abort());
            }
            return Ok(None);
        }
        let parts = |multipart: &Multipart| match self.wait(multipart.parts()) {
            Ok(parts) => Ok(Some(parts.into_iter().map(|part| (part.number(), part)).collect())),
            Err(UploadError::NoUpload) => Ok(None),
            Err(error) => Err(error),
        };
        if let Some(known) = known
            && let Some(listed) = parts(&known)?
        {
            return Ok(Some((known, listed)));
        }
        for found in self.find(&s3, location)? {
            if let Some(listed) = parts(&found)? {
                return Ok(Some((found, listed)));
            }
        }
        Ok(None)
    }

    /// The unfinished uploads that the server lists. One that lists none, or not to this user, has none.
    fn find(&self, s3: &aws_sdk_s3::Client, location: &Location) -> Result<Vec<Multipart>, UploadError> {
        match self.wait(Multipart::find(s3, location)) {
            Err(UploadError::Denied(_) | UploadError::Server { .. }) => Ok(Vec::new()),
            result => result,
        }
    }

    /// Gives up all unfinished uploads to a place, also those that only `file` remembers, and frees what the server has of
    /// them. Returns how many there were.
    ///
    /// # Errors
    /// What the server says.
    pub fn abort_uploads(&self, file: Option<&Path>, location: &Location) -> Result<usize, UploadError> {
        let s3 = self.s3(&location.bucket);
        let mut unfinished = self.find(&s3, location)?;
        if let Some(state) = file.and_then(|file| State::load(file, location))
            && unfinished.iter().all(|multipart| multipart.upload_id() != state.upload_id)
        {
            unfinished.push(Multipart::resume(s3, location, state.upload_id));
        }
        for multipart in &unfinished {
            self.wait(multipart.abort())?;
        }
        if let Some(file) = file {
            State::remove(file, location);
        }
        Ok(unfinished.len())
    }
}

/// Bytes of the parts of a file: whole MiB, as many as are needed for the parts to suffice.
fn part_bytes(file_bytes: u64) -> u64 {
    file_bytes.div_ceil(MAX_PARTS).next_multiple_of(1 << 20).max(PART_BYTES as u64)
}

fn read(reader: &mut File, count: u64) -> Result<Bytes, UploadError> {
    let mut bytes = vec![0; count as usize];
    reader.read_exact(&mut bytes).map_err(UploadError::Read)?;
    Ok(bytes.into())
}

fn checksum_of(file: &Path) -> io::Result<Crc64> {
    let mut reader = File::open(file)?;
    let mut chunk = vec![0; 1 << 20];
    let mut checksum = Crc64::EMPTY;
    loop {
        let count = reader.read(&mut chunk)?;
        if count == 0 {
            return Ok(checksum);
        }
        checksum = checksum.followed_by(Crc64::of(&chunk[..count]), count as u64);
    }
}
