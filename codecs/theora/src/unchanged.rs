//! Which blocks of a frame are as they were in the frame before.

use crate::masks;
use crate::parse::ParsedFrame;
use crate::stream::Stream;

/// Which blocks are unchanged, for each plane row by row from the bottom. Bits behind the last block of a row mean nothing.
pub(crate) type UnchangedMasks = [Vec<u64>; 3];

/// Finds the blocks whose samples are those of the frame before: those that are not coded and have no coded neighbour,
/// whose loop filter would reach in.
pub(crate) fn find(unchanged: &mut UnchangedMasks, frame: &ParsedFrame, stream: &Stream) {
    let filtered = stream.loop_filter_limit(&frame.header) > 0;
    for ((unchanged, coded), plane) in unchanged.iter_mut().zip(&frame.coded_masks).zip(&stream.layout.planes)
    {
        unchanged.clear();
        if filtered {
            find_filtered(unchanged, coded, plane.masks_in_row());
        } else {
            unchanged.extend(coded.iter().map(|mask| !mask));
        }
    }
}

fn find_filtered(unchanged: &mut Vec<u64>, coded: &[u64], masks_in_row: usize) {
    let none = vec![0; masks_in_row];
    let mut rows = coded.chunks_exact(masks_in_row).peekable();
    let mut below = &none[..];
    while let Some(row) = rows.next() {
        let above = rows.peek().copied().unwrap_or(&none);
        unchanged.extend((0..masks_in_row).map(|index| {
            let left = row[index] << 1 | row[..index].last().map_or(0, |mask| mask >> 63);
            let right = row[index] >> 1 | row.get(index + 1).map_or(0, |mask| mask << 63);
            !(row[index] | left | right | below[index] | above[index])
        }));
        below = row;
    }
}

/// Which blocks of 8x8 samples of a plane are, sample for sample, as they were in the picture of the packet before.
#[derive(Clone, Copy, Debug)]
pub struct UnchangedBlocks<'a> {
    /// Blocks in a row.
    pub columns: usize,
    /// Rows of blocks.
    pub rows: usize,
    /// How many samples the picture region starts to the right of the first block's left edge. Blocks are eight samples
    /// wide and high; those at the edges may lie outside the picture region in part or wholly.
    pub x: usize,
    /// How many rows of samples the picture region starts below the first block's top edge.
    pub y: usize,
    /// Row by row from the bottom; none if all are unchanged.
    masks: Option<&'a [u64]>,
}

impl<'a> UnchangedBlocks<'a> {
    /// Those of plane `pli`; none if all are unchanged.
    pub(crate) fn new(stream: &Stream, pli: usize, masks: Option<&'a UnchangedMasks>) -> Self {
        let plane = &stream.layout.planes[pli];
        let (x, y) = stream.picture_offset(pli);
        Self { columns: plane.columns, rows: plane.rows, x, y, masks: masks.map(|masks| &masks[pli][..]) }
    }

    /// The blocks of a row, counted from the top, as the bits of words: a bit is set if the block is unchanged, and bit i of
    /// word w stands for column 64 w + i. Bits behind the last column mean nothing. None if all are unchanged.
    ///
    /// # Panics
    /// If `row` is not below `rows`.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<&'a [u64]> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        let masks_in_row = self.columns.div_ceil(masks::BLOCKS);
        self.masks.map(|masks| &masks[(self.rows - 1 - row) * masks_in_row..][..masks_in_row])
    }

    /// Whether a block is unchanged; rows count from the top.
    ///
    /// # Panics
    /// If `column` is not below `columns`, or `row` not below `rows`.
    #[must_use]
    pub fn get(&self, column: usize, row: usize) -> bool {
        assert!(column < self.columns, "column {column} of {}", self.columns);
        let bit = |masks: &[u64]| masks[column / masks::BLOCKS] >> (column % masks::BLOCKS) & 1 == 1;
        self.row(row).is_none_or(bit)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of a plane of 4 rows and 66 columns that are not unchanged if only one is coded, at a column and row from the
    /// bottom.
    fn changed(column: usize, row: usize) -> Vec<(usize, usize)> {
        let mut coded = [0; 8];
        coded[2 * row + column / 64] = 1 << (column % 64);
        let mut unchanged = Vec::new();
        find_filtered(&mut unchanged, &coded, 2);
        let is_changed =
            |&(column, row): &(usize, usize)| unchanged[2 * row + column / 64] >> (column % 64) & 1 == 0;
        (0..4).flat_map(|row| (0..66).map(move |column| (column, row))).filter(is_changed).collect()
    }

    #[test]
    fn coded_blocks_change_their_neighbours() {
        assert_eq!(changed(0, 2), [(0, 1), (0, 2), (1, 2), (0, 3)]);
        assert_eq!(changed(63, 0), [(62, 0), (63, 0), (64, 0), (63, 1)]);
        assert_eq!(changed(64, 3), [(64, 2), (63, 3), (64, 3), (65, 3)]);
    }

    #[test]
    fn rows_count_from_the_top() {
        let masks = [0b10, 0b11, 0b11];
        let blocks = UnchangedBlocks { columns: 2, rows: 3, x: 0, y: 0, masks: Some(&masks) };
        assert!(!blocks.get(0, 2) && blocks.get(0, 0) && blocks.get(1, 2));
        assert_eq!(blocks.row(2), Some(&masks[..1]));
        let all = UnchangedBlocks { masks: None, ..blocks };
        assert!(all.get(0, 2) && all.row(2).is_none());
    }
}
