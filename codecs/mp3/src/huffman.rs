//! Noiseless coding of the quantised lines (11172-3, 2.4.1.7 and C.1.5.4.4.5 to 7): the split into regions, the choice
//! of tables, and the codes themselves.

use crate::header::{BlockType, GranuleInfo};
use crate::layout::{Layout, MAX_BANDS};
use crate::tables::{BIG_VALUE_TABLES, COUNT1_TABLES, LINES};
use oggflv_common::BitSink;

/// Magnitudes of the quantised lines of a granule.
pub(crate) type Quantized = [u16; LINES];

/// Tables that suit a region by its largest value: 0, 1, 2, 3, up to 5, up to 7, up to 15, beyond.
const CANDIDATES: [&[usize]; 8] =
    [&[], &[1], &[2, 3], &[5, 6], &[7, 8, 9], &[10, 11, 12], &[13, 15], &[16, 24]];
/// Index in [`CANDIDATES`] of the tables with linbits.
const ESCAPE: usize = 7;
/// Bits of a field of a packed sum: a region of 288 pairs takes less than 2^16 bits.
const FIELD: u32 = 16;

/// Bit counts of all tables, so that one look-up counts a pair with all candidates at once.
pub(crate) struct Huffman {
    /// `[candidates][x * 16 + y]`: bits with each candidate, signs included, in fields of 16 bits. For the tables with
    /// linbits x and y stand for at most 15, and the third field counts how many linbits fields follow.
    pairs: [[u64; 256]; 8],
    /// Bits of a quadruple with table A, and with table B above bit 16.
    quadruples: [u32; 16],
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

/// What the lines of one scalefactor band cost.
#[derive(Clone, Copy, Default)]
struct BandCost {
    /// Index in [`CANDIDATES`] of the smallest tables that suffice.
    class: usize,
    largest: u32,
    /// Packed bit counts by class, those below `class` unused.
    packed: [u64; 8],
}

impl Huffman {
    pub(crate) fn new() -> Self {
        let pair = |class: usize, x: usize, y: usize| {
            let signs = u64::from(x > 0) + u64::from(y > 0);
            let mut packed = 0;
            for (field, &table) in CANDIDATES[class].iter().enumerate() {
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
            pairs: std::array::from_fn(|class| std::array::from_fn(|i| pair(class, i / 16, i % 16))),
            quadruples: std::array::from_fn(|i| {
                let signs = (i as u32).count_ones();
                (COUNT1_TABLES[0][i].1 + signs) | (COUNT1_TABLES[1][i].1 + signs) << FIELD
            }),
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

    /// Packed bits of each pair, by [`pair_index`](Self::pair_index), with the tables that suit values up to `largest`.
    pub(crate) fn pair_table(&self, largest: u16) -> &[u64; 256] {
        &self.pairs[class(u32::from(largest))]
    }

    /// Place of a pair in a table.
    #[inline(always)]
    pub(crate) fn pair_index(pair: &[u16]) -> usize {
        usize::from(pair[0].min(15) << 4 | pair[1].min(15))
    }

    /// Bits that a band costs by itself: `packed` is the sum of its pairs.
    pub(crate) fn band_bits(&self, values: &[u16], largest: u32, packed: u64) -> u32 {
        let pairs = cheapest(class(largest), largest, packed).0;
        if largest > 1 {
            return pairs;
        }
        // Perhaps in the count1 region.
        let quadruples = values.chunks_exact(4);
        let rest = quadruples.remainder();
        let rest = if rest.is_empty() { 0 } else { self.quadruple(&[rest[0], rest[1], 0, 0]) };
        let quadruples = rest + quadruples.map(|q| self.quadruple(q)).sum::<u32>();
        pairs.min(quadruples & 0xFFFF).min(quadruples >> FIELD)
    }

    /// Packed bits of values, which the tables of a class can hold.
    fn pair_bits(&self, values: &[u16], class: usize) -> u64 {
        let table = &self.pairs[class];
        values.chunks_exact(2).map(|pair| table[Self::pair_index(pair)]).sum()
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
        let mut costs = [BandCost::default(); MAX_BANDS];
        let count = (0..layout.bands).take_while(|&band| layout.first_line(band) < big_end).count();
        let costs = &mut costs[..count];
        let band_lines = |band: usize| {
            let range = layout.lines(band);
            &lines[range.start..range.end.min(big_end)]
        };
        for (band, cost) in costs.iter_mut().enumerate() {
            cost.largest = u32::from(band_lines(band).iter().copied().max().unwrap_or(0));
            cost.class = class(cost.largest);
        }
        let classes = costs.iter().fold(0, |all, cost| all | 1u32 << cost.class);
        for (band, cost) in costs.iter_mut().enumerate() {
            for class in cost.class.max(1)..8 {
                if classes >> class & 1 == 1 {
                    cost.packed[class] = self.pair_bits(band_lines(band), class);
                }
            }
        }
        if block_type != BlockType::Long {
            let (low, high) = costs.split_at(layout.first_region.min(count));
            let regions = [region(low), region(high)];
            coding.bits += regions[0].0 + regions[1].0;
            coding.table_select = [regions[0].1, regions[1].1, 0];
            return;
        }
        // The cheapest last two regions for each end of the first one, then the cheapest first one.
        let mut best = (u32::MAX, 1, 1, [0; 3]);
        for first in 1..=count.min(16) {
            let (bits0, table0) = region(&costs[..first]);
            for second in 1..=(count - first).clamp(1, 8) {
                let end = (first + second).min(count);
                if first + second > layout.bands {
                    continue;
                }
                let (bits1, table1) = region(&costs[first..end]);
                if bits0 + bits1 >= best.0 {
                    continue;
                }
                let (bits2, table2) = region(&costs[end..]);
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

/// Bits of a region of whole bands with its best table, and that table.
fn region(bands: &[BandCost]) -> (u32, u32) {
    let class = bands.iter().map(|band| band.class).max().unwrap_or(0);
    let largest = bands.iter().map(|band| band.largest).max().unwrap_or(0);
    cheapest(class, largest, bands.iter().map(|band| band.packed[class]).sum())
}

/// The least of packed bit counts, and the table it belongs to.
fn cheapest(class: usize, largest: u32, packed: u64) -> (u32, u32) {
    let field = |i: usize| (packed >> (FIELD * i as u32)) as u32 & 0xFFFF;
    if class == ESCAPE {
        let escapes = field(2);
        let [low, high] = [(16, 0), (24, 1)].map(|(first, i)| {
            let (table, linbits) = escape_table(first, largest);
            (field(i) + escapes * linbits, table)
        });
        return low.min(high);
    }
    CANDIDATES[class].iter().enumerate().map(|(i, &table)| (field(i), table as u32)).min().unwrap_or_default()
}

/// The first table from `first` (16 or 24) on whose linbits hold `largest`, and their number.
fn escape_table(first: u32, largest: u32) -> (u32, u32) {
    (first..first + 8)
        .filter_map(|table| BIG_VALUE_TABLES[table as usize].map(|(_, linbits)| (table, linbits)))
        .find(|&(_, linbits)| largest < 15 + (1 << linbits))
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
                out.put(u32::from(codes.codes[code]), u32::from(codes.lengths[code]));
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
        let quadruple = &lines[i..i + 4];
        let (code, length) = COUNT1_TABLES[info.count1table_select as usize]
            [quadruple.iter().fold(0, |bits, &value| bits << 1 | usize::from(value))];
        out.put(code, length);
        for (k, &value) in quadruple.iter().enumerate() {
            if value > 0 {
                out.put(u32::from(negative(i + k)), 1);
            }
        }
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
