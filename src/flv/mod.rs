//! FLV files: tags, metadata, the muxer and the reader (Adobe Flash Video File Format Specification 10.1, annex E).

mod codecs;
mod muxer;
mod reader;
mod script;
mod sps;
mod tag;

pub(crate) use codecs::{audio_codec_name, picture_size, sound_format, video_codec_name};
pub use muxer::{AudioFormat, Muxer, VideoFormat};
pub(crate) use muxer::{CopiedAudio, CopiedVideo, SOUND_FORMAT_MP3, SOUND_FORMAT_MP3_8K};
pub use reader::{Header, Reader, Rest, Tag};
pub use script::{ScriptError, Value, read_script};
pub(crate) use tag::TagType;
