//! Quantisation: the rate loop and the noise allocation (11172-3, C.1.5.4).
//!
//! The noise loop of the standard amplifies bands step by step. Here each band's step follows directly from the noise
//! it may hold: a line x quantised in steps s of x^(3/4) gets noise of about 4/27 sqrt|x| s^2. The rate loop then
//! raises or lowers the noise of all bands together until the bits fit.

use crate::config::{Format, Version};
use crate::header::GranuleInfo;
use crate::huffman::{Coding, Huffman, Quantized};
use crate::psycho::Allowed;
use crate::scalefactor::{LIMITS, SCALEFACTORS, Scalefactors};
use crate::tables::{LINES, LONG_BANDS, MAX_QUANTIZED};

/// Rounding offset of the quantiser (11172-3, C.1.5.4.4.1: nint(x - 0.0946)).
const ROUNDING: f32 = 0.5 - 0.0946;
/// Exponents of steps, quarter octaves relative to a global_gain of 210, from the finest to the coarsest.
const FINEST: i32 = -210;
const COARSEST: i32 = 45;
/// Levels of noise that the rate loop tries, in exponents relative to the allowed noise.
const LEVELS: std::ops::Range<i32> = -120..200;
/// Largest part2_3_length.
pub(crate) const MAX_GRANULE_BITS: u32 = 4095;

/// A quantised granule of one channel.
#[derive(Clone, Debug)]
pub(crate) struct QuantizedGranule {
    pub(crate) info: GranuleInfo,
    pub(crate) scalefactors: Scalefactors,
    pub(crate) lines: Quantized,
}

/// Tables of the quantiser.
pub(crate) struct Quantizer {
    version: Version,
    bands: &'static [usize; LONG_BANDS + 1],
    /// 2^(-3/16 e) for each exponent e from [`FINEST`] on.
    inverse_steps: Vec<f32>,
}

/// What the rate loop needs to know about the lines, found once.
struct Spectrum {
    /// |x|^(3/4) of each line.
    power34: [f32; LINES],
    /// Exponent at which a band's noise is just allowed.
    exponents: [i32; LONG_BANDS],
    /// Level of noise at which a band of zeros is as good.
    vanishes: [f32; LONG_BANDS],
    /// The finest exponent at which the largest line of the granule can still be coded.
    finest: i32,
}

impl Quantizer {
    pub(crate) fn new(format: &Format) -> Self {
        Self {
            version: format.version,
            bands: format.long_bands,
            inverse_steps: (FINEST..=COARSEST)
                .map(|e| libm::exp2(-3.0 / 16.0 * f64::from(e)) as f32)
                .collect(),
        }
    }

    /// Quantises the lines with noise shaped as `allowed` and as little of it as `budget` bits permit.
    pub(crate) fn quantize(
        &self,
        huffman: &Huffman,
        lines: &[f32; LINES],
        allowed: &Allowed,
        budget: u32,
    ) -> QuantizedGranule {
        let spectrum = self.measure(lines, allowed);
        let budget = budget.min(MAX_GRANULE_BITS);
        // Bits fall with the level, near enough for a bisection; what does not fit is never kept.
        let mut best = self.at_level(huffman, &spectrum, LEVELS.end);
        let (mut low, mut high) = (LEVELS.start, LEVELS.end);
        while low < high {
            let level = low + (high - low) / 2;
            let candidate = self.at_level(huffman, &spectrum, level);
            if candidate.info.part2_3_length <= budget {
                best = candidate;
                high = level;
            } else {
                low = level + 1;
            }
        }
        best
    }

    fn measure(&self, lines: &[f32; LINES], allowed: &Allowed) -> Spectrum {
        let roots = lines.map(|x| x.abs().sqrt());
        let power34 = std::array::from_fn(|i| roots[i] * roots[i].sqrt());
        let largest = power34.iter().copied().fold(0.0, f32::max);
        let fits = |inverse_step: f32| largest * inverse_step + ROUNDING < (MAX_QUANTIZED + 1) as f32;
        let finest = self.inverse_steps.iter().position(|&inverse| fits(inverse));
        let mut spectrum = Spectrum {
            power34,
            exponents: [0; LONG_BANDS],
            vanishes: [0.0; LONG_BANDS],
            finest: FINEST + finest.unwrap_or(0) as i32,
        };
        for band in 0..LONG_BANDS {
            let range = self.bands[band]..self.bands[band + 1];
            let energy: f32 = lines[range.clone()].iter().map(|x| x * x).sum();
            // The coarsest step at which the noise is allowed, or half the energy where all of that would be: a line
            // that becomes zero adds no more than itself.
            let wanted = allowed[band].min(0.5 * energy);
            let noise = |e: i32| -> f32 {
                let step = 1.0 / self.inverse_steps[(e - FINEST) as usize];
                let noise = 4.0 / 27.0 * step * step;
                range.clone().map(|i| (lines[i] * lines[i]).min(noise * roots[i])).sum()
            };
            let (mut low, mut high) = (FINEST, COARSEST);
            while low < high {
                let middle = (low + high + 1).div_euclid(2);
                if noise(middle) <= wanted {
                    low = middle;
                } else {
                    high = middle - 1;
                }
            }
            spectrum.exponents[band] = low;
            // Noise grows with s^2 = 2^(3/8 e).
            spectrum.vanishes[band] = 8.0 / 3.0 * libm::log2f(energy.max(1e-30) / allowed[band]);
        }
        spectrum
    }

    /// The granule at `level` exponents above the allowed noise.
    fn at_level(&self, huffman: &Huffman, spectrum: &Spectrum, level: i32) -> QuantizedGranule {
        let audible: [bool; LONG_BANDS] = std::array::from_fn(|band| spectrum.vanishes[band] > level as f32);
        let wanted: [i32; LONG_BANDS] =
            std::array::from_fn(|band| (spectrum.exponents[band] + level).clamp(spectrum.finest, COARSEST));
        // The coarsest audible band sets the global gain; the highest band, which has no scalefactor, only when alone.
        let gain = (0..SCALEFACTORS).filter(|&band| audible[band]).map(|band| wanted[band]).max();
        let gain = gain.unwrap_or(wanted[SCALEFACTORS]);
        let needed = |band: usize| if audible[band] { (gain - wanted[band]).max(0) as u32 } else { 0 };
        let scale = u32::from((0..SCALEFACTORS).any(|band| needed(band) > 2 * LIMITS[band]));
        let values: [u32; SCALEFACTORS] = std::array::from_fn(|band| {
            let finest = (gain - spectrum.finest) as u32 >> (1 + scale);
            needed(band).div_ceil(2 << scale).min(LIMITS[band]).min(finest)
        });
        let scalefactors = Scalefactors::choose(self.version, values);
        let mut lines = [0u16; LINES];
        for band in (0..LONG_BANDS).filter(|&band| audible[band]) {
            let amplified = if band < SCALEFACTORS { (values[band] << (1 + scale)) as i32 } else { 0 };
            let inverse_step = self.inverse_steps[(gain - amplified - FINEST) as usize];
            for i in self.bands[band]..self.bands[band + 1] {
                lines[i] = (spectrum.power34[i] * inverse_step + ROUNDING) as u16;
            }
        }
        let Coding { bits, big_values, table_select, region0_count, region1_count, count1table_select } =
            huffman.choose(&lines, self.bands);
        let info = GranuleInfo {
            part2_3_length: bits + scalefactors.bits(),
            big_values,
            global_gain: (210 + gain) as u32,
            scalefac_compress: scalefactors.scalefac_compress,
            table_select,
            region0_count,
            region1_count,
            preflag: scalefactors.preflag,
            scalefac_scale: scale == 1,
            count1table_select,
            ..GranuleInfo::default()
        };
        QuantizedGranule { info, scalefactors, lines }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn lines(scale: f32) -> [f32; LINES] {
        std::array::from_fn(|i| {
            let noise = ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
            scale * noise / (1.0 + i as f32 / 20.0)
        })
    }

    /// The requantisation formula (11172-3, 2.4.3.4) for long blocks.
    fn requantize(granule: &QuantizedGranule, bands: &[usize; 23]) -> Vec<f64> {
        let mut out = vec![0.0; LINES];
        for band in 0..LONG_BANDS {
            let multiplier = if granule.info.scalefac_scale { 1.0 } else { 0.5 };
            let scalefactor = if band < SCALEFACTORS {
                let pretab = if granule.info.preflag { crate::tables::PRETAB[band] } else { 0 };
                f64::from(granule.scalefactors.values[band] + pretab)
            } else {
                0.0
            };
            let exponent = (f64::from(granule.info.global_gain) - 210.0) / 4.0 - multiplier * scalefactor;
            for i in bands[band]..bands[band + 1] {
                out[i] = f64::from(granule.lines[i]).powf(4.0 / 3.0) * exponent.exp2();
            }
        }
        out
    }

    fn quantizer() -> Quantizer {
        Quantizer::new(&Format::new(Config::new(44100, 1, 128_000)).unwrap())
    }

    #[test]
    fn never_more_bits_than_the_budget_and_less_noise_with_more() {
        let (quantizer, huffman) = (quantizer(), Huffman::new());
        for scale in [1e-6, 1e-3, 0.3, 1.0, 30.0] {
            let lines = lines(scale);
            let allowed = [1e-6 * scale * scale; LONG_BANDS];
            let mut last = f64::INFINITY;
            for budget in [0, 40, 300, 1000, 2500, 4095, 9000] {
                let granule = quantizer.quantize(&huffman, &lines, &allowed, budget);
                assert!(granule.info.part2_3_length <= budget.min(4095));
                let noise: f64 = requantize(&granule, quantizer.bands)
                    .iter()
                    .zip(&lines)
                    .map(|(a, &b)| (a - f64::from(b.abs())).powi(2))
                    .sum();
                assert!(noise <= last * 1.01, "scale {scale}, budget {budget}: {noise} after {last}");
                last = noise;
            }
        }
    }

    #[test]
    fn noise_follows_what_is_allowed() {
        let (quantizer, huffman) = (quantizer(), Huffman::new());
        let lines = lines(1.0);
        let spectrum_of = |allowed: &Allowed| {
            let spectrum = quantizer.measure(&lines, allowed);
            let granule = quantizer.at_level(&huffman, &spectrum, 0);
            let out = requantize(&granule, quantizer.bands);
            std::array::from_fn::<f64, LONG_BANDS, _>(|band| {
                (quantizer.bands[band]..quantizer.bands[band + 1])
                    .map(|i| (out[i] - f64::from(lines[i].abs())).powi(2))
                    .sum()
            })
        };
        let allowed: Allowed = std::array::from_fn(|band| {
            let energy: f32 =
                lines[quantizer.bands[band]..quantizer.bands[band + 1]].iter().map(|x| x * x).sum();
            energy * if band % 2 == 0 { 0.001 } else { 0.01 }
        });
        let noise = spectrum_of(&allowed);
        for band in 0..SCALEFACTORS {
            let ratio = noise[band] / f64::from(allowed[band]);
            assert!((0.1..2.0).contains(&ratio), "band {band}: {ratio}");
        }
    }

    #[test]
    fn lines_beyond_full_scale_stay_codable() {
        let (quantizer, huffman) = (quantizer(), Huffman::new());
        let lines = [1e6; LINES];
        let granule = quantizer.quantize(&huffman, &lines, &[1e-9; LONG_BANDS], 4095);
        assert!(granule.lines.iter().all(|&value| u32::from(value) <= MAX_QUANTIZED));
    }
}
