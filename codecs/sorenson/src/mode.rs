//! Mode decision: of the ways to code a macroblock, the one with the least distortion plus lambda times bits.

use crate::dct::forward;
use crate::encoder::Coding;
use crate::macroblock::{Macroblock, MbType, wrap_mvd};
use crate::motion::half_pel::predict_macroblock;
use crate::motion::search::Search;
use crate::motion::{Mv, MvLimits};
use crate::planes::{BLOCK_LAYOUT, MbSamples};
use crate::quant::{dequantize_block, quantize, quantize_intra_dc};
use crate::recon::{add_residual, residual};
use oggflv_common::BitCounter;

/// Dead zones in sixteenths of a step: what is taken off a coefficient before it is divided.
const INTRA_DEAD_ZONE: i32 = 1;
const INTER_DEAD_ZONE: i32 = 4;

/// SAD by which INTRA must seem better than INTER before it is tried.
const INTRA_BIAS: u32 = 500;

/// A way to code a macroblock.
pub(crate) struct Candidate {
    pub(crate) macroblock: Macroblock,
    pub(crate) reconstruction: MbSamples,
    /// 256 times the squared error plus lambda times the bits.
    cost: u64,
}

/// The macroblock being decided on.
pub(crate) struct Decision<'a> {
    coding: &'a Coding<'a>,
    mb_x: usize,
    mb_y: usize,
    source: MbSamples,
    /// The part of the macroblock that is shown, in luma samples.
    visible: (usize, usize),
}

impl<'a> Decision<'a> {
    pub(crate) fn new(coding: &'a Coding<'a>, mb_x: usize, mb_y: usize) -> Self {
        let source = MbSamples::load(coding.source, mb_x, mb_y);
        let visible = ((coding.width - 16 * mb_x).min(16), (coding.height - 16 * mb_y).min(16));
        Self { coding, mb_x, mb_y, source, visible }
    }

    /// Decides in an I picture, or where a macroblock must be refreshed.
    pub(crate) fn intra(&self) -> Candidate {
        let mut macroblock = Macroblock::skipped();
        macroblock.mb_type = MbType::Intra;
        let mut reconstruction = MbSamples::new();
        let quantizer = self.coding.quantizer;
        for bi in 0..6 {
            let coefficients = forward(&residual(&self.source, &reconstruction, bi));
            let levels = &mut macroblock.levels[bi];
            if self.block_is_visible(bi) {
                *levels = quantize(&coefficients, quantizer, INTRA_DEAD_ZONE, 1);
            }
            levels[0] = quantize_intra_dc(coefficients[0]);
            let mut dequantized = dequantize_block(levels, quantizer, 1);
            dequantized[0] = 8 * levels[0];
            add_residual(&mut reconstruction, bi, &dequantized);
        }
        self.weigh(macroblock, reconstruction)
    }

    /// Decides in a P picture.
    pub(crate) fn inter(&self) -> Candidate {
        let skipped = self.weigh(Macroblock::skipped(), self.predict(&[Mv::ZERO; 4]));
        let own = [Mv::ZERO; 4];
        let predictor = self.coding.motion.predict(self.mb_x, self.mb_y, 0, &own);
        let found = {
            let [a, b, c] = self.coding.motion.candidates(self.mb_x, self.mb_y, 0, &own);
            let before = self.coding.last_motion.get(self.mb_x, self.mb_y)[0];
            self.search(0, predictor).run::<16>(&[predictor, Mv::ZERO, a, b, c, before])
        };
        let mut best = cheaper(skipped, self.inter_with(MbType::Inter, [found.mv; 4]));
        if found.cost > 16 * 64 * u32::from(self.coding.quantizer) {
            best = cheaper(best, self.inter_4v(found.mv));
        }
        if 16 * (self.intra_activity() + INTRA_BIAS) < found.cost {
            best = cheaper(best, self.intra());
        }
        best
    }

    /// Searches a vector for each luma block, from that of the macroblock on.
    fn inter_4v(&self, seed: Mv) -> Candidate {
        let mut mvs = [Mv::ZERO; 4];
        for bi in 0..4 {
            let predictor = self.coding.motion.predict(self.mb_x, self.mb_y, bi, &mvs);
            mvs[bi] = self.search(bi, predictor).run::<8>(&[seed, predictor]).mv;
        }
        self.inter_with(MbType::Inter4V, mvs)
    }

    fn search(&self, bi: usize, predictor: Mv) -> Search<'_> {
        Search {
            source: &self.coding.source.planes[0],
            reference: &self.coding.reference.planes[0],
            x: 16 * self.mb_x + 8 * (bi % 2),
            y: 16 * self.mb_y + 8 * (bi / 2),
            limits: MvLimits::new(self.mb_x, self.mb_y, self.coding.width, self.coding.height),
            predictor,
            lambda: self.coding.motion_lambda,
        }
    }

    fn predict(&self, mvs: &[Mv; 4]) -> MbSamples {
        predict_macroblock(self.coding.reference, self.mb_x, self.mb_y, mvs)
    }

    /// Codes the macroblock with the given vectors.
    fn inter_with(&self, mb_type: MbType, mvs: [Mv; 4]) -> Candidate {
        let mut macroblock = Macroblock::skipped();
        macroblock.mb_type = mb_type;
        macroblock.mvs = mvs;
        for bi in 0..4 {
            let predictor = self.coding.motion.predict(self.mb_x, self.mb_y, bi, &mvs);
            let difference =
                |component: fn(&Mv) -> i16| wrap_mvd(component(&mvs[bi]) - component(&predictor));
            macroblock.mvds[bi] = Mv { x: difference(|mv| mv.x), y: difference(|mv| mv.y) };
        }
        let mut reconstruction = self.predict(&mvs);
        let quantizer = self.coding.quantizer;
        for bi in (0..6).filter(|&bi| self.block_is_visible(bi)) {
            let coefficients = forward(&residual(&self.source, &reconstruction, bi));
            let levels = quantize(&coefficients, quantizer, INTER_DEAD_ZONE, 0);
            if levels.iter().any(|&level| level != 0) {
                add_residual(&mut reconstruction, bi, &dequantize_block(&levels, quantizer, 0));
                macroblock.levels[bi] = levels;
            }
        }
        self.weigh(macroblock, reconstruction)
    }

    /// Whether any sample of block `bi` is shown.
    fn block_is_visible(&self, bi: usize) -> bool {
        bi >= 4 || 8 * (bi % 2) < self.visible.0 && 8 * (bi / 2) < self.visible.1
    }

    fn weigh(&self, macroblock: Macroblock, reconstruction: MbSamples) -> Candidate {
        let mut counter = BitCounter::new();
        macroblock.write(&mut counter, self.coding.picture_type);
        let cost = 256 * self.squared_error(&reconstruction) + self.coding.lambda * counter.bits();
        Candidate { macroblock, reconstruction, cost }
    }

    /// Sum of the squared errors that are shown.
    fn squared_error(&self, reconstruction: &MbSamples) -> u64 {
        let (width, height) = self.visible;
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        let planes = [
            (0, 16, width, height),
            (256, 8, chroma_width, chroma_height),
            (320, 8, chroma_width, chroma_height),
        ];
        let mut sum = 0;
        for (start, stride, width, height) in planes {
            for y in 0..height {
                let at = start + y * stride;
                let rows = self.source.0[at..][..width].iter().zip(&reconstruction.0[at..][..width]);
                sum += rows.map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum::<u32>();
            }
        }
        sum.into()
    }

    /// Sum of the absolute differences of luma from the means of its blocks.
    fn intra_activity(&self) -> u32 {
        (0..4)
            .map(|bi| {
                let (start, stride) = BLOCK_LAYOUT[bi];
                let rows = || (0..8).flat_map(|y| &self.source.0[start + y * stride..][..8]);
                let mean = (rows().map(|&s| u32::from(s)).sum::<u32>() + 32) / 64;
                rows().map(|&s| u32::from(s).abs_diff(mean)).sum::<u32>()
            })
            .sum()
    }
}

/// The candidate of lower cost; the first one if they are equal.
fn cheaper(a: Candidate, b: Candidate) -> Candidate {
    if b.cost < a.cost { b } else { a }
}
