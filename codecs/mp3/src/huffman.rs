//! Noiseless coding of the quantised lines (11172-3, 2.4.1.7 and C.1.5.4.4.5 to 7): the split into regions, the choice
//! of tables, and the codes themselves.

use crate::header::{BlockType, GranuleInfo};
use crate::layout::{Layout, MAX_BANDS};
use crate::tables::{BIG_VALUE_TABLES, COUNT1_TABLES, LINES};
use oggflv_common::BitSink;

/// Magnitudes of the quantised lines of a granule.
pub(crate) type Quantized = [u16; LINES];

/// Tables that suit a region by its largest value: 0, 1, 2, 3, up to 5, up to 7, up to 15, beyond. Each is followed by
/// itself where there is no other.
const CANDIDATES: [[usize; 3]; CLASSES] =
    [[0; 3], [1; 3], [2, 3, 3], [5, 6, 6], [7, 8, 9], [10, 11, 12], [13, 15, 15], [16, 24, 0]];
const CLASSES: usize = 8;
/// Index in [`CANDIDATES`] of the tables with linbits.
const ESCAPE: usize = 7;
/// Bits of a field of a packed sum: a region of 288 pairs takes less than 2^16 bits.
const FIELD: u32 = 16;

/// Packed bit counts by class of tables.
type Packed = [u64; CLASSES];

/// Bit counts of all tables, so that one look-up counts a pair with all of them at once.
pub(crate) struct Huffman {
    /// `[x * 16 + y][class]`: bits with each candidate, signs included, in fields of 16 bits. For the tables with
    /// linbits x and y stand for at most 15, and the third field counts how many linbits fields follow.
    pairs: [Packed; 256],
    /// The same as `[class][x * 16 + y]`.
    pairs_by_class: [[u64; 256]; CLASSES],
    /// Bits of a quadruple with table A, and with table B above bit 16.
    quadruples: [u32; 16],
    /// Tables with linbits and their number, two of them for each number of bits that the largest value less 15 has.
    escapes: [[(u32, u32); 2]; 14],
}

/// How the lines of a granule are coded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Coding {
    /// Huffman bits, signs and linbits included.
    pub(crate) bits: u32,
    pub(crate) big_values: u32,
    pub(crate) table_select: [u32; 3],
    pub(crate) region0_count: u32,
    pub(crate) region1_count: u32,
    pub(crate) count1table_select: u32,
}

/// What the lines of one scalefactor band need.
#[derive(Clone, Copy, Default)]
struct Region {
    /// Index in [`CANDIDATES`] of the smallest tables that suffice.
    class: usize,
    largest: u32,
}

impl Region {
    fn new(largest: u32) -> Self {
        Self { class: class(largest), largest }
    }

    fn with(self, other: Self) -> Self {
        Self { class: self.class.max(other.class), largest: self.largest.max(other.largest) }
    }
}

/// The bands below `big_end`, and packed bit counts of all lines before each of them and of all lines.
struct Bands {
    needs: [Region; MAX_BANDS],
    before: [Packed; MAX_BANDS + 1],
    count: usize,
}

impl Huffman {
    pub(crate) fn new() -> Self {
        let pair = |class: usize, x: usize, y: usize| {
            let signs = u64::from(x > 0) + u64::from(y > 0);
            let mut packed = 0;
            for (field, table) in CANDIDATES[class].into_iter().enumerate() {
                let Some((codes, _)) = BIG_VALUE_TABLES[table] else { continue };
                if x < codes.size && y < codes.size {
                    packed |=
                        (u64::from(codes.lengths[x * codes.size + y]) + signs) << (FIELD * field as u32);
                }
            }
            if class == ESCAPE {
                packed |= (u64::from(x == 15) + u64::from(y == 15)) << (2 * FIELD);
            }
            packed
        };
        Self {
            pairs: std::array::from_fn(|i| std::array::from_fn(|class| pair(class, i / 16, i % 16))),
            pairs_by_class: std::array::from_fn(|class| std::array::from_fn(|i| pair(class, i / 16, i % 16))),
            quadruples: std::array::from_fn(|i| {
                let signs = (i as u32).count_ones();
                (COUNT1_TABLES[0][i].1 + signs) | (COUNT1_TABLES[1][i].1 + signs) << FIELD
            }),
            escapes: std::array::from_fn(|bits| [16, 24].map(|first| escape_table(first, bits as u32))),
        }
    }

    /// The cheapest coding of the lines.
    pub(crate) fn choose(&self, lines: &Quantized, layout: &Layout, block_type: BlockType) -> Coding {
        let (big_end, count1_end) = partition(lines);
        let mut coding = Coding { big_values: big_end as u32 / 2, ..Coding::default() };
        let quadruples: u32 = lines[big_end..count1_end].chunks_exact(4).map(|q| self.quadruple(q)).sum();
        let (a, b) = (quadruples & 0xFFFF, quadruples >> FIELD);
        coding.count1table_select = u32::from(b < a);
        coding.bits = a.min(b);
        if big_end > 0 {
            self.choose_regions(lines, layout, block_type, big_end, &mut coding);
        }
        coding
    }

    /// Bits of four values of at most 1 with table A, and with table B above bit 16.
    fn quadruple(&self, values: &[u16]) -> u32 {
        self.quadruples[usize::from(values[0] << 3 | values[1] << 2 | values[2] << 1 | values[3])]
    }

    /// Bits that the pairs of values of a band, up to `largest`, cost by themselves.
    pub(crate) fn band_bits(&self, pairs: &[u8], largest: u32) -> u32 {
        let needs = Region::new(largest);
        let lengths = &self.pairs_by_class[needs.class];
        let packed = pairs.iter().map(|&pair| lengths[usize::from(pair)]).sum();
        let bits = self.cheapest(needs, packed).0;
        if largest > 1 {
            return bits;
        }
        // Perhaps in the count1 region.
        let two_bits = |pair: u8| usize::from((pair >> 3 | pair) & 3);
        let quadruples = pairs.chunks(2).map(|pairs| match *pairs {
            [first, second] => self.quadruples[two_bits(first) << 2 | two_bits(second)],
            _ => self.quadruples[two_bits(pairs[0]) << 2],
        });
        let quadruples: u32 = quadruples.sum();
        bits.min(quadruples & 0xFFFF).min(quadruples >> FIELD)
    }

    /// Adds the three regions of `lines[..big_end]` to `coding`, split so that they cost least.
    fn choose_regions(
        &self,
        lines: &Quantized,
        layout: &Layout,
        block_type: BlockType,
        big_end: usize,
        coding: &mut Coding,
    ) {
        let bands = self.bands(lines, layout, big_end);
        let count = bands.count;
        if block_type != BlockType::Long {
            let first = layout.first_region.min(count);
            let regions = [self.region(&bands, 0, first), self.region(&bands, first, count)];
            coding.bits += regions[0].0 + regions[1].0;
            coding.table_select = [regions[0].1, regions[1].1, 0];
            return;
        }
        // The last region by its first band.
        let mut last = [(0, 0); MAX_BANDS + 1];
        let mut needs = Region::default();
        for start in (0..count).rev() {
            needs = needs.with(bands.needs[start]);
            last[start] = self.cheapest(needs, bands.packed(needs.class, start, count));
        }
        let mut best = (u32::MAX, 1, 1, [0; 3]);
        let mut needs0 = Region::default();
        for first in 1..=count.min(16) {
            needs0 = needs0.with(bands.needs[first - 1]);
            let (bits0, table0) = self.cheapest(needs0, bands.packed(needs0.class, 0, first));
            if bits0 >= best.0 {
                break;
            }
            let mut needs1 = Region::default();
            for second in 1..=(count - first).clamp(1, 8).min(layout.bands - first) {
                let end = (first + second).min(count);
                if first < end {
                    needs1 = needs1.with(bands.needs[end - 1]);
                }
                let (bits1, table1) = self.cheapest(needs1, bands.packed(needs1.class, first, end));
                if bits0 + bits1 >= best.0 {
                    break;
                }
                let (bits2, table2) = last[end];
                if bits0 + bits1 + bits2 < best.0 {
                    best = (bits0 + bits1 + bits2, first, second, [table0, table1, table2]);
                }
            }
        }
        coding.bits += best.0;
        coding.region0_count = best.1 as u32 - 1;
        coding.region1_count = best.2 as u32 - 1;
        coding.table_select = best.3;
    }

    /// What the bands of `lines[..big_end]` need and cost.
    fn bands(&self, lines: &Quantized, layout: &Layout, big_end: usize) -> Bands {
        let mut bands =
            Bands { needs: [Region::default(); MAX_BANDS], before: [[0; CLASSES]; MAX_BANDS + 1], count: 0 };
        while bands.count < layout.bands && layout.first_line(bands.count) < big_end {
            let range = layout.lines(bands.count);
            let lines = &lines[range.start..range.end.min(big_end)];
            let mut packed = bands.before[bands.count];
            let mut largest = 0;
            for pair in lines.chunks_exact(2) {
                largest = largest.max(pair[0]).max(pair[1]);
                for (packed, bits) in packed.iter_mut().zip(&self.pairs[pair_index(pair)]) {
                    *packed += bits;
                }
            }
            bands.needs[bands.count] = Region::new(u32::from(largest));
            bands.count += 1;
            bands.before[bands.count] = packed;
        }
        bands
    }

    /// Bits of the bands from `first` to `end` with their best table, and that table.
    fn region(&self, bands: &Bands, first: usize, end: usize) -> (u32, u32) {
        let needs = bands.needs[first..end].iter().fold(Region::default(), |all, &band| all.with(band));
        self.cheapest(needs, bands.packed(needs.class, first, end))
    }

    /// The least of packed bit counts, and the table it belongs to.
    #[inline]
    fn cheapest(&self, needs: Region, packed: u64) -> (u32, u32) {
        let field = |i: u32| (packed >> (FIELD * i)) as u32 & 0xFFFF;
        let tables = CANDIDATES[needs.class];
        match needs.class {
            0 => (0, 0),
            1 => (field(0), 1),
            ESCAPE => {
                let bits = u32::BITS - (needs.largest - 15).leading_zeros();
                let [low, high] = self.escapes[bits as usize];
                let escapes = field(2);
                (field(0) + escapes * low.1, low.0).min((field(1) + escapes * high.1, high.0))
            }
            2 | 3 | 6 => (field(0), tables[0] as u32).min((field(1), tables[1] as u32)),
            _ => (field(0), tables[0] as u32)
                .min((field(1), tables[1] as u32))
                .min((field(2), tables[2] as u32)),
        }
    }
}

impl Bands {
    /// Packed bits of the bands from `first` to `end` with tables of a class.
    fn packed(&self, class: usize, first: usize, end: usize) -> u64 {
        self.before[end][class] - self.before[first][class]
    }
}

/// Place of a pair among those of [`Huffman::pairs`].
#[inline(always)]
fn pair_index(pair: &[u16]) -> usize {
    usize::from(pair[0].min(15) << 4 | pair[1].min(15))
}

/// Ends of the big-values region and of the count1 region: behind the last line that is not zero, up to an even
/// number, and before the quadruples of values of at most 1 that end there.
fn partition(lines: &Quantized) -> (usize, usize) {
    let mut count1_end = LINES;
    while count1_end > 0 && lines[count1_end - 1] == 0 && lines[count1_end - 2] == 0 {
        count1_end -= 2;
    }
    let mut big_end = count1_end;
    while big_end >= 4 && lines[big_end - 4..big_end].iter().all(|&value| value <= 1) {
        big_end -= 4;
    }
    (big_end, count1_end)
}

/// Index in [`CANDIDATES`] by the largest value of a region.
fn class(largest: u32) -> usize {
    match largest {
        0..4 => largest as usize,
        4..6 => 4,
        6..8 => 5,
        8..16 => 6,
        _ => ESCAPE,
    }
}

/// The first table from `first` (16 or 24) on with at least `bits` linbits, and their number.
fn escape_table(first: u32, bits: u32) -> (u32, u32) {
    (first..first + 8)
        .filter_map(|table| BIG_VALUE_TABLES[table as usize].map(|(_, linbits)| (table, linbits)))
        .find(|&(_, linbits)| bits <= linbits)
        .unwrap_or((first + 7, 13))
}

/// Writes the lines as `info` says; `negative` tells the sign of a line.
pub(crate) fn write(
    lines: &Quantized,
    negative: impl Fn(usize) -> bool,
    info: &GranuleInfo,
    layout: &Layout,
    out: &mut impl BitSink,
) {
    let big_end = info.big_values as usize * 2;
    let bands = if info.block_type == BlockType::Long {
        let first = info.region0_count as usize + 1;
        [first, first + info.region1_count as usize + 1]
    } else {
        [layout.first_region, layout.bands]
    };
    let ends = [layout.first_line(bands[0]).min(big_end), layout.first_line(bands[1]).min(big_end), big_end];
    let mut first = 0;
    for (end, table) in ends.into_iter().zip(info.table_select) {
        if let Some((codes, linbits)) = BIG_VALUE_TABLES[table as usize] {
            for i in (first..end).step_by(2) {
                let [x, y] = [lines[i], lines[i + 1]].map(u32::from);
                let limit = if linbits > 0 { 15 } else { codes.size as u32 - 1 };
                let code = (x.min(limit) * codes.size as u32 + y.min(limit)) as usize;
                let (length, code) = (u32::from(codes.lengths[code]), u32::from(codes.codes[code]));
                if x < 15 && y < 15 {
                    let [first, second] = [x, y].map(|value| u32::from(value > 0));
                    let signs =
                        (u32::from(negative(i)) & first) << second | u32::from(negative(i + 1)) & second;
                    let count = first + second;
                    out.put(code << count | signs, length + count);
                    continue;
                }
                out.put(code, length);
                for (i, value) in [(i, x), (i + 1, y)] {
                    if linbits > 0 && value >= 15 {
                        out.put(value - 15, linbits);
                    }
                    if value > 0 {
                        out.put(u32::from(negative(i)), 1);
                    }
                }
            }
        }
        first = end;
    }
    let count1_end = partition(lines).1;
    for i in (big_end..count1_end).step_by(4) {
        let (mut quadruple, mut signs) = (0, 0);
        for i in i..i + 4 {
            quadruple = quadruple << 1 | usize::from(lines[i]);
            signs = signs << lines[i] | u32::from(negative(i)) & u32::from(lines[i]);
        }
        let (code, length) = COUNT1_TABLES[info.count1table_select as usize][quadruple];
        let count = quadruple.count_ones();
        out.put(code << count | signs, length + count);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::BitCounter;

    /// Lines that fall from `peak` with frequency, with some noise; the last `zeros` are zero.
    fn lines(peak: u32, zeros: usize, seed: u32) -> Quantized {
        let mut state = seed;
        std::array::from_fn(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let envelope = peak * (LINES - i) as u32 / LINES as u32;
            if i + zeros >= LINES { 0 } else { ((state >> 16) % (envelope + 1)) as u16 }
        })
    }

    #[test]
    fn measured_and_written_bits_agree() {
        let huffman = Huffman::new();
        for (block_type, layout) in BlockType::ALL
            .map(|t| (t, if t == BlockType::Short { Layout::short(0) } else { Layout::long(0) }))
        {
            for peak in [0, 1, 2, 3, 5, 7, 12, 15, 16, 30, 100, 1000, 8206] {
                for zeros in [0, 1, 7, 300, 570, 573, 576] {
                    let lines = lines(peak, zeros, peak + zeros as u32);
                    let coding = huffman.choose(&lines, &layout, block_type);
                    let info = GranuleInfo {
                        block_type,
                        big_values: coding.big_values,
                        table_select: coding.table_select,
                        region0_count: coding.region0_count,
                        region1_count: coding.region1_count,
                        count1table_select: coding.count1table_select,
                        ..GranuleInfo::default()
                    };
                    let mut counter = BitCounter::new();
                    write(&lines, |i| i % 3 == 0, &info, &layout, &mut counter);
                    assert_eq!(counter.bits(), u64::from(coding.bits), "peak {peak}, {zeros} zeros");
                    assert!(
                        coding.big_values <= 288 && coding.region0_count < 16 && coding.region1_count < 8
                    );
                    assert!(coding.region0_count + coding.region1_count + 2 <= 22 || coding.big_values == 0);
                }
            }
        }
    }

    #[test]
    fn no_split_into_regions_is_cheaper() {
        let huffman = Huffman::new();
        let lines = lines(28, 100, 5);
        let layout = Layout::long(0);
        let coding = huffman.choose(&lines, &layout, BlockType::Long);
        for region0_count in 0..16 {
            for region1_count in 0..8.min(21 - region0_count) {
                for tables in [[24, 13, 15], [24, 24, 13], [19, 24, 24]] {
                    let info = GranuleInfo {
                        big_values: coding.big_values,
                        table_select: tables,
                        region0_count,
                        region1_count,
                        count1table_select: coding.count1table_select,
                        ..GranuleInfo::default()
                    };
                    // Only tables that can hold the region.
                    let end0 = layout.first_line(region0_count as usize + 1);
                    let end1 = layout.first_line((region0_count + region1_count) as usize + 2);
                    let holds = |lines: &[u16], table: u32| table >= 16 || lines.iter().all(|&v| v <= 15);
                    if holds(&lines[end0..end1], tables[1]) && holds(&lines[end1..], tables[2]) {
                        let mut counter = BitCounter::new();
                        write(&lines, |_| false, &info, &layout, &mut counter);
                        assert!(counter.bits() >= u64::from(coding.bits));
                    }
                }
            }
        }
    }
}
