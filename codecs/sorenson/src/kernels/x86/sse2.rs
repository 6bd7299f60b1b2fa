//! SSE2, which belongs to x86-64.

use crate::kernels::vector::Vector;
use std::arch::x86_64::*;

#[derive(Clone, Copy)]
pub(in crate::kernels) struct Sse2(__m128i);

/// Functions of `a`, the vector itself, and other vectors.
macro_rules! vectors {
    ($($name:ident$(<$n:ident>)?($a:ident$(, $other:ident)*) => $result:expr;)*) => {$(
        #[inline(always)]
        fn $name$(<const $n: i32>)?(self$(, $other: Self)*) -> Self {
            let Self($a) = self;
            $(let Self($other) = $other;)*
            // SAFETY: SSE2 belongs to x86-64.
            Self(unsafe { $result })
        }
    )*};
}

impl Vector for Sse2 {
    #[inline(always)]
    fn load(bytes: &[u8; 16]) -> Self {
        // SAFETY: SSE2 belongs to x86-64; the array has what is read.
        Self(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
    }

    #[inline(always)]
    fn load_half(bytes: &[u8; 8]) -> Self {
        // SAFETY: SSE2 belongs to x86-64; the array has what is read.
        Self(unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) })
    }

    #[inline(always)]
    fn load_values(values: &[i16; 8]) -> Self {
        // SAFETY: SSE2 belongs to x86-64; the array has what is read.
        Self(unsafe { _mm_loadu_si128(values.as_ptr().cast()) })
    }

    #[inline(always)]
    fn store(self, bytes: &mut [u8; 16]) {
        // SAFETY: SSE2 belongs to x86-64; the array has room for what is written.
        unsafe { _mm_storeu_si128(bytes.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn store_half(self, bytes: &mut [u8; 8]) {
        // SAFETY: SSE2 belongs to x86-64; the array has room for what is written.
        unsafe { _mm_storel_epi64(bytes.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn store_values(self, values: &mut [i16; 8]) {
        // SAFETY: SSE2 belongs to x86-64; the array has room for what is written.
        unsafe { _mm_storeu_si128(values.as_mut_ptr().cast(), self.0) }
    }

    #[inline(always)]
    fn splat_8(value: u8) -> Self {
        // SAFETY: SSE2 belongs to x86-64.
        Self(unsafe { _mm_set1_epi8(value as i8) })
    }

    #[inline(always)]
    fn splat_16(value: i16) -> Self {
        // SAFETY: SSE2 belongs to x86-64.
        Self(unsafe { _mm_set1_epi16(value) })
    }

    vectors! {
        and(a, b) => _mm_and_si128(a, b);
        or(a, b) => _mm_or_si128(a, b);
        xor(a, b) => _mm_xor_si128(a, b);
        where_zero_16(a, one, other) => {
            let zero = _mm_cmpeq_epi16(a, _mm_setzero_si128());
            _mm_or_si128(_mm_and_si128(zero, one), _mm_andnot_si128(zero, other))
        };

        sub_8(a, b) => _mm_sub_epi8(a, b);
        add_saturating_8(a, b) => _mm_adds_epu8(a, b);
        sub_saturating_8(a, b) => _mm_subs_epu8(a, b);
        mean_8(a, b) => _mm_avg_epu8(a, b);
        difference_8(a, b) => _mm_or_si128(_mm_subs_epu8(a, b), _mm_subs_epu8(b, a));
        add_neighbours_8(a) => _mm_add_epi16(_mm_and_si128(a, _mm_set1_epi16(0xFF)), _mm_srli_epi16(a, 8));
        widen_low(a) => _mm_unpacklo_epi8(a, _mm_setzero_si128());
        widen_high(a) => _mm_unpackhi_epi8(a, _mm_setzero_si128());

        add_16(a, b) => _mm_add_epi16(a, b);
        sub_16(a, b) => _mm_sub_epi16(a, b);
        max_16(a, b) => _mm_max_epi16(a, b);
        min_16(a, b) => _mm_min_epi16(a, b);
        abs_16(a) => _mm_max_epi16(a, _mm_sub_epi16(_mm_setzero_si128(), a));
        negative_16(a) => _mm_srai_epi16(a, 15);
        shift_left_16<N>(a) => _mm_slli_epi16(a, N);
        shift_right_16<N>(a) => _mm_srli_epi16(a, N);
        multiply_16(a, b) => _mm_mullo_epi16(a, b);
        multiply_high_16(a, b) => _mm_mulhi_epu16(a, b);
        narrow_16(a, b) => _mm_packus_epi16(a, b);

        add_32(a, b) => _mm_add_epi32(a, b);
        sub_32(a, b) => _mm_sub_epi32(a, b);
        shift_right_32<N>(a) => _mm_srai_epi32(a, N);
        narrow_32(a, b) => _mm_packs_epi32(a, b);

        zip_low_16(a, b) => _mm_unpacklo_epi16(a, b);
        zip_high_16(a, b) => _mm_unpackhi_epi16(a, b);
        zip_low_32(a, b) => _mm_unpacklo_epi32(a, b);
        zip_high_32(a, b) => _mm_unpackhi_epi32(a, b);
        low_halves(a, b) => _mm_unpacklo_epi64(a, b);
        high_halves(a, b) => _mm_unpackhi_epi64(a, b);

        add_sad(sums, a, b) => _mm_add_epi64(sums, _mm_sad_epu8(a, b));
        add_products(sums, a, b) => _mm_add_epi32(sums, _mm_madd_epi16(a, b));
    }

    #[inline(always)]
    fn scale_16(self, factor: i16) -> Self {
        // SAFETY: SSE2 belongs to x86-64.
        unsafe {
            // In units of 2^-16, rounded by the highest bit that is lost.
            let factor = _mm_set1_epi16(2 * factor);
            let lost = _mm_mullo_epi16(self.0, factor);
            Self(_mm_add_epi16(_mm_mulhi_epi16(self.0, factor), _mm_srli_epi16(lost, 15)))
        }
    }

    #[inline(always)]
    fn nonzero_16(self, other: Self) -> u16 {
        // SAFETY: SSE2 belongs to x86-64.
        unsafe {
            let zero = _mm_cmpeq_epi8(_mm_packs_epi16(self.0, other.0), _mm_setzero_si128());
            !_mm_movemask_epi8(zero) as u16
        }
    }

    #[inline(always)]
    fn first_16(self) -> i16 {
        // SAFETY: SSE2 belongs to x86-64.
        unsafe { _mm_cvtsi128_si32(self.0) as i16 }
    }

    #[inline(always)]
    fn sum_16(self) -> u32 {
        // SAFETY: SSE2 belongs to x86-64.
        Self(unsafe { _mm_madd_epi16(self.0, _mm_set1_epi16(1)) }).sum_32()
    }

    #[inline(always)]
    fn sum_32(self) -> u32 {
        // SAFETY: SSE2 belongs to x86-64.
        unsafe {
            let sums = _mm_add_epi32(self.0, _mm_unpackhi_epi64(self.0, self.0));
            _mm_cvtsi128_si32(_mm_add_epi32(sums, _mm_shuffle_epi32(sums, 1))) as u32
        }
    }

    #[inline(always)]
    fn sums_of_sads(self) -> [u32; 2] {
        // SAFETY: SSE2 belongs to x86-64.
        unsafe { [self.0, _mm_unpackhi_epi64(self.0, self.0)].map(|sum| _mm_cvtsi128_si32(sum) as u32) }
    }

    #[inline(always)]
    fn dot(self, other: Self, [a, b]: [i32; 2]) -> [Self; 2] {
        // SAFETY: SSE2 belongs to x86-64.
        unsafe {
            let factors = _mm_set1_epi32(a & 0xFFFF | (b << 16));
            let pairs = [_mm_unpacklo_epi16(self.0, other.0), _mm_unpackhi_epi16(self.0, other.0)];
            pairs.map(|pairs| Self(_mm_madd_epi16(pairs, factors)))
        }
    }
}
