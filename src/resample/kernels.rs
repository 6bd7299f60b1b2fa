//! The sum that every output sample is, for each level of vector instructions.

use oggflv_common::simd::{Isa, Level};

/// Partial sums that a weighted sum is made of, lane by lane; the taps are a multiple of it.
pub(super) const LANES: usize = 16;

/// The sums of the source samples of `N` channels weighted by as many weights, made of [`LANES`] partial sums that are
/// added in fixed order: one that vector units of any width can keep.
pub(super) type WeightedSums<const N: usize> = fn(sources: [&[f32]; N], weights: &[f32]) -> [f32; N];

/// The sums at one level.
#[derive(Clone, Copy, Debug)]
pub(super) struct Kernels {
    pub(super) one: WeightedSums<1>,
    /// Of two channels, for which weights are loaded once.
    pub(super) two: WeightedSums<2>,
}

impl Kernels {
    /// The fastest that a level has. SSE2 and NEON belong to their architectures, where the compiler makes vectors of the
    /// plain loop by itself.
    pub(super) fn new(level: Level) -> Self {
        match level.isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86::avx2(level),
            _ => Self { one: scalar::weighted_sums, two: scalar::weighted_sums },
        }
    }
}

/// What the others compute, bit for bit.
mod scalar {
    use super::LANES;

    pub(super) fn weighted_sums<const N: usize>(sources: [&[f32]; N], weights: &[f32]) -> [f32; N] {
        let mut results = [0.0; N];
        for (result, source) in results.iter_mut().zip(sources) {
            let mut sums = [0.0; 4];
            partial_sums(source, weights, &mut sums);
            *result = (sums[0] + sums[2]) + (sums[1] + sums[3]);
        }
        results
    }

    /// Not inlined: next to the final sum the compiler would split the vectors to suit that.
    #[inline(never)]
    fn partial_sums(source: &[f32], weights: &[f32], sums: &mut [f32; 4]) {
        let mut lanes = [0.0; LANES];
        for (source, weights) in source.chunks_exact(LANES).zip(weights.chunks_exact(LANES)) {
            for lane in 0..LANES {
                lanes[lane] += source[lane] * weights[lane];
            }
        }
        for lane in 0..4 {
            sums[lane] = (lanes[lane] + lanes[lane + 8]) + (lanes[lane + 4] + lanes[lane + 12]);
        }
    }
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // Loads of vectors go through pointers.
mod x86 {
    use std::arch::x86_64::*;

    use oggflv_common::simd::{Isa, Level};

    use super::{Kernels, LANES};

    /// The sums for AVX2, which the level proves to be there.
    pub(super) fn avx2(level: Level) -> Kernels {
        assert!(level.isa() == Isa::Avx2);
        Kernels {
            // SAFETY: `level` proves that the machine has AVX2.
            one: |sources, weights| unsafe { weighted_sums(sources, weights) },
            // SAFETY: `level` proves that the machine has AVX2.
            two: |sources, weights| unsafe { weighted_sums(sources, weights) },
        }
    }

    #[target_feature(enable = "avx2")]
    fn weighted_sums<const N: usize>(sources: [&[f32]; N], weights: &[f32]) -> [f32; N] {
        let weights = chunks(weights);
        let mut channels = [weights; N];
        for (channel, source) in channels.iter_mut().zip(sources) {
            // As many as there are weights, which spares the loop its checks.
            *channel = &chunks(source)[..weights.len()];
        }
        let mut lanes = [[_mm256_setzero_ps(); 2]; N];
        for i in 0..weights.len() {
            for half in 0..2 {
                let weights = load(&weights[i][half]);
                for (lanes, channel) in lanes.iter_mut().zip(channels) {
                    let product = _mm256_mul_ps(load(&channel[i][half]), weights);
                    lanes[half] = _mm256_add_ps(lanes[half], product);
                }
            }
        }
        let mut results = [0.0; N];
        for (result, lanes) in results.iter_mut().zip(lanes) {
            let sums = _mm256_add_ps(lanes[0], lanes[1]);
            let sums = _mm_add_ps(_mm256_castps256_ps128(sums), _mm256_extractf128_ps::<1>(sums));
            let sums = _mm_add_ps(sums, _mm_movehl_ps(sums, sums));
            *result = _mm_cvtss_f32(_mm_add_ss(sums, _mm_movehdup_ps(sums)));
        }
        results
    }

    /// [`LANES`] numbers at a time.
    fn chunks(x: &[f32]) -> &[[[f32; 8]; LANES / 8]] {
        x.as_chunks().0.as_chunks().0
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(x: &[f32; 8]) -> __m256 {
        // SAFETY: the array has the 32 bytes that are read.
        unsafe { _mm256_loadu_ps(x.as_ptr()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_are_the_same_at_every_level() {
        let mut state = 1u32;
        let mut random = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Of all magnitudes, so that another order gives another sum.
            let magnitude = 2f32.powi((state >> 8 & 15) as i32 - 8);
            ((state >> 12) as f32 / 524_288.0 - 1.0) * magnitude
        };
        let mut numbers = |count: usize| -> Vec<f32> { (0..count).map(|_| random()).collect() };
        let mut largest = 0f32;
        for taps in (0..20).chain([144, 2000]).map(|n| n * LANES) {
            let (a, b, weights) = (numbers(taps), numbers(taps), numbers(taps));
            let expected = scalar::weighted_sums([&a, &b], &weights).map(f32::to_bits);
            largest = largest.max(f32::from_bits(expected[0]).abs());
            for level in Level::available() {
                let kernels = Kernels::new(level);
                let both = (kernels.two)([&a, &b], &weights).map(f32::to_bits);
                let [first] = (kernels.one)([&a], &weights).map(f32::to_bits);
                assert_eq!((both, first), (expected, expected[0]), "{} {taps}", level.name());
            }
        }
        assert!(largest > 100.0, "{largest}");
    }
}
