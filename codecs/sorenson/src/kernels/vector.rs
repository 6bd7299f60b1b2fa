//! The kernels once for all vectors of 128 bits.

use super::scalar::{self, COS, W};
use super::{Block, Divisor, Fraction, Kernels, PairLevels, PairSamples, Places, Quantized, Rows, STRIDE};

/// 16 bytes, 8 values of 16 bits or 4 of 32, as the names of the methods say. A half has 8 bytes.
pub(super) trait Vector: Copy {
    fn load(bytes: &[u8; 16]) -> Self;
    /// The lower half; the upper one is zero.
    fn load_half(bytes: &[u8; 8]) -> Self;
    fn load_values(values: &[i16; 8]) -> Self;
    fn store(self, bytes: &mut [u8; 16]);
    /// Stores the lower half.
    fn store_half(self, bytes: &mut [u8; 8]);
    fn store_values(self, values: &mut [i16; 8]);

    fn splat_8(value: u8) -> Self;
    fn splat_16(value: i16) -> Self;

    fn and(self, other: Self) -> Self;
    fn or(self, other: Self) -> Self;
    fn xor(self, other: Self) -> Self;
    /// `one` where the 16 bits of `self` are zero, and `other` where they are not.
    fn where_zero_16(self, one: Self, other: Self) -> Self;

    fn sub_8(self, other: Self) -> Self;
    /// Sums that saturate.
    fn add_saturating_8(self, other: Self) -> Self;
    /// Differences that saturate.
    fn sub_saturating_8(self, other: Self) -> Self;
    /// Means, rounded up.
    fn mean_8(self, other: Self) -> Self;
    fn difference_8(self, other: Self) -> Self;
    /// Sums of neighbours, of 16 bits.
    fn add_neighbours_8(self) -> Self;
    /// The bytes of the lower half, in 16 bits.
    fn widen_low(self) -> Self;
    /// The bytes of the upper half, in 16 bits.
    fn widen_high(self) -> Self;

    fn add_16(self, other: Self) -> Self;
    fn sub_16(self, other: Self) -> Self;
    fn max_16(self, other: Self) -> Self;
    fn min_16(self, other: Self) -> Self;
    fn abs_16(self) -> Self;
    fn negative_16(self) -> Self;
    fn shift_left_16<const N: i32>(self) -> Self;
    fn shift_right_16<const N: i32>(self) -> Self;
    /// Product with a factor below 2^14 in units of 2^-15, rounded; see `scalar::scale`.
    fn scale_16(self, factor: i16) -> Self;
    /// The lower 16 bits of products.
    fn multiply_16(self, other: Self) -> Self;
    /// The upper 16 bits of products without sign.
    fn multiply_high_16(self, other: Self) -> Self;
    /// Values of `self`, then of `other`, in bytes without sign; they saturate.
    fn narrow_16(self, other: Self) -> Self;
    /// Bit i is set if the value i of `self`, then of `other`, is not zero. Values are 0 to 2^15 - 1.
    fn nonzero_16(self, other: Self) -> u16;
    fn first_16(self) -> i16;
    /// The sum of values from 0 to 2^15 - 1.
    fn sum_16(self) -> u32;

    fn add_32(self, other: Self) -> Self;
    fn sub_32(self, other: Self) -> Self;
    fn shift_right_32<const N: i32>(self) -> Self;
    /// Values of `self`, then of `other`, in 16 bits; they saturate.
    fn narrow_32(self, other: Self) -> Self;
    fn sum_32(self) -> u32;

    /// Values of both lower halves in turn.
    fn zip_low_16(self, other: Self) -> Self;
    fn zip_high_16(self, other: Self) -> Self;
    fn zip_low_32(self, other: Self) -> Self;
    fn zip_high_32(self, other: Self) -> Self;
    /// Both lower halves.
    fn low_halves(self, other: Self) -> Self;
    fn high_halves(self, other: Self) -> Self;

    /// Adds absolute differences of bytes to sums for [`Self::sum_of_sads`].
    fn add_sad(self, a: Self, b: Self) -> Self;
    fn sums_of_sads(self) -> [u32; 2];
    /// Adds products of 16-bit values to 32-bit sums.
    fn add_products(self, a: Self, b: Self) -> Self;
    /// `self` times the first factor plus `other` times the second one, in 32 bits: those of the lower halves, and those
    /// of the upper ones.
    fn dot(self, other: Self, factors: [i32; 2]) -> [Self; 2];

    #[inline(always)]
    fn zero() -> Self {
        Self::splat_8(0)
    }

    /// The sum of all absolute differences.
    #[inline(always)]
    fn sum_of_sads(self) -> u32 {
        let [low, high] = self.sums_of_sads();
        low + high
    }
}

/// The kernels in vectors `V`.
pub(super) fn kernels<V: Vector>() -> Kernels {
    Kernels {
        sad_16: sad_16::<V>,
        sads_16: sads_16::<V>,
        sad_16_half: sad_16_half::<V>,
        sad_16_beside: sad_16_beside::<V>,
        sad_8: sad_8::<V>,
        sads_8: sads_8::<V>,
        sad_8_beside: sad_8_beside::<V>,
        satd_16: satd_16::<V>,
        satd_8: satd_8::<V>,
        activity_16: activity_16::<V>,
        deviation_8: deviation_8::<V>,
        activity_8: activity_8::<V>,
        predict_16: predict_16::<V>,
        predict_8: predict_8::<V>,
        copy: scalar::copy,
        quantize_2: quantize_2::<V>,
        inverse_add: inverse_add::<V>,
        halve: halve::<V>,
        squared_errors: squared_errors::<V>,
        squared_errors_16: squared_errors_16::<V>,
    }
}

/// Rows of samples that were found long enough.
#[derive(Clone, Copy)]
struct Area<'a> {
    rows: Rows<'a>,
    width: usize,
    height: usize,
}

impl<'a> Area<'a> {
    #[inline(always)]
    fn new(rows: Rows<'a>, width: usize, height: usize) -> Self {
        let (samples, stride) = rows;
        assert!(stride < 1 << 32 && samples.len() >= (height - 1) * stride + width);
        Self { rows, width, height }
    }

    #[inline(always)]
    fn at<const N: usize>(&self, x: usize, y: usize) -> &'a [u8; N] {
        assert!(x + N <= self.width && y < self.height);
        let (samples, stride) = self.rows;
        // SAFETY: `new` has seen that the slice has all rows with their width.
        unsafe { &*samples.as_ptr().add(y * stride + x).cast() }
    }

    /// Samples `x` to `x + 15` of row `y`.
    #[inline(always)]
    fn row<V: Vector>(&self, x: usize, y: usize) -> V {
        V::load(self.at(x, y))
    }

    /// Samples `x` to `x + 7` of row `y`, in the lower half.
    #[inline(always)]
    fn half_row<V: Vector>(&self, x: usize, y: usize) -> V {
        V::load_half(self.at(x, y))
    }

    /// Samples `x` to `x + 7` of rows `y` and `y + 4`.
    #[inline(always)]
    fn half_rows<V: Vector>(&self, x: usize, y: usize) -> V {
        self.half_row::<V>(x, y).low_halves(self.half_row(x, y + 4))
    }

    /// Eight times eight samples in 16 bits.
    #[inline(always)]
    fn block<V: Vector>(&self, x: usize, y: usize) -> [V; 8] {
        [0, 1, 2, 3, 4, 5, 6, 7].map(|row| self.half_row::<V>(x, y + row).widen_low())
    }
}

/// The mean of four, rounded by adding a half, as H.263 wants it.
#[inline(always)]
fn mean_of_four<V: Vector>([a, b, c, d]: [V; 4]) -> V {
    // The mean of means is one too large if one of them was rounded up and their sum is odd.
    let (x, y) = (a.mean_8(b), c.mean_8(d));
    let rounded = a.xor(b).or(c.xor(d));
    x.mean_8(y).sub_8(rounded.and(x.xor(y)).and(V::splat_8(1)))
}

/// Interpolates between what `at` gives for a column and a row.
#[inline(always)]
fn interpolate<V: Vector, const FRACTION: Fraction>(at: impl Fn(usize, usize) -> V) -> V {
    match FRACTION {
        0 => at(0, 0),
        1 => at(0, 0).mean_8(at(1, 0)),
        2 => at(0, 0).mean_8(at(0, 1)),
        _ => mean_of_four([at(0, 0), at(1, 0), at(0, 1), at(1, 1)]),
    }
}

/// The last row and column are only there, and only needed, for fractions.
#[inline(always)]
fn interpolated_area(rows: Rows<'_>, size: usize, fraction: Fraction) -> Area<'_> {
    Area::new(rows, size + (fraction & 1), size + (fraction >> 1))
}

#[inline(always)]
fn sad_16_by<V: Vector, const FRACTION: Fraction>(source: &[u8; 256], reference: Rows<'_>) -> u32 {
    let source = Area::new((source, STRIDE), 16, 16);
    let reference = interpolated_area(reference, 16, FRACTION);
    let mut sums = V::zero();
    for row in 0..16 {
        let there = interpolate::<V, FRACTION>(|x, y| reference.row(x, row + y));
        sums = sums.add_sad(source.row(0, row), there);
    }
    sums.sum_of_sads()
}

fn sad_16<V: Vector>(source: &[u8; 256], reference: &[u8], stride: usize) -> u32 {
    sad_16_by::<V, 0>(source, (reference, stride))
}

fn sads_16<V: Vector>(source: &[u8; 256], places: Places<'_>, stride: usize) -> [u32; 3] {
    let source = Area::new((source, STRIDE), 16, 16);
    let places = places.map(|place| Area::new((place, stride), 16, 16));
    let mut sums = [V::zero(); 3];
    for y in 0..16 {
        let here = source.row(0, y);
        for (sum, place) in sums.iter_mut().zip(&places) {
            *sum = sum.add_sad(here, place.row(0, y));
        }
    }
    sums.map(V::sum_of_sads)
}

fn sad_16_half<V: Vector>(source: &[u8; 256], reference: &[u8], stride: usize, fraction: Fraction) -> u32 {
    let reference = (reference, stride);
    match fraction {
        0 => sad_16_by::<V, 0>(source, reference),
        1 => sad_16_by::<V, 1>(source, reference),
        2 => sad_16_by::<V, 2>(source, reference),
        _ => sad_16_by::<V, 3>(source, reference),
    }
}

/// Sums of absolute differences between `rows` rows of a source and the places above, left, right and below in a
/// reference, or half a sample away. Rows and columns of the reference begin one before.
#[inline(always)]
fn sads_beside<V: Vector, const HALF: bool>(
    rows: usize,
    source: impl Fn(usize) -> V,
    reference: impl Fn(usize, usize) -> V,
) -> [u32; 4] {
    let mut sums = [V::zero(); 4];
    // What is below one row is above the next one; half a sample away, it is the same.
    let (mut before, mut centre) = (reference(1, 0), reference(1, 1));
    let mut above = before.mean_8(centre);
    for y in 0..rows {
        let (left, right, after) = (reference(0, y + 1), reference(2, y + 1), reference(1, y + 2));
        let below = centre.mean_8(after);
        let there = if HALF {
            [above, left.mean_8(centre), right.mean_8(centre), below]
        } else {
            [before, left, right, after]
        };
        let here = source(y);
        for (sum, there) in sums.iter_mut().zip(there) {
            *sum = sum.add_sad(here, there);
        }
        (before, centre, above) = (centre, after, below);
    }
    sums.map(V::sum_of_sads)
}

fn sad_16_beside<V: Vector>(source: &[u8; 256], reference: &[u8], stride: usize, half: bool) -> [u32; 4] {
    let (source, reference) = (Area::new((source, STRIDE), 16, 16), Area::new((reference, stride), 18, 18));
    let (source, reference) = (|y| source.row(0, y), |x, y| reference.row(x, y));
    if half {
        sads_beside::<V, true>(16, source, reference)
    } else {
        sads_beside::<V, false>(16, source, reference)
    }
}

#[inline(always)]
pub(super) fn sad_8<V: Vector>(a: Rows<'_>, b: Rows<'_>) -> u32 {
    let (a, b) = (Area::new(a, 8, 8), Area::new(b, 8, 8));
    let sums = (0..4).fold(V::zero(), |sums: V, y| sums.add_sad(a.half_rows(0, y), b.half_rows(0, y)));
    sums.sum_of_sads()
}

#[inline(always)]
pub(super) fn sads_8<V: Vector>(source: Rows<'_>, places: Places<'_>, stride: usize) -> [u32; 3] {
    let source = Area::new(source, 8, 8);
    let mut sads = [0; 3];
    for (sad, place) in sads.iter_mut().zip(places) {
        let place = Area::new((place, stride), 8, 8);
        let mut sums = V::zero();
        for y in 0..4 {
            sums = sums.add_sad(source.half_rows(0, y), place.half_rows(0, y));
        }
        *sad = sums.sum_of_sads();
    }
    sads
}

#[inline(always)]
pub(super) fn sad_8_beside<V: Vector>(source: Rows<'_>, reference: Rows<'_>, half: bool) -> [u32; 4] {
    let (source, reference) = (Area::new(source, 8, 8), Area::new(reference, 10, 10));
    let (source, reference) = (|y| source.half_rows(0, y), |x, y| reference.half_rows(x, y));
    if half {
        sads_beside::<V, true>(4, source, reference)
    } else {
        sads_beside::<V, false>(4, source, reference)
    }
}

#[inline(always)]
fn predict_16_by<V: Vector, const FRACTION: Fraction>(reference: Rows<'_>, out: &mut [u8; 256]) {
    let reference = interpolated_area(reference, 16, FRACTION);
    for (row, out) in out.chunks_exact_mut(STRIDE).enumerate() {
        let out = out.first_chunk_mut().expect("rows have 16 samples");
        interpolate::<V, FRACTION>(|x, y| reference.row(x, row + y)).store(out);
    }
}

fn predict_16<V: Vector>(reference: &[u8], stride: usize, fraction: Fraction, out: &mut [u8; 256]) {
    let reference = (reference, stride);
    match fraction {
        0 => predict_16_by::<V, 0>(reference, out),
        1 => predict_16_by::<V, 1>(reference, out),
        2 => predict_16_by::<V, 2>(reference, out),
        _ => predict_16_by::<V, 3>(reference, out),
    }
}

#[inline(always)]
fn predict_8_by<V: Vector, const FRACTION: Fraction>(reference: Rows<'_>, out: &mut [u8]) {
    let reference = interpolated_area(reference, 8, FRACTION);
    for (row, out) in half_rows_mut(out).enumerate() {
        interpolate::<V, FRACTION>(|x, y| reference.half_row(x, row + y)).store_half(out);
    }
}

/// Eight rows of eight samples, [`STRIDE`] apart.
#[inline(always)]
fn half_rows_mut(samples: &mut [u8]) -> impl Iterator<Item = &mut [u8; 8]> {
    let rows = samples[..7 * STRIDE + 8].chunks_mut(STRIDE);
    rows.map(|row| row.first_chunk_mut().expect("the last row has 8 samples, the others have more"))
}

fn predict_8<V: Vector>(reference: &[u8], stride: usize, fraction: Fraction, out: &mut [u8]) {
    let reference = (reference, stride);
    match fraction {
        0 => predict_8_by::<V, 0>(reference, out),
        1 => predict_8_by::<V, 1>(reference, out),
        2 => predict_8_by::<V, 2>(reference, out),
        _ => predict_8_by::<V, 3>(reference, out),
    }
}

/// Transposes 8x8 values of 16 bits.
#[inline(always)]
fn transpose<V: Vector>(r: [V; 8]) -> [V; 8] {
    let pairs = |i: usize| (r[i].zip_low_16(r[i + 1]), r[i].zip_high_16(r[i + 1]));
    let ((a0, a1), (a2, a3), (a4, a5), (a6, a7)) = (pairs(0), pairs(2), pairs(4), pairs(6));
    let fours = |a: V, b: V| (a.zip_low_32(b), a.zip_high_32(b));
    let ((b0, b1), (b2, b3)) = (fours(a0, a2), fours(a1, a3));
    let ((b4, b5), (b6, b7)) = (fours(a4, a6), fours(a5, a7));
    [
        b0.low_halves(b4),
        b0.high_halves(b4),
        b1.low_halves(b5),
        b1.high_halves(b5),
        b2.low_halves(b6),
        b2.high_halves(b6),
        b3.low_halves(b7),
        b3.high_halves(b7),
    ]
}

/// The Hadamard transform across 8 vectors, up to the step `LAST`.
#[inline(always)]
fn hadamard<V: Vector, const LAST: usize>(mut v: [V; 8]) -> [V; 8] {
    for step in [4, 2, 1] {
        for i in 0..8 {
            if step >= LAST && i & step == 0 {
                (v[i], v[i + step]) = (v[i].add_16(v[i + step]), v[i].sub_16(v[i + step]));
            }
        }
    }
    v
}

/// Half of the sum of the absolute Hadamard coefficients of a block, and the sum of its samples.
#[inline(always)]
fn hadamard_sum<V: Vector>(rows: [V; 8]) -> (u32, i32) {
    let v = hadamard::<V, 2>(transpose(hadamard::<V, 1>(rows)));
    // |a + b| + |a - b| is twice the larger one of |a| and |b|. Four of them are less than 4 * 32 * 255 < 2^15.
    let larger = |i: usize| v[i].abs_16().max_16(v[i + 1].abs_16());
    let sums = larger(0).add_16(larger(2)).add_16(larger(4).add_16(larger(6)));
    (sums.sum_16(), i32::from(v[0].first_16()) + i32::from(v[1].first_16()))
}

#[inline(always)]
fn differences<V: Vector>(a: [V; 8], b: [V; 8]) -> [V; 8] {
    [0, 1, 2, 3, 4, 5, 6, 7].map(|i| a[i].sub_16(b[i]))
}

fn satd_16<V: Vector>(source: &[u8; 256], reference: &[u8], stride: usize, fraction: Fraction) -> u32 {
    let mut prediction = [0; 256];
    predict_16::<V>(reference, stride, fraction, &mut prediction);
    let (source, prediction) =
        (Area::new((source, STRIDE), 16, 16), Area::new((&prediction, STRIDE), 16, 16));
    let mut sum = 0;
    for (x, y) in [(0, 0), (8, 0), (0, 8), (8, 8)] {
        sum += hadamard_sum(differences::<V>(source.block(x, y), prediction.block(x, y))).0;
    }
    (2 * sum + 2) >> 2
}

fn satd_8<V: Vector>(a: Rows<'_>, b: Rows<'_>) -> u32 {
    let (a, b) = (Area::new(a, 8, 8), Area::new(b, 8, 8));
    let (sum, _) = hadamard_sum(differences::<V>(a.block(0, 0), b.block(0, 0)));
    (2 * sum + 2) >> 2
}

fn activity_16<V: Vector>(samples: &[u8; 256]) -> u32 {
    let area = Area::new((samples, STRIDE), 16, 16);
    let mut deviations = V::zero();
    for top in [0, 8] {
        let rows = [0, 1, 2, 3, 4, 5, 6, 7].map(|y| area.row::<V>(0, top + y));
        let sums = rows.iter().fold(V::zero(), |sums, row| sums.add_sad(*row, V::zero()));
        let [left, right] = sums.sums_of_sads().map(|sum| V::splat_8(((sum + 32) >> 6) as u8));
        let means = left.low_halves(right);
        deviations = rows.iter().fold(deviations, |deviations, row| deviations.add_sad(*row, means));
    }
    deviations.sum_of_sads()
}

#[inline(always)]
pub(super) fn deviation_8<V: Vector>(rows: Rows<'_>) -> u32 {
    let area = Area::new(rows, 8, 8);
    let (mut sums, mut deviations) = (V::zero(), V::zero());
    for y in 0..4 {
        sums = sums.add_sad(area.half_rows(0, y), V::zero());
    }
    let mean = V::splat_8(((sums.sum_of_sads() + 32) >> 6) as u8);
    for y in 0..4 {
        deviations = deviations.add_sad(area.half_rows(0, y), mean);
    }
    deviations.sum_of_sads()
}

fn activity_8<V: Vector>(rows: Rows<'_>) -> u32 {
    let (sums, sum) = hadamard_sum::<V>(Area::new(rows, 8, 8).block(0, 0));
    // The mean only changes the first coefficient, the sum.
    let less_mean = sum - 64 * ((sum + 32) >> 6);
    (2 * sums - sum as u32 + less_mean.unsigned_abs() + 2) >> 2
}

/// Orthonormal DCT across 8 vectors; see `scalar::forward_8`.
#[inline(always)]
fn forward_8<V: Vector>(x: [V; 8]) -> [V; 8] {
    let c = &COS;
    let s = [0, 1, 2, 3].map(|i| x[i].add_16(x[7 - i]));
    let d = [0, 1, 2, 3].map(|i| x[i].sub_16(x[7 - i]));
    let (e0, e1, f0, f1) = (s[0].add_16(s[3]), s[1].add_16(s[2]), s[0].sub_16(s[3]), s[1].sub_16(s[2]));
    let (g0, g1) = (e0.scale_16(c[4]), e1.scale_16(c[4]));
    let two = |p: V, k: i16, q: V, l: i16| p.scale_16(k).add_16(q.scale_16(l));
    let odd = |k: [i16; 4]| two(d[0], k[0], d[1], k[1]).add_16(two(d[2], k[2], d[3], k[3]));
    [
        g0.add_16(g1),
        odd([c[1], c[3], c[5], c[7]]),
        two(f0, c[2], f1, c[6]),
        odd([c[3], -c[7], -c[1], -c[5]]),
        g0.sub_16(g1),
        odd([c[5], -c[1], c[7], c[3]]),
        f0.scale_16(c[6]).sub_16(f1.scale_16(c[2])),
        odd([c[7], -c[5], c[3], -c[1]]),
    ]
}

#[inline(always)]
fn column(block: &Block, u: usize) -> &[i16; 8] {
    block[8 * u..].first_chunk().expect("there are 8 columns")
}

#[inline(always)]
fn column_mut(block: &mut Block, u: usize) -> &mut [i16; 8] {
    block[8 * u..].first_chunk_mut().expect("there are 8 columns")
}

/// Divides the coefficients of a block, column by column.
#[inline(always)]
fn quantize<V: Vector>(columns: [V; 8], divisor: &Divisor, levels: &mut Block) -> Quantized {
    let (offset, most) = (V::splat_16(divisor.offset), V::splat_16(divisor.most as i16));
    let reciprocal = V::splat_16(divisor.reciprocal as i16);
    let (step, rest) = (V::splat_16(divisor.step), V::splat_16(divisor.rest));
    let (mut mask, mut energy, mut gain) = (0, V::zero(), V::zero());
    for pair in 0..4 {
        let magnitudes = [2 * pair, 2 * pair + 1].map(|u| {
            let c = columns[u];
            let sum = c.abs_16().add_16(offset).max_16(V::zero());
            let magnitude = sum.multiply_high_16(reciprocal).min_16(most);
            let sign = c.negative_16();
            magnitude.xor(sign).sub_16(sign).store_values(column_mut(levels, u));
            let coded = magnitude.where_zero_16(V::zero(), magnitude.multiply_16(step).add_16(rest));
            energy = energy.add_products(c, c);
            gain = gain.add_products(coded, coded.sub_16(c.abs_16()).sub_16(c.abs_16()));
            magnitude
        });
        mask |= u64::from(magnitudes[0].nonzero_16(magnitudes[1])) << (16 * pair);
    }
    Quantized { mask, energy: energy.sum_32(), gain: gain.sum_32() as i32 }
}

fn quantize_2<V: Vector>(
    source: &PairSamples,
    prediction: &PairSamples,
    divisor: &Divisor,
    coefficients: &mut [Block; 2],
    levels: PairLevels<'_>,
) -> [Quantized; 2] {
    let (source, prediction) = (Area::new((source, STRIDE), 16, 8), Area::new((prediction, STRIDE), 16, 8));
    let mut block = |i: usize, levels| {
        let rows = differences::<V>(source.block(8 * i, 0), prediction.block(8 * i, 0));
        let columns = forward_8(transpose(forward_8(rows.map(V::shift_left_16::<3>))));
        for (u, column) in columns.into_iter().enumerate() {
            column.store_values(column_mut(&mut coefficients[i], u));
        }
        quantize(columns, divisor, levels)
    };
    let [first, second] = levels;
    [block(0, first), block(1, second)]
}

/// Inverse DCT across 8 vectors, of which only the first `N` (4 or 8) may differ from zero, shifted right; see
/// `scalar::inverse_8`.
#[inline(always)]
fn inverse_8<V: Vector, const N: usize, const SHIFT: i32>(c: [V; 8], rounding: [V; 2]) -> [V; 8] {
    let add = |a: [V; 2], b: [V; 2]| [a[0].add_32(b[0]), a[1].add_32(b[1])];
    let sub = |a: [V; 2], b: [V; 2]| [a[0].sub_32(b[0]), a[1].sub_32(b[1])];
    let shift = |a: [V; 2]| a[0].shift_right_32::<SHIFT>().narrow_32(a[1].shift_right_32::<SHIFT>());
    let even = if N > 4 {
        let a = add(c[0].dot(c[4], [W[4], W[4]]), rounding);
        let b = add(c[0].dot(c[4], [W[4], -W[4]]), rounding);
        let (d, e) = (c[2].dot(c[6], [W[2], W[6]]), c[2].dot(c[6], [W[6], -W[2]]));
        [add(a, d), add(b, e), sub(b, e), sub(a, d)]
    } else {
        [W[2], W[6], -W[6], -W[2]].map(|factor| add(c[0].dot(c[2], [W[4], factor]), rounding))
    };
    let factors = [
        [W[1], W[3], W[5], W[7]],
        [W[3], -W[7], -W[1], -W[5]],
        [W[5], -W[1], W[7], W[3]],
        [W[7], -W[5], W[3], -W[1]],
    ];
    let mut out = c;
    for (i, [f, g, h, k]) in factors.into_iter().enumerate() {
        let mut odd = c[1].dot(c[3], [f, g]);
        if N > 4 {
            odd = add(odd, c[5].dot(c[7], [h, k]));
        }
        (out[i], out[7 - i]) = (shift(add(even[i], odd)), shift(sub(even[i], odd)));
    }
    out
}

/// Adds the inverse transform of coefficients in the first `N` (4 or 8) rows and columns.
#[inline(always)]
fn inverse_add_by<V: Vector, const N: usize>(coefficients: &Block, samples: &mut [u8]) {
    let mut c = [V::zero(); 8];
    for (u, c) in c[..N].iter_mut().enumerate() {
        *c = V::load_values(column(coefficients, u));
    }
    // A row with nothing but its first coefficient c is 8 c, which comes of adding c to 16383 c instead of a half.
    let others = c[2..N].iter().fold(c[1], |a, b| a.or(*b));
    let rounding = others.where_zero_16(c[0], V::splat_16(1 << 10)).dot(V::zero(), [1, 0]);
    let mut rows = transpose(inverse_8::<V, N, 11>(c, rounding));
    rows[0] = rows[0].add_16(V::splat_16(((1 << 19) / W[4]) as i16));
    let residuals = inverse_8::<V, N, 20>(rows, [V::zero(); 2]);
    for (residual, samples) in residuals.into_iter().zip(half_rows_mut(samples)) {
        let sum = V::load_half(samples).widen_low().add_16(residual);
        sum.narrow_16(sum).store_half(samples);
    }
}

/// Adds the inverse transform of a first coefficient alone.
#[inline(always)]
pub(super) fn inverse_add_first<V: Vector>(coefficient: i16, samples: &mut [u8]) {
    let residual = (W[4] * (8 * i32::from(coefficient) + (1 << 19) / W[4])) >> 20;
    let [rise, fall] = [residual, -residual].map(|by| V::splat_8(by.clamp(0, 255) as u8));
    for samples in half_rows_mut(samples) {
        V::load_half(samples).add_saturating_8(rise).sub_saturating_8(fall).store_half(samples);
    }
}

/// In the order of transmission, the first ten coefficients lie in the first four rows and columns.
fn inverse_add<V: Vector>(coefficients: &Block, last: u32, samples: &mut [u8]) {
    match last {
        0 => inverse_add_first::<V>(coefficients[0], samples),
        1..=9 => inverse_add_by::<V, 4>(coefficients, samples),
        _ => inverse_add_by::<V, 8>(coefficients, samples),
    }
}

fn halve<V: Vector>(top: &[u8], bottom: &[u8], out: &mut [u8]) {
    let whole = out.len() / 16 * 16;
    let rows = top[..2 * whole].chunks_exact(16).zip(bottom[..2 * whole].chunks_exact(16));
    for (out, (top, bottom)) in out.chunks_exact_mut(8).zip(rows) {
        let sums = |row: &[u8]| V::load(row.first_chunk().expect("a chunk of 16")).add_neighbours_8();
        let means = sums(top).add_16(sums(bottom)).add_16(V::splat_16(2)).shift_right_16::<2>();
        means.narrow_16(means).store_half(out.first_chunk_mut().expect("a chunk of 8"));
    }
    scalar::halve(&top[2 * whole..], &bottom[2 * whole..], &mut out[whole..]);
}

/// Adds squared differences of bytes to sums for the lower and the upper halves.
#[inline(always)]
fn add_squared_errors<V: Vector>([low, high]: [V; 2], a: V, b: V) -> [V; 2] {
    let difference = a.difference_8(b);
    let (d, e) = (difference.widen_low(), difference.widen_high());
    [low.add_products(d, d), high.add_products(e, e)]
}

fn squared_errors<V: Vector>(a: &[u8; 384], b: &[u8; 384]) -> [u32; 6] {
    let (a, b) = (Area::new((a, STRIDE), 16, 24), Area::new((b, STRIDE), 16, 24));
    let pair = |top: usize| {
        let mut sums = [V::zero(); 2];
        for y in top..top + 8 {
            sums = add_squared_errors(sums, a.row(0, y), b.row(0, y));
        }
        sums.map(V::sum_32)
    };
    let ([a, b], [c, d], [e, f]) = (pair(0), pair(8), pair(16));
    [a, b, c, d, e, f]
}

fn squared_errors_16<V: Vector>(samples: &[u8; 384], [y, cb, cr]: [Rows<'_>; 3]) -> [u32; 2] {
    let samples = Area::new((samples, STRIDE), 16, 24);
    let (luma, cb, cr) = (Area::new(y, 16, 16), Area::new(cb, 8, 8), Area::new(cr, 8, 8));
    let mut sums = [V::zero(); 2];
    for y in 0..16 {
        sums = add_squared_errors(sums, samples.row(0, y), luma.row(0, y));
    }
    let luma = sums[0].add_32(sums[1]).sum_32();
    let mut sums = [V::zero(); 2];
    for y in 0..8 {
        let there = cb.half_row::<V>(0, y).low_halves(cr.half_row(0, y));
        sums = add_squared_errors(sums, samples.row(0, 16 + y), there);
    }
    [luma, sums[0].add_32(sums[1]).sum_32()]
}
