//! Up to 64 blocks of a row as the bits of a word, the first block as the lowest bit. To go from one to the next takes no
//! branch that depends on what lies between.

use std::ops::Range;

use crate::parse::Reference;

/// How many blocks a mask holds.
pub(crate) const BLOCKS: usize = u64::BITS as usize;

/// Which of at most 64 blocks are coded.
#[inline]
pub(crate) fn coded(references: &[Reference]) -> u64 {
    const { assert!(Reference::Golden as u8 == 3 && Reference::None as u8 == 0) };
    let mut mask = 0;
    let eights = references.chunks_exact(8);
    let rest = eights.remainder();
    for (index, eight) in eights.enumerate() {
        let bytes = u64::from_le_bytes(std::array::from_fn(|i| eight[i] as u8));
        let ones = (bytes | bytes >> 1) & 0x0101_0101_0101_0101;
        // The product has bit 0 of byte i as bit 56 + i.
        mask |= (ones.wrapping_mul(0x0102_0408_1020_4080) >> 56) << (8 * index);
    }
    for (index, &reference) in (references.len() - rest.len()..).zip(rest) {
        mask |= u64::from(reference != Reference::None) << index;
    }
    mask
}

/// The bits that are set, in rising order.
#[inline]
pub(crate) fn ones(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let bit = (mask != 0).then(|| mask.trailing_zeros() as usize)?;
        mask &= mask - 1;
        Some(bit)
    })
}

/// The runs of bits that are set, in rising order.
#[inline]
pub(crate) fn runs(mut mask: u64) -> impl Iterator<Item = Range<usize>> {
    std::iter::from_fn(move || {
        let start = (mask != 0).then(|| mask.trailing_zeros())?;
        let end = start + (mask >> start).trailing_ones();
        // Adding to the lowest bit of the run carries over all of it.
        mask &= mask.wrapping_add(1 << start);
        Some(start as usize..end as usize)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn masks_have_the_first_block_as_the_lowest_bit() {
        use Reference::{Golden, Intra, None, Previous};
        assert_eq!(
            coded(&[None, Intra, Previous, Golden, None, None, None, None, None, Golden]),
            0b10_0000_1110
        );
        let references: Vec<Reference> =
            (0..64).map(|i| if i % 3 == 0 || i == 63 { Golden } else { None }).collect();
        for length in 0..=64 {
            let bit = |mask, reference: &Reference| mask << 1 | u64::from(*reference != None);
            let expected = references[..length].iter().rev().fold(0, bit);
            assert_eq!(coded(&references[..length]), expected, "{length} blocks");
        }
    }

    #[test]
    fn ones_and_runs_are_found() {
        let mask = 0b1101 | 1 << 30 | 0b111 << 61;
        assert_eq!(ones(mask).collect::<Vec<_>>(), [0, 2, 3, 30, 61, 62, 63]);
        assert_eq!(runs(mask).collect::<Vec<_>>(), [0..1, 2..4, 30..31, 61..64]);
        assert_eq!(runs(u64::MAX).next(), Some(0..64));
        assert_eq!(ones(0).count() + runs(0).count(), 0);
    }
}
