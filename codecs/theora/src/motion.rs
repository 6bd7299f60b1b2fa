//! Motion vectors (Theora specification, 7.5).

use oggflv_common::{BitReader, PixelFormat};

use crate::layout::Layout;
use crate::modes::Mode;
use crate::parse::{ParsedFrame, Reference};

/// A motion vector in half luma samples; y points upwards. Components are -31 to 31.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct MotionVector {
    pub(crate) x: i8,
    pub(crate) y: i8,
}

/// Reads the motion vectors of an inter frame and gives the coded blocks their vectors and references.
pub(crate) fn read(reader: &mut BitReader<'_>, frame: &mut ParsedFrame, layout: &Layout) {
    if reader.read_bit() {
        read_macro_blocks(reader, frame, layout, read_fixed);
    } else {
        read_macro_blocks(reader, frame, layout, read_huffman);
    }
}

#[inline]
fn read_macro_blocks(
    reader: &mut BitReader<'_>,
    frame: &mut ParsedFrame,
    layout: &Layout,
    read_component: impl Fn(&mut BitReader<'_>) -> i8,
) {
    let (mut last, mut last2) = (MotionVector::default(), MotionVector::default());
    let mut read_vector = || MotionVector { x: read_component(reader), y: read_component(reader) };
    let above = layout.planes[0].columns;
    for index in 0..frame.modes.len() {
        let (mbi, mode) = frame.modes[index];
        if mode == Mode::InterNomv {
            // Coded blocks are INTER_NOMV already.
            continue;
        }
        let mb = layout.macro_blocks[mbi as usize];
        let luma = mb.luma as usize;
        let luma = [luma, luma + 1, luma + above, luma + above + 1];
        // One vector for each luma block, in raster order.
        let vectors = match mode {
            Mode::InterMvFour => {
                last2 = last;
                luma.map(|block| {
                    if frame.references[block] == Reference::None {
                        return MotionVector::default();
                    }
                    last = read_vector();
                    last
                })
            }
            Mode::InterMv => {
                last2 = last;
                last = read_vector();
                [last; 4]
            }
            Mode::InterMvLast => [last; 4],
            Mode::InterMvLast2 => {
                (last, last2) = (last2, last);
                [last; 4]
            }
            Mode::InterGoldenMv => [read_vector(); 4],
            Mode::InterNomv | Mode::Intra | Mode::InterGoldenNomv => [MotionVector::default(); 4],
        };
        let reference = mode.reference();
        for (block, vector) in luma.into_iter().zip(vectors) {
            frame.predict(block, reference, vector);
        }
        let means = if mode == Mode::InterMvFour { chroma_vectors(layout.format, vectors) } else { vectors };
        predict_chroma(frame, layout, mb.chroma as usize, reference, means);
    }
}

/// The vectors of a macro block's blocks in a chroma plane: the means of the luma vectors that each covers.
fn chroma_vectors(format: PixelFormat, [a, b, c, d]: [MotionVector; 4]) -> [MotionVector; 4] {
    match format {
        PixelFormat::Yuv420 => [mean(&[a, b, c, d]); 4],
        PixelFormat::Yuv422 => [mean(&[a, b]), mean(&[c, d]), c, d],
        PixelFormat::Yuv444 => [a, b, c, d],
    }
}

/// Gives the chroma blocks of a macro block their vectors, as many as there are.
#[inline]
fn predict_chroma(
    frame: &mut ParsedFrame,
    layout: &Layout,
    chroma: usize,
    reference: Reference,
    vectors: [MotionVector; 4],
) {
    let above = layout.planes[1].columns;
    let (blocks, count) = match layout.format {
        PixelFormat::Yuv420 => ([chroma, 0, 0, 0], 1),
        PixelFormat::Yuv422 => ([chroma, chroma + above, 0, 0], 2),
        PixelFormat::Yuv444 => ([chroma, chroma + 1, chroma + above, chroma + above + 1], 4),
    };
    for (&block, &vector) in blocks.iter().zip(&vectors).take(count) {
        frame.predict(block, reference, vector);
        frame.predict(block + layout.planes[1].blocks(), reference, vector);
    }
}

/// The mean, rounded to the nearest, halves away from zero.
fn mean(vectors: &[MotionVector]) -> MotionVector {
    let count = vectors.len() as i32;
    let round = |sum: i32| ((sum + sum.signum() * (count / 2)) / count) as i8;
    MotionVector {
        x: round(vectors.iter().map(|vector| i32::from(vector.x)).sum()),
        y: round(vectors.iter().map(|vector| i32::from(vector.y)).sum()),
    }
}

/// Reads a component of five bits and a sign (MVMODE 1).
fn read_fixed(reader: &mut BitReader<'_>) -> i8 {
    let magnitude = reader.read(5) as i8;
    if reader.read_bit() { -magnitude } else { magnitude }
}

/// Reads a component by table 7.23 (MVMODE 0).
///
/// Three bits tell the class: 0, 1, -1, or the first magnitude of a class with this many bits more; the sign is last.
fn read_huffman(reader: &mut BitReader<'_>) -> i8 {
    let (start, bits) = match reader.read(3) {
        0 => return 0,
        1 => return 1,
        2 => return -1,
        3 => (2, 0),
        4 => (3, 0),
        5 => (4, 2),
        6 => (8, 3),
        _ => (16, 4),
    };
    let magnitude = (start + reader.read(bits)) as i8;
    if reader.read_bit() { -magnitude } else { magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::{BitSink, BitWriter};

    /// Table 7.23 as printed: the code of each positive value, whose last bit is the sign.
    fn code(value: i8) -> (u32, u32) {
        let magnitude = u32::from(value.unsigned_abs());
        let sign = u32::from(value < 0);
        match magnitude {
            0 => (0b000, 3),
            1 => ([0b001, 0b010][sign as usize], 3),
            2 => (0b0110 | sign, 4),
            3 => (0b1000 | sign, 4),
            4..=7 => (0b101000 | (magnitude - 4) << 1 | sign, 6),
            8..=15 => (0b1100000 | (magnitude - 8) << 1 | sign, 7),
            _ => (0b11100000 | (magnitude - 16) << 1 | sign, 8),
        }
    }

    #[test]
    fn components_are_read_both_ways() {
        for value in -31..=31 {
            let mut writer = BitWriter::new();
            let (bits, count) = code(value);
            writer.put(bits, count);
            writer.put(u32::from(value.unsigned_abs()) << 1 | u32::from(value < 0), 6);
            let bytes = writer.into_bytes();
            let mut reader = BitReader::new(&bytes);
            assert_eq!(read_huffman(&mut reader), value);
            assert_eq!(read_fixed(&mut reader), value);
            assert_eq!(reader.position(), u64::from(count) + 6);
        }
    }

    #[test]
    fn means_round_halves_away_from_zero() {
        let vector = |x, y| MotionVector { x, y };
        assert_eq!(mean(&[vector(1, -1), vector(1, -1), vector(0, 0), vector(0, 0)]), vector(1, -1));
        assert_eq!(mean(&[vector(1, -1), vector(0, 0), vector(0, 0), vector(0, 0)]), vector(0, 0));
        assert_eq!(mean(&[vector(31, -31), vector(30, -30)]), vector(31, -31));
        assert_eq!(mean(&[vector(-31, 5); 4]), vector(-31, 5));
    }

    /// Five macro blocks in a row, all luma blocks coded but the given one.
    fn read_modes(modes: &[Mode], uncoded: Option<usize>, vectors: &[(i8, i8)]) -> ParsedFrame {
        let layout = Layout::new(PixelFormat::Yuv420, 16 * modes.len(), 16);
        let mut frame = ParsedFrame::new(&layout);
        frame.references.fill(Reference::Previous);
        uncoded.iter().for_each(|&block| frame.references[block] = Reference::None);
        frame.modes = (0..).zip(modes.iter().copied()).collect();
        let mut writer = BitWriter::new();
        writer.put(1, 1);
        for component in vectors.iter().flat_map(|&(x, y)| [x, y]) {
            writer.put(u32::from(component.unsigned_abs()) << 1 | u32::from(component < 0), 6);
        }
        let bits = writer.bits();
        let bytes = writer.into_bytes();
        let mut reader = BitReader::new(&bytes);
        read(&mut reader, &mut frame, &layout);
        assert_eq!(reader.position(), bits, "every vector is read");
        frame
    }

    fn luma_vectors(frame: &ParsedFrame, count: usize) -> Vec<(i8, i8)> {
        (0..count).map(|mb| frame.vectors[2 * mb]).map(|vector| (vector.x, vector.y)).collect()
    }

    #[test]
    fn last_and_last2_follow_the_previous_frame_only() {
        use Mode::*;
        // One row of macro blocks is visited from left to right.
        let modes =
            [InterMv, InterMv, InterMvLast2, InterMvLast2, InterGoldenMv, InterMvLast, Intra, InterMvLast];
        let frame = read_modes(&modes, None, &[(1, 2), (3, 4), (9, 9)]);
        let expected = [(1, 2), (3, 4), (1, 2), (3, 4), (9, 9), (3, 4), (0, 0), (3, 4)];
        assert_eq!(luma_vectors(&frame, 8), expected);
        assert_eq!(frame.references[8], Reference::Golden);
        assert_eq!(frame.references[12], Reference::Intra);
    }

    #[test]
    fn four_vectors_skip_uncoded_blocks() {
        use Mode::*;
        // Block 1 + 6 is the upper right one of the first macro block; the last vector is that of the upper left.
        let modes = [InterMvFour, InterMvLast, InterMvLast2];
        let frame = read_modes(&modes, Some(6 + 1), &[(4, 4), (5, 6), (-6, 9)]);
        let at = |block: usize| (frame.vectors[block].x, frame.vectors[block].y);
        assert_eq!([at(0), at(1), at(6)], [(4, 4), (5, 6), (-6, 9)]);
        assert_eq!(frame.references[7], Reference::None);
        // (4 + 5 - 6 + 0) / 4 and (4 + 6 + 9 + 0) / 4.
        let chroma = 3 * 4;
        assert_eq!([at(chroma), at(chroma + 3)], [(1, 5), (1, 5)]);
        assert_eq!(luma_vectors(&frame, 3)[1..], [(-6, 9), (0, 0)]);
    }
}
