//! What the presets mean.

use crate::config::Preset;

/// How hard to try.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    /// Whether levels are chosen by [`crate::trellis`].
    pub(crate) trellis: bool,
    /// What is added to inter and intra coefficients before division, in 1/32 of a step; 0 gives the nearest level
    /// (0 aside), and more than that is worth no bits to the trellis.
    pub(crate) offsets: [i16; 2],
    /// Whether differences that the lookahead estimates are Hadamard-transformed.
    pub(crate) hadamard_ahead: bool,
    /// Whether a search begins at the vectors of macroblocks beside and before, too.
    pub(crate) more_seeds: bool,
    /// Whether half-sample vectors are judged by Hadamard-transformed differences.
    pub(crate) satd: bool,
    /// Whether the predicted and the zero vector are coded for comparison.
    pub(crate) more_vectors: bool,
    /// Cost of one vector, in bits, above which INTER4V is tried.
    pub(crate) four_vectors_above: Option<i64>,
    /// Whether what stands in the lookahead is not searched.
    pub(crate) trusts_lookahead: bool,
    /// Cost of skipping, in bits, below which nothing else is tried.
    pub(crate) early_skip: i64,
    /// The same where the lookahead says that the macroblock stands.
    pub(crate) still_skip: i64,
    /// The same where the search finds that it does not move.
    pub(crate) unmoved_skip: i64,
    /// How many times as large, in eighths, as what INTRA must beat a difference is for which INTER is not tried.
    pub(crate) intra_certain: Option<u32>,
    /// The same of the best seed, in whole numbers, for which the search takes no steps.
    pub(crate) hopeless: Option<u32>,
    /// Difference by which INTRA must seem better than INTER before it is tried.
    pub(crate) intra_bias: u32,
    /// Squared error of a luma block, in bits, up to which it gets no coefficients. Those of a block take five bits.
    pub(crate) negligible: u32,
    /// Cost of a vector, in bits, below which no wide search follows.
    pub(crate) good_seed: u32,
    /// Difference from the wanted quantiser, in 1/16, from which on DQUANT is used.
    pub(crate) dquant_above: i32,
    /// 64 times the squared error that a bit is worth, over the square of the quantiser.
    pub(crate) lambda: i32,
    /// Whether every quantiser that DQUANT reaches is tried.
    pub(crate) more_quantizers: bool,
    /// How much squared errors of chroma count, in 1/16 of those of luma.
    pub(crate) chroma: i32,
    /// 16 times the absolute error that a bit is worth, over the quantiser.
    pub(crate) motion_lambda: u32,
}

impl Preset {
    pub(crate) fn effort(self) -> Effort {
        let best = Effort {
            trellis: true,
            offsets: [0, 0],
            hadamard_ahead: true,
            more_seeds: true,
            satd: true,
            more_vectors: true,
            four_vectors_above: Some(60),
            trusts_lookahead: false,
            early_skip: 10,
            still_skip: 0,
            unmoved_skip: 0,
            intra_certain: None,
            hopeless: None,
            intra_bias: 0,
            negligible: 5,
            good_seed: 0,
            dquant_above: 12,
            lambda: 66,        // 1.03
            motion_lambda: 18, // about its root
            more_quantizers: true,
            chroma: 26,
        };
        match self {
            Self::Best => best,
            Self::Balanced => Effort {
                more_seeds: false,
                more_vectors: false,
                four_vectors_above: None,
                trusts_lookahead: true,
                early_skip: 50,
                good_seed: 100,
                more_quantizers: false,
                lambda: 54, // 0.85
                chroma: 24,
                ..best
            },
            Self::Fast => Effort {
                trellis: false,
                offsets: [-8, 0],
                hadamard_ahead: false,
                more_seeds: false,
                satd: false,
                more_vectors: false,
                four_vectors_above: None,
                trusts_lookahead: true,
                early_skip: 100,
                still_skip: 1000,
                unmoved_skip: 200,
                intra_certain: Some(11),
                hopeless: Some(2),
                intra_bias: 200,
                negligible: 20,
                good_seed: 1 << 16, // more than any costs
                more_quantizers: false,
                lambda: 54, // 0.85
                chroma: 64,
                ..best
            },
        }
    }
}
