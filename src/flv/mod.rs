//! FLV files: tags, metadata, the muxer and the reader (Adobe Flash Video File Format Specification 10.1, annex E).

mod muxer;
mod reader;
mod script;
mod tag;

pub use muxer::{AudioFormat, Muxer, VideoFormat};
pub use reader::{Header, Reader, Rest, Tag};
pub use script::{ScriptError, Value, read_script};
