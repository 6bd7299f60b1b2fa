//! MPEG-1, MPEG-2 and MPEG-2.5 Layer III audio encoder, written from ISO/IEC 11172-3 and 13818-3.
//!
//! [`Encoder`] takes samples and gives frames; it knows no files and no threads. The same samples and settings give the
//! same bytes on every machine: all arithmetic that reaches the output is done in IEEE operations of fixed order, and
//! all tables are integers or computed by the `libm` crate.
//!
//! Data flow of a frame, one module a stage:
//!
//! ```text
//! samples ─ subband ─ mdct ─┬─ stereo ─ quantize (huffman, scalefactor) ─ bitstream ─ frames
//!        └─ attack, psycho ─┘                └─ reservoir
//! ```

#![deny(unsafe_code)] // but for the vector instructions of `kernels`

mod attack;
#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod bitstream;
mod config;
mod encoder;
mod error;
mod fft;
mod header;
mod huffman;
mod kernels;
mod layout;
mod mdct;
mod psycho;
mod quantize;
mod reservoir;
mod scalefactor;
mod stereo;
mod subband;
mod tables;

pub use config::Config;
pub use encoder::Encoder;
pub use error::ConfigError;
