//! The frame in front of the others that holds no sound: what encoders say of a file.
//!
//! It begins as a frame does; behind empty side information stands `Xing`, or `Info` where the bit rate is constant, with
//! the count of frames, bytes, a table to seek by, and, since LAME, the delay of the encoder. `VBRI` is another kind.

use super::frame::FrameHeader;

/// Samples by which decoders delay the sound: 528 of the filterbanks, and one.
const DECODER_DELAY: u32 = 529;
/// Samples by which most encoders do that do not tell.
const USUAL_ENCODER_DELAY: u32 = 576;
/// Entries of the table to seek by.
const SEEK_ENTRIES: usize = 100;

/// What is known of a file's sound besides its frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Info {
    /// Samples by which the decoded sound lags what was encoded.
    pub(crate) delay: u32,
    /// Samples behind the end of what was encoded.
    pub(crate) padding: u32,
}

impl Default for Info {
    fn default() -> Self {
        Self { delay: USUAL_ENCODER_DELAY + DECODER_DELAY, padding: 0 }
    }
}

impl Info {
    /// What a frame says, if it is one that holds no sound.
    pub(crate) fn parse(header: &FrameHeader, frame: &[u8]) -> Option<Self> {
        if frame.get(4 + 32..)?.starts_with(b"VBRI") {
            return Some(Self::default());
        }
        let start = 4 + header.side_info_bytes();
        // Some writers leave room for the CRC, others do not.
        let body = [start, start + 2].iter().find_map(|&start| {
            let body = frame.get(start..)?;
            body.strip_prefix(b"Xing").or_else(|| body.strip_prefix(b"Info"))
        })?;
        Some(Self::of_extension(body).unwrap_or_default())
    }

    /// Reads what LAME adds behind the fields that the flags announce.
    fn of_extension(body: &[u8]) -> Option<Self> {
        let flags = u32::from_be_bytes(*body.first_chunk()?);
        let sizes = [4, 4, SEEK_ENTRIES, 4];
        let fields: usize =
            sizes.iter().enumerate().filter(|(bit, _)| flags >> bit & 1 != 0).map(|(_, size)| size).sum();
        let extension = body.get(4 + fields..)?;
        if !extension.get(..4)?.iter().all(u8::is_ascii_alphanumeric) {
            return None;
        }
        // The encoder's name, method, lowpass, peak, two gains, flags, bit rate.
        let [a, b, c] = *extension.get(9 + 1 + 1 + 4 + 2 + 2 + 1 + 1..)?.first_chunk()?;
        let [a, b, c] = [a, b, c].map(u32::from);
        let (delay, padding) = (a << 4 | b >> 4, (b & 15) << 8 | c);
        Some(Self { delay: delay + DECODER_DELAY, padding: padding.saturating_sub(DECODER_DELAY) })
    }
}

/// Where frames are, to tell a player where to seek.
#[derive(Clone, Debug, Default)]
pub(crate) struct Seek {
    frames: u32,
    bytes: u64,
    /// Length of the first frame, until one of another comes, a byte of padding apart.
    constant: Option<usize>,
    is_variable: bool,
    /// Bytes before every `stride`th frame.
    positions: Vec<u64>,
    /// A power of two, less one power.
    stride: u32,
    header: Option<FrameHeader>,
}

impl Seek {
    /// Positions that are kept at most.
    const MOST: usize = 4096;

    /// Counts a frame.
    pub(crate) fn add(&mut self, header: &FrameHeader) {
        self.header.get_or_insert(*header);
        let first = *self.constant.get_or_insert(header.length);
        self.is_variable |= first.abs_diff(header.length) > 1;
        if self.frames.is_multiple_of(1 << self.stride) {
            if self.positions.len() == Self::MOST {
                let mut index = 0;
                self.positions.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.stride += 1;
            }
            if self.frames.is_multiple_of(1 << self.stride) {
                self.positions.push(self.bytes);
            }
        }
        self.frames += 1;
        self.bytes += header.length as u64;
    }

    /// Frames so far.
    pub(crate) fn frames(&self) -> u32 {
        self.frames
    }

    /// The frame that goes in front of those that were counted; `None` if there are none.
    pub(crate) fn to_frame(&self) -> Option<Vec<u8>> {
        let header = self.header?;
        let mut bytes = self.head(&header)?;
        let length = bytes.len() as u64;
        let start = 4 + header.side_info_bytes();
        let total = length + self.bytes;
        let mut body = if self.is_variable { b"Xing".to_vec() } else { b"Info".to_vec() };
        body.extend_from_slice(&7_u32.to_be_bytes()); // frames, bytes, table
        body.extend_from_slice(&self.frames.to_be_bytes());
        body.extend_from_slice(&u32::try_from(total).unwrap_or(u32::MAX).to_be_bytes());
        for entry in 0..SEEK_ENTRIES as u64 {
            let frame = entry * u64::from(self.frames) / SEEK_ENTRIES as u64;
            let position = self.positions.get((frame >> self.stride) as usize).copied().unwrap_or(self.bytes);
            body.push((256 * (length + position) / total).min(255) as u8);
        }
        bytes[start..start + body.len()].copy_from_slice(&body);
        Some(bytes)
    }

    /// A frame that is long enough, of zeros behind its header.
    fn head(&self, header: &FrameHeader) -> Option<Vec<u8>> {
        let needed = 4 + header.side_info_bytes() + 4 + 4 + 4 + 4 + SEEK_ENTRIES;
        let version = match (header.is_mpeg1, header.sample_rate) {
            (true, _) => 3,
            (false, ..=12_000) => 0,
            (false, _) => 2,
        };
        let shift = [2, 0, 1, 0][usize::from(version)];
        let rate = [44_100, 48_000, 32_000].iter().position(|rate| rate >> shift == header.sample_rate)?;
        let mode = if header.channels == 1 { 3 } else { 1 };
        (1..15).find_map(|bitrate_index: u8| {
            let bytes =
                [0xFF, 0xE0 | version << 3 | 1 << 1 | 1, bitrate_index << 4 | (rate as u8) << 2, mode << 6];
            let length = FrameHeader::parse(&bytes)?.length;
            let mut frame = vec![0; length];
            frame.get_mut(..4)?.copy_from_slice(&bytes);
            (length >= needed).then_some(frame)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADER: [u8; 4] = [0xFF, 0xFB, 0x90, 0x64];

    #[test]
    fn what_lame_says() {
        let header = FrameHeader::parse(&HEADER).unwrap();
        let mut frame = vec![0; 417];
        frame[..4].copy_from_slice(&HEADER);
        assert_eq!(Info::parse(&header, &frame), None);
        frame[36..44].copy_from_slice(b"Xing\0\0\0\x0F");
        assert_eq!(Info::parse(&header, &frame), Some(Info { delay: 1105, padding: 0 }));
        let extension = 44 + 4 + 4 + 100 + 4;
        frame[extension..extension + 9].copy_from_slice(b"LAME3.100");
        // Delay 1105, padding 1000.
        frame[extension + 21..][..3].copy_from_slice(&[0x45, 0x13, 0xE8]);
        assert_eq!(Info::parse(&header, &frame), Some(Info { delay: 1105 + 529, padding: 471 }));
        frame[43] = 0;
        frame[44..53].copy_from_slice(b"Lavc59.37");
        frame[44 + 21..][..3].copy_from_slice(&[0x24, 0x02, 0x58]);
        assert_eq!(Info::parse(&header, &frame), Some(Info { delay: 576 + 529, padding: 71 }));
        for length in 0..44 {
            assert_eq!(
                Info::parse(&header, &frame[..length]).map(|info| info.delay),
                (length >= 40).then_some(1105)
            );
        }
    }

    #[test]
    fn the_table_tells_where_frames_are() {
        for (count, variable) in [(10_u32, false), (100_000, true)] {
            let mut seek = Seek::default();
            let header = FrameHeader::parse(&HEADER).unwrap();
            for index in 0..count {
                // The second half is four times as large.
                let length = if variable && index < count / 2 { 104 } else { header.length };
                seek.add(&FrameHeader { length, ..header });
            }
            assert!(seek.positions.len() <= Seek::MOST);
            let frame = seek.to_frame().unwrap();
            let parsed = FrameHeader::parse(&frame).unwrap();
            assert!(parsed.agrees_with(&header) && parsed.length == frame.len());
            assert_eq!(Info::parse(&parsed, &frame), Some(Info::default()));
            assert_eq!(&frame[36..40], if variable { b"Xing" } else { b"Info" });
            assert_eq!(frame[44..48], count.to_be_bytes());
            assert_eq!(frame[48..52], (frame.len() as u32 + seek.bytes as u32).to_be_bytes());
            let table = &frame[52..152];
            assert!(table.is_sorted());
            let middle = if variable { 256 * 104 / (104 + 417) } else { 128 };
            assert!(i32::from(table[50]).abs_diff(middle) <= 6, "{} for {middle}", table[50]);
        }
        assert_eq!(Seek::default().to_frame(), None);
    }

    #[test]
    fn every_kind_of_frame_is_long_enough() {
        for bytes in [
            [0xFF, 0xE3, 0x18, 0xC4],
            [0xFF, 0xE3, 0x10, 0x04],
            [0xFF, 0xF3, 0x14, 0xC4],
            [0xFF, 0xFB, 0x18, 0xC4],
        ] {
            let header = FrameHeader::parse(&bytes).unwrap();
            let mut seek = Seek::default();
            seek.add(&header);
            let frame = seek.to_frame().unwrap();
            assert!(FrameHeader::parse(&frame).unwrap().agrees_with(&header));
        }
    }
}
