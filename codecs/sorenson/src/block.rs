//! The block layer: INTRADC and TCOEF (H.263, 5.4).

use crate::tables::{Code, TCOEF, TCOEF_ESCAPE};
use oggflv_common::BitSink;

/// Quantised coefficients in zigzag order.
pub(crate) type Levels = [i16; 64];

/// Largest magnitude of LEVEL in [`TCOEF`].
const MAX_LEVEL: usize = 12;

/// Code words by LAST, RUN and LEVEL with the sign bit 0 appended; length 0 where the escape is needed.
const TCOEF_CODES: [[[Code; MAX_LEVEL + 1]; 64]; 2] = {
    let mut codes = [[[Code { bits: 0, len: 0 }; MAX_LEVEL + 1]; 64]; 2];
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

/// Writes all of `levels` from index `first` (1 if INTRADC came before); one of them must not be zero.
pub(crate) fn write_tcoefs(sink: &mut impl BitSink, levels: &Levels, first: usize) {
    let Some(end) = levels.iter().rposition(|&level| level != 0) else { return };
    let mut run = 0;
    for &level in &levels[first..end] {
        if level == 0 {
            run += 1;
        } else {
            write_tcoef(sink, false, run, level);
            run = 0;
        }
    }
    write_tcoef(sink, true, run, levels[end]);
}

/// Writes one TCOEF: a code word of Table 16 with its sign, or an escape in version 1 of FLV1.
#[inline]
fn write_tcoef(sink: &mut impl BitSink, last: bool, run: usize, level: i16) {
    let magnitude = usize::from(level.unsigned_abs());
    if magnitude <= MAX_LEVEL {
        let code = TCOEF_CODES[usize::from(last)][run][magnitude];
        if code.len != 0 {
            sink.put(u32::from(code.bits) | u32::from(level < 0), code.len.into());
            return;
        }
    }
    // ESCAPE, one bit for the width of LEVEL, LAST, RUN.
    let wide = magnitude > 63;
    let start = u32::from(TCOEF_ESCAPE.bits) << 8 | u32::from(wide) << 7 | u32::from(last) << 6 | run as u32;
    sink.put(start, u32::from(TCOEF_ESCAPE.len) + 8);
    let width = if wide { 11 } else { 7 };
    sink.put(level as u32 & ((1 << width) - 1), width);
}

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
    fn bytes_of_a_block() {
        let mut levels = [0; 64];
        (levels[0], levels[3], levels[63]) = (1, -1, 70);
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
