//! Writes random but legal streams: the syntax of the Theora specification, chapters 6 and 7, the other way round.
//!
//! They hold what no encoder makes: all modes side by side, three `qi` values, Huffman tables of any shape, matrices
//! and loop filter limits of any size.

use oggflv_common::{BitSink, BitWriter};

use crate::common::Random;

/// A stream in the making.
pub(crate) struct StreamWriter {
    random: Random,
    /// Macro blocks across and up.
    macro_blocks: (usize, usize),
    /// Horizontal and vertical subsampling of chroma, as shifts.
    shift: (usize, usize),
    /// PF.
    format: u32,
    /// The codes of the 80 Huffman tables: bits, length, token.
    tables: Vec<Vec<(u32, u32, u32)>>,
    /// The largest coefficient, so that no sum in the inverse DCT leaves 16 bits.
    max_value: i32,
    /// How often blocks are coded, out of 8.
    density: usize,
}

/// The blocks of a plane as (column, row) in coded order, with the number of blocks of each super block.
type Plane = (Vec<(usize, usize)>, Vec<usize>);

fn coded_order(columns: usize, rows: usize) -> Plane {
    let curve =
        [0x00, 0x10, 0x11, 0x01, 0x02, 0x03, 0x13, 0x12, 0x22, 0x23, 0x33, 0x32, 0x31, 0x21, 0x20, 0x30];
    let (mut blocks, mut sizes) = (Vec::new(), Vec::new());
    for y in (0..rows).step_by(4) {
        for x in (0..columns).step_by(4) {
            let before = blocks.len();
            let all = curve.iter().map(|at| (x + at / 16, y + at % 16));
            blocks.extend(all.filter(|&(x, y)| x < columns && y < rows));
            sizes.push(blocks.len() - before);
        }
    }
    (blocks, sizes)
}

/// Bits below the value: the extra bits of each token.
const EXTRA_BITS: [u32; 32] =
    [0, 0, 0, 2, 3, 4, 12, 3, 6, 0, 0, 0, 0, 1, 1, 1, 1, 2, 3, 4, 5, 6, 10, 1, 1, 1, 1, 1, 3, 4, 2, 3];

/// How many coefficients a token codes, and the size of the last, by its extra bits.
fn meaning(token: u32, extra: u32) -> (usize, i32) {
    let extra = extra as usize;
    match token {
        7 | 8 => (extra + 1, 0),
        9 | 10 => (1, 1),
        11 | 12 => (1, 2),
        13..=16 => (1, token as i32 - 10),
        17 => (1, 8),
        18 => (1, 12),
        19 => (1, 20),
        20 => (1, 36),
        21 => (1, 68),
        22 => (1, 69 + (extra as i32 & 511)),
        23..=27 => (token as usize - 21, 1),
        28 => (7 + (extra & 3), 1),
        29 => (11 + (extra & 7), 1),
        30 => (2, 3),
        _ => (3 + (extra & 1), 3),
    }
}

impl StreamWriter {
    /// The three headers of a stream, and what writes its packets.
    pub(crate) fn new(seed: u64) -> (Self, Vec<Vec<u8>>) {
        // Seeds next to each other should not make streams like each other.
        let mut random = Random(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ seed >> 7);
        let format = [0, 0, 2, 3][random.below(4)];
        let shift = [(1, 1), (0, 0), (1, 0), (0, 0)][format as usize];
        let macro_blocks = (1 + random.below(6), 1 + random.below(6));
        let density = 1 + random.below(8);
        let mut writer =
            Self { random, macro_blocks, shift, format, tables: Vec::new(), max_value: 0, density };
        let headers = vec![writer.identification(), comment(), writer.setup()];
        (writer, headers)
    }

    fn identification(&mut self) -> Vec<u8> {
        let (width, height) = (16 * self.macro_blocks.0, 16 * self.macro_blocks.1);
        let (picw, pich) = (1 + self.random.below(width), 1 + self.random.below(height));
        let picx = self.random.below((width - picw).min(255) + 1);
        let picy = self.random.below((height - pich).min(255) + 1);
        let mut out = header(0x80);
        let (fmbw, fmbh) = (self.macro_blocks.0 as u32, self.macro_blocks.1 as u32);
        let sizes = [(3, 8), (2, 8), (1, 8), (fmbw, 16), (fmbh, 16), (picw as u32, 24), (pich as u32, 24)];
        let rest = [
            (picx as u32, 8),
            (picy as u32, 8),
            (25, 32),
            (1, 32),
            (1, 24),
            (1, 24),
            (0, 8),
            (0, 24),
            (0, 6),
        ];
        for (value, bits) in sizes.into_iter().chain(rest) {
            out.put(value, bits);
        }
        for (value, bits) in [(6, 5), (self.format, 2), (0, 3)] {
            out.put(value, bits);
        }
        out.into_bytes()
    }

    fn setup(&mut self) -> Vec<u8> {
        let mut out = header(0x82);
        let nbits = self.random.below(8) as u32;
        out.put(nbits, 3);
        (0..64).for_each(|_| out.put(self.random.below(1 << nbits) as u32, nbits));
        // The quantizers are 8 to 4096; the coarser they are, the smaller the coefficients.
        let (largest, max_value) = [(8, 300), (30, 68), (100, 20), (400, 5), (2000, 1)][self.random.below(5)];
        self.max_value = max_value;
        for _ in 0..2 {
            out.put(11, 4);
            (0..64).for_each(|_| out.put(self.random.below(largest) as u32, 12));
        }
        let count = 1 + self.random.below(5);
        out.put(count as u32 - 1, 9);
        (0..count * 64).for_each(|_| out.put(self.random.below(60) as u32, 8));
        for set in 0..6 {
            self.quant_ranges(&mut out, set, count);
        }
        for _ in 0..80 {
            let table = self.huffman_table(&mut out);
            self.tables.push(table);
        }
        out.into_bytes()
    }

    fn quant_ranges(&mut self, out: &mut BitWriter, set: usize, base_matrices: usize) {
        let ilog = |value: usize| usize::BITS - value.leading_zeros();
        if set > 0 {
            let new = self.random.below(2) as u32;
            out.put(new, 1);
            if new == 0 {
                if set >= 3 {
                    out.put(self.random.below(2) as u32, 1);
                }
                return;
            }
        }
        out.put(self.random.below(base_matrices) as u32, ilog(base_matrices - 1));
        let mut qi = 0;
        while qi < 63 {
            let size = 1 + self.random.below(63 - qi);
            out.put(size as u32 - 1, ilog(62 - qi));
            qi += size;
            out.put(self.random.below(base_matrices) as u32, ilog(base_matrices - 1));
        }
    }

    /// A tree of any shape. One of its leaves is a token that is legal anywhere.
    fn huffman_table(&mut self, out: &mut BitWriter) -> Vec<(u32, u32, u32)> {
        let count = match self.random.below(8) {
            0 => 1 + self.random.below(3),
            _ => 16 + self.random.below(17),
        };
        let anywhere = self.random.below(count);
        let mut codes = Vec::new();
        // Subtrees to write: their code and how many leaves they have.
        let mut open = vec![(0, 0, count)];
        while let Some((bits, length, leaves)) = open.pop() {
            if leaves == 1 {
                let token = match codes.len() == anywhere {
                    true => [0, 9, 10][self.random.below(3)],
                    false => self.random.below(32) as u32,
                };
                out.put(1 << 5 | token, 6);
                codes.push((bits, length, token));
                continue;
            }
            out.put(0, 1);
            // Balanced trees more often than combs.
            let left = match self.random.below(4) {
                0 => 1 + self.random.below(leaves - 1),
                _ => leaves / 2,
            };
            open.push((bits << 1 | 1, length + 1, leaves - left));
            open.push((bits << 1, length + 1, left));
        }
        codes
    }

    /// A data packet. The first of a stream should be a key frame.
    pub(crate) fn packet(&mut self, key: bool) -> Vec<u8> {
        let mut out = BitWriter::new();
        let nqis = 1 + self.random.below(3);
        out.put(u32::from(!key), 2);
        for qii in 0..nqis {
            out.put(self.random.below(64) as u32, 6);
            if qii < 2 {
                out.put(u32::from(qii + 1 < nqis), 1);
            }
        }
        let planes = self.planes();
        let mut coded: Vec<Vec<bool>> = planes.iter().map(|(blocks, _)| vec![true; blocks.len()]).collect();
        if key {
            out.put(0, 3);
        } else {
            coded = self.coded_flags(&mut out, &planes);
            let modes = self.modes(&mut out, &planes[0].0, &coded[0]);
            self.motion_vectors(&mut out, &modes);
        }
        self.block_qi(&mut out, coded.iter().flatten().filter(|&&coded| coded).count(), nqis);
        self.tokens(&mut out, &coded);
        out.into_bytes()
    }

    fn planes(&self) -> Vec<Plane> {
        let (columns, rows) = (2 * self.macro_blocks.0, 2 * self.macro_blocks.1);
        let chroma = coded_order(columns >> self.shift.0, rows >> self.shift.1);
        vec![coded_order(columns, rows), chroma.clone(), chroma]
    }

    fn coded_flags(&mut self, out: &mut BitWriter, planes: &[Plane]) -> Vec<Vec<bool>> {
        let (mut partial, mut full, mut flags) = (Vec::new(), Vec::new(), Vec::new());
        let mut coded = Vec::new();
        for (_, super_blocks) in planes {
            let mut plane = Vec::new();
            for &size in super_blocks {
                // Flags of a partially coded super block are not all the same.
                let is_partial = size > 1 && self.random.below(2) == 0;
                partial.push(is_partial);
                if is_partial {
                    let mut blocks: Vec<bool> =
                        (0..size).map(|_| self.random.below(8) < self.density).collect();
                    if blocks.iter().all(|&coded| coded == blocks[0]) {
                        let index = self.random.below(size);
                        blocks[index] = !blocks[index];
                    }
                    flags.extend_from_slice(&blocks);
                    plane.extend(blocks);
                } else {
                    let is_full = self.random.below(8) < self.density;
                    full.push(is_full);
                    plane.extend(std::iter::repeat_n(is_full, size));
                }
            }
            coded.push(plane);
        }
        put_long_runs(out, &partial);
        put_long_runs(out, &full);
        put_short_runs(out, &flags);
        coded
    }

    /// Modes of the macro blocks with coded luma blocks; with each, how many.
    fn modes(&mut self, out: &mut BitWriter, luma: &[(usize, usize)], coded: &[bool]) -> Vec<(u32, usize)> {
        const SCHEMES: [[u32; 8]; 6] = [
            [3, 4, 2, 0, 1, 5, 6, 7],
            [3, 4, 0, 2, 1, 5, 6, 7],
            [3, 2, 4, 0, 1, 5, 6, 7],
            [3, 2, 0, 4, 1, 5, 6, 7],
            [0, 3, 4, 2, 1, 5, 6, 7],
            [0, 5, 3, 4, 2, 1, 6, 7],
        ];
        let scheme = self.random.below(8);
        out.put(scheme as u32, 3);
        let mut alphabet: Vec<u32> = (0..8).collect();
        match scheme {
            0 => {
                (1..8).for_each(|i| alphabet.swap(i, self.random.below(i + 1)));
                for mode in 0..8 {
                    out.put(alphabet.iter().position(|&other| other == mode).unwrap() as u32, 3);
                }
            }
            7 => {}
            _ => alphabet = SCHEMES[scheme - 1].to_vec(),
        }
        let (columns, rows) = self.macro_blocks;
        let mut modes = Vec::new();
        for y in (0..rows).step_by(2) {
            for x in (0..columns).step_by(2) {
                let curve = [(x, y), (x, y + 1), (x + 1, y + 1), (x + 1, y)];
                for (x, y) in curve.into_iter().filter(|&(x, y)| x < columns && y < rows) {
                    let inside = |&(bx, by): &(usize, usize)| bx / 2 == x && by / 2 == y;
                    let count =
                        luma.iter().zip(coded).filter(|(block, coded)| inside(block) && **coded).count();
                    if count == 0 {
                        continue;
                    }
                    let index = self.random.below(8);
                    match scheme {
                        7 => out.put(index as u32, 3),
                        _ if index == 7 => out.put(0x7F, 7),
                        _ => out.put((1 << (index + 1)) - 2, index as u32 + 1),
                    }
                    modes.push((alphabet[index], count));
                }
            }
        }
        modes
    }

    fn motion_vectors(&mut self, out: &mut BitWriter, modes: &[(u32, usize)]) {
        let fixed = self.random.below(2) as u32;
        out.put(fixed, 1);
        for &(mode, count) in modes {
            let vectors = match mode {
                2 | 6 => 1,
                7 => count,
                _ => 0,
            };
            for _ in 0..2 * vectors {
                let range = [3, 32][self.random.below(2)];
                let (magnitude, sign) = (self.random.below(range) as u32, self.random.below(2) as u32);
                let (bits, length) = match (fixed, magnitude) {
                    (1, _) => (magnitude << 1 | sign, 6),
                    (_, 0) => (0, 3),
                    (_, 1) => (1 + sign, 3),
                    (_, 2) => (0b0110 | sign, 4),
                    (_, 3) => (0b1000 | sign, 4),
                    (_, 4..=7) => (0b101000 | (magnitude - 4) << 1 | sign, 6),
                    (_, 8..=15) => (0b1100000 | (magnitude - 8) << 1 | sign, 7),
                    _ => (0b11100000 | (magnitude - 16) << 1 | sign, 8),
                };
                out.put(bits, length);
            }
        }
    }

    fn block_qi(&mut self, out: &mut BitWriter, mut blocks: usize, nqis: usize) {
        for _ in 1..nqis {
            let sticky = 1 + self.random.below(10);
            let mut bit = self.random.below(2) == 0;
            let mut higher = Vec::new();
            for _ in 0..blocks {
                bit ^= self.random.below(sticky) == 0;
                higher.push(bit);
            }
            put_long_runs(out, &higher);
            blocks = higher.iter().filter(|&&bit| bit).count();
        }
    }

    fn tokens(&mut self, out: &mut BitWriter, coded: &[Vec<bool>]) {
        let mut tis: Vec<Vec<usize>> =
            coded.iter().map(|plane| vec![0; plane.iter().filter(|&&coded| coded).count()]).collect();
        let (mut eobs, mut htis) = (0, [0; 2]);
        let eob_rate = 1 + self.random.below(6);
        for ti in 0..64 {
            if ti < 2 {
                htis = [self.random.below(16), self.random.below(16)];
                htis.iter().for_each(|&hti| out.put(hti as u32, 4));
            }
            let group = [0, 1, 6, 15, 28].iter().filter(|&&first| first <= ti).count() - 1;
            for pli in 0..3 {
                for block in 0..tis[pli].len() {
                    if tis[pli][block] != ti {
                        continue;
                    }
                    if eobs > 0 {
                        eobs -= 1;
                        tis[pli][block] = 64;
                        continue;
                    }
                    let live = tis.iter().flatten().filter(|&&ti| ti < 64).count();
                    let table = 16 * group + htis[usize::from(pli > 0)];
                    let (token, extra) = self.put_token(out, table, ti, live, eob_rate);
                    if token < 7 {
                        eobs = eob_run(token, extra, live) - 1;
                        tis[pli][block] = 64;
                    } else {
                        tis[pli][block] += meaning(token, extra).0;
                    }
                }
            }
        }
    }

    /// Puts a token that is legal for a block at `ti`, with `live` blocks to come.
    fn put_token(
        &mut self,
        out: &mut BitWriter,
        table: usize,
        ti: usize,
        live: usize,
        eob_rate: usize,
    ) -> (u32, u32) {
        for attempt in 0.. {
            let index = self.random.below(self.tables[table].len());
            let (bits, length, token) = self.tables[table][index];
            let extra = self.random.below(1 << EXTRA_BITS[token as usize]) as u32;
            let legal = if token < 7 {
                eob_run(token, extra, live) <= live && (attempt > 50 || self.random.below(eob_rate) == 0)
            } else {
                let (count, size) = meaning(token, extra);
                // DC coefficients add up from block to block.
                let max_value = if ti == 0 { (self.max_value / 4).max(1) } else { self.max_value };
                ti + count <= 64 && size <= max_value
            };
            if legal {
                out.put(bits, length);
                out.put(extra, EXTRA_BITS[token as usize]);
                return (token, extra);
            }
        }
        unreachable!("a token of every table is legal anywhere")
    }
}

fn eob_run(token: u32, extra: u32, live: usize) -> usize {
    match token {
        0..=2 => token as usize + 1,
        3..=5 => (4 << (token - 3)) + extra as usize,
        _ if extra == 0 => live,
        _ => extra as usize,
    }
}

fn header(header_type: u32) -> BitWriter {
    let mut out = BitWriter::new();
    out.put(header_type, 8);
    b"theora".iter().for_each(|&byte| out.put(byte.into(), 8));
    out
}

fn comment() -> Vec<u8> {
    let mut out = header(0x81);
    out.put(0, 32);
    out.put(0, 32);
    out.into_bytes()
}

/// Calls `put` for each run of equal bits.
fn for_runs(bits: &[bool], longest: usize, mut put: impl FnMut(bool, usize)) {
    let mut rest = bits;
    while !rest.is_empty() {
        let length = rest.iter().take_while(|&&bit| bit == rest[0]).count().min(longest);
        put(rest[0], length);
        rest = &rest[length..];
    }
}

fn put_long_runs(out: &mut BitWriter, bits: &[bool]) {
    let mut explicit = true;
    for_runs(bits, 4129, |bit, length| {
        if explicit {
            out.put(bit.into(), 1);
        }
        let length = length as u32;
        match length {
            1 => out.put(0, 1),
            2..=3 => out.put(0b10 << 1 | (length - 2), 3),
            4..=5 => out.put(0b110 << 1 | (length - 4), 4),
            6..=9 => out.put(0b1110 << 2 | (length - 6), 6),
            10..=17 => out.put(0b11110 << 3 | (length - 10), 8),
            18..=33 => out.put(0b111110 << 4 | (length - 18), 10),
            _ => out.put(0b111111 << 12 | (length - 34), 18),
        }
        explicit = length == 4129;
    });
}

fn put_short_runs(out: &mut BitWriter, bits: &[bool]) {
    let mut first = true;
    for_runs(bits, 30, |bit, length| {
        if first {
            out.put(bit.into(), 1);
        }
        first = false;
        let length = length as u32;
        match length {
            1..=2 => out.put(length - 1, 2),
            3..=4 => out.put(0b10 << 1 | (length - 3), 3),
            5..=6 => out.put(0b110 << 1 | (length - 5), 4),
            7..=10 => out.put(0b1110 << 2 | (length - 7), 6),
            11..=14 => out.put(0b11110 << 2 | (length - 11), 7),
            _ => out.put(0b11111 << 4 | (length - 15), 9),
        }
    });
}
