//! Decoded pictures: three planes of 8-bit samples.

/// How the chroma planes are subsampled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PixelFormat {
    /// Half the width and half the height.
    Yuv420,
    /// Half the width.
    Yuv422,
    /// Full resolution.
    Yuv444,
}

impl PixelFormat {
    /// Binary logarithm of the horizontal and the vertical subsampling of the chroma planes: 0 or 1 each.
    #[must_use]
    pub fn chroma_shift(self) -> (u32, u32) {
        match self {
            Self::Yuv420 => (1, 1),
            Self::Yuv422 => (1, 0),
            Self::Yuv444 => (0, 0),
        }
    }

    /// Size of plane `pli` (0 is Y, 1 Cb, 2 Cr) of a picture of `width` x `height`, odd sizes rounded up.
    #[must_use]
    pub fn plane_size(self, pli: usize, width: usize, height: usize) -> (usize, usize) {
        if pli == 0 {
            return (width, height);
        }
        let (x, y) = self.chroma_shift();
        (width.div_ceil(1 << x), height.div_ceil(1 << y))
    }

    /// Samples of all planes of a picture of `width` x `height`.
    #[must_use]
    pub fn samples(self, width: usize, height: usize) -> usize {
        (0..3).map(|pli| self.plane_size(pli, width, height)).map(|(width, height)| width * height).sum()
    }
}

/// A borrowed plane, or a window of one; the top row comes first.
#[derive(Clone, Copy, Debug)]
pub struct PlaneView<'a> {
    /// Samples in a row.
    pub width: usize,
    /// Rows.
    pub height: usize,
    /// Samples from the start of one row to that of the next, at least `width`.
    pub stride: usize,
    /// The samples from the first of the top row to at least the last of the bottom row.
    pub data: &'a [u8],
}

impl<'a> PlaneView<'a> {
    /// Row `y` from the top, `width` samples.
    ///
    /// # Panics
    /// If `y` is not below `height`.
    #[must_use]
    pub fn row(&self, y: usize) -> &'a [u8] {
        assert!(y < self.height, "row {y} of a plane of {} rows", self.height);
        &self.data[y * self.stride..][..self.width]
    }

    /// All rows from the top.
    pub fn rows(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let view = *self;
        (0..view.height).map(move |y| view.row(y))
    }
}

/// A borrowed picture, or a window of one.
#[derive(Clone, Copy, Debug)]
pub struct FrameView<'a> {
    /// Subsampling of the planes.
    pub format: PixelFormat,
    /// Y, Cb, Cr.
    pub planes: [PlaneView<'a>; 3],
}

/// A plane that owns its samples, without padding between rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plane {
    width: usize,
    height: usize,
    data: Vec<u8>,
}

impl Plane {
    /// A plane of one value.
    #[must_use]
    pub fn new(width: usize, height: usize, value: u8) -> Self {
        Self { width, height, data: vec![value; width * height] }
    }

    /// Samples in a row; also the distance of rows.
    #[must_use]
    pub fn width(&self) -> usize {
        self.width
    }

    /// Rows.
    #[must_use]
    pub fn height(&self) -> usize {
        self.height
    }

    /// All samples, top row first.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        &self.data
    }

    /// All samples, top row first.
    pub fn data_mut(&mut self) -> &mut [u8] {
        &mut self.data
    }

    /// The whole plane as a view.
    #[must_use]
    pub fn view(&self) -> PlaneView<'_> {
        PlaneView { width: self.width, height: self.height, stride: self.width, data: &self.data }
    }
}

/// A picture that owns its planes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    format: PixelFormat,
    /// Y, Cb, Cr; sized by [`PixelFormat::plane_size`].
    pub planes: [Plane; 3],
}

impl Frame {
    /// A black picture: Y is 16, Cb and Cr are 128.
    #[must_use]
    pub fn new(format: PixelFormat, width: usize, height: usize) -> Self {
        let planes = [(0, 16), (1, 128), (2, 128)].map(|(pli, value)| {
            let (width, height) = format.plane_size(pli, width, height);
            Plane::new(width, height, value)
        });
        Self { format, planes }
    }

    /// Subsampling of the planes.
    #[must_use]
    pub fn format(&self) -> PixelFormat {
        self.format
    }

    /// Width of the picture, which is that of its Y plane.
    #[must_use]
    pub fn width(&self) -> usize {
        self.planes[0].width
    }

    /// Height of the picture, which is that of its Y plane.
    #[must_use]
    pub fn height(&self) -> usize {
        self.planes[0].height
    }

    /// Samples of all planes, a byte each.
    #[must_use]
    pub fn samples(&self) -> usize {
        self.format.samples(self.width(), self.height())
    }

    /// The whole picture as a view.
    #[must_use]
    pub fn view(&self) -> FrameView<'_> {
        FrameView { format: self.format, planes: [0, 1, 2].map(|pli| self.planes[pli].view()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_sizes_round_chroma_up() {
        let size = |format| {
            let frame = Frame::new(format, 5, 3);
            [0, 1, 2].map(|pli| (frame.planes[pli].width(), frame.planes[pli].height()))
        };
        assert_eq!(size(PixelFormat::Yuv420), [(5, 3), (3, 2), (3, 2)]);
        assert_eq!(size(PixelFormat::Yuv422), [(5, 3), (3, 3), (3, 3)]);
        assert_eq!(size(PixelFormat::Yuv444), [(5, 3), (5, 3), (5, 3)]);
    }

    #[test]
    fn a_view_steps_by_its_stride() {
        let data: Vec<u8> = (0..12).collect();
        let view = PlaneView { width: 2, height: 3, stride: 4, data: &data[1..] };
        assert_eq!(view.rows().collect::<Vec<_>>(), [&[1, 2][..], &[5, 6], &[9, 10]]);
    }
}
