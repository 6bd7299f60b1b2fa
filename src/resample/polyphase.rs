//! A rational polyphase resampler.
//!
//! Output sample `k` is the source, low-passed, at the time of source sample `k * from / to`: a weighted
//! sum of the source samples around it. The weights are a Kaiser-windowed sinc at the fraction, the
//! phase, of that time. All arithmetic is in a fixed order, without fused operations, and the weights come
//! from `libm`, so the same samples come out on every machine.

use super::Error;

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

/// Partial sums that a weighted sum is made of, lane by lane; the taps are a multiple of it.
const LANES: usize = 16;

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
    /// Index in `history` of the source sample at or before the next output sample.
    index: usize,
    /// Time of the next output sample after that source sample, in units of `1 / step.1` samples.
    phase: u64,
    /// Source samples taken, a channel.
    taken: u64,
    /// Samples returned, a channel.
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
            index: before,
            phase: 0,
            taken: 0,
            returned: 0,
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
        let half = filter.taps / 2;
        let (mut index, mut phase, mut count) = (self.index, self.phase, 0);
        let mut output = Vec::with_capacity(self.history.len());
        for history in &self.history {
            (index, phase, count) = (self.index, self.phase, 0);
            let mut channel = Vec::new();
            while index + half < history.len() && self.returned + count < total {
                channel.push(filter.apply(&history[index + 1 - half..=index + half], phase));
                count += 1;
                phase += self.step.0;
                index += (phase / self.step.1) as usize;
                phase %= self.step.1;
            }
            output.push(channel);
        }
        (self.index, self.phase, self.returned) = (index, phase, self.returned + count);
        self.forget(half);
        output
    }

    /// Drops the source samples before the next output sample's first tap.
    fn forget(&mut self, half: usize) {
        let done = (self.index + 1 - half).min(self.history[0].len());
        for history in &mut self.history {
            history.drain(..done);
        }
        self.index -= done;
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
        Self { taps, weights, phases: to.into(), interpolated: (!exact).then_some(rows.into()) }
    }

    /// The output sample at `phase`, from the `taps` source samples around it.
    fn apply(&self, source: &[f32], phase: u64) -> f32 {
        let row = |row: u64| &self.weights[row as usize * self.taps..][..self.taps];
        let Some(rows) = self.interpolated else { return weighted_sum(source, row(phase)) };
        let position = phase * rows;
        let (index, rest) = (position / self.phases, position % self.phases);
        let (a, b) = (weighted_sum(source, row(index)), weighted_sum(source, row(index + 1)));
        a + (b - a) * (rest as f32 / self.phases as f32)
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

/// The sum of `source` weighted by `weights`, in `LANES` partial sums that are then added pairwise: an
/// order that vector units of any width can keep.
fn weighted_sum(source: &[f32], weights: &[f32]) -> f32 {
    let mut lanes = [0.0f32; LANES];
    for (source, weights) in source.chunks_exact(LANES).zip(weights.chunks_exact(LANES)) {
        for lane in 0..LANES {
            lanes[lane] += source[lane] * weights[lane];
        }
    }
    let mut width = LANES / 2;
    while width > 0 {
        for lane in 0..width {
            lanes[lane] += lanes[lane + width];
        }
        width /= 2;
    }
    lanes[0]
}

fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}
