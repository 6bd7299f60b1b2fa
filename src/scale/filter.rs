//! Interpolation filters, and the weights they give the samples along one axis.

use std::fmt;
use std::str::FromStr;

use std::f64::consts::PI;
use std::ops::Range;

/// What a weight of 1 is in the integers that pictures are scaled with.
pub(super) const ONE: i16 = 1 << 14;

/// An interpolation filter. Where a picture shrinks, the filter is widened by the same factor, which makes it an
/// antialiasing filter.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Filter {
    /// Linear between the two nearest samples: soft.
    Bilinear,
    /// The cubic of Catmull and Rom, Keys' with a = -1/2, over four samples.
    #[default]
    Bicubic,
    /// The sinc of Lanczos with three lobes, over six samples: sharpest, and rings most.
    Lanczos3,
}

impl FromStr for Filter {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "bilinear" => Ok(Self::Bilinear),
            "bicubic" => Ok(Self::Bicubic),
            "lanczos3" => Ok(Self::Lanczos3),
            _ => Err("one of bilinear, bicubic, lanczos3".to_owned()),
        }
    }
}

impl fmt::Display for Filter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bilinear => "bilinear",
            Self::Bicubic => "bicubic",
            Self::Lanczos3 => "lanczos3",
        })
    }
}

impl Filter {
    /// From where on the filter is 0, in samples from its centre.
    fn support(self) -> f64 {
        match self {
            Self::Bilinear => 1.0,
            Self::Bicubic => 2.0,
            Self::Lanczos3 => 3.0,
        }
    }

    /// The filter `x` samples from its centre.
    fn weight(self, x: f64) -> f64 {
        let x = x.abs();
        match self {
            _ if x >= self.support() => 0.0,
            Self::Bilinear => 1.0 - x,
            Self::Bicubic if x < 1.0 => (1.5 * x - 2.5) * x * x + 1.0,
            Self::Bicubic => ((-0.5 * x + 2.5) * x - 4.0) * x + 2.0,
            Self::Lanczos3 => sinc(x) * sinc(x / 3.0),
        }
    }
}

fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { libm::sin(PI * x) / (PI * x) }
}

/// A stretch of a row or a column of samples, whose ends may lie within a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Span {
    /// Where it starts, in samples from the edge of the first.
    pub(super) start: f64,
    /// Its length in samples.
    pub(super) length: f64,
}

impl Span {
    /// The weights of the samples around a place, those that are not 0, and the index of the first: how sample `i` of
    /// `target` is made of `source` samples, of which the last is repeated as far as the span reaches. Beyond the
    /// samples the filter is cut off. The sum of the weights is 1.
    fn weights(self, filter: Filter, source: usize, target: usize, i: usize) -> (usize, Vec<f64>) {
        let step = self.length / target as f64;
        let spread = step.max(1.0);
        let centre = self.start + (i as f64 + 0.5) * step;
        let support = filter.support() * spread;
        let end = source.max((self.start + self.length).ceil() as usize);
        let first = ((centre - support).floor().max(0.0) as usize).min(source - 1);
        let end = ((centre + support).ceil() as usize).min(end);
        let mut weights = vec![0.0; end.min(source) - first];
        for x in first..end {
            weights[x.min(source - 1) - first] += filter.weight((x as f64 + 0.5 - centre) / spread);
        }
        let sum: f64 = weights.iter().sum();
        weights.iter_mut().for_each(|weight| *weight /= sum);
        (first, weights)
    }
}

/// How each of the samples along one axis of the target is made of samples of the source: weights in units of
/// 1 / [`ONE`] that sum up to [`ONE`]. The first and the last of a target sample's weights are not 0.
#[derive(Clone, Debug)]
pub(super) struct Axis {
    weights: Vec<i16>,
    /// Of each target sample: the first source sample, and where in `weights` its weights are.
    samples: Vec<(usize, Range<usize>)>,
}

impl Axis {
    /// The weights that make `target` samples of a span of `source` samples; neither is 0.
    pub(super) fn new(filter: Filter, span: Span, source: usize, target: usize) -> Self {
        let mut axis = Self { weights: Vec::new(), samples: Vec::with_capacity(target) };
        for i in 0..target {
            let (first, exact) = span.weights(filter, source, target, i);
            let rounded = round(&exact);
            let zeros = rounded.iter().take_while(|&&weight| weight == 0).count();
            let end = rounded.iter().rposition(|&weight| weight != 0).map_or(0, |last| last + 1);
            let begin = axis.weights.len();
            axis.weights.extend(&rounded[zeros..end]);
            axis.samples.push((first + zeros, begin..axis.weights.len()));
        }
        axis
    }

    /// The number of target samples.
    pub(super) fn len(&self) -> usize {
        self.samples.len()
    }

    /// The first source sample of target sample `i`, and the weights from there on.
    pub(super) fn sample(&self, i: usize) -> (usize, &[i16]) {
        let (first, range) = &self.samples[i];
        (*first, &self.weights[range.clone()])
    }

    /// All samples as [`Self::sample`] has them.
    pub(super) fn samples(&self) -> impl Iterator<Item = (usize, &[i16])> {
        (0..self.len()).map(|i| self.sample(i))
    }

    /// Whether every target sample is the source sample of the same index.
    pub(super) fn is_identity(&self) -> bool {
        self.samples().enumerate().all(|(i, (first, weights))| first == i && weights == [ONE])
    }

    /// The source samples, from the first to the last, that so many target samples at a time are made of.
    pub(super) fn reaches(&self, length: usize) -> Vec<Range<usize>> {
        let samples: Vec<(usize, &[i16])> = self.samples().collect();
        let reach = |samples: &[(usize, &[i16])]| {
            let first = samples.iter().map(|(first, _)| *first).min().unwrap_or(0);
            let end = samples.iter().map(|(first, weights)| first + weights.len()).max().unwrap_or(0);
            first..end
        };
        samples.chunks(length).map(reach).collect()
    }
}

/// Rounds weights so that their sum stays 1: what rounding takes from one goes to the next.
fn round(weights: &[f64]) -> Vec<i16> {
    let mut sum = 0.0;
    let mut rounded_sum = 0.0;
    let mut rounded = Vec::with_capacity(weights.len());
    for weight in weights {
        sum += weight * f64::from(ONE);
        let next = (sum + 0.5).floor();
        // No filter gives a sample a weight of 2.
        rounded.push((next - rounded_sum) as i16);
        rounded_sum = next;
    }
    rounded
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILTERS: [Filter; 3] = [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3];

    /// Whole picture, fractional edges, and a last sample that covers half a sample beyond the picture.
    fn spans(source: usize) -> [Span; 3] {
        let length = source as f64;
        [
            Span { start: 0.0, length },
            Span { start: 0.5, length: length - 0.5 },
            Span { start: 0.0, length: length * 1.5 },
        ]
    }

    #[test]
    fn weights_sum_up_to_one_and_stay_near_the_exact_ones() {
        for filter in FILTERS {
            for (source, target) in
                [(1, 1), (1, 50), (2, 3), (3, 1), (7, 5), (97, 89), (640, 800), (2, 4000), (5000, 3)]
            {
                for span in spans(source) {
                    let axis = Axis::new(filter, span, source, target);
                    assert_eq!(axis.len(), target);
                    for (i, (first, weights)) in axis.samples().enumerate() {
                        assert_eq!(weights.iter().map(|&w| i32::from(w)).sum::<i32>(), i32::from(ONE));
                        assert!(first + weights.len() <= source);
                        assert!(weights[0] != 0 && weights[weights.len() - 1] != 0);
                        let (exact_first, exact) = span.weights(filter, source, target, i);
                        for (j, &weight) in exact.iter().enumerate() {
                            let x = exact_first + j;
                            let got = x.checked_sub(first).and_then(|k| weights.get(k)).copied().unwrap_or(0);
                            assert!((f64::from(got) - weight * f64::from(ONE)).abs() <= 1.0);
                        }
                    }
                }
            }
        }
    }

    /// What makes the 16 bits between the passes suffice: values from -128 to 384, whatever the samples.
    #[test]
    fn overshoot_is_bounded() {
        for filter in FILTERS {
            for (source, target) in [(1, 9), (2, 31), (3, 64), (9, 7), (50, 377), (377, 50), (100, 99)] {
                for span in spans(source) {
                    for (_, weights) in Axis::new(filter, span, source, target).samples() {
                        let positive: i32 = weights.iter().map(|&w| i32::from(w.max(0))).sum();
                        assert!(255 * positive < 383 * i32::from(ONE), "{filter:?} {source} {target}");
                    }
                }
            }
        }
    }

    #[test]
    fn the_filters_are_those_of_the_books() {
        let at = |filter: Filter, x: f64| (filter.weight(x) * 1e6).round() / 1e6;
        assert_eq!(
            [0.0, 0.5, 1.0, 1.5, 2.0].map(|x| at(Filter::Bicubic, x)),
            [1.0, 0.5625, 0.0, -0.0625, 0.0]
        );
        assert_eq!([0.0, 0.25, -0.5, 1.0].map(|x| at(Filter::Bilinear, x)), [1.0, 0.75, 0.5, 0.0]);
        let lanczos = [0.0, 0.5, 1.0, 1.5, 2.5, 3.0].map(|x| at(Filter::Lanczos3, x));
        assert_eq!(lanczos, [1.0, 0.607927, 0.0, -0.135095, 0.024317, 0.0]);
    }

    #[test]
    fn reaches_are_of_all_that_have_a_weight() {
        for (source, target) in [(20, 9), (9, 20), (7, 7), (100, 1)] {
            let axis = Axis::new(Filter::Bicubic, Span { start: 0.0, length: source as f64 }, source, target);
            for length in [1, 4, 64] {
                let reaches = axis.reaches(length);
                assert_eq!(reaches.len(), target.div_ceil(length));
                for (i, reach) in reaches.iter().enumerate() {
                    let samples = (i * length..target.min((i + 1) * length)).map(|i| axis.sample(i));
                    let touched = |x: usize| {
                        samples.clone().any(|(first, weights)| (first..first + weights.len()).contains(&x))
                    };
                    let expected: Vec<usize> = (0..source).filter(|&x| touched(x)).collect();
                    assert_eq!(reach.clone().collect::<Vec<_>>(), expected, "{source} to {target}");
                }
            }
        }
    }
}
