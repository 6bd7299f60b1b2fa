//! Reference frames.

use crate::layout::Layout;

/// A coded frame: Y, Cb and Cr, without padding, the top row first.
#[derive(Clone, Debug, Default)]
pub(crate) struct Picture {
    pub(crate) planes: [Vec<u8>; 3],
}

impl Picture {
    /// A grey picture: every sample is 0x80.
    pub(crate) fn new(layout: &Layout) -> Self {
        Self { planes: layout.planes.map(|plane| vec![0x80; plane.width() * plane.height()]) }
    }
}
