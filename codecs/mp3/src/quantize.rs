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
use crate::kernels::{self, Kernels, Measure, NUDGE, Power43, Powers};
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
#[derive(Clone)]
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
    tried: [[(f32, f32); DEPTH + 1]; MAX_BANDS],
}

impl Default for Spectrum {
    fn default() -> Self {
        Self {
            block_type: BlockType::Long,
            least_price: f32::NEG_INFINITY,
            magnitude: [0.0; PADDED_LINES],
            power34: [0.0; PADDED_LINES],
            bands: [Band::default(); MAX_BANDS],
            tried: [[(-1.0, 0.0); DEPTH + 1]; MAX_BANDS],
        }
    }
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
struct Plan {
    depths: [usize; MAX_BANDS],
    gain: i32,
    subblock_gain: [u32; WINDOWS],
    factors: Factors,
    scale: u32,
}

/// The scalefactors that cost least with one gain and one unit of them.
#[derive(Clone, Copy)]
struct Trial {
    gain: i32,
    scale: u32,
    subblock_gain: [u32; WINDOWS],
    /// Depths without scalefactors; each unit of a scalefactor adds 1 or 2.
    bases: [i32; MAX_BANDS],
    /// Scalefactors as they are wanted; 0 for bands that are to be zero.
    factors: [i32; MAX_BANDS],
    groups: [Group; 4],
    /// Bits of the scalefactors of each group.
    lengths: [usize; 4],
}

impl Trial {
    /// All bands zero.
    fn silence() -> Self {
        Self {
            gain: -210,
            scale: 0,
            subblock_gain: [0; WINDOWS],
            bases: [0; MAX_BANDS],
            factors: [0; MAX_BANDS],
            groups: [Group::default(); 4],
            lengths: [0; 4],
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

    /// Prepares the lines of a granule of the spectrum's block type. `presence` says, band by band, how much of what is heard there is
    /// in this channel, and `price` what bits may cost, as a binary logarithm.
    pub(crate) fn prepare(
        &self,
        spectrum: &mut Spectrum,
        lines: &[f32; LINES],
        layout: &Layout,
        masking: &Masking,
        presence: &[f32; MAX_BANDS],
        price: f32,
    ) {
        let hole = hole(self.supply);
        let hole = (hole - HOLE_SLOPE * (price - DEAR)).clamp(LEAST_HOLE * hole, hole);
        spectrum.least_price = f32::NEG_INFINITY;
        spectrum.tried[..layout.bands].fill([(-1.0, 0.0); DEPTH + 1]);
        for band in 0..layout.bands {
            let place = layout.padded(band);
            let lines = &lines[layout.lines(band)];
            let magnitude = &mut spectrum.magnitude[place.clone()];
            magnitude[lines.len()..].fill(0.0);
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
    }

    /// The smallest even exponent at which `largest`, a line's |x|^(3/4), becomes zero.
    fn vanishing_exponent(&self, largest: f32) -> i32 {
        let vanishes = |e: i32| largest * self.inverse_steps[(e - FINEST) as usize] < 0.5 + NUDGE - 0.001;
        let near = (16.0 / 3.0 * (near_log2(largest) + 0.75)) as i32;
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
        let plan = Search::new(self, huffman, layout, spectrum, price, before).plan();
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
    /// The depth at which each band costs least, 0 where that is zero.
    wanted: [i32; MAX_BANDS],
    /// Exponent and depth of [`Band`], side by side.
    vanishes: [i32; MAX_BANDS],
    deepest: [i32; MAX_BANDS],
    /// Sums of the least costs over the groups of bands.
    least_of_groups: [f32; 4],
    /// `[band][depth]`: the cost of a depth, or of no bits where that is less; where it is not yet known, no number. The
    /// first and the last one, of depths that cannot be, are always the cost of no bits.
    costs: [[f32; DEPTH + 2]; MAX_BANDS],
}

impl<'a> Search<'a> {
    fn new(
        quantizer: &'a Quantizer,
        huffman: &'a Huffman,
        layout: &'a Layout,
        spectrum: &'a mut Spectrum,
        price: f32,
        before: Option<&'a Scalefactors>,
    ) -> Self {
        let mut search = Self {
            quantizer,
            huffman,
            layout,
            spectrum,
            price,
            before,
            wanted: [0; MAX_BANDS],
            vanishes: [0; MAX_BANDS],
            deepest: [0; MAX_BANDS],
            least_of_groups: [0.0; 4],
            costs: [[0.0; DEPTH + 2]; MAX_BANDS],
        };
        let mut least = [0.0; MAX_BANDS];
        for band in 0..layout.bands {
            (search.wanted[band], least[band]) = search.best_depth(band);
            let Band { vanishes, deepest, nothing, .. } = search.spectrum.bands[band];
            (search.vanishes[band], search.deepest[band]) = (vanishes, deepest as i32);
            let unknown = if search.wanted[band] == 0 { nothing } else { f32::NAN };
            let costs = &mut search.costs[band];
            costs.fill(unknown);
            (costs[0], costs[DEPTH + 1]) = (nothing, nothing);
        }
        search.least_of_groups = layout.factor_groups().map(|range| least[range].iter().sum());
        search
    }

    /// The steps that cost least, legal ones.
    fn plan(&mut self) -> Plan {
        let bands = self.layout.bands;
        let exponents = (0..bands)
            .filter(|&band| self.wanted[band] > 0)
            .map(|band| self.spectrum.bands[band].vanishes - 2 * self.wanted[band]);
        let Some(coarsest) = exponents.max() else {
            return self.plan_of(&Trial::silence());
        };
        // The coarsest band sets the gain, unless those that no scalefactor brings down from there lose more than the
        // coarse ones cost when they are made finer. Bands without scalefactors may want a gain far below, which takes
        // many bits: where they are unlimited and the granule has not yet been too long.
        let reaches_far =
            self.quantizer.supply == Supply::Unlimited && self.spectrum.least_price == f32::NEG_INFINITY;
        let unfactored = (self.layout.factors..bands)
            .filter(|&band| reaches_far && self.wanted[band] > 0)
            .map(|band| self.spectrum.bands[band].vanishes - 2)
            .max();
        // The best trial and the one in work, which change places.
        let (mut trials, mut best) = ([Trial::silence(); 2], 0);
        let mut limit = f32::INFINITY;
        let mut gain = i32::MAX;
        for (start, patience) in [(Some(coarsest.max(-210)), 2), (unfactored, 1)] {
            let Some(start) = start.filter(|&start| start < gain) else { continue };
            gain = start;
            let mut worse = 0;
            while gain >= -210 && worse < patience {
                worse += 1;
                for scale in [1, 0] {
                    let trial = &mut trials[1 - best];
                    (trial.gain, trial.scale) = (gain, scale);
                    if let Some(cost) = self.try_gain(trial, limit) {
                        (limit, best, worse) = (cost, 1 - best, 0);
                    }
                }
                gain -= 2;
            }
        }
        self.plan_of(&trials[best])
    }

    /// The depth at which a band costs least, 0 where that is zero, and that cost; by descent from the depth chosen last.
    fn best_depth(&mut self, band: usize) -> (i32, f32) {
        let Band { vanishes, deepest, chosen, weight, roots, nothing, .. } = self.spectrum.bands[band];
        let width = self.layout.lines(band).len();
        // No code has less than a bit for four lines.
        if deepest == 0 || nothing <= self.price * (width / 4) as f32 {
            return (0, nothing);
        }
        let mut start = chosen;
        if start == 0 {
            // Where a bit takes as much noise as it costs: each line's noise falls by a factor of 4 for one of its own.
            let noise = 0.7 * self.price * width as f32 / weight;
            // A line x quantised in steps s of x^(3/4) gets noise of 4/27 sqrt|x| s^2.
            let squared_step = noise * 27.0 / 4.0 / roots.max(f32::MIN_POSITIVE);
            let depth = |logarithm: f32| ((vanishes - (8.0 / 3.0 * logarithm) as i32) / 2).max(0) as usize;
            // The exact logarithm is needed only where it tells.
            let near = near_log2(squared_step);
            let (deep, shallow) = (depth(near - 0.001), depth(near + 0.09));
            start = if deep == shallow { deep } else { depth(libm::log2f(squared_step)) };
        }
        let start = start.clamp(1, deepest);
        let tried = &self.spectrum.tried[band];
        if 1 < start && start < deepest && tried[start - 1..=start + 1].iter().all(|&(noise, _)| noise < 0.0)
        {
            // Both neighbours will be asked for.
            let depths = [start - 1, start, start + 1];
            self.try_steps(band, depths, self.quantizer.kernels.measure_three);
        }
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
        if nothing <= least { (0, nothing) } else { (best as i32, least) }
    }

    /// Finds what costs least near the wanted depths with the gain and the unit of scalefactors that are in `trial`, and
    /// that cost with the bits of the scalefactors, unless that is `limit` or more.
    fn try_gain(&mut self, trial: &mut Trial, limit: f32) -> Option<f32> {
        let (layout, scale) = (self.layout, trial.scale);
        self.set_bases(trial);
        let Trial { bases, factors, groups, .. } = trial;
        let mut rest = 0.0;
        for band in layout.factors..layout.bands {
            rest += self.cost_near(band, bases[band]);
        }
        let ranges = layout.factor_groups();
        // No plan with this gain costs less.
        let mut bound = rest + self.least_of_groups.iter().sum::<f32>();
        let mut costs = [0.0; MAX_BANDS];
        // Cost of each group by how many bits its scalefactors may have.
        for ((range, group), least) in ranges.into_iter().zip(groups).zip(self.least_of_groups) {
            if bound >= limit {
                return None;
            }
            let (mut largest, mut cost) = (0, 0.0);
            for band in range.clone() {
                let missing = self.wanted[band] - bases[band];
                let most = (self.deepest[band] - bases[band]) >> scale;
                let factor = ((missing + scale as i32) >> scale).min(most);
                let factor = factor.clamp(0, layout.largest_factors[band] as i32);
                factors[band] = if self.wanted[band] > 0 { factor } else { 0 };
                largest = largest.max(factors[band]);
                costs[band] = self.cost_near(band, bases[band] + (factor << scale));
                cost += costs[band];
            }
            group.count = range.len();
            group.bits = (i32::BITS - largest.leading_zeros()) as usize;
            (group.shorter, group.wanted, group.shared) = (f32::INFINITY, cost, None);
            if largest > 0 {
                // With one bit less.
                let most = largest_of(group.bits - 1);
                for band in range.clone().filter(|&band| factors[band] > most) {
                    cost += self.cost_near(band, bases[band] + (most << scale)) - costs[band];
                }
                group.shorter = cost;
            }
            if let Some(before) = self.before {
                let depth = |band| bases[band] + ((before.effective(layout, band) as i32) << scale);
                group.shared = Some(range.map(|band| self.cost_near(band, depth(band))).sum());
            }
            let shortest = group.bits.saturating_sub(1);
            bound += group.cost(shortest, self.price).min(group.cost(group.bits, self.price)) - least;
        }
        let (lengths, cost) = cheapest_lengths(self.quantizer.version, &trial.groups, self.price);
        trial.lengths = lengths;
        let total = rest + cost;
        (total < limit).then_some(total)
    }

    /// Gains of the windows and depths without scalefactors at the gain of a trial.
    fn set_bases(&self, trial: &mut Trial) {
        let layout = self.layout;
        trial.subblock_gain = [0; WINDOWS];
        for (base, vanishes) in trial.bases.iter_mut().zip(self.vanishes) {
            *base = (vanishes - trial.gain) / 2;
        }
        if layout.windows == 1 {
            return;
        }
        for window in 0..WINDOWS {
            let of_window = (window..layout.bands).step_by(WINDOWS);
            let coarsest = of_window
                .clone()
                .filter(|&band| self.wanted[band] > 0)
                .map(|band| self.vanishes[band] - 2 * self.wanted[band])
                .max();
            let gain = coarsest.map_or(0, |e| ((trial.gain - e) / 8).clamp(0, 7));
            trial.subblock_gain[window] = gain as u32;
            for band in of_window {
                trial.bases[band] += 4 * gain;
            }
        }
    }

    /// The plan that a trial has found.
    fn plan_of(&mut self, trial: &Trial) -> Plan {
        let &Trial { gain, scale, subblock_gain, ref bases, ref factors, ref groups, lengths } = trial;
        let layout = self.layout;
        let mut plan = Plan { depths: [0; MAX_BANDS], gain, subblock_gain, factors: [0; MAX_FACTORS], scale };
        for band in layout.factors..layout.bands {
            plan.depths[band] = self.depth_near(band, bases[band]);
        }
        for ((range, group), length) in layout.factor_groups().into_iter().zip(groups).zip(lengths) {
            let shared = self.before.filter(|_| group.is_better_shared(length, self.price));
            for band in range {
                let factor = match shared {
                    Some(before) => before.effective(layout, band) as i32,
                    None => factors[band].min(largest_of(length)),
                };
                plan.factors[band] = factor as u32;
                plan.depths[band] = self.depth_near(band, bases[band] + (factor << scale));
            }
        }
        plan
    }

    /// The cost of a band at a given depth, or as zero if that costs less, the depth cannot be, or zero is wanted.
    #[inline(always)]
    fn cost_near(&mut self, band: usize, depth: i32) -> f32 {
        let depth = (depth as usize).min(DEPTH + 1);
        let cost = self.costs[band][depth];
        if cost.is_nan() { self.find_cost(band, depth) } else { cost }
    }

    /// What [`Self::cost_near`] has not yet found.
    #[cold]
    fn find_cost(&mut self, band: usize, depth: usize) -> f32 {
        let Band { deepest, nothing, .. } = self.spectrum.bands[band];
        let cost = if depth <= deepest { self.cost(band, depth) } else { nothing };
        let cost = if cost < nothing { cost } else { nothing };
        self.costs[band][depth] = cost;
        cost
    }

    /// The depth of a band as [`Self::cost_near`] counts it: the given one, or 0.
    fn depth_near(&mut self, band: usize, depth: i32) -> usize {
        let nothing = self.spectrum.bands[band].nothing;
        if self.wanted[band] > 0 && self.cost_near(band, depth) < nothing { depth as usize } else { 0 }
    }

    /// Noise plus price times bits of a band.
    #[inline]
    fn cost(&mut self, band: usize, depth: usize) -> f32 {
        if self.spectrum.tried[band][depth].0 < 0.0 {
            self.try_steps(band, [depth], self.quantizer.kernels.measure);
        }
        let (noise, bits) = self.spectrum.tried[band][depth];
        noise + self.price * bits
    }

    /// Finds noise of a band, in units of what is allowed, and its bits at some depths.
    fn try_steps<const STEPS: usize>(
        &mut self,
        band: usize,
        depths: [usize; STEPS],
        measure: Measure<STEPS>,
    ) {
        let Band { vanishes, largest, energy, weight, hole, .. } = self.spectrum.bands[band];
        let Quantizer { inverse_steps, steps, power43, .. } = self.quantizer;
        let exponents = depths.map(|depth| (vanishes - 2 * depth as i32 - FINEST) as usize);
        let place = self.layout.padded(band);
        let (magnitude, power34) = (&self.spectrum.magnitude[place.clone()], &self.spectrum.power34[place]);
        let mut pairs = [[0; MAX_WIDTH / 2]; STEPS];
        let energies =
            measure(magnitude, power34, exponents.map(|e| [inverse_steps[e], steps[e]]), power43, &mut pairs);
        let count = self.layout.lines(band).len() / 2;
        for (i, [noise, kept]) in energies.into_iter().enumerate() {
            let largest = u32::from(kernels::nearest(largest * inverse_steps[exponents[i]]));
            let bits = self.huffman.band_bits(&pairs[i][..count], largest);
            let lost = (1.0 - kept / energy.max(f32::MIN_POSITIVE)).max(0.0);
            // A few lines of many are no hole.
            let noise = noise * weight + hole * (lost * lost) * (lost * lost);
            self.spectrum.tried[band][depths[i]] = (noise, bits as f32);
        }
    }
}

/// The binary logarithm of a positive number, at most 0.09 less: the bits of a float are nearly that.
fn near_log2(x: f32) -> f32 {
    x.to_bits() as f32 / 8_388_608.0 - 127.0
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
        // Groups of one length together.
        let low: [f32; 5] = std::array::from_fn(|l| groups[0].cost(l, price) + groups[1].cost(l, price));
        let high: [[f32; 2]; 4] =
            std::array::from_fn(|l| [groups[2].cost(l, price), groups[3].cost(l, price)]);
        let cost = |(slen1, slen2): (u32, u32)| {
            low[slen1 as usize] + high[slen2 as usize][0] + high[slen2 as usize][1]
        };
        let mut best = (SCALEFACTOR_LENGTHS[15], cost(SCALEFACTOR_LENGTHS[15]));
        for &lengths in &SCALEFACTOR_LENGTHS[..15] {
            let cost = cost(lengths);
            if cost < best.1 {
                best = (lengths, cost);
            }
        }
        let (slen1, slen2) = best.0;
        return ([slen1, slen1, slen2, slen2].map(|length| length as usize), best.1);
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
                let mut spectrum = Spectrum { block_type, ..Spectrum::default() };
                let presence = [1.0; MAX_BANDS];
                quantizer.prepare(&mut spectrum, &lines, layout, &masking, &presence, -3.0);
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
        let mut spectrum = Spectrum::default();
        let presence = [1.0; MAX_BANDS];
        quantizer.prepare(&mut spectrum, &lines, &format.long, &masking, &presence, -3.0);
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
                let mut spectrum = Spectrum { block_type, ..Spectrum::default() };
                quantizer.prepare(&mut spectrum, &lines, layout, &[1e-9; MAX_BANDS], &[1.0; MAX_BANDS], -3.0);
                let granule = quantizer.quantize(&huffman, layout, &mut spectrum, 1e-9, None);
                assert!(granule.lines.iter().all(|&value| u32::from(value) <= MAX_QUANTIZED));
                assert!(granule.info.global_gain <= 255);
            }
        }
    }
}
