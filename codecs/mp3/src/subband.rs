//! The polyphase analysis filterbank (11172-3, C.1.3): 32 subbands, each sampled once every 32 samples.

use crate::tables::{SLOTS, SUBBANDS, WINDOW};

/// Samples that one slot of subband samples is made of.
pub(crate) const TAPS: usize = 512;

/// Subband samples of one granule: `[slot][subband]`.
pub(crate) type Subbands = [[f32; SUBBANDS]; SLOTS];

/// The window and the matrix of the filterbank.
pub(crate) struct Polyphase {
    /// The analysis window C, reversed: the weight of the oldest sample first.
    window: [f32; TAPS],
    /// `cos((2i + 1) m pi / 64)` for even m = 2j: `[j][i]`, i below 16.
    even: [[f32; 16]; 16],
    /// The same for odd m = 2j + 1.
    odd: [[f32; 16]; 16],
}

impl Polyphase {
    pub(crate) fn new() -> Self {
        let cosine =
            |m: usize, i: usize| libm::cos(((2 * i + 1) * m) as f64 * std::f64::consts::PI / 64.0) as f32;
        Self {
            window: std::array::from_fn(|i| WINDOW[TAPS - 1 - i] as f32 / (65536.0 * 32.0)),
            even: std::array::from_fn(|j| std::array::from_fn(|i| cosine(2 * j, i))),
            odd: std::array::from_fn(|j| std::array::from_fn(|i| cosine(2 * j + 1, i))),
        }
    }

    /// The subband samples of a granule from its 576 samples and the 480 before them, oldest first, with the
    /// frequency inversion that the MDCT asks for (11172-3, C.1.5.3.3): odd samples of odd subbands negated.
    ///
    /// # Panics
    /// If `pcm` holds fewer than 1056 samples.
    #[inline(always)]
    pub(crate) fn analyse(&self, pcm: &[f32], out: &mut Subbands) {
        for (slot, subbands) in out.iter_mut().enumerate() {
            self.slot(&pcm[slot * SUBBANDS..][..TAPS], subbands);
            if slot % 2 == 1 {
                for sample in subbands.iter_mut().skip(1).step_by(2) {
                    *sample = -*sample;
                }
            }
        }
    }

    /// One sample of each subband from the last 512 samples, oldest first.
    #[inline(always)]
    fn slot(&self, pcm: &[f32], out: &mut [f32; SUBBANDS]) {
        // Y[63 - i] of the standard.
        let mut y = [0f32; 64];
        for (pcm, window) in pcm.chunks_exact(64).zip(self.window.chunks_exact(64)) {
            for i in 0..64 {
                y[i] += pcm[i] * window[i];
            }
        }
        // The matrix cos((2i + 1)(k - 16) pi / 64) is even about k = 16 and odd about k = 48.
        let mut v = [0f32; 32];
        v[0] = y[63 - 16];
        for m in 1..17 {
            v[m] = y[63 - 16 - m] + y[63 - 16 + m];
        }
        for m in 17..32 {
            v[m] = y[63 - 16 - m] - y[m - 17];
        }
        let (mut even, mut odd) = ([0f32; 16], [0f32; 16]);
        for j in 0..16 {
            for i in 0..16 {
                even[i] += v[2 * j] * self.even[j][i];
                odd[i] += v[2 * j + 1] * self.odd[j][i];
            }
        }
        for i in 0..16 {
            out[i] = even[i] + odd[i];
            out[31 - i] = even[i] - odd[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// 11172-3, figure C.4, word for word.
    fn analytical(pcm: &[f32]) -> [f64; 32] {
        let z: Vec<f64> =
            (0..512).map(|i| f64::from(WINDOW[i]) / 65536.0 / 32.0 * f64::from(pcm[511 - i])).collect();
        let y: Vec<f64> = (0..64).map(|i| (0..8).map(|j| z[i + 64 * j]).sum()).collect();
        std::array::from_fn(|i| {
            (0..64)
                .map(|k| {
                    (f64::from(2 * i as i32 + 1) * (f64::from(k as i32) - 16.0) * PI / 64.0).cos() * y[k]
                })
                .sum()
        })
    }

    #[test]
    fn fast_and_analytical_forms_agree() {
        let pcm: Vec<f32> =
            (0..1056u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect();
        let mut out = [[0.0; 32]; 18];
        Polyphase::new().analyse(&pcm, &mut out);
        for slot in 0..18 {
            let expected = analytical(&pcm[32 * slot..]);
            for sb in 0..32 {
                let sign = if slot % 2 == 1 && sb % 2 == 1 { -1.0 } else { 1.0 };
                let error = f64::from(out[slot][sb]) - sign * expected[sb];
                assert!(error.abs() < 1e-6, "slot {slot} subband {sb}: off by {error}");
            }
        }
    }
}
