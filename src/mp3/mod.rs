//! MP3 as it stands in files: frames, and what is around them. Nothing is decoded.

mod frame;
mod info;
mod reader;
mod splitter;

pub(crate) use frame::FrameHeader;
pub(crate) use info::{Info, Seek};
pub(crate) use reader::Frames;
pub(crate) use splitter::Splitter;
