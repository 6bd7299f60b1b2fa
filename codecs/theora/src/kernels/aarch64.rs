//! The inner loops in NEON instructions of aarch64.

#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::{Coefficients, FilterRow, Kernels, Prediction};
use crate::parse::Reference;

/// The kernels for NEON.
pub(crate) fn neon() -> Kernels {
    Kernels {
        // SAFETY: NEON belongs to aarch64.
        reconstruct: |block, stride, prediction, coefficients, last| unsafe {
            reconstruct(block, stride, prediction, coefficients, last)
        },
        // SAFETY: NEON belongs to aarch64.
        reconstruct_dc: |block, stride, prediction, residual| unsafe {
            reconstruct_dc(block, stride, prediction, residual)
        },
        // SAFETY: NEON belongs to aarch64.
        filter_row: |plane, filter| unsafe { filter_row(plane, filter) },
    }
}

/// Panics unless `samples` has eight rows of eight samples, `stride` apart.
#[inline(always)]
fn check_block(samples: &[u8], stride: usize) {
    assert!(
        stride.checked_mul(7).and_then(|last| last.checked_add(8)).is_some_and(|end| end <= samples.len())
    );
}

/// See `Kernels::reconstruct`.
#[target_feature(enable = "neon")]
fn reconstruct(
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
#[target_feature(enable = "neon")]
fn reconstruct_dc(block: &mut [u8], stride: usize, prediction: &Prediction<'_>, residual: i16) {
    let residual = vdupq_n_s16(residual);
    add(block, stride, prediction, |_| residual);
}

/// Adds prediction and residual and stores the block. Row 0 of the residual is the bottom.
#[inline]
#[target_feature(enable = "neon")]
fn add(block: &mut [u8], stride: usize, prediction: &Prediction<'_>, residual: impl Fn(usize) -> int16x8_t) {
    check_block(block, stride);
    let target = block.as_mut_ptr();
    let sum = |y: usize, predicted: uint8x8_t| {
        vqmovun_s16(vqaddq_s16(vreinterpretq_s16_u16(vmovl_u8(predicted)), residual(7 - y)))
    };
    match *prediction {
        Prediction::Intra => {
            for y in 0..8 {
                // SAFETY: `check_block` has seen row `y` of the block.
                unsafe { vst1_u8(target.add(y * stride), sum(y, vdup_n_u8(128))) };
            }
        }
        Prediction::Whole { block: source, stride: source_stride } => {
            check_block(source, source_stride);
            let source = source.as_ptr();
            for y in 0..8 {
                // SAFETY: `check_block` has seen row `y` of both blocks.
                unsafe { vst1_u8(target.add(y * stride), sum(y, vld1_u8(source.add(y * source_stride)))) };
            }
        }
        Prediction::Half { blocks: [a, b], strides } => {
            check_block(a, strides[0]);
            check_block(b, strides[1]);
            let (a, b) = (a.as_ptr(), b.as_ptr());
            for y in 0..8 {
                // SAFETY: `check_block` has seen row `y` of all three blocks.
                unsafe {
                    let mean = vhadd_u8(vld1_u8(a.add(y * strides[0])), vld1_u8(b.add(y * strides[1])));
                    vst1_u8(target.add(y * stride), sum(y, mean));
                }
            }
        }
    }
}

/// The 2D inverse DCT of coefficients in the first `N` rows and columns, which it clears.
#[inline]
#[target_feature(enable = "neon")]
fn idct<const N: usize>(coefficients: &mut Coefficients) -> [int16x8_t; 8] {
    let zero = vdupq_n_s16(0);
    let mut inputs = [zero; 8];
    let memory = coefficients.0.as_mut_ptr();
    for ci in 0..N {
        // SAFETY: 64 coefficients are 8 vectors.
        unsafe {
            inputs[ci] = vld1q_s16(memory.add(8 * ci));
            vst1q_s16(memory.add(8 * ci), zero);
        }
    }
    // The rows of the block lie across the vectors, then its columns do.
    let columns = transpose(idct_1d::<N>(inputs));
    let residual = idct_1d::<N>(columns);
    // Sums beyond 16 bits saturate, where the specification has 32 bits; either way the sample clamps.
    residual.map(|row| vshrq_n_s16::<4>(vqaddq_s16(row, vdupq_n_s16(8))))
}

/// The high halves of the products with a constant, which is 0 to 65535.
#[inline]
#[target_feature(enable = "neon")]
fn high(constant: u16, value: int16x8_t) -> int16x8_t {
    let factor = vdupq_n_s16(constant as i16);
    let low = vreinterpretq_s16_s32(vmull_s16(vget_low_s16(value), vget_low_s16(factor)));
    let product = vuzp2q_s16(low, vreinterpretq_s16_s32(vmull_high_s16(value, factor)));
    // Constants of 32768 and more are negative as vectors see them: what is missing is the factor itself.
    if constant >= 0x8000 { vaddq_s16(product, value) } else { product }
}

/// Eight 1D inverse DCTs, of which only the first `N` inputs may differ from zero.
#[inline]
#[target_feature(enable = "neon")]
fn idct_1d<const N: usize>(y: [int16x8_t; 8]) -> [int16x8_t; 8] {
    let (c1, c2, c3, c4, c5, c6, c7) = (64277, 60547, 54491, 46341, 36410, 25080, 12785);
    let zero = vdupq_n_s16(0);
    let (t0, t1) = if N > 4 {
        (high(c4, vaddq_s16(y[0], y[4])), high(c4, vsubq_s16(y[0], y[4])))
    } else {
        (high(c4, y[0]), high(c4, y[0]))
    };
    let (t2, t3) = if N > 4 {
        (vsubq_s16(high(c6, y[2]), high(c2, y[6])), vaddq_s16(high(c2, y[2]), high(c6, y[6])))
    } else if N > 2 {
        (high(c6, y[2]), high(c2, y[2]))
    } else {
        (zero, zero)
    };
    let (t4, t7) = if N > 4 {
        (vsubq_s16(high(c7, y[1]), high(c1, y[7])), vaddq_s16(high(c1, y[1]), high(c7, y[7])))
    } else {
        (high(c7, y[1]), high(c1, y[1]))
    };
    let (t5, t6) = if N > 4 {
        (vsubq_s16(high(c3, y[5]), high(c5, y[3])), vaddq_s16(high(c5, y[5]), high(c3, y[3])))
    } else if N > 2 {
        (vnegq_s16(high(c5, y[3])), high(c3, y[3]))
    } else {
        (zero, zero)
    };

    let (t4, t5) = (vaddq_s16(t4, t5), high(c4, vsubq_s16(t4, t5)));
    let (t7, t6) = (vaddq_s16(t7, t6), high(c4, vsubq_s16(t7, t6)));
    let (t0, t3) = (vaddq_s16(t0, t3), vsubq_s16(t0, t3));
    let (t1, t2) = (vaddq_s16(t1, t2), vsubq_s16(t1, t2));
    let (t6, t5) = (vaddq_s16(t6, t5), vsubq_s16(t6, t5));
    [
        vaddq_s16(t0, t7),
        vaddq_s16(t1, t6),
        vaddq_s16(t2, t5),
        vaddq_s16(t3, t4),
        vsubq_s16(t3, t4),
        vsubq_s16(t2, t5),
        vsubq_s16(t1, t6),
        vsubq_s16(t0, t7),
    ]
}

#[inline]
#[target_feature(enable = "neon")]
fn transpose(v: [int16x8_t; 8]) -> [int16x8_t; 8] {
    let pairs = |a: int16x8_t, b: int16x8_t| {
        (vreinterpretq_s32_s16(vtrn1q_s16(a, b)), vreinterpretq_s32_s16(vtrn2q_s16(a, b)))
    };
    let fours = |a: int32x4_t, b: int32x4_t| {
        (vreinterpretq_s64_s32(vtrn1q_s32(a, b)), vreinterpretq_s64_s32(vtrn2q_s32(a, b)))
    };
    let eights = |a: int64x2_t, b: int64x2_t| {
        (vreinterpretq_s16_s64(vtrn1q_s64(a, b)), vreinterpretq_s16_s64(vtrn2q_s64(a, b)))
    };
    let ((a0, a1), (a2, a3)) = (pairs(v[0], v[1]), pairs(v[2], v[3]));
    let ((a4, a5), (a6, a7)) = (pairs(v[4], v[5]), pairs(v[6], v[7]));
    let ((b0, b2), (b1, b3)) = (fours(a0, a2), fours(a1, a3));
    let ((b4, b6), (b5, b7)) = (fours(a4, a6), fours(a5, a7));
    let ((c0, c4), (c1, c5)) = (eights(b0, b4), eights(b1, b5));
    let ((c2, c6), (c3, c7)) = (eights(b2, b6), eights(b3, b7));
    [c0, c1, c2, c3, c4, c5, c6, c7]
}

/// See `Kernels::filter_row`.
#[target_feature(enable = "neon")]
fn filter_row(plane: &mut [u8], filter: &FilterRow<'_>) {
    filter.check(plane.len());
    let FilterRow { stride, top, row, above, has_below, limit } = *filter;
    let twice = vdupq_n_s16(2 * i16::from(limit));
    // SAFETY: `check` has seen that the row is inside the plane.
    let samples = unsafe { plane.as_mut_ptr().add(top) };
    for column in (0..row.len()).filter(|&column| row[column] != Reference::None) {
        // SAFETY: `check` has seen that the plane has `row.len()` blocks at `top`, with eight rows of samples each,
        // and two more rows below and above where there are blocks. An edge at the left of a block that is not the
        // first has two samples on either side of it.
        unsafe {
            let block = samples.add(8 * column);
            if column > 0 {
                filter_vertical_edge(block, stride, twice);
            }
            if has_below {
                filter_horizontal_edge(block.add(8 * stride), stride, twice);
            }
            if row.get(column + 1) == Some(&Reference::None) {
                filter_vertical_edge(block.add(8), stride, twice);
            }
            if above.is_some_and(|above| above[column] == Reference::None) {
                filter_horizontal_edge(block, stride, twice);
            }
        }
    }
}

/// Filters eight times four samples across an edge (section 7.10): the second and the third of them. `twice` is twice
/// the limit.
#[inline]
#[target_feature(enable = "neon")]
fn filter_samples(p: [uint8x8_t; 4], twice: int16x8_t) -> (uint8x8_t, uint8x8_t) {
    let p = p.map(|samples| vreinterpretq_s16_u16(vmovl_u8(samples)));
    let sum = vmlaq_n_s16(vsubq_s16(p[0], p[3]), vsubq_s16(p[2], p[1]), 3);
    // The shift rounds as the specification does: it adds 4.
    let response = vrshrq_n_s16::<3>(sum);
    let magnitude = vabsq_s16(response);
    let limited = vmaxq_s16(vminq_s16(magnitude, vsubq_s16(twice, magnitude)), vdupq_n_s16(0));
    let response = vbslq_s16(vcltzq_s16(response), vnegq_s16(limited), limited);
    (vqmovun_s16(vaddq_s16(p[1], response)), vqmovun_s16(vsubq_s16(p[2], response)))
}

/// Filters across the edge above the eight samples at `edge`.
///
/// # Safety
/// From two rows before `edge` to one row after it, `stride` apart, eight samples must be in one allocation that nobody
/// else uses.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn filter_horizontal_edge(edge: *mut u8, stride: usize, twice: int16x8_t) {
    // SAFETY: as the caller promises.
    unsafe {
        let over = edge.sub(stride);
        let p = [vld1_u8(edge.add(stride)), vld1_u8(edge), vld1_u8(over), vld1_u8(over.sub(stride))];
        let (second, third) = filter_samples(p, twice);
        vst1_u8(edge, second);
        vst1_u8(over, third);
    }
}

/// Filters across the edge at the left of the eight samples at and below `edge`.
///
/// # Safety
/// In eight rows from `edge` on, `stride` apart, two samples before and two after it must be in one allocation that
/// nobody else uses.
#[inline]
#[target_feature(enable = "neon")]
unsafe fn filter_vertical_edge(edge: *mut u8, stride: usize, twice: int16x8_t) {
    // SAFETY: as the caller promises; the arrays are as large as what is loaded from and stored to them.
    unsafe {
        let mut rows = [[0u8; 4]; 8];
        for (row, samples) in rows.iter_mut().enumerate() {
            let source: *const [u8; 4] = edge.add(row * stride).sub(2).cast();
            *samples = source.read();
        }
        let uint8x8x4_t(p0, p1, p2, p3) = vld4_u8(rows.as_ptr().cast());
        let (second, third) = filter_samples([p0, p1, p2, p3], twice);
        let mut pairs = [[0u8; 2]; 8];
        vst2_u8(pairs.as_mut_ptr().cast(), uint8x8x2_t(second, third));
        for (row, pair) in pairs.iter().enumerate() {
            let target: *mut [u8; 2] = edge.add(row * stride).sub(1).cast();
            target.write(*pair);
        }
    }
}
