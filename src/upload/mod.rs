//! Upload to S3 and to servers that speak its protocol.
//!
//! ```text
//! file   ─ pieces ─┐
//!                  ├─ Sender: parts, some in flight ─▶ Multipart: one upload on the server ─▶ object
//! stream ─ Write ──┘
//! ```
//!
//! The rest of the library waits: [`Client`] has a runtime of its own, and its methods return when they are done. An
//! object is complete or absent, for S3 shows one only when its upload is completed. Every part carries its CRC-64/NVME,
//! which the server checks; the parts' make up that of the whole object, which the server is told when it puts the parts
//! together and which is compared with what it then says it has.

mod bucket;
mod checksum;
mod client;
mod error;
mod file;
mod location;
mod multipart;
mod object;
mod sender;
mod state;
mod stream;

pub use checksum::Crc64;
pub use client::{Client, Connection};
pub use error::UploadError;
pub use file::UploadProgress;
pub use location::{Location, SCHEME};
pub use object::{ObjectOptions, content_type};
pub use state::is_unfinished;
pub use stream::ObjectWriter;

/// Bytes of a part, at least: of a file's, and of the first ones of a stream. S3 asks for 5 MiB of all parts but the last.
pub const PART_BYTES: usize = 8 << 20;
/// Parts that an upload has at most (Amazon S3 User Guide, "Multipart upload limits").
pub const MAX_PARTS: u64 = 10_000;

/// What became of an upload.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Uploaded {
    /// Size of the object in bytes.
    pub bytes: u64,
    /// Bytes of it that were sent; the rest was there.
    pub bytes_sent: u64,
    /// Its checksum.
    pub checksum: Crc64,
    /// Whether the server has told the same checksum. If not, it told none: parts were checked only as they came in.
    pub verified: bool,
    /// What the server calls this version of the object.
    pub etag: Option<String>,
}
