//! Mode decision: of the ways to code a macroblock, the one with the least distortion plus lambda times bits.
//!
//! Costs are 64 times squared errors plus lambda times bits. Errors of coefficients count as those of samples, since
//! the transform is orthonormal; coefficients are scaled by 8, which gives the 64.

use crate::block::Levels;
use crate::encoder::{Aim, Coding};
use crate::kernels::{Block, Kernels, Quantized, STRIDE};
use crate::macroblock::{Macroblock, MbType, wrap_mvd};
use crate::motion::half_pel::predict_macroblock;
use crate::motion::search::{Found, Search, mvd_bits};
use crate::motion::{Mv, MvLimits};
use crate::picture::PictureType;
use crate::planes::{BLOCK_START, MbSamples};
use crate::quant::{SCALE_BITS, dequantize, dequantize_block, quantize_intra_dc};
use crate::tables::{CBPY, Code, MCBPC_I, MCBPC_P};
use crate::trellis::Trellis;

/// A way to code a macroblock.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(crate) macroblock: Macroblock,
    prediction: MbSamples,
    quantizer: u8,
    cost: i64,
}

impl Candidate {
    /// Makes the prediction what a decoder shows, unless the macroblock is skipped.
    pub(crate) fn reconstruct(&mut self, kernels: &Kernels) -> &MbSamples {
        let intra = self.macroblock.mb_type == MbType::Intra;
        for (levels, start) in self.macroblock.levels.iter().zip(BLOCK_START) {
            if intra || levels.mask != 0 {
                let coefficients = dequantize_block(levels, self.quantizer, intra);
                let last = (levels.mask | 1).ilog2();
                (kernels.inverse_add)(&coefficients, last, &mut self.prediction.0[start..]);
            }
        }
        &self.prediction
    }
}

/// The best candidate so far, and room for another one.
#[derive(Clone, Debug)]
pub(crate) struct Candidates {
    pub(crate) best: Box<Candidate>,
    trial: Box<Candidate>,
    work: Box<Workspace>,
}

/// Room for what is in work of a candidate.
#[derive(Clone, Debug)]
struct Workspace {
    coefficients: [Block; 2],
    trellis: Trellis,
}

impl Candidates {
    pub(crate) fn new() -> Self {
        let none = Box::new(Candidate {
            macroblock: Macroblock::skipped(),
            prediction: MbSamples::ZERO,
            quantizer: 0,
            cost: 0,
        });
        let work = Workspace { coefficients: [[0; 64]; 2], trellis: Trellis::new() };
        Self { best: none.clone(), trial: none, work: Box::new(work) }
    }

    /// Keeps the trial if it costs less.
    fn keep_cheaper(&mut self) {
        if self.trial.cost < self.best.cost {
            std::mem::swap(&mut self.best, &mut self.trial);
        }
    }
}

/// The macroblock being decided on.
#[derive(Clone, Copy)]
pub(crate) struct Decision<'a> {
    coding: &'a Coding<'a>,
    mb_x: usize,
    mb_y: usize,
    source: &'a MbSamples,
    /// The part of the macroblock that is shown, in luma samples.
    visible: (usize, usize),
    limits: MvLimits,
    /// Whether no vector but zero is tried.
    still: bool,
    /// Where the macroblock seems to come from.
    seed: Mv,
    /// Quantiser of the macroblock before, and the wanted change.
    quantizer: u8,
    dquant: i8,
    lambda: i32,
    /// The same by squared errors of chroma, which count more.
    chroma_lambda: i32,
    /// 16 times the absolute error that a bit is worth.
    motion_lambda: u32,
}

impl<'a> Decision<'a> {
    /// `quantizer` is that of the macroblock before. `source` is the macroblock of the source.
    pub(crate) fn new(
        coding: &'a Coding<'a>,
        source: &'a MbSamples,
        (mb_x, mb_y): (usize, usize),
        quantizer: u8,
        aim: Aim,
    ) -> Self {
        let visible = ((coding.width - 16 * mb_x).min(16), (coding.height - 16 * mb_y).min(16));
        let limits = MvLimits::new(mb_x, mb_y, coding.width, coding.height);
        let wanted = aim.quantizer;
        let difference = i32::from(wanted) - 16 * i32::from(quantizer);
        let dquant = if difference.abs() < coding.effort.dquant_above {
            0
        } else {
            ((i32::from(wanted) + 8) / 16 - i32::from(quantizer)).clamp(-2, 2) as i8
        };
        let lambda = coding.effort.lambda * i32::from(wanted).pow(2) / 256;
        let chroma_lambda = 16 * lambda / coding.effort.chroma;
        let motion_lambda = coding.effort.motion_lambda * u32::from(wanted) / 16;
        Self {
            coding,
            mb_x,
            mb_y,
            source,
            visible,
            limits,
            still: aim.still && coding.effort.trusts_lookahead,
            seed: aim.mv,
            quantizer,
            dquant,
            lambda,
            chroma_lambda,
            motion_lambda,
        }
    }

    /// The quantiser after DQUANT.
    fn changed_quantizer(&self) -> u8 {
        self.quantizer.saturating_add_signed(self.dquant)
    }

    /// Decides in an I picture, or where a macroblock must be refreshed.
    pub(crate) fn intra(&self, candidates: &mut Candidates) {
        self.code_intra(i64::MAX, &mut candidates.best, &mut candidates.work);
        self.try_quantizers(candidates);
    }

    /// Decides in a P picture.
    pub(crate) fn inter(&self, candidates: &mut Candidates) {
        let effort = self.coding.effort;
        self.skip(&mut candidates.best);
        let skip_cost = candidates.best.cost;
        let is_below = |bits: i64| skip_cost < i64::from(self.lambda) * bits;
        if is_below(effort.early_skip) || self.still && is_below(effort.still_skip) {
            return;
        }
        if self.still {
            self.try_inter(MbType::Inter, [Mv::ZERO; 4], candidates);
            return;
        }
        let predictor = self.coding.motion.predict(self.mb_x, self.mb_y, 0, &[Mv::ZERO; 4]);
        let intra_above = self.intra_above();
        let found = self.search_macroblock(predictor, intra_above);
        if found.mv == Mv::ZERO && is_below(effort.unmoved_skip) {
            return;
        }
        if effort.intra_certain.is_none_or(|eighths| 8 * found.cost < eighths * intra_above) {
            self.try_vectors(found.mv, predictor, candidates);
        }
        if found.cost > intra_above {
            let Candidates { best, trial, work } = candidates;
            self.code_intra(best.cost, trial, work);
            candidates.keep_cheaper();
        }
        self.try_quantizers(candidates);
    }

    /// Codes the best so far with the other quantisers that DQUANT reaches, if the preset wants that.
    ///
    /// Where a picture was compressed before, some quantisers meet its levels.
    fn try_quantizers(&self, candidates: &mut Candidates) {
        let Macroblock { mb_type, mvs, .. } = candidates.best.macroblock;
        let can_change = matches!(mb_type, MbType::Intra | MbType::Inter);
        if !can_change || !self.coding.effort.more_quantizers {
            return;
        }
        for dquant in (-2..=2).filter(|&dquant| dquant != self.dquant) {
            let decision = Self { dquant, ..*self };
            if !(1..=31).contains(&decision.changed_quantizer()) {
                continue;
            }
            let Candidates { best, trial, work } = candidates;
            if mb_type == MbType::Intra {
                decision.code_intra(best.cost, trial, work);
            } else {
                decision.code_inter(mb_type, mvs, trial, work);
            }
            candidates.keep_cheaper();
        }
    }

    /// What the cost of a vector must exceed for INTRA to be tried.
    fn intra_above(&self) -> u32 {
        let activity = (self.coding.kernels.activity_16)(self.source.luma());
        16 * (activity + self.coding.effort.intra_bias)
    }

    /// Tries the vector that was found, and what the preset wants beside.
    fn try_vectors(&self, found: Mv, predictor: Mv, candidates: &mut Candidates) {
        let effort = self.coding.effort;
        self.try_inter(MbType::Inter, [found; 4], candidates);
        if effort.more_vectors {
            // The vectors of least bits may win where the search saw only differences.
            for mv in [predictor, Mv::ZERO] {
                if mv != found && self.limits.contain(mv) {
                    self.try_inter(MbType::Inter, [mv; 4], candidates);
                }
            }
        }
        if effort.four_vectors_above.is_some_and(|bits| candidates.best.cost > bits * i64::from(self.lambda))
        {
            let mvs = self.search_blocks(found);
            self.try_inter(MbType::Inter4V, mvs, candidates);
        }
    }

    /// Codes the macroblock with the given vectors, and keeps that if it costs less.
    fn try_inter(&self, mb_type: MbType, mvs: [Mv; 4], candidates: &mut Candidates) {
        self.code_inter(mb_type, mvs, &mut candidates.trial, &mut candidates.work);
        candidates.keep_cheaper();
    }

    /// Skips the macroblock; its samples stay in the reference.
    fn skip(&self, out: &mut Candidate) {
        out.macroblock.reset(MbType::Skipped);
        out.quantizer = self.quantizer;
        let Coding { kernels, reference, .. } = self.coding;
        let error = if self.visible == (16, 16) {
            let errors =
                (kernels.squared_errors_16)(&self.source.0, reference.macroblock(self.mb_x, self.mb_y));
            64 * i64::from(errors[0]) + self.chroma_error(64 * i64::from(errors[1]))
        } else {
            predict_macroblock(kernels, reference, self.mb_x, self.mb_y, &[Mv::ZERO; 4], &mut out.prediction);
            self.visible_error(&out.prediction)
        };
        out.cost = error + i64::from(self.lambda);
    }

    /// Codes the macroblock intra, unless it is found to cost more than `limit` on the way.
    fn code_intra(&self, limit: i64, out: &mut Candidate, work: &mut Workspace) {
        let macroblock = &mut out.macroblock;
        macroblock.reset(MbType::Intra);
        macroblock.dquant = self.dquant;
        out.quantizer = self.changed_quantizer();
        out.prediction = MbSamples::ZERO;
        let changed = usize::from(self.dquant != 0);
        let (cod, mcbpc) = match self.coding.picture_type {
            PictureType::I => (0, &MCBPC_I[changed]),
            PictureType::P => (1, &MCBPC_P[3 + changed]),
        };
        // What is certain, without those of MCBPC and CBPY.
        let bits = cod + 48 + 2 * changed as i64;
        let (mut cost, mut gains) = (i64::from(self.lambda) * bits, [0; 6]);
        // No pattern gains more than all that blocks gain.
        let mut most_gain = 0;
        for pair in 0..3 {
            let samples = [self.source, &out.prediction];
            let quantized = self.quantize(pair, samples, out.quantizer, true, &mut macroblock.levels, work);
            for (bi, quantized) in (2 * pair..).zip(quantized) {
                let levels = &mut macroblock.levels[bi];
                if self.block_is_visible(bi) {
                    gains[bi] = self.gain(bi, quantized, out.quantizer, true, levels, work);
                    most_gain += i64::from(gains[bi].min(0));
                } else {
                    levels.mask = 0;
                }
                let first = work.coefficients[bi % 2][0];
                levels.levels[0] = quantize_intra_dc(first);
                cost += self.intra_error(quantized.energy, first, levels.levels[0], bi);
            }
            if cost + most_gain >= limit {
                out.cost = i64::MAX;
                return;
            }
        }
        out.cost = cost + self.choose_pattern(macroblock, &gains, mcbpc, 0);
    }

    /// 64 times the squared error of a block of coefficients without any but INTRADC.
    fn intra_error(&self, energy: u32, first: i16, intra_dc: i16, bi: usize) -> i64 {
        let square = |c: i32| i64::from(c * c);
        let first = i32::from(first);
        let error = i64::from(energy) - square(first) + square(first - 64 * i32::from(intra_dc));
        if bi < 4 { error } else { self.chroma_error(error) }
    }

    fn search_macroblock(&self, predictor: Mv, intra_above: u32) -> Found {
        let hopeless = self.coding.effort.hopeless.map_or(u32::MAX, |times| times * intra_above);
        let search = Search { hopeless, ..self.search(0, predictor) };
        if !self.coding.effort.more_seeds {
            return search.macroblock(&[predictor, self.seed, Mv::ZERO]);
        }
        let [a, b, c] = self.coding.motion.candidates(self.mb_x, self.mb_y, 0, &[Mv::ZERO; 4]);
        let before = self.coding.last_motion.get(self.mb_x, self.mb_y)[0];
        search.macroblock(&[predictor, self.seed, Mv::ZERO, a, b, c, before])
    }

    /// Searches a vector for each luma block, from that of the macroblock on.
    fn search_blocks(&self, seed: Mv) -> [Mv; 4] {
        let mut mvs = [Mv::ZERO; 4];
        for bi in 0..4 {
            let predictor = self.coding.motion.predict(self.mb_x, self.mb_y, bi, &mvs);
            mvs[bi] = self.search(bi, predictor).block(&[seed, predictor]).mv;
        }
        mvs
    }

    fn search(&self, bi: usize, predictor: Mv) -> Search<'_> {
        Search {
            kernels: self.coding.kernels,
            source: self.source,
            reference: &self.coding.reference.planes[0],
            x: 16 * self.mb_x + 8 * (bi % 2),
            y: 16 * self.mb_y + 8 * (bi / 2),
            start: BLOCK_START[bi],
            limits: self.limits,
            predictor,
            lambda: self.motion_lambda,
            satd: self.coding.effort.satd,
            hopeless: u32::MAX,
            good: self.coding.effort.good_seed * self.motion_lambda,
        }
    }

    /// Codes the macroblock with the given vectors.
    fn code_inter(&self, mb_type: MbType, mvs: [Mv; 4], out: &mut Candidate, work: &mut Workspace) {
        let macroblock = &mut out.macroblock;
        macroblock.reset(mb_type);
        macroblock.mvs = mvs;
        let mut bits = 1;
        for bi in 0..if mb_type == MbType::Inter4V { 4 } else { 1 } {
            let predictor = self.coding.motion.predict(self.mb_x, self.mb_y, bi, &mvs);
            let mvd = Mv { x: wrap_mvd(mvs[bi].x - predictor.x), y: wrap_mvd(mvs[bi].y - predictor.y) };
            macroblock.mvds[bi] = mvd;
            bits += mvd_bits(mvd, Mv::ZERO);
        }
        let prediction = &mut out.prediction;
        predict_macroblock(
            self.coding.kernels,
            self.coding.reference,
            self.mb_x,
            self.mb_y,
            &mvs,
            prediction,
        );
        let (edge, mut source) = (self.visible != (16, 16), self.source);
        let cheap_edge;
        if edge {
            cheap_edge = self.source_with_cheap_edge(prediction);
            source = &cheap_edge;
        }
        let errors = (self.coding.kernels.squared_errors)(&source.0, &prediction.0);
        // INTER4V cannot change the quantiser.
        let (quantizer, dquant) = match mb_type {
            MbType::Inter => (self.changed_quantizer(), self.dquant),
            _ => (self.quantizer, 0),
        };
        let mut gains = [0; 6];
        let negligible = [
            negligible_error(quantizer, self.lambda, self.coding.effort.negligible),
            negligible_error(quantizer, self.chroma_lambda, 5),
        ];
        for pair in 0..3 {
            let blocks = [2 * pair, 2 * pair + 1];
            let negligible = negligible[pair / 2];
            if blocks.iter().all(|&bi| errors[bi] <= negligible) {
                continue;
            }
            let quantized =
                self.quantize(pair, [source, prediction], quantizer, false, &mut macroblock.levels, work);
            for (bi, quantized) in blocks.into_iter().zip(quantized) {
                let levels = &mut macroblock.levels[bi];
                if errors[bi] > negligible && self.block_is_visible(bi) {
                    gains[bi] = self.gain(bi, quantized, quantizer, false, levels, work);
                } else {
                    levels.mask = 0;
                }
            }
        }
        let row = if mb_type == MbType::Inter4V { 2 } else { usize::from(dquant != 0) };
        let mut pattern = self.choose_pattern(macroblock, &gains, &MCBPC_P[row], 15);
        if dquant != 0 {
            if macroblock.coded_block_pattern() == 0 {
                // Nothing to change the quantiser for.
                pattern = self.choose_pattern(macroblock, &[0; 6], &MCBPC_P[0], 15);
            } else {
                macroblock.dquant = dquant;
                bits += 2;
            }
        }
        out.quantizer = quantizer;
        let error = if edge { self.visible_error(prediction) } else { self.weighted_sum(&errors) };
        out.cost = error + pattern + i64::from(self.lambda) * i64::from(bits);
    }

    /// Transforms and quantises the differences of a pair of blocks.
    fn quantize(
        &self,
        pair: usize,
        [source, prediction]: [&MbSamples; 2],
        quantizer: u8,
        intra: bool,
        levels: &mut [Levels; 6],
        work: &mut Workspace,
    ) -> [Quantized; 2] {
        let [first, second] = levels[2 * pair..].first_chunk_mut().expect("there are three pairs").each_mut();
        let quantized = (self.coding.kernels.quantize_2)(
            source.rows(128 * pair),
            prediction.rows(128 * pair),
            &self.coding.divisors[usize::from(quantizer)][usize::from(intra)],
            &mut work.coefficients,
            [&mut first.levels, &mut second.levels],
        );
        first.set_mask(quantized[0].mask, usize::from(intra));
        second.set_mask(quantized[1].mask, usize::from(intra));
        quantized
    }

    /// What the levels of a block gain over no coefficients, as [`Trellis::optimize`] does.
    fn gain(
        &self,
        bi: usize,
        quantized: Quantized,
        quantizer: u8,
        intra: bool,
        levels: &mut Levels,
        work: &mut Workspace,
    ) -> i32 {
        let Workspace { coefficients, trellis } = work;
        let coefficients = &coefficients[bi % 2];
        if levels.mask == 0 {
            return 0;
        }
        let (lambda, first) = (if bi < 4 { self.lambda } else { self.chroma_lambda }, usize::from(intra));
        let gain = if self.coding.effort.trellis {
            trellis.optimize(coefficients, quantizer, lambda, first, levels)
        } else {
            // What became of INTRADC does not count.
            let coded = i32::from(dequantize(levels.levels[0], quantizer)) << SCALE_BITS;
            let others = coded * (coded - 2 * i32::from(coefficients[0])) * first as i32;
            quantized.gain - others + lambda * levels.bits(first) as i32
        };
        if bi < 4 { gain } else { self.chroma_error(gain.into()) as i32 }
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
        let (luma, cbpy) = self.choose::<16>(&gains[..4], |pattern| CBPY[pattern ^ invert].len);
        let (chroma, cbpc) = self.choose::<4>(&gains[4..], |pattern| mcbpc[pattern].len);
        let pattern = cbpy << 2 | cbpc;
        for (bi, levels) in macroblock.levels.iter_mut().enumerate() {
            levels.mask &= ((pattern >> (5 - bi) & 1) as u64).wrapping_neg();
        }
        luma + chroma
    }

    /// The best of the patterns of blocks with these gains, whose bits are `bits`; the first block is the highest bit.
    ///
    /// All are compared as numbers that hold the pattern in their low bits, which takes no branches.
    #[inline(always)]
    fn choose<const PATTERNS: usize>(&self, gains: &[i32], bits: impl Fn(usize) -> u8) -> (i64, usize) {
        let lambda = i64::from(self.lambda);
        if gains.iter().all(|&gain| gain >= 0) {
            return (lambda * i64::from(bits(0)), 0);
        }
        let mut sums = [0; PATTERNS];
        for (i, &gain) in gains.iter().rev().enumerate() {
            // No pattern with a block that gains nothing is better than the one without any.
            let gain = i64::from(if gain < 0 { gain } else { i32::MAX });
            for pattern in 0..1 << i {
                sums[pattern | 1 << i] = sums[pattern] + gain;
            }
        }
        let cost = |pattern: usize| {
            (sums[pattern] + lambda * i64::from(bits(pattern))) * PATTERNS as i64 + pattern as i64
        };
        let best = (1..PATTERNS).map(cost).fold(cost(0), i64::min);
        (best.div_euclid(PATTERNS as i64), best.rem_euclid(PATTERNS as i64) as usize)
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

    /// 64 times the sum of squared errors, from those of the blocks.
    fn weighted_sum(&self, errors: &[u32; 6]) -> i64 {
        let sum = |errors: &[u32]| 64 * i64::from(errors.iter().sum::<u32>());
        sum(&errors[..4]) + self.chroma_error(sum(&errors[4..]))
    }

    /// What a squared error of chroma counts.
    fn chroma_error(&self, error: i64) -> i64 {
        error * i64::from(self.coding.effort.chroma) / 16
    }

    /// The same where not all is shown.
    fn visible_error(&self, prediction: &MbSamples) -> i64 {
        // What is not shown has no errors.
        let mut source = prediction.clone();
        for (start, width, height) in self.visible_parts() {
            for at in (0..height).map(|y| start + y * STRIDE) {
                source.0[at..][..width].copy_from_slice(&self.source.0[at..][..width]);
            }
        }
        self.weighted_sum(&(self.coding.kernels.squared_errors)(&source.0, &prediction.0))
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
}

/// The squared error of a block up to which no level is worth so many `bits`.
fn negligible_error(quantizer: u8, lambda: i32, bits: u32) -> u32 {
    let worth = bits * lambda as u32 / 64;
    // Divisors have a dead zone of two steps.
    let least = 2 * u32::from(quantizer);
    worth.max(least * least)
}
