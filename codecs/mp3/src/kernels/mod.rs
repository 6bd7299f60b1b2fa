//! The inner loops over lines and samples, chosen once for the processor.
//!
//! `scalar` defines each one. It is written for lanes: sums run in [`LANES`] accumulators that a fixed tree adds up, so
//! every level gives the same bits. SSE2 and NEON belong to their architectures, where the compiler makes vectors of
//! these loops by itself; AVX2 needs them compiled anew, and by hand where a table is looked up.

pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // vector loads, and entering code that was compiled for AVX2
mod x86;

use crate::header::BlockType;
use crate::layout::MAX_WIDTH;
use crate::mdct::Mdct;
use crate::psycho::{Partitions, Resolution};
use crate::subband::{Polyphase, Subbands};
use crate::tables::{LINES, MAX_QUANTIZED};
use oggflv_common::simd::Level;

/// Accumulators of a sum.
pub(crate) const LANES: usize = 8;
/// What is taken off before rounding (11172-3, C.1.5.4.4.1).
pub(crate) const NUDGE: f32 = 0.0946;
/// 2^23: a sum of at least that has no fraction left and holds the integer in its lowest bits.
const INTEGER: f32 = 8_388_608.0;

/// i^(4/3) by i.
pub(crate) type Power43 = [f32; MAX_QUANTIZED as usize + 1];

/// What is asked of the lines of a band.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Powers {
    /// The largest |x|^(3/4).
    pub(crate) largest: f32,
    /// Sum of the squares.
    pub(crate) energy: f32,
    /// Sum of the roots of the magnitudes.
    pub(crate) roots: f32,
}

/// The quantised values of some lines, two by two, as the Huffman tables ask for them: those of a pair, or 15 where
/// they are above, in the upper and the lower half of a byte.
pub(crate) type Pairs = [u8; MAX_WIDTH / 2];

/// [`Kernels::measure`].
pub(crate) type Measure<const STEPS: usize> = fn(
    magnitude: &[f32],
    power34: &[f32],
    steps: [[f32; 2]; STEPS],
    &Power43,
    pairs: &mut [Pairs; STEPS],
) -> [[f32; 2]; STEPS];

/// The inner loops at one level. Lengths are multiples of [`LANES`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernels {
    /// |x|^(3/4) of magnitudes, and sums over them.
    pub(crate) powers: fn(magnitude: &[f32], power34: &mut [f32]) -> Powers,
    /// Quantises lines given as magnitudes and their powers, by the inverse step and the step, and returns the energies
    /// of the error and of what a decoder makes of the values.
    pub(crate) measure: Measure<1>,
    /// The same with three steps at once.
    pub(crate) measure_three: Measure<3>,
    /// [`Polyphase::analyse`].
    pub(crate) polyphase: fn(&Polyphase, pcm: &[f32], &mut Subbands),
    /// [`Mdct::transform`].
    pub(crate) mdct: fn(&Mdct, previous: &Subbands, current: &Subbands, BlockType, &mut [f32; LINES]),
    /// [`Resolution::energies`].
    pub(crate) energies: fn(&Resolution, pcm: &[&[f32]]) -> [Partitions; 2],
    /// [`Resolution::thresholds`].
    pub(crate) thresholds: fn(&Resolution, energies: &Partitions) -> Partitions,
}

impl Kernels {
    /// The inner loops for a level.
    pub(crate) fn new(level: Level) -> Self {
        match level.isa() {
            #[cfg(target_arch = "x86_64")]
            oggflv_common::simd::Isa::Avx2 => x86::kernels(level),
            _ => Self {
                powers: scalar::powers,
                measure: scalar::measure,
                measure_three: scalar::measure,
                polyphase: Polyphase::analyse,
                mdct: Mdct::transform,
                energies: Resolution::energies,
                thresholds: Resolution::thresholds,
            },
        }
    }
}

/// nint(x - 0.0946) of a value from 0 to 8206 (11172-3, C.1.5.4.4.1).
#[inline(always)]
pub(crate) fn nearest(x: f32) -> u16 {
    (x - NUDGE + INTEGER).to_bits() as u16
}

#[cfg(test)]
mod tests;
