//! Reconstruction (Theora specification, 7.9), row of blocks by row of blocks, with the loop filter a row behind.

use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::kernels::{Coefficients, Kernels, Prediction, TRANSPOSED_ZIG_ZAG};
use crate::layout::PlaneLayout;
use crate::loop_filter::{self, Part};
use crate::masks;
use crate::motion::MotionVector;
use crate::parse::{ParsedFrame, Reference};
use crate::quant::Matrix;
use crate::stream::Stream;

/// What a plane is made from.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sources<'a> {
    /// The same plane of the reference frames, which intra frames do not look at.
    pub(crate) previous: &'a [u8],
    pub(crate) golden: &'a [u8],
    /// If the plane's memory holds an earlier frame: which blocks each frame behind it, up to the previous one, left as
    /// they were.
    pub(crate) kept: Option<&'a [&'a [u64]]>,
}

/// A plane of a frame that is to be made.
pub(crate) struct PlaneTask<'a> {
    frame: &'a ParsedFrame,
    /// Which blocks are coded.
    coded: &'a [u64],
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
            coded: &frame.coded_masks[pli],
            layout: &layout.planes[pli],
            kernels: &stream.kernels,
            limit: stream.loop_filter_limit(&frame.header),
            shifts: (x + 1, y + 1),
            matrices: [0, 1].map(|qti| frame.header.qis.map(|qi| stream.matrices.get(qti, pli, qi))),
        }
    }

    /// Makes the plane. `samples` may hold an earlier frame; see `Sources`.
    pub(crate) fn run(&self, samples: &mut [u8], sources: &Sources<'_>) {
        self.make_rows(0..self.layout.rows, samples, sources);
    }

    /// Makes the plane in bands that several threads may take: each is to call what `share` is given, which returns when no
    /// band is left.
    pub(crate) fn run_in_bands(
        &self,
        samples: &mut [u8],
        sources: &Sources<'_>,
        bands: usize,
        share: impl FnOnce(&(dyn Fn() + Sync)),
    ) {
        let row_length = 8 * self.layout.width();
        let starts: Vec<usize> = (0..=bands).map(|band| self.layout.rows * band / bands).collect();
        let mut parts = Vec::new();
        let mut rest = &mut *samples;
        for bounds in starts.windows(2) {
            let rows = bounds[0]..bounds[1];
            let (above, part) = rest.split_at_mut(rest.len() - rows.len() * row_length);
            parts.push((rows, part));
            rest = above;
        }
        let parts = Mutex::new(parts);
        share(&|| {
            let next = || parts.lock().unwrap_or_else(PoisonError::into_inner).pop();
            while let Some((rows, samples)) = next() {
                self.make_rows(rows, samples, sources);
            }
        });
        for &row in &starts[1..bands] {
            self.filter_row((row - 1, Part::Whole), self.layout.rows, samples);
            self.filter_row((row, Part::LowerHalf), self.layout.rows, samples);
        }
    }

    /// Makes rows of blocks, at least two or all; `samples` hold no others. What is to be filtered across the borders to
    /// other rows is left: the last row, and the lower half of the first one.
    fn make_rows(&self, rows: Range<usize>, samples: &mut [u8], sources: &Sources<'_>) {
        let row_length = 8 * self.layout.width();
        for row in rows.clone() {
            let line = (rows.end - 1 - row) * row_length;
            self.reconstruct_row(row, &mut samples[line..][..row_length], sources);
            // The filter reaches into the row above, so it stays one row behind.
            if row > rows.start {
                let part = if row - 1 == rows.start && row > 1 { Part::UpperHalf } else { Part::Whole };
                self.filter_row((row - 1, part), rows.end, samples);
            }
        }
        if rows.end == self.layout.rows {
            self.filter_row((rows.end - 1, Part::Whole), rows.end, samples);
        }
    }

    /// Filters a row of samples that end below row `end` of blocks.
    fn filter_row(&self, row: (usize, Part), end: usize, samples: &mut [u8]) {
        let references = &self.frame.references;
        loop_filter::filter_row(samples, end - 1, references, self.layout, row, self.limit, self.kernels);
    }

    /// Makes all blocks of a row (section 7.9.4). Rows of blocks count from the bottom, rows of samples from the top.
    fn reconstruct_row(&self, row: usize, band: &mut [u8], sources: &Sources<'_>) {
        let Sources { previous, golden, kept } = *sources;
        let stride = self.layout.width();
        let columns = self.layout.columns;
        let y = 8 * (self.layout.rows - 1 - row);
        let first = self.layout.first + row * columns;
        let references = &self.frame.references[first..first + columns];
        let mut coefficients = Coefficients([0; 64]);
        let mut copies = [[0; 64]; 2];
        let masks = self.layout.masks_in_row();
        for (index, references) in references.chunks(masks::BLOCKS).enumerate() {
            let (start, mask) = (index * masks::BLOCKS, row * masks + index);
            let coded = self.coded[mask];
            let kept = kept.map_or(0, |maps| maps.iter().fold(u64::MAX, |kept, map| kept & map[mask]));
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::headers::{Identification, Setup};
    use crate::{FrameKind, Limits};

    #[test]
    fn bands_give_the_same_planes() {
        for file in [
            &include_bytes!("../tests/vectors/420.pkt")[..],
            include_bytes!("../tests/vectors/444-odd.pkt"),
            include_bytes!("../tests/vectors/random-3.pkt"),
            include_bytes!("../tests/vectors/random-4.pkt"),
            include_bytes!("../tests/vectors/random-5.pkt"),
        ] {
            let mut rest = file;
            let mut packets = Vec::new();
            while let Some((length, tail)) = rest.split_first_chunk() {
                let (packet, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
                packets.push(packet);
                rest = tail;
            }
            let identification = Identification::parse(packets[0]).unwrap();
            let setup = Setup::parse(packets[2]).unwrap();
            let stream = Stream::new(identification, &setup, &Limits::default()).unwrap();
            let mut frame = ParsedFrame::new(&stream.layout);
            let mut previous = stream.layout.planes.map(|plane| vec![0x80; 64 * plane.blocks()]);
            let mut golden = previous.clone();
            for packet in &packets[3..] {
                let Ok(kind @ (FrameKind::Key | FrameKind::Inter)) = frame.parse(packet, &stream) else {
                    continue;
                };
                let mut next = previous.clone();
                for (pli, samples) in next.iter_mut().enumerate() {
                    let sources = Sources { previous: &previous[pli], golden: &golden[pli], kept: None };
                    let task = PlaneTask::new(&frame, &stream, pli);
                    task.run(samples, &sources);
                    for bands in 2..=stream.layout.planes[pli].rows / 2 {
                        let mut banded = vec![0; samples.len()];
                        // Bands are popped from the end, so the first calls make the uppermost.
                        task.run_in_bands(&mut banded, &sources, bands, |share| share());
                        assert!(banded == *samples, "plane {pli} in {bands} bands");
                    }
                }
                previous = next;
                if kind == FrameKind::Key {
                    golden = previous.clone();
                }
            }
        }
    }
}
