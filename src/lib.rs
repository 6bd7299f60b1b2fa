//! Converts Ogg Theora/Vorbis into FLV (Sorenson H.263 and MP3).

pub mod flv;
pub mod scale;
pub mod ogg;
pub mod resample;
pub mod vorbis;
