//! FLV files: tags, metadata and the muxer (Adobe Flash Video File Format Specification 10.1, annex E).

mod muxer;
mod script;
mod tag;

pub use muxer::{AudioFormat, Muxer, VideoFormat};
pub use script::Value;
