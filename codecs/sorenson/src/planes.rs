//! Pictures of whole macroblocks with a border, so that no vector leaves them.

use crate::kernels::{Kernels, Rows, RowsMut, STRIDE};
use oggflv_common::{FrameView, PixelFormat, PlaneView};

/// Width of the border around luma; a vector reaches 16 samples out, and 17 with a half sample.
const BORDER: usize = 32;

/// Luma samples along a side of a macroblock.
pub(crate) const MB: usize = 16;

/// A plane of whole blocks, with samples around it.
#[derive(Clone, Debug)]
pub(crate) struct CodedPlane {
    /// Coded size, without the border.
    pub(crate) width: usize,
    pub(crate) height: usize,
    border: usize,
    pub(crate) stride: usize,
    pub(crate) data: Vec<u8>,
}

impl CodedPlane {
    pub(crate) fn new(width: usize, height: usize, border: usize, value: u8) -> Self {
        let stride = width + 2 * border;
        Self { width, height, border, stride, data: vec![value; stride * (height + 2 * border)] }
    }

    /// Index in `data` of the sample at `x`, `y`, which may lie in the border.
    #[inline]
    pub(crate) fn index(&self, x: isize, y: isize) -> usize {
        let border = self.border as isize;
        debug_assert!(x >= -border && y >= -border);
        (y + border) as usize * self.stride + (x + border) as usize
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

    /// The same to be written.
    #[inline]
    fn block_mut<const SIZE: usize>(&mut self, bx: usize, by: usize) -> RowsMut<'_> {
        let at = self.index((SIZE * bx) as isize, (SIZE * by) as isize);
        (&mut self.data[at..], self.stride)
    }

    /// Fills the border with the nearest samples (H.263, D.1).
    pub(crate) fn extend_border(&mut self) {
        for y in 0..self.height {
            self.extend_sides(y);
        }
        self.extend_top();
        self.extend_bottom();
    }

    fn extend_sides(&mut self, y: usize) {
        let (border, width) = (self.border, self.width);
        let row = &mut self.data[(y + border) * self.stride..][..self.stride];
        let (first, last) = (row[border], row[border + width - 1]);
        row[..border].fill(first);
        row[border + width..].fill(last);
    }

    fn extend_top(&mut self) {
        let (stride, border) = (self.stride, self.border);
        for y in 0..border {
            self.data.copy_within(border * stride..(border + 1) * stride, y * stride);
        }
    }

    fn extend_bottom(&mut self) {
        let (stride, border) = (self.stride, self.border);
        let last = (border + self.height - 1) * stride;
        for y in 0..border {
            self.data.copy_within(last..last + stride, (border + self.height + y) * stride);
        }
    }

    /// The samples of `count` rows from `y` on.
    fn rows(&self, y: usize, count: usize) -> Vec<u8> {
        let mut rows = Vec::with_capacity(count * self.width);
        for y in y..y + count {
            rows.extend_from_slice(&self.at(0, y as isize)[..self.width]);
        }
        rows
    }

    /// Replaces the rows from `y` on, and the border beside them.
    fn set_rows(&mut self, y: usize, rows: &[u8]) {
        for (y, row) in (y..).zip(rows.chunks_exact(self.width)) {
            let start = self.index(0, y as isize);
            self.data[start..][..self.width].copy_from_slice(row);
            self.extend_sides(y);
        }
        if y == 0 {
            self.extend_top();
        }
        if y + rows.len() / self.width == self.height {
            self.extend_bottom();
        }
    }
}

/// Three [`CodedPlane`]s: Y, Cb, Cr in 4:2:0.
#[derive(Clone, Debug)]
pub(crate) struct CodedPicture {
    pub(crate) planes: [CodedPlane; 3],
    /// Size of the picture proper.
    width: usize,
    height: usize,
}

impl CodedPicture {
    /// A black picture.
    pub(crate) fn new(width: usize, height: usize) -> Self {
        let (coded_width, coded_height) = (width.next_multiple_of(MB), height.next_multiple_of(MB));
        let chroma = CodedPlane::new(coded_width / 2, coded_height / 2, BORDER / 2, 128);
        let luma = CodedPlane::new(coded_width, coded_height, BORDER, 16);
        Self { planes: [luma, chroma.clone(), chroma], width, height }
    }

    /// Makes the picture a reference for vectors that leave it.
    pub(crate) fn extend_borders(&mut self) {
        for plane in &mut self.planes {
            plane.extend_border();
        }
    }

    /// The samples of a row of macroblocks.
    pub(crate) fn row(&self, mb_y: usize) -> [Vec<u8>; 3] {
        let [y, cb, cr] = &self.planes;
        [y.rows(16 * mb_y, 16), cb.rows(8 * mb_y, 8), cr.rows(8 * mb_y, 8)]
    }

    /// Replaces a row of macroblocks, and the border beside it.
    pub(crate) fn set_row(&mut self, mb_y: usize, row: &[Vec<u8>; 3]) {
        for ((plane, rows), size) in self.planes.iter_mut().zip(row).zip([16, 8, 8]) {
            plane.set_rows(size * mb_y, rows);
        }
    }

    /// The planes from the first sample of macroblock `mb_x`, `mb_y` on.
    pub(crate) fn macroblock(&self, mb_x: usize, mb_y: usize) -> [Rows<'_>; 3] {
        let [y, cb, cr] = &self.planes;
        [y.block::<16>(mb_x, mb_y), cb.block::<8>(mb_x, mb_y), cr.block::<8>(mb_x, mb_y)]
    }

    /// Copies macroblock `mb_x`, `mb_y` of a picture of the same size.
    pub(crate) fn copy_macroblock(&mut self, kernels: &Kernels, from: &Self, mb_x: usize, mb_y: usize) {
        (kernels.copy)(from.macroblock(mb_x, mb_y), self.macroblock_mut(mb_x, mb_y));
    }

    /// Replaces macroblock `mb_x`, `mb_y`.
    pub(crate) fn store_macroblock(
        &mut self,
        kernels: &Kernels,
        samples: &MbSamples,
        mb_x: usize,
        mb_y: usize,
    ) {
        let rows = |bi: usize| (&samples.0[BLOCK_START[bi]..], STRIDE);
        let [luma, cb, cr] = [rows(0), rows(4), rows(5)];
        (kernels.copy)([luma, cb, cr], self.macroblock_mut(mb_x, mb_y));
    }

    /// The planes from the first sample of macroblock `mb_x`, `mb_y` on.
    fn macroblock_mut(&mut self, mb_x: usize, mb_y: usize) -> [RowsMut<'_>; 3] {
        let [y, cb, cr] = &mut self.planes;
        [y.block_mut::<16>(mb_x, mb_y), cb.block_mut::<8>(mb_x, mb_y), cr.block_mut::<8>(mb_x, mb_y)]
    }

    /// The picture proper.
    pub(crate) fn view(&self) -> FrameView<'_> {
        let format = PixelFormat::Yuv420;
        let planes = [0, 1, 2].map(|pli| {
            let plane = &self.planes[pli];
            let (width, height) = format.plane_size(pli, self.width, self.height);
            PlaneView { width, height, stride: plane.stride, data: plane.at(0, 0) }
        });
        FrameView { format, planes }
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
