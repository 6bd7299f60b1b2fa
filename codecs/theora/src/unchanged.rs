//! Which blocks of a frame are as they were in the frame before.

use crate::layout::{Layout, PlaneLayout};
use crate::parse::{ParsedFrame, Reference};

/// Finds the blocks whose samples are those of the frame before, all planes in raster order: those that are not coded
/// and have no coded neighbour, whose loop filter would reach in.
pub(crate) fn find(unchanged: &mut [bool], frame: &ParsedFrame, layout: &Layout, filtered: bool) {
    for plane in &layout.planes {
        let range = plane.first..plane.first + plane.blocks();
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

/// Which blocks of a plane are, sample for sample, as they were in the frame before.
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
    /// The blocks of a plane, whose picture starts at (x, y).
    pub(crate) fn new(plane: &PlaneLayout, (x, y): (usize, usize), blocks: Option<&'a [bool]>) -> Self {
        let blocks = blocks.map(|blocks| &blocks[plane.first..][..plane.blocks()]);
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
    use oggflv_common::PixelFormat;

    #[test]
    fn coded_blocks_change_their_neighbours_if_they_are_filtered() {
        let layout = Layout::new(PixelFormat::Yuv420, 32, 32);
        let mut frame = ParsedFrame::new(&layout);
        frame.references.fill(Reference::None);
        // Column 0 and row 2 from the bottom, that is row 1 from the top.
        frame.references[8] = Reference::Golden;
        let mut map = vec![false; layout.blocks()];
        let changed = |map: &[bool]| -> Vec<(usize, usize)> {
            let blocks = UnchangedBlocks::new(&layout.planes[0], (0, 0), Some(map));
            (0..16).map(|i| (i % 4, i / 4)).filter(|&(column, row)| !blocks.get(column, row)).collect()
        };
        find(&mut map, &frame, &layout, true);
        assert_eq!(changed(&map), [(0, 0), (0, 1), (1, 1), (0, 2)]);
        assert!(map[16..].iter().all(|&unchanged| unchanged), "planes have no neighbours");
        find(&mut map, &frame, &layout, false);
        assert_eq!(changed(&map), [(0, 1)]);
    }

    #[test]
    fn none_stands_for_all() {
        let layout = Layout::new(PixelFormat::Yuv420, 16, 16);
        let blocks = UnchangedBlocks::new(&layout.planes[0], (3, 5), None);
        assert!(blocks.get(1, 1) && blocks.row(0).is_none());
        assert_eq!((blocks.columns, blocks.rows, blocks.x, blocks.y), (2, 2, 3, 5));
    }
}
