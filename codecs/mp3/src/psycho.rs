//! The psychoacoustic model: how much noise each scalefactor band of a granule may hold.
//!
//! The spectrum is summed up in partitions of about a third of a Bark; each partition masks its neighbours with slopes
//! of 27 dB/Bark downwards and 10 dB/Bark upwards (11172-3, D.1 and D.2 in outline), noise is inaudible some decibels
//! below that, and anything below the threshold in quiet is.

use crate::config::Format;
use crate::tables::LONG_BANDS;
use std::f64::consts::PI;

/// Samples of a spectrum.
pub(crate) const WINDOW_LEN: usize = 1024;
const BINS: usize = WINDOW_LEN / 2 + 1;
/// Width of a partition in Bark, where the spectrum resolves as much.
const PARTITION_WIDTH: f64 = 1.0 / 3.0;
/// Sound pressure level of a sine at full scale.
const FULL_SCALE_DB: f64 = 96.0;
/// A sine at full scale has an energy of about 1 in the lines of a granule; one line of a spectrum with this window
/// holds its own energy times this.
const LINES_PER_SPECTRUM: f64 = 2.0 / (WINDOW_LEN as f64 * WINDOW_LEN as f64 * 3.0 / 16.0);
/// How far the threshold may rise above that of the granule before, which bounds noise before an attack.
const RISE: f32 = 8.0;

/// Energies that the scalefactor bands of a granule may hold as noise, in units of squared lines.
pub(crate) type Allowed = [f32; LONG_BANDS];

/// A run of bins of the spectrum.
struct Partition {
    first_bin: usize,
    end_bin: usize,
    /// Energy that cannot be heard in quiet, in squared lines.
    quiet: f32,
}

/// The model's tables.
pub(crate) struct Model {
    window: [f32; WINDOW_LEN],
    fft: Fft,
    partitions: Vec<Partition>,
    /// `[maskee][masker]`: noise allowed in one partition for energy in another, both in squared lines.
    spreading: Vec<Vec<f32>>,
    /// For each scalefactor band the partitions it overlaps and the share of each that it holds.
    shares: Vec<Vec<(usize, f32)>>,
}

/// What the model remembers of one channel.
#[derive(Clone, Default)]
pub(crate) struct History {
    /// Thresholds of the granule before by partition.
    thresholds: Vec<f32>,
}

/// Critical-band rate in Bark (Zwicker and Terhardt).
fn bark(frequency: f64) -> f64 {
    13.0 * libm::atan(0.00076 * frequency) + 3.5 * libm::atan((frequency / 7500.0) * (frequency / 7500.0))
}

/// Threshold in quiet in dB SPL (Terhardt).
fn threshold_in_quiet(frequency: f64) -> f64 {
    let kilohertz = frequency.max(20.0) / 1000.0;
    3.64 * libm::pow(kilohertz, -0.8) - 6.5 * libm::exp(-0.6 * (kilohertz - 3.3) * (kilohertz - 3.3))
        + 1e-3 * libm::pow(kilohertz, 4.0)
}

fn from_decibels(level: f64) -> f64 {
    libm::pow(10.0, level / 10.0)
}

impl Model {
    pub(crate) fn new(format: &Format) -> Self {
        let frequency = |bin: f64| bin * f64::from(format.sample_rate) / WINDOW_LEN as f64;
        let mut partitions = Vec::new();
        let mut first_bin = 0;
        while first_bin < BINS {
            let from = bark(frequency(first_bin as f64 - 0.5).max(0.0));
            let end_bin = (first_bin + 1..BINS)
                .find(|&bin| bark(frequency(bin as f64 + 0.5)) - from > PARTITION_WIDTH)
                .unwrap_or(BINS);
            let quiet = (first_bin..end_bin)
                .map(|bin| from_decibels(threshold_in_quiet(frequency(bin as f64)) - FULL_SCALE_DB))
                .fold(f64::INFINITY, f64::min);
            partitions.push(Partition { first_bin, end_bin, quiet: quiet.min(1.0) as f32 });
            first_bin = end_bin;
        }
        let centres: Vec<f64> =
            partitions.iter().map(|p| bark(frequency((p.first_bin + p.end_bin - 1) as f64 / 2.0))).collect();
        let spreading = centres
            .iter()
            .map(|&maskee| {
                let slopes: Vec<f64> = centres
                    .iter()
                    .map(|&masker| maskee - masker)
                    .map(|up| from_decibels(if up >= 0.0 { -10.0 * up } else { 27.0 * up }))
                    .collect();
                let offset = from_decibels(-(6.0 + 0.25 * maskee));
                let sum: f64 = slopes.iter().sum();
                slopes.iter().map(|slope| (LINES_PER_SPECTRUM * offset * slope / sum) as f32).collect()
            })
            .collect();
        // Edges in units of the highest frequency.
        let edge = |bin: usize| (bin as f64 - 0.5).max(0.0) / (BINS as f64 - 0.5);
        let shares = format
            .long_bands
            .windows(2)
            .map(|limits| {
                let [low, high] = [limits[0], limits[1]].map(|line| line as f64 / 576.0);
                partitions
                    .iter()
                    .enumerate()
                    .filter_map(|(i, p)| {
                        let (from, to) = (edge(p.first_bin), edge(p.end_bin));
                        let share = (to.min(high) - from.max(low)) / (to - from);
                        (share > 0.0).then_some((i, share as f32))
                    })
                    .collect()
            })
            .collect();
        Self {
            window: std::array::from_fn(|i| {
                (0.5 - 0.5 * libm::cos(2.0 * PI * i as f64 / WINDOW_LEN as f64)) as f32
            }),
            fft: Fft::new(),
            partitions,
            spreading,
            shares,
        }
    }

    /// The noise allowed in the scalefactor bands of each channel, from the 1024 samples about the middle of the
    /// granule. `pcm` and `history` have one entry per channel, one or two.
    pub(crate) fn analyse(&self, pcm: &[&[f32]], history: &mut [History]) -> [Allowed; 2] {
        // One complex transform serves both channels.
        let mut z: Box<[(f32, f32); WINDOW_LEN]> = Box::new([(0.0, 0.0); WINDOW_LEN]);
        for i in 0..WINDOW_LEN {
            z[i] = (pcm[0][i] * self.window[i], pcm.get(1).map_or(0.0, |right| right[i] * self.window[i]));
        }
        self.fft.transform(&mut z);
        let mut powers = [[0f32; BINS]; 2];
        for k in 0..BINS {
            let ((a, b), (c, d)) = (z[k], z[(WINDOW_LEN - k) % WINDOW_LEN]);
            let square = |x: f32, y: f32| 0.25 * (x * x + y * y);
            powers[0][k] = square(a + c, b - d);
            powers[1][k] = square(b + d, c - a);
        }
        let mut allowed = [[0.0; LONG_BANDS]; 2];
        for (channel, history) in history.iter_mut().enumerate() {
            allowed[channel] = self.allowed_noise(&powers[channel], history);
        }
        allowed
    }

    fn allowed_noise(&self, power: &[f32; BINS], history: &mut History) -> Allowed {
        let energies: Vec<f32> =
            self.partitions.iter().map(|p| power[p.first_bin..p.end_bin].iter().sum()).collect();
        let thresholds: Vec<f32> = self
            .spreading
            .iter()
            .map(|row| row.iter().zip(&energies).map(|(weight, energy)| weight * energy).sum())
            .collect();
        history.thresholds.resize(thresholds.len(), 0.0);
        let limited: Vec<f32> = thresholds
            .iter()
            .zip(&history.thresholds)
            .zip(&self.partitions)
            .map(|((&threshold, &before), partition)| threshold.min(RISE * before).max(partition.quiet))
            .collect();
        history.thresholds = thresholds;
        std::array::from_fn(|band| self.shares[band].iter().map(|&(i, share)| share * limited[i]).sum())
    }
}

/// A complex Fourier transform of 1024 samples.
struct Fft {
    /// `exp(-2 pi i k / 1024)`.
    twiddles: Vec<(f32, f32)>,
}

impl Fft {
    fn new() -> Self {
        let angle = |k: usize| 2.0 * PI * k as f64 / WINDOW_LEN as f64;
        Self {
            twiddles: (0..WINDOW_LEN / 2)
                .map(|k| (libm::cos(angle(k)) as f32, -libm::sin(angle(k)) as f32))
                .collect(),
        }
    }

    /// In place; decimation in time, radix 2.
    fn transform(&self, z: &mut [(f32, f32); WINDOW_LEN]) {
        let bits = WINDOW_LEN.trailing_zeros();
        for i in 0..WINDOW_LEN {
            let j = i.reverse_bits() >> (usize::BITS - bits);
            if i < j {
                z.swap(i, j);
            }
        }
        let mut half = 1;
        while half < WINDOW_LEN {
            for block in z.chunks_exact_mut(2 * half) {
                let (low, high) = block.split_at_mut(half);
                for (k, (a, b)) in low.iter_mut().zip(high).enumerate() {
                    let (c, s) = self.twiddles[k * (WINDOW_LEN / 2 / half)];
                    let product = (b.0 * c - b.1 * s, b.0 * s + b.1 * c);
                    *b = (a.0 - product.0, a.1 - product.1);
                    *a = (a.0 + product.0, a.1 + product.1);
                }
            }
            half *= 2;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    fn model(sample_rate: u32) -> Model {
        Model::new(&Format::new(Config::new(sample_rate, 1, 64_000)).unwrap())
    }

    fn sine(frequency: f64, amplitude: f64, sample_rate: u32) -> Vec<f32> {
        (0..WINDOW_LEN)
            .map(|i| (amplitude * (2.0 * PI * frequency * i as f64 / f64::from(sample_rate)).sin()) as f32)
            .collect()
    }

    #[test]
    fn fast_and_analytical_fourier_transforms_agree() {
        let mut z = [(0.0, 0.0); WINDOW_LEN];
        for (i, z) in z.iter_mut().enumerate() {
            *z = ((i * i % 97) as f32 / 97.0, (i * 31 % 89) as f32 / 89.0);
        }
        let input = z;
        Fft::new().transform(&mut z);
        for k in [0, 1, 17, 511, 512, 513, 1023] {
            let (mut re, mut im) = (0.0, 0.0);
            for (i, &(a, b)) in input.iter().enumerate() {
                let (a, b) = (f64::from(a), f64::from(b));
                let (s, c) = (-2.0 * PI * (i * k % WINDOW_LEN) as f64 / WINDOW_LEN as f64).sin_cos();
                re += a * c - b * s;
                im += a * s + b * c;
            }
            assert!(
                (re - f64::from(z[k].0)).abs() < 1e-3 && (im - f64::from(z[k].1)).abs() < 1e-3,
                "bin {k}"
            );
        }
    }

    #[test]
    fn both_channels_of_one_transform_are_those_of_two() {
        let model = model(44100);
        let (left, right) = (sine(1000.0, 0.5, 44100), sine(5000.0, 0.1, 44100));
        let both = model.analyse(&[&left, &right], &mut [History::default(), History::default()]);
        for (channel, pcm) in [&left, &right].into_iter().enumerate() {
            let single = model.analyse(&[pcm], &mut [History::default()])[0];
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
        let mut history = [History::default()];
        model.analyse(&[&tone], &mut history);
        let allowed = model.analyse(&[&tone], &mut history)[0];
        let quiet = model.analyse(&[&[0.0; WINDOW_LEN]], &mut [History::default()])[0];
        // Line 52.2 is in band 10.
        let gain = |band: usize| allowed[band] / quiet[band];
        assert!(gain(10) > 1e4);
        assert!(gain(10) > gain(12) && gain(12) > gain(8) && gain(8) >= 1.0);
        // The tone's own energy is 0.25; noise is allowed between 5 and 20 dB below it.
        assert!(allowed[10] < 0.25 / 3.0 && allowed[10] > 0.25 / 100.0, "{}", allowed[10]);
    }
}
