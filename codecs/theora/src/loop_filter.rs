//! The loop filter (Theora specification, 7.10).

use crate::kernels::{FilterRow, Kernels, scalar};
use crate::layout::PlaneLayout;
use crate::parse::Reference;

/// What is filtered of a row of blocks.
///
/// The upper half may be filtered before the rows below, though they are before it in order: what they change of this row
/// is its lowest line, of which they read one line more. The lower half is to be filtered after them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Whole,
    /// The upper edges, and four lines of the edges at the sides.
    UpperHalf,
    /// The lower edges, and four lines of the edges at the sides.
    LowerHalf,
}

/// Filters the edges of all coded blocks of a row (section 7.10.3). The rows of a plane are to be filtered from the
/// bottom up; the row above must have been reconstructed. A limit of 0 changes nothing.
///
/// `samples` start with the row of blocks `first`, counted from the bottom like `row`; `references` are those of all blocks
/// of the frame.
pub(crate) fn filter_row(
    samples: &mut [u8],
    first: usize,
    references: &[Reference],
    plane: &PlaneLayout,
    (row, part): (usize, Part),
    limit: u8,
    kernels: &Kernels,
) {
    if limit == 0 {
        return;
    }
    let blocks = &references[plane.first + row * plane.columns..];
    let filter = FilterRow {
        stride: plane.width(),
        top: 8 * (first - row) * plane.width(),
        row: &blocks[..plane.columns],
        above: (row + 1 < plane.rows && part != Part::LowerHalf)
            .then(|| &blocks[plane.columns..][..plane.columns]),
        has_below: row > 0 && part != Part::UpperHalf,
        limit,
    };
    match part {
        Part::Whole => (kernels.filter_row)(samples, &filter),
        Part::UpperHalf => scalar::filter_lines(samples, &filter, 0..4),
        Part::LowerHalf => scalar::filter_lines(samples, &filter, 4..8),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layout::Layout;
    use oggflv_common::PixelFormat;
    use oggflv_common::simd::Level;

    fn filter_plane(samples: &mut [u8], references: &[Reference], plane: &PlaneLayout, limit: u8) {
        let kernels = Kernels::new(Level::SCALAR);
        for row in 0..plane.rows {
            let first = plane.rows - 1;
            filter_row(samples, first, references, plane, (row, Part::Whole), limit, &kernels);
        }
    }

    /// The rows and columns of a 32x32 luma plane that filtering changes if only the given blocks are coded. The
    /// blocks differ by four from each neighbour, which every filtered edge smooths.
    fn changed(coded: &[usize]) -> (Vec<usize>, Vec<usize>) {
        let layout = Layout::new(PixelFormat::Yuv420, 32, 32);
        let plane = &layout.planes[0];
        let mut references = vec![Reference::None; 16];
        coded.iter().for_each(|&block| references[block] = Reference::Intra);
        let original: Vec<u8> =
            (0..32 * 32).map(|i| (i / 256 % 4 * 4 + i % 32 / 8 * 4 + 100) as u8).collect();
        let mut samples = original.clone();
        filter_plane(&mut samples, &references, plane, 30);
        let differs = |i: &usize| samples[*i] != original[*i];
        let mut rows: Vec<usize> = (0..1024).filter(differs).map(|i| i / 32).collect();
        let mut columns: Vec<usize> = (0..1024).filter(differs).map(|i| i % 32).collect();
        rows.dedup();
        columns.sort_unstable();
        columns.dedup();
        (rows, columns)
    }

    #[test]
    fn all_four_edges_of_a_lone_block_are_filtered() {
        // Block 5 is at column 1 and row 1 from the bottom: samples 8 to 15 across, 16 to 23 down.
        let (rows, columns) = changed(&[5]);
        assert_eq!(rows, (15..=24).collect::<Vec<_>>());
        assert_eq!(columns, (7..=16).collect::<Vec<_>>());
    }

    #[test]
    fn edges_of_the_frame_are_left_alone() {
        let (rows, columns) = changed(&[0]);
        assert_eq!(rows, (23..=31).collect::<Vec<_>>());
        assert_eq!(columns, (0..=8).collect::<Vec<_>>());
        assert_eq!(changed(&[]), (vec![], vec![]));
    }

    #[test]
    fn an_edge_between_coded_blocks_is_filtered_once() {
        let layout = Layout::new(PixelFormat::Yuv420, 16, 16);
        let plane = &layout.planes[0];
        let mut samples: Vec<u8> = (0..256).map(|i| if i % 16 < 8 { 100 } else { 108 }).collect();
        filter_plane(&mut samples, &[Reference::Intra; 4], plane, 30);
        // (100 - 300 + 324 - 108 + 4) >> 3 = 2; a second pass over 100 102 106 108 would move them by 1 more.
        assert!(samples.chunks_exact(16).all(|row| row[6..10] == [100, 102, 106, 108]));
    }
}
