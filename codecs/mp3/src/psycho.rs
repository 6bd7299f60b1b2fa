//! The psychoacoustic model: how much noise each scalefactor band of a granule may hold.
//!
//! The spectrum is summed up in partitions of about a third of a Bark; each partition masks its neighbours with slopes
//! of 27 dB/Bark downwards and 10 dB/Bark upwards (11172-3, D.1 and D.2 in outline), noise is inaudible some decibels
//! below that, and anything below the threshold in quiet is.

use crate::config::Format;
use crate::fft::Fft;
use crate::kernels::{Kernels, LANES};
use crate::layout::MAX_BANDS;
use crate::tables::{LONG_BAND_LIMITS, LONG_BANDS, SHORT_BAND_LIMITS, SHORT_BANDS, WINDOWS};
use std::f64::consts::PI;
use std::ops::Range;

/// Samples of the spectrum for a long block.
pub(crate) const LONG_WINDOW: usize = 1024;
/// Samples of that for one window of a short block.
pub(crate) const SHORT_WINDOW: usize = 256;
/// What is spread by less than this is nothing: any noise that matters is allowed by 10^18 times as much, and sums of the
/// least numbers that a float has are slow.
const NEGLIGIBLE: f64 = 1e-30;
/// Width of a partition in Bark, where the spectrum resolves as much.
const PARTITION_WIDTH: f64 = 1.0 / 3.0;
/// Sound pressure level of a sine at full scale.
const FULL_SCALE_DB: f64 = 96.0;
/// How far the threshold may rise above that of the granule before, or of the window before in short blocks, which bounds
/// noise before an attack; the factor is that of psychoacoustic model 2 (11172-3, D.2).
const RISE: f32 = 2.0;
/// The most that this may lower the threshold: noise that is far above what silence before it allows must not take the
/// bits of all that is heard.
const STRICTEST: f32 = 0.03;
/// What is left of the threshold of the window before in short blocks: what sounded masks for a while what comes after it.
const AFTER: f32 = 0.1;
/// How far it may stay above that of the granule after, which bounds noise behind a sound that ends.
const FALL: f32 = 8.0;
/// The most that this may lower it; a sound masks for a while what comes after it.
const STRICTEST_FALL: f32 = 0.15;

/// Energies that the scalefactor bands of a granule may hold as noise, in units of squared lines.
pub(crate) type Masking = [f32; MAX_BANDS];

/// The most partitions that a spectrum has.
pub(crate) const MAX_PARTITIONS: usize = 96;
/// Energies of the partitions, or what they may hold as noise; zero behind the last one.
pub(crate) type Partitions = [f32; MAX_PARTITIONS];

/// The model: one set of tables for long and one for short blocks.
pub(crate) struct Model {
    kernels: Kernels,
    long: Resolution,
    short: Resolution,
    quiet_long: [f32; MAX_BANDS],
    quiet_short: [f32; MAX_BANDS],
}

/// The model's tables for one length of spectrum.
pub(crate) struct Resolution {
    window: Vec<f32>,
    fft: Fft,
    /// Bins of each partition.
    partitions: Vec<Range<usize>>,
    /// `[masker][maskee]`: noise allowed in one partition for energy in another, in squared lines.
    spreading: Vec<Partitions>,
    /// For each scalefactor band the partitions it overlaps and the share of each that it holds.
    shares: Vec<Vec<(usize, f32)>>,
}

/// What the model knows of one channel.
#[derive(Clone)]
pub(crate) struct History {
    /// Thresholds by partition of the granule before, of this one and of the next.
    thresholds: [Partitions; 3],
}

impl Default for History {
    fn default() -> Self {
        // Nothing comes before the first granule whose noise could be heard.
        Self { thresholds: [[f32::INFINITY; MAX_PARTITIONS]; 3] }
    }
}

/// Critical-band rate in Bark (Zwicker and Terhardt).
pub(crate) fn bark(frequency: f64) -> f64 {
    13.0 * libm::atan(0.00076 * frequency) + 3.5 * libm::atan((frequency / 7500.0) * (frequency / 7500.0))
}

/// Threshold in quiet in dB SPL (Terhardt).
fn threshold_in_quiet(frequency: f64) -> f64 {
    let kilohertz = frequency.max(20.0) / 1000.0;
    3.64 * libm::pow(kilohertz, -0.8) - 6.5 * libm::exp(-0.6 * (kilohertz - 3.3) * (kilohertz - 3.3))
        + 1e-3 * libm::pow(kilohertz, 4.0)
}

/// Energy of the faintest sine that can be heard in quiet, in squared lines: 1 is full scale.
pub(crate) fn energy_in_quiet(frequency: f64) -> f64 {
    from_decibels(threshold_in_quiet(frequency) - FULL_SCALE_DB)
}

fn from_decibels(level: f64) -> f64 {
    libm::pow(10.0, level / 10.0)
}

impl Model {
    pub(crate) fn new(format: &Format, kernels: Kernels) -> Self {
        Self {
            kernels,
            long: Resolution::of_length(format, LONG_WINDOW),
            short: Resolution::of_length(format, SHORT_WINDOW),
            quiet_long: format.long.quiet,
            quiet_short: format.short.quiet,
        }
    }

    /// Goes on by a granule: takes the 1024 samples about the middle of the one that is then the next. `pcm` and
    /// `history` have one entry per channel, one or two.
    pub(crate) fn go_on(&self, pcm: &[&[f32]], history: &mut [History]) {
        let energies = (self.kernels.energies)(&self.long, pcm);
        for (energies, History { thresholds }) in energies.iter().zip(history) {
            thresholds.rotate_left(1);
            thresholds[2] = (self.kernels.thresholds)(&self.long, energies);
        }
    }

    /// The noise allowed in the bands of a long block in this granule, where the threshold in quiet counts as
    /// `largest_quiet` at most.
    pub(crate) fn allowed_long(&self, history: &History, largest_quiet: f32) -> Masking {
        let [before, this, next] = &history.thresholds;
        let mut thresholds = *this;
        for ((threshold, before), next) in thresholds.iter_mut().zip(before).zip(next) {
            let falling = (FALL * next).max(STRICTEST_FALL * *threshold);
            *threshold = threshold.min(rising(*threshold, *before)).min(falling);
        }
        let mut allowed = [0.0; MAX_BANDS];
        for band in 0..LONG_BANDS {
            let quiet = self.quiet_long[band].min(largest_quiet);
            allowed[band] = self.long.allowed(band, &thresholds).max(quiet);
        }
        allowed
    }

    /// The noise allowed in the bands of a short block, from the 256 samples about the middle of the window before it and
    /// of its three windows.
    pub(crate) fn allowed_short<'a>(
        &self,
        windows: impl Iterator<Item = Vec<&'a [f32]>>,
        out: &mut [Masking],
    ) {
        let mut before = [[0.0; MAX_PARTITIONS]; 2];
        for (i, pcm) in windows.enumerate() {
            let energies = (self.kernels.energies)(&self.short, &pcm);
            for ((energies, before), out) in energies.iter().zip(&mut before).zip(&mut *out) {
                let this = (self.kernels.thresholds)(&self.short, energies);
                if let Some(window) = i.checked_sub(1) {
                    let mut thresholds = this;
                    for (threshold, before) in thresholds.iter_mut().zip(&*before) {
                        *threshold = threshold.min(rising(*threshold, *before)).max(AFTER * before);
                    }
                    for band in (window..SHORT_BANDS * WINDOWS).step_by(WINDOWS) {
                        let allowed = self.short.allowed(band / WINDOWS, &thresholds);
                        out[band] = allowed.max(self.quiet_short[band]);
                    }
                }
                *before = this;
            }
        }
    }
}

/// The most that the threshold may be after a lower one.
fn rising(threshold: f32, before: f32) -> f32 {
    (RISE * before).max(STRICTEST * threshold)
}

impl Resolution {
    /// Tables for spectra of `length` samples: [`LONG_WINDOW`] or [`SHORT_WINDOW`].
    pub(crate) fn of_length(format: &Format, length: usize) -> Self {
        let limits: &[usize] = match length {
            LONG_WINDOW => &LONG_BAND_LIMITS[format.row],
            _ => &SHORT_BAND_LIMITS[format.row],
        };
        let bins = length / 2 + 1;
        // A sine at full scale has an energy of about 1 in the lines; the spectrum has this many times as much.
        let scale = (length * length) as f64 * 3.0 / 32.0;
        let frequency = |bin: f64| bin * f64::from(format.sample_rate) / length as f64;
        let mut partitions = Vec::new();
        let mut first_bin = 0;
        while first_bin < bins {
            let from = bark(frequency(first_bin as f64 - 0.5).max(0.0));
            let end_bin = (first_bin + 1..bins)
                .find(|&bin| bark(frequency(bin as f64 + 0.5)) - from > PARTITION_WIDTH)
                .unwrap_or(bins);
            partitions.push(first_bin..end_bin);
            first_bin = end_bin;
        }
        let centres: Vec<f64> =
            partitions.iter().map(|p| bark(frequency((p.start + p.end - 1) as f64 / 2.0))).collect();
        let mut spreading = vec![[0.0; MAX_PARTITIONS]; centres.len()];
        for (i, &maskee) in centres.iter().enumerate() {
            let slopes: Vec<f64> = centres
                .iter()
                .map(|&masker| maskee - masker)
                .map(|up| from_decibels(if up >= 0.0 { -10.0 * up } else { 27.0 * up }))
                .collect();
            let offset = from_decibels(-(6.0 + 0.25 * maskee));
            let sum: f64 = slopes.iter().sum();
            for (row, slope) in spreading.iter_mut().zip(slopes) {
                let spread = offset * slope / sum / scale;
                row[i] = if spread < NEGLIGIBLE { 0.0 } else { spread as f32 };
            }
        }
        let edge = |bin: usize| frequency((bin as f64 - 0.5).max(0.0));
        let hertz_per_line = f64::from(format.sample_rate) / 2.0 / limits[limits.len() - 1] as f64;
        let shares = limits
            .windows(2)
            .map(|limits| {
                let [low, high] = [limits[0], limits[1]].map(|line| line as f64 * hertz_per_line);
                let width = bark(high) - bark(low);
                partitions
                    .iter()
                    .enumerate()
                    .filter_map(|(i, p)| {
                        let (from, to) = (edge(p.start), edge(p.end));
                        let share = (bark(to.min(high)) - bark(from.max(low))) / width;
                        (share > 0.0).then_some((i, (share * (to - from) / (high - low)) as f32))
                    })
                    .collect()
            })
            .collect();
        Self {
            window: (0..length)
                .map(|i| (0.5 - 0.5 * libm::cos(2.0 * PI * i as f64 / length as f64)) as f32)
                .collect(),
            fft: Fft::new(length),
            partitions,
            spreading,
            shares,
        }
    }

    /// Energies of the partitions of one or two channels, in that order.
    #[inline(always)]
    pub(crate) fn energies(&self, pcm: &[&[f32]]) -> [Partitions; 2] {
        // One complex transform serves both channels.
        let length = self.window.len();
        let (mut re, mut im) = ([0f32; LONG_WINDOW], [0f32; LONG_WINDOW]);
        let (re, im) = (&mut re[..length], &mut im[..length]);
        for (channel, z) in pcm.iter().zip([&mut *re, &mut *im]) {
            for ((z, x), weight) in z.iter_mut().zip(*channel).zip(&self.window) {
                *z = x * weight;
            }
        }
        self.fft.transform(re, im);
        let (mut first, mut second) = ([0f32; LONG_WINDOW / 2 + 1], [0f32; LONG_WINDOW / 2 + 1]);
        (first[0], second[0]) = (re[0] * re[0], im[0] * im[0]);
        let half = length / 2;
        let above = re[half..].iter().rev().zip(im[half..].iter().rev());
        let below = re[1..=half].iter().zip(&im[1..=half]);
        let powers = first[1..=half].iter_mut().zip(&mut second[1..=half]);
        for (((first, second), (a, b)), (c, d)) in powers.zip(below).zip(above) {
            let square = |x: f32, y: f32| 0.25 * (x * x + y * y);
            *first = square(a + c, b - d);
            *second = square(b + d, c - a);
        }
        let mut energies = [[0.0; MAX_PARTITIONS]; 2];
        for (i, bins) in self.partitions.iter().enumerate() {
            let (mut sum, mut sum_of_second) = (0.0, 0.0);
            for (first, second) in first[bins.clone()].iter().zip(&second[bins.clone()]) {
                sum += first;
                sum_of_second += second;
            }
            (energies[0][i], energies[1][i]) = (sum, sum_of_second);
        }
        energies
    }

    /// Thresholds of the partitions.
    #[inline(always)]
    pub(crate) fn thresholds(&self, energies: &Partitions) -> Partitions {
        /// Sums that stay in registers.
        const BLOCK: usize = 4 * LANES;
        let mut thresholds = [0.0; MAX_PARTITIONS];
        let used = self.partitions.len().div_ceil(BLOCK);
        for (block, out) in thresholds.chunks_exact_mut(BLOCK).take(used).enumerate() {
            let mut sums = [0f32; BLOCK];
            for (row, energy) in self.spreading.iter().zip(energies) {
                let row = &row[block * BLOCK..][..BLOCK];
                for i in 0..BLOCK {
                    sums[i] += row[i] * energy;
                }
            }
            out.copy_from_slice(&sums);
        }
        thresholds
    }

    /// What a scalefactor band may hold by the thresholds of the partitions: the harmonic mean of these, as noise spreads
    /// over all of the band and is heard where least masks it.
    fn allowed(&self, band: usize, thresholds: &Partitions) -> f32 {
        1.0 / self.shares[band].iter().map(|&(i, share)| share / thresholds[i]).sum::<f32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tables::SAMPLE_RATES;
    use oggflv_common::simd::Level;

    fn model(sample_rate: u32) -> Model {
        Model::new(&Format::new(sample_rate, 1).unwrap(), Kernels::new(Level::SCALAR))
    }

    fn sine(frequency: f64, amplitude: f64, sample_rate: u32) -> Vec<f32> {
        (0..LONG_WINDOW)
            .map(|i| (amplitude * (2.0 * PI * frequency * i as f64 / f64::from(sample_rate)).sin()) as f32)
            .collect()
    }

    #[test]
    fn partitions_cover_the_bins_once() {
        for sample_rate in SAMPLE_RATES {
            let model = model(sample_rate);
            for (resolution, length) in [(&model.long, LONG_WINDOW), (&model.short, SHORT_WINDOW)] {
                let bins: Vec<usize> = resolution.partitions.iter().cloned().flatten().collect();
                assert_eq!(bins, (0..=length / 2).collect::<Vec<_>>());
                assert!(resolution.partitions.len() <= MAX_PARTITIONS);
            }
        }
    }

    /// What is allowed in a steady sound.
    fn allowed(model: &Model, pcm: &[&[f32]]) -> Vec<Masking> {
        let mut history = vec![History::default(); pcm.len()];
        for _ in 0..3 {
            model.go_on(pcm, &mut history);
        }
        history.iter().map(|history| model.allowed_long(history, f32::INFINITY)).collect()
    }

    #[test]
    fn both_channels_of_one_transform_are_those_of_two() {
        let model = model(44100);
        let (left, right) = (sine(1000.0, 0.5, 44100), sine(5000.0, 0.1, 44100));
        let both = allowed(&model, &[&left, &right]);
        for (channel, pcm) in [&left, &right].into_iter().enumerate() {
            let single = allowed(&model, &[pcm])[0];
            for band in 0..LONG_BANDS {
                let ratio = both[channel][band] / single[band];
                assert!((0.999..1.001).contains(&ratio), "channel {channel} band {band}: {ratio}");
            }
        }
    }

    #[test]
    fn a_tone_masks_its_neighbours_and_more_so_upwards() {
        let model = model(44100);
        let tone = sine(2000.0, 0.5, 44100);
        let loud = allowed(&model, &[&tone])[0];
        let quiet = allowed(&model, &[&[0.0; LONG_WINDOW]])[0];
        // Line 52.2 is in band 10.
        let gain = |band: usize| loud[band] / quiet[band];
        assert!(gain(10) > 1e4);
        assert!(gain(10) > gain(12) && gain(12) > gain(8) && gain(8) >= 1.0);
        // The tone's own energy is 0.25; noise is allowed between 5 and 20 dB below it.
        assert!(loud[10] < 0.25 / 3.0 && loud[10] > 0.25 / 100.0, "{}", loud[10]);
    }

    #[test]
    fn long_and_short_blocks_agree_on_noise() {
        let model = model(44100);
        let noise: Vec<f32> = (0..LONG_WINDOW as u32)
            .map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0)
            .collect();
        let long: f32 = allowed(&model, &[&noise])[0][..LONG_BANDS].iter().sum();
        let mut out = [[0.0; MAX_BANDS]];
        let windows = (0..=WINDOWS).map(|window| vec![&noise[window * 192..][..SHORT_WINDOW]]);
        model.allowed_short(windows, &mut out);
        let short: f32 = out[0].iter().sum::<f32>() / 3.0;
        assert!((0.5..2.0).contains(&(short / long)), "{short} and {long}");
    }

    #[test]
    fn silence_on_either_side_lowers_the_threshold() {
        let (tone, silence) = (sine(2000.0, 0.5, 44100), vec![0.0; LONG_WINDOW]);
        let model = model(44100);
        let of_tone = |[before, after]: [&[f32]; 2]| {
            let mut history = [History::default()];
            for pcm in [before, &tone, after] {
                model.go_on(&[pcm], &mut history);
            }
            // Line 52.2 is in band 10.
            model.allowed_long(&history[0], f32::INFINITY)[10]
        };
        let steady = of_tone([&tone, &tone]);
        for (neighbours, expected) in [([&silence, &tone], STRICTEST), ([&tone, &silence], STRICTEST_FALL)] {
            let ratio = of_tone(neighbours.map(Vec::as_slice)) / steady;
            assert!((ratio / expected - 1.0).abs() < 1e-3, "{ratio} for {expected}");
        }
    }

    #[test]
    fn silence_before_a_short_window_lowers_its_threshold() {
        let (tone, silence) = (sine(2000.0, 0.5, 44100), vec![0.0; LONG_WINDOW]);
        let model = model(44100);
        let of_tone = |before: &[f32]| {
            let mut out = [[0.0; MAX_BANDS]];
            let windows = [before, &tone, &tone, &tone].map(|pcm| vec![&pcm[..SHORT_WINDOW]]);
            model.allowed_short(windows.into_iter(), &mut out);
            // Line 17.4 of each window is in band 4.
            [0, 1, 2].map(|window| out[0][4 * WINDOWS + window])
        };
        let (steady, sudden) = (of_tone(&tone), of_tone(&silence));
        assert!((sudden[0] / steady[0] / STRICTEST - 1.0).abs() < 1e-3);
        assert_eq!(sudden[1..], steady[1..]);
    }

    #[test]
    fn a_sound_masks_the_short_window_after_it() {
        let (tone, silence) = (sine(2000.0, 0.5, 44100), vec![0.0; LONG_WINDOW]);
        let mut out = [[0.0; MAX_BANDS]];
        let windows = [&tone, &tone, &silence, &silence].map(|pcm| vec![&pcm[..SHORT_WINDOW]]);
        model(44100).allowed_short(windows.into_iter(), &mut out);
        let [loud, after, later] = [0, 1, 2].map(|window| out[0][4 * WINDOWS + window]);
        assert!((after / loud / AFTER - 1.0).abs() < 1e-3 && later < 1e-3 * after);
    }

    #[test]
    fn a_band_is_as_strict_as_where_it_masks_least() {
        let model = model(44100);
        let mut thresholds = [1.0; MAX_PARTITIONS];
        let band = 10;
        let even = model.long.allowed(band, &thresholds);
        assert!(model.long.shares[band].len() > 1);
        thresholds[model.long.shares[band][0].0] = 1e-6;
        assert!(model.long.allowed(band, &thresholds) < 1e-3 * even);
    }

    #[test]
    fn threshold_in_quiet_counts_as_little_as_asked() {
        let model = model(44100);
        let mut history = vec![History::default()];
        for _ in 0..3 {
            model.go_on(&[&[0.0; LONG_WINDOW]], &mut history);
        }
        let full = model.allowed_long(&history[0], f32::INFINITY);
        let bounded = model.allowed_long(&history[0], 2.5e-9);
        assert_eq!(full[..LONG_BANDS], model.quiet_long[..LONG_BANDS]);
        assert_eq!(bounded[10], full[10]);
        assert_eq!(bounded[21], 2.5e-9);
    }
}
