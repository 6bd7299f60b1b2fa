//! Motion vectors: what they may be, how they are predicted, found and applied (H.263, 6.1).

pub(crate) mod half_pel;
pub(crate) mod predict;
pub(crate) mod search;

use crate::tables::CHROMA_SIXTEENTHS;

/// A motion vector in half samples; each component is -32 to 31 (H.263, 6.1.1).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Mv {
    pub(crate) x: i16,
    pub(crate) y: i16,
}

impl Mv {
    pub(crate) const ZERO: Self = Self { x: 0, y: 0 };

    /// Which components lie between samples: bit 0 is x, bit 1 is y.
    pub(crate) fn fraction(self) -> usize {
        (self.x & 1 | (self.y & 1) << 1) as usize
    }

    /// The vector of both chroma blocks, from the vectors of the four luma blocks (H.263, F.2).
    pub(crate) fn chroma(vectors: &[Self; 4]) -> Self {
        let component = |get: fn(&Self) -> i16| chroma_component(vectors.iter().map(get).sum());
        Self { x: component(|v| v.x), y: component(|v| v.y) }
    }
}

/// A component of the chroma vector, in half chroma samples, from the sum of four components.
/// Four equal components give the rule for one vector (6.1.1): half, and any fraction becomes a half sample.
fn chroma_component(sum: i16) -> i16 {
    (sum >> 4) * 2 + CHROMA_SIXTEENTHS[(sum & 15) as usize]
}

/// The vectors that one macroblock may use.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MvLimits {
    pub(crate) max_x: i16,
    pub(crate) max_y: i16,
}

impl MvLimits {
    /// Smallest component, in half samples.
    pub(crate) const MIN: i16 = -32;
    /// Largest component, in half samples.
    pub(crate) const MAX: i16 = 31;

    /// Limits of macroblock `mb_x`, `mb_y` of a picture of `width` x `height`.
    ///
    /// Decoders disagree on what lies behind the right and the bottom edge of a picture that does not fill its
    /// macroblocks, so no visible sample may come from there. Left and top need no limit.
    pub(crate) fn new(mb_x: usize, mb_y: usize, width: usize, height: usize) -> Self {
        Self { max_x: max_component(mb_x, width), max_y: max_component(mb_y, height) }
    }

    pub(crate) fn contain(&self, mv: Mv) -> bool {
        (Self::MIN..=self.max_x).contains(&mv.x) && (Self::MIN..=self.max_y).contains(&mv.y)
    }
}

/// Largest component along one dimension of `size` samples for the macroblock with index `mb`. There is room for any where
/// 16 samples follow.
fn max_component(mb: usize, size: usize) -> i16 {
    if size.is_multiple_of(16) || size >= 16 * (mb + 2) {
        return MvLimits::MAX;
    }
    // How far the last visible sample of the macroblock may move: with a half sample, the next one is read too.
    let room = |block: usize, size: usize| size - size.min((mb + 1) * block);
    let reaches = |mv: i16| (mv >> 1) + (mv & 1);
    (0..=MvLimits::MAX)
        .rev()
        .find(|&mv| {
            let chroma = chroma_component(4 * mv);
            reaches(mv) as usize <= room(16, size) && reaches(chroma) as usize <= room(8, size.div_ceil(2))
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chroma_of_one_vector_rounds_fractions_to_a_half() {
        let chroma = |x| Mv::chroma(&[Mv { x, y: 0 }; 4]).x;
        assert_eq!(
            [-5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5].map(chroma),
            [-3, -2, -1, -1, -1, 0, 1, 1, 1, 2, 3]
        );
    }

    #[test]
    fn chroma_of_four_vectors() {
        let sum = |sum| Mv::chroma(&[Mv { x: sum, y: 0 }, Mv::ZERO, Mv::ZERO, Mv::ZERO]).x;
        assert_eq!([-3, -2, 0, 2, 3, 13, 14, 16, 18, 19].map(sum), [-1, 0, 0, 0, 1, 1, 2, 2, 2, 3]);
    }

    #[test]
    fn limits_at_600_rows() {
        let max_y = |mb_y| MvLimits::new(0, mb_y, 800, 600).max_y;
        assert_eq!((max_y(37), max_y(36), max_y(35)), (0, 16, 31));
        assert_eq!(MvLimits::new(49, 37, 800, 600).max_x, 31);
        assert_eq!(MvLimits::new(49, 37, 800, 608).max_y, 31);
    }

    /// No sample that is shown comes from behind the edge, in luma or chroma, for any legal vector.
    #[test]
    fn limits_keep_visible_samples_inside() {
        for size in (1..100usize).filter(|size| !size.is_multiple_of(16)) {
            for mb in 0..size.div_ceil(16) {
                for mv in MvLimits::MIN..=max_component(mb, size) {
                    for (block, visible, mv) in
                        [(16, size, mv), (8, size.div_ceil(2), chroma_component(4 * mv))]
                    {
                        let last = visible.min((mb + 1) * block) - 1;
                        let tap = last as isize + isize::from(mv >> 1) + isize::from(mv & 1);
                        assert!(tap < visible as isize, "size {size}, macroblock {mb}, vector {mv}");
                    }
                }
            }
        }
    }
}
