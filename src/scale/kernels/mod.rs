//! The two passes of scaling, in either order, for each level of vector instructions.
//!
//! `scalar` defines what the others compute, sample for sample.
//!
//! Rows first, a sample `v` is (v - 128) x 128 in 16 bits between the passes, which leaves room for overshoot: `v` may
//! be from -128 to almost 384. Columns first, it is v x 64.

#[cfg(target_arch = "aarch64")]
#[allow(unsafe_code)] // Loads and stores of vectors go through pointers.
mod aarch64;
mod scalar;
#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code)] // Loads and stores of vectors go through pointers.
mod x86;

use std::ops::Range;

use oggflv_common::PlaneView;
use oggflv_common::simd::{Isa, Level};

use super::filter::{Axis, ONE};

/// So many samples of a target row, or a multiple, may be made without the others.
pub(super) const STRIP: usize = 32;

/// Most rows that [`Kernels::vertical`] may sum up: what it rounds down at each one stays below an eighth of a step.
const MAX_TAPS: usize = 32;

/// A row that contributes to a target row, or two of the same weight, whose samples are added first.
#[derive(Clone, Copy, Debug)]
struct Tap {
    /// Their indices in the source; the same one twice if there is one only.
    rows: [usize; 2],
    /// Magnitude of the weight in units of 2^-15; both halves of the 32 bits hold it, as vectors take it.
    weight: u32,
}

impl Tap {
    fn new(rows: [usize; 2], weight: i16) -> Self {
        Self { rows, weight: 2 * u32::from(weight.unsigned_abs()) * 0x10001 }
    }

    fn weight(self) -> u16 {
        self.weight as u16
    }
}

/// The rows whose weights have one sign.
#[derive(Clone, Copy, Debug)]
struct Taps<'a> {
    single: &'a [Tap],
    /// Pairs of rows; weights are below 1/2.
    paired: &'a [Tap],
}

impl Taps<'_> {
    fn len(self) -> usize {
        self.single.len() + self.paired.len()
    }
}

/// The rows that make a target row.
#[derive(Clone, Copy, Debug)]
struct Sum<'a> {
    positive: Taps<'a>,
    negative: Taps<'a>,
    /// What the sum starts from: -128, and what rounding down takes from the positive parts and leaves to the
    /// negative ones.
    bias: i16,
    /// Rows that the next target row needs besides.
    ahead: &'a Range<usize>,
}

/// Rows of samples, `stride` apart.
#[derive(Clone, Copy, Debug)]
struct Rows<'a> {
    samples: &'a [u8],
    stride: usize,
}

impl Rows<'_> {
    /// Panics unless all rows that contribute are there, with `width` samples.
    fn check(&self, sum: Sum<'_>, width: usize) {
        let is_there = |row: usize| {
            let end = row.checked_mul(self.stride).and_then(|start| start.checked_add(width));
            end.is_some_and(|end| end <= self.samples.len())
        };
        let taps = [sum.positive, sum.negative].map(|taps| [taps.single, taps.paired]);
        let taps = taps.as_flattened().iter().copied().flatten();
        assert!(taps.flat_map(|tap| tap.rows).all(is_there), "the rows are in the source");
    }
}

/// How the rows of a target are made of the rows of a source.
#[derive(Clone, Debug)]
pub(in crate::scale) struct Vertical {
    taps: Vec<Tap>,
    /// Of each target row, where in `taps` these begin, and the last ones end: single rows with a positive weight,
    /// paired ones, and the same with a negative weight.
    rows: Vec<[usize; 5]>,
    /// Of each target row: the source rows that the next one needs besides.
    ahead: Vec<Range<usize>>,
    kernel: fn(Rows<'_>, Sum<'_>, &mut [i16]),
}

impl Vertical {
    pub(in crate::scale) fn new(axis: &Axis, level: Level) -> Self {
        let mut taps = Vec::new();
        let mut rows = Vec::with_capacity(axis.len());
        for (first, weights) in axis.samples() {
            let mut kinds: [Vec<Tap>; 4] = Default::default();
            let mut rest: Vec<(usize, i16)> = (first..).zip(weights.iter().copied()).collect();
            while let Some((row, weight)) = rest.pop() {
                let same =
                    rest.iter().position(|&(_, w)| w == weight && 2 * i32::from(w.abs()) < i32::from(ONE));
                let other = same.map(|i| rest.remove(i).0);
                let kind = 2 * usize::from(weight < 0) + usize::from(other.is_some());
                if weight != 0 {
                    kinds[kind].push(Tap::new([other.unwrap_or(row), row], weight));
                }
            }
            let mut bounds = [taps.len(); 5];
            for (kind, mut some) in kinds.into_iter().enumerate() {
                some.reverse();
                taps.extend(some);
                bounds[kind + 1] = taps.len();
            }
            rows.push(bounds);
        }
        let few = rows.iter().all(|bounds| bounds[4] - bounds[0] <= MAX_TAPS);
        let kernel = if few { Kernels::new(level).vertical } else { scalar::vertical_many };
        let end = |y: usize| {
            let (first, weights) = axis.sample(y.min(axis.len() - 1));
            first + weights.len()
        };
        let ahead = (0..axis.len()).map(|y| end(y)..end(y + 1)).collect();
        Self { taps, rows, ahead, kernel }
    }

    /// Makes row `y` of the target from a source whose rows are `stride` apart.
    pub(in crate::scale) fn row(&self, samples: &[u8], stride: usize, y: usize, target: &mut [i16]) {
        let [a, b, c, d, e] = self.rows[y];
        let positive = Taps { single: &self.taps[a..b], paired: &self.taps[b..c] };
        let negative = Taps { single: &self.taps[c..d], paired: &self.taps[d..e] };
        let lost = (positive.len() as i32 - negative.len() as i32) / 2;
        let sum = Sum { positive, negative, bias: (lost - (128 << 7)) as i16, ahead: &self.ahead[y] };
        (self.kernel)(Rows { samples, stride }, sum, target);
    }
}

/// Some strips of a row of the target.
#[derive(Debug)]
struct Strips<'a, Sample = u8> {
    /// Where they begin in the row.
    start: usize,
    samples: &'a mut [Sample],
}

impl<Sample> Strips<'_, Sample> {
    /// Panics unless they lie in a row of `width` samples.
    fn check(&self, width: usize) {
        assert!(
            self.start.is_multiple_of(STRIP) && self.start + self.samples.len() <= width,
            "the target fits"
        );
    }
}

/// How the samples of a target row are made of those of a source row: for each one the weights side by side.
#[derive(Clone, Debug)]
struct Dots {
    /// The first source sample of each target sample; some more of them make whole eights.
    firsts: Vec<u32>,
    /// Weights of a target sample, a multiple of the `lanes` of [`Dots::new`].
    taps: usize,
    /// Weights in units of 1 / [`ONE`], `taps` for each target sample.
    weights: Vec<i16>,
    /// Target samples.
    width: usize,
    /// How long a source row has to be at least.
    reach: usize,
}

impl Dots {
    fn new(axis: &Axis, lanes: usize) -> Self {
        let taps =
            axis.samples().map(|(_, weights)| weights.len()).max().unwrap_or(0).next_multiple_of(lanes);
        let mut dots = Self { firsts: vec![], taps, weights: vec![], width: axis.len(), reach: 0 };
        for (i, (first, weights)) in axis.samples().enumerate() {
            dots.firsts.push(first as u32);
            dots.weights.extend(weights);
            dots.weights.resize((i + 1) * taps, 0);
            dots.reach = dots.reach.max(first + taps);
        }
        let count = dots.width.next_multiple_of(8);
        dots.firsts.resize(count, 0);
        dots.weights.resize(count * taps, 0);
        dots
    }

    /// Panics unless everything that making target samples, in whole eights, touches is there in a row of `length`
    /// samples.
    fn check(&self, length: usize, target: &Strips<'_>) {
        let count = self.firsts.len();
        assert!(count == self.width.next_multiple_of(8), "there are whole eights");
        target.check(self.width);
        assert!(self.weights.len() == count * self.taps);
        assert!(self.reach <= length, "the source row is long enough");
    }
}

/// Sixteen numbers of 16 bits, or eight of 32.
#[derive(Clone, Copy, Debug)]
#[repr(C, align(32))]
struct Lanes<T>(T);

/// The same as [`Dots`] in the order of vectors of eight 32-bit lanes, where eight neighbours in the target, a group,
/// lie so close in the source that for each pair of weights one vector holds what they need.
#[derive(Clone, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Nobody else has a kernel for it.
struct Groups {
    fours: Vec<FourGroups>,
    /// Weights in units of 1 / [`ONE`]: for each four groups, for each pair, for each of the four.
    weights: Vec<Lanes<[[i16; 2]; 8]>>,
    /// Target samples.
    width: usize,
    /// How long a source row has to be at least.
    reach: usize,
}

/// Four groups of eight target samples.
#[derive(Clone, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
struct FourGroups {
    /// For each target sample of a group, which of eight pairs of source samples is the first.
    indices: [Lanes<[u32; 8]>; 4],
    /// Whether they are in order, as where the picture shrinks to half.
    in_order: bool,
    /// The first source sample of each group.
    firsts: [u32; 4],
    /// Pairs of weights of a target sample.
    pairs: usize,
    /// Where the weights begin.
    weights: usize,
}

impl Groups {
    /// `None` if eight target samples lie too far apart.
    fn new(axis: &Axis) -> Option<Self> {
        let samples: Vec<(usize, &[i16])> = axis.samples().collect();
        let mut groups = Self { fours: vec![], weights: vec![], width: samples.len(), reach: 0 };
        for samples in samples.chunks(STRIP) {
            let four = groups.push_four(samples)?;
            groups.fours.push(four);
        }
        Some(groups)
    }

    fn push_four(&mut self, samples: &[(usize, &[i16])]) -> Option<FourGroups> {
        // Lanes without a target sample have no weights.
        let mut four = FourGroups {
            indices: [Lanes([0, 1, 2, 3, 4, 5, 6, 7]); 4],
            in_order: true,
            firsts: [0; 4],
            pairs: 0,
            weights: self.weights.len(),
        };
        for (j, group) in samples.chunks(8).enumerate() {
            let group_first = group.iter().map(|(first, _)| *first).min().unwrap_or(0);
            four.firsts[j] = group_first as u32;
            for (lane, (first, weights)) in group.iter().enumerate() {
                let distance = first - group_first;
                if distance >= 16 {
                    return None;
                }
                four.in_order &= distance / 2 == lane;
                four.indices[j].0[lane] = (distance / 2) as u32;
                four.pairs = four.pairs.max((distance % 2 + weights.len()).div_ceil(2));
            }
        }
        self.weights.resize(four.weights + 4 * four.pairs, Lanes([[0; 2]; 8]));
        for (i, (first, weights)) in samples.iter().enumerate() {
            let group_first = four.firsts[i / 8] as usize;
            for (tap, &weight) in weights.iter().enumerate() {
                let tap = (first - group_first) % 2 + tap;
                self.weights[four.weights + tap / 2 * 4 + i / 8].0[i % 8][tap % 2] = weight;
            }
            self.reach = self.reach.max(group_first + 2 * (four.pairs - 1) + 16);
        }
        Some(four)
    }

    /// Panics unless everything that making target samples, in whole fours of groups, touches is there in a row of
    /// `length` samples.
    #[cfg(target_arch = "x86_64")]
    fn check(&self, length: usize, target: &Strips<'_>) {
        assert!(self.fours.len() == self.width.div_ceil(STRIP), "there are whole fours");
        target.check(self.width);
        assert!(self.reach <= length, "the source row is long enough");
    }
}

/// How the columns of a target are made of the columns of a source.
#[derive(Clone, Debug)]
pub(in crate::scale) struct Horizontal {
    /// Columns of the source.
    source: usize,
    pass: HorizontalPass,
}

#[derive(Clone, Debug)]
enum HorizontalPass {
    Dots(Dots, HorizontalKernel<Dots>),
    Groups(Groups, HorizontalKernel<Groups>),
}

impl Horizontal {
    pub(in crate::scale) fn new(axis: &Axis, source: usize, level: Level) -> Self {
        let kernels = Kernels::new(level);
        let groups =
            kernels.groups.and_then(|kernel| Some(HorizontalPass::Groups(Groups::new(axis)?, kernel)));
        let pass =
            groups.unwrap_or_else(|| HorizontalPass::Dots(Dots::new(axis, kernels.dot_lanes), kernels.dots));
        Self { source, pass }
    }

    /// A row between the passes: as many samples as the source has columns, and some that are never read with a
    /// weight.
    pub(in crate::scale) fn source_row(&self) -> Vec<i16> {
        let reach = match &self.pass {
            HorizontalPass::Dots(dots, _) => dots.reach,
            HorizontalPass::Groups(groups, _) => groups.reach,
        };
        vec![0; reach.max(self.source)]
    }

    /// Makes a row of the target, or a part of it that begins at `start`, a multiple of [`STRIP`], from one of
    /// [`Self::source_row`].
    pub(in crate::scale) fn row(&self, source: &[i16], start: usize, target: &mut [u8]) {
        let target = Strips { start, samples: target };
        match &self.pass {
            HorizontalPass::Dots(dots, kernel) => kernel(source, dots, target),
            HorizontalPass::Groups(groups, kernel) => kernel(source, groups, target),
        }
    }
}

/// Sums up weighted samples of a row, from weights in some layout.
type HorizontalKernel<Layout> = fn(&[i16], &Layout, Strips<'_>);

/// How a target is made where each of its samples takes four columns and four rows of the source at most, as where a
/// picture grows: columns first, so that what is made of a row serves all rows of the target that need it.
#[derive(Clone, Debug)]
pub(in crate::scale) struct Growth {
    columns: Quads,
    rows: Vec<Quad>,
    widen: fn(&[u8], &Quads, Strips<'_, i16>),
    blend: fn([&[i16]; 4], [i16; 4], &mut [u8]),
}

/// The weights of four neighbours in the source.
#[derive(Clone, Copy, Debug)]
struct Quad {
    first: usize,
    /// How many of them are there.
    count: usize,
    weights: [i16; 4],
}

/// How the columns of a target are made of four columns of the source each.
#[derive(Clone, Debug)]
struct Quads {
    /// Weights in units of 2^-12.
    samples: Vec<Quad>,
    /// The same in the order of vectors; none if sixteen neighbours lie too far apart, or the source is too narrow.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Nobody else has a kernel for it.
    sixteens: Vec<Sixteen>,
    /// How long a source row has to be at least.
    reach: usize,
}

/// Sixteen target samples. Each half of a vector is for eight of them, and has two bytes for each.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
struct Sixteen {
    /// Which of sixteen source samples the first two and the last two weights are for.
    order: [Lanes<[u8; 32]>; 2],
    /// The weights, 64 x `high` + `low`.
    high: [Lanes<[i8; 32]>; 2],
    low: [Lanes<[i8; 32]>; 2],
    /// The first of the sixteen source samples of each half.
    firsts: [u32; 2],
}

impl Quad {
    /// Those of an axis; `None` if there are more than four weights somewhere. The first ones never go back.
    fn of(axis: &Axis) -> Option<Vec<Self>> {
        let mut quads = Vec::with_capacity(axis.len());
        let mut next = usize::MAX;
        for i in (0..axis.len()).rev() {
            let (first, weights) = axis.sample(i);
            next = next.min(first);
            let count = first - next + weights.len();
            let mut quad = Self { first: next, count, weights: [0; 4] };
            quad.weights.get_mut(first - next..count)?.copy_from_slice(weights);
            quads.push(quad);
        }
        quads.reverse();
        Some(quads)
    }

    /// With weights in units of 2^-12 whose sum stays 1.
    fn rounded(self) -> Self {
        let mut sum = 0;
        let weights = self.weights.map(|weight| {
            let before = (sum + 2) >> 2;
            sum += weight;
            ((sum + 2) >> 2) - before
        });
        Self { weights, ..self }
    }
}

impl Quads {
    fn new(samples: Vec<Quad>, source: usize) -> Self {
        let sixteens = samples.chunks(16).map(|samples| Sixteen::new(samples, source));
        let sixteens = sixteens.collect::<Option<Vec<_>>>().unwrap_or_default();
        let reach = samples.iter().map(|quad| quad.first + quad.count).max().unwrap_or(0);
        let reach = if sixteens.is_empty() { reach } else { reach.max(16) };
        Self { samples, sixteens, reach }
    }
}

impl Sixteen {
    fn new(samples: &[Quad], source: usize) -> Option<Self> {
        let mut sixteen = Self {
            order: [Lanes([0; 32]); 2],
            high: [Lanes([0; 32]); 2],
            low: [Lanes([0; 32]); 2],
            firsts: [0; 2],
        };
        for (half, samples) in samples.chunks(8).enumerate() {
            let first = samples[0].first.min(source.checked_sub(16)?);
            sixteen.firsts[half] = first as u32;
            for (i, quad) in samples.iter().enumerate() {
                for tap in 0..quad.count {
                    let at = 16 * half + 2 * i + tap % 2;
                    let place = quad.first - first + tap;
                    if place >= 16 {
                        return None;
                    }
                    sixteen.order[tap / 2].0[at] = place as u8;
                    let high = (quad.weights[tap] + 32) >> 6;
                    sixteen.high[tap / 2].0[at] = high as i8;
                    sixteen.low[tap / 2].0[at] = (quad.weights[tap] - 64 * high) as i8;
                }
            }
        }
        Some(sixteen)
    }
}

impl Growth {
    /// `None` if there are more than four weights somewhere.
    pub(in crate::scale) fn new(columns: &Axis, rows: &Axis, source: usize, level: Level) -> Option<Self> {
        let columns: Vec<Quad> = Quad::of(columns)?.into_iter().map(Quad::rounded).collect();
        let columns = Quads::new(columns, source);
        let kernels = Kernels::new(level);
        let widen = if columns.sixteens.is_empty() { scalar::widen } else { kernels.widen };
        Some(Self { columns, rows: Quad::of(rows)?, widen, blend: kernels.blend })
    }

    /// Makes a part of some rows of the target, which begins at column `start`, a multiple of [`STRIP`]; the first row
    /// is row `y` of the target.
    pub(in crate::scale) fn rows<'a>(
        &self,
        source: &PlaneView<'_>,
        start: usize,
        y: usize,
        targets: impl Iterator<Item = &'a mut [u8]>,
    ) {
        // Row `n` of the source, widened, is at n mod 4.
        let mut widened: [Vec<i16>; 4] = Default::default();
        let mut next = 0;
        for (target, quad) in targets.zip(&self.rows[y..]) {
            for row in quad.first.max(next)..quad.first + quad.count {
                let samples = &mut widened[row % 4];
                samples.resize(target.len(), 0);
                (self.widen)(source.row(row), &self.columns, Strips { start, samples });
                next = row + 1;
            }
            // Rows that are not there have no weight.
            let rows = [0, 1, 2, 3].map(|i| &widened[(quad.first + i.min(quad.count - 1)) % 4][..]);
            (self.blend)(rows, quad.weights, target);
        }
    }
}

/// The inner loops at one level.
#[derive(Clone, Copy, Debug)]
struct Kernels {
    /// Sums up weighted rows of as many samples as the target has.
    vertical: fn(Rows<'_>, Sum<'_>, &mut [i16]),
    /// Sums up weighted samples of a row, which come in multiples of `dot_lanes`.
    dots: HorizontalKernel<Dots>,
    dot_lanes: usize,
    /// The same from the other layout, where that is faster.
    groups: Option<HorizontalKernel<Groups>>,
    /// Sums up four weighted samples of a row of bytes to samples in units of 1/64. Vectors take it from
    /// `sixteens`, which are there.
    widen: fn(&[u8], &Quads, Strips<'_, i16>),
    /// Sums up four weighted rows of what `widen` makes; weights are in units of 1 / [`ONE`].
    blend: fn([&[i16]; 4], [i16; 4], &mut [u8]),
}

impl Kernels {
    fn new(level: Level) -> Self {
        match level.isa() {
            #[cfg(target_arch = "x86_64")]
            Isa::Sse2 => x86::sse2(),
            #[cfg(target_arch = "x86_64")]
            Isa::Avx2 => x86::avx2(level),
            #[cfg(target_arch = "aarch64")]
            Isa::Neon => aarch64::neon(),
            _ => Self {
                vertical: scalar::vertical,
                dots: scalar::dots,
                dot_lanes: 8,
                groups: None,
                widen: scalar::widen,
                blend: scalar::blend,
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::filter::{Filter, Span};
    use super::*;

    /// A generator of numbers that are the same everywhere.
    struct Random(u64);

    impl Random {
        fn below(&mut self, limit: usize) -> usize {
            self.0 = self.0.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
            ((self.0 >> 33) as usize) % limit
        }

        /// Any byte, often the extremes.
        fn byte(&mut self) -> u8 {
            [0, 255, self.below(256) as u8, self.below(256) as u8][self.below(4)]
        }

        /// Any 16 bits, often the extremes.
        fn word(&mut self) -> i16 {
            let value = self.below(1 << 16) as u16 as i16;
            [i16::MIN, i16::MAX, value, value >> 3][self.below(4)]
        }
    }

    fn axes() -> impl Iterator<Item = (usize, Axis)> {
        let filters = [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3];
        let sizes = [
            (1, 1),
            (3, 1),
            (1, 70),
            (7, 40),
            (40, 7),
            (64, 32),
            (65, 33),
            (90, 31),
            (97, 89),
            (128, 160),
            (33, 1000),
            (1000, 33),
        ];
        filters.into_iter().flat_map(move |filter| {
            sizes.map(|(source, target)| {
                let span = Span { start: 0.5, length: source as f64 - 0.5 };
                (source, Axis::new(filter, span, source, target))
            })
        })
    }

    fn levels() -> Vec<Level> {
        Level::available().into_iter().filter(|&level| level != Level::SCALAR).collect()
    }

    #[test]
    fn every_level_sums_rows_like_scalar() {
        let mut random = Random(1);
        for (source, axis) in axes() {
            for width in [1, 15, 16, 17, 31, 32, 33, 63, 64, 65, 96, 127, 200] {
                let stride = width + random.below(20);
                let samples: Vec<u8> = (0..(source - 1) * stride + width).map(|_| random.byte()).collect();
                let y = random.below(axis.len());
                let mut expected = vec![0; width];
                Vertical::new(&axis, Level::SCALAR).row(&samples, stride, y, &mut expected);
                for level in levels() {
                    let mut row = vec![0; width];
                    Vertical::new(&axis, level).row(&samples, stride, y, &mut row);
                    assert_eq!(row, expected, "{}, {source} rows, {width} columns", level.name());
                }
            }
        }
    }

    #[test]
    fn every_level_sums_columns_like_scalar() {
        let mut random = Random(2);
        for (source, axis) in axes() {
            let row: Vec<i16> = (0..source).map(|_| random.word()).collect();
            let make = |horizontal: Horizontal| {
                let mut between = horizontal.source_row();
                between[..source].copy_from_slice(&row);
                // What lies beyond the row has no weight.
                between[source..].fill(i16::MAX);
                let mut target = vec![0; axis.len()];
                horizontal.row(&between, 0, &mut target);
                target
            };
            let expected = make(Horizontal::new(&axis, source, Level::SCALAR));
            for level in levels() {
                let kernels = Kernels::new(level);
                let dots = HorizontalPass::Dots(Dots::new(&axis, kernels.dot_lanes), kernels.dots);
                for horizontal in [Horizontal::new(&axis, source, level), Horizontal { source, pass: dots }] {
                    assert_eq!(make(horizontal), expected, "{}, {source} to {}", level.name(), axis.len());
                }
            }
        }
    }

    #[test]
    fn every_level_grows_like_scalar() {
        let mut random = Random(3);
        for (source, axis) in axes() {
            let rows = Axis::new(Filter::Bicubic, Span { start: 0.0, length: 9.0 }, 9, 14);
            let samples: Vec<u8> = (0..9 * source).map(|_| random.byte()).collect();
            let plane = PlaneView { width: source, height: 9, stride: source, data: &samples };
            let width = axis.len();
            // The columns from `start` on, of the rows from `y` on; others stay 0.
            let make = |level: Level, start: usize, y: usize| {
                let growth = Growth::new(&axis, &rows, source, level)?;
                let mut target = vec![0; width * (14 - y)];
                growth.rows(&plane, start, y, target.chunks_mut(width).map(|row| &mut row[start..]));
                Some(target)
            };
            for start in (0..width).step_by(2 * STRIP) {
                for y in [0, 5] {
                    let expected = make(Level::SCALAR, start, y);
                    for level in levels() {
                        assert!(make(level, start, y) == expected, "{}, {source} to {width}", level.name());
                    }
                }
            }
        }
    }

    #[test]
    fn four_weights_are_what_growing_takes() {
        let quads = |filter: Filter, source: usize, target: usize| {
            Quad::of(&Axis::new(filter, Span { start: 0.0, length: source as f64 }, source, target)).is_some()
        };
        assert!(
            quads(Filter::Bicubic, 640, 800) && quads(Filter::Bicubic, 7, 7) && quads(Filter::Bilinear, 9, 8)
        );
        assert!(!quads(Filter::Bicubic, 800, 640) && !quads(Filter::Lanczos3, 640, 800));
    }

    #[test]
    fn groups_are_for_samples_that_lie_close() {
        let close = |source: usize, target: usize| {
            let span = Span { start: 0.0, length: source as f64 };
            Groups::new(&Axis::new(Filter::Bicubic, span, source, target)).is_some()
        };
        assert!(close(640, 800) && close(1600, 800) && close(1, 1));
        assert!(!close(1920, 640) && !close(1000, 7));
    }

    /// Rounding each part down is made up for.
    #[test]
    fn one_value_stays_that_value() {
        for (source, axis) in axes() {
            let vertical = Vertical::new(&axis, Level::SCALAR);
            for value in 0..=255 {
                let samples = vec![value; source];
                let mut row = [0];
                for y in 0..axis.len() {
                    vertical.row(&samples, 1, y, &mut row);
                    let error = f64::from(row[0]) / 128.0 + 128.0 - f64::from(value);
                    assert!(error.abs() < 0.13, "{source} to {}: {error}", axis.len());
                }
            }
        }
    }
}
