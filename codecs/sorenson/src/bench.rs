//! What the benches of this crate need and nobody else.

use crate::block::Levels;
use crate::kernels::{Block, Kernels, STRIDE};
use crate::planes::MbSamples;
use crate::quant::{divisor, quantize};
use crate::trellis::Trellis;
use oggflv_common::simd::Level;

/// The inner loops at one level, and samples for them to work on: each method works on one macroblock.
#[derive(Debug)]
pub struct KernelBench {
    kernels: Kernels,
    source: MbSamples,
    reference: Vec<u8>,
    coefficients: [Block; 2],
}

/// Samples in a row of the bench's reference.
const REFERENCE_STRIDE: usize = 864;
const QUANTIZER: u8 = 6;

impl KernelBench {
    /// Some texture.
    #[must_use]
    pub fn new(level: Level) -> Self {
        let mut source = MbSamples::ZERO;
        for (i, sample) in source.0.iter_mut().enumerate() {
            *sample = (i * i / 7 % 101 + i % 16 * 8) as u8;
        }
        let reference = (0..REFERENCE_STRIDE * 18).map(|i| (i * i / 5 % 91 + i % 16 * 8) as u8).collect();
        let mut bench = Self { kernels: Kernels::new(level), source, reference, coefficients: [[0; 64]; 2] };
        bench.forward();
        bench
    }

    /// Absolute differences at one place.
    #[must_use]
    pub fn sad(&self) -> u32 {
        (self.kernels.sad_16)(self.source.luma(), &self.reference, REFERENCE_STRIDE)
    }

    /// Absolute differences half a sample around a place.
    #[must_use]
    pub fn sad_beside(&self) -> [u32; 4] {
        (self.kernels.sad_16_beside)(self.source.luma(), &self.reference, REFERENCE_STRIDE, true)
    }

    /// Interpolation in both directions, and Hadamard-transformed differences.
    #[must_use]
    pub fn satd(&self) -> u32 {
        (self.kernels.satd_16)(self.source.luma(), &self.reference, REFERENCE_STRIDE, 3)
    }

    /// What is lost by skipping.
    #[must_use]
    pub fn squared_errors(&self) -> [u32; 2] {
        let plane = (&self.reference[..], REFERENCE_STRIDE);
        (self.kernels.squared_errors_16)(&self.source.0, [plane; 3])
    }

    /// The forward transform of all blocks.
    pub fn forward(&mut self) {
        let prediction = self.reference.first_chunk().expect("the reference has some rows");
        for pair in 0..3 {
            (self.kernels.forward_2)(self.source.rows(128 * pair), prediction, &mut self.coefficients);
        }
    }

    /// Quantisation of six blocks.
    #[must_use]
    pub fn quantize(&self) -> u64 {
        self.levels().fold(0, |masks, levels| masks ^ levels.mask)
    }

    /// Quantisation of six blocks, and the choice of levels by their bits.
    #[must_use]
    pub fn trellis(&self) -> i32 {
        let lambda = 54 * i32::from(QUANTIZER).pow(2);
        let mut trellis = Trellis::new();
        let gain = |(i, mut levels): (usize, Levels)| {
            trellis.optimize(&self.coefficients[i % 2], QUANTIZER, lambda, 0, &mut levels)
        };
        self.levels().enumerate().map(gain).sum()
    }

    /// The inverse transform of six blocks, added to samples.
    pub fn inverse(&mut self) {
        let mut samples = [128; 7 * STRIDE + 8];
        for coefficients in self.coefficients.iter().cycle().take(6) {
            (self.kernels.inverse_add)(coefficients, &mut samples);
        }
        self.source.0[383] = samples[0];
    }

    fn levels(&self) -> impl Iterator<Item = Levels> {
        self.coefficients.iter().cycle().take(6).map(|coefficients| {
            let mut levels = Levels::NONE;
            quantize(&self.kernels, coefficients, divisor(QUANTIZER, 0), false, &mut levels);
            levels
        })
    }
}
