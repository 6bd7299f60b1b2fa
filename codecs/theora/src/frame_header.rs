//! The frame header (Theora specification, 7.1).

use oggflv_common::BitReader;

use crate::Error;

/// FTYPE: what a frame is predicted from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum FrameType {
    /// From nothing.
    Intra,
    /// From the previous and the golden frame.
    Inter,
}

/// The frame header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct FrameHeader {
    pub(crate) frame_type: FrameType,
    /// QIS: the `qi` values in use; only the first `nqis` count.
    pub(crate) qis: [u8; 3],
    /// NQIS: 1 to 3.
    pub(crate) nqis: usize,
}

impl FrameHeader {
    pub(crate) fn read(reader: &mut BitReader<'_>) -> Result<Self, Error> {
        if reader.read_bit() {
            return Err(Error::NotADataPacket);
        }
        let frame_type = if reader.read_bit() { FrameType::Inter } else { FrameType::Intra };
        let mut qis = [reader.read(6) as u8, 0, 0];
        let mut nqis = 1;
        while nqis < 3 && reader.read_bit() {
            qis[nqis] = reader.read(6) as u8;
            nqis += 1;
        }
        if frame_type == FrameType::Intra {
            let reserved = reader.read(3);
            if reserved != 0 {
                return Err(Error::Reserved {
                    element: "the last 3 bits of the frame header",
                    value: reserved,
                });
            }
        }
        Ok(Self { frame_type, qis, nqis })
    }
}

/// Whether the packet codes an intra frame; an empty packet does not, nor does a header.
#[must_use]
pub fn is_keyframe(packet: &[u8]) -> bool {
    packet.first().is_some_and(|&byte| byte & 0xC0 == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bits: u32) -> Result<FrameHeader, Error> {
        FrameHeader::read(&mut BitReader::new(&bits.to_be_bytes()))
    }

    #[test]
    fn one_to_three_qi() {
        let header = |frame_type, qis, nqis| Ok(FrameHeader { frame_type, qis, nqis });
        assert_eq!(read(0b00_100001_0_000 << 20), header(FrameType::Intra, [33, 0, 0], 1));
        assert_eq!(read(0b01_100001_1_000010_0 << 16), header(FrameType::Inter, [33, 2, 0], 2));
        assert_eq!(read(0b01_100001_1_000010_1_111111 << 10), header(FrameType::Inter, [33, 2, 63], 3));
    }

    #[test]
    fn reserved_bits_and_headers_are_refused() {
        assert_eq!(read(1 << 31), Err(Error::NotADataPacket));
        assert!(matches!(read(0b00_100001_0_010 << 20), Err(Error::Reserved { value: 2, .. })));
        // Inter frames have no reserved bits.
        assert!(read(0b01_100001_0_010 << 20).is_ok());
    }

    #[test]
    fn key_frames_are_seen_by_the_first_byte() {
        assert!(is_keyframe(&[0x3F]));
        assert!(!is_keyframe(&[0x40]) && !is_keyframe(&[0x80]) && !is_keyframe(&[]));
    }
}
