//! The picture header (SWF File Format Specification 19, chapter 14, H263VIDEOPACKET).

use oggflv_common::BitSink;

/// PictureType, without disposable pictures, which some decoders cannot show.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum PictureType {
    I,
    P,
}

/// What stands before the macroblocks of a picture.
#[derive(Clone, Copy, Debug)]
pub(crate) struct PictureHeader {
    /// In samples, 1 to 65535.
    pub(crate) width: usize,
    /// In samples, 1 to 65535.
    pub(crate) height: usize,
    /// Counts pictures, modulo 256.
    pub(crate) temporal_reference: u8,
    pub(crate) picture_type: PictureType,
    /// PQUANT, 1 to 31.
    pub(crate) quantizer: u8,
}

impl PictureHeader {
    pub(crate) fn write(&self, sink: &mut impl BitSink) {
        sink.put(1, 17); // picture start code
        sink.put(1, 5); // version: escaped levels have 7 or 11 bits
        sink.put(self.temporal_reference.into(), 8);
        self.write_size(sink);
        sink.put(self.picture_type as u32, 2);
        sink.put(1, 1); // the player may filter block edges of what it shows
        sink.put(self.quantizer.into(), 5);
        sink.put(0, 1); // no extra information
    }

    fn write_size(&self, sink: &mut impl BitSink) {
        let (width, height) = (self.width as u32, self.height as u32);
        match (width, height) {
            (352, 288) => sink.put(2, 3),
            (176, 144) => sink.put(3, 3),
            (128, 96) => sink.put(4, 3),
            (320, 240) => sink.put(5, 3),
            (160, 120) => sink.put(6, 3),
            (0..=255, 0..=255) => {
                sink.put(0, 3);
                sink.put(width, 8);
                sink.put(height, 8);
            }
            _ => {
                sink.put(1, 3);
                sink.put(width, 16);
                sink.put(height, 16);
            }
        }
    }
}
