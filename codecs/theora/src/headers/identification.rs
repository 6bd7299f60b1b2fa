//! The identification header (Theora specification, 6.2) and granule positions (A.2.3).

use oggflv_common::{BitReader, PixelFormat};

use super::strip_common_header;
use crate::Error;

/// What the identification header says: sizes, rates and hints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identification {
    /// VMAJ, VMIN, VREV: 3, 2 and anything.
    pub version: (u8, u8, u8),
    /// Width of the coded frame in luma samples: 16 * FMBW, never 0.
    pub coded_width: usize,
    /// Height of the coded frame in luma samples: 16 * FMBH, never 0.
    pub coded_height: usize,
    /// PICW: width of the picture region in luma samples, never 0.
    pub picture_width: usize,
    /// PICH: height of the picture region in luma samples, never 0.
    pub picture_height: usize,
    /// PICX: left edge of the picture region in the coded frame, in luma samples.
    pub picture_x: usize,
    /// Top edge of the picture region in the coded frame, in luma samples from the top. (PICY counts from the
    /// bottom.)
    pub picture_y: usize,
    /// FRN and FRD: frames per second as numerator and denominator, neither 0.
    pub frame_rate: (u32, u32),
    /// PARN and PARD: width to height of a sample; unknown if either is 0.
    pub pixel_aspect: (u32, u32),
    /// CS: 0 undefined, 1 Rec. 470M, 2 Rec. 470BG, others reserved.
    pub color_space: u8,
    /// NOMBR: a hint in bits per second; 0 if the encoder did not care.
    pub nominal_bitrate: u32,
    /// QUAL: a hint, 0 to 63.
    pub quality: u8,
    /// PF: subsampling of the chroma planes.
    pub pixel_format: PixelFormat,
    /// KFGSHIFT: bits of the granule position that count from the last key frame, 0 to 31.
    pub keyframe_granule_shift: u8,
}

impl Identification {
    /// Decodes the first packet of a stream.
    ///
    /// # Errors
    /// If the packet is not an identification header or is cut short, and if the version, a size, the frame rate,
    /// the pixel format or the reserved bits are not what the specification allows. An empty picture region is
    /// refused, too.
    pub fn parse(packet: &[u8]) -> Result<Self, Error> {
        let mut reader = BitReader::new(strip_common_header(packet, 0x80)?);
        let version = (reader.read(8) as u8, reader.read(8) as u8, reader.read(8) as u8);
        let (fmbw, fmbh) = (reader.read(16), reader.read(16));
        let (picw, pich) = (reader.read(24), reader.read(24));
        let (picx, picy) = (reader.read(8), reader.read(8));
        let frame_rate = (reader.read(32), reader.read(32));
        let pixel_aspect = (reader.read(24), reader.read(24));
        let color_space = reader.read(8) as u8;
        let nominal_bitrate = reader.read(24);
        let quality = reader.read(6) as u8;
        let keyframe_granule_shift = reader.read(5) as u8;
        let pf = reader.read(2);
        let reserved = reader.read(3);
        if reader.is_past_end() {
            return Err(Error::Truncated { element: "the identification header" });
        }

        let (major, minor, revision) = version;
        if (major, minor) != (3, 2) {
            return Err(Error::Version { major, minor, revision });
        }
        check("FMBW", fmbw, 1, 0xFFFF)?;
        check("FMBH", fmbh, 1, 0xFFFF)?;
        let (coded_width, coded_height) = (fmbw * 16, fmbh * 16);
        check("PICW", picw, 1, coded_width)?;
        check("PICH", pich, 1, coded_height)?;
        check("PICX", picx, 0, coded_width - picw)?;
        check("PICY", picy, 0, coded_height - pich)?;
        check("FRN", frame_rate.0, 1, u32::MAX)?;
        check("FRD", frame_rate.1, 1, u32::MAX)?;
        let pixel_format = match pf {
            0 => PixelFormat::Yuv420,
            2 => PixelFormat::Yuv422,
            3 => PixelFormat::Yuv444,
            _ => return Err(Error::Reserved { element: "PF", value: pf }),
        };
        if reserved != 0 {
            return Err(Error::Reserved {
                element: "the last 3 bits of the identification header",
                value: reserved,
            });
        }
        Ok(Self {
            version,
            coded_width: coded_width as usize,
            coded_height: coded_height as usize,
            picture_width: picw as usize,
            picture_height: pich as usize,
            picture_x: picx as usize,
            picture_y: (coded_height - pich - picy) as usize,
            frame_rate,
            pixel_aspect,
            color_space,
            nominal_bitrate,
            quality,
            pixel_format,
            keyframe_granule_shift,
        })
    }

    /// Index in display order, from 0, of the frame whose packet ends at `granule_pos`. None if no frame does:
    /// for negative positions, and for 0 since version 3.2.1, where positions count frames from 1 (A.2.3).
    #[must_use]
    pub fn frame_index(&self, granule_pos: i64) -> Option<u64> {
        let granule_pos = u64::try_from(granule_pos).ok()?;
        let keyframe = granule_pos >> self.keyframe_granule_shift;
        let distance = granule_pos - (keyframe << self.keyframe_granule_shift);
        // Up to 3.2.0 the position holds the index of the frame, later the count of frames.
        (keyframe + distance).checked_sub(u64::from(self.version.2 > 0))
    }
}

fn check(element: &'static str, value: u32, min: u32, max: u32) -> Result<(), Error> {
    if value < min || value > max {
        return Err(Error::OutOfRange { element, value: value.into(), min: min.into(), max: max.into() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 48x32 coded, 33x17 visible at (5, 3) from the bottom left, 30000/1001 fps, 4:2:2.
    fn header() -> Vec<u8> {
        let mut packet = b"\x80theora\x03\x02\x01\0\x03\0\x02\0\0\x21\0\0\x11\x05\x03".to_vec();
        packet.extend([0, 0, 0x75, 0x30, 0, 0, 0x03, 0xE9, 0, 0, 4, 0, 0, 3, 1, 0, 1, 2]);
        packet.extend(0b101010_00110_10_000u16.to_be_bytes());
        packet
    }

    #[test]
    fn fields_are_where_the_specification_has_them() {
        let identification = Identification::parse(&header()).unwrap();
        let expected = Identification {
            version: (3, 2, 1),
            coded_width: 48,
            coded_height: 32,
            picture_width: 33,
            picture_height: 17,
            picture_x: 5,
            picture_y: 32 - 17 - 3,
            frame_rate: (30000, 1001),
            pixel_aspect: (4, 3),
            color_space: 1,
            nominal_bitrate: 258,
            quality: 42,
            pixel_format: PixelFormat::Yuv422,
            keyframe_granule_shift: 6,
        };
        assert_eq!(identification, expected);
    }

    #[test]
    fn illegal_values_are_named() {
        let patched = |at: usize, value: u8| {
            let mut packet = header();
            packet[at] = value;
            Identification::parse(&packet)
        };
        assert_eq!(patched(7, 4), Err(Error::Version { major: 4, minor: 2, revision: 1 }));
        assert_eq!(patched(11, 0), Err(Error::OutOfRange { element: "FMBW", value: 0, min: 1, max: 0xFFFF }));
        assert_eq!(patched(16, 49), Err(Error::OutOfRange { element: "PICW", value: 49, min: 1, max: 48 }));
        assert_eq!(patched(16, 0), Err(Error::OutOfRange { element: "PICW", value: 0, min: 1, max: 48 }));
        assert_eq!(patched(20, 16), Err(Error::OutOfRange { element: "PICX", value: 16, min: 0, max: 15 }));
        assert_eq!(patched(21, 16), Err(Error::OutOfRange { element: "PICY", value: 16, min: 0, max: 15 }));
        assert_eq!(patched(41, 0b11001000), Err(Error::Reserved { element: "PF", value: 1 }));
        assert!(matches!(patched(41, 0b11010001), Err(Error::Reserved { value: 1, .. })));
        for length in 7..header().len() {
            let truncated = Identification::parse(&header()[..length]);
            assert!(matches!(truncated, Err(Error::Truncated { .. })), "{length} bytes");
        }
    }

    #[test]
    fn granule_positions_count_frames_since_3_2_1() {
        let mut identification = Identification::parse(&header()).unwrap();
        let at = |keyframe: i64, distance: i64| keyframe << 6 | distance;
        assert_eq!(identification.frame_index(at(1, 0)), Some(0));
        assert_eq!(identification.frame_index(at(1234, 36)), Some(1269));
        assert_eq!(identification.frame_index(0), None);
        assert_eq!(identification.frame_index(-1), None);
        identification.version.2 = 0;
        assert_eq!(identification.frame_index(0), Some(0));
        assert_eq!(identification.frame_index(at(1234, 36)), Some(1270));
    }
}
