//! Pictures of whole macroblocks with a border, so that no vector leaves them.

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
    fn new(width: usize, height: usize, border: usize, value: u8) -> Self {
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

    /// Copies `view` to the top left and repeats its last column and row up to the coded size.
    fn load(&mut self, view: &PlaneView<'_>) {
        for y in 0..self.height {
            let row = view.row(y.min(view.height - 1));
            let start = self.index(0, y as isize);
            let coded = &mut self.data[start..][..self.width];
            coded[..row.len()].copy_from_slice(row);
            coded[row.len()..].fill(row[row.len() - 1]);
        }
    }

    /// Fills the border with the nearest samples (H.263, D.1).
    fn extend_border(&mut self) {
        let (stride, border) = (self.stride, self.border);
        for row in self.data.chunks_exact_mut(stride).skip(border).take(self.height) {
            let (first, last) = (row[border], row[border + self.width - 1]);
            row[..border].fill(first);
            row[border + self.width..].fill(last);
        }
        for y in 0..border {
            self.data.copy_within(border * stride..(border + 1) * stride, y * stride);
            let last = (border + self.height - 1) * stride;
            self.data.copy_within(last..last + stride, (border + self.height + y) * stride);
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

    /// Takes over a picture of the same size.
    pub(crate) fn load(&mut self, frame: &FrameView<'_>) {
        for (plane, view) in self.planes.iter_mut().zip(&frame.planes) {
            plane.load(view);
        }
    }

    /// Makes the picture a reference for vectors that leave it.
    pub(crate) fn extend_borders(&mut self) {
        for plane in &mut self.planes {
            plane.extend_border();
        }
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
pub(crate) struct MbSamples(pub(crate) [u8; 384]);

/// Where each of the six blocks begins in [`MbSamples`].
pub(crate) const BLOCK_START: [usize; 6] = [0, 8, 128, 136, 256, 264];

/// Plane, first sample in [`MbSamples`], and size of the three parts of a macroblock.
const PARTS: [(usize, usize, usize); 3] = [(0, 0, 16), (1, 256, 8), (2, 264, 8)];

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

    /// Reads macroblock `mb_x`, `mb_y` of a picture.
    pub(crate) fn load(picture: &CodedPicture, mb_x: usize, mb_y: usize) -> Self {
        let mut samples = Self::ZERO;
        for (pli, start, size) in PARTS {
            let plane = &picture.planes[pli];
            let from = plane.at((mb_x * size) as isize, (mb_y * size) as isize);
            for y in 0..size {
                samples.0[start + y * MB..][..size].copy_from_slice(&from[y * plane.stride..][..size]);
            }
        }
        samples
    }

    /// Writes macroblock `mb_x`, `mb_y` of a picture.
    pub(crate) fn store(&self, picture: &mut CodedPicture, mb_x: usize, mb_y: usize) {
        for (pli, start, size) in PARTS {
            let plane = &mut picture.planes[pli];
            let to = plane.index((mb_x * size) as isize, (mb_y * size) as isize);
            for y in 0..size {
                plane.data[to + y * plane.stride..][..size]
                    .copy_from_slice(&self.0[start + y * MB..][..size]);
            }
        }
    }
}
