//! The inner loops over samples, for each level of vector instructions.
//!
//! `scalar` defines what the others compute, sample for sample.

#[cfg(target_arch = "aarch64")]
mod aarch64;
#[cfg(target_arch = "x86_64")]
mod filter_four;
pub(crate) mod scalar;
#[cfg(target_arch = "x86_64")]
mod x86;

use oggflv_common::simd::{Isa, Level};

use crate::parse::Reference;
use crate::tables::ZIG_ZAG;

/// Where the coefficient of each zig-zag index is kept in `Coefficients`: transposed, that is column by column. Each
/// row of the memory then holds one input of all eight row transforms, as vectors want it.
pub(crate) const TRANSPOSED_ZIG_ZAG: [u8; 64] = {
    let mut transposed = [0; 64];
    let mut zzi = 0;
    while zzi < 64 {
        transposed[zzi] = ZIG_ZAG[zzi] % 8 * 8 + ZIG_ZAG[zzi] / 8;
        zzi += 1;
    }
    transposed
};

/// Dequantized coefficients of a block, transposed. All are zero between two blocks: who uses them clears them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[repr(align(32))]
pub(crate) struct Coefficients(pub(crate) [i16; 64]);

/// What a block is predicted from: blocks at the start of slices, whose rows are `stride` apart.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Prediction<'a> {
    /// The constant 128 of the intra predictor.
    Intra,
    /// The whole-pixel predictor.
    Whole { block: &'a [u8], stride: usize },
    /// The half-pixel predictor: the mean of two blocks, rounded down.
    Half { blocks: [&'a [u8]; 2], strides: [usize; 2] },
}

/// A row of blocks for the loop filter.
#[derive(Clone, Copy, Debug)]
pub(crate) struct FilterRow<'a> {
    /// Samples in a row of the plane, a multiple of 8; also the distance of rows.
    pub(crate) stride: usize,
    /// Index in the plane of the row's top left sample.
    pub(crate) top: usize,
    /// The row's blocks.
    pub(crate) row: &'a [Reference],
    /// The blocks above, if there are any.
    pub(crate) above: Option<&'a [Reference]>,
    /// Whether there are blocks below.
    pub(crate) has_below: bool,
    /// The loop filter limit, 1 to 127.
    pub(crate) limit: u8,
}

impl FilterRow<'_> {
    /// Panics unless all samples that filtering this row touches are in a plane of `length` samples: eight rows of
    /// `stride` samples, and two more above and below where there are blocks. The number of blocks fits as well.
    fn check(&self, length: usize) {
        assert!(self.row.len() * 8 == self.stride);
        assert!(self.above.is_none_or(|above| above.len() == self.row.len() && self.top >= 2 * self.stride));
        let below = if self.has_below { 10 } else { 8 };
        assert!(self.top.checked_add(below * self.stride).is_some_and(|end| end <= length));
    }
}

/// The inner loops at one level.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernels {
    /// Makes the block at the start of a slice, whose rows are `stride` apart, from its prediction and coefficients.
    /// Only the coefficients up to the given zig-zag index may differ from zero; they are cleared.
    pub(crate) reconstruct: fn(&mut [u8], usize, &Prediction<'_>, &mut Coefficients, u8),
    /// The same with a residual that is constant over the block.
    pub(crate) reconstruct_dc: fn(&mut [u8], usize, &Prediction<'_>, i16),
    /// Filters the edges of a row of blocks in a plane.
    pub(crate) filter_row: fn(&mut [u8], &FilterRow<'_>),
}

impl Kernels {
    /// The inner loops for a level.
    pub(crate) fn new(level: Level) -> Self {
        match level.isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::Sse2 => x86::sse2(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86::avx2(level),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => aarch64::neon(),
            _ => Self {
                reconstruct: scalar::reconstruct,
                reconstruct_dc: scalar::reconstruct_dc,
                filter_row: scalar::filter_row,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A generator of numbers that are the same everywhere.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((self.0 >> 33) as usize) % limit
        }

        /// Anything, often the extremes.
        fn sample(&mut self) -> u8 {
            match self.below(4) {
                0 => [0, 255][self.below(2)],
                _ => self.below(256) as u8,
            }
        }

        fn coefficient(&mut self) -> i16 {
            let value = self.below(1 << 16) as u16 as i16;
            match self.below(5) {
                0 => [i16::MIN, i16::MAX, -1, 1, 0][self.below(5)],
                1 => value,
                _ => value >> (4 + self.below(8)),
            }
        }
    }

    /// Every level but scalar, with its name.
    fn levels() -> Vec<(&'static str, Kernels)> {
        let levels = Level::available().into_iter().filter(|&level| level != Level::SCALAR);
        levels.map(|level| (level.name(), Kernels::new(level))).collect()
    }

    fn predictions(samples: &[u8]) -> [Prediction<'_>; 4] {
        let (a, b, c) = (samples, &samples[100..], &samples[333..]);
        [
            Prediction::Intra,
            Prediction::Whole { block: a, stride: 21 },
            Prediction::Half { blocks: [a, b], strides: [40, 40] },
            Prediction::Half { blocks: [c, b], strides: [8, 16] },
        ]
    }

    #[test]
    fn every_level_reconstructs_like_scalar() {
        let scalar = Kernels::new(Level::SCALAR);
        let mut random = Random(1);
        for round in 0..20_000 {
            let samples: Vec<u8> = (0..600).map(|_| random.sample()).collect();
            let prediction = predictions(&samples)[round % 4];
            let last = [0, 1, 2, 3, 9, 10, 30, 63][random.below(8)];
            let mut coefficients = Coefficients([0; 64]);
            for zzi in 0..=usize::from(last) {
                coefficients.0[usize::from(TRANSPOSED_ZIG_ZAG[zzi])] = random.coefficient();
            }
            let dc = random.coefficient();
            let stride = [8, 13, 40][random.below(3)];
            let target: Vec<u8> = (0..7 * stride + 8).map(|_| random.sample()).collect();
            let (mut expected, mut expected_dc) = (target.clone(), target.clone());
            (scalar.reconstruct)(&mut expected, stride, &prediction, &mut coefficients.clone(), last);
            (scalar.reconstruct_dc)(&mut expected_dc, stride, &prediction, dc);
            for (name, kernels) in levels() {
                let (mut actual, mut actual_dc) = (target.clone(), target.clone());
                let mut used = coefficients.clone();
                (kernels.reconstruct)(&mut actual, stride, &prediction, &mut used, last);
                assert_eq!(actual, expected, "{name}: {prediction:?}, {coefficients:?}");
                assert_eq!(used.0, [0; 64], "{name} clears the coefficients");
                (kernels.reconstruct_dc)(&mut actual_dc, stride, &prediction, dc);
                assert_eq!(actual_dc, expected_dc, "{name}: {prediction:?}, {dc}");
            }
        }
    }

    #[test]
    fn every_level_filters_like_scalar() {
        let scalar = Kernels::new(Level::SCALAR);
        let mut random = Random(2);
        for round in 0..5000 {
            let columns = [1 + random.below(9), 60 + random.below(20)][usize::from(round % 16 == 0)];
            let stride = columns * 8;
            let smooth = random.below(2) * 100;
            let plane: Vec<u8> = (0..24 * stride)
                .map(|_| if smooth > 0 { (smooth + random.below(20)) as u8 } else { random.sample() })
                .collect();
            let density = 1 + random.below(4);
            let flags: Vec<Reference> = (0..2 * columns)
                .map(|_| if random.below(density) == 0 { Reference::Intra } else { Reference::None })
                .collect();
            let row = random.below(3);
            let filter = FilterRow {
                stride,
                top: row * 8 * stride,
                row: &flags[..columns],
                above: (row > 0).then_some(&flags[columns..]),
                has_below: row < 2,
                limit: 1 + (round % 127) as u8,
            };
            let mut expected = plane.clone();
            (scalar.filter_row)(&mut expected, &filter);
            for (name, kernels) in levels() {
                let mut actual = plane.clone();
                (kernels.filter_row)(&mut actual, &filter);
                assert_eq!(actual, expected, "{name}: {filter:?}");
            }
        }
    }

    #[test]
    fn slices_that_are_too_short_are_refused() {
        for kernels in Level::available().into_iter().map(Kernels::new) {
            let refuses = |length: usize, prediction: Prediction<'_>| {
                let mut target = vec![0; length];
                let constant = std::panic::catch_unwind(move || {
                    (kernels.reconstruct_dc)(&mut target, 10, &prediction, 1);
                });
                let mut target = vec![0; length];
                let full = std::panic::catch_unwind(move || {
                    (kernels.reconstruct)(&mut target, 10, &prediction, &mut Coefficients([1; 64]), 63);
                });
                constant.is_err() && full.is_err()
            };
            assert!(!refuses(78, Prediction::Intra));
            assert!(refuses(77, Prediction::Intra));
            assert!(refuses(78, Prediction::Whole { block: &[0; 77], stride: 10 }));
            let blocks: [&[u8]; 2] = [&[0; 78], &[0; 77]];
            assert!(refuses(78, Prediction::Half { blocks, strides: [10, 10] }));
            let filter = FilterRow {
                stride: 16,
                top: 0,
                row: &[Reference::Intra; 2],
                above: None,
                has_below: true,
                limit: 3,
            };
            let filters = |length: usize, filter: FilterRow<'_>| {
                std::panic::catch_unwind(|| (kernels.filter_row)(&mut vec![0; length], &filter)).is_ok()
            };
            assert!(filters(160, filter));
            assert!(!filters(159, filter));
            assert!(!filters(160, FilterRow { stride: 24, ..filter }));
            assert!(!filters(500, FilterRow { top: 31, above: Some(&[Reference::None; 2]), ..filter }));
        }
    }
}
