//! Block-level `qi` (Theora specification, 7.6).

use oggflv_common::BitReader;

use crate::parse::ParsedFrame;
use crate::runs::BitString;

/// Reads which of the frame's `qi` values each coded block uses for its AC coefficients.
pub(crate) fn read(reader: &mut BitReader<'_>, frame: &mut ParsedFrame) {
    let ParsedFrame { qiis, coded, beyond_first_qi, .. } = frame;
    qiis.fill(0);
    beyond_first_qi.clear();
    if frame.header.nqis > 1 {
        for_set_runs(reader, coded, |run| {
            run.iter().for_each(|&block| qiis[block as usize] = 1);
            beyond_first_qi.extend_from_slice(run);
        });
    }
    if frame.header.nqis > 2 {
        for_set_runs(reader, beyond_first_qi, |run| {
            run.iter().for_each(|&block| qiis[block as usize] = 2);
        });
    }
}

/// Reads a bit for each block, and hands out the runs of those whose bits are set.
fn for_set_runs(reader: &mut BitReader<'_>, mut blocks: &[u32], mut take: impl FnMut(&[u32])) {
    let mut bits = BitString::long();
    while !blocks.is_empty() {
        let (bit, length) = bits.next_run(reader, blocks.len());
        let (run, rest) = blocks.split_at(length);
        if bit {
            take(run);
        }
        blocks = rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::coded_blocks::code_all;
    use crate::layout::Layout;
    use oggflv_common::PixelFormat;

    #[test]
    fn each_pass_divides_the_rest() {
        let layout = Layout::new(PixelFormat::Yuv420, 16, 16);
        let mut frame = ParsedFrame::new(&layout);
        code_all(&mut frame, &layout);
        frame.header.nqis = 3;
        // Six blocks: 0 1 1 1 1 0, of whose four the second pass makes 1 1 2 2.
        let bits = 0b0_0_1100_0__0_100_100u32;
        let data = (bits << (32 - 14)).to_be_bytes();
        let mut reader = BitReader::new(&data);
        read(&mut reader, &mut frame);
        assert_eq!(reader.position(), 14);
        let qiis: Vec<u8> = frame.coded.iter().map(|&block| frame.qiis[block as usize]).collect();
        assert_eq!(qiis, [0, 1, 1, 2, 2, 0]);
    }
}
