//! The Fourier transform of the psychoacoustic model.

use crate::kernels::LANES;
use std::f64::consts::PI;

/// The longest transform.
const MAX_LENGTH: usize = 1024;

/// A complex Fourier transform of the square of a power of two: the samples make a matrix, whose columns are
/// transformed, turned by their twiddle factors and transposed, and whose columns are transformed once more. So vectors
/// run across columns throughout, and the output is in order.
pub(crate) struct Fft {
    /// Rows and columns: 16 or 32.
    side: usize,
    /// `exp(-2 pi i k / side)`, the lower half.
    roots: Vec<(f32, f32)>,
    /// `exp(-2 pi i row column / length)`, real and imaginary parts, rows in the order of reversed bits.
    twiddles: [Vec<f32>; 2],
}

/// Some columns of the matrix, real or imaginary parts.
type Columns<const SIDE: usize> = [[f32; LANES]; SIDE];

impl Fft {
    /// A transform of `length` samples: 256 or 1024.
    pub(crate) fn new(length: usize) -> Self {
        assert!(length == 256 || length == MAX_LENGTH, "a transform of 256 or 1024, not {length}");
        let side = length.isqrt();
        let angle = |k: usize, length: usize| -2.0 * PI * k as f64 / length as f64;
        let twiddles = |part: fn(f64) -> f64| {
            let places = (0..length).map(|i| reversed(i / side, side) * (i % side));
            places.map(|k| part(angle(k, length)) as f32).collect()
        };
        Self {
            side,
            roots: (0..side / 2)
                .map(|k| (libm::cos(angle(k, side)) as f32, libm::sin(angle(k, side)) as f32))
                .collect(),
            twiddles: [twiddles(libm::cos), twiddles(libm::sin)],
        }
    }

    /// Transforms real and imaginary parts, in place.
    #[inline(always)]
    pub(crate) fn transform(&self, re: &mut [f32], im: &mut [f32]) {
        if self.side == 32 { self.transform_by::<32>(re, im) } else { self.transform_by::<16>(re, im) }
    }

    #[inline(always)]
    fn transform_by<const SIDE: usize>(&self, re: &mut [f32], im: &mut [f32]) {
        let (mut turned_re, mut turned_im) = ([0f32; MAX_LENGTH], [0f32; MAX_LENGTH]);
        let mut columns = [[[0f32; LANES]; SIDE]; 2];
        for column in (0..SIDE).step_by(LANES) {
            self.columns(re, im, column, &mut columns);
            let [re, im] = &columns;
            for row in 0..SIDE {
                let place = row * SIDE + column;
                let (cos, sin) = (&self.twiddles[0][place..][..LANES], &self.twiddles[1][place..][..LANES]);
                let place = column * SIDE + reversed(row, SIDE);
                for lane in 0..LANES {
                    let (a, b) = (re[row][lane], im[row][lane]);
                    turned_re[place + lane * SIDE] = a * cos[lane] - b * sin[lane];
                    turned_im[place + lane * SIDE] = a * sin[lane] + b * cos[lane];
                }
            }
        }
        for column in (0..SIDE).step_by(LANES) {
            self.columns(&turned_re, &turned_im, column, &mut columns);
            for row in 0..SIDE {
                let place = reversed(row, SIDE) * SIDE + column;
                re[place..][..LANES].copy_from_slice(&columns[0][row]);
                im[place..][..LANES].copy_from_slice(&columns[1][row]);
            }
        }
    }

    /// Columns from `column` on, transformed, in `out`; rows come in the order of reversed bits.
    #[inline(always)]
    fn columns<const SIDE: usize>(
        &self,
        re: &[f32],
        im: &[f32],
        column: usize,
        out: &mut [Columns<SIDE>; 2],
    ) {
        for (columns, rows) in out.iter_mut().zip([re, im]) {
            for (columns, row) in columns.iter_mut().zip(rows.chunks_exact(SIDE)) {
                columns.copy_from_slice(&row[column..][..LANES]);
            }
        }
        let [re, im] = out;
        match SIDE {
            32 => {
                self.two_stages::<SIDE, 8>(re, im);
                self.two_stages::<SIDE, 2>(re, im);
                for a in (0..SIDE).step_by(2) {
                    butterfly(re, im, [a, a + 1], (1.0, 0.0));
                }
            }
            _ => {
                self.two_stages::<SIDE, 4>(re, im);
                self.two_stages::<SIDE, 1>(re, im);
            }
        }
    }

    /// Butterflies of rows `2 QUARTER` and then `QUARTER` apart, four rows at a time so that they stay in registers.
    #[inline(always)]
    fn two_stages<const SIDE: usize, const QUARTER: usize>(
        &self,
        re: &mut Columns<SIDE>,
        im: &mut Columns<SIDE>,
    ) {
        let turn = SIDE / 4 / QUARTER;
        for start in (0..SIDE).step_by(4 * QUARTER) {
            for j in 0..QUARTER {
                let rows = [0, 1, 2, 3].map(|i| start + j + i * QUARTER);
                let (mut a, mut b) = (rows.map(|row| re[row]), rows.map(|row| im[row]));
                butterfly(&mut a, &mut b, [0, 2], self.roots[j * turn]);
                butterfly(&mut a, &mut b, [1, 3], self.roots[(j + QUARTER) * turn]);
                butterfly(&mut a, &mut b, [0, 1], self.roots[2 * j * turn]);
                butterfly(&mut a, &mut b, [2, 3], self.roots[2 * j * turn]);
                for (i, row) in rows.into_iter().enumerate() {
                    (re[row], im[row]) = (a[i], b[i]);
                }
            }
        }
    }
}

/// Sum and difference of two rows in their places, the difference turned by `root`.
#[inline(always)]
fn butterfly<const ROWS: usize>(
    re: &mut Columns<ROWS>,
    im: &mut Columns<ROWS>,
    [a, b]: [usize; 2],
    (cos, sin): (f32, f32),
) {
    for lane in 0..LANES {
        let difference = (re[a][lane] - re[b][lane], im[a][lane] - im[b][lane]);
        re[a][lane] += re[b][lane];
        im[a][lane] += im[b][lane];
        re[b][lane] = difference.0 * cos - difference.1 * sin;
        im[b][lane] = difference.0 * sin + difference.1 * cos;
    }
}

/// `i` below `count`, a power of two, with its bits in reverse.
#[inline(always)]
fn reversed(i: usize, count: usize) -> usize {
    i.reverse_bits() >> (usize::BITS - count.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fast_and_analytical_fourier_transforms_agree() {
        for length in [256, 1024] {
            let input: Vec<(f32, f32)> =
                (0..length).map(|i| ((i * i % 97) as f32 / 97.0, (i * 31 % 89) as f32 / 89.0)).collect();
            let (mut re, mut im): (Vec<f32>, Vec<f32>) = input.iter().copied().unzip();
            Fft::new(length).transform(&mut re, &mut im);
            for k in [0, 1, 17, length / 2 - 1, length / 2, length / 2 + 1, length - 1] {
                let (mut expected_re, mut expected_im) = (0.0, 0.0);
                for (i, &(a, b)) in input.iter().enumerate() {
                    let (a, b) = (f64::from(a), f64::from(b));
                    let (s, c) = (-2.0 * PI * (i * k % length) as f64 / length as f64).sin_cos();
                    expected_re += a * c - b * s;
                    expected_im += a * s + b * c;
                }
                let errors = (expected_re - f64::from(re[k]), expected_im - f64::from(im[k]));
                assert!(errors.0.abs() < 1e-3 && errors.1.abs() < 1e-3, "bin {k} of {length}");
            }
        }
    }
}
