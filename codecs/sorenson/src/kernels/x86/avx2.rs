//! AVX2.

use super::Sse2;
use crate::kernels::scalar::{self, COS, W};
use crate::kernels::vector;
use crate::kernels::{
    Block, Divisor, Fraction, Kernels, PairLevels, PairSamples, Places, Quantized, Rows, RowsMut, STRIDE,
};
use oggflv_common::simd::{Isa, Level};
use std::arch::x86_64::*;

/// The kernels for AVX2, which `level` proves that the processor has.
pub(in crate::kernels) fn kernels(level: Level) -> Kernels {
    assert!(level.isa() == Isa::Avx2);
    /// Makes a plain function of one that needs AVX2.
    macro_rules! enter {
        ($kernel:ident($($name:ident: $kind:ty),*) $(-> $result:ty)?) => {{
            fn enter($($name: $kind),*) $(-> $result)? {
                // SAFETY: `enter` only gets out through `kernels`, which has seen a level that proves AVX2.
                unsafe { $kernel($($name),*) }
            }
            enter
        }};
    }
    Kernels {
        sad_16: enter!(sad_16(source: &[u8; 256], reference: &[u8], stride: usize) -> u32),
        sads_16: enter!(sads_16(source: &[u8; 256], places: Places<'_>, stride: usize) -> [u32; 3]),
        sad_16_half: enter!(sad_16_half(source: &[u8; 256], reference: &[u8], stride: usize, fraction: Fraction) -> u32),
        sad_16_beside: enter!(sad_16_beside(source: &[u8; 256], reference: &[u8], stride: usize, half: bool) -> [u32; 4]),
        sad_8: enter!(sad_8(a: Rows<'_>, b: Rows<'_>) -> u32),
        sads_8: enter!(sads_8(source: Rows<'_>, places: Places<'_>, stride: usize) -> [u32; 3]),
        sad_8_beside: enter!(sad_8_beside(source: Rows<'_>, reference: Rows<'_>, half: bool) -> [u32; 4]),
        satd_16: enter!(satd_16(source: &[u8; 256], reference: &[u8], stride: usize, fraction: Fraction) -> u32),
        satd_8: enter!(satd_8(a: Rows<'_>, b: Rows<'_>) -> u32),
        activity_16: enter!(activity_16(samples: &[u8; 256]) -> u32),
        deviation_8: enter!(deviation_8(rows: Rows<'_>) -> u32),
        activity_8: enter!(activity_8(rows: Rows<'_>) -> u32),
        predict_16: enter!(predict_16(reference: &[u8], stride: usize, fraction: Fraction, out: &mut [u8; 256])),
        predict_8: enter!(predict_8(reference: &[u8], stride: usize, fraction: Fraction, out: &mut [u8])),
        quantize_2: enter!(quantize_2(source: &PairSamples, prediction: &PairSamples, divisor: &Divisor, coefficients: &mut [Block; 2], levels: PairLevels<'_>) -> [Quantized; 2]),
        inverse_add: enter!(inverse_add(coefficients: &Block, last: u32, samples: &mut [u8])),
        halve: enter!(halve(top: &[u8], bottom: &[u8], out: &mut [u8])),
        squared_errors: enter!(squared_errors(a: &[u8; 384], b: &[u8; 384]) -> [u32; 6]),
        copy: enter!(copy(from: [Rows<'_>; 3], to: [RowsMut<'_>; 3])),
        squared_errors_16: enter!(squared_errors_16(samples: &[u8; 384], reference: [Rows<'_>; 3]) -> [u32; 2]),
    }
}

/// Eight bytes, in the lower half.
#[inline]
#[target_feature(enable = "avx2")]
fn load_8(bytes: &[u8], at: usize) -> __m128i {
    let bytes = &bytes[at..at + 8];
    // SAFETY: the slice has the 8 bytes that are read.
    unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_16(bytes: &[u8], at: usize) -> __m128i {
    let bytes = &bytes[at..at + 16];
    // SAFETY: the slice has the 16 bytes that are read.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_32(bytes: &[u8], at: usize) -> __m256i {
    let bytes = &bytes[at..at + 32];
    // SAFETY: the slice has the 32 bytes that are read.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_8(bytes: &mut [u8], at: usize, value: __m128i) {
    let bytes = &mut bytes[at..at + 8];
    // SAFETY: the slice has the 8 bytes that are written.
    unsafe { _mm_storel_epi64(bytes.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_16(bytes: &mut [u8], at: usize, value: __m128i) {
    let bytes = &mut bytes[at..at + 16];
    // SAFETY: the slice has the 16 bytes that are written.
    unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), value) }
}

/// Coefficients 8 i to 8 i + 7.
#[inline]
#[target_feature(enable = "avx2")]
fn load_column(block: &Block, i: usize) -> __m128i {
    let column = &block[8 * i..8 * i + 8];
    // SAFETY: the slice has the 16 bytes that are read.
    unsafe { _mm_loadu_si128(column.as_ptr().cast()) }
}

/// Coefficients 16 i to 16 i + 15.
#[inline]
#[target_feature(enable = "avx2")]
fn load_columns(block: &Block, i: usize) -> __m256i {
    let columns = &block[16 * i..16 * i + 16];
    // SAFETY: the slice has the 32 bytes that are read.
    unsafe { _mm256_loadu_si256(columns.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store_columns(block: &mut Block, i: usize, value: __m256i) {
    let columns = &mut block[16 * i..16 * i + 16];
    // SAFETY: the slice has the 32 bytes that are written.
    unsafe { _mm256_storeu_si256(columns.as_mut_ptr().cast(), value) }
}

/// Reference samples that were found long enough.
#[derive(Clone, Copy)]
struct Reference<'a> {
    reference: &'a [u8],
    stride: usize,
    last: usize,
}

impl<'a> Reference<'a> {
    /// Rows 0 to `last` with `width` samples each.
    #[inline]
    fn new(reference: &'a [u8], stride: usize, last: usize, width: usize) -> Self {
        assert!(stride < 1 << 32 && reference.len() >= last * stride + width);
        Self { reference, stride, last }
    }

    /// Samples `x` to `x + 15`, which must be within the width, of rows `y` and `y + APART`.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn pair<const APART: usize>(&self, y: usize, x: usize) -> __m256i {
        debug_assert!(y + APART <= self.last && (y + APART) * self.stride + x + 16 <= self.reference.len());
        // SAFETY: `new` has seen that all rows up to `last` with their width are in the slice, and the callers below
        // ask for no others.
        unsafe {
            let at = self.reference.as_ptr().add(y * self.stride + x);
            let (low, high) =
                (_mm_loadu_si128(at.cast()), _mm_loadu_si128(at.add(APART * self.stride).cast()));
            _mm256_inserti128_si256(_mm256_castsi128_si256(low), high, 1)
        }
    }

    /// Samples `x` to `x + 7`, which must be within the width, of row `y`, in the lower half.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn eight(&self, y: usize, x: usize) -> __m128i {
        debug_assert!(y <= self.last && y * self.stride + x + 8 <= self.reference.len());
        // SAFETY: as in `pair`.
        unsafe { _mm_loadl_epi64(self.reference.as_ptr().add(y * self.stride + x).cast()) }
    }
}

/// The sum of the four 64-bit lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn sum_64(sums: __m256i) -> u32 {
    let sums = _mm_add_epi64(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    _mm_cvtsi128_si32(_mm_add_epi64(sums, _mm_unpackhi_epi64(sums, sums))) as u32
}

/// The sum of the eight 32-bit lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn sum_32(sums: __m256i) -> u32 {
    let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    let sums = _mm_add_epi32(sums, _mm_unpackhi_epi64(sums, sums));
    _mm_cvtsi128_si32(_mm_add_epi32(sums, _mm_shuffle_epi32(sums, 1))) as u32
}

/// The sums of four vectors of 64-bit lanes, whose upper halves are zero.
#[inline]
#[target_feature(enable = "avx2")]
fn four_sums([a, b, c, d]: [__m256i; 4]) -> [u32; 4] {
    let pairs = |a: __m256i, b: __m256i| _mm256_or_si256(a, _mm256_slli_epi64(b, 32));
    let (ac, bd) = (pairs(a, c), pairs(b, d));
    let sums = _mm256_add_epi32(_mm256_unpacklo_epi32(ac, bd), _mm256_unpackhi_epi32(ac, bd));
    let sums = _mm_add_epi32(_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    let (low, high) = (_mm_cvtsi128_si64(sums) as u64, _mm_extract_epi64(sums, 1) as u64);
    [low as u32, (low >> 32) as u32, high as u32, (high >> 32) as u32]
}

#[target_feature(enable = "avx2")]
fn sad_16(source: &[u8; 256], reference: &[u8], stride: usize) -> u32 {
    let rows = Reference::new(reference, stride, 15, 16);
    let mut sums = _mm256_setzero_si256();
    for y in (0..16).step_by(2) {
        sums = _mm256_add_epi64(sums, _mm256_sad_epu8(load_32(source, y * STRIDE), rows.pair::<1>(y, 0)));
    }
    sum_64(sums)
}

#[target_feature(enable = "avx2")]
fn sads_16(source: &[u8; 256], [a, b, c]: Places<'_>, stride: usize) -> [u32; 3] {
    let rows = |place| Reference::new(place, stride, 15, 16);
    let places = [rows(a), rows(b), rows(c)];
    let mut sums = [_mm256_setzero_si256(); 3];
    for y in (0..16).step_by(2) {
        let here = load_32(source, y * STRIDE);
        for (sum, place) in sums.iter_mut().zip(&places) {
            *sum = _mm256_add_epi32(*sum, _mm256_sad_epu8(here, place.pair::<1>(y, 0)));
        }
    }
    let [first, second, third] = sums;
    let [first, second, third, _] = four_sums([first, second, third, _mm256_setzero_si256()]);
    [first, second, third]
}

/// Rows `y` and `y + APART` of 16 reference samples, interpolated.
#[inline]
#[target_feature(enable = "avx2")]
fn interpolate<const FRACTION: Fraction, const APART: usize>(rows: &Reference<'_>, y: usize) -> __m256i {
    let a = rows.pair::<APART>(y, 0);
    match FRACTION {
        0 => a,
        1 => _mm256_avg_epu8(a, rows.pair::<APART>(y, 1)),
        2 => _mm256_avg_epu8(a, rows.pair::<APART>(y + 1, 0)),
        _ => {
            let (b, c, d) =
                (rows.pair::<APART>(y, 1), rows.pair::<APART>(y + 1, 0), rows.pair::<APART>(y + 1, 1));
            // The mean of means is one too large if one of them was rounded up and their sum is odd.
            let (x, y) = (_mm256_avg_epu8(a, b), _mm256_avg_epu8(c, d));
            let rounded = _mm256_or_si256(_mm256_xor_si256(a, b), _mm256_xor_si256(c, d));
            let excess = _mm256_and_si256(rounded, _mm256_xor_si256(x, y));
            _mm256_sub_epi8(_mm256_avg_epu8(x, y), _mm256_and_si256(excess, _mm256_set1_epi8(1)))
        }
    }
}

/// The 17th row and column are only there, and only needed, for fractions.
#[inline]
fn interpolated_rows(reference: &[u8], stride: usize, fraction: Fraction) -> Reference<'_> {
    Reference::new(reference, stride, 15 + (fraction >> 1), 16 + (fraction & 1))
}

#[inline]
#[target_feature(enable = "avx2")]
fn sad_16_fraction<const FRACTION: Fraction>(source: &[u8; 256], reference: &[u8], stride: usize) -> u32 {
    let rows = interpolated_rows(reference, stride, FRACTION);
    let mut sums = _mm256_setzero_si256();
    for y in (0..16).step_by(2) {
        sums = _mm256_add_epi64(
            sums,
            _mm256_sad_epu8(load_32(source, y * STRIDE), interpolate::<FRACTION, 1>(&rows, y)),
        );
    }
    sum_64(sums)
}

#[target_feature(enable = "avx2")]
fn sad_16_half(source: &[u8; 256], reference: &[u8], stride: usize, fraction: Fraction) -> u32 {
    match fraction {
        0 => sad_16(source, reference, stride),
        1 => sad_16_fraction::<1>(source, reference, stride),
        2 => sad_16_fraction::<2>(source, reference, stride),
        _ => sad_16_fraction::<3>(source, reference, stride),
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn sad_16_beside_by<const HALF: bool>(source: &[u8; 256], reference: &[u8], stride: usize) -> [u32; 4] {
    let rows = Reference::new(reference, stride, 17, 18);
    let mut sums = [_mm256_setzero_si256(); 4];
    // What is below one row is above the next one; half a sample away, it is the same.
    let (mut before, mut centre) = (rows.pair::<8>(0, 1), rows.pair::<8>(1, 1));
    let mut above = _mm256_avg_epu8(before, centre);
    for y in 0..8 {
        let (upper, lower) = (load_16(source, y * STRIDE), load_16(source, (y + 8) * STRIDE));
        let here = _mm256_inserti128_si256(_mm256_castsi128_si256(upper), lower, 1);
        let (left, right, after) =
            (rows.pair::<8>(y + 1, 0), rows.pair::<8>(y + 1, 2), rows.pair::<8>(y + 2, 1));
        let below = _mm256_avg_epu8(centre, after);
        let there = if HALF {
            [above, _mm256_avg_epu8(left, centre), _mm256_avg_epu8(right, centre), below]
        } else {
            [before, left, right, after]
        };
        for (sum, there) in sums.iter_mut().zip(there) {
            *sum = _mm256_add_epi32(*sum, _mm256_sad_epu8(here, there));
        }
        (before, centre, above) = (centre, after, below);
    }
    four_sums(sums)
}

#[target_feature(enable = "avx2")]
fn sad_16_beside(source: &[u8; 256], reference: &[u8], stride: usize, half: bool) -> [u32; 4] {
    if half {
        sad_16_beside_by::<true>(source, reference, stride)
    } else {
        sad_16_beside_by::<false>(source, reference, stride)
    }
}

/// Where 8 rows of 8 samples begin.
#[derive(Clone, Copy)]
struct Square<'a> {
    rows: Rows<'a>,
}

impl<'a> Square<'a> {
    #[inline]
    fn new(rows: Rows<'a>) -> Self {
        let (samples, stride) = rows;
        assert!(stride < 1 << 32 && samples.len() >= 7 * stride + 8);
        Self { rows }
    }

    /// Row `Y`, in the lower half.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn row<const Y: usize>(&self) -> __m128i {
        const { assert!(Y < 8) };
        let (samples, stride) = self.rows;
        // SAFETY: `new` has seen that 8 rows of 8 samples are in the slice.
        unsafe { _mm_loadl_epi64(samples.as_ptr().add(Y * stride).cast()) }
    }

    /// Rows 0 and 4, 1 and 5, 2 and 6, 3 and 7.
    #[inline]
    #[target_feature(enable = "avx2")]
    fn row_pairs(&self) -> [__m128i; 4] {
        let rows = self.all();
        [0, 1, 2, 3].map(|i| _mm_unpacklo_epi64(rows[i], rows[i + 4]))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn all(&self) -> [__m128i; 8] {
        [
            self.row::<0>(),
            self.row::<1>(),
            self.row::<2>(),
            self.row::<3>(),
            self.row::<4>(),
            self.row::<5>(),
            self.row::<6>(),
            self.row::<7>(),
        ]
    }
}

#[target_feature(enable = "avx2")]
fn sad_8(a: Rows<'_>, b: Rows<'_>) -> u32 {
    vector::sad_8::<Sse2>(a, b)
}

#[target_feature(enable = "avx2")]
fn sads_8(source: Rows<'_>, places: Places<'_>, stride: usize) -> [u32; 3] {
    vector::sads_8::<Sse2>(source, places, stride)
}

#[target_feature(enable = "avx2")]
fn deviation_8(rows: Rows<'_>) -> u32 {
    vector::deviation_8::<Sse2>(rows)
}

#[target_feature(enable = "avx2")]
fn sad_8_beside(source: Rows<'_>, reference: Rows<'_>, half: bool) -> [u32; 4] {
    vector::sad_8_beside::<Sse2>(source, reference, half)
}

#[inline]
#[target_feature(enable = "avx2")]
fn predict_16_fraction<const FRACTION: Fraction>(reference: &[u8], stride: usize, out: &mut [u8; 256]) {
    let rows = interpolated_rows(reference, stride, FRACTION);
    for y in (0..16).step_by(2) {
        let pair = interpolate::<FRACTION, 1>(&rows, y);
        store_16(out, y * STRIDE, _mm256_castsi256_si128(pair));
        store_16(out, (y + 1) * STRIDE, _mm256_extracti128_si256(pair, 1));
    }
}

#[target_feature(enable = "avx2")]
fn predict_16(reference: &[u8], stride: usize, fraction: Fraction, out: &mut [u8; 256]) {
    match fraction {
        0 => predict_16_fraction::<0>(reference, stride, out),
        1 => predict_16_fraction::<1>(reference, stride, out),
        2 => predict_16_fraction::<2>(reference, stride, out),
        _ => predict_16_fraction::<3>(reference, stride, out),
    }
}

#[target_feature(enable = "avx2")]
fn copy([y, cb, cr]: [Rows<'_>; 3], [to_y, to_cb, to_cr]: [RowsMut<'_>; 3]) {
    let check = |(from, stride): Rows<'_>, (to, to_stride): &RowsMut<'_>, size: usize| {
        let fits = |length: usize, stride: usize| stride < 1 << 32 && length >= (size - 1) * stride + size;
        assert!(fits(from.len(), stride) && fits(to.len(), *to_stride));
    };
    check(y, &to_y, 16);
    for top in (0..16).step_by(4) {
        // SAFETY: both slices were just seen to have 16 rows of 16 samples.
        unsafe {
            let (from, to) = (y.0.as_ptr().add(top * y.1), to_y.0.as_mut_ptr().add(top * to_y.1));
            let rows = [0, 1, 2, 3].map(|row| _mm_loadu_si128(from.add(row * y.1).cast()));
            for (row, samples) in rows.into_iter().enumerate() {
                _mm_storeu_si128(to.add(row * to_y.1).cast(), samples);
            }
        }
    }
    for (from, to) in [(cb, to_cb), (cr, to_cr)] {
        check(from, &to, 8);
        for top in [0, 4] {
            // SAFETY: both slices were just seen to have 8 rows of 8 samples.
            unsafe {
                let (there, here) = (from.0.as_ptr().add(top * from.1), to.0.as_mut_ptr().add(top * to.1));
                let rows = [0, 1, 2, 3].map(|row| _mm_loadl_epi64(there.add(row * from.1).cast()));
                for (row, samples) in rows.into_iter().enumerate() {
                    _mm_storel_epi64(here.add(row * to.1).cast(), samples);
                }
            }
        }
    }
}

/// Eight reference samples of row `y`, interpolated.
#[inline]
#[target_feature(enable = "avx2")]
fn interpolate_8<const FRACTION: Fraction>(rows: &Reference<'_>, y: usize) -> __m128i {
    let a = rows.eight(y, 0);
    match FRACTION {
        0 => a,
        1 => _mm_avg_epu8(a, rows.eight(y, 1)),
        2 => _mm_avg_epu8(a, rows.eight(y + 1, 0)),
        _ => {
            let (b, c, d) = (rows.eight(y, 1), rows.eight(y + 1, 0), rows.eight(y + 1, 1));
            let (x, y) = (_mm_avg_epu8(a, b), _mm_avg_epu8(c, d));
            let rounded = _mm_or_si128(_mm_xor_si128(a, b), _mm_xor_si128(c, d));
            let excess = _mm_and_si128(rounded, _mm_xor_si128(x, y));
            _mm_sub_epi8(_mm_avg_epu8(x, y), _mm_and_si128(excess, _mm_set1_epi8(1)))
        }
    }
}

#[inline]
#[target_feature(enable = "avx2")]
fn predict_8_fraction<const FRACTION: Fraction>(reference: &[u8], stride: usize, out: &mut [u8]) {
    let rows = Reference::new(reference, stride, 7 + (FRACTION >> 1), 8 + (FRACTION & 1));
    let out = &mut out[..7 * STRIDE + 8];
    for y in 0..8 {
        store_8(out, y * STRIDE, interpolate_8::<FRACTION>(&rows, y));
    }
}

#[target_feature(enable = "avx2")]
fn predict_8(reference: &[u8], stride: usize, fraction: Fraction, out: &mut [u8]) {
    match fraction {
        0 => predict_8_fraction::<0>(reference, stride, out),
        1 => predict_8_fraction::<1>(reference, stride, out),
        2 => predict_8_fraction::<2>(reference, stride, out),
        _ => predict_8_fraction::<3>(reference, stride, out),
    }
}

/// Differences of 8 rows of 16 samples.
#[inline]
#[target_feature(enable = "avx2")]
fn differences(a: &[u8], b: &[u8]) -> [__m256i; 8] {
    let (a, b) = (&a[..128], &b[..128]);
    let mut rows = [_mm256_setzero_si256(); 8];
    for (y, row) in rows.iter_mut().enumerate() {
        let (a, b) = (load_16(a, y * STRIDE), load_16(b, y * STRIDE));
        *row = _mm256_sub_epi16(_mm256_cvtepu8_epi16(a), _mm256_cvtepu8_epi16(b));
    }
    rows
}

/// Transposes the 8x8 values in the lower and those in the upper halves.
#[inline]
#[target_feature(enable = "avx2")]
fn transpose(r: [__m256i; 8]) -> [__m256i; 8] {
    let a = [
        _mm256_unpacklo_epi16(r[0], r[1]),
        _mm256_unpackhi_epi16(r[0], r[1]),
        _mm256_unpacklo_epi16(r[2], r[3]),
        _mm256_unpackhi_epi16(r[2], r[3]),
        _mm256_unpacklo_epi16(r[4], r[5]),
        _mm256_unpackhi_epi16(r[4], r[5]),
        _mm256_unpacklo_epi16(r[6], r[7]),
        _mm256_unpackhi_epi16(r[6], r[7]),
    ];
    let b = [
        _mm256_unpacklo_epi32(a[0], a[2]),
        _mm256_unpackhi_epi32(a[0], a[2]),
        _mm256_unpacklo_epi32(a[1], a[3]),
        _mm256_unpackhi_epi32(a[1], a[3]),
        _mm256_unpacklo_epi32(a[4], a[6]),
        _mm256_unpackhi_epi32(a[4], a[6]),
        _mm256_unpacklo_epi32(a[5], a[7]),
        _mm256_unpackhi_epi32(a[5], a[7]),
    ];
    [
        _mm256_unpacklo_epi64(b[0], b[4]),
        _mm256_unpackhi_epi64(b[0], b[4]),
        _mm256_unpacklo_epi64(b[1], b[5]),
        _mm256_unpackhi_epi64(b[1], b[5]),
        _mm256_unpacklo_epi64(b[2], b[6]),
        _mm256_unpackhi_epi64(b[2], b[6]),
        _mm256_unpacklo_epi64(b[3], b[7]),
        _mm256_unpackhi_epi64(b[3], b[7]),
    ]
}

/// The Hadamard transform across 8 vectors.
#[inline]
#[target_feature(enable = "avx2")]
fn hadamard(mut v: [__m256i; 8]) -> [__m256i; 8] {
    for step in [4, 2, 1] {
        for i in 0..8 {
            if i & step == 0 {
                let (a, b) = (v[i], v[i + step]);
                v[i] = _mm256_add_epi16(a, b);
                v[i + step] = _mm256_sub_epi16(a, b);
            }
        }
    }
    v
}

/// Sixteen times eight differences in four blocks: rows of the left ones, then of the right ones; the upper blocks are in the
/// lower halves.
#[inline]
#[target_feature(enable = "avx2")]
fn differences_16<const FRACTION: Fraction>(
    source: &[u8; 256],
    reference: &[u8],
    stride: usize,
) -> [[__m256i; 8]; 2] {
    let rows = interpolated_rows(reference, stride, FRACTION);
    let signs = _mm256_set1_epi16(u16::from_le_bytes([1, -1i8 as u8]) as i16);
    let mut differences = [[_mm256_setzero_si256(); 8]; 2];
    for y in 0..8 {
        let (upper, lower) = (load_16(source, y * STRIDE), load_16(source, (y + 8) * STRIDE));
        let here = _mm256_inserti128_si256(_mm256_castsi128_si256(upper), lower, 1);
        let there = interpolate::<FRACTION, 8>(&rows, y);
        differences[0][y] = _mm256_maddubs_epi16(_mm256_unpacklo_epi8(here, there), signs);
        differences[1][y] = _mm256_maddubs_epi16(_mm256_unpackhi_epi8(here, there), signs);
    }
    differences
}

/// Half of the sums of the absolute Hadamard coefficients, in 32-bit lanes, of `N` (8 at most) vectors that have been
/// transformed across rows.
///
/// Columns stay where they are and are combined in place: those four apart, those two apart, and neighbours at last.
#[inline]
#[target_feature(enable = "avx2")]
fn hadamard_of_columns<const N: usize>(mut v: [__m256i; N]) -> __m256i {
    for pair in v.chunks_exact_mut(2) {
        let (a, b) = (_mm256_unpacklo_epi64(pair[0], pair[1]), _mm256_unpackhi_epi64(pair[0], pair[1]));
        let (a, b) = deal(_mm256_add_epi16(a, b), _mm256_sub_epi16(a, b));
        (pair[0], pair[1]) = (_mm256_add_epi16(a, b), _mm256_sub_epi16(a, b));
    }
    // |a + b| + |a - b| is twice the larger one of |a| and |b|. Eight of them are less than 8 * 32 * 255 < 2^16.
    let mut sums = _mm256_setzero_si256();
    for v in v {
        let magnitudes = _mm256_abs_epi16(v);
        let larger = _mm256_max_epi16(magnitudes, _mm256_srli_epi32(magnitudes, 16));
        sums = _mm256_add_epi16(sums, larger);
    }
    _mm256_and_si256(sums, _mm256_set1_epi32(0xFFFF))
}

/// Half of the sum of the absolute Hadamard coefficients of a block: rows 0 to 3 in the lower halves, 4 to 7 in the upper
/// ones.
#[inline]
#[target_feature(enable = "avx2")]
fn hadamard_sum([r0, r1, r2, r3]: [__m256i; 4]) -> u32 {
    let both = |a: __m256i, b: __m256i| (_mm256_add_epi16(a, b), _mm256_sub_epi16(a, b));
    let ((a0, a2), (a1, a3)) = (both(r0, r2), both(r1, r3));
    let ((b0, b1), (b2, b3)) = (both(a0, a1), both(a2, a3));
    let halves = |a: __m256i, b: __m256i| {
        both(_mm256_permute2x128_si256(a, b, 0x20), _mm256_permute2x128_si256(a, b, 0x31))
    };
    let ((c0, c1), (c2, c3)) = (halves(b0, b1), halves(b2, b3));
    sum_32(hadamard_of_columns([c0, c1, c2, c3]))
}

#[inline]
#[target_feature(enable = "avx2")]
fn satd_16_fraction<const FRACTION: Fraction>(source: &[u8; 256], reference: &[u8], stride: usize) -> u32 {
    let [left, right] = differences_16::<FRACTION>(source, reference, stride);
    let (left, right) = (hadamard_of_columns(hadamard(left)), hadamard_of_columns(hadamard(right)));
    let sums = _mm256_add_epi32(left, right);
    (2 * sum_32(sums) + 2) >> 2
}

#[target_feature(enable = "avx2")]
fn satd_16(source: &[u8; 256], reference: &[u8], stride: usize, fraction: Fraction) -> u32 {
    match fraction {
        0 => satd_16_fraction::<0>(source, reference, stride),
        1 => satd_16_fraction::<1>(source, reference, stride),
        2 => satd_16_fraction::<2>(source, reference, stride),
        _ => satd_16_fraction::<3>(source, reference, stride),
    }
}

#[target_feature(enable = "avx2")]
fn satd_8(a: Rows<'_>, b: Rows<'_>) -> u32 {
    let (a, b) = (Square::new(a).row_pairs(), Square::new(b).row_pairs());
    let mut rows = [_mm256_setzero_si256(); 4];
    for (row, (a, b)) in rows.iter_mut().zip(a.into_iter().zip(b)) {
        *row = _mm256_sub_epi16(_mm256_cvtepu8_epi16(a), _mm256_cvtepu8_epi16(b));
    }
    (2 * hadamard_sum(rows) + 2) >> 2
}

#[target_feature(enable = "avx2")]
fn activity_16(samples: &[u8; 256]) -> u32 {
    let (zero, half) = (_mm_setzero_si128(), _mm_set1_epi64x(32));
    // The first byte of each half, eight times.
    let spread = _mm_set_epi64x(0x0808_0808_0808_0808, 0);
    let mut sums = _mm256_setzero_si256();
    for top in [0, 128] {
        let rows = [0, 32, 64, 96].map(|at| load_32(samples, top + at));
        let mut both = zero;
        for row in rows {
            let sums = _mm256_sad_epu8(row, _mm256_setzero_si256());
            both = _mm_add_epi64(both, _mm256_castsi256_si128(sums));
            both = _mm_add_epi64(both, _mm256_extracti128_si256(sums, 1));
        }
        let means = _mm_shuffle_epi8(_mm_srli_epi64(_mm_add_epi64(both, half), 6), spread);
        let means = _mm256_broadcastsi128_si256(means);
        for row in rows {
            sums = _mm256_add_epi64(sums, _mm256_sad_epu8(row, means));
        }
    }
    sum_64(sums)
}

#[target_feature(enable = "avx2")]
fn activity_8(rows: Rows<'_>) -> u32 {
    let rows = Square::new(rows).row_pairs();
    let sums = rows.map(|rows| _mm_sad_epu8(rows, _mm_setzero_si128()));
    let sums = _mm_add_epi64(_mm_add_epi64(sums[0], sums[1]), _mm_add_epi64(sums[2], sums[3]));
    let sum = _mm_cvtsi128_si32(_mm_add_epi64(sums, _mm_unpackhi_epi64(sums, sums)));
    // The mean only changes the first coefficient, the sum.
    let less_mean = sum - 64 * ((sum + 32) >> 6);
    let coefficients = 2 * hadamard_sum(rows.map(|rows| _mm256_cvtepu8_epi16(rows)));
    (coefficients - sum as u32 + less_mean.unsigned_abs() + 2) >> 2
}

/// Orthonormal DCT across 8 vectors; see `scalar::forward_8`.
#[inline]
#[target_feature(enable = "avx2")]
fn forward_8(x: [__m256i; 8]) -> [__m256i; 8] {
    let c = [0, 1, 2, 3, 4, 5, 6, 7].map(|k| _mm256_set1_epi16(COS[k]));
    let n = [0, 1, 2, 3, 4, 5, 6, 7].map(|k| _mm256_set1_epi16(-COS[k]));
    let s = [0, 1, 2, 3].map(|i| _mm256_add_epi16(x[i], x[7 - i]));
    let d = [0, 1, 2, 3].map(|i| _mm256_sub_epi16(x[i], x[7 - i]));
    let (e0, e1) = (_mm256_add_epi16(s[0], s[3]), _mm256_add_epi16(s[1], s[2]));
    let (f0, f1) = (_mm256_sub_epi16(s[0], s[3]), _mm256_sub_epi16(s[1], s[2]));
    let (g0, g1) = (_mm256_mulhrs_epi16(e0, c[4]), _mm256_mulhrs_epi16(e1, c[4]));
    let two = |p: __m256i, k: __m256i, q: __m256i, l: __m256i| {
        _mm256_add_epi16(_mm256_mulhrs_epi16(p, k), _mm256_mulhrs_epi16(q, l))
    };
    let odd = |k: [__m256i; 4]| _mm256_add_epi16(two(d[0], k[0], d[1], k[1]), two(d[2], k[2], d[3], k[3]));
    [
        _mm256_add_epi16(g0, g1),
        odd([c[1], c[3], c[5], c[7]]),
        two(f0, c[2], f1, c[6]),
        odd([c[3], n[7], n[1], n[5]]),
        _mm256_sub_epi16(g0, g1),
        odd([c[5], n[1], c[7], c[3]]),
        _mm256_sub_epi16(_mm256_mulhrs_epi16(f0, c[6]), _mm256_mulhrs_epi16(f1, c[2])),
        odd([c[7], n[5], c[3], n[1]]),
    ]
}

/// Stores two columns of both blocks, of which the first is in the lower halves.
#[inline]
#[target_feature(enable = "avx2")]
fn store_pairs([first, second]: PairLevels<'_>, i: usize, [a, b]: [__m256i; 2]) {
    store_columns(first, i, _mm256_permute2x128_si256(a, b, 0x20));
    store_columns(second, i, _mm256_permute2x128_si256(a, b, 0x31));
}

#[target_feature(enable = "avx2")]
fn quantize_2(
    source: &PairSamples,
    prediction: &PairSamples,
    divisor: &Divisor,
    coefficients: &mut [Block; 2],
    [first, second]: PairLevels<'_>,
) -> [Quantized; 2] {
    let rows = differences(source, prediction).map(|row| _mm256_slli_epi16(row, 3));
    let columns = forward_8(transpose(forward_8(rows)));
    let zero = _mm256_setzero_si256();
    let (offset, most) = (_mm256_set1_epi16(divisor.offset), _mm256_set1_epi16(divisor.most as i16));
    let reciprocal = _mm256_set1_epi16(divisor.reciprocal as i16);
    let (step, rest) = (_mm256_set1_epi16(divisor.step), _mm256_set1_epi16(divisor.rest));
    let (mut masks, mut energies, mut gains) = ([0; 2], zero, zero);
    for i in 0..4 {
        let pair = [columns[2 * i], columns[2 * i + 1]];
        let (mut magnitudes, mut levels) = ([zero; 2], [zero; 2]);
        for ((magnitude, level), c) in magnitudes.iter_mut().zip(&mut levels).zip(pair) {
            let absolute = _mm256_abs_epi16(c);
            let sum = _mm256_max_epi16(_mm256_add_epi16(absolute, offset), zero);
            *magnitude = _mm256_min_epi16(_mm256_mulhi_epu16(sum, reciprocal), most);
            *level = _mm256_sign_epi16(*magnitude, c);
            let coded = _mm256_add_epi16(_mm256_mullo_epi16(*magnitude, step), rest);
            let coded = _mm256_and_si256(coded, _mm256_cmpgt_epi16(*magnitude, zero));
            let error = _mm256_sub_epi16(_mm256_sub_epi16(coded, absolute), absolute);
            energies = _mm256_add_epi32(energies, _mm256_madd_epi16(c, c));
            gains = _mm256_add_epi32(gains, _mm256_madd_epi16(coded, error));
        }
        store_pairs(coefficients.each_mut(), i, pair);
        store_pairs([&mut *first, &mut *second], i, levels);
        let packed = _mm256_packs_epi16(magnitudes[0], magnitudes[1]);
        let bits = !_mm256_movemask_epi8(_mm256_cmpeq_epi8(packed, zero)) as u32;
        masks[0] |= u64::from(bits & 0xFFFF) << (16 * i);
        masks[1] |= u64::from(bits >> 16) << (16 * i);
    }
    let sums = _mm256_hadd_epi32(energies, gains);
    let sums = _mm256_hadd_epi32(sums, sums);
    let [first, second] = [_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1)]
        .map(|sums| _mm_cvtsi128_si64(sums) as u64);
    let quantized = |mask, sums: u64| Quantized { mask, energy: sums as u32, gain: (sums >> 32) as i32 };
    [quantized(masks[0], first), quantized(masks[1], second)]
}

/// Two factors for `_mm256_madd_epi16`, in all lanes.
#[inline]
#[target_feature(enable = "avx2")]
fn factors([a, b]: [i32; 2]) -> __m256i {
    _mm256_set1_epi32(a & 0xFFFF | (b << 16))
}

/// The same, with other factors in the upper half.
#[inline]
#[target_feature(enable = "avx2")]
fn factors_of_halves(low: [i32; 2], high: [i32; 2]) -> __m256i {
    _mm256_blend_epi32(factors(low), factors(high), 0xF0)
}

/// Sums and differences of the even and the odd part of the inverse DCT, shifted right.
#[inline]
#[target_feature(enable = "avx2")]
fn butterfly<const SHIFT: i32>(even: __m256i, odd: __m256i) -> (__m256i, __m256i) {
    (
        _mm256_srai_epi32(_mm256_add_epi32(even, odd), SHIFT),
        _mm256_srai_epi32(_mm256_sub_epi32(even, odd), SHIFT),
    )
}

/// Inverse DCT of pairs of inputs: 0 and 4, 2 and 6, 1 and 5, 3 and 7, shifted right: outputs 0 to 3, and 7 to 4; see
/// `scalar::inverse_8`.
#[inline]
#[target_feature(enable = "avx2")]
fn inverse_8<const SHIFT: i32>(pairs: [__m256i; 4], rounding: __m256i) -> [(__m256i, __m256i); 4] {
    let [p04, p26, p15, p37] = pairs;
    let madd = |pairs: __m256i, by: [i32; 2]| _mm256_madd_epi16(pairs, factors(by));
    let a = _mm256_add_epi32(madd(p04, [W[4], W[4]]), rounding);
    let b = _mm256_add_epi32(madd(p04, [W[4], -W[4]]), rounding);
    let (d, e) = (madd(p26, [W[2], W[6]]), madd(p26, [W[6], -W[2]]));
    let odd = |by_15: [i32; 2], by_37: [i32; 2]| _mm256_add_epi32(madd(p15, by_15), madd(p37, by_37));
    [
        butterfly::<SHIFT>(_mm256_add_epi32(a, d), odd([W[1], W[5]], [W[3], W[7]])),
        butterfly::<SHIFT>(_mm256_add_epi32(b, e), odd([W[3], -W[1]], [-W[7], -W[5]])),
        butterfly::<SHIFT>(_mm256_sub_epi32(b, e), odd([W[5], W[7]], [-W[1], W[3]])),
        butterfly::<SHIFT>(_mm256_sub_epi32(a, d), odd([W[7], W[3]], [-W[5], -W[1]])),
    ]
}

/// What is added to 16383 times the first coefficient `c` of rows, which may have `others`. A row without others is 8 c,
/// which comes of adding c instead of a half.
#[inline]
#[target_feature(enable = "avx2")]
fn roundings(c: __m128i, others: __m128i) -> __m256i {
    let alone = _mm_cmpeq_epi16(others, _mm_setzero_si128());
    _mm256_cvtepi16_epi32(_mm_blendv_epi8(_mm_set1_epi16(1 << 10), c, alone))
}

/// Four dwords at a time, the even ones and the odd ones.
#[inline]
#[target_feature(enable = "avx2")]
fn deal(a: __m256i, b: __m256i) -> (__m256i, __m256i) {
    let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
    (
        _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0b10_00_10_00)),
        _mm256_castps_si256(_mm256_shuffle_ps(a, b, 0b11_01_11_01)),
    )
}

/// Adds residuals of rows 0 to 3, and of 7 to 4.
#[inline]
#[target_feature(enable = "avx2")]
fn add_rows(residuals: [(__m256i, __m256i); 4], samples: &mut [u8]) {
    let samples = &mut samples[..7 * STRIDE + 8];
    let mut sums = [_mm256_setzero_si256(); 4];
    for (i, (upper, lower)) in residuals.into_iter().enumerate() {
        let residual = _mm256_permute4x64_epi64(_mm256_packs_epi32(upper, lower), 0xD8);
        let rows = _mm_unpacklo_epi64(load_8(samples, i * STRIDE), load_8(samples, (7 - i) * STRIDE));
        sums[i] = _mm256_add_epi16(_mm256_cvtepu8_epi16(rows), residual);
    }
    for i in [0, 2] {
        let rows = _mm256_packus_epi16(sums[i], sums[i + 1]);
        let (upper, lower) = (_mm256_castsi256_si128(rows), _mm256_extracti128_si256(rows, 1));
        store_8(samples, i * STRIDE, upper);
        store_8(samples, (i + 1) * STRIDE, _mm_unpackhi_epi64(upper, upper));
        store_8(samples, (7 - i) * STRIDE, lower);
        store_8(samples, (6 - i) * STRIDE, _mm_unpackhi_epi64(lower, lower));
    }
}

/// The rounding of the columns, in the first one of two values.
const COLUMN_ROUNDING: i32 = (1 << 19) / W[4];

#[target_feature(enable = "avx2")]
fn inverse_add_8(coefficients: &Block, samples: &mut [u8]) {
    // Rows lie in the order 0, 4, 2, 6, 1, 5, 3, 7, so that two that are transformed together become neighbours.
    let order =
        _mm256_broadcastsi128_si256(_mm_set_epi8(15, 14, 7, 6, 11, 10, 3, 2, 13, 12, 5, 4, 9, 8, 1, 0));
    let c = [0, 1, 2, 3].map(|i| _mm256_shuffle_epi8(load_columns(coefficients, i), order));
    let [c01, c23, c45, c67] = c;
    let pairs = |a: __m256i, b: __m256i| {
        let (low, high) = (_mm256_unpacklo_epi16(a, b), _mm256_unpackhi_epi16(a, b));
        (_mm256_permute2x128_si256(low, high, 0x20), _mm256_permute2x128_si256(low, high, 0x31))
    };
    let ((p04, p15), (p26, p37)) = (pairs(c01, c45), pairs(c23, c67));
    let others = _mm256_or_si256(_mm256_or_si256(c23, c45), c67);
    let others = _mm_or_si128(_mm256_castsi256_si128(others), _mm256_extracti128_si256(others, 1));
    let others = _mm_or_si128(others, _mm256_extracti128_si256(c01, 1));
    let rounding = roundings(_mm256_castsi256_si128(c01), others);
    let [(x0, x7), (x1, x6), (x2, x5), (x3, x4)] = inverse_8::<11>([p04, p26, p15, p37], rounding);
    // Pairs of rows 0 and 4, then 2 and 6 are in the lower halves, those of 1 and 5, then 3 and 7 in the upper ones.
    let (left_0, left_1) = deal(_mm256_packs_epi32(x0, x1), _mm256_packs_epi32(x2, x3));
    let (right_0, right_1) = deal(_mm256_packs_epi32(x4, x5), _mm256_packs_epi32(x6, x7));
    let p04 = _mm256_permute2x128_si256(left_0, right_0, 0x20);
    let p26 = _mm256_permute2x128_si256(left_1, right_1, 0x20);
    let p15 = _mm256_permute2x128_si256(left_0, right_0, 0x31);
    let p37 = _mm256_permute2x128_si256(left_1, right_1, 0x31);
    let p04 = _mm256_add_epi16(p04, factors([COLUMN_ROUNDING, 0]));
    add_rows(inverse_8::<20>([p04, p26, p15, p37], _mm256_setzero_si256()), samples);
}

/// The same for coefficients in the first four rows and columns.
#[target_feature(enable = "avx2")]
fn inverse_add_4(coefficients: &Block, samples: &mut [u8]) {
    let c = [0, 1, 2, 3].map(|u| load_column(coefficients, u));
    let rounding = roundings(c[0], _mm_or_si128(_mm_or_si128(c[1], c[2]), c[3]));
    // Rows lie in the order 0, 2, 1, 3, in both halves, which transform to different places.
    let twice = |v: __m256i| _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 2, 1, 3, 0, 2, 1, 3));
    let p02 = twice(_mm256_castsi128_si256(_mm_unpacklo_epi16(c[0], c[2])));
    let p13 = twice(_mm256_castsi128_si256(_mm_unpacklo_epi16(c[1], c[3])));
    let rounding = twice(rounding);
    let madd = |pairs: __m256i, low: [i32; 2], high: [i32; 2]| {
        _mm256_madd_epi16(pairs, factors_of_halves(low, high))
    };
    let even_01 = _mm256_add_epi32(madd(p02, [W[4], W[2]], [W[4], W[6]]), rounding);
    let even_23 = _mm256_add_epi32(madd(p02, [W[4], -W[6]], [W[4], -W[2]]), rounding);
    let (x01, x76) = butterfly::<11>(even_01, madd(p13, [W[1], W[3]], [W[3], -W[7]]));
    let (x23, x54) = butterfly::<11>(even_23, madd(p13, [W[5], -W[1]], [W[7], -W[5]]));
    let (p02, p13) = deal(_mm256_packs_epi32(x01, x23), _mm256_packs_epi32(x76, x54));
    // The places are 0, 2, 7, 5, 1, 3, 6, 4.
    let sort = |v: __m256i| _mm256_permutevar8x32_epi32(v, _mm256_setr_epi32(0, 4, 1, 5, 7, 3, 6, 2));
    let (p02, p13) = (_mm256_add_epi16(sort(p02), factors([COLUMN_ROUNDING, 0])), sort(p13));
    let row = |even: [i32; 2], odd: [i32; 2]| {
        butterfly::<20>(_mm256_madd_epi16(p02, factors(even)), _mm256_madd_epi16(p13, factors(odd)))
    };
    let residuals = [
        row([W[4], W[2]], [W[1], W[3]]),
        row([W[4], W[6]], [W[3], -W[7]]),
        row([W[4], -W[6]], [W[5], -W[1]]),
        row([W[4], -W[2]], [W[7], -W[5]]),
    ];
    add_rows(residuals, samples);
}

/// In the order of transmission, the first ten coefficients lie in the first four rows and columns.
#[target_feature(enable = "avx2")]
fn inverse_add(coefficients: &Block, last: u32, samples: &mut [u8]) {
    match last {
        0 => vector::inverse_add_first::<Sse2>(coefficients[0], samples),
        1..=9 => inverse_add_4(coefficients, samples),
        _ => inverse_add_8(coefficients, samples),
    }
}

#[target_feature(enable = "avx2")]
fn squared_errors(a: &[u8; 384], b: &[u8; 384]) -> [u32; 6] {
    // The lower half has the left block of two.
    let pair = |i: usize| {
        let mut sums = _mm256_setzero_si256();
        for d in differences(&a[128 * i..], &b[128 * i..]) {
            sums = _mm256_add_epi32(sums, _mm256_madd_epi16(d, d));
        }
        sums
    };
    let (first, second, third) = (pair(0), pair(1), pair(2));
    let zero = _mm256_setzero_si256();
    let sums = _mm256_hadd_epi32(_mm256_hadd_epi32(first, second), _mm256_hadd_epi32(third, zero));
    let (left, right) = (_mm256_castsi256_si128(sums), _mm256_extracti128_si256(sums, 1));
    // Interleaved: both blocks of the first pair, of the second, of the third.
    let (low, high) = (_mm_unpacklo_epi32(left, right), _mm_unpackhi_epi32(left, right));
    let quarter = |v: __m128i| [_mm_cvtsi128_si64(v) as u64, _mm_extract_epi64(v, 1) as u64];
    let ([a, b], [c, _]) = (quarter(low), quarter(high));
    [a as u32, (a >> 32) as u32, b as u32, (b >> 32) as u32, c as u32, (c >> 32) as u32]
}

#[target_feature(enable = "avx2")]
fn squared_errors_16(samples: &[u8; 384], [y, cb, cr]: [Rows<'_>; 3]) -> [u32; 2] {
    let zero = _mm256_setzero_si256();
    let squares = |a: __m256i, b: __m256i| {
        let d = _mm256_or_si256(_mm256_subs_epu8(a, b), _mm256_subs_epu8(b, a));
        let (low, high) = (_mm256_unpacklo_epi8(d, zero), _mm256_unpackhi_epi8(d, zero));
        _mm256_add_epi32(_mm256_madd_epi16(low, low), _mm256_madd_epi16(high, high))
    };
    let rows = Reference::new(y.0, y.1, 15, 16);
    let mut luma = zero;
    for y in (0..16).step_by(2) {
        luma = _mm256_add_epi32(luma, squares(load_32(samples, y * STRIDE), rows.pair::<1>(y, 0)));
    }
    let (cb, cr) = (Square::new(cb).all(), Square::new(cr).all());
    let mut chroma = zero;
    for y in (0..8).step_by(2) {
        let row = |y: usize| _mm_unpacklo_epi64(cb[y], cr[y]);
        let reference = _mm256_inserti128_si256(_mm256_castsi128_si256(row(y)), row(y + 1), 1);
        chroma = _mm256_add_epi32(chroma, squares(load_32(samples, 256 + y * STRIDE), reference));
    }
    [sum_32(luma), sum_32(chroma)]
}

#[target_feature(enable = "avx2")]
fn halve(top: &[u8], bottom: &[u8], out: &mut [u8]) {
    let ones = _mm256_set1_epi8(1);
    let whole = out.len() / 32 * 32;
    let rows = top[..2 * whole].chunks_exact(64).zip(bottom[..2 * whole].chunks_exact(64));
    for (out, (top, bottom)) in out.chunks_exact_mut(32).zip(rows) {
        let means = |at: usize| {
            let pairs = |row| _mm256_maddubs_epi16(load_32(row, at), ones);
            let sums = _mm256_add_epi16(_mm256_add_epi16(pairs(top), pairs(bottom)), _mm256_set1_epi16(2));
            _mm256_srli_epi16(sums, 2)
        };
        // Packing takes halves in turn.
        let means = _mm256_permute4x64_epi64(_mm256_packus_epi16(means(0), means(32)), 0xD8);
        store_16(out, 0, _mm256_castsi256_si128(means));
        store_16(out, 16, _mm256_extracti128_si256(means, 1));
    }
    scalar::halve(&top[2 * whole..], &bottom[2 * whole..], &mut out[whole..]);
}
