//! The inner loops as the specification defines them.
//!
//! Blocks are eight rows of eight samples; `stride` is the distance of rows. Samples are stored with the top row
//! first, whereas the specification counts rows from the bottom: its row `by` is row `7 - by` here.

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

/// The 2D inverse DCT (section 7.9.3.2) of coefficients in natural order; the first row of the result is the bottom.
pub(crate) fn idct(coefficients: &[i16; 64]) -> [i16; 64] {
    let mut rows = [0; 64];
    for (row, result) in coefficients.chunks_exact(8).zip(rows.chunks_exact_mut(8)) {
        // What is all zeros transforms to zeros.
        if *row != [0; 8] {
            result.copy_from_slice(&idct_1d(std::array::from_fn(|ci| row[ci])));
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

/// Adds a residual, whose first row is the bottom, to the block at the start of `block` and clamps.
pub(crate) fn add_residual(block: &mut [u8], stride: usize, residual: &[i16; 64]) {
    for (row, residual) in block.chunks_mut(stride).zip(residual.chunks_exact(8).rev()) {
        for (sample, &residual) in row[..8].iter_mut().zip(residual) {
            *sample = (i32::from(*sample) + i32::from(residual)).clamp(0, 255) as u8;
        }
    }
}

/// Adds the same value to the whole block at the start of `block` and clamps.
pub(crate) fn add_constant(block: &mut [u8], stride: usize, value: i16) {
    for row in block.chunks_mut(stride).take(8) {
        for sample in &mut row[..8] {
            *sample = (i32::from(*sample) + i32::from(value)).clamp(0, 255) as u8;
        }
    }
}

/// The intra predictor (section 7.9.1.1).
pub(crate) fn predict_intra(block: &mut [u8], stride: usize) {
    block.chunks_mut(stride).take(8).for_each(|row| row[..8].fill(128));
}

/// The whole-pixel predictor (section 7.9.1.2) from the block at the start of `source`.
pub(crate) fn predict_whole(block: &mut [u8], stride: usize, source: &[u8], source_stride: usize) {
    for (row, source) in block.chunks_mut(stride).zip(source.chunks(source_stride)).take(8) {
        row[..8].copy_from_slice(&source[..8]);
    }
}

/// The half-pixel predictor (section 7.9.1.3): the mean, rounded down, of two blocks.
pub(crate) fn predict_half(block: &mut [u8], stride: usize, first: (&[u8], usize), second: (&[u8], usize)) {
    let sources = first.0.chunks(first.1).zip(second.0.chunks(second.1));
    for (row, (first, second)) in block.chunks_mut(stride).zip(sources).take(8) {
        for ((sample, &a), &b) in row[..8].iter_mut().zip(first).zip(second) {
            *sample = ((u16::from(a) + u16::from(b)) >> 1) as u8;
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

/// The horizontal filter (section 7.10.1) across the vertical edge whose right side has its top sample at `edge`.
pub(crate) fn filter_vertical_edge(plane: &mut [u8], stride: usize, edge: usize, limit: u8) {
    for row in 0..8 {
        filter(plane, edge + row * stride - 2, 1, limit.into());
    }
}

/// The vertical filter (section 7.10.2) across the horizontal edge whose lower side has its left sample at `edge`.
pub(crate) fn filter_horizontal_edge(plane: &mut [u8], stride: usize, edge: usize, limit: u8) {
    for column in 0..8 {
        filter(plane, edge + stride + column, -(stride as isize), limit.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The inverse DCT by its definition, with the specification's scale: a fourth of the orthonormal transform.
    fn reference_idct(coefficients: &[i16; 64]) -> [f64; 64] {
        let basis = |frequency: usize, position: usize| {
            let scale: f64 = if frequency == 0 { (1.0f64 / 8.0).sqrt() } else { 0.5 };
            scale * ((2 * position + 1) as f64 * frequency as f64 * PI / 16.0).cos()
        };
        std::array::from_fn(|i| {
            let (row, column) = (i / 8, i % 8);
            let terms =
                (0..64).map(|ci| f64::from(coefficients[ci]) * basis(ci / 8, row) * basis(ci % 8, column));
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
            let mut coefficients = [0i16; 64];
            for _ in 0..=round % 64 {
                let size = 1 << (4 + random.below(8));
                coefficients[random.below(64) as usize] = random.below(size) as i16 - (size / 2) as i16;
            }
            // Sums beyond 16 bits wrap, which the real transform does not.
            if coefficients.iter().map(|&c| i32::from(c).abs()).sum::<i32>() > 12000 {
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
        let mut coefficients = [0; 64];
        coefficients[0] = 4;
        assert_eq!(idct(&coefficients), [0; 64]);
        // DC 1000: 707, 499, (499 + 8) >> 4 = 31.
        coefficients[0] = 1000;
        assert_eq!(idct(&coefficients), [31; 64]);
        // A vertical frequency changes from the bottom, which is the first row, to the top.
        let mut coefficients = [0; 64];
        coefficients[8] = 1000;
        let residual = idct(&coefficients);
        // 46341 * 1000 >> 16 = 707; then t7 = 693, t4 = 137, t6 = 490 + 96, t5 = 490 - 96.
        let expected =
            [693, 586, 394, 137, -137, -394, -586, -693].map(|value: i32| ((value + 8) >> 4) as i16);
        assert_eq!([0, 1, 2, 3, 4, 5, 6, 7].map(|row| residual[8 * row + 3]), expected);
    }

    #[test]
    fn residuals_are_added_upside_down_and_clamped() {
        let mut residual = [0i16; 64];
        residual[..8].fill(-300);
        residual[56..].fill(i16::MAX);
        let mut block = [100u8; 80];
        add_residual(&mut block, 10, &residual);
        assert_eq!(block[..10], [255, 255, 255, 255, 255, 255, 255, 255, 100, 100]);
        assert_eq!(block[70..], [0, 0, 0, 0, 0, 0, 0, 0, 100, 100]);
        add_constant(&mut block, 10, -101);
        assert_eq!(
            block[..20],
            [154, 154, 154, 154, 154, 154, 154, 154, 100, 100, 0, 0, 0, 0, 0, 0, 0, 0, 100, 100]
        );
    }

    #[test]
    fn half_pixel_prediction_rounds_down() {
        let mut block = [0; 64];
        predict_half(&mut block, 8, (&[3; 64], 8), (&[254; 120], 16));
        assert_eq!(block, [128; 64]);
        predict_half(&mut block, 8, (&[3; 64], 8), (&[2; 120], 16));
        assert_eq!(block, [2; 64]);
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
        filter_vertical_edge(&mut row, 8, 4, 20);
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
