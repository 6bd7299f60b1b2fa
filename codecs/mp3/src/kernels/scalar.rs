//! Plain Rust, which defines what the other levels compute.

use super::{LANES, Pairs, Power43, Powers, nearest};

/// The sum of the accumulators: halves on each other until one is left.
#[inline(always)]
pub(super) fn sum(x: [f32; LANES]) -> f32 {
    ((x[0] + x[4]) + (x[2] + x[6])) + ((x[1] + x[5]) + (x[3] + x[7]))
}

#[inline(always)]
pub(super) fn powers(magnitude: &[f32], power34: &mut [f32]) -> Powers {
    let (mut largest, mut energy, mut roots) = ([0f32; LANES], [0f32; LANES], [0f32; LANES]);
    for (x, power) in magnitude.chunks_exact(LANES).zip(power34.chunks_exact_mut(LANES)) {
        for lane in 0..LANES {
            let root = x[lane].sqrt();
            power[lane] = (x[lane] * root).sqrt();
            largest[lane] = if power[lane] > largest[lane] { power[lane] } else { largest[lane] };
            energy[lane] += x[lane] * x[lane];
            roots[lane] += root;
        }
    }
    let max = |a: f32, b: f32| if a > b { a } else { b };
    let pairs: [f32; 4] = std::array::from_fn(|i| max(largest[i], largest[i + 4]));
    let largest = max(max(pairs[0], pairs[2]), max(pairs[1], pairs[3]));
    Powers { largest, energy: sum(energy), roots: sum(roots) }
}

pub(super) fn measure<const STEPS: usize>(
    magnitude: &[f32],
    power34: &[f32],
    steps: [[f32; 2]; STEPS],
    power43: &Power43,
    pairs: &mut [Pairs; STEPS],
) -> [[f32; 2]; STEPS] {
    let mut energies = [[0.0; 2]; STEPS];
    for (([inverse_step, step], pairs), energies) in steps.into_iter().zip(pairs).zip(&mut energies) {
        let (mut noise, mut kept) = ([0f32; LANES], [0f32; LANES]);
        let lines = magnitude.chunks_exact(LANES).zip(power34.chunks_exact(LANES));
        for ((x, power), pairs) in lines.zip(pairs.chunks_exact_mut(LANES / 2)) {
            let mut values = [0; LANES];
            for lane in 0..LANES {
                values[lane] = nearest(power[lane] * inverse_step);
                let y = power43[usize::from(values[lane]).min(power43.len() - 1)] * step;
                let error = x[lane] - y;
                noise[lane] += error * error;
                kept[lane] += y * y;
            }
            for (pair, values) in pairs.iter_mut().zip(values.chunks_exact(2)) {
                *pair = (values[0].min(15) << 4 | values[1].min(15)) as u8;
            }
        }
        *energies = [sum(noise), sum(kept)];
    }
    energies
}
