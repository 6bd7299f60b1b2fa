//! Quantisation and its inverse (H.263, 6.2.1).

use crate::block::Levels;
use crate::dct::{Block, SCALE_BITS};
use crate::tables::ZIGZAG;

/// Largest magnitude of LEVEL whose coefficient stays within 2047, where no decoder clips.
pub(crate) fn max_level(quantizer: u8) -> i32 {
    (2047 / i32::from(quantizer) - 1) / 2
}

/// The coefficient that `level` stands for.
#[inline]
pub(crate) fn dequantize(level: i16, quantizer: u8) -> i16 {
    let q = i16::from(quantizer);
    let magnitude = q * (2 * level.abs() + 1) - i16::from(q % 2 == 0);
    magnitude * level.signum()
}

/// INTRADC of a block from its scaled first coefficient: 1 to 254, in steps of 8.
pub(crate) fn quantize_intra_dc(coefficient: i16) -> i16 {
    const STEP: i16 = 8 << SCALE_BITS;
    ((coefficient + STEP / 2) / STEP).clamp(1, 254)
}

/// Quantises scaled coefficients from index `first` in zigzag order on, after taking `dead_zone` sixteenths of
/// the step off their magnitudes.
pub(crate) fn quantize(coefficients: &Block, quantizer: u8, dead_zone: i32, first: usize) -> Levels {
    let step = i32::from(quantizer) << (SCALE_BITS + 1);
    let most = max_level(quantizer);
    let mut levels = [0; 64];
    for i in first..64 {
        let c = i32::from(coefficients[usize::from(ZIGZAG[i])]);
        let level = ((c.abs() - step * dead_zone / 16).max(0) / step).min(most);
        levels[i] = (level * c.signum()) as i16;
    }
    levels
}

/// The coefficients, row by row, of `levels` from index `first` in zigzag order on.
pub(crate) fn dequantize_block(levels: &Levels, quantizer: u8, first: usize) -> Block {
    let mut coefficients = [0; 64];
    for i in first..64 {
        if levels[i] != 0 {
            coefficients[usize::from(ZIGZAG[i])] = dequantize(levels[i], quantizer);
        }
    }
    coefficients
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn coefficients_stay_in_range() {
        for quantizer in 1..=31 {
            let level = max_level(quantizer) as i16;
            let c = dequantize(level, quantizer);
            assert!(c <= 2047 && c > 2047 - 4 * i16::from(quantizer), "{quantizer}: {c}");
            assert_eq!(dequantize(-level, quantizer), -c);
            assert!(level <= 1023);
        }
        assert_eq!((dequantize(1, 5), dequantize(1, 6), dequantize(0, 6)), (15, 17, 0));
    }

    #[test]
    fn quantisation_rounds_to_the_interval() {
        for quantizer in 1..=31 {
            for c in -2040i16..=2040 {
                let mut block = [0; 64];
                block[8] = c << SCALE_BITS;
                let level = quantize(&block, quantizer, 0, 1)[2];
                let error = (dequantize(level, quantizer) - c).abs();
                let bound = if level == 0 { 2 * i16::from(quantizer) } else { i16::from(quantizer) + 1 };
                let clipped = i32::from(level.abs()) == max_level(quantizer);
                assert!(error <= bound || clipped, "{c} at {quantizer}: {level}");
            }
        }
    }

    #[test]
    fn intra_dc_is_never_forbidden() {
        assert_eq!(quantize_intra_dc(0), 1);
        assert_eq!(quantize_intra_dc(16 * 8 * 255), 254);
        assert_eq!(quantize_intra_dc(16 * 8 * 100 + 63), 100);
    }
}
