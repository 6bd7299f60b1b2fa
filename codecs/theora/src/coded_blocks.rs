//! Coded block flags (Theora specification, 7.3).

use oggflv_common::BitReader;

use crate::layout::Layout;
use crate::motion::MotionVector;
use crate::parse::{ParsedFrame, Reference};
use crate::runs::BitString;

/// Marks every block as coded, as all are in intra frames.
pub(crate) fn code_all(frame: &mut ParsedFrame, layout: &Layout) {
    frame.references.fill(Reference::Intra);
    frame.coded.clear();
    frame.coded.extend_from_slice(&layout.coded_order);
    frame.find_coded(layout);
}

/// Reads which blocks of an inter frame are coded. They are taken to be INTER_NOMV until their mode is known.
pub(crate) fn read(reader: &mut BitReader<'_>, frame: &mut ParsedFrame, layout: &Layout) {
    let count = layout.super_blocks.len() - 1;
    frame.super_blocks.clear();
    let mut partial = BitString::long();
    while frame.super_blocks.len() < count {
        let (bit, length) = partial.next_run(reader, count - frame.super_blocks.len());
        let super_block = if bit { SuperBlock::Partial } else { SuperBlock::Uncoded };
        frame.super_blocks.extend(std::iter::repeat_n(super_block, length));
    }
    let mut full = BitString::long();
    for super_block in
        frame.super_blocks.iter_mut().filter(|super_block| **super_block != SuperBlock::Partial)
    {
        if full.next(reader) {
            *super_block = SuperBlock::Full;
        }
    }

    frame.references.fill(Reference::None);
    frame.coded.clear();
    let mut flags = BitString::short();
    for (super_block, bounds) in frame.super_blocks.iter().zip(layout.super_blocks.windows(2)) {
        let mut blocks = &layout.coded_order[bounds[0] as usize..bounds[1] as usize];
        match super_block {
            SuperBlock::Uncoded => {}
            SuperBlock::Full => frame.coded.extend_from_slice(blocks),
            SuperBlock::Partial => {
                while !blocks.is_empty() {
                    let (coded, length) = flags.next_run(reader, blocks.len());
                    let (run, rest) = blocks.split_at(length);
                    if coded {
                        frame.coded.extend_from_slice(run);
                    }
                    blocks = rest;
                }
            }
        }
    }
    for &block in &frame.coded {
        frame.references[block as usize] = Reference::Previous;
        frame.vectors[block as usize] = MotionVector::default();
    }
    frame.find_coded(layout);
}

/// How much of a super block is coded: SBPCODED and SBFCODED.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SuperBlock {
    /// No block.
    Uncoded,
    /// Some blocks, each with a flag.
    Partial,
    /// Every block.
    Full,
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::PixelFormat;

    #[test]
    fn super_blocks_are_uncoded_partial_or_full() {
        // 64x32: two luma super blocks of 16 blocks, one each of 8 for Cb and Cr.
        let layout = Layout::new(PixelFormat::Yuv420, 64, 32);
        let mut frame = ParsedFrame::new(&layout);
        // Partial: 0, 1, 0, 0 as runs 1 (0), 1 (0), 2 (100). Full among the rest: 1, 0, 1 as runs of one.
        // Flags of the partial one: 15 zeros (11111 0000), then a one (0 0).
        let bits = 0b0_0_0_100_1_0_0_0_0_11111_0000_0_0u32;
        let data = (bits << (32 - 22)).to_be_bytes();
        let mut reader = BitReader::new(&data);
        read(&mut reader, &mut frame, &layout);
        assert_eq!(reader.position(), 22);
        let mut expected: Vec<u32> = layout.coded_order[..16].to_vec();
        expected.push(layout.coded_order[31]);
        expected.extend(40..48);
        assert_eq!(frame.coded[..17], expected[..17]);
        let mut cr = frame.coded[17..].to_vec();
        cr.sort_unstable();
        assert_eq!(cr, expected[17..]);
        assert_eq!(frame.plane_starts, [0, 17, 17, 25]);
        let marked = frame.references.iter().filter(|&&reference| reference != Reference::None).count();
        assert_eq!(marked, 25);
    }
}
