//! Converts Ogg Theora/Vorbis into FLV (Sorenson H.263 and MP3).

pub mod resample;
pub mod vorbis;
