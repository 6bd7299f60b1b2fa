//! What the benches of this crate need and nobody else.

use oggflv_common::simd::Level;

use crate::kernels::{Coefficients, FilterRow, Kernels, Prediction};
use crate::parse::Reference;

/// The inner loops at one level, and samples for them to work on.
#[derive(Debug)]
pub struct KernelBench {
    kernels: Kernels,
    source: Vec<u8>,
    target: Vec<u8>,
}

/// Samples in a row of the bench's planes.
const STRIDE: usize = 1600;

impl KernelBench {
    /// Some texture.
    #[must_use]
    pub fn new(level: Level) -> Self {
        let source: Vec<u8> = (0..STRIDE * 24).map(|i| (i * i / 7 % 251) as u8).collect();
        Self { kernels: Kernels::new(level), target: source.clone(), source }
    }

    /// Makes a row of 200 blocks with coefficients up to `last` in zig-zag order, by the whole-pixel predictor.
    pub fn reconstruct_row(&mut self, last: u8) {
        for block in 0..STRIDE / 8 {
            let mut coefficients = Coefficients([0; 64]);
            coefficients.0[0] = 100;
            let prediction = Prediction::Whole { block: &self.source[8 * block..], stride: STRIDE };
            let target = &mut self.target[8 * block..];
            (self.kernels.reconstruct)(target, STRIDE, &prediction, &mut coefficients, last);
        }
    }

    /// Makes a row of 200 blocks with a constant residual, by the half-pixel predictor.
    pub fn reconstruct_dc_row(&mut self) {
        for block in 0..STRIDE / 8 - 1 {
            let blocks = [&self.source[8 * block..], &self.source[8 * block + STRIDE + 1..]];
            let prediction = Prediction::Half { blocks, strides: [STRIDE; 2] };
            (self.kernels.reconstruct_dc)(&mut self.target[8 * block..], STRIDE, &prediction, 3);
        }
    }

    /// Filters a row of 200 blocks, all of them coded.
    pub fn filter_row(&mut self) {
        let row = [Reference::Previous; STRIDE / 8];
        let filter = FilterRow {
            stride: STRIDE,
            top: 8 * STRIDE,
            row: &row,
            above: Some(&row),
            has_below: true,
            limit: 12,
        };
        (self.kernels.filter_row)(&mut self.target, &filter);
    }
}
