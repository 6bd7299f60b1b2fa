//! Vorbis I, section 2: the bit packing convention (least significant bit first).

use super::Error;

/// Reads bit fields out of a header packet.
pub(super) struct BitReader<'a> {
    data: &'a [u8],
    /// Position in bits.
    at: usize,
}

impl<'a> BitReader<'a> {
    pub(super) fn new(data: &'a [u8]) -> Self {
        Self { data, at: 0 }
    }

    /// Reads `bits` (0..=32) bits of the syntax element `element`.
    pub(super) fn read(&mut self, bits: u32, element: &'static str) -> Result<u32, Error> {
        debug_assert!(bits <= 32);
        let end = self.end_of(1, bits, element)?;
        let mut value = 0u64;
        for (i, &byte) in self.data[self.at / 8..end.div_ceil(8)].iter().enumerate() {
            value |= u64::from(byte) << (8 * i);
        }
        value >>= self.at % 8;
        self.at = end;
        Ok((value & ((1 << bits) - 1)) as u32)
    }

    /// Reads a flag of one bit.
    pub(super) fn flag(&mut self, element: &'static str) -> Result<bool, Error> {
        Ok(self.read(1, element)? == 1)
    }

    /// Passes over `count` fields of `bits` bits each.
    pub(super) fn skip(&mut self, count: u64, bits: u32, element: &'static str) -> Result<(), Error> {
        self.at = self.end_of(count, bits, element)?;
        Ok(())
    }

    /// Where `count` fields of `bits` bits end, if the packet holds them.
    fn end_of(&self, count: u64, bits: u32, element: &'static str) -> Result<usize, Error> {
        count
            .checked_mul(u64::from(bits))
            .and_then(|n| usize::try_from(n).ok())
            .and_then(|n| self.at.checked_add(n))
            .filter(|&end| end <= self.data.len() * 8)
            .ok_or(Error::Truncated { element })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_the_example_of_section_2_1_6() {
        let mut bits = BitReader::new(&[0b1111_1100, 0b0100_1000, 0b1100_1110, 0b0000_0110]);
        assert_eq!(bits.read(4, "a").unwrap(), 12);
        assert_eq!(bits.read(3, "b").unwrap(), 7);
        assert_eq!(bits.read(7, "c").unwrap(), 17);
        assert_eq!(bits.read(13, "d").unwrap(), 6969);
        assert_eq!(bits.read(5, "e").unwrap(), 0);
        assert!(matches!(bits.read(1, "f"), Err(Error::Truncated { element: "f" })));
    }

    #[test]
    fn reads_32_bits_across_five_bytes_and_none_at_the_end() {
        let mut bits = BitReader::new(&[0xff, 0x00, 0xff, 0x00, 0xff]);
        bits.skip(3, 1, "skipped").unwrap();
        assert_eq!(bits.read(32, "word").unwrap(), 0xe01f_e01f);
        bits.skip(5, 1, "skipped").unwrap();
        assert_eq!(bits.read(0, "nothing").unwrap(), 0);
        assert!(bits.skip(u64::MAX, 32, "many").is_err());
    }
}
