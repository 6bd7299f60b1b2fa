//! Planes, blocks, super blocks and macro blocks (Theora specification, 2.3 and 2.4).
//!
//! Blocks are numbered in raster order, row by row from the bottom left of the Y plane through Cb to Cr; tables lead
//! from coded order to these numbers. Samples are stored with the top row first.

use std::ops::Range;

use oggflv_common::PixelFormat;

use crate::masks;

/// The blocks of one plane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PlaneLayout {
    /// Blocks in a row.
    pub(crate) columns: usize,
    /// Rows of blocks.
    pub(crate) rows: usize,
    /// Number of the plane's first block.
    pub(crate) first: usize,
}

impl PlaneLayout {
    /// Samples in a row, which is also the distance of rows.
    pub(crate) fn width(&self) -> usize {
        self.columns * 8
    }

    /// Rows of samples.
    pub(crate) fn height(&self) -> usize {
        self.rows * 8
    }

    /// How many blocks there are.
    pub(crate) fn blocks(&self) -> usize {
        self.columns * self.rows
    }

    /// How many masks a row of blocks takes.
    pub(crate) fn masks_in_row(&self) -> usize {
        self.columns.div_ceil(masks::BLOCKS)
    }

    /// How many masks all rows take.
    pub(crate) fn masks(&self) -> usize {
        self.masks_in_row() * self.rows
    }

    /// Where its blocks are among those of all planes.
    pub(crate) fn range(&self) -> Range<usize> {
        self.first..self.first + self.blocks()
    }
}

/// The blocks of a macro block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MacroBlock {
    /// The lower left of its four luma blocks.
    pub(crate) luma: u32,
    /// The lower left of its blocks in the Cb plane; there are one, two (on top of each other) or four.
    pub(crate) chroma: u32,
}

/// How a coded frame is divided.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    pub(crate) format: PixelFormat,
    /// Y, Cb, Cr.
    pub(crate) planes: [PlaneLayout; 3],
    /// Every block, in coded order.
    pub(crate) coded_order: Vec<u32>,
    /// Where in `coded_order` each super block starts; at the end, the number of blocks.
    pub(crate) super_blocks: Vec<u32>,
    /// Every macro block, in coded order.
    pub(crate) macro_blocks: Vec<MacroBlock>,
    /// Where in `macro_blocks` each super block of the luma plane starts; at the end, the number of macro blocks.
    pub(crate) macro_block_starts: Vec<u32>,
}

/// Column and row of each block in its super block, in coded order (figure 2.5).
#[rustfmt::skip]
const BLOCK_CURVE: [(usize, usize); 16] = [
    (0, 0), (1, 0), (1, 1), (0, 1), (0, 2), (0, 3), (1, 3), (1, 2),
    (2, 2), (2, 3), (3, 3), (3, 2), (3, 1), (2, 1), (2, 0), (3, 0),
];

/// Column and row of each macro block in its super block, in coded order (figure 2.7).
const MACRO_BLOCK_CURVE: [(usize, usize); 4] = [(0, 0), (0, 1), (1, 1), (1, 0)];

impl Layout {
    /// The layout of a frame of `width` x `height` luma samples, which are multiples of 16.
    pub(crate) fn new(format: PixelFormat, width: usize, height: usize) -> Self {
        let mut first = 0;
        let planes = [0, 1, 2].map(|pli| {
            let (width, height) = format.plane_size(pli, width, height);
            let plane = PlaneLayout { columns: width / 8, rows: height / 8, first };
            first += plane.blocks();
            plane
        });

        let mut coded_order = Vec::with_capacity(first);
        let mut super_blocks = Vec::new();
        for plane in planes {
            for (x, y) in super_block_corners(plane) {
                super_blocks.push(coded_order.len() as u32);
                let blocks = BLOCK_CURVE.map(|(dx, dy)| (x + dx, y + dy));
                let inside = blocks.into_iter().filter(|&(x, y)| x < plane.columns && y < plane.rows);
                coded_order.extend(inside.map(|(x, y)| (plane.first + y * plane.columns + x) as u32));
            }
        }
        super_blocks.push(coded_order.len() as u32);

        let (shift_x, shift_y) = format.chroma_shift();
        let [luma, cb, _] = planes;
        let mut macro_blocks = Vec::with_capacity(luma.blocks() / 4);
        let mut macro_block_starts = Vec::new();
        for (x, y) in super_block_corners(luma) {
            macro_block_starts.push(macro_blocks.len() as u32);
            let corners = MACRO_BLOCK_CURVE.map(|(dx, dy)| (x + 2 * dx, y + 2 * dy));
            let inside = corners.into_iter().filter(|&(x, y)| x < luma.columns && y < luma.rows);
            macro_blocks.extend(inside.map(|(x, y)| MacroBlock {
                luma: (y * luma.columns + x) as u32,
                chroma: (cb.first + (y >> shift_y) * cb.columns + (x >> shift_x)) as u32,
            }));
        }
        macro_block_starts.push(macro_blocks.len() as u32);
        Self { format, planes, coded_order, super_blocks, macro_blocks, macro_block_starts }
    }

    /// How many blocks a frame has.
    pub(crate) fn blocks(&self) -> usize {
        self.coded_order.len()
    }
}

/// Column and row of the lower left block of each super block, in raster order.
fn super_block_corners(plane: PlaneLayout) -> impl Iterator<Item = (usize, usize)> {
    (0..plane.rows).step_by(4).flat_map(move |y| (0..plane.columns).step_by(4).map(move |x| (x, y)))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The luma plane of the specification's example, 240x48: coded index by raster position.
    fn coded_index(layout: &Layout, x: usize, y: usize) -> usize {
        let raster = (y * layout.planes[0].columns + x) as u32;
        layout.coded_order.iter().position(|&block| block == raster).unwrap()
    }

    #[test]
    fn coded_order_is_that_of_the_example() {
        let layout = Layout::new(PixelFormat::Yuv420, 240, 48);
        // Rows of the table in 2.3, from the top; the first four columns and the last two.
        let table = [
            [123, 122, 125, 124, 179, 178],
            [120, 121, 126, 127, 176, 177],
            [5, 6, 9, 10, 117, 118],
            [4, 7, 8, 11, 116, 119],
            [3, 2, 13, 12, 115, 114],
            [0, 1, 14, 15, 112, 113],
        ];
        for (row, expected) in table.iter().rev().enumerate() {
            assert_eq!([0, 1, 2, 3, 28, 29].map(|x| coded_index(&layout, x, row)), *expected, "row {row}");
        }
    }

    #[test]
    fn macro_blocks_are_in_the_order_of_the_example() {
        let layout = Layout::new(PixelFormat::Yuv420, 240, 48);
        let index = |x: u32, y: u32| {
            let luma = 2 * y * 30 + 2 * x;
            layout.macro_blocks.iter().position(|mb| mb.luma == luma).unwrap()
        };
        let table = [[30, 31, 32, 33, 42, 43, 44], [1, 2, 5, 6, 25, 26, 29], [0, 3, 4, 7, 24, 27, 28]];
        for (row, expected) in (0..).zip(table.iter().rev()) {
            assert_eq!([0, 1, 2, 3, 12, 13, 14].map(|x| index(x, row)), *expected, "row {row}");
        }
    }

    #[test]
    fn every_block_is_in_one_super_block_and_one_macro_block() {
        for format in [PixelFormat::Yuv420, PixelFormat::Yuv422, PixelFormat::Yuv444] {
            let layout = Layout::new(format, 80, 112);
            let mut order = layout.coded_order.clone();
            order.sort_unstable();
            assert!(order.iter().copied().eq(0..layout.blocks() as u32), "{format:?}");
            assert!(layout.super_blocks.windows(2).all(|pair| (1..=16).contains(&(pair[1] - pair[0]))));

            let (shift_x, shift_y) = format.chroma_shift();
            let mut seen = vec![0; layout.blocks()];
            for mb in &layout.macro_blocks {
                for (pli, first, shifts) in [(0, mb.luma, (0, 0)), (1, mb.chroma, (shift_x, shift_y))] {
                    for y in 0..2 >> shifts.1 {
                        for x in 0..2 >> shifts.0 {
                            seen[first as usize + y * layout.planes[pli].columns + x] += 1;
                        }
                    }
                }
            }
            let cr = layout.planes[2].first;
            assert!(seen[..cr].iter().all(|&count| count == 1), "{format:?}");
        }
    }

    #[test]
    fn planes_follow_the_pixel_format() {
        let layout = Layout::new(PixelFormat::Yuv422, 48, 32);
        let plane = |columns, first| PlaneLayout { columns, rows: 4, first };
        assert_eq!(layout.planes, [plane(6, 0), plane(3, 24), plane(3, 36)]);
        assert_eq!(layout.super_blocks, [0, 16, 24, 36, 48]);
    }
}
