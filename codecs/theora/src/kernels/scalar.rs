//! The inner loops as the specification defines them.
//!
//! Blocks are eight rows of eight samples; `stride` is the distance of rows. Samples are stored with the top row
//! first, whereas the specification counts rows from the bottom: its row `by` is row `7 - by` here.

use std::ops::Range;

use super::{Coefficients, FilterRow, Prediction};
use crate::parse::Reference;

/// C1 to C7 (= S7 to S1): cosines of multiples of pi/16 in units of 2^-16 (Theora specification, table 7.65).
const C: [i32; 8] = [0, 64277, 60547, 54491, 46341, 36410, 25080, 12785];

/// The 1D inverse DCT (section 7.9.3.1).
#[inline]
fn idct_1d(y: [i16; 8]) -> [i16; 8] {
    let y = y.map(i32::from);
    let scale = |constant: i32, value: i32| (constant * value) >> 16;
    let wrap = |value: i32| i32::from(value as i16);

    let t0 = scale(C[4], wrap(y[0] + y[4]));
    let t1 = scale(C[4], wrap(y[0] - y[4]));
    let t2 = scale(C[6], y[2]) - scale(C[2], y[6]);
    let t3 = scale(C[2], y[2]) + scale(C[6], y[6]);
    let t4 = scale(C[7], y[1]) - scale(C[1], y[7]);
    let t5 = scale(C[3], y[5]) - scale(C[5], y[3]);
    let t6 = scale(C[5], y[5]) + scale(C[3], y[3]);
    let t7 = scale(C[1], y[1]) + scale(C[7], y[7]);

    let (t4, t5) = (t4 + t5, scale(C[4], wrap(t4 - t5)));
    let (t7, t6) = (t7 + t6, scale(C[4], wrap(t7 - t6)));

    let (t0, t3) = (t0 + t3, t0 - t3);
    let (t1, t2) = (t1 + t2, t1 - t2);
    let (t6, t5) = (t6 + t5, t6 - t5);

    [t0 + t7, t1 + t6, t2 + t5, t3 + t4, t3 - t4, t2 - t5, t1 - t6, t0 - t7].map(|value| value as i16)
}

/// The 2D inverse DCT (section 7.9.3.2); the first row of the result is the bottom.
fn idct(coefficients: &Coefficients) -> [i16; 64] {
    let mut rows = [0; 64];
    for ri in 0..8 {
        let row = std::array::from_fn(|ci| coefficients.0[8 * ci + ri]);
        // What is all zeros transforms to zeros.
        if row != [0; 8] {
            rows[8 * ri..][..8].copy_from_slice(&idct_1d(row));
        }
    }
    let mut residual = [0; 64];
    for ci in 0..8 {
        let column = idct_1d(std::array::from_fn(|ri| rows[8 * ri + ci]));
        for ri in 0..8 {
            residual[8 * ri + ci] = ((i32::from(column[ri]) + 8) >> 4) as i16;
        }
    }
    residual
}

/// Makes a block from its prediction and coefficients (section 7.9.4); see `Kernels`.
pub(crate) fn reconstruct(
    block: &mut [u8],
    stride: usize,
    prediction: &Prediction<'_>,
    coefficients: &mut Coefficients,
    _last: u8,
) {
    let residual = idct(coefficients);
    coefficients.0.fill(0);
    add(block, stride, prediction, |x, y| residual[8 * (7 - y) + x]);
}

/// Makes a block from its prediction and a constant residual.
pub(crate) fn reconstruct_dc(block: &mut [u8], stride: usize, prediction: &Prediction<'_>, residual: i16) {
    add(block, stride, prediction, |_, _| residual);
}

/// Adds prediction and residual, both by column and row from the top left, and clamps.
#[inline]
fn add(block: &mut [u8], stride: usize, prediction: &Prediction<'_>, residual: impl Fn(usize, usize) -> i16) {
    for y in 0..8 {
        for (x, sample) in block[y * stride..][..8].iter_mut().enumerate() {
            let predicted = match *prediction {
                Prediction::Intra => 128,
                Prediction::Whole { block, stride } => i32::from(block[y * stride + x]),
                Prediction::Half { blocks: [a, b], strides } => {
                    (i32::from(a[y * strides[0] + x]) + i32::from(b[y * strides[1] + x])) >> 1
                }
            };
            *sample = (predicted + i32::from(residual(x, y))).clamp(0, 255) as u8;
        }
    }
}

/// The response of the loop filter (section 7.10): it grows to the limit and falls back to zero at twice the limit.
#[inline]
fn limit_response(response: i32, limit: i32) -> i32 {
    let magnitude = response.abs();
    response.signum() * magnitude.min(2 * limit - magnitude).max(0)
}

/// Filters four samples across an edge; `step` leads from one to the next in the direction in which the
/// specification counts.
#[inline]
fn filter(plane: &mut [u8], first: usize, step: isize, limit: i32) {
    let index = |tap: isize| first.wrapping_add_signed(tap * step);
    let tap = |index: usize| i32::from(plane[index]);
    let (p0, p1, p2, p3) = (tap(index(0)), tap(index(1)), tap(index(2)), tap(index(3)));
    let response = limit_response((p0 - 3 * p1 + 3 * p2 - p3 + 4) >> 3, limit);
    plane[index(1)] = (p1 + response).clamp(0, 255) as u8;
    plane[index(2)] = (p2 - response).clamp(0, 255) as u8;
}

/// The horizontal filter (section 7.10.1) in these lines of the vertical edge whose right side has its top sample at `edge`.
fn filter_vertical_edge(plane: &mut [u8], stride: usize, edge: usize, lines: Range<usize>, limit: u8) {
    for row in lines {
        filter(plane, edge + row * stride - 2, 1, limit.into());
    }
}

/// The vertical filter (section 7.10.2) across the horizontal edge whose lower side has its left sample at `edge`.
fn filter_horizontal_edge(plane: &mut [u8], stride: usize, edge: usize, limit: u8) {
    for column in 0..8 {
        filter(plane, edge + stride + column, -(stride as isize), limit.into());
    }
}

/// Filters the edges of all coded blocks of a row (section 7.10.3).
pub(crate) fn filter_row(plane: &mut [u8], filter: &FilterRow<'_>) {
    filter_lines(plane, filter, 0..8);
}

/// Filters the edges of all coded blocks of a row, the vertical ones only in these of their eight lines.
pub(crate) fn filter_lines(plane: &mut [u8], filter: &FilterRow<'_>, lines: Range<usize>) {
    filter.check(plane.len());
    let FilterRow { stride, top, row, above, has_below, limit } = *filter;
    for column in (0..row.len()).filter(|&column| row[column] != Reference::None) {
        let block = top + 8 * column;
        if column > 0 {
            filter_vertical_edge(plane, stride, block, lines.clone(), limit);
        }
        if has_below {
            filter_horizontal_edge(plane, stride, block + 8 * stride, limit);
        }
        if row.get(column + 1) == Some(&Reference::None) {
            filter_vertical_edge(plane, stride, block + 8, lines.clone(), limit);
        }
        if above.is_some_and(|above| above[column] == Reference::None) {
            filter_horizontal_edge(plane, stride, block, limit);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The inverse DCT by its definition, with the specification's scale: a fourth of the orthonormal transform.
    fn reference_idct(coefficients: &Coefficients) -> [f64; 64] {
        let basis = |frequency: usize, position: usize| {
            let scale: f64 = if frequency == 0 { (1.0f64 / 8.0).sqrt() } else { 0.5 };
            scale * ((2 * position + 1) as f64 * frequency as f64 * PI / 16.0).cos()
        };
        std::array::from_fn(|i| {
            let (row, column) = (i / 8, i % 8);
            let terms = (0..64).map(|ci| {
                f64::from(coefficients.0[ci % 8 * 8 + ci / 8]) * basis(ci / 8, row) * basis(ci % 8, column)
            });
            terms.sum::<f64>() / 4.0
        })
    }

    /// A generator of numbers that are the same everywhere.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: u32) -> u32 {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((self.0 >> 33) as u32) % limit
        }
    }

    #[test]
    fn the_integer_idct_is_near_the_real_one() {
        let mut random = Random(1);
        let (mut worst, mut sum, mut count): (f64, f64, f64) = (0.0, 0.0, 0.0);
        for round in 0..2000 {
            let mut coefficients = Coefficients([0; 64]);
            for _ in 0..=round % 64 {
                let size = 1 << (4 + random.below(8));
                coefficients.0[random.below(64) as usize] = random.below(size) as i16 - (size / 2) as i16;
            }
            // Sums beyond 16 bits wrap, which the real transform does not.
            if coefficients.0.iter().map(|&c| i32::from(c).abs()).sum::<i32>() > 12000 {
                continue;
            }
            let expected = reference_idct(&coefficients);
            for (value, expected) in idct(&coefficients).iter().zip(expected) {
                let error = (f64::from(*value) - expected).abs();
                worst = worst.max(error);
                sum += error;
                count += 1.0;
            }
        }
        // A pass is off by 7 units at most: X[0] sums up seven products that are rounded down. The second pass adds
        // up the errors of the first, with weights whose sum is below 5.2; all in sixteenths, and rounded.
        assert!(worst < (7.0 * 5.2 + 7.0 + 8.0) / 16.0, "off by {worst}");
        // An exact result that is rounded is off by 0.25 in the mean.
        assert!((0.25..0.3).contains(&(sum / count)), "off by {} in the mean", sum / count);
    }

    #[test]
    fn the_1d_idct_truncates_as_specified() {
        // By hand: 46341 * 100 >> 16 = 70 and 46341 * -100 >> 16 = -71, in both directions.
        assert_eq!(idct_1d([100, 0, 0, 0, 0, 0, 0, 0]), [70; 8]);
        assert_eq!(idct_1d([-100, 0, 0, 0, 0, 0, 0, 0]), [-71; 8]);
        // Y[1] = 1000: t4 = 195, t7 = 980, t5 = 46341 * 195 >> 16 = 137, t6 = 46341 * 980 >> 16 = 692.
        let (t4, t7) = (195, 980);
        let (t6, t5) = (692 + 137, 692 - 137);
        assert_eq!(idct_1d([0, 1000, 0, 0, 0, 0, 0, 0]), [t7, t6, t5, t4, -t4, -t5, -t6, -t7]);
        // Y[0] + Y[4] wraps to -32768 before it is scaled: 46341 * -32768 >> 16 = -23171; the difference is 32766.
        let x = idct_1d([i16::MAX, 0, 0, 0, 1, 0, 0, 0]);
        assert_eq!([x[0], x[1]], [-23171, 23169]);
    }

    #[test]
    fn the_2d_idct_transforms_rows_first() {
        // DC 4: 46341 * 4 >> 16 = 2 in every column of row 0, 46341 * 2 >> 16 = 1, (1 + 8) >> 4 = 0.
        let mut coefficients = Coefficients([0; 64]);
        coefficients.0[0] = 4;
        assert_eq!(idct(&coefficients), [0; 64]);
        // DC 1000: 707, 499, (499 + 8) >> 4 = 31.
        coefficients.0[0] = 1000;
        assert_eq!(idct(&coefficients), [31; 64]);
        // A vertical frequency changes from the bottom, which is the first row, to the top.
        let mut coefficients = Coefficients([0; 64]);
        coefficients.0[1] = 1000;
        let residual = idct(&coefficients);
        // 46341 * 1000 >> 16 = 707; then t7 = 693, t4 = 137, t6 = 490 + 96, t5 = 490 - 96.
        let expected =
            [693, 586, 394, 137, -137, -394, -586, -693].map(|value: i32| ((value + 8) >> 4) as i16);
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(|row| residual[8 * row + 3]), expected);
    }

    #[test]
    fn residuals_are_added_upside_down_and_clamped() {
        // A residual that grows from the bottom to the top: 43 37 25 9 -9 -24 -37 -43.
        let mut coefficients = Coefficients([0; 64]);
        coefficients.0[1] = -1000;
        let mut block = [7; 80];
        let source = Prediction::Whole { block: &[230; 64], stride: 8 };
        reconstruct(&mut block, 10, &source, &mut coefficients, 2);
        assert_eq!(block[..10], [255, 255, 255, 255, 255, 255, 255, 255, 7, 7]);
        assert_eq!(block[70..], [187, 187, 187, 187, 187, 187, 187, 187, 7, 7]);
        assert_eq!(coefficients.0, [0; 64]);
        reconstruct_dc(&mut block, 10, &Prediction::Intra, -129);
        assert_eq!(block[10..20], [0, 0, 0, 0, 0, 0, 0, 0, 7, 7]);
    }

    #[test]
    fn half_pixel_prediction_rounds_down() {
        let mut block = [0; 64];
        let mut predict = |a, b| {
            let blocks: [&[u8]; 2] = [&[a; 64], &[b; 120]];
            reconstruct_dc(&mut block, 8, &Prediction::Half { blocks, strides: [8, 16] }, 0);
            block
        };
        assert_eq!(predict(3, 254), [128; 64]);
        assert_eq!(predict(3, 2), [2; 64]);
    }

    #[test]
    fn the_response_is_a_tapered_one() {
        let responses: Vec<i32> = (-7..=7).map(|response| limit_response(response, 3)).collect();
        assert_eq!(responses, [0, 0, -1, -2, -3, -2, -1, 0, 1, 2, 3, 2, 1, 0, 0]);
        assert!((-128..=127).all(|response| limit_response(response, 0) == 0));
    }

    #[test]
    fn edges_are_filtered_in_the_direction_of_the_specification() {
        // p = 10 12 20 21: (10 - 36 + 60 - 21 + 4) >> 3 = 2.
        let mut row = [0u8; 64];
        for line in row.chunks_exact_mut(8) {
            line[2..6].copy_from_slice(&[10, 12, 20, 21]);
        }
        filter_vertical_edge(&mut row, 8, 4, 0..8, 20);
        assert!(row.chunks_exact(8).all(|line| line[2..6] == [10, 14, 18, 21]));

        // From the bottom up: p = 21 20 12 10: (21 - 60 + 36 - 10 + 4) >> 3 = -9 >> 3 = -2, rounded down.
        let mut column = [0u8; 32];
        for (line, value) in column.chunks_exact_mut(8).zip([10, 12, 20, 21]) {
            line.fill(value);
        }
        filter_horizontal_edge(&mut column, 8, 16, 20);
        for (line, value) in column.chunks_exact(8).zip([10, 14, 18, 21]) {
            assert_eq!(*line, [value; 8]);
        }
        // Sums of 0 and 8 tell the directions apart: (8 + 4) >> 3 is 1, (-8 + 4) >> 3 is -1; but 4 and -4 round to
        // 1 and 0.
        let mut column = [0u8; 32];
        for (line, value) in column.chunks_exact_mut(8).zip([4, 0, 0, 0]) {
            line.fill(value);
        }
        filter_horizontal_edge(&mut column, 8, 16, 20);
        assert_eq!([column[8], column[16]], [0, 0], "the top sample counts negative");
        for (line, value) in column.chunks_exact_mut(8).zip([0, 9, 9, 4]) {
            line.fill(value);
        }
        filter_horizontal_edge(&mut column, 8, 16, 20);
        assert_eq!([column[8], column[16]], [8, 10], "the bottom sample counts positive");
    }
}
