//! The block layer: INTRADC and TCOEF (H.263, 5.4).

use crate::kernels::Block;
use crate::tables::{Code, TCOEF, TCOEF_ESCAPE, ZIGZAG};
use oggflv_common::BitSink;

/// Where each coefficient, in the order of transmission, stands in a [`Block`].
pub(crate) const SCAN: [u8; 64] = {
    let mut scan = [0; 64];
    let mut i = 0;
    while i < 64 {
        scan[i] = ZIGZAG[i] % 8 * 8 + ZIGZAG[i] / 8;
        i += 1;
    }
    scan
};

/// The reverse of [`SCAN`].
pub(crate) const POSITION: [u8; 64] = {
    let mut positions = [0; 64];
    let mut i = 0;
    while i < 64 {
        positions[SCAN[i] as usize] = i as u8;
        i += 1;
    }
    positions
};

/// Masks in the order of transmission of four coefficients, by their place in a [`Block`] and their own mask.
static POSITIONS: [[u64; 16]; 16] = {
    let mut masks = [[0; 16]; 16];
    let mut i = 0;
    while i < 64 * 16 {
        let (at, mask) = (i / 16, i % 16);
        if mask >> (at % 4) & 1 != 0 {
            masks[at / 4][mask] |= 1 << POSITION[at];
        }
        i += 1;
    }
    masks
};

/// Quantised coefficients of a block.
#[derive(Clone, Debug)]
pub(crate) struct Levels {
    pub(crate) levels: Block,
    /// Bit i is set if the coefficient at position i in the order of transmission is not zero. INTRADC has no bit.
    pub(crate) mask: u64,
}

impl Levels {
    /// No coefficients.
    pub(crate) const NONE: Self = Self { levels: [0; 64], mask: 0 };

    /// Takes the mask of levels in the order of a [`Block`]; those before `first` are not TCOEFs.
    #[inline]
    pub(crate) fn set_mask(&mut self, mask: u64, first: usize) {
        let mask = mask >> first << first;
        let half = |mask: u32, positions: &[[u64; 16]]| {
            let four = |i: usize| positions[i][(mask >> (4 * i) & 15) as usize];
            (0..8).fold(0, |positions, i| positions | four(i))
        };
        self.mask = half(mask as u32, &POSITIONS[..8]);
        if mask >> 32 != 0 {
            self.mask |= half((mask >> 32) as u32, &POSITIONS[8..]);
        }
    }

    /// Bits of all TCOEFs; `first` is 1 behind INTRADC.
    #[inline]
    pub(crate) fn bits(&self, first: usize) -> u32 {
        let (mut mask, mut next, mut sum) = (self.mask, first, 0);
        while mask != 0 {
            let position = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            let magnitude = usize::from(self.levels[usize::from(SCAN[position])].unsigned_abs());
            sum += u32::from(TCOEF_BITS[position - next][magnitude.min(64)][usize::from(mask == 0)]);
            next = position + 1;
        }
        sum
    }
}

/// Largest magnitude of LEVEL in [`TCOEF`].
const MAX_LEVEL: usize = 12;

/// Code words by LAST, RUN and LEVEL with the sign bit 0 appended; length 0 where the escape is needed.
static TCOEF_CODES: [[[Code; MAX_LEVEL + 2]; 64]; 2] = {
    let mut codes = [[[Code { bits: 0, len: 0 }; MAX_LEVEL + 2]; 64]; 2];
    let mut i = 0;
    while i < TCOEF.len() {
        let (last, run, levels) = TCOEF[i];
        let mut level = 1;
        while level <= levels.len() {
            let code = Code::parse(levels[level - 1]);
            codes[last as usize][run as usize][level] = Code { bits: code.bits << 1, len: code.len + 1 };
            level += 1;
        }
        i += 1;
    }
    codes
};

/// Writes INTRADC of a quantised `level` (1 to 254), which stands for 8 times as much (Table 15).
pub(crate) fn write_intra_dc(sink: &mut impl BitSink, level: i16) {
    debug_assert!((1..=254).contains(&level));
    sink.put(if level == 128 { 255 } else { level as u32 }, 8);
}

/// Writes all coefficients but INTRADC; `first` is 1 if that came before. There must be one.
pub(crate) fn write_tcoefs(sink: &mut impl BitSink, levels: &Levels, first: usize) {
    let (mut mask, mut next) = (levels.mask, first);
    while mask != 0 {
        let position = mask.trailing_zeros() as usize;
        mask &= mask - 1;
        let level = levels.levels[usize::from(SCAN[position])];
        write_tcoef(sink, mask == 0, position - next, level);
        next = position + 1;
    }
}

/// Writes one TCOEF: a code word of Table 16 with its sign, or an escape in version 1 of FLV1.
#[inline]
fn write_tcoef(sink: &mut impl BitSink, last: bool, run: usize, level: i16) {
    let magnitude = usize::from(level.unsigned_abs());
    debug_assert!(magnitude != 0);
    let code = TCOEF_CODES[usize::from(last)][run][magnitude.min(MAX_LEVEL + 1)];
    if code.len != 0 {
        sink.put(u32::from(code.bits) | u32::from(level < 0), code.len.into());
        return;
    }
    // ESCAPE, one bit for the width of LEVEL, LAST, RUN.
    let wide = magnitude > 63;
    let start = u32::from(TCOEF_ESCAPE.bits) << 8 | u32::from(wide) << 7 | u32::from(last) << 6 | run as u32;
    sink.put(start, u32::from(TCOEF_ESCAPE.len) + 8);
    let width = if wide { 11 } else { 7 };
    sink.put(level as u32 & ((1 << width) - 1), width);
}

/// Bits of a TCOEF by RUN, the magnitude of LEVEL, all above 63 taken as 64, and LAST.
pub(crate) static TCOEF_BITS: [[[u8; 2]; 65]; 64] = {
    let mut bits = [[[22; 2]; 65]; 64];
    let mut run = 0;
    while run < 64 {
        let mut last = 0;
        while last < 2 {
            let mut level = 0;
            while level <= MAX_LEVEL {
                if TCOEF_CODES[last][run][level].len != 0 {
                    bits[run][level][last] = TCOEF_CODES[last][run][level].len;
                }
                level += 1;
            }
            bits[run][64][last] = 26;
            last += 1;
        }
        run += 1;
    }
    bits
};

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::{BitCounter, BitWriter};

    fn bits(last: bool, run: usize, level: i16) -> u64 {
        let mut counter = BitCounter::new();
        write_tcoef(&mut counter, last, run, level);
        counter.bits()
    }

    #[test]
    fn lengths_with_sign() {
        assert_eq!(bits(false, 0, 1), 3);
        assert_eq!(bits(false, 0, -12), 12);
        assert_eq!(bits(true, 40, 1), 13);
        assert_eq!(bits(true, 0, 4), 22);
        assert_eq!(bits(true, 0, -63), 22);
        assert_eq!(bits(true, 0, 64), 26);
        assert_eq!(bits(false, 62, 1023), 26);
    }

    #[test]
    fn the_table_of_bits_counts_what_is_written() {
        for last in 0..2 {
            for run in 0..64 {
                for level in 1..=1023i16 {
                    let expected = bits(last == 1, run, level);
                    let magnitude = usize::from(level.unsigned_abs()).min(64);
                    assert_eq!(u64::from(TCOEF_BITS[run][magnitude][last]), expected);
                    assert_eq!(bits(last == 1, run, -level), expected);
                }
            }
        }
    }

    #[test]
    fn bytes_of_a_block() {
        let mut levels = Levels::NONE;
        for (position, level) in [(0, 1), (3, -1), (63, 70)] {
            levels.levels[usize::from(SCAN[position])] = level;
            levels.mask |= 1 << position;
        }
        let mut writer = BitWriter::new();
        write_tcoefs(&mut writer, &levels, 0);
        // 10 0 | 1110 1 | 0000011 1 1 111011 00001000110
        assert_eq!(writer.bits(), 3 + 5 + 26);
        assert_eq!(writer.into_bytes(), [0b1001_1101, 0b0000_0111, 0b1111_0110, 0b0001_0001, 0b1000_0000]);
    }

    #[test]
    fn intra_dc_avoids_128() {
        let mut writer = BitWriter::new();
        write_intra_dc(&mut writer, 128);
        write_intra_dc(&mut writer, 127);
        assert_eq!(writer.into_bytes(), [255, 127]);
    }
}
