//! Reconstruction (Theora specification, 7.9), row of blocks by row of blocks, with the loop filter a row behind.

use std::ops::Range;

use crate::kernels::{Coefficients, Kernels, Prediction, TRANSPOSED_ZIG_ZAG};
use crate::layout::PlaneLayout;
use crate::loop_filter;
use crate::masks;
use crate::motion::MotionVector;
use crate::parse::{ParsedFrame, Reference};
use crate::quant::Matrix;
use crate::stream::Stream;

/// A plane of a frame that is to be made.
pub(crate) struct PlaneTask<'a> {
    frame: &'a ParsedFrame,
    layout: &'a PlaneLayout,
    kernels: &'a Kernels,
    /// The loop filter limit, 0 to 127; 0 turns the filter off.
    limit: u8,
    /// Binary logarithms of the units that motion vectors have in one sample of the plane.
    shifts: (u32, u32),
    /// Quantization matrices by quantization type and `qii`.
    matrices: [[&'a Matrix; 3]; 2],
}

impl<'a> PlaneTask<'a> {
    pub(crate) fn new(frame: &'a ParsedFrame, stream: &'a Stream, pli: usize) -> Self {
        let layout = &stream.layout;
        let (x, y) = if pli == 0 { (0, 0) } else { layout.format.chroma_shift() };
        Self {
            frame,
            layout: &layout.planes[pli],
            kernels: &stream.kernels,
            limit: stream.loop_filter_limit(&frame.header),
            shifts: (x + 1, y + 1),
            matrices: [0, 1].map(|qti| frame.header.qis.map(|qi| stream.matrices.get(qti, pli, qi))),
        }
    }

    /// Makes the plane from the same plane of the reference frames, which intra frames do not look at. If `samples` hold
    /// an earlier frame, `kept` tells in which of the plane's blocks the previous frame is the same.
    pub(crate) fn run(&self, samples: &mut [u8], previous: &[u8], golden: &[u8], kept: Option<&[bool]>) {
        let rows = self.layout.rows;
        for row in 0..rows {
            self.reconstruct_row(row, samples, previous, golden, kept);
            // The filter reaches into the row above, so it stays one row behind.
            if row > 0 {
                self.filter_row(row - 1, samples);
            }
        }
        self.filter_row(rows - 1, samples);
    }

    fn filter_row(&self, row: usize, samples: &mut [u8]) {
        loop_filter::filter_row(samples, &self.frame.references, self.layout, row, self.limit, self.kernels);
    }

    /// Makes all blocks of a row (section 7.9.4). Rows of blocks count from the bottom, rows of samples from the top.
    fn reconstruct_row(
        &self,
        row: usize,
        samples: &mut [u8],
        previous: &[u8],
        golden: &[u8],
        kept: Option<&[bool]>,
    ) {
        let stride = self.layout.width();
        let columns = self.layout.columns;
        let y = 8 * (self.layout.rows - 1 - row);
        let band = &mut samples[y * stride..][..8 * stride];
        let first = self.layout.first + row * columns;
        let references = &self.frame.references[first..first + columns];
        let mut coefficients = Coefficients([0; 64]);
        let mut copies = [[0; 64]; 2];
        for (index, references) in references.chunks(masks::BLOCKS).enumerate() {
            let start = index * masks::BLOCKS;
            let coded = masks::coded(references);
            let kept = kept.map_or(0, |kept| masks::set(&kept[row * columns + start..][..references.len()]));
            let all = u64::MAX >> (masks::BLOCKS - references.len());
            for run in masks::runs(all & !(coded | kept)) {
                let previous = &previous[y * stride..][..8 * stride];
                copy_run(band, previous, stride, start + run.start..start + run.end);
            }
            for column in masks::ones(coded) {
                let (reference, column) = (references[column], start + column);
                let block = first + column;
                let position = (8 * column, y);
                let prediction = match reference {
                    Reference::Golden => {
                        self.predict(golden, position, self.frame.vectors[block], &mut copies)
                    }
                    Reference::Previous => {
                        self.predict(previous, position, self.frame.vectors[block], &mut copies)
                    }
                    _ => Prediction::Intra,
                };
                self.reconstruct_block(&mut band[8 * column..], block, prediction, &mut coefficients);
            }
        }
    }

    /// The predictor of the block at (x, y) by its motion vector (section 7.9.4). Blocks that are not wholly inside
    /// the reference are copied.
    #[inline]
    fn predict<'b>(
        &self,
        reference: &'b [u8],
        (x, y): (usize, usize),
        vector: MotionVector,
        [copy1, copy2]: &'b mut [[u8; 64]; 2],
    ) -> Prediction<'b> {
        // The vector with its components cut towards zero, and with those that have a fraction one further.
        let split = |component: i8, shift: u32| {
            let component = i32::from(component);
            let sign = component >> 31;
            let magnitude = (component ^ sign) - sign;
            let whole = magnitude >> shift;
            let further = (magnitude + (1 << shift) - 1) >> shift;
            ((whole ^ sign) - sign, (further ^ sign) - sign)
        };
        let (x1, x2) = split(vector.x, self.shifts.0);
        // Vectors point upwards, rows of samples count downwards.
        let (y1, y2) = split(-vector.y, self.shifts.1);
        let (x, y) = (x as i32, y as i32);
        let (first, stride) = self.block_at(reference, (x + x1, y + y1), copy1);
        if (x1, y1) == (x2, y2) {
            return Prediction::Whole { block: first, stride };
        }
        let (second, second_stride) = self.block_at(reference, (x + x2, y + y2), copy2);
        Prediction::Half { blocks: [first, second], strides: [stride, second_stride] }
    }

    /// The block of the reference at any position, with the distance of its rows. Outside the plane the nearest
    /// sample inside counts (section 7.9.1.2).
    #[inline]
    fn block_at<'b>(
        &self,
        reference: &'b [u8],
        (x, y): (i32, i32),
        copy: &'b mut [u8; 64],
    ) -> (&'b [u8], usize) {
        let (width, height) = (self.layout.width(), self.layout.height());
        if x >= 0 && x as usize <= width - 8 && y >= 0 && y as usize <= height - 8 {
            return (&reference[y as usize * width + x as usize..], width);
        }
        self.copy_clamped(reference, (x, y), copy);
        (copy, 8)
    }

    #[cold]
    fn copy_clamped(&self, reference: &[u8], (x, y): (i32, i32), copy: &mut [u8; 64]) {
        let (width, height) = (self.layout.width(), self.layout.height());
        for (row, line) in (y..).zip(copy.chunks_exact_mut(8)) {
            let source = &reference[row.clamp(0, height as i32 - 1) as usize * width..][..width];
            for (column, sample) in (x..).zip(line) {
                *sample = source[column.clamp(0, width as i32 - 1) as usize];
            }
        }
    }

    /// Dequantizes (section 7.9.2), transforms and adds to the predictor.
    #[inline]
    fn reconstruct_block(
        &self,
        samples: &mut [u8],
        block: usize,
        prediction: Prediction<'_>,
        coefficients: &mut Coefficients,
    ) {
        let stride = self.layout.width();
        let frame = self.frame;
        let qti = usize::from(!matches!(prediction, Prediction::Intra));
        let dc = i32::from(frame.dc[block]) * i32::from(self.matrices[qti][0][0]);
        let count = usize::from(frame.ac_counts[block]);
        if count == 0 {
            (self.kernels.reconstruct_dc)(samples, stride, &prediction, ((dc + 15) >> 5) as i16);
            return;
        }
        let matrix = self.matrices[qti][usize::from(frame.qiis[block])];
        coefficients.0[0] = dc as i16;
        let mut last = 0;
        for coefficient in &frame.ac[frame.ac_starts[block] as usize..][..count] {
            last = coefficient.zzi();
            let value = coefficient.value() * i32::from(matrix[usize::from(last)]);
            coefficients.0[usize::from(TRANSPOSED_ZIG_ZAG[usize::from(last)] & 63)] = value as i16;
        }
        (self.kernels.reconstruct)(samples, stride, &prediction, coefficients, last);
    }
}

/// Copies a run of blocks that are not coded.
fn copy_run(band: &mut [u8], previous: &[u8], stride: usize, columns: Range<usize>) {
    let range = 8 * columns.start..8 * columns.end;
    if range.len() == stride {
        band.copy_from_slice(previous);
        return;
    }
    for (line, previous) in band.chunks_exact_mut(stride).zip(previous.chunks_exact(stride)) {
        let (line, previous) = (&mut line[range.clone()], &previous[range.clone()]);
        if columns.len() > 4 {
            line.copy_from_slice(previous);
            continue;
        }
        // To call for a few samples would take longer than to copy them.
        for (line, previous) in line.chunks_exact_mut(8).zip(previous.chunks_exact(8)) {
            line.copy_from_slice(previous);
        }
    }
}
