//! Planes that vectors may leave: they have a border.

use crate::kernels::{Kernels, Rows, RowsMut, STRIDE};
use crate::motion::Mv;
use oggflv_common::{Frame, FrameView, PlaneView};
use std::ops::Range;
use std::sync::Arc;

/// Width of the border beside luma; a vector reaches 16 samples out, and 17 with a half sample.
const BORDER: usize = 32;

/// Luma samples along a side of a macroblock.
pub(crate) const MB: usize = 16;

/// Rows of a plane of whole blocks, with samples around them.
#[derive(Clone, Debug)]
pub(crate) struct CodedPlane {
    /// Coded width, without the border.
    pub(crate) width: usize,
    border: usize,
    pub(crate) stride: usize,
    /// The row of the picture that `data` begins with; those above the picture are negative.
    top: isize,
    pub(crate) data: Vec<u8>,
}

impl CodedPlane {
    /// A plane with a border on all sides.
    pub(crate) fn new(width: usize, height: usize, border: usize) -> Self {
        Self::window(width, height + 2 * border, border, -(border as isize))
    }

    /// `rows` rows from `top` on.
    fn window(width: usize, rows: usize, border: usize, top: isize) -> Self {
        let stride = width + 2 * border;
        Self { width, border, stride, top, data: vec![0; stride * rows] }
    }

    /// Index in `data` of the sample at `x`, `y`, which may lie in the border.
    #[inline]
    pub(crate) fn index(&self, x: isize, y: isize) -> usize {
        let border = self.border as isize;
        debug_assert!(x >= -border && y >= self.top);
        (y - self.top) as usize * self.stride + (x + border) as usize
    }

    /// The samples from `x`, `y` on.
    #[inline]
    pub(crate) fn at(&self, x: isize, y: isize) -> &[u8] {
        &self.data[self.index(x, y)..]
    }

    /// The samples from block `bx`, `by` of `SIZE` times `SIZE` on.
    #[inline]
    fn block<const SIZE: usize>(&self, bx: usize, by: usize) -> Rows<'_> {
        (self.at((SIZE * bx) as isize, (SIZE * by) as isize), self.stride)
    }

    /// Fills the border of a plane of `height` rows with the nearest samples (H.263, D.1).
    pub(crate) fn extend_border(&mut self, height: usize) {
        let (height, border) = (height as isize, self.border as isize);
        for y in 0..height {
            self.extend_sides(y);
        }
        self.repeat_row(0, -border..0);
        self.repeat_row(height - 1, height..height + border);
    }

    fn extend_sides(&mut self, y: isize) {
        let (border, width) = (self.border, self.width);
        let start = self.index(-(border as isize), y);
        let row = &mut self.data[start..][..self.stride];
        let (first, last) = (row[border], row[border + width - 1]);
        row[..border].fill(first);
        row[border + width..].fill(last);
    }

    fn repeat_row(&mut self, y: isize, rows: Range<isize>) {
        let left = -(self.border as isize);
        let from = self.index(left, y);
        for y in rows {
            let to = self.index(left, y);
            self.data.copy_within(from..from + self.stride, to);
        }
    }
}

/// Rows of macroblocks that a [`Window`] has room for: three for vectors and one on either side for what lies beyond. With more
/// of them, those that stay are moved less often; all of them are to stay in the cache.
const WINDOW: usize = 12;

/// The rows of the picture before that vectors lead to from the row of macroblocks in hand: planes Y, Cb, Cr.
///
/// Rows come in order. A vector reaches one row of macroblocks up and one down.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    pub(crate) planes: [CodedPlane; 3],
    mb_height: usize,
}

impl Window {
    pub(crate) fn new(mb_width: usize, mb_height: usize) -> Self {
        let plane = |size: usize, border| CodedPlane::window(size * mb_width, size * WINDOW, border, 0);
        Self { planes: [plane(16, BORDER), plane(8, BORDER / 2), plane(8, BORDER / 2)], mb_height }
    }

    /// Takes row `mb_y`, which follows on the one taken before, or is the first one of a picture.
    pub(crate) fn take(&mut self, mb_y: usize, row: &BandSamples) {
        for ((plane, rows), size) in self.planes.iter_mut().zip(&row.0).zip([16, 8, 8]) {
            let (first, size) = ((size * mb_y) as isize, size as isize);
            if mb_y == 0 {
                plane.top = -2 * size;
            } else if plane.top + WINDOW as isize * size < first + 3 * size {
                // The two rows before this one stay, and a row of samples above them, which half samples are compared with.
                let left = -(plane.border as isize);
                let kept = plane.index(left, first - 2 * size - 1)..plane.index(left, first);
                plane.top = first - 3 * size;
                let to = plane.index(left, first - 2 * size - 1);
                plane.data.copy_within(kept, to);
            }
            for (y, row) in (first..).zip(rows.chunks_exact(plane.width)) {
                let start = plane.index(0, y);
                plane.data[start..][..plane.width].copy_from_slice(row);
                plane.extend_sides(y);
            }
            // What lies above and below the picture repeats its edge (H.263, D.1).
            if mb_y == 0 {
                plane.repeat_row(0, -size - 1..0);
            }
            if mb_y + 1 == self.mb_height {
                plane.repeat_row(first + size - 1, first + size..first + 2 * size);
            }
        }
    }

    /// The planes from the first sample of macroblock `mb_x`, `mb_y` on.
    pub(crate) fn macroblock(&self, mb_x: usize, mb_y: usize) -> [Rows<'_>; 3] {
        let [y, cb, cr] = &self.planes;
        [y.block::<16>(mb_x, mb_y), cb.block::<8>(mb_x, mb_y), cr.block::<8>(mb_x, mb_y)]
    }
}

/// The samples of a row of macroblocks: Y, Cb, Cr.
#[derive(Clone, Debug)]
pub(crate) struct BandSamples([Vec<u8>; 3]);

impl BandSamples {
    /// Black ones.
    pub(crate) fn new(mb_width: usize) -> Self {
        Self([vec![16; 16 * 16 * mb_width], vec![128; 8 * 8 * mb_width], vec![128; 8 * 8 * mb_width]])
    }

    /// Copies macroblock `mb_x`, `mb_y` of the picture before.
    pub(crate) fn copy_macroblock(&mut self, kernels: &Kernels, from: &Window, mb_x: usize, mb_y: usize) {
        (kernels.copy)(from.macroblock(mb_x, mb_y), self.macroblock_mut(mb_x));
    }

    /// Replaces macroblock `mb_x`.
    pub(crate) fn store_macroblock(&mut self, kernels: &Kernels, samples: &MbSamples, mb_x: usize) {
        let rows = |bi: usize| (&samples.0[BLOCK_START[bi]..], STRIDE);
        (kernels.copy)([rows(0), rows(4), rows(5)], self.macroblock_mut(mb_x));
    }

    /// The planes from the first sample of macroblock `mb_x` on.
    fn macroblock_mut(&mut self, mb_x: usize) -> [RowsMut<'_>; 3] {
        fn block<const SIZE: usize>(rows: &mut [u8], bx: usize) -> RowsMut<'_> {
            let stride = rows.len() / SIZE;
            (&mut rows[SIZE * bx..], stride)
        }
        let [y, cb, cr] = &mut self.0;
        [block::<16>(y, mb_x), block::<8>(cb, mb_x), block::<8>(cr, mb_x)]
    }
}

/// A row of macroblocks of a coded picture, as the next picture needs it.
#[derive(Clone, Debug)]
pub(crate) struct Band {
    pub(crate) samples: BandSamples,
    /// Vectors of the luma blocks of each macroblock.
    pub(crate) motion: Vec<[Mv; 4]>,
    /// How often each macroblock got coefficients since it was intra.
    pub(crate) updates: Vec<u8>,
}

impl Band {
    /// A black one.
    pub(crate) fn new(mb_width: usize) -> Self {
        Self {
            samples: BandSamples::new(mb_width),
            motion: vec![[Mv::ZERO; 4]; mb_width],
            updates: vec![0; mb_width],
        }
    }

    /// Sums of squared differences between this, if it is row `mb_y`, and the planes of a frame.
    pub(crate) fn squared_errors(&self, frame: &FrameView<'_>, mb_y: usize) -> [u64; 3] {
        let square = |(&a, &b): (&u8, &u8)| u32::from(a.abs_diff(b)).pow(2);
        std::array::from_fn(|pli| {
            let plane = &frame.planes[pli];
            let rows = self.rows(mb_y, pli, (plane.width, plane.height));
            // A row of 65535 samples does not overflow: 65535 * 255^2 < 2^32.
            rows.map(|(y, row)| u64::from(plane.row(y).iter().zip(row).map(square).sum::<u32>())).sum()
        })
    }

    /// The part of plane `pli` that belongs to the picture, if this is row `mb_y`: which row of the plane each is, and
    /// as many samples as the plane is wide.
    fn rows(
        &self,
        mb_y: usize,
        pli: usize,
        (width, height): (usize, usize),
    ) -> impl Iterator<Item = (usize, &[u8])> {
        let size = if pli == 0 { 16 } else { 8 };
        let rows = &self.samples.0[pli];
        (size * mb_y..height)
            .zip(rows.chunks_exact(rows.len() / size))
            .map(move |(y, row)| (y, &row[..width]))
    }
}

/// The picture proper that consists of `bands`, written to a frame of its size.
pub(crate) fn assemble(bands: &[Arc<Band>], frame: &mut Frame) {
    for (pli, plane) in frame.planes.iter_mut().enumerate() {
        let size = (plane.width(), plane.height());
        for (mb_y, band) in bands.iter().enumerate() {
            for (y, row) in band.rows(mb_y, pli, size) {
                plane.data_mut()[y * size.0..][..size.0].copy_from_slice(row);
            }
        }
    }
}

/// The samples of one macroblock in rows of 16: 16 rows of Y, then 8 rows of Cb and Cr side by side.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub(crate) struct MbSamples(pub(crate) [u8; 384]);

/// Where each of the six blocks begins in [`MbSamples`].
pub(crate) const BLOCK_START: [usize; 6] = [0, 8, 128, 136, 256, 264];

impl MbSamples {
    pub(crate) const ZERO: Self = Self([0; 384]);

    /// The 16x16 samples of Y.
    pub(crate) fn luma(&self) -> &[u8; 256] {
        self.rows(0)
    }

    /// The 16x16 samples of Y.
    pub(crate) fn luma_mut(&mut self) -> &mut [u8; 256] {
        self.0.first_chunk_mut().expect("384 samples hold 256")
    }

    /// `N` samples from index `start` on.
    pub(crate) fn rows<const N: usize>(&self, start: usize) -> &[u8; N] {
        self.0[start..].first_chunk().expect("the samples hold the rows that are asked for")
    }

    /// Reads row `mb_y` of the macroblocks of a frame; behind the edges, the last column and row repeat.
    ///
    /// Samples are visited in the order they are stored in, which caches expect.
    pub(crate) fn load_row(frame: &FrameView<'_>, mb_y: usize, row: &mut [Self]) {
        let [y, cb, cr] = &frame.planes;
        load_row::<16>(y, mb_y, row, 0);
        load_row::<8>(cb, mb_y, row, BLOCK_START[4]);
        load_row::<8>(cr, mb_y, row, BLOCK_START[5]);
    }
}

/// Reads blocks of `SIZE` times `SIZE` samples, each from index `start` of its macroblock on.
fn load_row<const SIZE: usize>(plane: &PlaneView<'_>, mb_y: usize, row: &mut [MbSamples], start: usize) {
    for y in 0..SIZE {
        let samples = plane.row((SIZE * mb_y + y).min(plane.height - 1));
        let (blocks, at) = (samples.chunks_exact(SIZE), start + y * MB);
        let rest = blocks.remainder();
        for (samples, out) in blocks.zip(row.iter_mut()) {
            out.0[at..][..SIZE].copy_from_slice(samples);
        }
        if let (Some(last), Some(out)) = (rest.last(), row.last_mut()) {
            let out = &mut out.0[at..][..SIZE];
            out.fill(*last);
            out[..rest.len()].copy_from_slice(rest);
        }
    }
}
