//! Prediction from a reference, with half-sample interpolation (H.263, 6.1.2).

use super::Mv;
use crate::planes::{CodedPicture, CodedPlane, MbSamples};

/// Predicts the `SIZE` x `SIZE` samples at `x`, `y` of a plane, moved by `mv`, into rows of distance `stride`.
pub(crate) fn predict_block<const SIZE: usize>(
    reference: &CodedPlane,
    x: usize,
    y: usize,
    mv: Mv,
    out: &mut [u8],
    stride: usize,
) {
    let from = reference.at(x as isize + isize::from(mv.x >> 1), y as isize + isize::from(mv.y >> 1));
    // A missing fraction steps by nothing: the mean of a sample with itself is the sample.
    let (right, below) = ((mv.x & 1) as usize, (mv.y & 1) as usize * reference.stride);
    for row in 0..SIZE {
        let at = row * reference.stride;
        let out = &mut out[row * stride..][..SIZE];
        let a = &from[at..][..SIZE];
        match (right != 0, below != 0) {
            (false, false) => out.copy_from_slice(a),
            (true, true) => {
                let b = &from[at + 1..][..SIZE];
                let (c, d) = (&from[at + below..][..SIZE], &from[at + below + 1..][..SIZE]);
                for i in 0..SIZE {
                    let sum = u16::from(a[i]) + u16::from(b[i]) + u16::from(c[i]) + u16::from(d[i]);
                    out[i] = ((sum + 2) >> 2) as u8;
                }
            }
            _ => {
                let b = &from[at + right + below..][..SIZE];
                for i in 0..SIZE {
                    out[i] = ((u16::from(a[i]) + u16::from(b[i]) + 1) >> 1) as u8;
                }
            }
        }
    }
}

/// Predicts the macroblock `mb_x`, `mb_y` with one vector for each luma block; four equal ones are one vector.
pub(crate) fn predict_macroblock(
    reference: &CodedPicture,
    mb_x: usize,
    mb_y: usize,
    mvs: &[Mv; 4],
) -> MbSamples {
    let mut samples = MbSamples::new();
    let [luma, cb, cr] = &reference.planes;
    let (x, y) = (16 * mb_x, 16 * mb_y);
    if mvs[1..].iter().all(|mv| *mv == mvs[0]) {
        predict_block::<16>(luma, x, y, mvs[0], &mut samples.0, 16);
    } else {
        for (bi, mv) in mvs.iter().enumerate() {
            let (right, down) = (8 * (bi % 2), 8 * (bi / 2));
            predict_block::<8>(luma, x + right, y + down, *mv, &mut samples.0[16 * down + right..], 16);
        }
    }
    let mv = Mv::chroma(mvs);
    predict_block::<8>(cb, x / 2, y / 2, mv, &mut samples.0[256..], 8);
    predict_block::<8>(cr, x / 2, y / 2, mv, &mut samples.0[320..], 8);
    samples
}
