//! Mode decision: of the ways to code a macroblock, the one with the least distortion plus lambda times bits.
//!
//! Costs are 64 times squared errors plus lambda times bits. Errors of coefficients count as those of samples, since
//! the transform is orthonormal; coefficients are scaled by 8, which gives the 64.

use crate::block::Levels;
use crate::encoder::Coding;
use crate::kernels::{Block, STRIDE};
use crate::macroblock::{Macroblock, MbType, wrap_mvd};
use crate::motion::half_pel::predict_macroblock;
use crate::motion::search::{Found, Search, mvd_bits};
use crate::motion::{Mv, MvLimits};
use crate::picture::PictureType;
use crate::planes::{BLOCK_START, MbSamples};
use crate::quant::{SCALE_BITS, dequantize, dequantize_block, quantize, quantize_intra_dc};
use crate::tables::{CBPY, Code, MCBPC_I, MCBPC_P};
use crate::{
    block::{SCAN, TCOEF_BITS},
    trellis,
};

/// A way to code a macroblock.
pub(crate) struct Candidate {
    pub(crate) macroblock: Macroblock,
    prediction: MbSamples,
    cost: i64,
}

/// The macroblock being decided on.
pub(crate) struct Decision<'a> {
    coding: &'a Coding<'a>,
    mb_x: usize,
    mb_y: usize,
    source: MbSamples,
    /// The part of the macroblock that is shown, in luma samples.
    visible: (usize, usize),
    limits: MvLimits,
    lambda: i32,
}

impl<'a> Decision<'a> {
    pub(crate) fn new(coding: &'a Coding<'a>, mb_x: usize, mb_y: usize) -> Self {
        let source = MbSamples::load(coding.source, mb_x, mb_y);
        let visible = ((coding.width - 16 * mb_x).min(16), (coding.height - 16 * mb_y).min(16));
        let limits = MvLimits::new(mb_x, mb_y, coding.width, coding.height);
        Self { coding, mb_x, mb_y, source, visible, limits, lambda: coding.lambda }
    }

    /// Decides in an I picture, or where a macroblock must be refreshed.
    pub(crate) fn intra(&self) -> Candidate {
        let mut macroblock = Macroblock::skipped();
        macroblock.mb_type = MbType::Intra;
        let prediction = MbSamples::ZERO;
        let coefficients = self.transform(&self.source, &prediction);
        let (mut base, mut gains) = (0, [0; 6]);
        for (bi, block) in coefficients.iter().flatten().enumerate() {
            let levels = &mut macroblock.levels[bi];
            if self.block_is_visible(bi) {
                gains[bi] = self.quantize(block, true, levels);
            }
            let dc = quantize_intra_dc(block[0]);
            levels.levels[0] = dc;
            base += i64::from(i32::from(block[0]) - 64 * i32::from(dc)).pow(2);
            base += block[1..].iter().map(|&c| i64::from(i32::from(c).pow(2))).sum::<i64>();
        }
        let (cod, mcbpc) = match self.coding.picture_type {
            PictureType::I => (0, &MCBPC_I[0]),
            PictureType::P => (1, &MCBPC_P[3]),
        };
        let pattern = self.choose_pattern(&mut macroblock, &gains, mcbpc, 0);
        Candidate { macroblock, prediction, cost: base + pattern + i64::from(self.lambda) * (cod + 48) }
    }

    /// Decides in a P picture.
    pub(crate) fn inter(&self) -> Candidate {
        let effort = self.coding.effort;
        let skipped = self.skipped();
        if skipped.cost < i64::from(self.lambda) * effort.early_skip {
            return skipped;
        }
        let own = [Mv::ZERO; 4];
        let predictor = self.coding.motion.predict(self.mb_x, self.mb_y, 0, &own);
        let found = self.search_macroblock(predictor);
        let mut best = cheaper(skipped, self.inter_with(MbType::Inter, [found.mv; 4]));
        if effort.four_vectors && found.cost > effort.four_vectors_above * u32::from(self.coding.quantizer) {
            best = cheaper(best, self.inter_4v(found.mv));
        }
        if 16 * (self.intra_activity() + effort.intra_bias) < found.cost {
            best = cheaper(best, self.intra());
        }
        best
    }

    /// What a decoder makes of the candidate.
    pub(crate) fn reconstruct(&self, candidate: Candidate) -> (Macroblock, MbSamples) {
        let Candidate { macroblock, prediction: mut samples, .. } = candidate;
        let intra = macroblock.mb_type == MbType::Intra;
        for (levels, start) in macroblock.levels.iter().zip(BLOCK_START) {
            if intra || levels.mask != 0 {
                let coefficients = dequantize_block(levels, self.coding.quantizer, intra);
                (self.coding.kernels.inverse_add)(&coefficients, &mut samples.0[start..]);
            }
        }
        (macroblock, samples)
    }

    fn skipped(&self) -> Candidate {
        let prediction = MbSamples::load(self.coding.reference, self.mb_x, self.mb_y);
        let cost = self.squared_error(&prediction) + i64::from(self.lambda);
        Candidate { macroblock: Macroblock::skipped(), prediction, cost }
    }

    fn search_macroblock(&self, predictor: Mv) -> Found {
        let [a, b, c] = self.coding.motion.candidates(self.mb_x, self.mb_y, 0, &[Mv::ZERO; 4]);
        let before = self.coding.last_motion.get(self.mb_x, self.mb_y)[0];
        self.search(0, predictor).macroblock(&[predictor, Mv::ZERO, a, b, c, before])
    }

    /// Searches a vector for each luma block, from that of the macroblock on.
    fn inter_4v(&self, seed: Mv) -> Candidate {
        let mut mvs = [Mv::ZERO; 4];
        for bi in 0..4 {
            let predictor = self.coding.motion.predict(self.mb_x, self.mb_y, bi, &mvs);
            mvs[bi] = self.search(bi, predictor).block(&[seed, predictor]).mv;
        }
        self.inter_with(MbType::Inter4V, mvs)
    }

    fn search(&self, bi: usize, predictor: Mv) -> Search<'_> {
        Search {
            kernels: self.coding.kernels,
            source: &self.source,
            reference: &self.coding.reference.planes[0],
            x: 16 * self.mb_x + 8 * (bi % 2),
            y: 16 * self.mb_y + 8 * (bi / 2),
            start: BLOCK_START[bi],
            limits: self.limits,
            predictor,
            lambda: self.coding.motion_lambda,
            satd: self.coding.effort.satd,
        }
    }

    /// Codes the macroblock with the given vectors.
    fn inter_with(&self, mb_type: MbType, mvs: [Mv; 4]) -> Candidate {
        let mut macroblock = Macroblock::skipped();
        (macroblock.mb_type, macroblock.mvs) = (mb_type, mvs);
        let mut bits = 1;
        for bi in 0..if mb_type == MbType::Inter4V { 4 } else { 1 } {
            let predictor = self.coding.motion.predict(self.mb_x, self.mb_y, bi, &mvs);
            let mvd = Mv { x: wrap_mvd(mvs[bi].x - predictor.x), y: wrap_mvd(mvs[bi].y - predictor.y) };
            macroblock.mvds[bi] = mvd;
            bits += mvd_bits(mvd, Mv::ZERO);
        }
        let prediction =
            predict_macroblock(self.coding.kernels, self.coding.reference, self.mb_x, self.mb_y, &mvs);
        let coefficients = if self.visible == (16, 16) {
            self.transform(&self.source, &prediction)
        } else {
            self.transform(&self.source_with_cheap_edge(&prediction), &prediction)
        };
        let mut gains = [0; 6];
        for bi in (0..6).filter(|&bi| self.block_is_visible(bi)) {
            gains[bi] = self.quantize(&coefficients[bi / 2][bi % 2], false, &mut macroblock.levels[bi]);
        }
        let row = if mb_type == MbType::Inter4V { 2 } else { 0 };
        let pattern = self.choose_pattern(&mut macroblock, &gains, &MCBPC_P[row], 15);
        let cost = self.squared_error(&prediction) + pattern + i64::from(self.lambda) * i64::from(bits);
        Candidate { macroblock, prediction, cost }
    }

    /// Transforms the differences of all six blocks.
    fn transform(&self, source: &MbSamples, prediction: &MbSamples) -> [[Block; 2]; 3] {
        let mut coefficients = [[[0; 64]; 2]; 3];
        for (i, pair) in coefficients.iter_mut().enumerate() {
            (self.coding.kernels.forward_2)(source.rows(128 * i), prediction.rows(128 * i), pair);
        }
        coefficients
    }

    /// Quantises a block; returns the gain over no coefficients, as [`trellis::optimize`] does.
    fn quantize(&self, coefficients: &Block, intra: bool, levels: &mut Levels) -> i32 {
        let coding = self.coding;
        let divisor = if intra { coding.intra_divisor } else { coding.inter_divisor };
        quantize(coding.kernels, coefficients, divisor, intra, levels);
        if coding.effort.trellis {
            trellis::optimize(coefficients, coding.quantizer, self.lambda, usize::from(intra), levels)
        } else {
            self.gain(coefficients, intra, levels)
        }
    }

    /// What levels gain over no coefficients.
    fn gain(&self, coefficients: &Block, intra: bool, levels: &Levels) -> i32 {
        let (mut mask, mut next, mut gain) = (levels.mask, usize::from(intra), 0);
        while mask != 0 {
            let position = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let at = usize::from(SCAN[position]);
            let (c, level) = (i32::from(coefficients[at]), levels.levels[at]);
            let error = c - (i32::from(dequantize(level, self.coding.quantizer)) << SCALE_BITS);
            let magnitude = usize::from(level.unsigned_abs()).min(64);
            let bits = TCOEF_BITS[usize::from(mask == 0)][position - next][magnitude];
            gain += error * error - c * c + self.lambda * i32::from(bits);
            next = position + 1;
        }
        gain
    }

    /// Drops the blocks that cost more than they gain, the pattern taken into account; returns what is gained.
    /// CBPY is inverted by `invert`.
    fn choose_pattern(
        &self,
        macroblock: &mut Macroblock,
        gains: &[i32; 6],
        mcbpc: &[Code; 4],
        invert: usize,
    ) -> i64 {
        let choose = |blocks: &[i32], bits: &dyn Fn(usize) -> u8| {
            (0..1 << blocks.len())
                .filter_map(|pattern: usize| {
                    let mut sum = i64::from(self.lambda) * i64::from(bits(pattern));
                    for (i, gain) in blocks.iter().rev().enumerate() {
                        if pattern >> i & 1 != 0 {
                            if *gain == 0 {
                                return None;
                            }
                            sum += i64::from(*gain);
                        }
                    }
                    Some((sum, pattern))
                })
                .min()
                .unwrap_or((0, 0))
        };
        let (luma, cbpy) = choose(&gains[..4], &|pattern| CBPY[pattern ^ invert].len);
        let (chroma, cbpc) = choose(&gains[4..], &|pattern| mcbpc[pattern].len);
        for bi in 0..6 {
            if (cbpy << 2 | cbpc) >> (5 - bi) & 1 == 0 {
                macroblock.levels[bi].mask = 0;
            }
        }
        luma + chroma
    }

    /// Whether any sample of block `bi` is shown.
    fn block_is_visible(&self, bi: usize) -> bool {
        bi >= 4 || 8 * (bi % 2) < self.visible.0 && 8 * (bi / 2) < self.visible.1
    }

    /// The visible size of the parts of a macroblock, and where they begin.
    fn visible_parts(&self) -> [(usize, usize, usize); 3] {
        let (width, height) = self.visible;
        let (chroma_width, chroma_height) = (width.div_ceil(2), height.div_ceil(2));
        [(0, width, height), (256, chroma_width, chroma_height), (264, chroma_width, chroma_height)]
    }

    /// 64 times the sum of the squared errors that are shown.
    fn squared_error(&self, prediction: &MbSamples) -> i64 {
        if self.visible == (16, 16) {
            return 64 * i64::from((self.coding.kernels.squared_error)(&self.source.0, &prediction.0));
        }
        let mut sum = 0;
        for (start, width, height) in self.visible_parts() {
            for y in 0..height {
                let at = start + y * STRIDE;
                let rows = self.source.0[at..][..width].iter().zip(&prediction.0[at..][..width]);
                sum += rows.map(|(a, b)| i64::from(a.abs_diff(*b)).pow(2)).sum::<i64>();
            }
        }
        64 * sum
    }

    /// The source with other samples where they are not shown: their differences from the prediction repeat those at
    /// the edge, which takes the fewest coefficients.
    fn source_with_cheap_edge(&self, prediction: &MbSamples) -> MbSamples {
        let mut source = self.source.clone();
        for ((start, width, height), size) in self.visible_parts().into_iter().zip([16, 8, 8]) {
            for y in 0..size {
                for x in 0..size {
                    if x >= width || y >= height {
                        let edge = start + y.min(height - 1) * STRIDE + x.min(width - 1);
                        let at = start + y * STRIDE + x;
                        let difference = i16::from(self.source.0[edge]) - i16::from(prediction.0[edge]);
                        source.0[at] = (i16::from(prediction.0[at]) + difference).clamp(0, 255) as u8;
                    }
                }
            }
        }
        source
    }

    /// Sum of the absolute differences of luma from the means of its blocks.
    fn intra_activity(&self) -> u32 {
        BLOCK_START[..4]
            .iter()
            .map(|start| {
                let samples = || (0..8).flat_map(|y| &self.source.0[start + y * STRIDE..][..8]);
                let mean = (samples().map(|&s| u32::from(s)).sum::<u32>() + 32) / 64;
                samples().map(|&s| u32::from(s).abs_diff(mean)).sum::<u32>()
            })
            .sum()
    }
}

/// The candidate of lower cost; the first one if they are equal.
fn cheaper(a: Candidate, b: Candidate) -> Candidate {
    if b.cost < a.cost { b } else { a }
}
