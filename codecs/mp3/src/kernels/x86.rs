//! AVX2.

use super::{INTEGER, Kernels, LANES, NUDGE, Pairs, Power43, Powers, scalar};
use crate::header::BlockType;
use crate::layout::MAX_WIDTH;
use crate::mdct::Mdct;
use crate::psycho::{Partitions, Resolution};
use crate::subband::{Polyphase, Subbands};
use crate::tables::LINES;
use oggflv_common::simd::{Isa, Level};
use std::arch::x86_64::*;

/// The inner loops for AVX2, which `level` proves that the processor has.
pub(super) fn kernels(level: Level) -> Kernels {
    assert!(level.isa() == Isa::Avx2);
    /// Makes a plain function of one that needs AVX2.
    macro_rules! enter {
        ($kernel:path, ($($name:ident: $kind:ty),*) $(-> $result:ty)?) => {{
            #[target_feature(enable = "avx2")]
            fn compiled($($name: $kind),*) $(-> $result)? {
                $kernel($($name),*)
            }
            fn enter($($name: $kind),*) $(-> $result)? {
                // SAFETY: `enter` only gets out through `kernels`, which has seen a level that proves AVX2.
                unsafe { compiled($($name),*) }
            }
            enter
        }};
    }
    Kernels {
        powers: enter!(scalar::powers, (magnitude: &[f32], power34: &mut [f32]) -> Powers),
        measure: enter!(measure::<1>, (magnitude: &[f32], power34: &[f32], steps: [[f32; 2]; 1], power43: &Power43, pairs: &mut [Pairs; 1]) -> [[f32; 2]; 1]),
        measure_three: enter!(measure::<3>, (magnitude: &[f32], power34: &[f32], steps: [[f32; 2]; 3], power43: &Power43, pairs: &mut [Pairs; 3]) -> [[f32; 2]; 3]),
        polyphase: enter!(Polyphase::analyse, (bank: &Polyphase, pcm: &[f32], out: &mut Subbands)),
        mdct: enter!(Mdct::transform, (mdct: &Mdct, previous: &Subbands, current: &Subbands, block_type: BlockType, out: &mut [f32; LINES])),
        energies: enter!(Resolution::energies, (resolution: &Resolution, pcm: &[&[f32]]) -> [Partitions; 2]),
        thresholds: enter!(Resolution::thresholds, (resolution: &Resolution, energies: &Partitions) -> Partitions),
    }
}

/// Eight numbers, the first eight of a slice.
#[inline]
#[target_feature(enable = "avx2")]
fn load(x: &[f32]) -> __m256 {
    let x = &x[..LANES];
    // SAFETY: the slice has the 32 bytes that are read.
    unsafe { _mm256_loadu_ps(x.as_ptr()) }
}

/// The sum of the lanes, as `scalar::sum` adds them.
#[inline]
#[target_feature(enable = "avx2")]
fn sum(x: __m256) -> f32 {
    let halves = _mm_add_ps(_mm256_castps256_ps128(x), _mm256_extractf128_ps::<1>(x));
    let quarters = _mm_add_ps(halves, _mm_movehl_ps(halves, halves));
    _mm_cvtss_f32(_mm_add_ss(quarters, _mm_shuffle_ps::<1>(quarters, quarters)))
}

#[inline]
#[target_feature(enable = "avx2")]
fn measure<const STEPS: usize>(
    magnitude: &[f32],
    power34: &[f32],
    steps: [[f32; 2]; STEPS],
    power43: &Power43,
    pairs: &mut [Pairs; STEPS],
) -> [[f32; 2]; STEPS] {
    let mut vectors = [[_mm256_setzero_ps(); 2]; STEPS];
    for i in 0..STEPS {
        vectors[i] = [_mm256_set1_ps(steps[i][0]), _mm256_set1_ps(steps[i][1])];
    }
    let mut sums = [[_mm256_setzero_ps(); 2]; STEPS];
    let last = _mm256_set1_epi32(power43.len() as i32 - 1);
    // Bytes 0 and 8 of either half.
    let bytes = _mm256_set1_epi64x(0x0800);
    let lines = magnitude.chunks_exact(LANES).zip(power34.chunks_exact(LANES));
    for ((x, power), place) in lines.zip((0..MAX_WIDTH / 2).step_by(LANES / 2)) {
        let (x, power) = (load(x), load(power));
        for i in 0..STEPS {
            let scaled = _mm256_mul_ps(power, vectors[i][0]);
            let rounded =
                _mm256_add_ps(_mm256_sub_ps(scaled, _mm256_set1_ps(NUDGE)), _mm256_set1_ps(INTEGER));
            let values = _mm256_and_si256(_mm256_castps_si256(rounded), _mm256_set1_epi32(0xFFFF));
            let capped = _mm256_min_epi32(values, _mm256_set1_epi32(15));
            let joined = _mm256_or_si256(_mm256_slli_epi64::<4>(capped), _mm256_srli_epi64::<32>(capped));
            let joined = _mm256_shuffle_epi8(joined, bytes);
            let joined =
                _mm_unpacklo_epi16(_mm256_castsi256_si128(joined), _mm256_extracti128_si256::<1>(joined));
            pairs[i][place..][..LANES / 2].copy_from_slice(&_mm_cvtsi128_si32(joined).to_le_bytes());
            let index = _mm256_min_epi32(values, last);
            // SAFETY: the indices are from 0 to the table's last.
            let y = unsafe { _mm256_i32gather_ps::<4>(power43.as_ptr(), index) };
            let y = _mm256_mul_ps(y, vectors[i][1]);
            let error = _mm256_sub_ps(x, y);
            sums[i][0] = _mm256_add_ps(sums[i][0], _mm256_mul_ps(error, error));
            sums[i][1] = _mm256_add_ps(sums[i][1], _mm256_mul_ps(y, y));
        }
    }
    let mut energies = [[0.0; 2]; STEPS];
    for i in 0..STEPS {
        energies[i] = [sum(sums[i][0]), sum(sums[i][1])];
    }
    energies
}
