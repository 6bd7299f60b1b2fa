//! The passes in vector instructions of x86-64.

use std::arch::x86_64::*;

use oggflv_common::simd::{Isa, Level};

use super::{
    Dots, FourGroups, Groups, Halves, Kernels, Lanes, Quads, Rows, STRIP, Sixteen, Strips, Sum, Tap,
    halve_blocks, scalar,
};

/// What is added to a sum of weighted samples before it is shifted: 128, which samples between the passes lack, and
/// one half.
const HALF: i32 = (128 << 21) + (1 << 20);

/// The kernels for SSE2.
pub(super) fn sse2() -> Kernels {
    Kernels {
        // SAFETY: SSE2 belongs to x86-64.
        vertical: |source, sum, target| unsafe { vertical_sse2(source, sum, target) },
        // SAFETY: SSE2 belongs to x86-64.
        dots: |source, dots, target| unsafe { dots_sse2(source, dots, target) },
        dot_lanes: 8,
        groups: None,
        widen: scalar::widen,
        // SAFETY: SSE2 belongs to x86-64.
        halve: |source, halves, target| unsafe { halve_sse2(source, halves, target) },
        // SAFETY: SSE2 belongs to x86-64.
        blend: |rows, weights, target| unsafe { blend_sse2(rows, weights, target) },
        // SAFETY: SSE2 belongs to x86-64.
        fetch: |samples| unsafe { fetch(samples) },
    }
}

/// The kernels for AVX2, which the level proves to be there.
pub(super) fn avx2(level: Level) -> Kernels {
    assert!(level.isa() == Isa::Avx2);
    Kernels {
        // SAFETY: `level` proves that the machine has AVX2.
        vertical: |source, sum, target| unsafe { vertical_avx2(source, sum, target) },
        // SAFETY: `level` proves that the machine has AVX2.
        dots: |source, dots, target| unsafe { dots_avx2(source, dots, target) },
        dot_lanes: 16,
        // SAFETY: `level` proves that the machine has AVX2.
        groups: Some(|source, groups, target| unsafe { groups_avx2(source, groups, target) }),
        // SAFETY: `level` proves that the machine has AVX2.
        widen: |source, quads, target| unsafe { widen_avx2(source, quads, target) },
        // SAFETY: `level` proves that the machine has AVX2.
        halve: |source, halves, target| unsafe { halve_avx2(source, halves, target) },
        // SAFETY: `level` proves that the machine has AVX2.
        blend: |rows, weights, target| unsafe { blend_avx2(rows, weights, target) },
        // SAFETY: SSE2 belongs to x86-64.
        fetch: |samples| unsafe { fetch(samples) },
    }
}

/// See `Kernels::vertical`.
#[target_feature(enable = "sse2")]
fn vertical_sse2(source: Rows<'_>, sum: Sum<'_>, target: &mut [i16]) {
    /// Samples in two vectors.
    const BLOCK: usize = 16;
    let width = target.len();
    if width < BLOCK {
        return scalar::vertical(source, sum, target);
    }
    source.check(sum, width);
    let zero = _mm_setzero_si128();
    for x in (0..width).step_by(BLOCK) {
        // The last block overlaps the one before.
        let x = x.min(width - BLOCK);
        let mut sums = [_mm_set1_epi16(sum.bias); 2];
        // SAFETY: `check` has seen `width` samples in each row, and `x` is at most `width - BLOCK`.
        let load = |row: usize| unsafe {
            _mm_loadu_si128(source.samples.as_ptr().add(row * source.stride + x).cast())
        };
        let single = |tap: &Tap| {
            let samples = load(tap.rows[0]);
            // A sample in the upper half of 16 bits, times the weight, shifted right by 16.
            let weight = _mm_set1_epi32(tap.weight as i32);
            let (low, high) = (_mm_unpacklo_epi8(zero, samples), _mm_unpackhi_epi8(zero, samples));
            [_mm_mulhi_epu16(low, weight), _mm_mulhi_epu16(high, weight)]
        };
        let paired = |tap: &Tap| {
            let (upper, lower) = (load(tap.rows[0]), load(tap.rows[1]));
            // The sum times 2^7, times twice the weight.
            let weight = _mm_slli_epi16::<1>(_mm_set1_epi32(tap.weight as i32));
            let low = _mm_add_epi16(_mm_unpacklo_epi8(upper, zero), _mm_unpacklo_epi8(lower, zero));
            let high = _mm_add_epi16(_mm_unpackhi_epi8(upper, zero), _mm_unpackhi_epi8(lower, zero));
            [
                _mm_mulhi_epu16(_mm_slli_epi16::<7>(low), weight),
                _mm_mulhi_epu16(_mm_slli_epi16::<7>(high), weight),
            ]
        };
        // Plain loops, since closures over vectors within iterators become calls.
        let mut add = |[low, high]: [__m128i; 2]| {
            sums = [_mm_add_epi16(sums[0], low), _mm_add_epi16(sums[1], high)];
        };
        for tap in sum.positive.single {
            add(single(tap));
        }
        for tap in sum.positive.paired {
            add(paired(tap));
        }
        let mut subtract = |[low, high]: [__m128i; 2]| {
            sums = [_mm_sub_epi16(sums[0], low), _mm_sub_epi16(sums[1], high)];
        };
        for tap in sum.negative.single {
            subtract(single(tap));
        }
        for tap in sum.negative.paired {
            subtract(paired(tap));
        }
        // SAFETY: `x` is at most `width - BLOCK`, and `target` has `width` samples.
        unsafe {
            let target: *mut __m128i = target.as_mut_ptr().add(x).cast();
            _mm_storeu_si128(target, sums[0]);
            _mm_storeu_si128(target.add(1), sums[1]);
        }
    }
}

/// See `Kernels::vertical`.
#[target_feature(enable = "avx2")]
fn vertical_avx2(source: Rows<'_>, sum: Sum<'_>, target: &mut [i16]) {
    let width = target.len();
    if width < 32 {
        return vertical_sse2(source, sum, target);
    }
    source.check(sum, width);
    let mut x = 0;
    while x + 128 <= width {
        // SAFETY: `check` has seen `width` samples in all rows, and so many has the target.
        unsafe { vertical_block_avx2::<4>(source, sum, target, x) };
        x += 128;
    }
    if x + 64 <= width {
        // SAFETY: as above.
        unsafe { vertical_block_avx2::<2>(source, sum, target, x) };
        x += 64;
    }
    while x < width {
        // SAFETY: as above; the last block overlaps the one before.
        unsafe { vertical_block_avx2::<1>(source, sum, target, x.min(width - 32)) };
        x += 32;
    }
}

/// `N` times 32 samples from column `x` on.
///
/// # Safety
/// All rows of `sum` must be in `source`; they and the target must have all these samples.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn vertical_block_avx2<const N: usize>(source: Rows<'_>, sum: Sum<'_>, target: &mut [i16], x: usize) {
    let zero = _mm256_setzero_si256();
    let mut sums = [[_mm256_set1_epi16(sum.bias); 2]; N];
    // SAFETY: as the caller promises.
    let load = |row: usize, n: usize| unsafe {
        _mm256_loadu_si256(source.samples.as_ptr().add(row * source.stride + x + 32 * n).cast())
    };
    let single = |tap: &Tap, n: usize| {
        let (samples, weight) = (load(tap.rows[0], n), _mm256_set1_epi32(tap.weight as i32));
        // A sample in the upper half of 16 bits, times the weight, shifted right by 16.
        [
            _mm256_mulhi_epu16(_mm256_unpacklo_epi8(zero, samples), weight),
            _mm256_mulhi_epu16(_mm256_unpackhi_epi8(zero, samples), weight),
        ]
    };
    let paired = |tap: &Tap, n: usize| {
        let [upper, lower] = tap.rows.map(|row| load(row, n));
        // The sum times 2^6, times four times the weight, which is below 1/2.
        let weight = _mm256_slli_epi16::<2>(_mm256_set1_epi32(tap.weight as i32));
        let add = |samples| _mm256_maddubs_epi16(samples, _mm256_set1_epi8(1 << 6));
        [
            _mm256_mulhi_epu16(add(_mm256_unpacklo_epi8(upper, lower)), weight),
            _mm256_mulhi_epu16(add(_mm256_unpackhi_epi8(upper, lower)), weight),
        ]
    };
    let add = |sum: [__m256i; 2], part: [__m256i; 2]| {
        [_mm256_add_epi16(sum[0], part[0]), _mm256_add_epi16(sum[1], part[1])]
    };
    let subtract = |sum: [__m256i; 2], part: [__m256i; 2]| {
        [_mm256_sub_epi16(sum[0], part[0]), _mm256_sub_epi16(sum[1], part[1])]
    };
    for tap in sum.positive.single {
        for n in 0..N {
            sums[n] = add(sums[n], single(tap, n));
        }
    }
    for tap in sum.positive.paired {
        for n in 0..N {
            sums[n] = add(sums[n], paired(tap, n));
        }
    }
    for tap in sum.negative.single {
        for n in 0..N {
            sums[n] = subtract(sums[n], single(tap, n));
        }
    }
    for tap in sum.negative.paired {
        for n in 0..N {
            sums[n] = subtract(sums[n], paired(tap, n));
        }
    }
    for row in sum.ahead.clone() {
        for n in (0..N).step_by(2) {
            let samples = source.samples.as_ptr().wrapping_add(row * source.stride + x + 32 * n);
            // Fetching ahead changes nothing that a program sees, wherever the pointer leads.
            _mm_prefetch::<_MM_HINT_T0>(samples.cast());
        }
    }
    for n in 0..N {
        // The halves of `low` are samples 0 to 7 and 16 to 23, those of `high` the others.
        let [low, high] = sums[n];
        // SAFETY: as the caller promises.
        unsafe {
            let target: *mut __m128i = target.as_mut_ptr().add(x + 32 * n).cast();
            _mm_storeu_si128(target, _mm256_castsi256_si128(low));
            _mm_storeu_si128(target.add(1), _mm256_castsi256_si128(high));
            _mm_storeu_si128(target.add(2), _mm256_extracti128_si256::<1>(low));
            _mm_storeu_si128(target.add(3), _mm256_extracti128_si256::<1>(high));
        }
    }
}

/// See `Kernels::dots`.
#[target_feature(enable = "sse2")]
fn dots_sse2(source: &[i16], dots: &Dots, target: Strips<'_>) {
    dots.check(source.len(), &target);
    for (target, begin) in target.samples.chunks_mut(4).zip((target.start..).step_by(4)) {
        let mut sums = [_mm_setzero_si128(); 4];
        for (lane, sum) in sums.iter_mut().enumerate().take(target.len()) {
            let i = begin + lane;
            let first = dots.firsts[i] as usize;
            for tap in (0..dots.taps).step_by(8) {
                // SAFETY: `check` has seen that source and weights have `taps` elements from here on, and `taps` is
                // a multiple of 8.
                unsafe {
                    let samples = _mm_loadu_si128(source.as_ptr().add(first + tap).cast());
                    let weights = _mm_loadu_si128(dots.weights.as_ptr().add(i * dots.taps + tap).cast());
                    *sum = _mm_add_epi32(*sum, _mm_madd_epi16(samples, weights));
                }
            }
        }
        let sum = round_sse2(sum_lanes_sse2(sums));
        let bytes = _mm_cvtsi128_si32(_mm_packus_epi16(sum, sum)).to_le_bytes();
        target.copy_from_slice(&bytes[..target.len()]);
    }
}

/// The sums of the four lanes of each vector.
#[inline]
#[target_feature(enable = "sse2")]
fn sum_lanes_sse2([a, b, c, d]: [__m128i; 4]) -> __m128i {
    let ab = _mm_add_epi32(_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
    let cd = _mm_add_epi32(_mm_unpacklo_epi32(c, d), _mm_unpackhi_epi32(c, d));
    _mm_add_epi32(_mm_unpacklo_epi64(ab, cd), _mm_unpackhi_epi64(ab, cd))
}

/// Rounds sums to samples of 16 bits, in the lower half.
#[inline]
#[target_feature(enable = "sse2")]
fn round_sse2(sums: __m128i) -> __m128i {
    let rounded = _mm_srai_epi32::<21>(_mm_add_epi32(sums, _mm_set1_epi32(HALF)));
    _mm_packs_epi32(rounded, rounded)
}

/// See `Kernels::dots`.
#[target_feature(enable = "avx2")]
fn dots_avx2(source: &[i16], dots: &Dots, target: Strips<'_>) {
    dots.check(source.len(), &target);
    assert!(dots.taps.is_multiple_of(16));
    for (target, first) in target.samples.chunks_mut(8).zip((target.start..).step_by(8)) {
        // SAFETY: `check` has seen that there are whole eights of target samples, that each has `taps` weights, and
        // that the source has as many samples from its first one on.
        let bytes = unsafe {
            match dots.taps {
                16 => eight_dots_avx2(source, dots, first, 16),
                taps => eight_dots_avx2(source, dots, first, taps),
            }
        };
        match <&mut [u8; 8]>::try_from(&mut *target) {
            Ok(target) => *target = bytes,
            Err(_) => target.copy_from_slice(&bytes[..target.len()]),
        }
    }
}

/// Eight samples of the target, from sample `begin` on.
///
/// # Safety
/// `taps`, a multiple of 16, must be that of `dots`; there must be that many weights for each of the eight, and as
/// many samples in the source from its first one on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn eight_dots_avx2(source: &[i16], dots: &Dots, begin: usize, taps: usize) -> [u8; 8] {
    // SAFETY: as the caller promises.
    let products = |lane: usize, tap: usize| unsafe {
        let first = *dots.firsts.as_ptr().add(begin + lane) as usize;
        let samples = _mm256_loadu_si256(source.as_ptr().add(first + tap).cast());
        let weights = dots.weights.as_ptr().add((begin + lane) * taps + tap);
        _mm256_madd_epi16(samples, _mm256_loadu_si256(weights.cast()))
    };
    let mut sums = [_mm256_setzero_si256(); 8];
    for lane in 0..8 {
        sums[lane] = products(lane, 0);
    }
    let mut tap = 16;
    while tap < taps {
        for lane in 0..8 {
            sums[lane] = _mm256_add_epi32(sums[lane], products(lane, tap));
        }
        tap += 16;
    }
    let [a, b, c, d, e, f, g, h] = sums;
    let low = _mm256_hadd_epi32(_mm256_hadd_epi32(a, b), _mm256_hadd_epi32(c, d));
    let high = _mm256_hadd_epi32(_mm256_hadd_epi32(e, f), _mm256_hadd_epi32(g, h));
    let sum = _mm256_add_epi32(
        _mm256_permute2x128_si256::<0x20>(low, high),
        _mm256_permute2x128_si256::<0x31>(low, high),
    );
    let rounded = _mm256_srai_epi32::<21>(_mm256_add_epi32(sum, _mm256_set1_epi32(HALF)));
    let words = _mm_packs_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256::<1>(rounded));
    _mm_cvtsi128_si64(_mm_packus_epi16(words, words)).to_le_bytes()
}

/// See `Kernels::groups`.
#[target_feature(enable = "avx2")]
fn groups_avx2(source: &[i16], groups: &Groups, target: Strips<'_>) {
    groups.check(source.len(), &target);
    for (four, target) in groups.fours[target.start / STRIP..].iter().zip(target.samples.chunks_mut(STRIP)) {
        let weights = &groups.weights[four.weights..][..4 * four.pairs];
        // SAFETY: `check` has seen that the source reaches a vector beyond the last pair of samples that any group
        // starts from, and there are `pairs` weights for each group.
        let samples = unsafe {
            if four.in_order {
                four_groups_avx2::<true>(source, four, weights)
            } else {
                four_groups_avx2::<false>(source, four, weights)
            }
        };
        match <&mut [u8; STRIP]>::try_from(&mut *target) {
            // SAFETY: 32 bytes is what the vector has.
            Ok(target) => unsafe { _mm256_storeu_si256(target.as_mut_ptr().cast(), samples) },
            Err(_) => {
                let mut rest = [0; 32];
                // SAFETY: 32 bytes is what the vector has.
                unsafe { _mm256_storeu_si256(rest.as_mut_ptr().cast(), samples) };
                target.copy_from_slice(&rest[..target.len()]);
            }
        }
    }
}

/// 32 samples of the target.
///
/// # Safety
/// There must be `pairs` times four vectors of weights; the source must reach a vector beyond the last pair of
/// samples that any of the groups starts from. `IN_ORDER` is that of `four`.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn four_groups_avx2<const IN_ORDER: bool>(
    source: &[i16],
    four: &FourGroups,
    weights: &[Lanes<[[i16; 2]; 8]>],
) -> __m256i {
    let mut sums = [_mm256_set1_epi32(HALF); 4];
    // SAFETY: as the caller promises; `Lanes` are aligned.
    unsafe {
        let samples = four.firsts.map(|first| source.as_ptr().add(first as usize));
        let indices: *const __m256i = four.indices.as_ptr().cast();
        let indices = [0, 1, 2, 3].map(|j| _mm256_load_si256(indices.add(j)));
        let mut weights: *const __m256i = weights.as_ptr().cast();
        let mut offset = 0;
        while offset < 2 * four.pairs {
            for j in 0..4 {
                let mut pairs = _mm256_loadu_si256(samples[j].add(offset).cast());
                if !IN_ORDER {
                    pairs = _mm256_permutevar8x32_epi32(pairs, indices[j]);
                }
                let products = _mm256_madd_epi16(pairs, _mm256_load_si256(weights.add(j)));
                sums[j] = _mm256_add_epi32(sums[j], products);
            }
            weights = weights.add(4);
            offset += 2;
        }
    }
    // Each half of the result has four samples of each group.
    let [a, b, c, d] = sums.map(|sum| _mm256_srai_epi32::<21>(sum));
    let packed = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
    _mm256_permutevar8x32_epi32(packed, _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7))
}

/// See `Kernels::widen`.
#[target_feature(enable = "avx2")]
fn widen_avx2(source: &[u8], quads: &Quads, target: Strips<'_, i16>) {
    target.check(quads.samples.len());
    assert!(quads.sixteens.len() == quads.samples.len().div_ceil(16), "there are whole sixteens");
    assert!(quads.reach <= source.len(), "the source row is long enough");
    for (sixteen, target) in quads.sixteens[target.start / 16..].iter().zip(target.samples.chunks_mut(16)) {
        // SAFETY: `reach`, which the source has, is at least that of each sixteen.
        let samples = unsafe { sixteen_avx2(source, sixteen) };
        match <&mut [i16; 16]>::try_from(&mut *target) {
            // SAFETY: 16 words are what the vector has.
            Ok(target) => unsafe { _mm256_storeu_si256(target.as_mut_ptr().cast(), samples) },
            Err(_) => {
                let mut rest = [0; 16];
                // SAFETY: 16 words are what the vector has.
                unsafe { _mm256_storeu_si256(rest.as_mut_ptr().cast(), samples) };
                target.copy_from_slice(&rest[..target.len()]);
            }
        }
    }
}

/// Sixteen samples between the passes.
///
/// # Safety
/// The source must have sixteen samples from each of the `firsts` on.
#[inline]
#[target_feature(enable = "avx2")]
unsafe fn sixteen_avx2(source: &[u8], sixteen: &Sixteen) -> __m256i {
    // SAFETY: as the caller promises; `Lanes` are aligned.
    let (samples, order, high, low) = unsafe {
        let [first, second] = sixteen.firsts.map(|first| source.as_ptr().add(first as usize).cast());
        (
            _mm256_inserti128_si256::<1>(
                _mm256_castsi128_si256(_mm_loadu_si128(first)),
                _mm_loadu_si128(second),
            ),
            [0, 1].map(|i| _mm256_load_si256(sixteen.order[i].0.as_ptr().cast())),
            [0, 1].map(|i| _mm256_load_si256(sixteen.high[i].0.as_ptr().cast())),
            [0, 1].map(|i| _mm256_load_si256(sixteen.low[i].0.as_ptr().cast())),
        )
    };
    let pairs = order.map(|order| _mm256_shuffle_epi8(samples, order));
    // No sum of two or four products leaves 16 bits: high weights are at most 68, low ones 32.
    let sum = |weights: [__m256i; 2]| {
        _mm256_add_epi16(
            _mm256_maddubs_epi16(pairs[0], weights[0]),
            _mm256_maddubs_epi16(pairs[1], weights[1]),
        )
    };
    let (high, low) = (sum(high), sum(low));
    // `high` is in units of 1/64.
    let low = _mm256_srai_epi16::<6>(low);
    _mm256_add_epi16(high, low)
}

/// See `Kernels::halve`.
#[target_feature(enable = "sse2")]
fn halve_sse2(source: &[u8], halves: &Halves, target: Strips<'_, i16>) {
    halves.check(source.len(), &target);
    let zero = _mm_setzero_si128();
    let weights = halves.pairs.map(|pair| _mm_set1_epi32(pair.words));
    halve_blocks::<8>(source, halves, target, |samples, target| {
        let mut sums = [zero; 2];
        for (tap, weight) in (0..).step_by(2).zip(weights) {
            // SAFETY: a block of eight has 2 * 7 + 8 samples, of which these are sixteen from 0, 2, 4 or 6 on.
            let samples = unsafe { _mm_loadu_si128(samples.as_ptr().add(tap).cast()) };
            let pairs = [_mm_unpacklo_epi8(samples, zero), _mm_unpackhi_epi8(samples, zero)];
            for (sum, pairs) in sums.iter_mut().zip(pairs) {
                *sum = _mm_add_epi32(*sum, _mm_madd_epi16(pairs, weight));
            }
        }
        let words = _mm_packs_epi32(_mm_srai_epi32::<6>(sums[0]), _mm_srai_epi32::<6>(sums[1]));
        // SAFETY: 8 words are what the vector has.
        unsafe { _mm_storeu_si128(target.as_mut_ptr().cast(), words) };
    });
}

/// See `Kernels::halve`.
#[target_feature(enable = "avx2")]
fn halve_avx2(source: &[u8], halves: &Halves, target: Strips<'_, i16>) {
    halves.check(source.len(), &target);
    let weights = halves.pairs.map(|pair| (_mm256_set1_epi16(pair.high), _mm256_set1_epi16(pair.low)));
    halve_blocks::<16>(source, halves, target, |samples, target| {
        let (mut sum, mut low_sum) = (_mm256_setzero_si256(), _mm256_setzero_si256());
        for (tap, (high, low)) in (0..).step_by(2).zip(weights) {
            // SAFETY: a block of sixteen has 2 * 15 + 8 samples, of which these are 32 from 0, 2, 4 or 6 on.
            let samples = unsafe { _mm256_loadu_si256(samples.as_ptr().add(tap).cast()) };
            // No sum leaves 16 bits: `Halves::new` has seen to it.
            sum = _mm256_add_epi16(sum, _mm256_maddubs_epi16(samples, high));
            low_sum = _mm256_add_epi16(low_sum, _mm256_maddubs_epi16(samples, low));
        }
        // `sum` is in units of 1/64.
        let words = _mm256_add_epi16(sum, _mm256_srai_epi16::<6>(low_sum));
        // SAFETY: 16 words are what the vector has.
        unsafe { _mm256_storeu_si256(target.as_mut_ptr().cast(), words) };
    });
}

/// See `Kernels::blend`.
#[target_feature(enable = "sse2")]
fn blend_sse2(rows: &[&[i16]], weights: &[i16], target: &mut [u8]) {
    let width = target.len();
    if width < 16 {
        return scalar::blend(rows, weights, target);
    }
    assert!(rows.iter().all(|row| row.len() >= width), "the rows are long enough");
    for x in (0..width).step_by(16) {
        // The last block overlaps the one before.
        let x = x.min(width - 16);
        let mut sums = [_mm_set1_epi16(1 << 4); 2];
        for (row, &weight) in rows.iter().zip(weights) {
            let factor = _mm_set1_epi16(weight);
            for (n, sum) in sums.iter_mut().enumerate() {
                // SAFETY: rows have `width` samples, and there are 16 from `x` on.
                let samples = unsafe { _mm_loadu_si128(row.as_ptr().add(x + 8 * n).cast()) };
                // The product shifted right by 15, rounded: two bits of the lower half decide.
                let high = _mm_mulhi_epi16(samples, factor);
                let low = _mm_srli_epi16::<14>(_mm_mullo_epi16(samples, factor));
                let low = _mm_srli_epi16::<1>(_mm_add_epi16(low, _mm_set1_epi16(1)));
                *sum = _mm_add_epi16(*sum, _mm_add_epi16(_mm_add_epi16(high, high), low));
            }
        }
        let bytes = _mm_packus_epi16(_mm_srai_epi16::<5>(sums[0]), _mm_srai_epi16::<5>(sums[1]));
        // SAFETY: the target has `width` samples, and there are 16 from `x` on.
        unsafe { _mm_storeu_si128(target.as_mut_ptr().add(x).cast(), bytes) };
    }
}

/// See `Kernels::blend`.
#[target_feature(enable = "avx2")]
fn blend_avx2(rows: &[&[i16]], weights: &[i16], target: &mut [u8]) {
    let width = target.len();
    if width < 32 {
        return scalar::blend(rows, weights, target);
    }
    assert!(rows.iter().all(|row| row.len() >= width), "the rows are long enough");
    for x in (0..width).step_by(32) {
        // The last block overlaps the one before.
        let x = x.min(width - 32);
        let mut sums = [_mm256_set1_epi16(1 << 4); 2];
        for (row, &weight) in rows.iter().zip(weights) {
            let factor = _mm256_set1_epi16(weight);
            for (n, sum) in sums.iter_mut().enumerate() {
                // SAFETY: rows have `width` samples, and there are 32 from `x` on.
                let samples = unsafe { _mm256_loadu_si256(row.as_ptr().add(x + 16 * n).cast()) };
                *sum = _mm256_add_epi16(*sum, _mm256_mulhrs_epi16(samples, factor));
            }
        }
        let words = sums.map(|sum| _mm256_srai_epi16::<5>(sum));
        let bytes = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packus_epi16(words[0], words[1]));
        // SAFETY: the target has `width` samples, and there are 32 from `x` on.
        unsafe { _mm256_storeu_si256(target.as_mut_ptr().add(x).cast(), bytes) };
    }
}

/// See `Kernels::fetch`.
#[target_feature(enable = "sse2")]
fn fetch(samples: &[u8]) {
    /// Bytes that come together.
    const LINE: usize = 64;
    for line in samples.chunks(LINE) {
        _mm_prefetch::<_MM_HINT_T0>(line.as_ptr().cast());
    }
    // The end may lie in a line more.
    if let Some(last) = samples.last() {
        _mm_prefetch::<_MM_HINT_T0>(std::ptr::from_ref(last).cast());
    }
}
