//! DCT coefficients (Theora specification, 7.7).
//!
//! The stream holds the tokens of all blocks for coefficient 0, then those for coefficient 1, and so on; which block
//! a token belongs to depends on all tokens before. Those for the first two coefficients go to their blocks at once, since
//! most blocks end there. What is left is read in two steps. The first decodes the tokens in stream order, for which it
//! suffices to count the blocks that still go on at each coefficient. The second visits the blocks in coded order, and
//! each takes its tokens from the 62 lists.

use oggflv_common::BitReader;

use crate::huffman::HuffmanTable;
use crate::parse::ParsedFrame;

/// A quantized AC coefficient: its value in the high half, its index in zig-zag order in the low half.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coefficient(u32);

impl Coefficient {
    /// Index in zig-zag order, 1 to 63.
    #[inline]
    pub(crate) fn zzi(self) -> u8 {
        self.0 as u8 & 63
    }

    /// The quantized value.
    #[inline]
    pub(crate) fn value(self) -> i32 {
        self.0 as i32 >> 16
    }
}

/// A decoded token, packed. If `EOB` is set, the bits from 8 up count the blocks that end. Otherwise the low seven
/// bits tell how many coefficients the token codes (1 to 64), and the high half is the value of the last of them;
/// those before it are zero.
type Token = u32;

const EOB: Token = 0x80;

fn pack(count: u32, value: i32) -> Token {
    (value as u32) << 16 | count
}

/// How many bits of the stream select an entry of a `TokenTable`.
const INDEX_BITS: u32 = 10;

/// Bits 8 to 15 of an entry: the length of the code with its extra bits, or that they do not fit in the index.
const LENGTH: u32 = 0xFF00;
const TOO_LONG: u32 = 0xFF00;

/// A Huffman table made ready for decoding: by the next bits of the stream a packed token, its extra bits decoded
/// already. Bits 8 to 15 hold the length; the blocks of an EOB run are counted from bit 16 up.
#[derive(Clone, Debug)]
struct TokenTable {
    entries: Box<[u32; 1 << INDEX_BITS]>,
    table: HuffmanTable,
}

impl TokenTable {
    fn new(table: &HuffmanTable) -> Self {
        let mut entries = Box::new([TOO_LONG; 1 << INDEX_BITS]);
        for code in table.codes() {
            let extra_bits = EXTRA_BITS[usize::from(code.token)];
            let length = code.length + extra_bits;
            if length > INDEX_BITS {
                continue;
            }
            let spare = INDEX_BITS - length;
            for extra in 0..1 << extra_bits {
                let first = (code.bits >> (32 - INDEX_BITS) | extra << spare) as usize;
                entries[first..first + (1 << spare)].fill(expand(code.token, extra) | length << 8);
            }
        }
        Self { entries, table: table.clone() }
    }

    /// Decodes the next token as `expand` packs it; bits 8 to 15 are to be ignored.
    #[inline]
    fn read(&self, reader: &mut BitReader<'_>) -> u32 {
        let entry = self.entries[reader.peek(INDEX_BITS) as usize];
        if entry & LENGTH == TOO_LONG {
            let token;
            (token, *reader) = self.read_long(reader.clone());
            return token;
        }
        reader.skip((entry & LENGTH) >> 8);
        entry
    }

    /// The same for tokens that the index is too short for. The reader is handed over and back by value, so that
    /// `read` can keep it in registers.
    #[cold]
    fn read_long<'a>(&self, mut reader: BitReader<'a>) -> (u32, BitReader<'a>) {
        let code = self.table.find(reader.peek(32));
        reader.skip(code.length);
        let extra = reader.read(EXTRA_BITS[usize::from(code.token)]);
        (expand(code.token, extra), reader)
    }
}

/// How many extra bits follow each token (tables 7.33 and 7.38).
#[rustfmt::skip]
const EXTRA_BITS: [u32; 32] = [
    0, 0, 0, 2, 3, 4, 12,
    3, 6,
    0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 5, 6, 10,
    1, 1, 1, 1, 1, 3, 4, 2, 3,
];

/// Packs a token and its extra bits. EOB runs are counted from bit 16 up; 0 stands for all blocks that go on.
fn expand(token: u8, extra: u32) -> u32 {
    // The first of the extra bits is the sign, where there is one; `rest` are those below it.
    let signed = |magnitude: u32, rest_bits: u32| {
        let magnitude = magnitude as i32;
        if extra >> rest_bits & 1 == 1 { -magnitude } else { magnitude }
    };
    let rest = |bits: u32| extra & ((1 << bits) - 1);
    let eob = |run: u32| run << 16 | EOB;
    match token {
        0..=2 => eob(u32::from(token) + 1),
        3 => eob(4 + extra),
        4 => eob(8 + extra),
        5 => eob(16 + extra),
        6 => eob(extra),
        7 | 8 => pack(extra + 1, 0),
        9 => pack(1, 1),
        10 => pack(1, -1),
        11 => pack(1, 2),
        12 => pack(1, -2),
        13..=16 => pack(1, signed(u32::from(token) - 10, 0)),
        17 => pack(1, signed(7 + rest(1), 1)),
        18 => pack(1, signed(9 + rest(2), 2)),
        19 => pack(1, signed(13 + rest(3), 3)),
        20 => pack(1, signed(21 + rest(4), 4)),
        21 => pack(1, signed(37 + rest(5), 5)),
        22 => pack(1, signed(69 + rest(9), 9)),
        23..=27 => pack(u32::from(token) - 21, signed(1, 0)),
        28 => pack(7 + rest(2), signed(1, 2)),
        29 => pack(11 + rest(3), signed(1, 3)),
        30 => pack(2, signed(2 + rest(1), 1)),
        // Sign, magnitude, run.
        _ => pack(3 + rest(1), signed(2 + rest(2) / 2, 2)),
    }
}

/// The 80 token tables of a stream.
#[derive(Clone, Debug)]
pub(crate) struct TokenTables {
    tables: Vec<TokenTable>,
}

impl TokenTables {
    pub(crate) fn new(tables: &[HuffmanTable]) -> Self {
        Self { tables: tables.iter().map(TokenTable::new).collect() }
    }
}

/// HG: the group of Huffman tables for a token index (table 7.42).
fn huffman_group(ti: usize) -> usize {
    match ti {
        0 => 0,
        1..=5 => 1,
        6..=14 => 2,
        15..=27 => 3,
        _ => 4,
    }
}

/// The token stream.
#[derive(Clone)]
struct Source<'a> {
    reader: BitReader<'a>,
    /// How many blocks still end by the last EOB token. Such a run goes on across planes and token indices.
    eobs: u32,
}

impl Source<'_> {
    /// The next block's token; none if the block ends.
    #[inline]
    fn next(&mut self, table: &TokenTable) -> Option<Token> {
        if self.eobs == 0 {
            let token = table.read(&mut self.reader);
            if token & EOB == 0 {
                return Some(token);
            }
            self.eobs = eob_run(token);
        }
        self.eobs -= 1;
        None
    }

    /// Which Huffman tables of each group the planes use.
    fn read_indices(&mut self) -> [usize; 3] {
        let (luma, chroma) = (self.reader.read(4) as usize, self.reader.read(4) as usize);
        [luma, chroma, chroma]
    }
}

/// How many blocks an EOB token ends, as `expand` packs it.
#[inline]
fn eob_run(token: u32) -> u32 {
    let run = token >> 16;
    if run == 0 { u32::MAX } else { run }
}

/// A block that goes on after one of its tokens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct OpenBlock {
    block: u32,
    /// The last coefficient that the token codes in the high half, the index of the next one in the low half; if that is
    /// 64 or more, the block is complete.
    state: u32,
}

impl OpenBlock {
    /// A block after its token at index `ti`.
    #[inline]
    fn new(block: u32, ti: u32, token: Token) -> Self {
        Self { block, state: token & 0xFFFF_0000 | (ti + (token & 0x7F)) }
    }

    /// The index of its next token.
    #[inline]
    fn ti(self) -> usize {
        (self.state & 0xFFFF) as usize
    }
}

/// Reads the coefficients of all coded blocks.
pub(crate) fn read(reader: &mut BitReader<'_>, frame: &mut ParsedFrame, tables: &TokenTables) {
    let mut source = Source { reader: reader.clone(), eobs: 0 };
    let starts = read_dc(&mut source, frame, tables);
    let htis = source.read_indices();
    let starts = read_first_ac(&mut source, frame, tables, htis, starts);
    let lists = read_lists(&mut source, frame, tables, htis, starts);
    *reader = source.reader;
    assign_tokens(frame, starts, &lists);
}

/// Where the open blocks of each plane start; at the end, their number.
type Starts = [usize; 4];

/// Reads the tokens at index 0.
fn read_dc(source: &mut Source<'_>, frame: &mut ParsedFrame, tables: &TokenTables) -> Starts {
    let ParsedFrame { coded, plane_starts, dc, ac_counts, open, .. } = frame;
    let mut starts = [0; 4];
    open.clear();
    let original = source;
    let mut source = original.clone();
    let htis = source.read_indices();
    for pli in 0..3 {
        let table = &tables.tables[htis[pli]];
        for &block in &coded[plane_starts[pli]..plane_starts[pli + 1]] {
            let mut value = 0;
            if let Some(token) = source.next(table) {
                // Otherwise it codes zeros, or zeros and an AC coefficient.
                if token & 0x7F == 1 {
                    value = (token >> 16) as i16;
                }
                open.push(OpenBlock::new(block, 0, token));
            }
            dc[block as usize] = value;
            ac_counts[block as usize] = 0;
        }
        starts[pli + 1] = open.len();
    }
    *original = source;
    starts
}

/// Reads the tokens at index 1. Only the blocks that do not end there stay open.
fn read_first_ac(
    source: &mut Source<'_>,
    frame: &mut ParsedFrame,
    tables: &TokenTables,
    htis: [usize; 3],
    old_starts: Starts,
) -> Starts {
    let mut starts = [0; 4];
    let mut kept = 0;
    let original = source;
    let mut source = original.clone();
    for pli in 0..3 {
        let table = &tables.tables[16 * huffman_group(1) + htis[pli]];
        for index in old_starts[pli]..old_starts[pli + 1] {
            let mut open = frame.open[index];
            if open.ti() == 1 {
                let Some(token) = source.next(table) else { continue };
                open = OpenBlock::new(open.block, 1, token);
            }
            frame.open[kept] = open;
            kept += 1;
        }
        starts[pli + 1] = kept;
    }
    frame.open.truncate(kept);
    *original = source;
    starts
}

/// Where the tokens of each plane and token index start.
type Lists = [[u32; 64]; 3];

/// Reads the tokens from index 2 on, for which it suffices to count the blocks that go on at each.
fn read_lists(
    source: &mut Source<'_>,
    frame: &mut ParsedFrame,
    tables: &TokenTables,
    htis: [usize; 3],
    starts: Starts,
) -> Lists {
    let mut lists = [[0; 64]; 3];
    // How many blocks of each plane go on at each token index; those that are complete count at 64.
    let mut live = [[0; 65]; 3];
    for pli in 0..3 {
        for open in &frame.open[starts[pli]..starts[pli + 1]] {
            live[pli][open.ti().min(64)] += 1;
        }
    }
    let tokens = &mut frame.tokens;
    tokens.clear();
    let original = source;
    let Source { mut reader, mut eobs } = original.clone();
    for ti in 2..64 {
        for pli in 0..3 {
            let table = &tables.tables[16 * huffman_group(ti) + htis[pli]];
            let live = &mut live[pli];
            lists[pli][ti] = tokens.len() as u32;
            let mut left;
            (left, eobs) = end_blocks(tokens, live[ti], eobs);
            while left > 0 {
                let token = table.read(&mut reader);
                if token & EOB == 0 {
                    tokens.push(token);
                    left -= 1;
                    live[(ti + (token & 0x7F) as usize).min(64)] += 1;
                } else {
                    (left, eobs) = end_blocks(tokens, left, eob_run(token));
                }
            }
        }
    }
    *original = Source { reader, eobs };
    lists
}

/// Ends `run` of the `left` blocks that a list has to come. An EOB run is cut at the end of the list. Returns what is left
/// of both.
#[inline]
fn end_blocks(tokens: &mut Vec<Token>, left: u32, run: u32) -> (u32, u32) {
    let here = left.min(run);
    if here > 0 {
        tokens.push(here << 8 | EOB);
    }
    (left - here, run - here)
}

/// Hands the tokens to the open blocks. EOB tokens count down as blocks take them.
fn assign_tokens(frame: &mut ParsedFrame, starts: Starts, lists: &Lists) {
    let tokens = &mut frame.tokens[..];
    let most = frame.open.len() + tokens.len();
    if frame.ac.len() < most {
        frame.ac.resize(most, Coefficient::default());
    }
    let ac = &mut frame.ac[..];
    let mut next = 0;
    for pli in 0..3 {
        let mut cursors = lists[pli];
        for open in &frame.open[starts[pli]..starts[pli + 1]] {
            let block = open.block as usize;
            let start = next;
            let mut ti = open.ti();
            // Whether a block has only a DC coefficient is told by where it ended, not by its values (section 7.9.4).
            let is_beyond_dc = ti < 64;
            // Zeros, and what is beyond the block, are written over again.
            let mut put = |ti: usize, token: u32| {
                ac[next] = Coefficient(token & 0xFFFF_0000 | (ti as u32 - 1));
                next += usize::from(token >> 16 != 0 && ti <= 64);
            };
            put(ti, open.state);
            while ti < 64 {
                let cursor = &mut cursors[ti];
                let token = &mut tokens[*cursor as usize];
                if *token & EOB != 0 {
                    *token -= 1 << 8;
                    *cursor += u32::from(*token == EOB);
                    break;
                }
                *cursor += 1;
                ti += (*token & 0x7F) as usize;
                put(ti, *token);
            }
            if next == start && is_beyond_dc {
                ac[next] = Coefficient(1);
                next += 1;
            }
            frame.ac_starts[block] = start as u32;
            frame.ac_counts[block] = (next - start) as u8;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coded_blocks;
    use crate::layout::Layout;
    use oggflv_common::{BitSink, BitWriter, PixelFormat};

    /// Token, extra bits, coefficients: rows of table 7.38 at the ends of their ranges.
    #[rustfmt::skip]
    const ROWS: [(u8, u32, u32, i32); 40] = [
        (7, 0, 1, 0), (7, 7, 8, 0), (8, 0, 1, 0), (8, 63, 64, 0),
        (9, 0, 1, 1), (10, 0, 1, -1), (11, 0, 1, 2), (12, 0, 1, -2),
        (13, 0, 1, 3), (13, 1, 1, -3), (14, 1, 1, -4), (15, 0, 1, 5), (16, 1, 1, -6),
        (17, 0b00, 1, 7), (17, 0b11, 1, -8), (18, 0b000, 1, 9), (18, 0b111, 1, -12),
        (19, 0, 1, 13), (19, 0b1111, 1, -20), (20, 0, 1, 21), (20, 0b11111, 1, -36),
        (21, 0, 1, 37), (21, 0b111111, 1, -68), (22, 0, 1, 69), (22, 0b1111111111, 1, -580),
        (23, 0, 2, 1), (23, 1, 2, -1), (24, 1, 3, -1), (25, 0, 4, 1), (26, 1, 5, -1), (27, 0, 6, 1),
        (28, 0, 7, 1), (28, 0b111, 10, -1), (29, 0, 11, 1), (29, 0b1111, 18, -1),
        (30, 0b00, 2, 2), (30, 0b11, 2, -3),
        (31, 0b000, 3, 2), (31, 0b001, 4, 2), (31, 0b110, 3, -3),
    ];

    #[test]
    fn coefficient_tokens_follow_the_table() {
        for (token, extra, count, value) in ROWS {
            let packed = expand(token, extra);
            assert_eq!(packed & EOB, 0);
            assert_eq!(
                (packed & 0x7F, packed as i32 >> 16),
                (count, value),
                "token {token}, extra bits {extra:#b}"
            );
        }
    }

    #[test]
    fn eob_tokens_follow_the_table() {
        let rows = [
            (0, 0, 1),
            (1, 0, 2),
            (2, 0, 3),
            (3, 3, 7),
            (4, 0, 8),
            (4, 7, 15),
            (5, 0, 16),
            (5, 15, 31),
            (6, 0, 0),
        ];
        for (token, extra, run) in rows.into_iter().chain([(6, 4095, 4095)]) {
            assert_eq!(expand(token, extra), run << 16 | EOB, "token {token}, extra bits {extra}");
        }
    }

    /// A table of all 32 tokens, five bits each.
    fn flat() -> HuffmanTable {
        let mut writer = BitWriter::new();
        fn put(writer: &mut BitWriter, depth: u32, prefix: u32) {
            if depth == 5 {
                writer.put(1 << 5 | prefix, 6);
            } else {
                writer.put(0, 1);
                put(writer, depth + 1, prefix << 1);
                put(writer, depth + 1, prefix << 1 | 1);
            }
        }
        put(&mut writer, 0, 0);
        HuffmanTable::read(&mut BitReader::new(&writer.into_bytes()), 0).unwrap()
    }

    #[test]
    fn the_fast_table_agrees_with_the_codes() {
        // Codes of 1 to 31 bits, then of 5 bits each: tokens short and long, extra bits inside and beyond the index.
        let mut comb = BitWriter::new();
        (0..31).for_each(|_| comb.put(0, 1));
        (0..32).for_each(|leaf| comb.put(1 << 5 | (31 - leaf), 6));
        let comb = HuffmanTable::read(&mut BitReader::new(&comb.into_bytes()), 0).unwrap();
        for table in [comb, flat()] {
            let fast = TokenTable::new(&table);
            for code in table.codes() {
                for extra in 0..1 << EXTRA_BITS[usize::from(code.token)] {
                    let mut writer = BitWriter::new();
                    writer.put(code.bits.checked_shr(32 - code.length).unwrap_or(0), code.length);
                    writer.put(extra, EXTRA_BITS[usize::from(code.token)]);
                    let bits = writer.bits();
                    writer.put(u32::MAX, 32);
                    let bytes = writer.into_bytes();
                    let mut reader = BitReader::new(&bytes);
                    assert_eq!(fast.read(&mut reader) & !LENGTH, expand(code.token, extra));
                    assert_eq!(reader.position(), bits);
                }
            }
        }
    }

    /// The tokens of a 16x16 frame of four luma blocks and one each of Cb and Cr; `None` are the table indices.
    fn read_frame(tokens: &[Option<(u32, u32)>]) -> (ParsedFrame, Layout, bool) {
        let layout = Layout::new(PixelFormat::Yuv420, 16, 16);
        let mut frame = ParsedFrame::new(&layout);
        coded_blocks::code_all(&mut frame, &layout);
        let mut writer = BitWriter::new();
        for token in tokens {
            match *token {
                None => writer.put(0x00, 8),
                Some((token, extra)) => {
                    writer.put(token, 5);
                    writer.put(extra, EXTRA_BITS[token as usize]);
                }
            }
        }
        let bits = writer.bits();
        let bytes = writer.into_bytes();
        let mut reader = BitReader::new(&bytes);
        let tables = TokenTables::new(&vec![flat(); 80]);
        read(&mut reader, &mut frame, &tables);
        let consumed = reader.position() == bits;
        (frame, layout, consumed)
    }

    fn coefficients(frame: &ParsedFrame, block: u32) -> (i16, Vec<(u8, i32)>) {
        let block = block as usize;
        let start = frame.ac_starts[block] as usize;
        let ac = &frame.ac[start..start + usize::from(frame.ac_counts[block])];
        (frame.dc[block], ac.iter().map(|coefficient| (coefficient.zzi(), coefficient.value())).collect())
    }

    #[test]
    fn blocks_take_their_tokens_and_runs_cross_planes() {
        let (frame, layout, consumed) = read_frame(&[
            None,
            // Index 0, Y: DC 2; zero run of 2; a run of zeros and -1 at 2; EOB of 3, which ends Y, Cb and Cr.
            Some((11, 0)),
            Some((7, 1)),
            Some((24, 1)),
            Some((2, 0)),
            None,
            // Index 1: the first block goes on with 3 at 1, index 2: the first with 1 and the second with EOB 1.
            Some((13, 0)),
            Some((9, 0)),
            Some((0, 0)),
            // Index 3: the first and the third block: -2 at 3, and all the rest ends.
            Some((12, 0)),
            Some((6, 0)),
        ]);
        assert!(consumed);
        let block = |bi: usize| coefficients(&frame, layout.coded_order[bi]);
        assert_eq!(block(0), (2, vec![(1, 3), (2, 1), (3, -2)]));
        // It ended at index 2, so it counts as a block with AC coefficients.
        assert_eq!(block(1), (0, vec![(1, 0)]));
        assert_eq!(block(2), (0, vec![(2, -1)]));
        assert_eq!(block(3), (0, vec![]));
        assert_eq!(block(5), (0, vec![]));
    }

    #[test]
    fn coefficients_beyond_the_block_are_dropped() {
        let mut tokens = vec![None, Some((8, 60)), Some((2, 0)), Some((1, 0)), None];
        // Index 61: 17 zeros and -1.
        tokens.push(Some((29, 0b1111)));
        let (frame, layout, consumed) = read_frame(&tokens);
        assert!(consumed);
        assert_eq!(coefficients(&frame, layout.coded_order[0]), (0, vec![(1, 0)]));
    }

    #[test]
    fn tables_without_bits_end_all_the_same() {
        // Every token is "1" and takes no bits.
        let single = HuffmanTable::read(&mut BitReader::new(&[0b1010_0100]), 0).unwrap();
        let layout = Layout::new(PixelFormat::Yuv420, 16, 16);
        let mut frame = ParsedFrame::new(&layout);
        coded_blocks::code_all(&mut frame, &layout);
        read(&mut BitReader::new(&[]), &mut frame, &TokenTables::new(&vec![single; 80]));
        assert!(frame.ac_counts.iter().all(|&count| count == 63));
    }
}
