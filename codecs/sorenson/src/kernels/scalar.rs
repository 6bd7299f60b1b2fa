//! What every kernel computes, in plain code.

use super::{Block, Divisor, Fraction, PairLevels, PairSamples, Places, Quantized, Rows, RowsMut, STRIDE};

fn sad<const SIZE: usize>((a, a_stride): Rows<'_>, (b, b_stride): Rows<'_>) -> u32 {
    (0..SIZE)
        .map(|y| {
            let rows = a[y * a_stride..][..SIZE].iter().zip(&b[y * b_stride..][..SIZE]);
            rows.map(|(a, b)| u32::from(a.abs_diff(*b))).sum::<u32>()
        })
        .sum()
}

pub(super) fn sad_16(source: &[u8; 256], reference: &[u8], stride: usize) -> u32 {
    sad::<16>((source, STRIDE), (reference, stride))
}

pub(super) fn sads_16(source: &[u8; 256], places: Places<'_>, stride: usize) -> [u32; 3] {
    places.map(|place| sad_16(source, place, stride))
}

pub(super) fn sad_8(a: Rows<'_>, b: Rows<'_>) -> u32 {
    sad::<8>(a, b)
}

pub(super) fn sads_8(source: Rows<'_>, places: Places<'_>, stride: usize) -> [u32; 3] {
    places.map(|place| sad_8(source, (place, stride)))
}

pub(super) fn sad_16_half(source: &[u8; 256], reference: &[u8], stride: usize, fraction: Fraction) -> u32 {
    let mut prediction = [0; 256];
    predict_16(reference, stride, fraction, &mut prediction);
    sad::<16>((source, STRIDE), (&prediction, STRIDE))
}

pub(super) fn sad_16_beside(source: &[u8; 256], reference: &[u8], stride: usize, half: bool) -> [u32; 4] {
    let at =
        |x: usize, y: usize, fraction| sad_16_half(source, &reference[y * stride + x..], stride, fraction);
    if half {
        [at(1, 0, 2), at(0, 1, 1), at(1, 1, 1), at(1, 1, 2)]
    } else {
        [at(1, 0, 0), at(0, 1, 0), at(2, 1, 0), at(1, 2, 0)]
    }
}

pub(super) fn sad_8_beside(source: Rows<'_>, (reference, stride): Rows<'_>, half: bool) -> [u32; 4] {
    let at = |x: usize, y: usize, fraction| {
        let mut prediction = [0; 128];
        predict_8(&reference[y * stride + x..], stride, fraction, &mut prediction);
        sad_8(source, (&prediction, STRIDE))
    };
    if half {
        [at(1, 0, 2), at(0, 1, 1), at(1, 1, 1), at(1, 1, 2)]
    } else {
        [at(1, 0, 0), at(0, 1, 0), at(2, 1, 0), at(1, 2, 0)]
    }
}

/// H.263, 6.1.2: means of two or four samples, rounded up.
fn predict<const SIZE: usize>(reference: &[u8], stride: usize, fraction: Fraction, out: &mut [u8]) {
    let (right, below) = (fraction & 1, (fraction >> 1) * stride);
    for y in 0..SIZE {
        let at = |offset: usize| &reference[y * stride + offset..][..SIZE];
        let out = &mut out[y * STRIDE..][..SIZE];
        match fraction {
            0 => out.copy_from_slice(at(0)),
            3 => {
                let (a, b, c, d) = (at(0), at(1), at(stride), at(stride + 1));
                for x in 0..SIZE {
                    let sum = u16::from(a[x]) + u16::from(b[x]) + u16::from(c[x]) + u16::from(d[x]);
                    out[x] = ((sum + 2) >> 2) as u8;
                }
            }
            _ => {
                let (a, b) = (at(0), at(right + below));
                for x in 0..SIZE {
                    out[x] = ((u16::from(a[x]) + u16::from(b[x]) + 1) >> 1) as u8;
                }
            }
        }
    }
}

pub(super) fn predict_16(reference: &[u8], stride: usize, fraction: Fraction, out: &mut [u8; 256]) {
    predict::<16>(reference, stride, fraction, out);
}

pub(super) fn predict_8(reference: &[u8], stride: usize, fraction: Fraction, out: &mut [u8]) {
    predict::<8>(reference, stride, fraction, out);
}

pub(super) fn copy(from: [Rows<'_>; 3], to: [RowsMut<'_>; 3]) {
    for (((from, stride), (to, to_stride)), size) in from.into_iter().zip(to).zip([16, 8, 8]) {
        for y in 0..size {
            to[y * to_stride..][..size].copy_from_slice(&from[y * stride..][..size]);
        }
    }
}

/// The Hadamard transform of 8 values, in place.
fn hadamard(v: &mut [i32; 8]) {
    for step in [4, 2, 1] {
        for i in (0..8).filter(|i| i & step == 0) {
            (v[i], v[i + step]) = (v[i] + v[i + step], v[i] - v[i + step]);
        }
    }
}

/// Sum of the absolute Hadamard coefficients of 8x8 differences.
fn hadamard_sum((a, a_stride): Rows<'_>, (b, b_stride): Rows<'_>) -> u32 {
    let mut rows = [[0; 8]; 8];
    for (y, row) in rows.iter_mut().enumerate() {
        for (x, value) in row.iter_mut().enumerate() {
            *value = i32::from(a[y * a_stride + x]) - i32::from(b[y * b_stride + x]);
        }
        hadamard(row);
    }
    (0..8)
        .map(|x| {
            let mut column = rows.map(|row| row[x]);
            hadamard(&mut column);
            column.iter().map(|c| c.unsigned_abs()).sum::<u32>()
        })
        .sum()
}

pub(super) fn satd_8(a: Rows<'_>, b: Rows<'_>) -> u32 {
    (hadamard_sum(a, b) + 2) >> 2
}

pub(super) fn satd_16(source: &[u8; 256], reference: &[u8], stride: usize, fraction: Fraction) -> u32 {
    let mut prediction = [0; 256];
    predict_16(reference, stride, fraction, &mut prediction);
    let sum = |at| hadamard_sum((&source[at..], STRIDE), (&prediction[at..], STRIDE));
    ([0, 8, 128, 136].map(sum).iter().sum::<u32>() + 2) >> 2
}

/// The mean of 8x8 samples.
fn mean(rows: Rows<'_>) -> u8 {
    ((sad_8(rows, (&[0; 8], 0)) + 32) >> 6) as u8
}

pub(super) fn activity_16(samples: &[u8; 256]) -> u32 {
    [0, 8, 128, 136].map(|at| deviation_8((&samples[at..], STRIDE))).iter().sum()
}

pub(super) fn deviation_8(rows: Rows<'_>) -> u32 {
    sad_8(rows, (&[mean(rows); 8], 0))
}

pub(super) fn activity_8(rows: Rows<'_>) -> u32 {
    satd_8(rows, (&[mean(rows); 8], 0))
}

/// Product with a factor in units of 2^-15, rounded.
fn scale(a: i16, factor: i16) -> i16 {
    ((i32::from(a) * i32::from(factor) + (1 << 14)) >> 15) as i16
}

/// cos(k pi / 16) / 2 in units of 2^-15; sqrt(1/8) is that of k = 4.
pub(super) const COS: [i16; 8] = [16384, 16069, 15137, 13623, 11585, 9102, 6270, 3196];

/// Orthonormal DCT of 8 values.
fn forward_8(x: [i16; 8]) -> [i16; 8] {
    let c = &COS;
    let s = [0, 1, 2, 3].map(|i| x[i] + x[7 - i]);
    let d = [0, 1, 2, 3].map(|i| x[i] - x[7 - i]);
    let (e0, e1, f0, f1) = (s[0] + s[3], s[1] + s[2], s[0] - s[3], s[1] - s[2]);
    let odd = |k: [i16; 4]| scale(d[0], k[0]) + scale(d[1], k[1]) + scale(d[2], k[2]) + scale(d[3], k[3]);
    [
        scale(e0, c[4]) + scale(e1, c[4]),
        odd([c[1], c[3], c[5], c[7]]),
        scale(f0, c[2]) + scale(f1, c[6]),
        odd([c[3], -c[7], -c[1], -c[5]]),
        scale(e0, c[4]) - scale(e1, c[4]),
        odd([c[5], -c[1], c[7], c[3]]),
        scale(f0, c[6]) - scale(f1, c[2]),
        odd([c[7], -c[5], c[3], -c[1]]),
    ]
}

pub(super) fn forward_2(source: &[u8; 128], prediction: &[u8; 128], out: &mut [Block; 2]) {
    for (block, out) in out.iter_mut().enumerate() {
        let at = |x: usize, y: usize| y * STRIDE + 8 * block + x;
        let mut columns = [[0; 8]; 8];
        for (x, column) in columns.iter_mut().enumerate() {
            let difference = |y| i16::from(source[at(x, y)]) - i16::from(prediction[at(x, y)]);
            *column = forward_8([0, 1, 2, 3, 4, 5, 6, 7].map(|y| difference(y) << 3));
        }
        for v in 0..8 {
            for (u, c) in forward_8(columns.map(|column| column[v])).into_iter().enumerate() {
                out[8 * u + v] = c;
            }
        }
    }
}

pub(crate) fn quantize(coefficients: &Block, divisor: &Divisor, levels: &mut Block) -> Quantized {
    let mut quantized = Quantized { mask: 0, energy: 0, gain: 0 };
    for (i, (c, level)) in coefficients.iter().zip(levels).enumerate() {
        let c_magnitude = i32::from(c.unsigned_abs());
        let sum = (c_magnitude + i32::from(divisor.offset)).max(0) as u32;
        let magnitude = ((sum * u32::from(divisor.reciprocal)) >> 16).min(divisor.most.into()) as i16;
        *level = magnitude * c.signum();
        quantized.energy += c_magnitude.pow(2) as u32;
        if magnitude != 0 {
            quantized.mask |= 1 << i;
            let coded = i32::from(magnitude * divisor.step + divisor.rest);
            quantized.gain += coded * (coded - 2 * c_magnitude);
        }
    }
    quantized
}

pub(super) fn quantize_2(
    source: &PairSamples,
    prediction: &PairSamples,
    divisor: &Divisor,
    coefficients: &mut [Block; 2],
    [first, second]: PairLevels<'_>,
) -> [Quantized; 2] {
    forward_2(source, prediction, coefficients);
    let [a, b] = coefficients;
    [quantize(a, divisor, first), quantize(b, divisor, second)]
}

/// 2^14 * sqrt(2) * cos(k pi / 16), but one less for k = 4.
pub(super) const W: [i32; 8] = [0, 22725, 21407, 19266, 16383, 12873, 8867, 4520];

/// Inverse DCT of 8 values, times 2^17, plus `rounding`.
fn inverse_8(c: [i16; 8], rounding: i32) -> [i32; 8] {
    let c = c.map(i32::from);
    let (a, b) = (W[4] * (c[0] + c[4]) + rounding, W[4] * (c[0] - c[4]) + rounding);
    let (d, e) = (W[2] * c[2] + W[6] * c[6], W[6] * c[2] - W[2] * c[6]);
    let even = [a + d, b + e, b - e, a - d];
    let odd = [
        W[1] * c[1] + W[3] * c[3] + W[5] * c[5] + W[7] * c[7],
        W[3] * c[1] - W[7] * c[3] - W[1] * c[5] - W[5] * c[7],
        W[5] * c[1] - W[1] * c[3] + W[7] * c[5] + W[3] * c[7],
        W[7] * c[1] - W[5] * c[3] + W[3] * c[5] - W[1] * c[7],
    ];
    [0, 1, 2, 3, 4, 5, 6, 7].map(|x| if x < 4 { even[x] + odd[x] } else { even[7 - x] - odd[7 - x] })
}

/// The roundings are those of the decoder in ffmpeg: rows come first, a row that only has its first coefficient takes
/// a shortcut, and the last rounding enters through the first coefficient.
pub(super) fn inverse_add(coefficients: &Block, _last: u32, samples: &mut [u8]) {
    let mut rows = [[0i16; 8]; 8];
    for (v, row) in rows.iter_mut().enumerate() {
        let c = [0, 1, 2, 3, 4, 5, 6, 7].map(|u| coefficients[8 * u + v]);
        *row = if c[1..].iter().all(|&c| c == 0) {
            [c[0] << 3; 8]
        } else {
            inverse_8(c, 1 << 10).map(|sum| (sum >> 11).clamp(i16::MIN.into(), i16::MAX.into()) as i16)
        };
    }
    for x in 0..8 {
        let mut column = rows.map(|row| row[x]);
        column[0] = column[0].wrapping_add(((1 << 19) / W[4]) as i16);
        for (y, sum) in inverse_8(column, 0).into_iter().enumerate() {
            let sample = &mut samples[y * STRIDE + x];
            *sample = (i32::from(*sample) + (sum >> 20)).clamp(0, 255) as u8;
        }
    }
}

pub(super) fn squared_errors(a: &[u8; 384], b: &[u8; 384]) -> [u32; 6] {
    let mut sums = [0; 6];
    for (i, (a, b)) in a.chunks_exact(8).zip(b.chunks_exact(8)).enumerate() {
        let row = a.iter().zip(b).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2));
        sums[i / 16 * 2 + i % 2] += row.sum::<u32>();
    }
    sums
}

pub(super) fn squared_errors_16(samples: &[u8; 384], reference: [Rows<'_>; 3]) -> [u32; 2] {
    let error = |start: usize, size: usize, (reference, stride): Rows<'_>| -> u32 {
        let row =
            |y: usize| samples[start + y * STRIDE..][..size].iter().zip(&reference[y * stride..][..size]);
        (0..size).map(|y| row(y).map(|(a, b)| u32::from(a.abs_diff(*b)).pow(2)).sum::<u32>()).sum()
    };
    let [y, cb, cr] = reference;
    [error(0, 16, y), error(256, 8, cb) + error(264, 8, cr)]
}

pub(super) fn halve(top: &[u8], bottom: &[u8], out: &mut [u8]) {
    for (out, (a, b)) in out.iter_mut().zip(top.chunks_exact(2).zip(bottom.chunks_exact(2))) {
        let sum = u16::from(a[0]) + u16::from(a[1]) + u16::from(b[0]) + u16::from(b[1]);
        *out = ((sum + 2) >> 2) as u8;
    }
}
