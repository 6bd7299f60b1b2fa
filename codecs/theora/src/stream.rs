//! What the headers say, made ready for decoding.

use oggflv_common::simd::Level;
use oggflv_common::{FrameView, PlaneView};

use crate::frame_header::FrameHeader;
use crate::headers::{Identification, Setup};
use crate::kernels::Kernels;
use crate::layout::Layout;
use crate::quant::QuantizationMatrices;
use crate::tokens::TokenTables;
use crate::{Error, Limits};

/// Everything about a stream that stays the same from frame to frame.
#[derive(Clone, Debug)]
pub(crate) struct Stream {
    pub(crate) identification: Identification,
    /// LFLIMS.
    loop_filter_limits: [u8; 64],
    pub(crate) matrices: QuantizationMatrices,
    pub(crate) tables: TokenTables,
    pub(crate) layout: Layout,
    pub(crate) kernels: Kernels,
}

impl Stream {
    pub(crate) fn new(identification: Identification, setup: &Setup, limits: &Limits) -> Result<Self, Error> {
        let (width, height) = (identification.coded_width, identification.coded_height);
        let pixels = width as u64 * height as u64;
        if pixels > limits.max_pixels {
            return Err(Error::TooLarge { pixels, max_pixels: limits.max_pixels });
        }
        Ok(Self {
            loop_filter_limits: setup.loop_filter_limits,
            matrices: QuantizationMatrices::new(&setup.quantization),
            tables: TokenTables::new(&setup.huffman_tables),
            layout: Layout::new(identification.pixel_format, width, height),
            kernels: Kernels::new(Level::active()),
            identification,
        })
    }

    /// The loop filter limit of a frame, 0 to 127; 0 turns the filter off.
    pub(crate) fn loop_filter_limit(&self, header: &FrameHeader) -> u8 {
        self.loop_filter_limits[usize::from(header.qis[0])]
    }

    /// Where the picture region starts in a plane of the coded frame, in samples from the top left.
    pub(crate) fn picture_offset(&self, pli: usize) -> (usize, usize) {
        let id = &self.identification;
        let (shift_x, shift_y) = if pli == 0 { (0, 0) } else { id.pixel_format.chroma_shift() };
        (id.picture_x >> shift_x, id.picture_y >> shift_y)
    }

    /// The picture region of a coded frame. On a subsampled axis the chroma planes run from floor(offset / 2) to
    /// ceil((offset + length) / 2), so that they cover an odd picture region (section 4.4.4).
    pub(crate) fn picture<'a>(&self, planes: [&'a [u8]; 3]) -> FrameView<'a> {
        let id = &self.identification;
        let planes = [0, 1, 2].map(|pli| {
            let (x, y) = self.picture_offset(pli);
            let (right, bottom) = (id.picture_x + id.picture_width, id.picture_y + id.picture_height);
            let (right, bottom) = id.pixel_format.plane_size(pli, right, bottom);
            let stride = self.layout.planes[pli].width();
            PlaneView { width: right - x, height: bottom - y, stride, data: &planes[pli][y * stride + x..] }
        });
        FrameView { format: id.pixel_format, planes }
    }
}
