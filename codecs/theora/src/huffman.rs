//! DCT token Huffman tables (Theora specification, 6.4.4).

use oggflv_common::BitReader;

use crate::Error;

/// A code of a Huffman table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Code {
    /// The bits of the code, from the most significant bit down; zeros follow.
    pub(crate) bits: u32,
    /// How many bits the code has, 0 to 32. A table of one entry has a code of none.
    pub(crate) length: u32,
    /// The DCT token, 0 to 31.
    pub(crate) token: u8,
}

/// A Huffman table as the setup header spells it: at most 32 codes, full and free of prefixes, in rising order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct HuffmanTable {
    codes: Vec<Code>,
}

impl HuffmanTable {
    /// Reads table `table` (0 to 79), which is stored as a binary tree in preorder.
    pub(crate) fn read(reader: &mut BitReader<'_>, table: usize) -> Result<Self, Error> {
        let mut codes: Vec<Code> = Vec::with_capacity(32);
        // The node to be read next: its bits as in `Code`, and its depth.
        let (mut bits, mut length) = (0u32, 0u32);
        loop {
            while !reader.read_bit() {
                if length == 32 {
                    return Err(Error::HuffmanTable { table });
                }
                length += 1;
            }
            if codes.len() == 32 {
                return Err(Error::HuffmanTable { table });
            }
            codes.push(Code { bits, length, token: reader.read(5) as u8 });
            // The next node is the 1 branch of the deepest node whose 0 branch has just ended.
            while length > 0 && bits >> (32 - length) & 1 == 1 {
                bits &= !(1 << (32 - length));
                length -= 1;
            }
            if length == 0 {
                break;
            }
            bits |= 1 << (32 - length);
        }
        if reader.is_past_end() {
            return Err(Error::Truncated { element: "HTS" });
        }
        Ok(Self { codes })
    }

    /// The codes in rising order.
    pub(crate) fn codes(&self) -> &[Code] {
        &self.codes
    }

    /// The code that the 32 bits `next` of the stream begin with.
    pub(crate) fn find(&self, next: u32) -> Code {
        // The codes are full: every string of bits begins with the last code that is not above it.
        self.codes[self.codes.partition_point(|code| code.bits <= next) - 1]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::{BitSink, BitWriter};

    /// Writes a tree whose 1 branches are leaves: tokens 0, 1, 2... at depths 1, 2, 3... of `leaves` leaves.
    fn write_comb(writer: &mut BitWriter, leaves: u32) {
        (0..leaves - 1).for_each(|_| writer.put(0, 1));
        (0..leaves).for_each(|token| writer.put(1 << 5 | (token % 32), 6));
    }

    fn read_comb(leaves: u32) -> Result<HuffmanTable, Error> {
        let mut writer = BitWriter::new();
        write_comb(&mut writer, leaves);
        HuffmanTable::read(&mut BitReader::new(&writer.into_bytes()), 7)
    }

    #[test]
    fn trees_are_read_in_preorder() {
        // (0: token 5), (10: token 31), (11: token 0)
        let mut writer = BitWriter::new();
        for (value, bits) in [(0, 1), (0b100101, 6), (0, 1), (0b111111, 6), (0b100000, 6)] {
            writer.put(value, bits);
        }
        let table = HuffmanTable::read(&mut BitReader::new(&writer.into_bytes()), 0).unwrap();
        let expected = [(0, 1, 5), (0b10 << 30, 2, 31), (0b11 << 30, 2, 0)];
        assert_eq!(table.codes(), expected.map(|(bits, length, token)| Code { bits, length, token }));
        assert_eq!(table.find(0x7FFF_FFFF).token, 5);
        assert_eq!(table.find(0x8000_0000).token, 31);
        assert_eq!(table.find(u32::MAX).token, 0);
    }

    #[test]
    fn a_single_leaf_takes_no_bits() {
        let table = HuffmanTable::read(&mut BitReader::new(&[0b1010_1000]), 0).unwrap();
        assert_eq!(table.codes(), [Code { bits: 0, length: 0, token: 10 }]);
        assert_eq!(table.find(0x1234_5678).token, 10);
    }

    #[test]
    fn the_longest_code_of_32_entries_has_31_bits() {
        let table = read_comb(32).unwrap();
        assert_eq!(table.codes()[0], Code { bits: 0, length: 31, token: 0 });
        assert_eq!(table.codes()[1], Code { bits: 2, length: 31, token: 1 });
        assert_eq!(table.find(1).token, 0);
        assert_eq!(table.find(3).token, 1);
        assert_eq!(table.find(4).token, 2);
    }

    #[test]
    fn more_than_32_entries_or_bits_are_refused() {
        assert_eq!(read_comb(33), Err(Error::HuffmanTable { table: 7 }));
        assert_eq!(read_comb(40), Err(Error::HuffmanTable { table: 7 }));
        // Zeros follow the end of a packet: an endless 0 branch.
        assert_eq!(HuffmanTable::read(&mut BitReader::new(&[]), 7), Err(Error::HuffmanTable { table: 7 }));
    }

    #[test]
    fn truncation_is_an_error() {
        let mut writer = BitWriter::new();
        write_comb(&mut writer, 3);
        let bytes = writer.into_bytes();
        let result = HuffmanTable::read(&mut BitReader::new(&bytes[..bytes.len() - 1]), 7);
        assert_eq!(result, Err(Error::Truncated { element: "HTS" }));
    }
}
