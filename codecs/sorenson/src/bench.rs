//! What the benches of this crate need and nobody else.

use crate::block::Levels;
use crate::kernels::{Block, Kernels, Rows, STRIDE};
use crate::planes::{BLOCK_START, MbSamples};
use crate::quant::divisor;
use crate::trellis::Trellis;
use oggflv_common::simd::Level;

/// The inner loops at one level, and samples for them to work on.
#[derive(Debug)]
pub struct KernelBench {
    kernels: Kernels,
    source: MbSamples,
    prediction: MbSamples,
    reference: Vec<u8>,
    planes: [Vec<u8>; 3],
    coefficients: [Block; 2],
    levels: [Levels; 2],
    inverse_input: Block,
}

/// What is measured.
pub type Kernel = fn(&mut KernelBench) -> u64;

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
        let mut bench = Self {
            kernels: Kernels::new(level),
            prediction: source.clone(),
            source,
            planes: [(); 3].map(|()| vec![0; REFERENCE_STRIDE * 16]),
            reference,
            coefficients: [[0; 64]; 2],
            levels: [Levels::NONE; 2],
            inverse_input: [0; 64],
        };
        bench.inverse_input[0] = 35;
        bench.quantize(0);
        bench
    }

    /// The kernels, and what is made of them, by name; each call works on one macroblock.
    pub const KERNELS: &[(&str, Kernel)] = &[
        ("sad", |b| (b.kernels.sad_16)(b.source.luma(), &b.reference, REFERENCE_STRIDE).into()),
        ("sad of three", |b| sum((b.kernels.sads_16)(b.source.luma(), [&b.reference; 3], REFERENCE_STRIDE))),
        ("sad half", |b| (b.kernels.sad_16_half)(b.source.luma(), &b.reference, REFERENCE_STRIDE, 3).into()),
        ("sad beside", |b| {
            sum((b.kernels.sad_16_beside)(b.source.luma(), &b.reference, REFERENCE_STRIDE, true))
        }),
        ("sad 8x8", |b| sum(b.blocks().map(|source| (b.kernels.sad_8)(source, b.rows())))),
        ("sad 8x8 beside", |b| {
            sum(b.blocks().into_iter().flat_map(|source| (b.kernels.sad_8_beside)(source, b.rows(), true)))
        }),
        ("satd", |b| (b.kernels.satd_16)(b.source.luma(), &b.reference, REFERENCE_STRIDE, 3).into()),
        ("satd 8x8", |b| sum(b.blocks().map(|source| (b.kernels.satd_8)(source, b.rows())))),
        ("activity", |b| (b.kernels.activity_16)(b.source.luma()).into()),
        ("activity 8x8", |b| sum(b.blocks().map(|source| (b.kernels.activity_8)(source)))),
        ("squared errors", |b| sum((b.kernels.squared_errors)(&b.source.0, &b.prediction.0))),
        ("squared errors, planes", |b| sum((b.kernels.squared_errors_16)(&b.source.0, [b.rows(); 3]))),
        ("predict", |b| {
            (b.kernels.predict_16)(&b.reference, REFERENCE_STRIDE, 3, b.prediction.luma_mut());
            for start in [256, 264] {
                (b.kernels.predict_8)(&b.reference, REFERENCE_STRIDE, 1, &mut b.prediction.0[start..]);
            }
            0
        }),
        ("copy", |b| {
            let [y, cb, cr] = b.planes.each_mut().map(|plane| (&mut plane[..], REFERENCE_STRIDE));
            let [luma, _, _, _, from_cb, from_cr] = BLOCK_START.map(|start| (&b.source.0[start..], STRIDE));
            (b.kernels.copy)([luma, from_cb, from_cr], [y, cb, cr]);
            0
        }),
        ("halve", |b| {
            for row in 0..8 {
                let (top, bottom) = b.reference[row * REFERENCE_STRIDE..].split_at(REFERENCE_STRIDE);
                (b.kernels.halve)(top, bottom, &mut b.planes[0][..400]);
            }
            0
        }),
        ("quantize", |b| {
            b.quantize(0);
            0
        }),
        ("quantize and trellis", |b| {
            let lambda = 54 * i32::from(QUANTIZER).pow(2);
            let mut trellis = Trellis::new();
            let masks = b.quantize(0);
            let gains = [0, 1, 0, 1, 0, 1].map(|i| {
                b.levels[i].set_mask(masks[i], 0);
                trellis.optimize(&b.coefficients[i], QUANTIZER, lambda, 0, &mut b.levels[i])
            });
            gains.iter().sum::<i32>() as u64
        }),
        ("inverse", |b| b.inverse(63)),
        ("inverse of 4x4", |b| b.inverse(9)),
        ("inverse of 1x1", |b| b.inverse(0)),
    ];

    /// Transforms and quantises all blocks; the masks of the last two.
    fn quantize(&mut self, offset: i16) -> [u64; 2] {
        let prediction = self.reference.first_chunk().expect("the reference has some rows");
        let divisor = divisor(QUANTIZER, offset);
        let mut masks = [0; 2];
        for pair in 0..3 {
            let levels = self.levels.each_mut().map(|levels| &mut levels.levels);
            let source = self.source.rows(128 * pair);
            let quantize = self.kernels.quantize_2;
            masks = quantize(source, prediction, &divisor, &mut self.coefficients, levels)
                .map(|block| block.mask);
        }
        masks
    }

    /// The inverse transform of six blocks whose last coefficient is `last`.
    fn inverse(&mut self, last: u32) -> u64 {
        for bi in 0..6 {
            (self.kernels.inverse_add)(&self.inverse_input, last, &mut self.prediction.0[BLOCK_START[bi]..]);
        }
        0
    }

    fn rows(&self) -> Rows<'_> {
        (&self.reference, REFERENCE_STRIDE)
    }

    /// The luma blocks of the source.
    fn blocks(&self) -> [Rows<'_>; 4] {
        [0, 1, 2, 3].map(|bi| (&self.source.0[BLOCK_START[bi]..], STRIDE))
    }
}

fn sum(values: impl IntoIterator<Item = u32>) -> u64 {
    values.into_iter().map(u64::from).sum()
}
