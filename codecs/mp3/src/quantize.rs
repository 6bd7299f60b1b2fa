//! Quantisation: noise and bits of each scalefactor band weighed against each other (in place of the two nested loops of
//! 11172-3, C.1.5.4).
//!
//! For each band and each step that it might have, the noise that really arises and the bits that the band takes by
//! itself are found once, when they are first asked for. A price of bits then decides the step of each band: the one
//! for which noise relative to the masking threshold, plus price times bits, is least. What remains of the rate loop
//! is the search for the price at which the bits of a frame fit.

use crate::config::{Format, Supply, Version};
use crate::header::{BlockType, GranuleInfo};
use crate::huffman::{Coding, Huffman, Quantized};
use crate::kernels::{self, Kernels, NUDGE, Power43, Powers};
use crate::layout::{Layout, MAX_BANDS, MAX_FACTORS, MAX_WIDTH, PADDED_LINES};
use crate::psycho::Masking;
use crate::scalefactor::{Factors, Scalefactors};
use crate::tables::{LINES, MAX_QUANTIZED, SCALEFACTOR_LENGTHS, WINDOWS};

/// What a band that is missing costs beside the noise that this is, in the units of noise at the threshold: holes in the
/// spectrum, which come and go, are heard where noise of the same energy is not. By supply of bits.
fn hole(supply: Supply) -> f32 {
    match supply {
        Supply::Scarce => 6.0,
        Supply::Ample | Supply::Unlimited => 20.0,
    }
}
/// Where bits are dear there are holes anyway: each octave of the price above this one takes that much off, down to
/// this share of it.
const DEAR: f32 = -2.5;
const HOLE_SLOPE: f32 = 2.4;
const LEAST_HOLE: f32 = 0.5;
/// Exponents of steps, quarter octaves relative to a global_gain of 210, from the finest to the coarsest. Only even ones
/// are used: scalefactors move by two, and the choice between all even and all odd ones gains next to nothing.
const FINEST: i32 = -210 - 8 * 7 - 4 * 15;
const COARSEST: i32 = 46;
/// How many even exponents below the one at which a band vanishes are considered. A value below 0.6 there is below 8206
/// at the last of them, as each multiplies it by 2^(3/8).
const DEPTH: usize = 36;
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
    kernels: Kernels,
    supply: Supply,
    /// 2^(-3/16 e) for each exponent e from [`FINEST`] on: what |x|^(3/4) is multiplied by.
    inverse_steps: Vec<f32>,
    /// 2^(e/4): what i^(4/3) is multiplied by.
    steps: Vec<f32>,
    /// i^(4/3).
    power43: Box<Power43>,
}

/// The lines of one granule of a channel, ready to be quantised.
pub(crate) struct Spectrum {
    pub(crate) block_type: BlockType,
    /// Binary logarithm of the least price at which the granule may fit in [`MAX_GRANULE_BITS`], as far as known.
    pub(crate) least_price: f32,
    /// Magnitudes, each band filled up with zeros ([`Layout::padded`]).
    magnitude: [f32; PADDED_LINES],
    /// |x|^(3/4), likewise.
    power34: [f32; PADDED_LINES],
    bands: [Band; MAX_BANDS],
    /// `[band][depth]`: noise in units of what is allowed, and bits; negative where not yet found.
    tried: Box<[[(f32, f32); DEPTH + 1]; MAX_BANDS]>,
}

/// What is known of a band before a step is chosen.
#[derive(Clone, Copy, Default)]
struct Band {
    /// The smallest even exponent at which all lines become zero. The one at depth d is smaller by 2 d.
    vanishes: i32,
    /// The largest depth that can be coded; 0 for a band that is zero.
    deepest: usize,
    largest: f32,
    energy: f32,
    /// Cost of noise of energy 1.
    weight: f32,
    /// Cost of the loss of all energy.
    hole: f32,
    /// Cost of the band without any bits.
    nothing: f32,
    /// Sum of the roots of the magnitudes.
    roots: f32,
    /// The depth chosen last; 0 before the first choice.
    chosen: usize,
}

/// Steps for a granule: the depth of each band, 0 where it is zero, and the syntax elements that bring them about.
#[derive(Clone, Debug)]
struct Plan {
    depths: [usize; MAX_BANDS],
    gain: i32,
    subblock_gain: [u32; 3],
    factors: Factors,
    scale: u32,
}

impl Plan {
    /// All bands zero.
    fn silence() -> Self {
        Self {
            depths: [0; MAX_BANDS],
            gain: -210,
            subblock_gain: [0; 3],
            factors: [0; MAX_FACTORS],
            scale: 0,
        }
    }
}

impl Quantizer {
    pub(crate) fn new(format: &Format, supply: Supply, kernels: Kernels) -> Self {
        let power =
            |scale: f64| (FINEST..=COARSEST).map(|e| libm::exp2(scale * f64::from(e)) as f32).collect();
        Self {
            version: format.version,
            kernels,
            supply,
            inverse_steps: power(-3.0 / 16.0),
            steps: power(0.25),
            power43: Box::new(std::array::from_fn(|i| libm::pow(i as f64, 4.0 / 3.0) as f32)),
        }
    }

    /// Prepares the lines of a granule. `presence` says, band by band, how much of what is heard there is
    /// in this channel, and `price` what bits may cost, as a binary logarithm.
    pub(crate) fn prepare(
        &self,
        lines: &[f32; LINES],
        block_type: BlockType,
        layout: &Layout,
        masking: &Masking,
        presence: &[f32; MAX_BANDS],
        price: f32,
    ) -> Spectrum {
        let hole = hole(self.supply);
        let hole = (hole - HOLE_SLOPE * (price - DEAR)).clamp(LEAST_HOLE * hole, hole);
        let mut spectrum = Spectrum {
            block_type,
            least_price: f32::NEG_INFINITY,
            magnitude: [0.0; PADDED_LINES],
            power34: [0.0; PADDED_LINES],
            bands: [Band::default(); MAX_BANDS],
            tried: Box::new([[(-1.0, 0.0); DEPTH + 1]; MAX_BANDS]),
        };
        for band in 0..layout.bands {
            let place = layout.padded(band);
            let lines = &lines[layout.lines(band)];
            let magnitude = &mut spectrum.magnitude[place.clone()];
            for (magnitude, line) in magnitude.iter_mut().zip(lines) {
                *magnitude = line.abs();
            }
            let Powers { largest, energy, roots } =
                (self.kernels.powers)(magnitude, &mut spectrum.power34[place]);
            let vanishes = self.vanishing_exponent(largest);
            let mut deepest = if largest > 0.0 { DEPTH.min((vanishes - FINEST) as usize / 2) } else { 0 };
            let value = |depth: usize| largest * self.inverse_steps[(vanishes - FINEST) as usize - 2 * depth];
            while deepest > 0 && value(deepest) > MAX_QUANTIZED as f32 {
                deepest -= 1;
            }
            let w = layout.weights[band];
            // What is far below the threshold cannot be missed, and what has no scalefactor is too dear to be kept for its
            // own sake: it takes finer steps everywhere.
            let hole = if band < layout.factors { hole } else { 0.0 };
            let hole = hole * w * presence[band] * energy / (energy + 0.03 * masking[band]);
            let weight = w / masking[band];
            let nothing = energy * weight + hole;
            spectrum.bands[band] =
                Band { vanishes, deepest, largest, weight, roots, energy, hole, nothing, chosen: 0 };
        }
        spectrum
    }

    /// The smallest even exponent at which `largest`, a line's |x|^(3/4), becomes zero.
    fn vanishing_exponent(&self, largest: f32) -> i32 {
        let vanishes = |e: i32| largest * self.inverse_steps[(e - FINEST) as usize] < 0.5 + NUDGE - 0.001;
        // The bits of a float are nearly its logarithm.
        let logarithm = largest.to_bits() as f32 / 8_388_608.0 - 127.0;
        let near = (16.0 / 3.0 * (logarithm + 0.75)) as i32;
        let mut exponent = (near & !1).clamp(FINEST, COARSEST);
        while exponent < COARSEST && !vanishes(exponent) {
            exponent += 2;
        }
        while exponent > FINEST && vanishes(exponent - 2) {
            exponent -= 2;
        }
        exponent
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
        let plan =
            Search { quantizer: self, huffman, layout, spectrum: &mut *spectrum, price, before }.plan();
        let mut lines = [0u16; LINES];
        for band in 0..layout.bands {
            if plan.depths[band] > 0 {
                let exponent = spectrum.bands[band].vanishes - 2 * plan.depths[band] as i32;
                let inverse_step = self.inverse_steps[(exponent - FINEST) as usize];
                let power34 = &spectrum.power34[layout.padded(band)];
                for (line, power34) in lines[layout.lines(band)].iter_mut().zip(power34) {
                    *line = kernels::nearest(power34 * inverse_step);
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
    before: Option<&'a Scalefactors>,
}

impl Search<'_> {
    /// The steps that cost least, legal ones.
    fn plan(&mut self) -> Plan {
        let bands = self.layout.bands;
        let wanted = std::array::from_fn(|band| if band < bands { self.best_depth(band) } else { 0 });
        let exponents = (0..bands)
            .filter(|&band| wanted[band] > 0)
            .map(|band| self.spectrum.bands[band].vanishes - 2 * wanted[band] as i32);
        let Some(coarsest) = exponents.max() else {
            return Plan::silence();
        };
        let least = self
            .layout
            .factor_groups()
            .map(|range| range.map(|band| self.cost_at(band, wanted[band] as i32).0).sum());
        // The coarsest band sets the gain, unless those that no scalefactor brings down from there lose more than the
        // coarse ones cost when they are made finer. Bands without scalefactors may want a gain far below, which takes
        // many bits: where they are unlimited and the granule has not yet been too long.
        let reaches_far =
            self.quantizer.supply == Supply::Unlimited && self.spectrum.least_price == f32::NEG_INFINITY;
        let unfactored = (self.layout.factors..bands)
            .filter(|&band| reaches_far && wanted[band] > 0)
            .map(|band| self.spectrum.bands[band].vanishes - 2)
            .max();
        let mut best = (f32::INFINITY, Plan::silence());
        let mut gain = i32::MAX;
        for (start, patience) in [(Some(coarsest.max(-210)), 2), (unfactored, 1)] {
            let Some(start) = start.filter(|&start| start < gain) else { continue };
            gain = start;
            let mut worse = 0;
            while gain >= -210 && worse < patience {
                worse += 1;
                for scale in [1, 0] {
                    if let Some(candidate) = self.at_gain(&wanted, &least, (gain, scale), best.0) {
                        best = candidate;
                        worse = 0;
                    }
                }
                gain -= 2;
            }
        }
        best.1
    }

    /// The depth at which a band costs least, by descent from the one chosen last.
    fn best_depth(&mut self, band: usize) -> usize {
        let Band { vanishes, deepest, chosen, weight, roots, nothing, .. } = self.spectrum.bands[band];
        let width = self.layout.lines(band).len();
        // No code has less than a bit for four lines.
        if deepest == 0 || nothing <= self.price * (width / 4) as f32 {
            return 0;
        }
        let mut start = chosen;
        if start == 0 {
            // Where a bit takes as much noise as it costs: each line's noise falls by a factor of 4 for one of its own.
            let noise = 0.7 * self.price * width as f32 / weight;
            // A line x quantised in steps s of x^(3/4) gets noise of 4/27 sqrt|x| s^2.
            let exponent = 8.0 / 3.0 * libm::log2f(noise * 27.0 / 4.0 / roots.max(f32::MIN_POSITIVE));
            start = ((vanishes - exponent as i32) / 2).max(0) as usize;
        }
        let start = start.clamp(1, deepest);
        let (mut best, mut least) = (start, self.cost(band, start));
        // Few lines make uneven noise, so two worse steps in a row end the descent there, not one.
        let patience = if width < 8 { 2 } else { 1 };
        for direction in [1, -1] {
            let (mut depth, mut worse) = (start, 0);
            while worse < patience {
                depth = depth.wrapping_add_signed(direction);
                if depth < 1 || depth > deepest {
                    break;
                }
                let cost = self.cost(band, depth);
                worse += 1;
                if cost < least {
                    (best, least, worse) = (depth, cost, 0);
                }
            }
        }
        self.spectrum.bands[band].chosen = best;
        if nothing <= least { 0 } else { best }
    }

    /// The plan with the given gain and unit of the scalefactors that costs least near the wanted depths, and its cost
    /// with the bits of the scalefactors, unless that is `limit` or more. `least` is what the groups of bands cost at the
    /// wanted depths.
    fn at_gain(
        &mut self,
        wanted: &[usize; MAX_BANDS],
        least: &[f32; 4],
        (gain, scale): (i32, u32),
        limit: f32,
    ) -> Option<(f32, Plan)> {
        let layout = self.layout;
        let mut subblock_gain = [0; WINDOWS];
        if layout.windows > 1 {
            for window in 0..layout.windows {
                let coarsest = (window..layout.bands)
                    .step_by(layout.windows)
                    .filter(|&band| wanted[band] > 0)
                    .map(|band| self.spectrum.bands[band].vanishes - 2 * wanted[band] as i32)
                    .max();
                subblock_gain[window] = coarsest.map_or(0, |e| ((gain - e) / 8).clamp(0, 7) as u32);
            }
        }
        // Depths without scalefactors; each unit of a scalefactor adds 1 or 2.
        let mut bases = [0; MAX_BANDS];
        for band in 0..layout.bands {
            let window = if layout.windows > 1 { band % WINDOWS } else { 0 };
            let gain = gain - 8 * subblock_gain[window] as i32;
            bases[band] = (self.spectrum.bands[band].vanishes - gain) / 2;
        }
        let mut rest = 0.0;
        for band in layout.factors..layout.bands {
            rest += self.cost_at(band, if wanted[band] > 0 { bases[band] } else { 0 }).0;
        }
        // No plan with this gain costs less.
        let mut bound = rest + least.iter().sum::<f32>();
        // Scalefactors as they are wanted, and cost of each group by how many bits its scalefactors may have.
        let mut factors = [0; MAX_FACTORS];
        let mut groups = [Group::default(); 4];
        let ranges = layout.factor_groups();
        for ((range, group), least) in ranges.iter().zip(&mut groups).zip(least) {
            if bound >= limit {
                return None;
            }
            let mut largest = 0;
            let mut cost = 0.0;
            for band in range.clone() {
                if wanted[band] == 0 {
                    cost += self.spectrum.bands[band].nothing;
                    continue;
                }
                let missing = wanted[band] as i32 - bases[band];
                let most = (self.spectrum.bands[band].deepest as i32 - bases[band]) >> scale;
                let factor = ((missing + scale as i32) >> scale).min(most);
                factors[band] = factor.clamp(0, layout.largest_factor(band) as i32);
                largest = largest.max(factors[band]);
                cost += self.cost_at(band, bases[band] + (factors[band] << scale)).0;
            }
            group.count = range.len();
            group.bits = (i32::BITS - largest.leading_zeros()) as usize;
            (group.shorter, group.wanted) = (f32::INFINITY, cost);
            if largest > 0 {
                // With one bit less.
                let most = largest_of(group.bits - 1);
                for band in range.clone().filter(|&band| factors[band] > most) {
                    cost += self.cost_at(band, bases[band] + (most << scale)).0
                        - self.cost_at(band, bases[band] + (factors[band] << scale)).0;
                }
                group.shorter = cost;
            }
            if let Some(before) = self.before {
                let cost = |band| {
                    let depth = bases[band] + ((before.effective(layout, band) as i32) << scale);
                    if wanted[band] > 0 {
                        self.cost_at(band, depth).0
                    } else {
                        self.spectrum.bands[band].nothing
                    }
                };
                group.shared = Some(range.clone().map(cost).sum());
            }
            let shortest = group.bits.saturating_sub(1);
            bound += group.cost(shortest, self.price).min(group.cost(group.bits, self.price)) - least;
        }
        let (lengths, cost) = cheapest_lengths(self.quantizer.version, &groups, self.price);
        let total = rest + cost;
        if total >= limit {
            return None;
        }
        let mut plan = Plan { gain, scale, subblock_gain, ..Plan::silence() };
        for band in layout.factors..layout.bands {
            plan.depths[band] = self.cost_at(band, if wanted[band] > 0 { bases[band] } else { 0 }).1;
        }
        for ((range, group), length) in ranges.into_iter().zip(&groups).zip(lengths) {
            let shared = self.before.filter(|_| group.is_better_shared(length, self.price));
            for band in range {
                let factor = match (wanted[band], shared) {
                    (_, Some(before)) => before.effective(layout, band) as i32,
                    (0, None) => 0,
                    _ => factors[band].min(largest_of(length)),
                };
                plan.factors[band] = factor as u32;
                if wanted[band] > 0 {
                    plan.depths[band] = self.cost_at(band, bases[band] + (factor << scale)).1;
                }
            }
        }
        Some((total, plan))
    }

    /// The cost of a band at a given depth, or as zero if that costs less or the depth cannot be; and the depth then.
    #[inline]
    fn cost_at(&mut self, band: usize, depth: i32) -> (f32, usize) {
        let Band { deepest, nothing, .. } = self.spectrum.bands[band];
        if depth < 1 || depth > deepest as i32 {
            return (nothing, 0);
        }
        let cost = self.cost(band, depth as usize);
        if cost < nothing { (cost, depth as usize) } else { (nothing, 0) }
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
        let Quantizer { inverse_steps, steps, power43, kernels, .. } = self.quantizer;
        let exponent = (vanishes - 2 * depth as i32 - FINEST) as usize;
        let (inverse_step, step) = (inverse_steps[exponent], steps[exponent]);
        let place = self.layout.padded(band);
        let (magnitude, power34) = (&self.spectrum.magnitude[place.clone()], &self.spectrum.power34[place]);
        let mut values = [0u16; MAX_WIDTH];
        let values = &mut values[..magnitude.len()];
        let (noise, kept) = (kernels.measure)(magnitude, power34, [inverse_step, step], power43, values);
        let values = &values[..self.layout.lines(band).len()];
        let bits = self.huffman.band_bits(values, u32::from(kernels::nearest(largest * inverse_step)));
        let lost = (1.0 - kept / energy.max(f32::MIN_POSITIVE)).max(0.0);
        // A few lines of many are no hole.
        (noise * weight + hole * (lost * lost) * (lost * lost), bits as f32)
    }
}

/// The largest scalefactor of a number of bits.
fn largest_of(bits: usize) -> i32 {
    (1 << bits) - 1
}

/// Some bands whose scalefactors have the same number of bits.
#[derive(Clone, Copy, Default)]
struct Group {
    /// Number of bands.
    count: usize,
    /// Bits of each scalefactor for the steps that are wanted.
    bits: usize,
    /// Cost with these and with scalefactors of one bit less; the bits of scalefactors not included.
    wanted: f32,
    shorter: f32,
    /// Cost with the scalefactors of the granule before.
    shared: Option<f32>,
}

impl Group {
    /// Cost with scalefactors of `length` bits, these included.
    fn coded(&self, length: usize, price: f32) -> f32 {
        let cost = match self.bits.saturating_sub(length) {
            0 => self.wanted,
            1 => self.shorter,
            _ => f32::INFINITY,
        };
        cost + price * (length * self.count) as f32
    }

    fn is_better_shared(&self, length: usize, price: f32) -> bool {
        self.shared.is_some_and(|shared| shared <= self.coded(length, price))
    }

    fn cost(&self, length: usize, price: f32) -> f32 {
        let coded = self.coded(length, price);
        self.shared.map_or(coded, |shared| shared.min(coded))
    }
}

/// The lengths of the scalefactors of the groups at which they cost least, and that cost.
fn cheapest_lengths(version: Version, groups: &[Group; 4], price: f32) -> ([usize; 4], f32) {
    if version == Version::Mpeg1 {
        let lengths =
            SCALEFACTOR_LENGTHS.map(|(slen1, slen2)| [slen1, slen1, slen2, slen2].map(|l| l as usize));
        let cost = |lengths: &[usize; 4]| {
            groups.iter().zip(lengths).map(|(group, &l)| group.cost(l, price)).sum::<f32>()
        };
        let mut best = (lengths[15], cost(&lengths[15]));
        for lengths in &lengths[..15] {
            let cost = cost(lengths);
            if cost < best.1 {
                best = (*lengths, cost);
            }
        }
        return best;
    }
    let mut cost = 0.0;
    let lengths = std::array::from_fn(|i| {
        let longest = if i < 2 { 4 } else { 3 };
        let costs = (0..=longest).map(|length| groups[i].cost(length, price));
        let (length, least) = costs.enumerate().min_by(|a, b| a.1.total_cmp(&b.1)).unwrap_or_default();
        cost += least;
        length
    });
    (lengths, cost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::simd::Level;

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
        let quantizer = Quantizer::new(&format, Supply::Ample, Kernels::new(Level::SCALAR));
        (format, quantizer, Huffman::new())
    }

    #[test]
    fn a_lower_price_brings_more_bits_and_less_noise() {
        let (format, quantizer, huffman) = setup();
        for block_type in [BlockType::Long, BlockType::Short] {
            let layout = format.layout(block_type);
            for scale in [1e-4, 1e-2, 1.0] {
                let lines = lines(scale);
                let masking = [1e-3 * scale * scale; MAX_BANDS];
                let mut spectrum =
                    quantizer.prepare(&lines, block_type, layout, &masking, &[1.0; MAX_BANDS], -3.0);
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
            quantizer.prepare(&lines, BlockType::Long, &format.long, &masking, &[1.0; MAX_BANDS], -3.0);
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
                let mut spectrum = quantizer.prepare(
                    &lines,
                    block_type,
                    layout,
                    &[1e-9; MAX_BANDS],
                    &[1.0; MAX_BANDS],
                    -3.0,
                );
                let granule = quantizer.quantize(&huffman, layout, &mut spectrum, 1e-9, None);
                assert!(granule.lines.iter().all(|&value| u32::from(value) <= MAX_QUANTIZED));
                assert!(granule.info.global_gain <= 255);
            }
        }
    }
}
