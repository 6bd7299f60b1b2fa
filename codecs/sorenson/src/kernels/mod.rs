//! The inner loops, chosen once for the processor. `scalar` defines each one; the others give the same results.

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)] // instructions of NEON
mod aarch64;
pub(crate) mod scalar;
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[allow(unsafe_code)] // rows of samples, once they are known to be there
mod vector;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // vector loads and stores, and entering code that was compiled for AVX2
mod x86;

use oggflv_common::simd::{Isa, Level};

/// Coefficients or their quantised levels, column by column: index `8 u + v`, `u` being the horizontal frequency.
pub(crate) type Block = [i16; 64];

/// Distance of rows in a macroblock's own samples.
pub(crate) const STRIDE: usize = 16;

/// A fraction of a vector in half samples: bit 0 is horizontal, bit 1 vertical.
pub(crate) type Fraction = usize;

/// How a quantiser divides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Divisor {
    /// 65536 over the step, rounded up.
    pub(crate) reciprocal: u16,
    /// Added to each magnitude before, less than the step; what falls below 0 becomes 0.
    pub(crate) offset: i16,
    /// Quotients end here.
    pub(crate) most: u16,
    /// What a level stands for is its magnitude times `step`, plus `rest` unless it is zero.
    pub(crate) step: i16,
    pub(crate) rest: i16,
}

/// What is known of a block after it was quantised.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Quantized {
    /// Bit i is set if level i is not zero.
    pub(crate) mask: u64,
    /// The sum of squared coefficients.
    pub(crate) energy: u32,
    /// How much the sum of squared errors changes by all levels, from that without any.
    pub(crate) gain: i32,
}

/// Samples, and how far apart their rows are.
pub(crate) type Rows<'a> = (&'a [u8], usize);

/// The same to be written.
pub(crate) type RowsMut<'a> = (&'a mut [u8], usize);

/// Three places in a reference.
pub(crate) type Places<'a> = [&'a [u8]; 3];

/// Samples of two blocks side by side.
pub(crate) type PairSamples = [u8; 128];

/// Room for the levels of two blocks.
pub(crate) type PairLevels<'a> = [&'a mut Block; 2];

/// The kernels for one level. Rows of samples without a stride are [`STRIDE`] apart; those of a reference are `stride`
/// apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Kernels {
    /// Sum of absolute differences between 16x16 samples and a reference.
    pub(crate) sad_16: fn(&[u8; 256], reference: &[u8], stride: usize) -> u32,
    /// The same for three places in a reference.
    pub(crate) sads_16: fn(&[u8; 256], Places<'_>, stride: usize) -> [u32; 3],
    /// The same for one place, of the reference between samples.
    pub(crate) sad_16_half: fn(&[u8; 256], reference: &[u8], stride: usize, Fraction) -> u32,
    /// The same for the four places beside one, which has a row and a column before it: above, left, right, below. They
    /// are a sample away, or half a sample.
    pub(crate) sad_16_beside: fn(&[u8; 256], reference: &[u8], stride: usize, half: bool) -> [u32; 4],
    /// Sum of absolute differences between 8x8 samples.
    pub(crate) sad_8: fn(Rows<'_>, Rows<'_>) -> u32,
    /// The same for three places in a reference.
    pub(crate) sads_8: fn(Rows<'_>, Places<'_>, stride: usize) -> [u32; 3],
    /// The same for the four places beside one, as in [`Self::sad_16_beside`].
    pub(crate) sad_8_beside: fn(Rows<'_>, reference: Rows<'_>, half: bool) -> [u32; 4],
    /// A quarter of the sum of the absolute Hadamard coefficients of the differences of 8x8 samples, over 16x16 samples
    /// and a reference, interpolated.
    pub(crate) satd_16: fn(&[u8; 256], reference: &[u8], stride: usize, Fraction) -> u32,
    /// The same between 8x8 samples.
    pub(crate) satd_8: fn(Rows<'_>, Rows<'_>) -> u32,
    /// Sum of absolute differences of the four 8x8 blocks from their means.
    pub(crate) activity_16: fn(&[u8; 256]) -> u32,
    /// Sum of absolute differences of 8x8 samples from their mean.
    pub(crate) deviation_8: fn(Rows<'_>) -> u32,
    /// A quarter of the sum of the absolute Hadamard coefficients of 8x8 samples less their mean.
    pub(crate) activity_8: fn(Rows<'_>) -> u32,
    /// Copies 16x16 samples of a reference, interpolated.
    pub(crate) predict_16: fn(reference: &[u8], stride: usize, Fraction, &mut [u8; 256]),
    /// Copies a macroblock: 16x16, 8x8 and 8x8 samples.
    pub(crate) copy: fn([Rows<'_>; 3], [RowsMut<'_>; 3]),
    /// Copies 8x8 samples of a reference, interpolated, to rows [`STRIDE`] apart.
    pub(crate) predict_8: fn(reference: &[u8], stride: usize, Fraction, &mut [u8]),
    /// Transforms the differences of two blocks side by side, and divides their coefficients, which are orthonormal ones
    /// times 8.
    pub(crate) quantize_2:
        fn(&PairSamples, &PairSamples, &Divisor, &mut [Block; 2], PairLevels<'_>) -> [Quantized; 2],
    /// Adds the inverse transform of coefficients (-2047 to 2047) to 8x8 samples. In the order of transmission, those
    /// after `last` are zero.
    pub(crate) inverse_add: fn(&Block, last: u32, &mut [u8]),
    /// Means of 2x2 samples of two rows, which have at least twice as many.
    pub(crate) halve: fn(top: &[u8], bottom: &[u8], &mut [u8]),
    /// Sums of squared differences of the six blocks of a macroblock.
    pub(crate) squared_errors: fn(&[u8; 384], &[u8; 384]) -> [u32; 6],
    /// Sums of squared differences of luma and of chroma between a macroblock and the planes of a reference.
    pub(crate) squared_errors_16: fn(&[u8; 384], [Rows<'_>; 3]) -> [u32; 2],
}

impl Kernels {
    /// The kernels for `level`.
    pub(crate) fn new(level: Level) -> Self {
        let scalar = Self {
            sad_16: scalar::sad_16,
            sads_16: scalar::sads_16,
            sad_16_half: scalar::sad_16_half,
            sad_16_beside: scalar::sad_16_beside,
            sad_8: scalar::sad_8,
            sads_8: scalar::sads_8,
            sad_8_beside: scalar::sad_8_beside,
            satd_16: scalar::satd_16,
            satd_8: scalar::satd_8,
            activity_16: scalar::activity_16,
            deviation_8: scalar::deviation_8,
            activity_8: scalar::activity_8,
            predict_16: scalar::predict_16,
            predict_8: scalar::predict_8,
            copy: scalar::copy,
            quantize_2: scalar::quantize_2,
            inverse_add: scalar::inverse_add,
            halve: scalar::halve,
            squared_errors: scalar::squared_errors,
            squared_errors_16: scalar::squared_errors_16,
        };
        match level.isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::Sse2 => vector::kernels::<x86::Sse2>(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86::avx2(level),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => vector::kernels::<aarch64::Neon>(),
            _ => scalar,
        }
    }
}

#[cfg(test)]
mod tests;
