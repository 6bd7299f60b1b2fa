//! Reconstruction (Theora specification, 7.9).

use crate::kernels::scalar;
use crate::layout::{Layout, PlaneLayout};
use crate::motion::MotionVector;
use crate::parse::{ParsedFrame, Reference};
use crate::picture::Picture;
use crate::quant::QuantizationMatrices;
use crate::tables::ZIG_ZAG;

/// Reconstructs all blocks of a frame into `picture` (section 7.9.4).
pub(crate) fn reconstruct(
    picture: &mut Picture,
    previous: &Picture,
    golden: &Picture,
    frame: &ParsedFrame,
    layout: &Layout,
    matrices: &QuantizationMatrices,
) {
    for pli in 0..3 {
        let plane =
            Plane { frame, matrices, pli, layout: &layout.planes[pli], shifts: chroma_shifts(layout, pli) };
        plane.reconstruct(&mut picture.planes[pli], &previous.planes[pli], &golden.planes[pli]);
    }
}

/// Binary logarithms of the units that motion vectors have in one sample of the plane.
fn chroma_shifts(layout: &Layout, pli: usize) -> (u32, u32) {
    let (x, y) = if pli == 0 { (0, 0) } else { layout.format.chroma_shift() };
    (x + 1, y + 1)
}

struct Plane<'a> {
    frame: &'a ParsedFrame,
    matrices: &'a QuantizationMatrices,
    pli: usize,
    layout: &'a PlaneLayout,
    shifts: (u32, u32),
}

impl Plane<'_> {
    fn reconstruct(&self, samples: &mut [u8], previous: &[u8], golden: &[u8]) {
        let stride = self.layout.width();
        // Rows of blocks count from the bottom, rows of samples from the top.
        for (row, band) in samples.chunks_exact_mut(8 * stride).rev().enumerate() {
            let first = self.layout.first + row * self.layout.columns;
            for column in 0..self.layout.columns {
                let block = first + column;
                let (x, y) = (8 * column, 8 * (self.layout.rows - 1 - row));
                let samples = &mut band[x..];
                let vector = self.frame.vectors[block];
                match self.frame.references[block] {
                    Reference::None => {
                        scalar::predict_whole(samples, stride, &previous[y * stride + x..], stride);
                        continue;
                    }
                    Reference::Intra => scalar::predict_intra(samples, stride),
                    Reference::Previous => self.predict(samples, previous, (x, y), vector),
                    Reference::Golden => self.predict(samples, golden, (x, y), vector),
                }
                self.add_residual(samples, block);
            }
        }
    }

    /// Forms the predictor of the block at (x, y) by its motion vector.
    fn predict(&self, samples: &mut [u8], reference: &[u8], (x, y): (usize, usize), vector: MotionVector) {
        let stride = self.layout.width();
        // The vector with its components cut towards zero, and with those that have a fraction one further.
        let split = |component: i8, shift: u32| {
            let unit = 1 << shift;
            let whole = i32::from(component) / unit;
            (whole, whole + (i32::from(component) % unit).signum())
        };
        let (x1, x2) = split(vector.x, self.shifts.0);
        // Vectors point upwards, rows of samples count downwards.
        let (y1, y2) = split(-vector.y, self.shifts.1);
        let mut copies = [[0; 64]; 2];
        let [copy1, copy2] = &mut copies;
        let (x, y) = (x as i32, y as i32);
        let first = self.block_at(reference, (x + x1, y + y1), copy1);
        if (x1, y1) == (x2, y2) {
            scalar::predict_whole(samples, stride, first.0, first.1);
        } else {
            let second = self.block_at(reference, (x + x2, y + y2), copy2);
            scalar::predict_half(samples, stride, first, second);
        }
    }

    /// The block of the reference at any position, with the distance of its rows. Outside the plane the nearest
    /// sample inside counts; such blocks are copied.
    fn block_at<'a>(
        &self,
        reference: &'a [u8],
        (x, y): (i32, i32),
        copy: &'a mut [u8; 64],
    ) -> (&'a [u8], usize) {
        let (width, height) = (self.layout.width(), self.layout.height());
        let (max_x, max_y) = (width as i32 - 1, height as i32 - 1);
        if x >= 0 && x + 7 <= max_x && y >= 0 && y + 7 <= max_y {
            return (&reference[y as usize * width + x as usize..], width);
        }
        for (row, line) in (y..).zip(copy.chunks_exact_mut(8)) {
            let source = &reference[row.clamp(0, max_y) as usize * width..][..width];
            for (column, sample) in (x..).zip(line) {
                *sample = source[column.clamp(0, max_x) as usize];
            }
        }
        (copy, 8)
    }

    /// Dequantizes (section 7.9.2), transforms and adds to the predictor.
    fn add_residual(&self, samples: &mut [u8], block: usize) {
        let stride = self.layout.width();
        let header = &self.frame.header;
        let qti = usize::from(self.frame.references[block] != Reference::Intra);
        let dc_matrix = self.matrices.get(qti, self.pli, header.qis[0]);
        let dc = i32::from(self.frame.dc[block]) * i32::from(dc_matrix[0]);
        let count = usize::from(self.frame.ac_counts[block]);
        if count == 0 {
            scalar::add_constant(samples, stride, ((dc + 15) >> 5) as i16);
            return;
        }
        let matrix = self.matrices.get(qti, self.pli, header.qis[usize::from(self.frame.qiis[block])]);
        let mut coefficients = [0; 64];
        coefficients[0] = dc as i16;
        for coefficient in &self.frame.ac[self.frame.ac_starts[block] as usize..][..count] {
            let zzi = usize::from(coefficient.zzi) & 63;
            let value = i32::from(coefficient.value) * i32::from(matrix[zzi]);
            coefficients[usize::from(ZIG_ZAG[zzi])] = value as i16;
        }
        scalar::add_residual(samples, stride, &scalar::idct(&coefficients));
    }
}
