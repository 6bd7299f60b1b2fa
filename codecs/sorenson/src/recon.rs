//! Reconstruction: prediction plus residual (H.263, 6.3).

use crate::dct::{Block, inverse};
use crate::planes::{BLOCK_LAYOUT, MbSamples};

/// Adds the inverse transform of `coefficients` to block `bi` (0 to 5), within 0 to 255.
pub(crate) fn add_residual(samples: &mut MbSamples, bi: usize, coefficients: &Block) {
    let (start, stride) = BLOCK_LAYOUT[bi];
    let residual = inverse(coefficients);
    for (y, residual) in residual.chunks_exact(8).enumerate() {
        for (sample, r) in samples.0[start + y * stride..][..8].iter_mut().zip(residual) {
            *sample = (i16::from(*sample) + r).clamp(0, 255) as u8;
        }
    }
}

/// The difference of block `bi` of two macroblocks.
pub(crate) fn residual(source: &MbSamples, prediction: &MbSamples, bi: usize) -> Block {
    let (start, stride) = BLOCK_LAYOUT[bi];
    let mut residual = [0; 64];
    for (y, out) in residual.chunks_exact_mut(8).enumerate() {
        let at = start + y * stride;
        for ((out, s), p) in out.iter_mut().zip(&source.0[at..][..8]).zip(&prediction.0[at..][..8]) {
            *out = i16::from(*s) - i16::from(*p);
        }
    }
    residual
}
