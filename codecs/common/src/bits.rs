//! Bit streams whose first bit is the most significant one of the first byte, as in Theora, H.263 and MP3.

/// Reads bits, most significant first, and never fails: past the end of the data every bit is zero.
///
/// [`BitReader::is_past_end`] tells whether any bit that was read lay behind the end. Formats that forbid this
/// ask once per group of syntax elements; Theora's data packets allow it (Theora specification, 5.2).
#[derive(Clone, Debug)]
pub struct BitReader<'a> {
    data: &'a [u8],
    /// Index of the byte that the next refill starts with; runs on virtually behind the end.
    next: usize,
    /// The bits that come next, from the most significant down; zero below the `available` topmost ones.
    window: u64,
    available: u32,
}

impl<'a> BitReader<'a> {
    /// A reader that stands before the first bit of `data`.
    #[must_use]
    pub fn new(data: &'a [u8]) -> Self {
        Self { data, next: 0, window: 0, available: 0 }
    }

    /// Makes at least 32 bits available.
    #[inline]
    fn refill(&mut self) {
        if self.available >= 32 {
            return;
        }
        if let Some(bytes) = self.data.get(self.next..).and_then(|rest| rest.first_chunk::<8>()) {
            // Whole bytes that fit; the bits below them are masked off again, so that the window stays exact.
            let count = (64 - self.available) / 8;
            let bits = u64::from_be_bytes(*bytes) >> (64 - 8 * count) << (64 - 8 * count);
            self.window |= bits >> self.available;
            self.available += 8 * count;
            self.next += count as usize;
        } else {
            while self.available <= 56 {
                let byte = self.data.get(self.next).copied().unwrap_or(0);
                self.window |= u64::from(byte) << (56 - self.available);
                self.available += 8;
                self.next += 1;
            }
        }
    }

    /// The next `count` bits (0 to 32), right-aligned, without moving on.
    #[inline]
    pub fn peek(&mut self, count: u32) -> u32 {
        debug_assert!(count <= 32);
        self.refill();
        // Two shifts, since one by 64 is not defined.
        (self.window >> 32 >> (32 - count)) as u32
    }

    /// Moves on by `count` bits (0 to 32).
    #[inline]
    pub fn skip(&mut self, count: u32) {
        debug_assert!(count <= 32);
        self.refill();
        self.window <<= count;
        self.available -= count;
    }

    /// Reads `count` bits (0 to 32), right-aligned.
    #[inline]
    pub fn read(&mut self, count: u32) -> u32 {
        let value = self.peek(count);
        self.window <<= count;
        self.available -= count;
        value
    }

    /// Reads one bit.
    #[inline]
    pub fn read_bit(&mut self) -> bool {
        self.read(1) != 0
    }

    /// How many bits have been read, those behind the end included.
    #[must_use]
    pub fn position(&self) -> u64 {
        self.next as u64 * 8 - u64::from(self.available)
    }

    /// Whether a bit behind the end of the data has been read.
    #[must_use]
    pub fn is_past_end(&self) -> bool {
        self.position() > self.data.len() as u64 * 8
    }
}

/// Takes bits, most significant first. An encoder that measures writes to a [`BitCounter`] with the very code
/// that later writes to a [`BitWriter`].
pub trait BitSink {
    /// Appends the `count` (0 to 32) least significant bits of `value`; the bits above them must be zero.
    fn put(&mut self, value: u32, count: u32);
}

/// Counts bits instead of keeping them.
#[derive(Clone, Copy, Debug, Default)]
pub struct BitCounter {
    bits: u64,
}

impl BitCounter {
    /// A counter that stands at zero.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// How many bits were put.
    #[must_use]
    pub fn bits(&self) -> u64 {
        self.bits
    }
}

impl BitSink for BitCounter {
    #[inline]
    fn put(&mut self, value: u32, count: u32) {
        debug_assert!(count <= 32 && u64::from(value) >> count == 0);
        self.bits += u64::from(count);
    }
}

/// Collects bits in bytes, most significant first.
#[derive(Clone, Debug, Default)]
pub struct BitWriter {
    bytes: Vec<u8>,
    /// The last `pending` (0 to 63) bits, right-aligned, not yet in `bytes`; those above mean nothing.
    accumulator: u64,
    pending: u32,
}

impl BitWriter {
    /// An empty writer.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty writer that reuses the allocation of `bytes`.
    #[must_use]
    pub fn reusing(mut bytes: Vec<u8>) -> Self {
        bytes.clear();
        Self { bytes, accumulator: 0, pending: 0 }
    }

    /// How many bits were put.
    #[must_use]
    pub fn bits(&self) -> u64 {
        self.bytes.len() as u64 * 8 + u64::from(self.pending)
    }

    /// Fills the last byte with zero bits (0 to 7) and hands out all bytes.
    #[must_use]
    pub fn into_bytes(mut self) -> Vec<u8> {
        let padding = (8 - self.pending % 8) % 8;
        self.accumulator <<= padding;
        self.pending += padding;
        while self.pending > 0 {
            self.pending -= 8;
            self.bytes.push((self.accumulator >> self.pending) as u8);
        }
        self.bytes
    }
}

impl BitSink for BitWriter {
    #[inline]
    fn put(&mut self, value: u32, count: u32) {
        debug_assert!(count <= 32 && u64::from(value) >> count == 0);
        let free = 64 - self.pending;
        if count < free {
            self.accumulator = self.accumulator << count | u64::from(value);
            self.pending += count;
        } else {
            // Some are pending: 32 do not fill what is free otherwise.
            let rest = count - free;
            let word = self.accumulator << free | u64::from(value) >> rest;
            self.bytes.extend_from_slice(&word.to_be_bytes());
            (self.accumulator, self.pending) = (value.into(), rest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Widths that hit every alignment of the window.
    fn widths() -> impl Iterator<Item = u32> {
        (0..400u32).map(|i| (i * 7 + i / 5) % 33)
    }

    fn value(i: usize, width: u32) -> u32 {
        let bits = (i as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
        (bits & ((1u64 << width) - 1)) as u32
    }

    #[test]
    fn reads_back_what_was_written() {
        let (mut writer, mut counter) = (BitWriter::new(), BitCounter::new());
        for (i, width) in widths().enumerate() {
            writer.put(value(i, width), width);
            counter.put(value(i, width), width);
        }
        let bits = writer.bits();
        assert_eq!(bits, counter.bits());
        let bytes = writer.into_bytes();
        assert_eq!(bytes.len() as u64, bits.div_ceil(8));
        let mut reader = BitReader::new(&bytes);
        for (i, width) in widths().enumerate() {
            assert_eq!(reader.peek(width), value(i, width));
            assert_eq!(reader.read(width), value(i, width), "value {i} of {width} bits");
        }
        assert_eq!(reader.position(), bits);
        assert!(!reader.is_past_end());
    }

    #[test]
    fn zeros_follow_the_end() {
        let mut reader = BitReader::new(&[0xFF]);
        assert_eq!(reader.read(12), 0xFF0);
        assert!(reader.is_past_end());
        for _ in 0..100 {
            assert_eq!(reader.read(32), 0);
        }
        assert_eq!(reader.position(), 12 + 3200);
    }

    #[test]
    fn the_end_itself_is_not_past_the_end() {
        let mut reader = BitReader::new(&[0x12, 0x34]);
        reader.skip(16);
        assert!(!reader.is_past_end());
        reader.skip(1);
        assert!(reader.is_past_end());
    }
}
