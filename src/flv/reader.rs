//! The FLV reader: tags from any input, also from one that is damaged (FLV specification, E.2 to E.4.1).
//!
//! A tag is taken if the PreviousTagSize behind it states its size; where that is wrong, if the tag itself and what follows it
//! look like tags. Everything else is passed over up to the next tag with a right PreviousTagSize. Memory is bounded by
//! the size of the largest tag, 16 MiB, and time is linear in the size of the input.

use std::io::{self, Read};

use super::tag::{HEADER_BYTES, MAX_BODY_BYTES, PREVIOUS_TAG_SIZE_BYTES, TagType};

const HEADER: usize = HEADER_BYTES as usize;
const TRAILER: usize = PREVIOUS_TAG_SIZE_BYTES as usize;
/// The largest tag with its PreviousTagSize.
const LARGEST_TAG: u64 = HEADER_BYTES + MAX_BODY_BYTES as u64 + PREVIOUS_TAG_SIZE_BYTES;
/// How much is read at once.
const CHUNK: usize = 1 << 16;

/// The header of a file (E.2), and the PreviousTagSize behind it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Version, 1.
    pub version: u8,
    /// TypeFlags: 4 for audio, 1 for video, the others 0.
    pub type_flags: u8,
    /// DataOffset, the size of the header: 9. Tags are looked for from there on whatever it says.
    pub data_offset: u32,
    /// PreviousTagSize0, 0.
    pub previous_tag_size: u32,
}

impl Header {
    /// TypeFlagsAudio.
    #[must_use]
    pub fn has_audio(&self) -> bool {
        self.type_flags & 4 != 0
    }

    /// TypeFlagsVideo.
    #[must_use]
    pub fn has_video(&self) -> bool {
        self.type_flags & 1 != 0
    }
}

/// A tag (E.4.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag<'a> {
    /// Where it begins in the file.
    pub offset: u64,
    /// Bytes in front of it that are no tag.
    pub skipped: u64,
    /// TagType: 8 audio, 9 video, 18 script data.
    pub tag_type: u8,
    /// Timestamp and TimestampExtended in milliseconds.
    pub timestamp: u32,
    /// StreamID, 0.
    pub stream_id: u32,
    /// The tag's data.
    pub body: &'a [u8],
    /// PreviousTagSize behind it; `None` if the file ends before. It is right if it is [`size`](Self::size).
    pub previous_tag_size: Option<u32>,
}

impl Tag<'_> {
    /// Bytes of the tag, without the PreviousTagSize behind it.
    #[must_use]
    pub fn size(&self) -> u32 {
        (HEADER + self.body.len()) as u32
    }
}

/// The bytes behind the last tag that belong to none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Rest {
    /// How many.
    pub bytes: u64,
    /// They begin as a tag does: the file is cut off.
    pub is_cut_tag: bool,
}

/// Reads a file from front to back.
#[derive(Debug)]
pub struct Reader<R> {
    input: R,
    /// A part of the file.
    window: Vec<u8>,
    /// What lies before it in the window is dealt with.
    position: usize,
    /// Where the window begins in the file.
    window_offset: u64,
    end_of_input: bool,
    header: Header,
    rest: Rest,
}

impl<R: Read> Reader<R> {
    /// Reads the header of a file.
    ///
    /// # Errors
    /// Those of the input; [`io::ErrorKind::InvalidData`] if it does not begin with `FLV`, and
    /// [`io::ErrorKind::UnexpectedEof`] if it ends within the header.
    pub fn new(input: R) -> io::Result<Self> {
        let header = Header { version: 0, type_flags: 0, data_offset: 0, previous_tag_size: 0 };
        let mut reader = Self {
            input,
            window: Vec::new(),
            position: 0,
            window_offset: 0,
            end_of_input: false,
            header,
            rest: Rest::default(),
        };
        let complete = reader.fill(9 + TRAILER)?;
        if !reader.window.starts_with(b"FLV") {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "no FLV signature at the start"));
        }
        if !complete {
            return Err(io::Error::new(io::ErrorKind::UnexpectedEof, "the FLV header is cut off"));
        }
        let bytes = &reader.window;
        reader.header = Header {
            version: bytes[3],
            type_flags: bytes[4],
            data_offset: u32_at(bytes, 5),
            previous_tag_size: u32_at(bytes, 9),
        };
        reader.position = 9 + TRAILER;
        Ok(reader)
    }

    /// The header of the file.
    pub fn header(&self) -> Header {
        self.header
    }

    /// The next tag, `None` at the end.
    ///
    /// # Errors
    /// Those of the input's `read`.
    pub fn next_tag(&mut self) -> io::Result<Option<Tag<'_>>> {
        let from = self.offset();
        let begins_like_tag = if self.fill(HEADER)? {
            is_plausible(self.ahead())
        } else {
            self.ahead().first().is_some_and(|&first| TagType::known(first).is_some())
        };
        let mut found = self.accept()?;
        while found.is_none() && !self.ahead().is_empty() {
            self.position += 1;
            found = self.find_framed()?;
        }
        let Some(body_len) = found else {
            let bytes = self.offset() - from;
            if bytes > 0 {
                self.rest = Rest { bytes, is_cut_tag: begins_like_tag && bytes < LARGEST_TAG };
            }
            return Ok(None);
        };
        let offset = self.offset();
        let len = HEADER + body_len;
        let tag = &self.window[self.position..];
        let previous_tag_size = tag.get(len..len + TRAILER).map(|field| u32_at(field, 0));
        self.position = (self.position + len + TRAILER).min(self.window.len());
        Ok(Some(Tag {
            offset,
            skipped: offset - from,
            tag_type: tag[0],
            timestamp: u24_at(tag, 4) | u32::from(tag[7]) << 24,
            stream_id: u24_at(tag, 8),
            body: &tag[HEADER..len],
            previous_tag_size,
        }))
    }

    /// What follows the last tag, once [`next_tag`](Self::next_tag) has found the end.
    pub fn rest(&self) -> Rest {
        self.rest
    }

    /// Where the next tag is looked for; at the end, the size of the file.
    pub fn offset(&self) -> u64 {
        self.window_offset + self.position as u64
    }

    /// The size of the body if a tag is here, at the place where one is due.
    fn accept(&mut self) -> io::Result<Option<usize>> {
        if !self.fill(HEADER)? {
            return Ok(None);
        }
        let body_len = u24_at(self.ahead(), 1) as usize;
        let len = HEADER + body_len;
        if !self.fill(len + TRAILER)? {
            let is_whole = self.ahead().len() >= len && is_plausible(self.ahead());
            return Ok(is_whole.then_some(body_len));
        }
        if u32_at(self.ahead(), len) as usize == len {
            return Ok(Some(body_len));
        }
        self.fill(len + TRAILER + HEADER)?;
        let tag = self.ahead();
        let next = &tag[len + TRAILER..];
        let goes_on = next.is_empty() || is_plausible(next);
        Ok((is_plausible(tag) && goes_on).then_some(body_len))
    }

    /// The size of the body if a tag of a known type, with the right PreviousTagSize behind it, is here.
    fn find_framed(&mut self) -> io::Result<Option<usize>> {
        if !self.fill(HEADER)? {
            self.position = self.window.len();
            return Ok(None);
        }
        if !is_plausible(self.ahead()) {
            return Ok(None);
        }
        let body_len = u24_at(self.ahead(), 1) as usize;
        let len = HEADER + body_len;
        let is_framed = self.fill(len + TRAILER)? && u32_at(self.ahead(), len) as usize == len;
        Ok(is_framed.then_some(body_len))
    }

    /// The window from the position on.
    fn ahead(&self) -> &[u8] {
        &self.window[self.position..]
    }

    /// Reads until `len` bytes follow the position; false if the input ends before.
    fn fill(&mut self, len: usize) -> io::Result<bool> {
        while self.ahead().len() < len && !self.end_of_input {
            if self.position > self.window.len() / 2 {
                self.window.drain(..self.position);
                self.window_offset += self.position as u64;
                self.position = 0;
            }
            let count = (&mut self.input).take(CHUNK as u64).read_to_end(&mut self.window)?;
            self.end_of_input = count < CHUNK;
        }
        Ok(self.ahead().len() >= len)
    }
}

/// Whether bytes may be a tag's header: a known type and StreamID 0.
fn is_plausible(header: &[u8]) -> bool {
    header.len() >= HEADER && TagType::known(header[0]).is_some() && header[8..11] == [0; 3]
}

fn u24_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([0, bytes[at], bytes[at + 1], bytes[at + 2]])
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flv::tag;

    /// A file of tags; the offset of each, and of the end.
    fn file(bodies: &[&[u8]]) -> (Vec<u8>, Vec<usize>) {
        let mut file = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        let mut offsets = vec![file.len()];
        for (number, body) in bodies.iter().enumerate() {
            tag::write(&mut file, TagType::Video, 40 * number as u32, &[], body).unwrap();
            offsets.push(file.len());
        }
        (file, offsets)
    }

    /// Offset, bytes skipped, size of body and PreviousTagSize.
    type Found = (u64, u64, usize, Option<u32>);

    /// All tags, and what follows them.
    fn read(file: &[u8]) -> (Vec<Found>, Rest) {
        let mut reader = Reader::new(file).unwrap();
        let mut tags = Vec::new();
        while let Some(tag) = reader.next_tag().unwrap() {
            tags.push((tag.offset, tag.skipped, tag.body.len(), tag.previous_tag_size));
        }
        assert_eq!(reader.offset(), file.len() as u64);
        (tags, reader.rest())
    }

    const BODIES: [&[u8]; 4] = [&[0x12; 30], &[0x22; 20], &[], &[0x22; 10]];

    #[test]
    fn what_was_written_is_read() {
        let (file, at) = file(&BODIES);
        let mut reader = Reader::new(&file[..]).unwrap();
        assert!(reader.header().has_audio() && reader.header().has_video());
        let header = Header { version: 1, type_flags: 5, data_offset: 9, previous_tag_size: 0 };
        assert_eq!(reader.header(), header);
        for (number, body) in BODIES.iter().enumerate() {
            let tag = reader.next_tag().unwrap().unwrap();
            let expected = Tag {
                offset: at[number] as u64,
                skipped: 0,
                tag_type: 9,
                timestamp: 40 * number as u32,
                stream_id: 0,
                body,
                previous_tag_size: Some(11 + body.len() as u32),
            };
            assert_eq!(tag, expected);
        }
        assert_eq!(reader.next_tag().unwrap(), None);
        assert_eq!(reader.rest(), Rest::default());
    }

    #[test]
    fn a_wrong_previous_tag_size_costs_nothing() {
        let (mut file, at) = file(&BODIES);
        file[at[2] - 1] ^= 1;
        let (tags, rest) = read(&file);
        assert_eq!(tags.iter().map(|tag| tag.2).collect::<Vec<_>>(), [30, 20, 0, 10]);
        assert_eq!((tags[1].3, rest), (Some(31 ^ 1), Rest::default()));
    }

    #[test]
    fn what_is_no_tag_is_passed_over() {
        let (mut file, at) = file(&BODIES);
        let noise = [[9; 50], [0; 50]].concat();
        file.splice(at[1]..at[1], noise);
        let (tags, rest) = read(&file);
        assert_eq!(tags.len(), 4);
        assert_eq!((tags[1].0, tags[1].1, rest), (at[1] as u64 + 100, 100, Rest::default()));
    }

    #[test]
    fn a_wrong_size_costs_one_tag() {
        for size in [[0xff, 0xff, 0xff], [0, 0, 19], [0, 0, 0]] {
            let (mut file, at) = file(&BODIES);
            file[at[1] + 1..][..3].copy_from_slice(&size);
            let (tags, rest) = read(&file);
            assert_eq!(tags.iter().map(|tag| tag.2).collect::<Vec<_>>(), [30, 0, 10], "{size:?}");
            assert_eq!((tags[1].1, rest), (35, Rest::default()));
        }
    }

    #[test]
    fn a_cut_file_gives_its_whole_tags() {
        let (file, at) = file(&BODIES);
        for len in 13..file.len() {
            let (tags, rest) = read(&file[..len]);
            // A tag counts even if its PreviousTagSize is missing.
            let whole = (1..at.len()).filter(|&end| at[end] - TRAILER <= len).count();
            assert_eq!(tags.len(), whole, "{len} bytes");
            let cut = (len - at[whole].min(len)) as u64;
            assert_eq!(rest, Rest { bytes: cut, is_cut_tag: cut > 0 }, "{len} bytes");
        }
        for len in 0..13 {
            assert!(Reader::new(&file[..len]).is_err());
        }
    }

    #[test]
    fn hostile_sizes_cost_bounded_memory_and_linear_work() {
        // Headers as near to one another as can be, each of which claims the largest tag.
        let mut input = b"FLV\x01\x05\0\0\0\x09\0\0\0\0".to_vec();
        input.extend(b"\x09\xff\xff\xff\0\0\0\0\0\0\0".repeat(4_000_000));
        let mut reader = Reader::new(&input[..]).unwrap();
        assert_eq!(reader.next_tag().unwrap(), None);
        assert_eq!(reader.rest(), Rest { bytes: input.len() as u64 - 13, is_cut_tag: false });
        // Twice the largest tag, twice that by the growth of the vector.
        assert!(reader.window.capacity() <= 4 * ((1 << 24) + 2 * CHUNK), "{}", reader.window.capacity());
    }
}
