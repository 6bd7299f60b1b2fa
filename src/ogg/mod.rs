//! Ogg: the container of Theora, Vorbis, Opus and FLAC (RFC 3533).
//!
//! ```text
//! bytes ─ scanner → pages ─ demuxer (serial number, link) → stream → packets ─ mapping → header packets
//! ```
//!
//! The input is read once from front to back, so it may be a pipe. Whatever it holds, memory is bounded by
//! [`Limits`] and time is linear in its length; damage is passed over and counted in [`Damage`].

#![forbid(unsafe_code)]

mod crc;
mod demuxer;
mod ends;
mod mapping;
mod page;
mod scanner;
mod stream;

pub use demuxer::{Damage, Demuxer, Limits, Packet, Stream};
pub use ends::{StreamEnd, stream_ends};
pub use mapping::{Codec, HeaderCollector, HeaderError, HeaderKind, Headers};
