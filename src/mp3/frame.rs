//! The header of a frame (ISO/IEC 11172-3 and 13818-3, 2.4.1.3 and 2.4.2.3).

use oggflv_common::BitReader;

/// Bytes of a header.
pub(crate) const HEADER_BYTES: usize = 4;

/// Kilobits per second by bitrate_index, of MPEG-1, and of MPEG-2 and 2.5.
#[rustfmt::skip]
const BITRATES: [[u32; 15]; 2] = [
    [0, 32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320],
    [0,  8, 16, 24, 32, 40, 48, 56,  64,  80,  96, 112, 128, 144, 160],
];

/// What the header of a Layer III frame says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    /// MPEG-1; else MPEG-2 or 2.5.
    pub(crate) is_mpeg1: bool,
    /// Samples per second and channel.
    pub(crate) sample_rate: u32,
    /// 1 or 2.
    pub(crate) channels: u32,
    /// Bytes of the frame, the header included; 0 in the free format, whose frames do not tell.
    pub(crate) length: usize,
    /// Whether a CRC follows the header.
    pub(crate) has_crc: bool,
}

impl FrameHeader {
    /// Reads the header at the start of `bytes`; `None` if there is none of Layer III.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut bits = BitReader::new(bytes.get(..HEADER_BYTES)?);
        let (sync, version, layer) = (bits.read(11), bits.read(2), bits.read(2));
        if (sync, layer) != (0x7FF, 1) || version == 1 {
            return None;
        }
        let has_crc = !bits.read_bit(); // protection_bit
        let bitrate_index = bits.read(4) as usize;
        let rate = *[44_100_u32, 48_000, 32_000].get(bits.read(2) as usize)?;
        let padding = bits.read(1) as usize;
        bits.skip(1); // private_bit
        let channels = if bits.read(2) == 3 { 1 } else { 2 };
        // The versions are MPEG-2.5, none, MPEG-2, MPEG-1.
        let is_mpeg1 = version == 3;
        let sample_rate = rate >> [2, 0, 1, 0][version as usize];
        let bitrate = 1000 * *BITRATES[usize::from(!is_mpeg1)].get(bitrate_index)?;
        let length = match bitrate {
            0 => 0,
            _ => (if is_mpeg1 { 144 } else { 72 } * bitrate / sample_rate) as usize + padding,
        };
        Some(Self { is_mpeg1, sample_rate, channels, length, has_crc })
    }

    /// Samples per channel of a frame.
    pub(crate) fn samples(&self) -> u32 {
        if self.is_mpeg1 { 1152 } else { 576 }
    }

    /// Whether frames of both headers may belong to one stream.
    pub(crate) fn agrees_with(&self, other: &Self) -> bool {
        (self.is_mpeg1, self.sample_rate, self.channels)
            == (other.is_mpeg1, other.sample_rate, other.channels)
    }

    /// Bytes of the side information (2.4.1.7).
    pub(crate) fn side_info_bytes(&self) -> usize {
        match (self.is_mpeg1, self.channels) {
            (true, 2) => 32,
            (true, _) | (false, 2) => 17,
            (false, _) => 9,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headers() {
        let header = |is_mpeg1, sample_rate, channels, length, has_crc| {
            Some(FrameHeader { is_mpeg1, sample_rate, channels, length, has_crc })
        };
        for (bytes, expected) in [
            ([0xFF, 0xFB, 0x90, 0x64], header(true, 44_100, 2, 417, false)),
            ([0xFF, 0xFA, 0x92, 0xC4], header(true, 44_100, 1, 418, true)),
            ([0xFF, 0xF3, 0x88, 0xC4], header(false, 16_000, 1, 288, false)),
            ([0xFF, 0xE3, 0x18, 0xC4], header(false, 8_000, 1, 72, false)),
            ([0xFF, 0xFB, 0x04, 0x64], header(true, 48_000, 2, 0, false)),
            ([0xFF, 0xFD, 0x90, 0x64], None), // Layer II
            ([0xFF, 0xEB, 0x90, 0x64], None), // no version
            ([0xFF, 0xFB, 0xF0, 0x64], None), // no bit rate
            ([0xFF, 0xFB, 0x9C, 0x64], None), // no sample rate
            ([0xFE, 0xFB, 0x90, 0x64], None),
        ] {
            assert_eq!(FrameHeader::parse(&bytes), expected, "{bytes:X?}");
        }
        assert_eq!(FrameHeader::parse(&[0xFF, 0xFB, 0x90]), None);
    }
}
