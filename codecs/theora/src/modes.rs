//! Macro block coding modes (Theora specification, 7.4).

use oggflv_common::BitReader;

use crate::coded_blocks::SuperBlock;
use crate::layout::Layout;
use crate::parse::{ParsedFrame, Reference};

/// How a macro block is predicted; the discriminants are those of table 7.18.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    InterNomv,
    Intra,
    InterMv,
    InterMvLast,
    InterMvLast2,
    InterGoldenNomv,
    InterGoldenMv,
    InterMvFour,
}

use Mode::{
    InterGoldenMv, InterGoldenNomv, InterMv, InterMvFour, InterMvLast, InterMvLast2, InterNomv, Intra,
};

impl Mode {
    /// The modes in the order of their numbers.
    const ALL: [Self; 8] =
        [InterNomv, Intra, InterMv, InterMvLast, InterMvLast2, InterGoldenNomv, InterGoldenMv, InterMvFour];

    /// What blocks of this mode are predicted from (table 7.46).
    pub(crate) fn reference(self) -> Reference {
        match self {
            Intra => Reference::Intra,
            InterGoldenNomv | InterGoldenMv => Reference::Golden,
            InterNomv | InterMv | InterMvLast | InterMvLast2 | InterMvFour => Reference::Previous,
        }
    }
}

/// The alphabets of the schemes 1 to 6 (table 7.19).
#[rustfmt::skip]
const ALPHABETS: [[Mode; 8]; 6] = [
    [InterMvLast, InterMvLast2, InterMv, InterNomv, Intra, InterGoldenNomv, InterGoldenMv, InterMvFour],
    [InterMvLast, InterMvLast2, InterNomv, InterMv, Intra, InterGoldenNomv, InterGoldenMv, InterMvFour],
    [InterMvLast, InterMv, InterMvLast2, InterNomv, Intra, InterGoldenNomv, InterGoldenMv, InterMvFour],
    [InterMvLast, InterMv, InterNomv, InterMvLast2, Intra, InterGoldenNomv, InterGoldenMv, InterMvFour],
    [InterNomv, InterMvLast, InterMvLast2, InterMv, Intra, InterGoldenNomv, InterGoldenMv, InterMvFour],
    [InterNomv, InterGoldenNomv, InterMvLast, InterMvLast2, InterMv, Intra, InterGoldenMv, InterMvFour],
];

/// Reads the modes of an inter frame's macro blocks. Those without a coded luma block have none; they are INTER_NOMV.
pub(crate) fn read(reader: &mut BitReader<'_>, frame: &mut ParsedFrame, layout: &Layout) {
    let scheme = reader.read(3) as usize;
    let alphabet = match scheme {
        0 => read_alphabet(reader),
        7 => Mode::ALL,
        _ => ALPHABETS[scheme - 1],
    };
    let above = layout.planes[0].columns;
    frame.modes.clear();
    for (super_block, bounds) in frame.super_blocks.iter().zip(layout.macro_block_starts.windows(2)) {
        if *super_block == SuperBlock::Uncoded {
            continue;
        }
        for mbi in bounds[0]..bounds[1] {
            let luma = &frame.references[layout.macro_blocks[mbi as usize].luma as usize..];
            let coded = |index: usize| luma[index] != Reference::None;
            // All four are looked at: branches cost more.
            if coded(0) | coded(1) | coded(above) | coded(above + 1) {
                let index = if scheme == 7 { reader.read(3) as usize } else { read_mode_index(reader) };
                frame.modes.push((mbi, alphabet[index]));
            }
        }
    }
}

fn read_alphabet(reader: &mut BitReader<'_>) -> [Mode; 8] {
    // A mode that the alphabet names twice leaves a place empty; INTER_NOMV stands there.
    let mut alphabet = [InterNomv; 8];
    for mode in Mode::ALL {
        alphabet[reader.read(3) as usize] = mode;
    }
    alphabet
}

/// Reads a code of table 7.19: as many ones as the index, closed by a zero but for index 7.
fn read_mode_index(reader: &mut BitReader<'_>) -> usize {
    let index = (reader.peek(7) << 25).leading_ones();
    reader.skip((index + 1).min(7));
    index as usize
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::{BitSink, BitWriter, PixelFormat};

    #[test]
    fn codes_are_unary_up_to_seven_bits() {
        let codes = ["0", "10", "110", "1110", "11110", "111110", "1111110", "1111111"];
        for (index, code) in codes.iter().enumerate() {
            let bits = u32::from_str_radix(code, 2).unwrap() << (32 - code.len());
            let data = bits.to_be_bytes();
            let mut reader = BitReader::new(&data);
            assert_eq!(read_mode_index(&mut reader), index);
            assert_eq!(reader.position(), code.len() as u64);
        }
    }

    #[test]
    fn alphabets_are_permutations() {
        for alphabet in ALPHABETS {
            assert!(Mode::ALL.iter().all(|mode| alphabet.contains(mode)));
        }
    }

    /// A frame of two macro blocks in which the first has one coded luma block and the second none.
    fn read_scheme(put: impl Fn(&mut BitWriter)) -> (Vec<(u32, Mode)>, u64) {
        let layout = Layout::new(PixelFormat::Yuv420, 32, 16);
        let mut frame = ParsedFrame::new(&layout);
        frame.references.fill(Reference::None);
        frame.references[4 + 1] = Reference::Previous;
        frame.super_blocks = vec![SuperBlock::Partial; 3];
        let mut writer = BitWriter::new();
        put(&mut writer);
        let bytes = writer.into_bytes();
        let mut reader = BitReader::new(&bytes);
        read(&mut reader, &mut frame, &layout);
        (frame.modes, reader.position())
    }

    #[test]
    fn schemes_choose_the_alphabet() {
        let unary = |scheme: u32| move |writer: &mut BitWriter| writer.put(scheme << 2 | 0b10, 5);
        assert_eq!(read_scheme(unary(1)), (vec![(0, InterMvLast2)], 5));
        assert_eq!(read_scheme(unary(6)), (vec![(0, InterGoldenNomv)], 5));
        assert_eq!(read_scheme(|writer| writer.put(0b111_110, 6)), (vec![(0, InterGoldenMv)], 6));
        // Scheme 0: mode m at place 7 - m.
        let explicit = |writer: &mut BitWriter| {
            writer.put(0, 3);
            (0..8).for_each(|mode| writer.put(7 - mode, 3));
            writer.put(0b1110, 4);
        };
        assert_eq!(read_scheme(explicit), (vec![(0, InterMvLast2)], 31));
    }
}
