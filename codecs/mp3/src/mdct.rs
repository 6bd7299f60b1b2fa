//! The MDCT of each subband and the alias reduction between subbands (11172-3, C.1.5.3.3).

use crate::header::BlockType;
use crate::layout::Layout;
use crate::subband::Subbands;
use crate::tables::{ALIAS, LINES, SLOTS, SUBBANDS};
use std::f64::consts::PI;

/// Scales that make the standard's inverse transforms reproduce the input.
const LONG_SCALE: f64 = 1.0 / 9.0;
const SHORT_SCALE: f64 = 1.0 / 3.0;

/// Windows, matrices and butterflies.
pub(crate) struct Mdct {
    /// Windows of 36 by block type; the one of short blocks is not used here.
    windows: [[f32; 36]; 4],
    /// The DCT-IV of 18 that an MDCT of 36 folds to, `[line][n]`, scaled.
    long: [[f32; SLOTS]; SLOTS],
    /// The DCT-IV of 6, likewise, and the window of short blocks.
    short: [[f32; 6]; 6],
    short_window: [f32; 12],
    /// Places of the lines of a short block.
    short_order: [usize; LINES],
    /// `cs` and `ca` of the alias reduction.
    butterflies: [(f32, f32); 8],
}

impl Mdct {
    /// Transforms for the sampling rate in row `row` of the tables.
    pub(crate) fn new(row: usize) -> Self {
        let sine = |length: usize, k: usize| libm::sin(PI / length as f64 * (k as f64 + 0.5));
        let start = |k: usize| match k {
            0..18 => sine(36, k),
            18..24 => 1.0,
            24..30 => sine(12, k - 18),
            _ => 0.0,
        };
        let window = |block_type: BlockType, k: usize| match block_type {
            BlockType::Start => start(k),
            BlockType::Stop => start(35 - k),
            BlockType::Long | BlockType::Short => sine(36, k),
        };
        Self {
            windows: BlockType::ALL.map(|t| std::array::from_fn(|k| window(t, k) as f32)),
            long: std::array::from_fn(|i| {
                std::array::from_fn(|n| {
                    (LONG_SCALE * libm::cos(PI / 72.0 * ((2 * n + 1) * (2 * i + 1)) as f64)) as f32
                })
            }),
            short: std::array::from_fn(|i| {
                std::array::from_fn(|n| {
                    (SHORT_SCALE * libm::cos(PI / 24.0 * ((2 * n + 1) * (2 * i + 1)) as f64)) as f32
                })
            }),
            short_window: std::array::from_fn(|k| sine(12, k) as f32),
            short_order: Layout::short_order(row),
            butterflies: ALIAS.map(|c| {
                let length = libm::sqrt(1.0 + c * c);
                ((1.0 / length) as f32, (c / length) as f32)
            }),
        }
    }

    /// The lines of a granule from the subband samples of the granule before it and of its own, in the order in which
    /// they are coded.
    #[inline(always)]
    pub(crate) fn transform(
        &self,
        previous: &Subbands,
        current: &Subbands,
        block_type: BlockType,
        out: &mut [f32; LINES],
    ) {
        if block_type == BlockType::Short {
            return self.transform_short(previous, current, out);
        }
        let window = &self.windows[block_type as usize];
        let sample = |k: usize, sb: usize| {
            window[k] * if k < SLOTS { previous[k][sb] } else { current[k - SLOTS][sb] }
        };
        // The window folded at its quarter and three quarters, as an MDCT is a DCT-IV of its folded input.
        let mut folded = [[0f32; SUBBANDS]; SLOTS];
        for n in 0..9 {
            for sb in 0..SUBBANDS {
                folded[n][sb] = -sample(26 - n, sb) - sample(27 + n, sb);
                folded[9 + n][sb] = sample(n, sb) - sample(17 - n, sb);
            }
        }
        for (i, row) in self.long.iter().enumerate() {
            let mut line = [0f32; SUBBANDS];
            for n in 0..SLOTS {
                for sb in 0..SUBBANDS {
                    line[sb] += row[n] * folded[n][sb];
                }
            }
            for sb in 0..SUBBANDS {
                out[sb * SLOTS + i] = line[sb];
            }
        }
        self.reduce_aliases(out);
    }

    #[inline(always)]
    fn transform_short(&self, previous: &Subbands, current: &Subbands, out: &mut [f32; LINES]) {
        for w in 0..3 {
            let sample = |k: usize, sb: usize| {
                let slot = 6 + 6 * w + k;
                self.short_window[k]
                    * if slot < SLOTS { previous[slot][sb] } else { current[slot - SLOTS][sb] }
            };
            let mut folded = [[0f32; SUBBANDS]; 6];
            for n in 0..3 {
                for sb in 0..SUBBANDS {
                    folded[n][sb] = -sample(8 - n, sb) - sample(9 + n, sb);
                    folded[3 + n][sb] = sample(n, sb) - sample(5 - n, sb);
                }
            }
            for (i, row) in self.short.iter().enumerate() {
                let mut line = [0f32; SUBBANDS];
                for n in 0..6 {
                    for sb in 0..SUBBANDS {
                        line[sb] += row[n] * folded[n][sb];
                    }
                }
                for sb in 0..SUBBANDS {
                    out[self.short_order[sb * SLOTS + w * 6 + i]] = line[sb];
                }
            }
        }
    }

    /// The butterflies between neighbouring subbands of a long block.
    #[inline(always)]
    fn reduce_aliases(&self, lines: &mut [f32; LINES]) {
        for border in (SLOTS..LINES).step_by(SLOTS) {
            for (i, &(cs, ca)) in self.butterflies.iter().enumerate() {
                let (below, above) = (lines[border - 1 - i], lines[border + i]);
                lines[border - 1 - i] = below * cs + above * ca;
                lines[border + i] = above * cs - below * ca;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::subband::Polyphase;
    use crate::tables::WINDOW;

    fn noise(length: usize) -> Vec<f32> {
        (0..length as u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0).collect()
    }

    fn subbands(seed: usize) -> Subbands {
        let noise = noise(seed + LINES);
        std::array::from_fn(|slot| std::array::from_fn(|sb| noise[seed + slot * SUBBANDS + sb]))
    }

    /// The window of a block type (11172-3, 2.4.3.4.10.3).
    fn window(block_type: BlockType, k: usize) -> f64 {
        let sine = |n: f64, k: f64| (PI / n * (k + 0.5)).sin();
        let start = |k: usize| match k {
            0..18 => sine(36.0, k as f64),
            18..24 => 1.0,
            24..30 => sine(12.0, k as f64 - 18.0),
            _ => 0.0,
        };
        match block_type {
            BlockType::Start => start(k),
            BlockType::Stop => start(35 - k),
            _ => sine(36.0, k as f64),
        }
    }

    #[test]
    fn fast_and_analytical_forms_agree() {
        let (previous, current) = (subbands(1), subbands(99));
        for block_type in [BlockType::Long, BlockType::Start, BlockType::Stop] {
            let mdct = Mdct { butterflies: [(1.0, 0.0); 8], ..Mdct::new(0) };
            let mut lines = [0.0; LINES];
            mdct.transform(&previous, &current, block_type, &mut lines);
            for sb in 0..SUBBANDS {
                for i in 0..SLOTS {
                    let expected: f64 = (0..36)
                        .map(|k| {
                            let x = if k < 18 { previous[k][sb] } else { current[k - 18][sb] };
                            let phase = PI / 72.0 * ((2 * k + 1 + 18) * (2 * i + 1)) as f64;
                            window(block_type, k) * f64::from(x) * phase.cos() / 9.0
                        })
                        .sum();
                    let error = f64::from(lines[sb * SLOTS + i]) - expected;
                    assert!(error.abs() < 1e-5, "{block_type:?} subband {sb} line {i}: off by {error}");
                }
            }
        }
    }

    #[test]
    fn fast_and_analytical_short_forms_agree() {
        let (previous, current) = (subbands(5), subbands(700));
        let mdct = Mdct::new(0);
        let mut lines = [0.0; LINES];
        mdct.transform(&previous, &current, BlockType::Short, &mut lines);
        for from in 0..LINES {
            let (sb, w, i) = (from / 18, from % 18 / 6, from % 6);
            let expected: f64 = (0..12)
                .map(|k| {
                    let slot = 6 + 6 * w + k;
                    let x = if slot < 18 { previous[slot][sb] } else { current[slot - 18][sb] };
                    let phase = PI / 24.0 * ((2 * k + 1 + 6) * (2 * i + 1)) as f64;
                    (PI / 12.0 * (k as f64 + 0.5)).sin() * f64::from(x) * phase.cos() / 3.0
                })
                .sum();
            let error = f64::from(lines[Layout::short_order(0)[from]]) - expected;
            assert!(error.abs() < 1e-5, "subband {sb} window {w} line {i}: off by {error}");
        }
    }

    /// The synthesis of 11172-3, 2.4.3.4.10 and figure A.2, in double precision.
    struct Synthesis {
        overlap: Vec<[f64; 18]>,
        v: Vec<f64>,
    }

    impl Synthesis {
        fn granule(&mut self, lines: &[f32; LINES]) -> Vec<f64> {
            let mut lines = lines.map(f64::from);
            for border in (18..LINES).step_by(18) {
                for (i, c) in ALIAS.iter().enumerate() {
                    let (cs, ca) = (1.0 / (1.0 + c * c).sqrt(), c / (1.0 + c * c).sqrt());
                    let (below, above) = (lines[border - 1 - i], lines[border + i]);
                    lines[border - 1 - i] = below * cs - above * ca;
                    lines[border + i] = above * cs + below * ca;
                }
            }
            let mut slots = vec![[0.0; 32]; 18];
            for sb in 0..32 {
                for k in 0..36 {
                    let x: f64 = (0..18)
                        .map(|i| lines[sb * 18 + i] * (PI / 72.0 * ((2 * k + 19) * (2 * i + 1)) as f64).cos())
                        .sum();
                    let x = x * window(BlockType::Long, k);
                    if k < 18 {
                        let sign = if k % 2 == 1 && sb % 2 == 1 { -1.0 } else { 1.0 };
                        slots[k][sb] = sign * (x + self.overlap[sb][k]);
                    } else {
                        self.overlap[sb][k - 18] = x;
                    }
                }
            }
            let mut out = Vec::new();
            for slot in slots {
                self.v.truncate(1024 - 64);
                let phase = |i: usize, k: usize| ((16 + i) * (2 * k + 1)) as f64 * PI / 64.0;
                let head = (0..64).map(|i| (0..32).map(|k| phase(i, k).cos() * slot[k]).sum());
                self.v = head.chain(self.v.iter().copied()).collect();
                out.extend((0..32).map(|j| {
                    (0..16)
                        .map(|i| {
                            let u = self.v[i / 2 * 128 + if i % 2 == 0 { j } else { 96 + j }];
                            u * f64::from(WINDOW[j + 32 * i]) / 65536.0
                        })
                        .sum::<f64>()
                }));
            }
            out
        }
    }

    #[test]
    fn the_standards_synthesis_reconstructs_the_input() {
        let granules = 8;
        let pcm = [vec![0.0; 480], noise(granules * LINES)].concat();
        let (polyphase, mdct) = (Polyphase::new(), Mdct::new(0));
        let mut synthesis = Synthesis { overlap: vec![[0.0; 18]; 32], v: vec![0.0; 1024] };
        let mut previous = [[0.0; SUBBANDS]; SLOTS];
        let mut out = Vec::new();
        for granule in 0..granules {
            let (mut current, mut lines) = ([[0.0; SUBBANDS]; SLOTS], [0.0; LINES]);
            polyphase.analyse(&pcm[granule * LINES..], &mut current);
            mdct.transform(&previous, &current, BlockType::Long, &mut lines);
            out.extend(synthesis.granule(&lines));
            previous = current;
        }
        let (mut signal, mut error) = (0.0, 0.0);
        for (&x, &y) in pcm[480..].iter().zip(&out[481 + LINES..]) {
            signal += f64::from(x).powi(2);
            error += (f64::from(x) - y).powi(2);
        }
        let snr = 10.0 * (signal / error).log10();
        // The window itself, in double precision, allows about 85 dB on noise.
        assert!(snr > 84.0, "{snr:.1} dB");
    }
}
