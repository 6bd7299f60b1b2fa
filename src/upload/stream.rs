//! An object whose bytes come one after the other, and whose head comes last.

use std::io::{self, Write};
use std::mem;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::timeout;

use super::error::UploadError;
use super::multipart::{self, Multipart};
use super::sender::Sender;
use super::{Client, Location, ObjectOptions, PART_BYTES, Uploaded};

/// How many parts have the same size; the next ones are twice as large. So 10,000 parts are more than S3 stores.
const PARTS_OF_A_SIZE: i32 = 1000;
/// How long giving up may take.
const ABORT_TIMEOUT: Duration = Duration::from_secs(10);

/// Writes an object while its bytes are made.
///
/// The head of an FLV file is known at its end only. So the first piece is held back, 8 MiB; with the head in front of
/// it, it becomes the first part, which is sent last. In memory are that piece, the one that is being filled, and those in
/// flight. Whoever writes faster than the server takes it has to wait.
///
/// Dropped before it is [complete](Self::complete), it gives the upload up, and nothing is left on the server.
#[derive(Debug)]
pub struct ObjectWriter {
    client: Client,
    location: Location,
    options: ObjectOptions,
    sender: Sender,
    first: Vec<u8>,
    /// Number of the part that is being filled.
    number: i32,
    piece: Vec<u8>,
    is_complete: bool,
}

impl Client {
    /// Begins an object. Its bytes are written without its head.
    ///
    /// # Errors
    /// If the object is there and must not be replaced, or what the server says.
    pub fn write_object(
        &self,
        location: &Location,
        options: &ObjectOptions,
    ) -> Result<ObjectWriter, UploadError> {
        let s3 = self.s3(&location.bucket);
        if !options.overwrite && self.wait(multipart::stored(&s3, location))?.is_some() {
            return Err(UploadError::Exists);
        }
        let multipart = self.wait(Multipart::create(s3, location, options))?;
        Ok(ObjectWriter {
            client: self.clone(),
            location: location.clone(),
            options: options.clone(),
            sender: Sender::new(self, multipart),
            first: Vec::new(),
            number: 2,
            piece: Vec::new(),
            is_complete: false,
        })
    }
}

impl ObjectWriter {
    /// Where the object will be.
    #[must_use]
    pub fn location(&self) -> &Location {
        &self.location
    }

    /// Puts `head` in front of all that was written and makes the object.
    ///
    /// # Errors
    /// If the object has appeared meanwhile and must not be replaced, or what the server says. Nothing is left on the server
    /// then.
    pub fn complete(mut self, head: &[u8]) -> Result<Uploaded, UploadError> {
        if !self.piece.is_empty() {
            let piece = mem::take(&mut self.piece);
            self.sender.send(self.number, piece.into())?;
        }
        let first: Bytes = [head, &mem::take(&mut self.first)].concat().into();
        self.sender.send(1, first)?;
        let multipart = self.sender.multipart.clone();
        let parts = self.sender.finish()?;
        let uploaded = self.client.wait(multipart.complete(parts, &self.options))?;
        self.is_complete = true;
        Ok(uploaded)
    }
}

impl Write for ObjectWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let (piece, size) = if self.first.len() < PART_BYTES {
            (&mut self.first, PART_BYTES)
        } else {
            (&mut self.piece, part_bytes(self.number))
        };
        if piece.is_empty() {
            piece.reserve_exact(size);
        }
        let count = bytes.len().min(size - piece.len());
        piece.extend_from_slice(&bytes[..count]);
        if self.piece.len() == part_bytes(self.number) {
            let piece = mem::take(&mut self.piece);
            self.sender.send(self.number, piece.into()).map_err(io::Error::other)?;
            self.number += 1;
        }
        Ok(count)
    }

    /// Does nothing: the server takes whole parts alone.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for ObjectWriter {
    fn drop(&mut self) {
        if self.is_complete {
            return;
        }
        let sender = &mut self.sender;
        // If that fails, too, the server is away, and nobody could do more.
        let _ = self.client.runtime.block_on(async {
            let give_up = async {
                sender.stop().await;
                sender.multipart.abort().await
            };
            timeout(ABORT_TIMEOUT, give_up).await
        });
    }
}

/// Bytes of a part that is not the first.
fn part_bytes(number: i32) -> usize {
    PART_BYTES << ((number - 1) / PARTS_OF_A_SIZE).min(9)
}

#[cfg(test)]
mod tests {
    use super::super::MAX_PARTS;
    use super::*;

    #[test]
    fn parts_suffice_for_what_s3_stores() {
        let bytes: u64 = (1..=MAX_PARTS as i32).map(|number| part_bytes(number) as u64).sum();
        assert!(bytes > 5 << 40, "{bytes}");
        assert!((1..=MAX_PARTS as i32).all(|number| part_bytes(number) <= 5 << 30));
        assert_eq!([1, 999, 1000, 1001, 2000, 9999].map(|n| part_bytes(n) >> 20), [8, 8, 8, 16, 16, 4096]);
    }
}
