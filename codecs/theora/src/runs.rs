//! Run-length encoded bit strings (Theora specification, 7.2).

use oggflv_common::BitReader;

/// RSTART and RBITS by the number of leading ones of the Huffman code (table 7.7).
const LONG: [(u32, u32); 7] = [(1, 0), (2, 1), (4, 1), (6, 2), (10, 3), (18, 4), (34, 12)];

/// RSTART and RBITS by the number of leading ones of the Huffman code (table 7.11).
const SHORT: [(u32, u32); 6] = [(1, 1), (3, 1), (5, 1), (7, 2), (11, 2), (15, 4)];

/// The longest run that the code for long runs has.
const LONGEST: u32 = 4129;

/// How many bits of the stream select an entry of a run table.
const INDEX_BITS: u32 = 10;

/// By the next bits of the stream, the length of a run in the high byte and that of its code in the low byte. 0 stands
/// for the last class of the long runs, which does not fit in the index.
type RunTable = [u16; 1 << INDEX_BITS];

static LONG_RUNS: RunTable = run_table(&LONG);
static SHORT_RUNS: RunTable = run_table(&SHORT);

/// As many ones as lead the code tell the class, closed by a zero but for the last class.
const fn run_table(classes: &[(u32, u32)]) -> RunTable {
    let last = classes.len() as u32 - 1;
    let mut table = [0; 1 << INDEX_BITS];
    let mut index = 0;
    while index < table.len() as u32 {
        let ones = (index << (32 - INDEX_BITS)).leading_ones();
        let (class, prefix) = if ones < last { (ones, ones + 1) } else { (last, last) };
        let (start, bits) = classes[class as usize];
        let length = prefix + bits;
        if length <= INDEX_BITS {
            let run = start + (index >> (INDEX_BITS - length) & ((1 << bits) - 1));
            table[index as usize] = (run << 8 | length) as u16;
        }
        index += 1;
    }
    table
}

/// Reads one run length.
#[inline]
fn read_run(reader: &mut BitReader<'_>, table: &RunTable) -> u32 {
    let entry = u32::from(table[reader.peek(INDEX_BITS) as usize]);
    if entry == 0 {
        let last = LONG.len() - 1;
        let (start, bits) = LONG[last];
        reader.skip(last as u32);
        return start + reader.read(bits);
    }
    reader.skip(entry & 0xFF);
    entry >> 8
}

/// Reads a long-run or a short-run bit string, run by run.
///
/// Nothing is read before the first bit is asked for: a string of no bits takes none.
pub(crate) struct BitString {
    table: &'static RunTable,
    /// What is left of the current run.
    left: u32,
    bit: bool,
    /// Whether the next run brings its own bit instead of the other one.
    explicit: bool,
}

impl BitString {
    /// A long-run bit string (section 7.2.1).
    pub(crate) fn long() -> Self {
        Self { table: &LONG_RUNS, left: 0, bit: false, explicit: true }
    }

    /// A short-run bit string (section 7.2.2).
    pub(crate) fn short() -> Self {
        Self { table: &SHORT_RUNS, left: 0, bit: false, explicit: true }
    }

    /// The next bit.
    #[inline]
    pub(crate) fn next(&mut self, reader: &mut BitReader<'_>) -> bool {
        self.next_run(reader, 1).0
    }

    /// The next bits that are the same: the bit, and how often it stands, at least once and at most `limit` times.
    #[inline]
    pub(crate) fn next_run(&mut self, reader: &mut BitReader<'_>, limit: usize) -> (bool, usize) {
        if self.left == 0 {
            self.start_run(reader);
        }
        let length = self.left.min(limit as u32);
        self.left -= length;
        (self.bit, length as usize)
    }

    fn start_run(&mut self, reader: &mut BitReader<'_>) {
        self.bit = if self.explicit { reader.read_bit() } else { !self.bit };
        self.left = read_run(reader, self.table);
        self.explicit = self.left == LONGEST;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::{BitSink, BitWriter};

    /// The table as printed: code, RSTART, RBITS.
    const LONG_TABLE: [(&str, u32, u32); 7] = [
        ("0", 1, 0),
        ("10", 2, 1),
        ("110", 4, 1),
        ("1110", 6, 2),
        ("11110", 10, 3),
        ("111110", 18, 4),
        ("111111", 34, 12),
    ];
    const SHORT_TABLE: [(&str, u32, u32); 6] =
        [("0", 1, 1), ("10", 3, 1), ("110", 5, 1), ("1110", 7, 2), ("11110", 11, 2), ("11111", 15, 4)];

    fn put_code(writer: &mut BitWriter, code: &str) {
        code.bytes().for_each(|digit| writer.put(u32::from(digit == b'1'), 1));
    }

    #[test]
    fn every_run_length_has_its_code() {
        for (table, runs) in [(&LONG_TABLE[..], &LONG_RUNS), (&SHORT_TABLE, &SHORT_RUNS)] {
            let mut next = 1;
            for &(code, start, bits) in table {
                for offset in 0..1 << bits {
                    let mut writer = BitWriter::new();
                    put_code(&mut writer, code);
                    writer.put(offset, bits);
                    let length = writer.bits();
                    let bytes = writer.into_bytes();
                    let mut reader = BitReader::new(&bytes);
                    assert_eq!(read_run(&mut reader, runs), start + offset);
                    assert_eq!(reader.position(), length);
                    assert_eq!(start + offset, next, "no gap between the classes");
                    next += 1;
                }
            }
        }
    }

    #[test]
    fn runs_alternate() {
        let mut writer = BitWriter::new();
        writer.put(1, 1);
        put_code(&mut writer, "100");
        put_code(&mut writer, "0");
        put_code(&mut writer, "1101");
        let bytes = writer.into_bytes();
        let mut reader = BitReader::new(&bytes);
        let mut string = BitString::long();
        let bits: Vec<u8> = (0..8).map(|_| string.next(&mut reader).into()).collect();
        assert_eq!(bits, [1, 1, 0, 1, 1, 1, 1, 1]);
        assert_eq!(reader.position(), 9);
    }

    #[test]
    fn a_bit_follows_the_longest_run_only() {
        let mut writer = BitWriter::new();
        writer.put(1, 1);
        for (offset, bit) in [(4095, Some(1)), (4094, None), (0, None)] {
            put_code(&mut writer, "111111");
            writer.put(offset, 12);
            bit.iter().for_each(|&bit| writer.put(bit, 1));
        }
        let bytes = writer.into_bytes();
        let mut reader = BitReader::new(&bytes);
        let mut string = BitString::long();
        assert!((0..4129 + 4128).all(|_| string.next(&mut reader)));
        assert!((0..34).all(|_| !string.next(&mut reader)));
    }

    #[test]
    fn nothing_is_read_too_early() {
        let mut reader = BitReader::new(&[0b1_0_0_0_0000]);
        let mut string = BitString::long();
        assert_eq!(reader.position(), 0);
        assert!(string.next(&mut reader));
        assert_eq!(reader.position(), 2);
    }
}
