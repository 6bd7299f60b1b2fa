//! Quantisation and its inverse (H.263, 6.2.1).

use crate::block::{Levels, SCAN};
use crate::kernels::{Block, Divisor};

/// Binary logarithm of the scale of forward coefficients.
pub(crate) const SCALE_BITS: u32 = 3;

/// Largest magnitude of LEVEL whose coefficient stays within 2047, where no decoder clips.
pub(crate) fn max_level(quantizer: u8) -> u16 {
    (2047 / u16::from(quantizer) - 1) / 2
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

/// Division by the step of `quantizer` after `offset` 32nds of the step are added.
pub(crate) fn divisor(quantizer: u8, offset: i16) -> Divisor {
    let step = u32::from(quantizer) << (SCALE_BITS + 1);
    let scaled = |level: i16| dequantize(level, quantizer) << SCALE_BITS;
    Divisor {
        reciprocal: 65536u32.div_ceil(step) as u16,
        offset: (i32::from(offset) * step as i32 / 32) as i16,
        most: max_level(quantizer),
        step: scaled(2) - scaled(1),
        rest: 2 * scaled(1) - scaled(2),
    }
}

/// Divides scaled coefficients as kernels do; the mask of the levels has no bit for index 0 if that is INTRADC.
#[cfg(test)]
pub(crate) fn quantize(coefficients: &Block, divisor: Divisor, intra: bool, levels: &mut Levels) {
    let quantized = crate::kernels::scalar::quantize(coefficients, &divisor, &mut levels.levels);
    levels.set_mask(quantized.mask, usize::from(intra));
}

/// The coefficients that levels stand for, INTRADC included.
pub(crate) fn dequantize_block(levels: &Levels, quantizer: u8, intra: bool) -> Block {
    let mut coefficients = [0; 64];
    let mut mask = levels.mask;
    while mask != 0 {
        let at = usize::from(SCAN[mask.trailing_zeros() as usize]);
        coefficients[at] = dequantize(levels.levels[at], quantizer);
        mask &= mask - 1;
    }
    if intra {
        coefficients[0] = 8 * levels.levels[0];
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
                let mut levels = Levels::NONE;
                quantize(&block, divisor(quantizer, 0), false, &mut levels);
                let level = levels.levels[8];
                assert_eq!(levels.mask, if level == 0 { 0 } else { 2 });
                let error = (dequantize(level, quantizer) - c).abs();
                // The reciprocal has 16 bits, which shows in large levels.
                let bound = if level == 0 {
                    2 * i16::from(quantizer)
                } else {
                    i16::from(quantizer) + 1 + c.abs() / 128
                };
                let clipped = level.unsigned_abs() == max_level(quantizer);
                assert!(error <= bound || clipped, "{c} at {quantizer}: {level}");
            }
        }
    }

    #[test]
    fn intra_dc_is_never_forbidden() {
        assert_eq!(quantize_intra_dc(0), 1);
        assert_eq!(quantize_intra_dc(8 * 8 * 255), 254);
        assert_eq!(quantize_intra_dc(8 * 8 * 100 + 31), 100);
    }
}
