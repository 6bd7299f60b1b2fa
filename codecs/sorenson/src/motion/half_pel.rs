//! Prediction from a reference, with half-sample interpolation (H.263, 6.1.2).

use super::Mv;
use crate::kernels::Kernels;
use crate::planes::{BLOCK_START, CodedPlane, MbSamples, Window};

/// Predicts the macroblock `mb_x`, `mb_y` with one vector for each luma block; four equal ones are one vector.
pub(crate) fn predict_macroblock(
    kernels: &Kernels,
    reference: &Window,
    mb_x: usize,
    mb_y: usize,
    mvs: &[Mv; 4],
    samples: &mut MbSamples,
) {
    let [luma, cb, cr] = &reference.planes;
    let (x, y) = (16 * mb_x, 16 * mb_y);
    if mvs[1..].iter().all(|mv| *mv == mvs[0]) {
        (kernels.predict_16)(at(luma, x, y, mvs[0]), luma.stride, mvs[0].fraction(), samples.luma_mut());
    } else {
        for (bi, mv) in mvs.iter().enumerate() {
            let from = at(luma, x + 8 * (bi % 2), y + 8 * (bi / 2), *mv);
            (kernels.predict_8)(from, luma.stride, mv.fraction(), &mut samples.0[BLOCK_START[bi]..]);
        }
    }
    let mv = Mv::chroma(mvs);
    for (plane, start) in [(cb, BLOCK_START[4]), (cr, BLOCK_START[5])] {
        (kernels.predict_8)(
            at(plane, x / 2, y / 2, mv),
            plane.stride,
            mv.fraction(),
            &mut samples.0[start..],
        );
    }
}

/// The samples from `x`, `y` on, moved by the whole part of `mv`.
fn at(plane: &CodedPlane, x: usize, y: usize, mv: Mv) -> &[u8] {
    plane.at(x as isize + isize::from(mv.x >> 1), y as isize + isize::from(mv.y >> 1))
}
