//! Sorenson H.263 (FLV1) video encoder, with a small reference decoder.
//!
//! FLV1 is ITU-T H.263 (02/98) without its optional modes, under a picture header of its own and with a longer
//! escape code (SWF File Format Specification 19, chapter 14, "Sorenson H.263"). An [`Encoder`] takes frames of
//! one size and gives a [`Packet`] for each; [`decoder::Decoder`] reads them back.
//!
//! The encoder's pictures are those of ffmpeg's decoder, bit for bit (see [`Encoder::reconstruction`]).

#![deny(unsafe_code)]

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod block;
mod config;
pub mod decoder;
mod effort;
mod encoder;
mod error;
mod kernels;
mod lookahead;
mod macroblock;
mod mode;
mod motion;
mod parallel;
mod picture;
mod planes;
mod quant;
mod rate;
mod tables;
mod trellis;

pub use config::{Config, Preset};
pub use decoder::Decoder;
pub use encoder::{Encoder, Packet};
pub use error::{ConfigError, DecodeError, EncodeError};
pub use lookahead::{Lookahead, Plan};
pub use parallel::{Around, Input, Output, ParallelEncoder};
pub use rate::{FirstPass, MAX_QUALITY, RateControl, quantizer_for_quality};
