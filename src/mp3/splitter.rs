//! Finds frames in bytes that come piece by piece.

use std::ops::Range;

use super::frame::{FrameHeader, HEADER_BYTES};

/// What stands before and behind the frames of a file: ID3v1, APEv2 and Lyrics3.
const TAGS: [&[u8]; 3] = [b"TAG", b"APETAGEX", b"LYRICSBEGIN"];
/// What has to be there to tell a tag.
const LOOK: usize = 11;

/// Bytes in, frames out. What is no frame is passed over. It holds two frames' worth of bytes, and what was pushed last.
#[derive(Debug, Default)]
pub(crate) struct Splitter {
    window: Vec<u8>,
    /// What lies before it is dealt with.
    position: usize,
    /// Bytes of an ID3v2 tag that are still to be passed over.
    skip: u64,
    ended: bool,
    /// Header of the first frame, with which all others agree.
    first: Option<FrameHeader>,
    /// Whether a frame ended at the position.
    in_sync: bool,
    /// Whether what comes up to the next frame belongs to a tag.
    in_tag: bool,
    junk: u64,
}

impl Splitter {
    /// Takes bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let skipped = self.skip.min(bytes.len() as u64);
        self.skip -= skipped;
        if self.position > self.window.len() / 2 {
            self.window.drain(..self.position);
            self.position = 0;
        }
        self.window.extend_from_slice(&bytes[skipped as usize..]);
    }

    /// Nothing more comes.
    pub(crate) fn finish(&mut self) {
        self.ended = true;
    }

    /// The next frame; `None` if more bytes are needed for it, or if there is none.
    pub(crate) fn next_frame(&mut self) -> Option<(FrameHeader, &[u8])> {
        let (header, range) = self.find()?;
        Some((header, &self.window[range]))
    }

    /// Bytes passed over so far that are neither frames nor known tags.
    pub(crate) fn junk(&self) -> u64 {
        self.junk
    }

    fn find(&mut self) -> Option<(FrameHeader, Range<usize>)> {
        loop {
            let ahead = &self.window[self.position..];
            if ahead.is_empty() || ahead.len() < LOOK && !self.ended {
                return None;
            }
            if let Some(bytes) = id3v2_bytes(ahead) {
                let held = bytes.min(ahead.len() as u64);
                self.position += held as usize;
                self.skip = bytes - held;
                self.in_sync = false;
                continue;
            }
            if TAGS.iter().any(|tag| ahead.starts_with(tag)) {
                self.in_tag = true;
            }
            match self.header_of(ahead) {
                Some(header) if ahead.len() < header.length + LOOK && !self.ended => return None,
                Some(header) if ahead.len() < header.length => {
                    // The last one is cut off.
                    self.junk += ahead.len() as u64;
                    self.position = self.window.len();
                }
                Some(header) if self.in_sync || self.goes_on(&header, &ahead[header.length..]) => {
                    let range = self.position..self.position + header.length;
                    self.position = range.end;
                    (self.in_sync, self.in_tag) = (true, false);
                    self.first.get_or_insert(header);
                    return Some((header, range));
                }
                _ => {
                    self.position += 1;
                    self.in_sync = false;
                    self.junk += u64::from(!self.in_tag);
                }
            }
        }
    }

    /// The header at the start of `bytes`, if it may be one of this stream.
    fn header_of(&self, bytes: &[u8]) -> Option<FrameHeader> {
        let header = FrameHeader::parse(bytes)?;
        let agrees = self.first.is_none_or(|first| first.agrees_with(&header));
        (agrees && header.length > HEADER_BYTES).then_some(header)
    }

    /// Whether what follows a frame confirms that it is one.
    fn goes_on(&self, header: &FrameHeader, next: &[u8]) -> bool {
        next.is_empty()
            || FrameHeader::parse(next).is_some_and(|next| next.agrees_with(header))
            || id3v2_bytes(next).is_some()
            || TAGS.iter().any(|tag| next.starts_with(tag))
    }
}

/// The size of the ID3v2 tag at the start of `bytes` (ID3v2.4, 3.1 and 3.4).
fn id3v2_bytes(bytes: &[u8]) -> Option<u64> {
    let header = bytes.strip_prefix(b"ID3")?.first_chunk::<7>()?;
    let [major, minor, flags, size @ ..] = *header;
    if major == 0xFF || minor == 0xFF || size.iter().any(|&byte| byte >= 0x80) {
        return None;
    }
    let size = size.iter().fold(0, |size, &byte| size << 7 | u64::from(byte));
    Some(10 + size + if flags & 0x10 != 0 { 10 } else { 0 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A frame of 128 kbit/s at 44.1 kHz.
    fn frame(content: u8) -> Vec<u8> {
        let mut frame = vec![content; 417];
        frame[..4].copy_from_slice(&[0xFF, 0xFB, 0x90, 0x64]);
        frame
    }

    fn split(bytes: &[u8], piece: usize) -> (Vec<u8>, u64) {
        let (mut splitter, mut found) = (Splitter::default(), Vec::new());
        let mut take = |splitter: &mut Splitter| {
            while let Some((header, frame)) = splitter.next_frame() {
                assert_eq!((header.length, frame.len()), (417, 417));
                found.push(frame[100]);
            }
        };
        for piece in bytes.chunks(piece) {
            splitter.push(piece);
            take(&mut splitter);
            assert!(splitter.window.len() <= 2 * (417 + LOOK) + 2 * piece.len());
        }
        splitter.finish();
        take(&mut splitter);
        (found, splitter.junk())
    }

    #[test]
    fn frames_are_found_whatever_is_around_them() {
        let id3 = [&b"ID3\x04\0\0\0\0\x02\x00"[..], &[0xFF; 256]].concat();
        let id3v1 = [&b"TAG"[..], &[0; 125]].concat();
        let noise = [0xFF, 0xFB, 0x90, 0x64].repeat(25);
        let other_rate = [&[0xFF, 0xFB, 0x94, 0x64][..], &[0; 380]].concat();
        for (bytes, frames, junk) in [
            ([frame(1), frame(2)].concat(), &[1, 2][..], 0),
            ([id3.clone(), id3, frame(1), frame(2), id3v1].concat(), &[1, 2], 0),
            ([frame(1), noise[..99].to_vec(), frame(2), frame(3)].concat(), &[1, 3], 0),
            ([frame(1), frame(4), other_rate, frame(2)].concat(), &[1, 4, 2], 384),
            ([frame(1), frame(2)[..400].to_vec()].concat(), &[1], 400),
            (noise[1..40].to_vec(), &[], 39),
            (vec![], &[], 0),
        ] {
            for piece in [1, 7, 417, 5000] {
                let (found, left) = split(&bytes, piece);
                if frames == [1, 3] {
                    // A frame may be lost to noise that looks like one.
                    assert!(found.starts_with(&[1]) && found.ends_with(&[3]), "{found:?}");
                    continue;
                }
                assert_eq!((&found[..], left), (frames, junk), "{piece}");
            }
        }
    }
}
