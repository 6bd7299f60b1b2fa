//! Which blocks of a frame are as they were in the frame before.

use crate::layout::PlaneLayout;
use crate::parse::{ParsedFrame, Reference};
use crate::stream::Stream;

/// Finds the blocks whose samples are those of the frame before, all planes in raster order: those that are not coded
/// and have no coded neighbour, whose loop filter would reach in.
pub(crate) fn find(unchanged: &mut [bool], frame: &ParsedFrame, stream: &Stream) {
    let filtered = stream.loop_filter_limit(&frame.header) > 0;
    for plane in &stream.layout.planes {
        let range = plane.range();
        find_plane(&mut unchanged[range.clone()], &frame.references[range], plane, filtered);
    }
}

fn find_plane(unchanged: &mut [bool], references: &[Reference], plane: &PlaneLayout, filtered: bool) {
    for (unchanged, &reference) in unchanged.iter_mut().zip(references) {
        *unchanged = reference == Reference::None;
    }
    if !filtered {
        return;
    }
    // The rows above and below. (Vector instructions do this better than branches.)
    for (unchanged, &below) in unchanged[plane.columns..].iter_mut().zip(references) {
        *unchanged &= below == Reference::None;
    }
    for (unchanged, &above) in unchanged.iter_mut().zip(&references[plane.columns..]) {
        *unchanged &= above == Reference::None;
    }
    let rows = unchanged.chunks_exact_mut(plane.columns).zip(references.chunks_exact(plane.columns));
    for (unchanged, references) in rows {
        for (unchanged, &left) in unchanged[1..].iter_mut().zip(references) {
            *unchanged &= left == Reference::None;
        }
        for (unchanged, &right) in unchanged.iter_mut().zip(&references[1..]) {
            *unchanged &= right == Reference::None;
        }
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
    /// In raster order from the bottom; none if all are unchanged.
    blocks: Option<&'a [bool]>,
}

impl<'a> UnchangedBlocks<'a> {
    /// Those of plane `pli` among the blocks of all planes; none if all are unchanged.
    pub(crate) fn new(stream: &Stream, pli: usize, blocks: Option<&'a [bool]>) -> Self {
        let plane = &stream.layout.planes[pli];
        let (x, y) = stream.picture_offset(pli);
        let blocks = blocks.map(|blocks| &blocks[plane.range()]);
        Self { columns: plane.columns, rows: plane.rows, x, y, blocks }
    }

    /// The blocks of a row, counted from the top; none if all are unchanged.
    ///
    /// # Panics
    /// If `row` is not below `rows`.
    #[must_use]
    pub fn row(&self, row: usize) -> Option<&'a [bool]> {
        assert!(row < self.rows, "row {row} of {}", self.rows);
        self.blocks.map(|blocks| &blocks[(self.rows - 1 - row) * self.columns..][..self.columns])
    }

    /// Whether a block is unchanged; rows count from the top.
    ///
    /// # Panics
    /// If `column` is not below `columns`, or `row` not below `rows`.
    #[must_use]
    pub fn get(&self, column: usize, row: usize) -> bool {
        assert!(column < self.columns, "column {column} of {}", self.columns);
        self.row(row).is_none_or(|blocks| blocks[column])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The blocks of a 4x4 plane that are not unchanged if only block 8 is coded: column 0, row 2 from the bottom.
    fn changed(filtered: bool) -> Vec<usize> {
        let mut references = [Reference::None; 16];
        references[8] = Reference::Golden;
        let mut map = [true; 16];
        find_plane(&mut map, &references, &PlaneLayout { columns: 4, rows: 4, first: 0 }, filtered);
        (0..16).filter(|&block| !map[block]).collect()
    }

    #[test]
    fn coded_blocks_change_their_neighbours_if_they_are_filtered() {
        assert_eq!(changed(true), [4, 8, 9, 12]);
        assert_eq!(changed(false), [8]);
    }

    #[test]
    fn rows_count_from_the_top() {
        let map = [false, true, true, true, true, true];
        let blocks = UnchangedBlocks { columns: 2, rows: 3, x: 0, y: 0, blocks: Some(&map) };
        assert!(!blocks.get(0, 2) && blocks.get(0, 0) && blocks.get(1, 2));
        assert_eq!(blocks.row(2), Some(&map[..2]));
        let all = UnchangedBlocks { blocks: None, ..blocks };
        assert!(all.get(0, 2) && all.row(2).is_none());
    }
}
