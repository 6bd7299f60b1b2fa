//! AVX2.

use super::{INTEGER, Kernels, LANES, NUDGE, Power43, Powers, scalar};
use crate::header::BlockType;
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
        measure: enter!(measure, (magnitude: &[f32], power34: &[f32], steps: [f32; 2], power43: &Power43, values: &mut [u16]) -> (f32, f32)),
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

#[inline]
#[target_feature(enable = "avx2")]
fn store_8(values: &mut [u16], x: __m128i) {
    let values = &mut values[..LANES];
    // SAFETY: the slice has the 16 bytes that are written.
    unsafe { _mm_storeu_si128(values.as_mut_ptr().cast(), x) }
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
fn measure(
    magnitude: &[f32],
    power34: &[f32],
    [inverse_step, step]: [f32; 2],
    power43: &Power43,
    values: &mut [u16],
) -> (f32, f32) {
    let (inverse_step, step) = (_mm256_set1_ps(inverse_step), _mm256_set1_ps(step));
    let (mut noise, mut kept) = (_mm256_setzero_ps(), _mm256_setzero_ps());
    let last = _mm256_set1_epi32(power43.len() as i32 - 1);
    let lines = magnitude.chunks_exact(LANES).zip(power34.chunks_exact(LANES));
    for ((x, power), values) in lines.zip(values.chunks_exact_mut(LANES)) {
        let x = load(x);
        let scaled = _mm256_mul_ps(load(power), inverse_step);
        let rounded = _mm256_add_ps(_mm256_sub_ps(scaled, _mm256_set1_ps(NUDGE)), _mm256_set1_ps(INTEGER));
        let integers = _mm256_and_si256(_mm256_castps_si256(rounded), _mm256_set1_epi32(0xFFFF));
        let packed =
            _mm_packus_epi32(_mm256_castsi256_si128(integers), _mm256_extracti128_si256::<1>(integers));
        store_8(values, packed);
        let index = _mm256_min_epi32(integers, last);
        // SAFETY: the indices are from 0 to the table's last.
        let y = unsafe { _mm256_i32gather_ps::<4>(power43.as_ptr(), index) };
        let y = _mm256_mul_ps(y, step);
        let error = _mm256_sub_ps(x, y);
        noise = _mm256_add_ps(noise, _mm256_mul_ps(error, error));
        kept = _mm256_add_ps(kept, _mm256_mul_ps(y, y));
    }
    (sum(noise), sum(kept))
}
