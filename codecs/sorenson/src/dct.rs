//! The 8x8 discrete cosine transforms, in integers.

/// A block of coefficients or residuals, row by row.
pub(crate) type Block = [i16; 64];

/// 2^13 * cos(k pi / 16), the orthonormal basis times 2^14.
const COS: [i32; 8] = [8192, 8035, 7568, 6811, 5793, 4551, 3135, 1598];

/// `FORWARD[u][x]`: basis function `u` at `x`, times 2^14.
const FORWARD: [[i32; 8]; 8] = {
    let mut basis = [[0; 8]; 8];
    let mut u = 0;
    while u < 8 {
        let mut x = 0;
        while x < 8 {
            // cos(angle * pi / 16), folded into the first quadrant.
            let angle = (2 * x + 1) * u % 32;
            let folded = if angle > 16 { 32 - angle } else { angle };
            basis[u][x] = if u == 0 {
                COS[4]
            } else if folded > 8 {
                -COS[16 - folded]
            } else if folded == 8 {
                0
            } else {
                COS[folded]
            };
            x += 1;
        }
        u += 1;
    }
    basis
};

/// Binary logarithm of the scale of forward coefficients.
pub(crate) const SCALE_BITS: u32 = 4;

/// Forward transform of a residual (-255 to 255): orthonormal coefficients times 16.
pub(crate) fn forward(residual: &Block) -> Block {
    let mut rows = [0; 64];
    for y in 0..8 {
        for u in 0..8 {
            let sum: i32 = (0..8).map(|x| i32::from(residual[8 * y + x]) * FORWARD[u][x]).sum();
            rows[8 * y + u] = (sum + (1 << 9)) >> 10;
        }
    }
    let mut coefficients = [0; 64];
    for v in 0..8 {
        for u in 0..8 {
            let sum: i32 = (0..8).map(|y| rows[8 * y + u] * FORWARD[v][y]).sum();
            coefficients[8 * v + u] = ((sum + (1 << 13)) >> 14) as i16;
        }
    }
    coefficients
}

/// 2^14 * sqrt(2) * cos(k pi / 16), but one less for k = 4.
const W: [i32; 8] = [0, 22725, 21407, 19266, 16383, 12873, 8867, 4520];

/// The even and the odd half of one dimension of [`inverse`]: output x is their sum, output 7 - x their difference.
#[inline(always)]
fn inverse_halves(c: [i32; 8], dc: i32) -> ([i32; 4], [i32; 4]) {
    let (a, b) = (W[4] * dc, W[4] * c[4]);
    let (d, e) = (W[2] * c[2] + W[6] * c[6], W[6] * c[2] - W[2] * c[6]);
    let even = [a + b + d, a - b + e, a - b - e, a + b - d];
    let odd = [
        W[1] * c[1] + W[3] * c[3] + W[5] * c[5] + W[7] * c[7],
        W[3] * c[1] - W[7] * c[3] - W[1] * c[5] - W[5] * c[7],
        W[5] * c[1] - W[1] * c[3] + W[7] * c[5] + W[3] * c[7],
        W[7] * c[1] - W[5] * c[3] + W[3] * c[5] - W[1] * c[7],
    ];
    (even, odd)
}

/// Inverse transform of coefficients (-2047 to 2047), with the roundings of the decoder in ffmpeg: rows come first,
/// a row that only has its first coefficient takes a shortcut, and the last rounding enters through that coefficient.
pub(crate) fn inverse(coefficients: &Block) -> Block {
    let mut rows = [0i16; 64];
    for (row, out) in coefficients.chunks_exact(8).zip(rows.chunks_exact_mut(8)) {
        if row[1..].iter().all(|&c| c == 0) {
            out.fill(row[0] << 3);
            continue;
        }
        let (even, odd) = inverse_halves([0, 1, 2, 3, 4, 5, 6, 7].map(|i| row[i].into()), row[0].into());
        for x in 0..4 {
            out[x] = ((even[x] + odd[x] + (1 << 10)) >> 11) as i16;
            out[7 - x] = ((even[x] - odd[x] + (1 << 10)) >> 11) as i16;
        }
    }
    let mut residual = [0; 64];
    for x in 0..8 {
        let column = [0, 1, 2, 3, 4, 5, 6, 7].map(|i| i32::from(rows[8 * i + x]));
        let (even, odd) = inverse_halves(column, column[0] + (1 << 19) / W[4]);
        for y in 0..4 {
            residual[8 * y + x] = ((even[y] + odd[y]) >> 20) as i16;
            residual[8 * (7 - y) + x] = ((even[y] - odd[y]) >> 20) as i16;
        }
    }
    residual
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The definition (H.263, 6.2.2) in floating point; `forward` or inverse.
    fn analytical(input: &Block, forward: bool) -> [f64; 64] {
        let c = |u: usize| if u == 0 { (1.0f64 / 8.0).sqrt() } else { 0.5 };
        let basis = |u: usize, x: usize| c(u) * ((2 * x + 1) as f64 * u as f64 * PI / 16.0).cos();
        let mut out = [0.0; 64];
        for a in 0..64 {
            for b in 0..64 {
                let (u, v, x, y) =
                    if forward { (a % 8, a / 8, b % 8, b / 8) } else { (b % 8, b / 8, a % 8, a / 8) };
                out[a] += f64::from(input[b]) * basis(u, x) * basis(v, y);
            }
        }
        out
    }

    fn noise(seed: u32, range: i32) -> Block {
        let mut state = seed.wrapping_mul(2654435761).wrapping_add(1);
        [(); 64].map(|()| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            ((state >> 8) as i32 % (2 * range + 1) - range) as i16
        })
    }

    #[test]
    fn forward_is_near_the_definition() {
        for seed in 0..200 {
            let block = if seed == 0 { [-255; 64] } else { noise(seed, 255) };
            let exact = analytical(&block, true);
            for (c, exact) in forward(&block).iter().zip(exact) {
                assert!(
                    (f64::from(*c) - 16.0 * exact).abs() < 2.0 + exact.abs() * 0.003,
                    "{c} for {}",
                    16.0 * exact
                );
            }
        }
    }

    #[test]
    fn inverse_is_near_the_definition() {
        for seed in 0..200 {
            let residual = noise(seed, 255);
            let coefficients = forward(&residual).map(|c| (c + 8) >> SCALE_BITS);
            let exact = analytical(&coefficients, false);
            for (r, exact) in inverse(&coefficients).iter().zip(exact) {
                assert!((f64::from(*r) - exact).abs() < 1.1, "{r} for {exact}");
            }
        }
    }

    #[test]
    fn inverse_of_one_coefficient() {
        let mut coefficients = [0; 64];
        coefficients[0] = 8 * 200;
        assert_eq!(inverse(&coefficients), [200; 64]);
        // A lone coefficient in the first row does not take the shortcut: 2^14 sqrt(2) cos(pi / 16) counts.
        coefficients[1] = 1;
        let row = (1600 * 16383 + 22725 + (1 << 10)) >> 11;
        assert_eq!(inverse(&coefficients)[0], (((row + 32) * 16383i64) >> 20) as i16);
    }
}
