//! What the codecs of oggflv share: bit streams, frames, and the choice of vector instructions.
//!
//! Nothing here knows a codec, a file or a thread.

#![forbid(unsafe_code)]

pub mod bits;
pub mod frame;
pub mod simd;

pub use bits::{BitCounter, BitReader, BitSink, BitWriter};
pub use frame::{Frame, FrameView, PixelFormat, Plane, PlaneView};
