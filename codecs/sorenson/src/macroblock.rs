//! The macroblock layer: COD, MCBPC, CBPY, MVD and the blocks (H.263, 5.3).

use crate::block::{Levels, write_intra_dc, write_tcoefs};
use crate::motion::Mv;
use crate::picture::PictureType;
use crate::tables::{CBPY, Code, DQUANT, MCBPC_I, MCBPC_P, MVD};
use oggflv_common::BitSink;

/// How a macroblock is coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MbType {
    /// COD is 1: the macroblock of the reference stays.
    Skipped,
    /// One vector.
    Inter,
    /// A vector for each luma block.
    Inter4V,
    Intra,
}

/// A macroblock ready to be written.
#[derive(Clone, Debug)]
pub(crate) struct Macroblock {
    pub(crate) mb_type: MbType,
    /// Change of the quantiser: 0, or -2 to 2 unless skipped or INTER4V.
    pub(crate) dquant: i8,
    /// The vectors of the luma blocks; zero unless inter.
    pub(crate) mvs: [Mv; 4],
    /// What the predictors leave of `mvs`; all four count in INTER4V, the first one in INTER.
    pub(crate) mvds: [Mv; 4],
    /// Quantised coefficients of Y1 to Y4, Cb, Cr.
    pub(crate) levels: [Levels; 6],
}

impl Macroblock {
    /// A macroblock that repeats the reference.
    pub(crate) fn skipped() -> Self {
        Self {
            mb_type: MbType::Skipped,
            dquant: 0,
            mvs: [Mv::ZERO; 4],
            mvds: [Mv::ZERO; 4],
            levels: [Levels::NONE; 6],
        }
    }

    /// Makes it one of type `mb_type` without vectors and coefficients.
    pub(crate) fn reset(&mut self, mb_type: MbType) {
        (self.mb_type, self.dquant) = (mb_type, 0);
        (self.mvs, self.mvds) = ([Mv::ZERO; 4], [Mv::ZERO; 4]);
        for levels in &mut self.levels {
            levels.mask = 0;
        }
    }

    /// Index of the first coefficient that TCOEF codes.
    fn first(&self) -> usize {
        usize::from(self.mb_type == MbType::Intra)
    }

    /// Which blocks have TCOEFs: bit 5 is Y1, bit 0 is Cr.
    pub(crate) fn coded_block_pattern(&self) -> u8 {
        self.levels.iter().fold(0, |cbp, levels| cbp << 1 | u8::from(levels.mask != 0))
    }

    /// Writes the macroblock; in an I picture it must be intra.
    pub(crate) fn write(&self, sink: &mut impl BitSink, picture_type: PictureType) {
        // COD is 0 or not there: it comes with MCBPC.
        let cod = u32::from(picture_type == PictureType::P);
        if self.mb_type == MbType::Skipped {
            return sink.put(1, cod);
        }
        let cbp = self.coded_block_pattern();
        let mcbpc = self.mcbpc(picture_type, usize::from(cbp & 3));
        sink.put(mcbpc.bits.into(), cod + u32::from(mcbpc.len));
        let cbpy = if self.mb_type == MbType::Intra { cbp >> 2 } else { !cbp >> 2 & 15 };
        put(sink, CBPY[usize::from(cbpy)]);
        if let Some(code) = DQUANT.iter().position(|&dquant| dquant == self.dquant) {
            sink.put(code as u32, 2);
        }
        let vectors = match self.mb_type {
            MbType::Inter => 1,
            MbType::Inter4V => 4,
            _ => 0,
        };
        for mvd in &self.mvds[..vectors] {
            write_mvd(sink, *mvd);
        }
        for (bi, levels) in self.levels.iter().enumerate() {
            if self.mb_type == MbType::Intra {
                write_intra_dc(sink, levels.levels[0]);
            }
            if cbp >> (5 - bi) & 1 != 0 {
                write_tcoefs(sink, levels, self.first());
            }
        }
    }

    fn mcbpc(&self, picture_type: PictureType, cbpc: usize) -> Code {
        let changed = usize::from(self.dquant != 0);
        match (picture_type, self.mb_type) {
            (PictureType::I, _) => MCBPC_I[changed][cbpc],
            (PictureType::P, MbType::Inter4V) => MCBPC_P[2][cbpc],
            (PictureType::P, MbType::Intra) => MCBPC_P[3 + changed][cbpc],
            (PictureType::P, _) => MCBPC_P[changed][cbpc],
        }
    }
}

fn put(sink: &mut impl BitSink, code: Code) {
    sink.put(code.bits.into(), code.len.into());
}

/// The difference of a component from its predictor, modulo 64 half samples (H.263, 5.3.7).
pub(crate) fn wrap_mvd(difference: i16) -> i16 {
    ((difference + 32) & 63) - 32
}

/// Code words of a component of MVD with its sign, by the difference modulo 64.
static MVD_CODES: [Code; 64] = {
    let mut codes = [MVD[0]; 64];
    let mut i = 1;
    while i < 64 {
        let (magnitude, sign) = if i < 32 { (i, 0) } else { (64 - i, 1) };
        let code = MVD[magnitude];
        codes[i] = Code { bits: code.bits << 1 | sign, len: code.len + 1 };
        i += 1;
    }
    codes
};

fn component_code(difference: i16) -> Code {
    MVD_CODES[(difference & 63) as usize]
}

/// Bits of one component of MVD.
#[inline]
pub(crate) fn component_bits(difference: i16) -> u32 {
    component_code(difference).len.into()
}

/// Writes MVD, each component -32 to 31 half samples.
pub(crate) fn write_mvd(sink: &mut impl BitSink, mvd: Mv) {
    let (x, y) = (component_code(mvd.x), component_code(mvd.y));
    sink.put(u32::from(x.bits) << y.len | u32::from(y.bits), u32::from(x.len + y.len));
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::BitWriter;

    #[test]
    fn differences_wrap() {
        assert_eq!([0, 31, 32, 63, -32, -33, -63].map(wrap_mvd), [0, 31, -32, -1, -32, 31, 1]);
    }

    #[test]
    fn bits_of_an_inter_macroblock() {
        let mut macroblock = Macroblock::skipped();
        macroblock.mb_type = MbType::Inter;
        macroblock.mvds[0] = Mv { x: -32, y: 3 };
        (macroblock.levels[1].levels[0], macroblock.levels[1].mask) = (1, 1);
        (macroblock.levels[5].levels[0], macroblock.levels[5].mask) = (-2, 1);
        assert_eq!(macroblock.coded_block_pattern(), 0b010001);
        let mut writer = BitWriter::new();
        macroblock.write(&mut writer, PictureType::P);
        // COD 0 | MCBPC 0011 | CBPY of 1011: 1010 | 000000000010 1 | 0001 0 | 0111 0 | 000011001 1
        let bits = "0 0011 1010 0000000000101 00010 01110 0000110011".replace(' ', "");
        let bytes: Vec<u8> = bits
            .as_bytes()
            .chunks(8)
            .map(|b| b.iter().enumerate().map(|(i, d)| (d - b'0') << (7 - i)).sum())
            .collect();
        assert_eq!(writer.into_bytes(), bytes);
    }

    #[test]
    fn bits_of_a_skipped_macroblock() {
        let mut writer = BitWriter::new();
        Macroblock::skipped().write(&mut writer, PictureType::P);
        assert_eq!((writer.bits(), writer.into_bytes()), (1, vec![0x80]));
    }
}
