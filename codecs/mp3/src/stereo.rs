//! Joint stereo: left and right, or the middle and the side (11172-3, 2.4.3.4.9.2).

use crate::layout::{Layout, MAX_BANDS};
use crate::psycho::Masking;
use crate::tables::LINES;

/// Lines and masking of both channels of a granule, as middle and side: their sum and difference, divided by the root of
/// two. Noise in either comes out as half of it on the left and half on the right.
pub(crate) fn mid_side(lines: &mut [[f32; LINES]; 2], masking: &mut [Masking; 2]) {
    let [left, right] = lines;
    for (left, right) in left.iter_mut().zip(right) {
        (*left, *right) = (
            (*left + *right) * std::f32::consts::FRAC_1_SQRT_2,
            (*left - *right) * std::f32::consts::FRAC_1_SQRT_2,
        );
    }
    *masking = common_masking(masking);
}

/// Noise that middle and side may hold: the harmonic mean of what left and right may.
fn common_masking(masking: &[Masking; 2]) -> [Masking; 2] {
    let common = std::array::from_fn(|band| {
        let [left, right] = [masking[0][band], masking[1][band]];
        2.0 * left * right / (left + right)
    });
    [common, common]
}

/// What the energies of middle and side contribute to that of left and right, band by band: 1 for the stronger one.
pub(crate) fn presence(lines: &[[f32; LINES]; 2], layout: &Layout) -> [[f32; MAX_BANDS]; 2] {
    let energy = |channel: usize, band: usize| -> f32 {
        lines[channel][layout.lines(band)].iter().map(|x| x * x).sum()
    };
    let mut presence = [[0.0; MAX_BANDS]; 2];
    for band in 0..layout.bands {
        let [middle, side] = [energy(0, band), energy(1, band)];
        let half = (0.5 * (middle + side)).max(f32::MIN_POSITIVE);
        presence[0][band] = (middle / half).min(1.0);
        presence[1][band] = (side / half).min(1.0);
    }
    presence
}

/// Bits that left and right would take beyond middle and side, roughly: the difference of the perceptual entropies.
pub(crate) fn gain_of_mid_side(lines: &[[f32; LINES]; 2], masking: &[Masking; 2], layout: &Layout) -> f32 {
    let common = common_masking(masking);
    (0..layout.bands)
        .map(|band| {
            let (mut squares, mut product) = ([0f32; 2], 0f32);
            for i in layout.lines(band) {
                squares[0] += lines[0][i] * lines[0][i];
                squares[1] += lines[1][i] * lines[1][i];
                product += lines[0][i] * lines[1][i];
            }
            let mean = 0.5 * (squares[0] + squares[1]);
            let apart = (1.0 + squares[0] / masking[0][band]) * (1.0 + squares[1] / masking[1][band]);
            let joint = (1.0 + (mean + product).max(0.0) / common[0][band])
                * (1.0 + (mean - product).max(0.0) / common[1][band]);
            0.5 * layout.lines(band).len() as f32 * libm::log2f(apart / joint)
        })
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(seed: u32) -> [f32; LINES] {
        std::array::from_fn(|i| {
            ((i as u32 + seed).wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0
        })
    }

    #[test]
    fn the_same_on_both_sides_is_cheaper_as_middle() {
        let masking = [[1e-3; MAX_BANDS]; 2];
        assert!(gain_of_mid_side(&[noise(1), noise(1)], &masking, &Layout::long(0)) > 1000.0);
        let opposite = noise(1).map(|x| -x);
        assert!(gain_of_mid_side(&[noise(1), opposite], &masking, &Layout::long(0)) > 1000.0);
    }

    #[test]
    fn one_side_alone_is_cheaper_apart() {
        let mut masking = [[1e-3; MAX_BANDS]; 2];
        masking[1] = [1e-6; MAX_BANDS];
        assert!(gain_of_mid_side(&[noise(1), [0.0; LINES]], &masking, &Layout::long(0)) < -1000.0);
    }

    #[test]
    fn middle_and_side_keep_the_energy_and_turn_back() {
        let (left, right) = (noise(1), noise(77));
        let mut lines = [left, right];
        let mut masking = [[1.0; MAX_BANDS], [3.0; MAX_BANDS]];
        mid_side(&mut lines, &mut masking);
        assert_eq!(masking, [[1.5; MAX_BANDS]; 2]);
        mid_side(&mut lines, &mut masking);
        assert!(
            (0..LINES).all(|i| (lines[0][i] - left[i]).abs() < 1e-6 && (lines[1][i] - right[i]).abs() < 1e-6)
        );
    }
}
