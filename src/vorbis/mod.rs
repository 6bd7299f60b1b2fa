//! Vorbis: packets to one continuous run of samples.
//!
//! [`Decoder`] turns packets into blocks of samples, [`Timeline`] puts the blocks where their granule
//! positions say. Sections named here are those of the Vorbis I specification.
//!
//! ```text
//! packet ─ Decoder → block ─┐
//! granule_pos ──────────────┴ Timeline → samples, the first at Timeline::start
//! ```

mod bits;
mod comment;
mod decoder;
mod duration;
mod error;
mod setup;
mod timeline;

pub use comment::Comments;
pub(crate) use decoder::to_wave_order;
pub use decoder::{Decoder, MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE};
pub(crate) use duration::{Durations, Format};
pub use error::Error;
pub use timeline::{Placement, Timeline};

/// Planar samples, one vector a channel, all equally long; full scale is 1.
///
/// The channels are in WAVE order (Vorbis itself has another, section 4.3.9):
///
/// | channels | order |
/// |---|---|
/// | 1 | mono |
/// | 2 | left, right |
/// | 3 | left, right, centre |
/// | 4 | left, right, rear left, rear right |
/// | 5 | left, right, centre, rear left, rear right |
/// | 6 | left, right, centre, LFE, rear left, rear right |
/// | 7 | left, right, centre, LFE, rear centre, side left, side right |
/// | 8 | left, right, centre, LFE, rear left, rear right, side left, side right |
pub type Pcm = Vec<Vec<f32>>;

/// The rest of the header packet after its type and the string `vorbis` (section 4.2.1).
fn header_body<'a>(packet: &'a [u8], kind: u8, header: &'static str) -> Result<&'a [u8], Error> {
    packet
        .strip_prefix(&[kind])
        .and_then(|rest| rest.strip_prefix(b"vorbis"))
        .ok_or(Error::NotHeader { header })
}
