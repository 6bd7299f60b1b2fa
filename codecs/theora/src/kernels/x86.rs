//! The inner loops in vector instructions of x86-64.
//!
//! The same code is compiled twice: with SSE2, which every x86-64 has, and with AVX2, whose encoding spares copies.

#![allow(unsafe_code)]

use std::arch::x86_64::*;

use oggflv_common::simd::{Isa, Level};

use super::filter_four::filter_four;
use super::{Coefficients, FilterRow, Kernels, Prediction};
use crate::masks;
use crate::parse::Reference;

/// The kernels for SSE2.
pub(crate) fn sse2() -> Kernels {
    Kernels {
        // SAFETY: SSE2 belongs to x86-64.
        reconstruct: |block, stride, prediction, coefficients, last| unsafe {
            sse2::reconstruct(block, stride, prediction, coefficients, last)
        },
        // SAFETY: SSE2 belongs to x86-64.
        reconstruct_dc: |block, stride, prediction, residual| unsafe {
            sse2::reconstruct_dc(block, stride, prediction, residual)
        },
        // SAFETY: SSE2 belongs to x86-64.
        filter_row: |plane, filter| unsafe { sse2::filter_row(plane, filter) },
    }
}

/// The kernels for AVX2, which the level proves to be there.
pub(crate) fn avx2(level: Level) -> Kernels {
    assert!(level.isa() == Isa::Avx2);
    Kernels {
        // SAFETY: `level` proves that the machine has AVX2.
        reconstruct: |block, stride, prediction, coefficients, last| unsafe {
            avx2::reconstruct(block, stride, prediction, coefficients, last)
        },
        // SAFETY: `level` proves that the machine has AVX2.
        reconstruct_dc: |block, stride, prediction, residual| unsafe {
            avx2::reconstruct_dc(block, stride, prediction, residual)
        },
        // SAFETY: `level` proves that the machine has AVX2.
        filter_row: |plane, filter| unsafe { avx2::filter_row(plane, filter) },
    }
}

/// Panics unless `samples` has eight rows of eight samples, `stride` apart.
#[inline(always)]
fn check_block(samples: &[u8], stride: usize) {
    assert!(
        stride.checked_mul(7).and_then(|last| last.checked_add(8)).is_some_and(|end| end <= samples.len())
    );
}

/// See `filter_four`.
type FilterFour = unsafe fn(*mut u8, usize, u16, u8) -> u16;

macro_rules! kernels {
    ($module:ident, $feature:literal, $filter_four:expr) => {
        mod $module {
            use super::*;

            /// Filters four blocks at a time, if these instructions can.
            const FILTER_FOUR: Option<FilterFour> = $filter_four;

            /// See `Kernels::reconstruct`.
            #[target_feature(enable = $feature)]
            pub(super) fn reconstruct(
                block: &mut [u8],
                stride: usize,
                prediction: &Prediction<'_>,
                coefficients: &mut Coefficients,
                last: u8,
            ) {
                // All coefficients of the first 3 or 10 in zig-zag order lie in the first 2 or 4 rows and columns.
                let residual = match last {
                    0..=2 => idct::<2>(coefficients),
                    3..=9 => idct::<4>(coefficients),
                    _ => idct::<8>(coefficients),
                };
                add(block, stride, prediction, |row| residual[row]);
            }

            /// See `Kernels::reconstruct_dc`.
            #[target_feature(enable = $feature)]
            pub(super) fn reconstruct_dc(
                block: &mut [u8],
                stride: usize,
                prediction: &Prediction<'_>,
                residual: i16,
            ) {
                check_block(block, stride);
                let target = block.as_mut_ptr();
                // What is added and what is taken away; one of them is zero.
                let rise = _mm_set1_epi8(residual.clamp(0, 255) as u8 as i8);
                let fall = _mm_set1_epi8(residual.saturating_neg().clamp(0, 255) as u8 as i8);
                let sum = |predicted: __m128i| _mm_subs_epu8(_mm_adds_epu8(predicted, rise), fall);
                match *prediction {
                    Prediction::Intra => {
                        let samples = sum(_mm_set1_epi8(-128));
                        for y in (0..8).step_by(2) {
                            // SAFETY: `check_block` has seen rows `y` and `y + 1` of the block.
                            unsafe { store_two(target.add(y * stride), stride, samples) };
                        }
                    }
                    Prediction::Whole { block: source, stride: source_stride } => {
                        check_block(source, source_stride);
                        let source = source.as_ptr();
                        for y in (0..8).step_by(2) {
                            // SAFETY: `check_block` has seen rows `y` and `y + 1` of both blocks.
                            unsafe {
                                let predicted = load_two(source.add(y * source_stride), source_stride);
                                store_two(target.add(y * stride), stride, sum(predicted));
                            }
                        }
                    }
                    Prediction::Half { blocks: [a, b], strides } => {
                        check_block(a, strides[0]);
                        check_block(b, strides[1]);
                        let (a, b) = (a.as_ptr(), b.as_ptr());
                        let one = _mm_set1_epi8(1);
                        for y in (0..8).step_by(2) {
                            // SAFETY: `check_block` has seen rows `y` and `y + 1` of all three blocks.
                            unsafe {
                                let a = load_two(a.add(y * strides[0]), strides[0]);
                                let b = load_two(b.add(y * strides[1]), strides[1]);
                                // The mean that vectors have rounds up.
                                let excess = _mm_and_si128(_mm_xor_si128(a, b), one);
                                let mean = _mm_sub_epi8(_mm_avg_epu8(a, b), excess);
                                store_two(target.add(y * stride), stride, sum(mean));
                            }
                        }
                    }
                }
            }

            /// Loads eight samples and eight of the next row.
            ///
            /// # Safety
            /// Both rows must be in one allocation.
            #[inline]
            #[target_feature(enable = $feature)]
            unsafe fn load_two(samples: *const u8, stride: usize) -> __m128i {
                // SAFETY: as the caller promises.
                unsafe {
                    let first = _mm_loadl_epi64(samples.cast());
                    _mm_unpacklo_epi64(first, _mm_loadl_epi64(samples.add(stride).cast()))
                }
            }

            /// Stores eight samples and eight in the next row.
            ///
            /// # Safety
            /// Both rows must be in one allocation that nobody else uses.
            #[inline]
            #[target_feature(enable = $feature)]
            unsafe fn store_two(samples: *mut u8, stride: usize, two: __m128i) {
                // SAFETY: as the caller promises.
                unsafe {
                    _mm_storel_epi64(samples.cast(), two);
                    _mm_storel_epi64(samples.add(stride).cast(), _mm_unpackhi_epi64(two, two));
                }
            }

            /// Adds prediction and residual and stores the block. Row 0 of the residual is the bottom.
            #[inline]
            #[target_feature(enable = $feature)]
            fn add(
                block: &mut [u8],
                stride: usize,
                prediction: &Prediction<'_>,
                residual: impl Fn(usize) -> __m128i,
            ) {
                let zero = _mm_setzero_si128();
                check_block(block, stride);
                let target = block.as_mut_ptr();
                match *prediction {
                    Prediction::Intra => {
                        for y in 0..8 {
                            let sum = _mm_adds_epi16(residual(7 - y), _mm_set1_epi16(128));
                            // SAFETY: `check_block` has seen row `y` of the block.
                            unsafe {
                                _mm_storel_epi64(target.add(y * stride).cast(), _mm_packus_epi16(sum, zero))
                            };
                        }
                    }
                    Prediction::Whole { block: source, stride: source_stride } => {
                        check_block(source, source_stride);
                        let source = source.as_ptr();
                        for y in 0..8 {
                            // SAFETY: `check_block` has seen row `y` of both blocks.
                            unsafe {
                                let row = _mm_loadl_epi64(source.add(y * source_stride).cast());
                                let sum = _mm_adds_epi16(_mm_unpacklo_epi8(row, zero), residual(7 - y));
                                _mm_storel_epi64(target.add(y * stride).cast(), _mm_packus_epi16(sum, zero));
                            }
                        }
                    }
                    Prediction::Half { blocks: [a, b], strides } => {
                        check_block(a, strides[0]);
                        check_block(b, strides[1]);
                        let (a, b) = (a.as_ptr(), b.as_ptr());
                        for y in 0..8 {
                            // SAFETY: `check_block` has seen row `y` of all three blocks.
                            unsafe {
                                let a =
                                    _mm_unpacklo_epi8(_mm_loadl_epi64(a.add(y * strides[0]).cast()), zero);
                                let b =
                                    _mm_unpacklo_epi8(_mm_loadl_epi64(b.add(y * strides[1]).cast()), zero);
                                let mean = _mm_srli_epi16::<1>(_mm_add_epi16(a, b));
                                let sum = _mm_adds_epi16(mean, residual(7 - y));
                                _mm_storel_epi64(target.add(y * stride).cast(), _mm_packus_epi16(sum, zero));
                            }
                        }
                    }
                }
            }

            /// The 2D inverse DCT of coefficients in the first `N` rows and columns, which it clears.
            #[inline]
            #[target_feature(enable = $feature)]
            fn idct<const N: usize>(coefficients: &mut Coefficients) -> [__m128i; 8] {
                let zero = _mm_setzero_si128();
                let mut inputs = [zero; 8];
                let memory: *mut __m128i = coefficients.0.as_mut_ptr().cast();
                for ci in 0..N {
                    // SAFETY: 64 coefficients are 8 vectors, and `Coefficients` is aligned.
                    unsafe {
                        inputs[ci] = _mm_load_si128(memory.add(ci));
                        _mm_store_si128(memory.add(ci), zero);
                    }
                }
                // The rows of the block lie across the vectors, then its columns do.
                let columns = transpose(idct_1d::<N>(inputs));
                let residual = idct_1d::<N>(columns);
                // Sums beyond 16 bits saturate, where the specification has 32 bits; either way the sample clamps.
                residual.map(|row| _mm_srai_epi16::<4>(_mm_adds_epi16(row, _mm_set1_epi16(8))))
            }

            /// Eight 1D inverse DCTs, of which only the first `N` inputs may differ from zero.
            #[inline]
            #[target_feature(enable = $feature)]
            fn idct_1d<const N: usize>(y: [__m128i; 8]) -> [__m128i; 8] {
                // Constants of 32768 and more are negative as vectors see them: what is missing is the factor itself.
                let high = |constant: u16, value: __m128i| {
                    let product = _mm_mulhi_epi16(value, _mm_set1_epi16(constant as i16));
                    if constant >= 0x8000 { _mm_add_epi16(product, value) } else { product }
                };
                let (c1, c2, c3, c4, c5, c6, c7) = (64277, 60547, 54491, 46341, 36410, 25080, 12785);

                let (t0, t1) = if N > 4 {
                    (high(c4, _mm_add_epi16(y[0], y[4])), high(c4, _mm_sub_epi16(y[0], y[4])))
                } else {
                    (high(c4, y[0]), high(c4, y[0]))
                };
                let (t2, t3) = if N > 4 {
                    (
                        _mm_sub_epi16(high(c6, y[2]), high(c2, y[6])),
                        _mm_add_epi16(high(c2, y[2]), high(c6, y[6])),
                    )
                } else if N > 2 {
                    (high(c6, y[2]), high(c2, y[2]))
                } else {
                    (_mm_setzero_si128(), _mm_setzero_si128())
                };
                let (t4, t7) = if N > 4 {
                    (
                        _mm_sub_epi16(high(c7, y[1]), high(c1, y[7])),
                        _mm_add_epi16(high(c1, y[1]), high(c7, y[7])),
                    )
                } else {
                    (high(c7, y[1]), high(c1, y[1]))
                };
                let (t5, t6) = if N > 4 {
                    (
                        _mm_sub_epi16(high(c3, y[5]), high(c5, y[3])),
                        _mm_add_epi16(high(c5, y[5]), high(c3, y[3])),
                    )
                } else if N > 2 {
                    (_mm_sub_epi16(_mm_setzero_si128(), high(c5, y[3])), high(c3, y[3]))
                } else {
                    (_mm_setzero_si128(), _mm_setzero_si128())
                };

                let (t4, t5) = (_mm_add_epi16(t4, t5), high(c4, _mm_sub_epi16(t4, t5)));
                let (t7, t6) = (_mm_add_epi16(t7, t6), high(c4, _mm_sub_epi16(t7, t6)));
                let (t0, t3) = (_mm_add_epi16(t0, t3), _mm_sub_epi16(t0, t3));
                let (t1, t2) = (_mm_add_epi16(t1, t2), _mm_sub_epi16(t1, t2));
                let (t6, t5) = (_mm_add_epi16(t6, t5), _mm_sub_epi16(t6, t5));
                [
                    _mm_add_epi16(t0, t7),
                    _mm_add_epi16(t1, t6),
                    _mm_add_epi16(t2, t5),
                    _mm_add_epi16(t3, t4),
                    _mm_sub_epi16(t3, t4),
                    _mm_sub_epi16(t2, t5),
                    _mm_sub_epi16(t1, t6),
                    _mm_sub_epi16(t0, t7),
                ]
            }

            #[inline]
            #[target_feature(enable = $feature)]
            fn transpose(v: [__m128i; 8]) -> [__m128i; 8] {
                let (a0, a1) = (_mm_unpacklo_epi16(v[0], v[1]), _mm_unpackhi_epi16(v[0], v[1]));
                let (a2, a3) = (_mm_unpacklo_epi16(v[2], v[3]), _mm_unpackhi_epi16(v[2], v[3]));
                let (a4, a5) = (_mm_unpacklo_epi16(v[4], v[5]), _mm_unpackhi_epi16(v[4], v[5]));
                let (a6, a7) = (_mm_unpacklo_epi16(v[6], v[7]), _mm_unpackhi_epi16(v[6], v[7]));
                let (b0, b1) = (_mm_unpacklo_epi32(a0, a2), _mm_unpackhi_epi32(a0, a2));
                let (b2, b3) = (_mm_unpacklo_epi32(a1, a3), _mm_unpackhi_epi32(a1, a3));
                let (b4, b5) = (_mm_unpacklo_epi32(a4, a6), _mm_unpackhi_epi32(a4, a6));
                let (b6, b7) = (_mm_unpacklo_epi32(a5, a7), _mm_unpackhi_epi32(a5, a7));
                [
                    _mm_unpacklo_epi64(b0, b4),
                    _mm_unpackhi_epi64(b0, b4),
                    _mm_unpacklo_epi64(b1, b5),
                    _mm_unpackhi_epi64(b1, b5),
                    _mm_unpacklo_epi64(b2, b6),
                    _mm_unpackhi_epi64(b2, b6),
                    _mm_unpacklo_epi64(b3, b7),
                    _mm_unpackhi_epi64(b3, b7),
                ]
            }

            /// See `Kernels::filter_row`.
            #[target_feature(enable = $feature)]
            pub(super) fn filter_row(plane: &mut [u8], filter: &FilterRow<'_>) {
                filter.check(plane.len());
                let FilterRow { stride, top, row, above, has_below, limit } = *filter;
                let twice = _mm_set1_epi16(2 * i16::from(limit));
                // SAFETY: `check` has seen that the row is inside the plane.
                let samples = unsafe { plane.as_mut_ptr().add(top) };
                // The samples at the lower right corner of the block before, if its lower edge has just been
                // filtered. They and those at the other corner are handed on in registers: to load a vector that has
                // been stored in part a moment ago takes long.
                let mut corner = None;
                // The column after the last block that was filtered.
                let mut next = 0;
                for start in (0..row.len()).step_by(masks::BLOCKS) {
                    let columns = start..row.len().min(start + masks::BLOCKS);
                    let mut coded = masks::coded(&row[columns.clone()]);
                    let inner = coded & above.map_or(u64::MAX, |above| masks::coded(&above[columns]));
                    // The first of four blocks that are coded like those above them, and whose four left edges are
                    // inside the plane.
                    let mut fours = inner & inner >> 1 & inner >> 2 & inner >> 3;
                    if !has_below || FILTER_FOUR.is_none() {
                        fours = 0;
                    }
                    if start == 0 {
                        fours &= !1;
                    }
                    while coded != 0 {
                        let bit = coded.trailing_zeros();
                        let column = start + bit as usize;
                        if column != next {
                            corner = None;
                        }
                        // SAFETY: `check` has seen that the plane has `row.len()` blocks at `top`, with eight rows of
                        // samples each, and two more rows below and above where there are blocks. An edge at the left of
                        // a block that is not the first has two samples on either side of it. These instructions are
                        // there, as this function runs.
                        unsafe {
                            let block = samples.add(8 * column);
                            let is_four = fours >> bit & 1 == 1;
                            if let (true, Some(filter_four)) = (is_four, FILTER_FOUR) {
                                let before = || block.add(7 * stride).sub(2).cast::<u16>().read_unaligned();
                                corner =
                                    Some(filter_four(block, stride, corner.unwrap_or_else(before), limit));
                                coded &= !(0b1111 << bit);
                                next = column + 4;
                            } else {
                                let left = (column > 0).then_some(corner);
                                corner = filter_left_and_below(block, stride, left, has_below, twice);
                                coded &= coded - 1;
                                next = column + 1;
                            }
                            if row.get(next) == Some(&Reference::None) {
                                filter_vertical_edge(samples.add(8 * next), stride, corner, twice);
                            }
                            if !is_four && above.is_some_and(|above| above[column] == Reference::None) {
                                let over = block.sub(stride);
                                let p = [
                                    load(block.add(stride)),
                                    load(block),
                                    load(over),
                                    load(over.sub(stride)),
                                ];
                                let filtered = filter_samples(p, twice);
                                _mm_storel_epi64(block.cast(), filtered);
                                _mm_storel_epi64(over.cast(), _mm_unpackhi_epi64(filtered, filtered));
                            }
                        }
                    }
                }
            }

            /// Filters the left edge of the block at `block`, unless `left` is none, and its lower edge if there are blocks
            /// below. `left` may hold the two samples left of the lowest row; if it does not, they are loaded. Returns
            /// the last two samples of that row, if it has been filtered.
            ///
            /// # Safety
            /// The block's eight rows of eight samples, `stride` apart, two rows below and two samples before it must be
            /// in one allocation that nobody else uses, as far as they are asked for.
            #[inline]
            #[target_feature(enable = $feature)]
            unsafe fn filter_left_and_below(
                block: *mut u8,
                stride: usize,
                left: Option<Option<u16>>,
                has_below: bool,
                twice: __m128i,
            ) -> Option<u16> {
                // SAFETY: as the caller promises.
                unsafe {
                    let bottom = block.add(7 * stride);
                    let mut p = [_mm_setzero_si128(); 4];
                    let mut next_corner = None;
                    if has_below {
                        let below = bottom.add(stride);
                        p = [load(below.add(stride)), load(below), load(bottom), load(bottom.sub(stride))];
                        // The left edge changes only the first of the eight samples. That the corner does not wait for
                        // it lets the processor work on several blocks at once.
                        let early = filter_samples(p, twice);
                        next_corner = Some(_mm_extract_epi16::<7>(early) as u16);
                    }
                    if let Some(corner) = left {
                        let pairs = filter_vertical_edge(block, stride, corner, twice);
                        p[2] = _mm_insert_epi16::<0>(p[2], _mm_extract_epi16::<7>(pairs) >> 8);
                        p[3] = _mm_insert_epi16::<0>(p[3], _mm_extract_epi16::<6>(pairs) >> 8);
                    }
                    if has_below {
                        let filtered = filter_samples(p, twice);
                        _mm_storel_epi64(bottom.add(stride).cast(), filtered);
                        _mm_storel_epi64(bottom.cast(), _mm_unpackhi_epi64(filtered, filtered));
                    }
                    next_corner
                }
            }

            /// Loads eight samples.
            ///
            /// # Safety
            /// They must be in an allocation.
            #[inline]
            #[target_feature(enable = $feature)]
            unsafe fn load(samples: *const u8) -> __m128i {
                // SAFETY: as the caller promises.
                let samples = unsafe { _mm_loadl_epi64(samples.cast()) };
                _mm_unpacklo_epi8(samples, _mm_setzero_si128())
            }

            /// Filters eight times four samples across an edge (section 7.10): the second and the third of them.
            /// `twice` is twice the limit.
            #[inline]
            #[target_feature(enable = $feature)]
            fn filter_samples(p: [__m128i; 4], twice: __m128i) -> __m128i {
                let inner = _mm_sub_epi16(p[2], p[1]);
                let sum = _mm_add_epi16(
                    _mm_sub_epi16(p[0], p[3]),
                    _mm_add_epi16(inner, _mm_add_epi16(inner, inner)),
                );
                let response = _mm_srai_epi16::<3>(_mm_add_epi16(sum, _mm_set1_epi16(4)));
                let sign = _mm_srai_epi16::<15>(response);
                let magnitude = _mm_sub_epi16(_mm_xor_si128(response, sign), sign);
                // Both are at most 256, so saturation without sign ends at zero.
                let limited = _mm_min_epi16(magnitude, _mm_subs_epu16(twice, magnitude));
                let response = _mm_sub_epi16(_mm_xor_si128(limited, sign), sign);
                _mm_packus_epi16(_mm_add_epi16(p[1], response), _mm_sub_epi16(p[2], response))
            }

            /// Filters across the edge at the left of the eight samples at and below `edge`. The two samples left of
            /// the lowest are given if they are newer than those in memory. Returns what it has stored, row by row:
            /// the sample left of the edge and that right of it.
            ///
            /// # Safety
            /// In eight rows from `edge` on, `stride` apart, two samples before and two after it must be in one
            /// allocation that nobody else uses.
            #[inline]
            #[target_feature(enable = $feature)]
            unsafe fn filter_vertical_edge(
                edge: *mut u8,
                stride: usize,
                corner: Option<u16>,
                twice: __m128i,
            ) -> __m128i {
                let zero = _mm_setzero_si128();
                // SAFETY: as the caller promises.
                unsafe {
                    let load = |row: usize| {
                        let samples: *const i32 = edge.add(row * stride).sub(2).cast();
                        _mm_cvtsi32_si128(samples.read_unaligned())
                    };
                    let lowest = match corner {
                        None => load(7),
                        Some(corner) => {
                            let right: *const u16 = edge.add(7 * stride).cast();
                            _mm_cvtsi32_si128((i32::from(right.read_unaligned()) << 16) | i32::from(corner))
                        }
                    };
                    let four =
                        |a, b, c, d| _mm_unpacklo_epi64(_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
                    // Four samples of eight rows, to eight samples of four columns.
                    let a0 = four(load(0), load(1), load(2), load(3));
                    let a1 = four(load(4), load(5), load(6), lowest);
                    let (b0, b1) = (_mm_unpacklo_epi8(a0, a1), _mm_unpackhi_epi8(a0, a1));
                    let (c0, c1) = (_mm_unpacklo_epi8(b0, b1), _mm_unpackhi_epi8(b0, b1));
                    let (d0, d1) = (_mm_unpacklo_epi8(c0, c1), _mm_unpackhi_epi8(c0, c1));
                    let p = [
                        _mm_unpacklo_epi8(d0, zero),
                        _mm_unpackhi_epi8(d0, zero),
                        _mm_unpacklo_epi8(d1, zero),
                        _mm_unpackhi_epi8(d1, zero),
                    ];
                    let samples = filter_samples(p, twice);
                    let pairs = _mm_unpacklo_epi8(samples, _mm_unpackhi_epi64(samples, samples));
                    let store = |row: usize, pair: i32| {
                        let samples: *mut u16 = edge.add(row * stride).sub(1).cast();
                        samples.write_unaligned(pair as u16);
                    };
                    store(0, _mm_extract_epi16::<0>(pairs));
                    store(1, _mm_extract_epi16::<1>(pairs));
                    store(2, _mm_extract_epi16::<2>(pairs));
                    store(3, _mm_extract_epi16::<3>(pairs));
                    store(4, _mm_extract_epi16::<4>(pairs));
                    store(5, _mm_extract_epi16::<5>(pairs));
                    store(6, _mm_extract_epi16::<6>(pairs));
                    store(7, _mm_extract_epi16::<7>(pairs));
                    pairs
                }
            }
        }
    };
}

kernels!(sse2, "sse2", None);
kernels!(avx2, "avx2", Some(filter_four));
