//! The loop filter for four blocks at a time, in vector instructions of AVX2.
//!
//! Block by block, a block's left edge is filtered before its lower edge, and both before the left edge of the next block.
//! Only corners notice the order. The lower edge sees what the left edge has made of the block's first column; the left
//! edge sees in its lowest row what the lower edge has made of the two columns before it. These two columns are out of
//! reach of the left edge of their own block. So all lower edges are filtered as if there were no left edges, then
//! all left edges with the two columns from that, then all lower edges again with the right first columns.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

/// Filters the left and lower edges of four blocks side by side, the first of which starts at `block`. `corner` are the two
/// samples left of their lowest row. Returns the last two samples of that row.
///
/// # Safety
/// The machine must have AVX2. In ten rows from `block` on, `stride` apart, 32 samples and two before them must be in one
/// allocation that nobody else uses.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) unsafe fn filter_four(block: *mut u8, stride: usize, corner: u16, limit: u8) -> u16 {
    let twice = _mm256_set1_epi16(2 * i16::from(limit));
    // SAFETY: all samples are in the rows and columns that the caller promises.
    unsafe {
        let at = |row: usize| block.add(row * stride);
        let load = |row: usize| _mm256_loadu_si256(at(row).cast());
        let (row6, row7, row8, row9) = (load(6), load(7), load(8), load(9));
        let (_, early7) = filter_samples([row9, row8, row7, row6], twice);

        // Two samples on either side of each edge are the lower half of every 64 bits of a row.
        let rows: [__m256i; 7] = std::array::from_fn(|row| _mm256_loadu_si256(at(row).sub(2).cast()));
        // In the lowest row, those left of the edge are the last of the block before.
        let last = _mm256_srli_epi64::<48>(early7);
        let next_corner = _mm_extract_epi16::<4>(_mm256_extracti128_si256::<1>(last)) as u16;
        let corner = _mm256_castsi128_si256(_mm_cvtsi32_si128(corner.into()));
        let left = _mm256_blend_epi32::<0b11>(_mm256_permute4x64_epi64::<0b10_01_00_00>(last), corner);
        let lowest = _mm256_or_si256(_mm256_slli_epi64::<16>(row7), left);

        let two = |a, b| _mm256_blend_epi32::<0b1010_1010>(a, _mm256_slli_epi64::<32>(b));
        let edges =
            [two(rows[0], rows[1]), two(rows[2], rows[3]), two(rows[4], rows[5]), two(rows[6], lowest)];
        let edges = filter_columns(edges, twice);
        for (row, samples) in rows.into_iter().enumerate() {
            let two = edges[row / 2];
            let new = if row % 2 == 0 { two } else { _mm256_srli_epi64::<32>(two) };
            _mm256_storeu_si256(at(row).sub(2).cast(), _mm256_blend_epi32::<0b0101_0101>(samples, new));
        }

        // What the left edges have made of the first column, in rows 6 and 7.
        let first = _mm256_set1_epi64x(0xFF);
        let with_first = |row, new| _mm256_blendv_epi8(row, new, first);
        let row6 = with_first(row6, _mm256_srli_epi64::<16>(edges[3]));
        let row7 = with_first(row7, _mm256_srli_epi64::<48>(edges[3]));
        let (row8, row7) = filter_samples([row9, row8, row7, row6], twice);
        _mm256_storeu_si256(at(8).cast(), row8);
        // The last column of a block is what the left edge of the next block has made of it.
        let next = _mm256_slli_epi64::<16>(_mm256_permute4x64_epi64::<0b11_11_10_01>(edges[3]));
        let last = _mm256_set_epi64x(0, 0xFF << 56, 0xFF << 56, 0xFF << 56);
        _mm256_storeu_si256(at(7).cast(), _mm256_blendv_epi8(row7, next, last));
        *at(7).sub(1) = (_mm256_extract_epi16::<2>(edges[3]) >> 8) as u8;
        next_corner
    }
}

/// Filters across vertical edges. Every 64 bits hold four samples each of two rows; two of them are left of the edge.
#[inline]
#[target_feature(enable = "avx2")]
fn filter_columns(rows: [__m256i; 4], twice: __m256i) -> [__m256i; 4] {
    // Four times four bytes of each half, transposed.
    let order = _mm256_set_epi8(
        15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0, //
        15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0,
    );
    let [a, b, c, d] = rows.map(|row| _mm256_shuffle_epi8(row, order));
    let (ab0, ab1) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (cd0, cd1) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    let (p0, p1) = (_mm256_unpacklo_epi64(ab0, cd0), _mm256_unpackhi_epi64(ab0, cd0));
    let (p2, p3) = (_mm256_unpacklo_epi64(ab1, cd1), _mm256_unpackhi_epi64(ab1, cd1));
    let (p1, p2) = filter_samples([p0, p1, p2, p3], twice);
    let (ab0, cd0) = (_mm256_unpacklo_epi64(p0, p1), _mm256_unpackhi_epi64(p0, p1));
    let (ab1, cd1) = (_mm256_unpacklo_epi64(p2, p3), _mm256_unpackhi_epi64(p2, p3));
    let even = |a, b| {
        let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
        _mm256_castps_si256(_mm256_shuffle_ps::<0b10_00_10_00>(a, b))
    };
    let odd = |a, b| {
        let (a, b) = (_mm256_castsi256_ps(a), _mm256_castsi256_ps(b));
        _mm256_castps_si256(_mm256_shuffle_ps::<0b11_01_11_01>(a, b))
    };
    [even(ab0, ab1), odd(ab0, ab1), even(cd0, cd1), odd(cd0, cd1)].map(|row| _mm256_shuffle_epi8(row, order))
}

/// Filters 32 times four samples across an edge (section 7.10): the second and the third of them. `twice` is twice the
/// limit.
#[inline]
#[target_feature(enable = "avx2")]
fn filter_samples([p0, p1, p2, p3]: [__m256i; 4], twice: __m256i) -> (__m256i, __m256i) {
    let limited = |p01, p23| {
        let weights01 = _mm256_set1_epi16(i16::from_le_bytes([1, -3i8 as u8]));
        let weights23 = _mm256_set1_epi16(i16::from_le_bytes([3, -1i8 as u8]));
        let sum =
            _mm256_add_epi16(_mm256_maddubs_epi16(p01, weights01), _mm256_maddubs_epi16(p23, weights23));
        // Rounded, and divided by 8.
        let response = _mm256_mulhrs_epi16(sum, _mm256_set1_epi16(1 << 12));
        let magnitude = _mm256_abs_epi16(response);
        let limited = _mm256_min_epi16(magnitude, _mm256_subs_epu16(twice, magnitude));
        _mm256_sign_epi16(limited, response)
    };
    let low = limited(_mm256_unpacklo_epi8(p0, p1), _mm256_unpacklo_epi8(p2, p3));
    let high = limited(_mm256_unpackhi_epi8(p0, p1), _mm256_unpackhi_epi8(p2, p3));
    // It is at most the limit, so it fits in 8 bits.
    let response = _mm256_packs_epi16(low, high);
    // Samples as signed numbers saturate where they are to be clamped.
    let sign = _mm256_set1_epi8(-128);
    let p1 = _mm256_adds_epi8(_mm256_xor_si256(p1, sign), response);
    let p2 = _mm256_subs_epi8(_mm256_xor_si256(p2, sign), response);
    (_mm256_xor_si256(p1, sign), _mm256_xor_si256(p2, sign))
}
