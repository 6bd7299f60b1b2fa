//! Theora video decoder.
//!
//! Written from the Theora specification of the Xiph.Org Foundation; section numbers in the documentation are its.
//! Packets come from elsewhere, usually from an Ogg stream: three headers, then one data packet for each frame.
//!
//! ```
//! # fn decode(packets: &[Vec<u8>]) -> Result<(), oggflv_theora::Error> {
//! use oggflv_theora::{Decoder, Identification, Limits, Setup};
//!
//! let identification = Identification::parse(&packets[0])?;
//! let setup = Setup::parse(&packets[2])?;
//! let mut decoder = Decoder::new(identification, setup, &Limits::default())?;
//! for packet in &packets[3..] {
//!     decoder.decode(packet)?;
//!     let _luma = decoder.picture().planes[0];
//! }
//! # Ok(())
//! # }
//! ```
//!
//! Decoding has two phases. The first makes of a packet all that it says about a frame: `frame_header`,
//! `coded_blocks`, `modes`, `motion`, `block_qi`, `tokens` and `dc`, one after the other. The second makes samples of
//! it: `recon` and `loop_filter`.

// The kernels alone may be unsafe.
#![deny(unsafe_code)]
// Tests group the digits of a bit string by its syntax elements.
#![cfg_attr(test, allow(clippy::unusual_byte_groupings))]

#[cfg(feature = "bench")]
#[doc(hidden)]
pub mod bench;
mod block_qi;
mod coded_blocks;
mod dc;
mod decoder;
mod error;
mod frame_header;
mod headers;
mod huffman;
mod kernels;
mod layout;
mod loop_filter;
mod masks;
mod modes;
mod motion;
mod parallel;
mod parse;
mod picture;
mod quant;
mod recon;
mod runs;
mod stream;
mod tables;
mod tokens;
mod unchanged;

pub use decoder::{Decoder, FrameKind, Limits};
pub use error::Error;
pub use frame_header::is_keyframe;
pub use headers::{Comment, Identification, Setup, is_header};
pub use parallel::{Around, DecodedFrame, ParallelDecoder};
pub use unchanged::UnchangedBlocks;
