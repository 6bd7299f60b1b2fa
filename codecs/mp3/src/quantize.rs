//! Quantisation: noise and bits of each scalefactor band weighed against each other (in place of the two nested loops of
//! 11172-3, C.1.5.4).
//!
//! For each band and each step that it might have, the noise that really arises and the bits that the band takes by
//! itself are found once, when they are first asked for. A price of bits then decides the step of each band: the one
//! for which noise relative to the masking threshold, plus price times bits, is least. What remains of the rate loop
//! is the search for the price at which the bits of a frame fit.

use crate::config::{Format, Version};
use crate::header::{BlockType, GranuleInfo};
use crate::huffman::{Coding, Huffman, Quantized};
use crate::layout::{Layout, MAX_BANDS, MAX_FACTORS};
use crate::psycho::Masking;
use crate::scalefactor::Scalefactors;
use crate::tables::{LINES, MAX_QUANTIZED};

/// What is taken off before rounding (11172-3, C.1.5.4.4.1).
const NUDGE: f32 = 0.0946;
/// What a band that is missing costs beside the noise that this is, in the units of noise at the threshold: holes in the
/// spectrum, which come and go, are heard where noise of the same energy is not.
const HOLE: f32 = 12.0;
/// Exponents of steps, quarter octaves relative to a global_gain of 210, from the finest to the coarsest.
const FINEST: i32 = -210 - 8 * 7 - 4 * 15;
const COARSEST: i32 = 45;
/// How many exponents below the one at which a band vanishes are considered: the largest value is 2^(3/16 of it).
const DEPTH: usize = 70;
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
    /// 2^(-3/16 e) for each exponent e from [`FINEST`] on: what |x|^(3/4) is multiplied by.
    inverse_steps: Vec<f32>,
    /// 2^(e/4): what i^(4/3) is multiplied by.
    steps: Vec<f32>,
    /// i^(4/3).
    power43: Vec<f32>,
}

/// The lines of one granule of a channel, ready to be quantised.
pub(crate) struct Spectrum {
    pub(crate) block_type: BlockType,
    /// Binary logarithm of the least price at which the granule may fit in [`MAX_GRANULE_BITS`], as far as known.
    pub(crate) least_price: f32,
    magnitude: [f32; LINES],
    /// |x|^(3/4).
    power34: [f32; LINES],
    bands: [Band; MAX_BANDS],
    /// `[band][depth]`: noise in units of what is allowed, and bits; negative where not yet found.
    tried: Box<[[(f32, f32); DEPTH + 1]; MAX_BANDS]>,
}

/// What is known of a band before a step is chosen.
#[derive(Clone, Copy, Default)]
struct Band {
    /// The smallest exponent at which all lines become zero.
    vanishes: i32,
    /// The largest depth below that which can be coded; 0 for a band that is zero.
    deepest: usize,
    largest: f32,
    energy: f32,
    /// Cost of noise of energy 1.
    weight: f32,
    /// Cost of the loss of all energy.
    hole: f32,
    /// Sum of the roots of the magnitudes.
    roots: f32,
    /// Depths chosen last, for even and odd exponents; 0 before the first choice.
    chosen: [usize; 2],
}

/// Steps for a granule: the exponent of each band, `None` where it is zero.
#[derive(Clone, Debug)]
struct Plan {
    exponents: [Option<i32>; MAX_BANDS],
    gain: i32,
    subblock_gain: [u32; 3],
    factors: [u32; MAX_FACTORS],
    scale: u32,
}

impl Plan {
    /// All bands zero.
    fn silence() -> Self {
        Self {
            exponents: [None; MAX_BANDS],
            gain: -210,
            subblock_gain: [0; 3],
            factors: [0; MAX_FACTORS],
            scale: 0,
        }
    }
}

impl Quantizer {
    pub(crate) fn new(format: &Format) -> Self {
        let power =
            |scale: f64| (FINEST..=COARSEST).map(|e| libm::exp2(scale * f64::from(e)) as f32).collect();
        Self {
            version: format.version,
            inverse_steps: power(-3.0 / 16.0),
            steps: power(0.25),
            power43: (0..=MAX_QUANTIZED).map(|i| libm::pow(f64::from(i), 4.0 / 3.0) as f32).collect(),
        }
    }

    /// Prepares the lines of a granule. `presence` says, band by band, how much of what is heard there is in this channel.
    pub(crate) fn prepare(
        &self,
        lines: &[f32; LINES],
        block_type: BlockType,
        layout: &Layout,
        masking: &Masking,
        presence: &[f32; MAX_BANDS],
    ) -> Spectrum {
        let magnitude = lines.map(f32::abs);
        let power34 = magnitude.map(|x| (x * x.sqrt()).sqrt());
        let bands = std::array::from_fn(|band| {
            if band >= layout.bands {
                return Band::default();
            }
            let largest = power34[layout.lines(band)].iter().copied().fold(0.0, f32::max);
            let fits = |limit: f32, e: i32| {
                largest * self.inverse_steps[(e - FINEST) as usize] < limit - 0.5 + NUDGE - 0.001
            };
            // Largest values of 1 need exponents below this, largest values of 8206 those at least 69 below.
            let (mut low, mut high) = (FINEST, COARSEST);
            while low < high {
                let middle = (low + high).div_euclid(2);
                if fits(1.0, middle) {
                    high = middle;
                } else {
                    low = middle + 1;
                }
            }
            let vanishes = low;
            let mut deepest = if largest > 0.0 { DEPTH.min((vanishes - FINEST) as usize) } else { 0 };
            while deepest > 0 && !fits((MAX_QUANTIZED + 1) as f32, vanishes - deepest as i32) {
                deepest -= 1;
            }
            let roots = magnitude[layout.lines(band)].iter().map(|x| x.sqrt()).sum();
            let energy: f32 = magnitude[layout.lines(band)].iter().map(|x| x * x).sum();
            let w = layout.weights[band];
            // What is far below the threshold cannot be missed.
            let hole = HOLE * w * presence[band] * energy / (energy + 0.03 * masking[band]);
            Band {
                vanishes,
                deepest,
                largest,
                weight: w / masking[band],
                roots,
                energy,
                hole,
                chosen: [0; 2],
            }
        });
        Spectrum {
            block_type,
            least_price: f32::NEG_INFINITY,
            magnitude,
            power34,
            bands,
            tried: Box::new([[(-1.0, 0.0); DEPTH + 1]; MAX_BANDS]),
        }
    }

    /// Quantises at a price of bits: what one bit may cost in noise, in units of noise at the threshold in a third of a
    /// Bark. `before` are the scalefactors of the first granule of the frame, if they may be taken over.
    pub(crate) fn quantize(
        &self,
        huffman: &Huffman,
        layout: &Layout,
        spectrum: &mut Spectrum,
        price: f32,
        before: Option<&Scalefactors>,
    ) -> QuantizedGranule {
        let plan = Search { quantizer: self, huffman, layout, spectrum: &mut *spectrum, price }.plan();
        let mut lines = [0u16; LINES];
        for band in 0..layout.bands {
            if let Some(exponent) = plan.exponents[band] {
                let inverse_step = self.inverse_steps[(exponent - FINEST) as usize];
                for i in layout.lines(band) {
                    lines[i] = nearest(spectrum.power34[i] * inverse_step);
                }
            }
        }
        let block_type = spectrum.block_type;
        let scalefactors = Scalefactors::choose(self.version, layout, plan.factors, before);
        let Coding { bits, big_values, table_select, region0_count, region1_count, count1table_select } =
            huffman.choose(&lines, layout, block_type);
        let info = GranuleInfo {
            part2_3_length: bits + scalefactors.bits(),
            big_values,
            global_gain: (210 + plan.gain) as u32,
            scalefac_compress: scalefactors.scalefac_compress,
            block_type,
            subblock_gain: plan.subblock_gain,
            table_select,
            region0_count,
            region1_count,
            preflag: scalefactors.preflag,
            scalefac_scale: plan.scale == 1,
            count1table_select,
        };
        QuantizedGranule { info, scalefactors, lines }
    }
}

/// The search for the steps of one granule at one price.
struct Search<'a> {
    quantizer: &'a Quantizer,
    huffman: &'a Huffman,
    layout: &'a Layout,
    spectrum: &'a mut Spectrum,
    price: f32,
}

impl Search<'_> {
    /// The steps that cost least, legal ones.
    fn plan(&mut self) -> Plan {
        // Scalefactors go in steps of two exponents, so all of a granule are even or all are odd.
        let [even, odd] = [0, 1].map(|parity| {
            let mut cost = 0.0;
            let mut exponents = [None; MAX_BANDS];
            for band in 0..self.layout.bands {
                let depth = self.best_depth(band, parity);
                cost += self.cost(band, depth);
                if depth > 0 {
                    exponents[band] = Some(self.spectrum.bands[band].vanishes - depth as i32);
                }
            }
            (cost, exponents)
        });
        self.legalize(if odd.0 < even.0 { odd.1 } else { even.1 })
    }

    /// The depth of the given parity of exponents at which a band costs least, by descent from the one chosen last.
    fn best_depth(&mut self, band: usize, parity: i32) -> usize {
        let Band { vanishes, deepest, chosen, weight, roots, .. } = self.spectrum.bands[band];
        // Depths of this parity run from 1 or 2 on; zero serves both.
        let shallowest = 2 - ((vanishes - parity) & 1) as usize;
        if deepest < shallowest {
            return 0;
        }
        let width = self.layout.lines(band).len();
        let mut start = chosen[parity as usize];
        if start == 0 {
            // Where a bit takes as much noise as it costs: each line's noise falls by a factor of 4 for one of its own.
            let noise = 0.7 * self.price * width as f32 / weight;
            // A line x quantised in steps s of x^(3/4) gets noise of 4/27 sqrt|x| s^2.
            let exponent = 8.0 / 3.0 * libm::log2f(noise * 27.0 / 4.0 / roots.max(f32::MIN_POSITIVE));
            start = (vanishes - exponent as i32).clamp(0, DEPTH as i32) as usize;
        }
        let start = start.clamp(shallowest, deepest);
        let start = start - (start - shallowest) % 2;
        let (mut best, mut least) = (start, self.cost(band, start));
        // Few lines make uneven noise, so two worse steps in a row end the descent there, not one.
        let patience = if width < 16 { 2 } else { 1 };
        for direction in [2, -2] {
            let (mut depth, mut worse) = (start, 0);
            while worse < patience {
                depth = depth.wrapping_add_signed(direction);
                if depth < shallowest || depth > deepest {
                    break;
                }
                let cost = self.cost(band, depth);
                worse += 1;
                if cost < least {
                    (best, least, worse) = (depth, cost, 0);
                }
            }
        }
        self.spectrum.bands[band].chosen[parity as usize] = best;
        if self.cost(band, 0) <= least { 0 } else { best }
    }

    /// Turns exponents of one parity into a global gain and scalefactors, moving those that no scalefactor reaches.
    fn legalize(&mut self, exponents: [Option<i32>; MAX_BANDS]) -> Plan {
        let finest = exponents[..self.layout.factors].iter().flatten().copied().min();
        let Some(coarsest) = exponents.iter().flatten().copied().max() else {
            return Plan::silence();
        };
        // The coarsest band sets the gain, unless those that no scalefactor brings down from there lose more than the
        // coarse ones cost when they are made finer.
        let mut best = (f32::INFINITY, Plan::silence());
        let mut gain = coarsest.max(-210 + (coarsest & 1));
        let mut worse = 0;
        while gain >= -210 && worse < 3 {
            worse += 1;
            for scale in [0, 1] {
                let candidate = self.at_gain(&exponents, gain, scale);
                if candidate.0 < best.0 {
                    best = candidate;
                    worse = 0;
                }
                // The coarser unit of scalefactors reaches further, which is all that it is good for.
                if finest.is_none_or(|finest| finest >= gain - 2 * 7) {
                    break;
                }
            }
            gain -= 2;
        }
        best.1
    }

    /// The plan with the given gain and unit of the scalefactors that is nearest to the exponents, and its cost.
    fn at_gain(&mut self, exponents: &[Option<i32>; MAX_BANDS], gain: i32, scale: u32) -> (f32, Plan) {
        let layout = self.layout;
        let mut plan = Plan { gain, scale, ..Plan::silence() };
        if layout.windows > 1 {
            for window in 0..layout.windows {
                let exponents = exponents[..layout.bands].iter().skip(window).step_by(layout.windows);
                let coarsest = exponents.flatten().max();
                plan.subblock_gain[window] = coarsest.map_or(0, |e| ((gain - e) / 8).clamp(0, 7) as u32);
            }
        }
        let unit = 2 << scale;
        let mut cost = 0.0;
        for band in 0..layout.bands {
            let Band { vanishes, deepest, .. } = self.spectrum.bands[band];
            let mut depth = 0;
            if let Some(wanted) = exponents[band] {
                let base = gain - 8 * plan.subblock_gain[band % layout.windows] as i32;
                let finest = vanishes - deepest as i32;
                let factor =
                    (base - wanted + unit - 1).div_euclid(unit).min((base - finest).div_euclid(unit));
                let factor = factor.clamp(0, layout.largest_factor(band) as i32);
                let exponent = base - factor * unit;
                if exponent < vanishes && exponent >= finest {
                    depth = (vanishes - exponent) as usize;
                    plan.exponents[band] = Some(exponent);
                    if band < layout.factors {
                        plan.factors[band] = factor as u32;
                    }
                }
            }
            let mut least = self.cost(band, depth);
            if band >= layout.factors && depth > 0 {
                // Without a scalefactor the step may be far from the one wanted.
                let zero = self.cost(band, 0);
                if zero <= least {
                    least = zero;
                    plan.exponents[band] = None;
                }
            }
            cost += least;
        }
        (cost, plan)
    }

    /// Noise plus price times bits of a band.
    #[inline]
    fn cost(&mut self, band: usize, depth: usize) -> f32 {
        if self.spectrum.tried[band][depth].0 < 0.0 {
            self.spectrum.tried[band][depth] = self.try_step(band, depth);
        }
        let (noise, bits) = self.spectrum.tried[band][depth];
        noise + self.price * bits
    }

    /// Noise of a band, in units of what is allowed, and its bits.
    fn try_step(&self, band: usize, depth: usize) -> (f32, f32) {
        let Band { vanishes, largest, energy, weight, hole, .. } = self.spectrum.bands[band];
        if depth == 0 {
            return (energy * weight + hole, 0.0);
        }
        let Quantizer { inverse_steps, steps, power43, .. } = self.quantizer;
        let exponent = (vanishes - depth as i32 - FINEST) as usize;
        let (inverse_step, step) = (inverse_steps[exponent], steps[exponent]);
        let range = self.layout.lines(band);
        let magnitude = &self.spectrum.magnitude[range.clone()];
        let power34 = &self.spectrum.power34[range];
        let largest = nearest(largest * inverse_step);
        let table = self.huffman.pair_table(largest);
        let mut values = [0u16; LINES];
        // Two sums each, for the lines of a pair, so that one addition need not wait for the other.
        let (mut noise, mut kept, mut packed) = ([0f32; 2], [0f32; 2], 0);
        let pairs = magnitude.chunks_exact(2).zip(power34.chunks_exact(2));
        for ((x, power34), values) in pairs.zip(values.chunks_exact_mut(2)) {
            for lane in 0..2 {
                values[lane] = nearest(power34[lane] * inverse_step);
                let y = power43[usize::from(values[lane])] * step;
                let error = x[lane] - y;
                kept[lane] += y * y;
                noise[lane] += error * error;
            }
            packed += table[Huffman::pair_index(values)];
        }
        let bits = self.huffman.band_bits(&values[..magnitude.len()], u32::from(largest), packed);
        let lost = (1.0 - (kept[0] + kept[1]) / energy.max(f32::MIN_POSITIVE)).max(0.0);
        ((noise[0] + noise[1]) * weight + hole * lost * lost, bits as f32)
    }
}

/// nint(x - 0.0946) of a value from 0 to 8206 (11172-3, C.1.5.4.4.1).
#[inline(always)]
fn nearest(x: f32) -> u16 {
    // A sum of at least 2^23 has no fraction left and holds the integer in its lowest bits.
    (x - NUDGE + 8_388_608.0).to_bits() as u16
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(scale: f32) -> [f32; LINES] {
        std::array::from_fn(|i| {
            let noise = ((i as u32).wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
            scale * noise / (1.0 + i as f32 / 20.0)
        })
    }

    /// The requantisation formula (11172-3, 2.4.3.4).
    fn requantize(granule: &QuantizedGranule, layout: &Layout) -> Vec<f64> {
        let info = &granule.info;
        let mut out = vec![0.0; LINES];
        for band in 0..layout.bands {
            let multiplier = if info.scalefac_scale { 1.0 } else { 0.5 };
            let factor = if band < layout.factors {
                f64::from(
                    granule.scalefactors.values[band] + if info.preflag { layout.pretab(band) } else { 0 },
                )
            } else {
                0.0
            };
            let subblock_gain = if layout.windows > 1 { info.subblock_gain[band % 3] } else { 0 };
            let exponent = (f64::from(info.global_gain) - 210.0 - 8.0 * f64::from(subblock_gain)) / 4.0;
            for i in layout.lines(band) {
                out[i] =
                    f64::from(granule.lines[i]).powf(4.0 / 3.0) * (exponent - multiplier * factor).exp2();
            }
        }
        out
    }

    fn setup() -> (Format, Quantizer, Huffman) {
        let format = Format::new(44100, 1).unwrap();
        let quantizer = Quantizer::new(&format);
        (format, quantizer, Huffman::new())
    }

    #[test]
    fn the_fast_rounding_is_that_of_the_standard() {
        for i in 0..82_060 {
            let x = i as f32 / 10.0 + 0.013;
            assert_eq!(i32::from(nearest(x)), (f64::from(x) - 0.0946).round() as i32, "{x}");
        }
        assert_eq!(nearest(0.0), 0);
    }

    #[test]
    fn a_lower_price_brings_more_bits_and_less_noise() {
        let (format, quantizer, huffman) = setup();
        for block_type in [BlockType::Long, BlockType::Short] {
            let layout = format.layout(block_type);
            for scale in [1e-4, 1e-2, 1.0] {
                let lines = lines(scale);
                let masking = [1e-3 * scale * scale; MAX_BANDS];
                let mut spectrum = quantizer.prepare(&lines, block_type, layout, &masking, &[1.0; MAX_BANDS]);
                let (mut last_noise, mut last_bits) = (0.0, u32::MAX);
                for price in [1e-3, 1e-2, 1e-1, 1.0, 1e6] {
                    let granule = quantizer.quantize(&huffman, layout, &mut spectrum, price, None);
                    let noise: f64 = requantize(&granule, layout)
                        .iter()
                        .zip(&lines)
                        .map(|(a, &b)| (a - f64::from(b.abs())).powi(2))
                        .sum();
                    assert!(granule.info.part2_3_length < last_bits, "price {price}");
                    assert!(noise > last_noise, "price {price}");
                    (last_noise, last_bits) = (noise, granule.info.part2_3_length);
                }
                assert_eq!(last_bits, 0);
            }
        }
    }

    #[test]
    fn noise_follows_the_masking() {
        let (format, quantizer, huffman) = setup();
        let lines = lines(1.0);
        let energy = |band: usize| -> f32 { lines[format.long.lines(band)].iter().map(|x| x * x).sum() };
        let mut masking = [0.0; MAX_BANDS];
        for band in 0..format.long.bands {
            masking[band] = energy(band) * if band % 2 == 0 { 0.001 } else { 0.01 };
        }
        let mut spectrum =
            quantizer.prepare(&lines, BlockType::Long, &format.long, &masking, &[1.0; MAX_BANDS]);
        let granule = quantizer.quantize(&huffman, &format.long, &mut spectrum, 0.05, None);
        let out = requantize(&granule, &format.long);
        let relative: Vec<f64> = (0..format.long.factors)
            .map(|band| {
                let noise: f64 =
                    format.long.lines(band).map(|i| (out[i] - f64::from(lines[i].abs())).powi(2)).sum();
                noise / f64::from(energy(band))
            })
            .collect();
        let mean = |odd: usize| relative.iter().skip(odd).step_by(2).map(|r| r.log10()).sum::<f64>() / 10.0;
        assert!(mean(1) - mean(0) > 0.6, "{relative:?}");
    }

    #[test]
    fn lines_far_beyond_full_scale_stay_codable() {
        let (format, quantizer, huffman) = setup();
        for scale in [1e-12, 1e3, 1e6] {
            let lines = [scale; LINES];
            for block_type in [BlockType::Long, BlockType::Short] {
                let layout = format.layout(block_type);
                let mut spectrum =
                    quantizer.prepare(&lines, block_type, layout, &[1e-9; MAX_BANDS], &[1.0; MAX_BANDS]);
                let granule = quantizer.quantize(&huffman, layout, &mut spectrum, 1e-9, None);
                assert!(granule.lines.iter().all(|&value| u32::from(value) <= MAX_QUANTIZED));
                assert!(granule.info.global_gain <= 255);
            }
        }
    }
}
