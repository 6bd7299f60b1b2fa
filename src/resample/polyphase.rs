//! A rational polyphase resampler.
//!
//! Output sample `k` is the source, low-passed, at the time of source sample `k * from / to`: a weighted
//! sum of the source samples around it. The weights are a Kaiser-windowed sinc at the fraction, the
//! phase, of that time. All arithmetic is in a fixed order, without fused operations, and the weights come
//! from `libm`, so the same samples come out on every machine.

use oggflv_common::simd::Level;

use super::Error;
use super::kernels::{Kernels, LANES, WeightedSums};

/// Highest sample rate, in Hz.
const MAX_RATE: u32 = 768_000;

/// How many times the target rate the source rate may be: bounds the taps.
const MAX_RATIO: u32 = 128;

/// Most channels.
const MAX_CHANNELS: usize = 8;

/// Pass band edge, as a part of the lower Nyquist frequency. The stop band begins at 1.
const PASS_BAND: f64 = 0.9;

/// Half the filter's length, in samples of the lower rate.
///
/// By Kaiser's formula a transition from 0.9 to 1 of the Nyquist frequency takes
/// (`ATTENUATION` - 7.95) / (2.285 x 0.1 pi) = 142.2 samples.
const HALF_LENGTH: u32 = 72;

/// Attenuation of the stop band, in dB.
const ATTENUATION: f64 = 110.0;

/// Most weights in a table with a row for each phase: 1 MB. Larger ones are interpolated.
const MAX_WEIGHTS: usize = 1 << 18;

/// Rows a table of weights has in each sample of the lower rate if it is interpolated. Linear
/// interpolation between rows then errs by (0.95 pi / 1024)^2 / 8 of full scale at most: -119 dB.
const INTERPOLATED_ROWS: u32 = 1024;

/// Converts planar samples from one sample rate to another.
///
/// Aliases and images are below -100 dB; up to 0.9 of the lower of the two Nyquist frequencies the
/// response is flat within 0.1 dB. There is no delay: output sample `k` belongs to the time of input sample
/// `k * from / to`; before and after its samples the source is taken as silent. The samples that come out
/// do not depend on how the input is cut into blocks.
///
/// A call returns about `to / from` samples for each one it takes. Where `from` is very low, push small
/// blocks.
pub struct Resampler {
    /// `None` if the rates are equal.
    filter: Option<Filter>,
    /// `from / to`, reduced.
    step: (u64, u64),
    /// A channel's source samples that are still needed, preceded by silence at the beginning.
    history: Vec<Vec<f32>>,
    place: Place,
    /// Source samples taken, a channel.
    taken: u64,
}

/// Where the next output sample stands.
#[derive(Clone, Copy)]
struct Place {
    /// Index in the history of the source sample at or before it.
    index: usize,
    /// Time after that source sample, in units of `1 / step.1` samples.
    phase: u64,
    /// Output samples before it.
    returned: u64,
}

impl Resampler {
    /// A resampler from `from` Hz to `to` Hz for `channels` channels.
    ///
    /// # Errors
    /// If a rate is not within 1..=768000, if `from` is more than 128 times `to`, or if `channels` is not
    /// within 1..=8.
    pub fn new(from: u32, to: u32, channels: usize) -> Result<Self, Error> {
        if let Some(rate) = [from, to].into_iter().find(|rate| !(1..=MAX_RATE).contains(rate)) {
            return Err(Error::Rate { rate, limit: MAX_RATE });
        }
        if from.div_ceil(to) > MAX_RATIO {
            return Err(Error::Ratio { from, to, limit: MAX_RATIO });
        }
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(Error::Channels { channels, limit: MAX_CHANNELS });
        }
        let common = gcd(from, to);
        let step = (from / common, to / common);
        let filter = (from != to).then(|| Filter::new(step.0, step.1));
        // The first output sample stands at the first source sample.
        let before = filter.as_ref().map_or(0, |filter| filter.taps / 2 - 1);
        Ok(Self {
            filter,
            step: (step.0.into(), step.1.into()),
            history: vec![vec![0.0; before]; channels],
            place: Place { index: before, phase: 0, returned: 0 },
            taken: 0,
        })
    }

    /// Takes a block of planar samples, all channels equally long, and returns the output samples that
    /// depend on no later ones.
    ///
    /// # Panics
    /// If the block has another number of channels than was announced.
    pub fn push(&mut self, pcm: &[Vec<f32>]) -> Vec<Vec<f32>> {
        assert_eq!(pcm.len(), self.history.len(), "channels of a block");
        if self.filter.is_none() {
            return pcm.to_vec();
        }
        for (history, channel) in self.history.iter_mut().zip(pcm) {
            history.extend_from_slice(channel);
        }
        self.taken += pcm[0].len() as u64;
        self.run(u64::MAX)
    }

    /// Returns the rest, at the end of the source: of `n` samples taken a channel, altogether
    /// `n * to / from` are returned, rounded to the nearest integer, halves up.
    pub fn finish(&mut self) -> Vec<Vec<f32>> {
        let Some(filter) = &self.filter else { return vec![Vec::new(); self.history.len()] };
        let (from, to) = self.step;
        let total = (2 * u128::from(self.taken) * u128::from(to) + u128::from(from)) / (2 * u128::from(from));
        // The last output sample may stand half an output period after the last source sample.
        let silence = filter.taps / 2 + (from / to) as usize + 1;
        for history in &mut self.history {
            history.resize(history.len() + silence, 0.0);
        }
        self.run(total as u64)
    }

    /// Computes the output samples for which the source is at hand, as long as fewer than `total` have
    /// been returned.
    fn run(&mut self, total: u64) -> Vec<Vec<f32>> {
        let Some(filter) = &self.filter else { return vec![Vec::new(); self.history.len()] };
        let mut place = self.place;
        let mut output = Vec::with_capacity(self.history.len());
        // Weights are loaded once for two channels.
        for histories in self.history.chunks(2) {
            place = self.place;
            match histories {
                [a, b] => output.extend(filter.run([a, b], filter.kernels.two, self.step, &mut place, total)),
                one => output.extend(filter.run([&one[0]], filter.kernels.one, self.step, &mut place, total)),
            }
        }
        self.place = place;
        self.forget(filter.taps / 2);
        output
    }

    /// Drops the source samples before the next output sample's first tap.
    fn forget(&mut self, half: usize) {
        let done = (self.place.index + 1 - half).min(self.history[0].len());
        for history in &mut self.history {
            history.drain(..done);
        }
        self.place.index -= done;
    }
}

/// The weights of a low-pass filter, one row a phase.
struct Filter {
    /// Length of a row; the output stands between the middle two taps, or on the left one of them.
    taps: usize,
    /// Rows of `taps` weights each.
    weights: Vec<f32>,
    /// The denominator of the phases.
    phases: u64,
    /// Number of rows in a sample, if they are interpolated between: then there is one more at the end.
    /// Otherwise each phase has its own.
    interpolated: Option<u64>,
    kernels: Kernels,
}

impl Filter {
    /// A filter for a step of `from / to` source samples, reduced.
    fn new(from: u32, to: u32) -> Self {
        // In samples of the lower rate a source sample is so long.
        let scale = f64::from(to.min(from)) / f64::from(from);
        let half = (HALF_LENGTH * from.max(to)).div_ceil(to) as usize;
        let taps = (2 * half).next_multiple_of(LANES);
        let exact = (to as usize).checked_mul(taps).is_some_and(|n| n <= MAX_WEIGHTS);
        let rows = if exact { to } else { (f64::from(INTERPOLATED_ROWS) * scale) as u32 + 1 };
        let mut weights = Vec::new();
        for row in 0..rows + u32::from(!exact) {
            push_row(&mut weights, taps, f64::from(row) / f64::from(rows), scale);
        }
        let interpolated = (!exact).then_some(rows.into());
        Self { taps, weights, phases: to.into(), interpolated, kernels: Kernels::new(Level::active()) }
    }

    /// The output samples of some channels from `place` on, until their source or `total` ends.
    fn run<const N: usize>(
        &self,
        histories: [&Vec<f32>; N],
        weighted_sums: WeightedSums<N>,
        (from, to): (u64, u64),
        place: &mut Place,
        total: u64,
    ) -> [Vec<f32>; N] {
        let (whole, part) = ((from / to) as usize, from % to);
        let half = self.taps / 2;
        let mut output = [const { Vec::new() }; N];
        while place.index + half < histories[0].len() && place.returned < total {
            let mut sources = [&[][..]; N];
            for (source, history) in sources.iter_mut().zip(histories) {
                *source = &history[place.index + 1 - half..=place.index + half];
            }
            let samples = self.apply(sources, weighted_sums, place.phase);
            for (output, sample) in output.iter_mut().zip(samples) {
                output.push(sample);
            }
            place.returned += 1;
            place.index += whole;
            place.phase += part;
            if place.phase >= to {
                (place.index, place.phase) = (place.index + 1, place.phase - to);
            }
        }
        output
    }

    /// The output samples at `phase`, from the `taps` source samples of each channel around it.
    fn apply<const N: usize>(
        &self,
        sources: [&[f32]; N],
        weighted_sums: WeightedSums<N>,
        phase: u64,
    ) -> [f32; N] {
        let sums = |row: u64| weighted_sums(sources, &self.weights[row as usize * self.taps..][..self.taps]);
        let Some(rows) = self.interpolated else { return sums(phase) };
        let position = phase * rows;
        let (index, rest) = (position / self.phases, position % self.phases);
        let (a, b) = (sums(index), sums(index + 1));
        std::array::from_fn(|i| a[i] + (b[i] - a[i]) * (rest as f32 / self.phases as f32))
    }
}

/// Appends the weights for an output sample `fraction` (0..=1) source samples after the left one of the
/// middle two taps. A source sample is `scale` samples of the lower rate.
fn push_row(weights: &mut Vec<f32>, taps: usize, fraction: f64, scale: f64) {
    let half = (taps / 2) as f64;
    let beta = 0.1102 * (ATTENUATION - 8.7);
    let cutoff = scale * (PASS_BAND + 1.0) / 2.0;
    let row: Vec<f64> = (0..taps)
        .map(|tap| {
            let distance = tap as f64 - (half - 1.0) - fraction;
            let inside = 1.0 - (distance / half) * (distance / half);
            sinc(cutoff * distance) * bessel_i0(beta * libm::sqrt(inside.max(0.0)))
        })
        .collect();
    // Each row passes a constant unchanged.
    let sum: f64 = row.iter().sum();
    weights.extend(row.iter().map(|weight| (weight / sum) as f32));
}

/// sin(pi x) / (pi x)
fn sinc(x: f64) -> f64 {
    let angle = std::f64::consts::PI * x;
    if angle == 0.0 { 1.0 } else { libm::sin(angle) / angle }
}

/// The modified Bessel function of the first kind and order 0, by its power series.
fn bessel_i0(x: f64) -> f64 {
    let (mut sum, mut term, mut n) = (1.0, 1.0, 1.0);
    while term > sum * f64::EPSILON {
        term *= (x / (2.0 * n)) * (x / (2.0 * n));
        sum += term;
        n += 1.0;
    }
    sum
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::PI;

    /// The pairs of rates that occur, and awkward ones whose table is interpolated.
    const PAIRS: [(u32, u32); 11] = [
        (48000, 44100),
        (32000, 44100),
        (11127, 22050),
        (8000, 11025),
        (96000, 44100),
        (192_000, 44100),
        (1000, 11025),
        (44099, 44100),
        (44101, 44100),
        (47999, 44100),
        (191_999, 44100),
    ];

    fn resample(from: u32, to: u32, source: &[f32], block: usize) -> Vec<f32> {
        let mut resampler = Resampler::new(from, to, 1).unwrap();
        let mut out = Vec::new();
        for block in source.chunks(block) {
            out.extend(resampler.push(&[block.to_vec()]).concat());
        }
        out.extend(resampler.finish().concat());
        out
    }

    /// What becomes of a sine of full scale, away from the ends: the gain in phase, the gain in quadrature
    /// (of a delay), and the RMS of all else relative to the sine's, in dB. `frequency` is in Hz.
    fn response(from: u32, to: u32, frequency: f64) -> (f64, f64, f64) {
        let angle = |index: usize, rate: u32| 2.0 * PI * frequency * index as f64 / f64::from(rate) + 0.3;
        let length = 1000 * from.div_ceil(to.min(from)) as usize;
        let source: Vec<f32> = (0..length).map(|i| angle(i, from).sin() as f32).collect();
        let out = resample(from, to, &source, 1000);
        // The edges ring for half the filter's length.
        let edge = 100 * to.div_ceil(from.min(to)) as usize;
        let steady = edge..out.len() - edge;
        assert!(steady.len() > 300);
        // Least squares for a sine and a cosine.
        let (mut ss, mut cc, mut sc, mut ys, mut yc) = (0.0, 0.0, 0.0, 0.0, 0.0);
        for k in steady.clone() {
            let (s, c) = angle(k, to).sin_cos();
            let y = f64::from(out[k]);
            (ss, cc, sc, ys, yc) = (ss + s * s, cc + c * c, sc + s * c, ys + y * s, yc + y * c);
        }
        let determinant = ss * cc - sc * sc;
        let (gain, quadrature) = ((ys * cc - yc * sc) / determinant, (yc * ss - ys * sc) / determinant);
        let rest: f64 = steady
            .clone()
            .map(|k| {
                let (s, c) = angle(k, to).sin_cos();
                (f64::from(out[k]) - gain * s - quadrature * c).powi(2)
            })
            .sum();
        (gain, quadrature, 10.0 * (2.0 * rest / steady.len() as f64).log10())
    }

    #[test]
    fn pass_band_is_flat_undelayed_and_clean() {
        for (from, to) in PAIRS {
            let nyquist = f64::from(from.min(to)) / 2.0;
            for part in [0.02, 0.1, 0.25, 0.37, 0.5, 0.63, 0.75, 0.8, 0.85, 0.88, 0.9] {
                let (gain, quadrature, rest) = response(from, to, part * nyquist);
                let db = 20.0 * gain.log10();
                assert!(db.abs() < 0.01, "{from} to {to} at {part}: {db} dB");
                assert!(quadrature.abs() < 1e-5, "{from} to {to} at {part}: {quadrature} in quadrature");
                assert!(rest < -110.0, "{from} to {to} at {part}: {rest} dB besides the sine");
            }
        }
    }

    #[test]
    fn transition_band_has_no_images() {
        for (from, to) in PAIRS {
            let nyquist = f64::from(from.min(to)) / 2.0;
            for part in [0.92, 0.95, 0.97, 0.99] {
                let (.., rest) = response(from, to, part * nyquist);
                assert!(rest < -100.0, "{from} to {to} at {part}: {rest} dB");
            }
        }
    }

    #[test]
    fn stop_band_has_no_aliases() {
        for (from, to) in PAIRS.into_iter().filter(|(from, to)| from > to) {
            let (nyquist, end) = (f64::from(to) / 2.0, f64::from(from) / 2.0);
            for step in 0..=40 {
                let frequency = nyquist + (end - nyquist) * f64::from(step) / 40.0;
                let source: Vec<f32> = (0..600 * from.div_ceil(to) as usize)
                    .map(|i| (2.0 * PI * frequency * i as f64 / f64::from(from) + 0.3).sin() as f32)
                    .collect();
                let out = resample(from, to, &source, 1000);
                let steady = &out[100..out.len() - 100];
                let power: f64 =
                    steady.iter().map(|&y| f64::from(y).powi(2)).sum::<f64>() / steady.len() as f64;
                let db = 10.0 * (2.0 * power).log10();
                assert!(db < -100.0, "{from} to {to} at {frequency} Hz: {db} dB");
            }
        }
    }

    #[test]
    fn length_is_rounded_to_nearest() {
        for (from, to, taken, returned) in [
            (48000, 44100, 48000, 44100),
            (48000, 44100, 1, 1),
            (44100, 11025, 2, 1), // 0.5
            (44100, 11025, 1, 0),
            (44100, 11025, 5, 1),
            (44100, 11025, 6, 2), // 1.5
            (1000, 11025, 3, 33), // 33.075
            (1, 11025, 1, 11025),
            (32000, 44100, 0, 0),
            (11127, 22050, 25600, 50731),         // 50730.7
            (192_000, 44100, 1_000_003, 229_688), // 229688.2
        ] {
            let source = vec![0.5; taken];
            assert_eq!(resample(from, to, &source, 777).len(), returned, "{taken} from {from} to {to}");
        }
    }

    #[test]
    fn blocks_do_not_matter() {
        let noise: Vec<f32> =
            (0..3000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e7 - 0.8).collect();
        for (from, to) in PAIRS.into_iter().chain([(100, 1), (1, 3)]) {
            let whole = resample(from, to, &noise, noise.len());
            for block in [1, 7, 100, 1024] {
                assert!(resample(from, to, &noise, block) == whole, "{from} to {to} in blocks of {block}");
            }
        }
    }

    #[test]
    fn channels_do_not_mix() {
        let source = [vec![0.0; 2000], (0..2000).map(|i| (i % 50) as f32 / 50.0).collect::<Vec<f32>>()];
        let mut resampler = Resampler::new(48000, 44100, 2).unwrap();
        let mut out = resampler.push(&source);
        for (out, rest) in out.iter_mut().zip(resampler.finish()) {
            out.extend(rest);
        }
        assert!(out[0].iter().all(|&sample| sample == 0.0));
        assert_eq!(out[1], resample(48000, 44100, &source[1], 2000));
    }

    #[test]
    fn equal_rates_pass_untouched() {
        let source = [vec![0.1, -3.0, f32::MIN_POSITIVE]];
        let mut resampler = Resampler::new(44100, 44100, 1).unwrap();
        assert_eq!(resampler.push(&source), source);
        assert_eq!(resampler.finish(), [Vec::<f32>::new()]);
    }

    #[test]
    fn tables_stay_small() {
        for from in [1, 7, 999, 11127, 44099, 44101, 47999, 88201, 191_999, 767_999] {
            for to in [11025, 22050, 44100] {
                let weights = Resampler::new(from, to, 1).unwrap().filter.unwrap().weights.len();
                assert!(weights <= MAX_WEIGHTS, "{from} to {to}: {weights}");
            }
        }
    }

    #[test]
    fn refuses_rates_out_of_range() {
        assert!(matches!(Resampler::new(0, 44100, 2), Err(Error::Rate { rate: 0, .. })));
        assert!(matches!(Resampler::new(44100, 800_000, 2), Err(Error::Rate { rate: 800_000, .. })));
        assert!(matches!(Resampler::new(768_000, 100, 2), Err(Error::Ratio { .. })));
        assert!(matches!(Resampler::new(48000, 44100, 9), Err(Error::Channels { channels: 9, .. })));
    }

    /// The bytes are pinned: a machine, a compiler or a change that alters them shows here.
    #[test]
    fn bytes_are_the_same_everywhere() {
        let source: Vec<f32> =
            (0..5000u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 1e7 - 0.8).collect();
        for ((from, to), expected) in [
            ((48000, 44100), 0x3b44_e4ab_315c_4374),
            ((11127, 22050), 0x5761_d86d_5f0d_15c9),
            ((96000, 44100), 0x1fa0_4aef_dded_ba1f),
        ] {
            // FNV-1a
            let hash = resample(from, to, &source, 512)
                .iter()
                .flat_map(|sample| sample.to_le_bytes())
                .fold(0xcbf2_9ce4_8422_2325u64, |hash, byte| {
                    (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3)
                });
            assert_eq!(hash, expected, "{from} to {to}: {hash:#x}");
        }
    }
}
