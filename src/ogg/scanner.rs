//! The physical bitstream: finds pages in a sequence of bytes (RFC 3533, sections 3 and 6).
//!
//! A page is accepted when its header is plausible and its checksum matches. Otherwise the search goes on one
//! byte after the false capture pattern, so no intact page is ever lost to what stands before it. The time is
//! linear in the size of the input whatever it holds: each byte is hashed once, and two capture patterns with
//! a plausible header are at least 6 bytes apart, each of which costs a look at 255 lacing values, less than
//! 2 [`STRIDE`]s of hashing and a few multiplications.

use std::io::{self, Read};

use super::crc::{self, PrefixCrc, STRIDE};
use super::demuxer::Damage;
use super::page::{CAPTURE_PATTERN, CHECKSUM, HEADER_LEN, MAX_PAGE_LEN, Page};

/// How much is read at once.
const CHUNK: usize = 64 * 1024;
/// Room for the rest of a stride, the largest page and a chunk.
const WINDOW: usize = (STRIDE + MAX_PAGE_LEN + CHUNK).next_multiple_of(STRIDE);

/// Reads pages from `R`.
#[derive(Debug)]
pub(super) struct PageScanner<R> {
    input: R,
    /// A part of the input, which starts at a multiple of [`STRIDE`]: the first `filled` bytes of these.
    window: Box<[u8]>,
    filled: usize,
    /// What lies before it in the window is dealt with.
    position: usize,
    crc: PrefixCrc,
    bytes_read: u64,
    end_of_input: bool,
    /// The input ends before the last page that was begun does.
    cut: bool,
}

impl<R: Read> PageScanner<R> {
    pub(super) fn new(input: R) -> Self {
        PageScanner {
            input,
            window: vec![0; WINDOW].into_boxed_slice(),
            filled: 0,
            position: 0,
            crc: PrefixCrc::default(),
            bytes_read: 0,
            end_of_input: false,
            cut: false,
        }
    }

    pub(super) fn bytes_read(&self) -> u64 {
        self.bytes_read
    }

    /// The next intact page, None at the end of the input. What is passed over on the way goes into `damage`.
    pub(super) fn next_page(&mut self, damage: &mut Damage) -> io::Result<Option<Page<'_>>> {
        while self.fill(HEADER_LEN)? {
            if let Some(len) = self.intact_page_len(damage)? {
                let start = self.position;
                self.position += len;
                self.cut = false;
                return Ok(Some(Page::new(&self.window[start..self.position])));
            }
            self.skip_to_capture_pattern(damage);
        }
        let rest = self.rest();
        let cut = self.cut || rest.starts_with(CAPTURE_PATTERN);
        damage.truncated |= cut;
        damage.bytes_outside_pages += rest.len() as u64;
        self.position = self.filled;
        Ok(None)
    }

    /// The length of the page at the position, None if there is no intact one.
    fn intact_page_len(&mut self, damage: &mut Damage) -> io::Result<Option<usize>> {
        if !self.page().is_plausible() {
            return Ok(None);
        }
        let header_len = self.page().header_len();
        if !self.fill(header_len)? {
            self.cut = true;
            return Ok(None);
        }
        let len = self.page().len();
        if !self.fill(len)? {
            self.cut = true;
            return Ok(None);
        }
        let checksum = self.page().checksum();
        // The checksum's own bytes count as zero.
        let crc = self.crc.of_range(&self.window[..self.filled], self.position, self.position + len)
            ^ crc::append_zeros(crc::update(0, &checksum), len - CHECKSUM.end);
        if crc != u32::from_le_bytes(checksum) {
            damage.pages_with_bad_crc += 1;
            return Ok(None);
        }
        Ok(Some(len))
    }

    /// Moves the position on to the next capture pattern, or to what may become one with more input.
    fn skip_to_capture_pattern(&mut self, damage: &mut Damage) {
        let rest = &self.rest()[1..];
        let found = rest.windows(CAPTURE_PATTERN.len()).position(|bytes| bytes == CAPTURE_PATTERN);
        let skipped = 1 + found.unwrap_or(rest.len() - (CAPTURE_PATTERN.len() - 1));
        damage.bytes_outside_pages += skipped as u64;
        self.position += skipped;
    }

    /// The window from the position on.
    fn rest(&self) -> &[u8] {
        &self.window[self.position..self.filled]
    }

    /// What stands at the position, taken for a page.
    fn page(&self) -> Page<'_> {
        Page::new(self.rest())
    }

    /// Reads until `len` bytes, at most a page, follow the position; false if the input ends before.
    fn fill(&mut self, len: usize) -> io::Result<bool> {
        while self.filled - self.position < len && !self.end_of_input {
            self.read_chunk()?;
        }
        Ok(self.filled - self.position >= len)
    }

    fn read_chunk(&mut self) -> io::Result<()> {
        if self.window.len() - self.filled < CHUNK {
            let strides = self.position / STRIDE;
            self.window.copy_within(strides * STRIDE..self.filled, 0);
            self.crc.forget(strides);
            self.filled -= strides * STRIDE;
            self.position %= STRIDE;
        }
        let count = loop {
            match self.input.read(&mut self.window[self.filled..][..CHUNK]) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                result => break result?,
            }
        };
        self.filled += count;
        self.bytes_read += count as u64;
        self.end_of_input = count == 0;
        self.crc.extend(&self.window[..self.filled]);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Scans all of `input`, which holds no page, and checks that the work is linear.
    fn scan(name: &str, input: &[u8]) -> Damage {
        let mut damage = Damage::default();
        let mut scanner = PageScanner::new(input);
        assert!(scanner.next_page(&mut damage).unwrap().is_none(), "{name}");
        assert_eq!(damage.bytes_outside_pages, input.len() as u64, "{name}");
        assert_eq!(scanner.bytes_read(), input.len() as u64, "{name}");
        assert_eq!(scanner.window.len(), WINDOW, "{name}");
        let once = input.len() as u64;
        let checks = damage.pages_with_bad_crc * 2 * (STRIDE as u64 - 1);
        assert!(
            scanner.crc.hashed.get() <= once + checks,
            "{name}: {} bytes hashed",
            scanner.crc.hashed.get()
        );
        assert!(damage.pages_with_bad_crc <= once / 6, "{name}");
        damage
    }

    #[test]
    fn hostile_inputs_cost_linear_work() {
        let repeat = |pattern: &[u8]| pattern.repeat(2_000_000 / pattern.len());
        assert_eq!(scan("capture patterns", &repeat(b"OggS")).pages_with_bad_crc, 0);
        assert_eq!(scan("halves of capture patterns", &repeat(b"OggOO")).pages_with_bad_crc, 0);
        // Headers as near to one another as possible, all plausible, and as large a page as such headers can
        // claim.
        let damage = scan("shortest headers", &repeat(b"OggS\0\0"));
        assert!(damage.pages_with_bad_crc > 300_000, "{damage:?}");
        let mut header = [0xff; HEADER_LEN];
        header[..6].copy_from_slice(b"OggS\0\0");
        let damage = scan("full headers of full pages", &repeat(&header));
        assert!(damage.pages_with_bad_crc > 60_000, "{damage:?}");
        let damage = scan("headers and lacing values", &repeat(&[&b"OggS\0\0"[..], &[0xff; 300]].concat()));
        assert!(damage.pages_with_bad_crc > 6_000, "{damage:?}");
        // One false page of almost the whole input's size: cut, not wrong.
        let damage = scan("a cut page", &[&header[..], &[0xff; 60_000]].concat());
        assert_eq!((damage.pages_with_bad_crc, damage.truncated), (0, true));
    }
}
