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

/// How a target is made where its samples take few columns and rows of the source: columns first, so that what is made of a
/// row serves all rows of the target that need it.
#[derive(Clone, Debug)]
pub(in crate::scale) struct ColumnsFirst {
    columns: ColumnsPass,
    rows: Vec<Window>,
    blend: fn(&[&[i16]], &[i16], &mut [u8]),
    fetch: fn(&[u8]),
}

#[derive(Clone, Debug)]
enum ColumnsPass {
    /// Four columns for each sample at most, as where a picture grows.
    Quads(Quads, ColumnsKernel<Quads>),
    /// Eight, as where it shrinks to half.
    Halves(Halves, ColumnsKernel<Halves>),
}

/// Sums up weighted samples of a row of bytes, from weights in some layout, to samples in units of 1/64.
type ColumnsKernel<Layout> = fn(&[u8], &Layout, Strips<'_, i16>);

/// How far ahead rows of the source are asked for: from a decoder on another core they take long.
const ROWS_AHEAD: usize = 4;

/// Weights that a [`Window`] may have.
const MOST: usize = 8;

/// The weights of neighbours in the source.
#[derive(Clone, Copy, Debug)]
struct Window {
    first: usize,
    /// How many of them are there.
    count: usize,
    weights: [i16; MOST],
}

/// How the columns of a target are made of four columns of the source each.
#[derive(Clone, Debug)]
struct Quads {
    /// Weights in units of 2^-12.
    samples: Vec<Window>,
    /// The same in the order of vectors; none if sixteen neighbours lie too far apart, or the source is too narrow.
    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))] // Nobody else has a kernel for it.
    sixteens: Vec<Sixteen>,
    /// How long a source row has to be at least.
    reach: usize,
}

/// How the columns of a target are made where most have the same weights, each two columns of the source after the one
/// before.
#[derive(Clone, Debug)]
struct Halves {
    /// Weights in units of 2^-12.
    samples: Vec<Window>,
    /// The samples that have the same weights, all of them in the source.
    alike: Range<usize>,
    /// These weights, two by two: as words, and their [`parts`] as bytes.
    #[cfg_attr(not(any(target_arch = "x86_64", target_arch = "aarch64")), allow(dead_code))]
    pairs: [HalvesPair; MOST / 2],
    /// How long a source row has to be at least.
    reach: usize,
}

/// Two weights side by side, as vectors take them.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), allow(dead_code))]
struct HalvesPair {
    words: i32,
    high: i16,
    low: i16,
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

impl Window {
    /// Those of an axis; `None` if there are too many weights somewhere. The first ones never go back.
    fn of(axis: &Axis) -> Option<Vec<Self>> {
        let mut windows = Vec::with_capacity(axis.len());
        let mut next = usize::MAX;
        for i in (0..axis.len()).rev() {
            let (first, weights) = axis.sample(i);
            next = next.min(first);
            let count = first - next + weights.len();
            let mut window = Self { first: next, count, weights: [0; MOST] };
            window.weights.get_mut(first - next..count)?.copy_from_slice(weights);
            windows.push(window);
        }
        windows.reverse();
        Some(windows)
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

    /// The end of the samples of the source that any of some windows needs.
    fn reach(windows: &[Self]) -> usize {
        windows.iter().map(|window| window.first + window.count).max().unwrap_or(0)
    }
}

/// The two parts of a weight in units of 2^-12, which fit bytes: 64 times the first, and the second, which is from -32 to 31.
fn parts(weight: i16) -> (i16, i16) {
    let high = (weight + 32) >> 6;
    (high, weight - 64 * high)
}

impl Quads {
    fn new(samples: Vec<Window>, source: usize) -> Self {
        let sixteens = samples.chunks(16).map(|samples| Sixteen::new(samples, source));
        let sixteens = sixteens.collect::<Option<Vec<_>>>().unwrap_or_default();
        let reach = Window::reach(&samples);
        let reach = if sixteens.is_empty() { reach } else { reach.max(16) };
        Self { samples, sixteens, reach }
    }
}

impl HalvesPair {
    fn new(a: i16, b: i16) -> Self {
        let ((a_high, a_low), (b_high, b_low)) = (parts(a), parts(b));
        Self {
            words: i32::from(b) << 16 | i32::from(a as u16),
            high: i16::from_le_bytes([a_high as u8, b_high as u8]),
            low: i16::from_le_bytes([a_low as u8, b_low as u8]),
        }
    }
}

impl Halves {
    /// `None` if less than half of the samples have the same weights, or their sums of products leave 16 bits.
    fn new(samples: Vec<Window>, source: usize) -> Option<Self> {
        let middle = samples.len() / 2;
        let common = samples[middle];
        let is_alike = |i: usize| {
            let Window { first, weights, .. } = samples[i];
            first + 2 * middle == common.first + 2 * i && weights == common.weights && first + MOST <= source
        };
        let start = (0..middle).rev().take_while(|&i| is_alike(i)).last().unwrap_or(middle);
        let end = (middle..samples.len()).take_while(|&i| is_alike(i)).last().map_or(middle, |last| last + 1);
        let sum = |part: fn(i16) -> i16| {
            common.weights.iter().map(|&weight| 255 * i32::from(part(weight))).sum::<i32>()
        };
        let fits = [
            sum(|weight| parts(weight).0.max(0)),
            sum(|weight| -parts(weight).0.min(0)),
            sum(|weight| parts(weight).1.max(0)),
            sum(|weight| -parts(weight).1.min(0)),
        ];
        let fits = fits.iter().all(|&sum| sum <= i32::from(i16::MAX));
        let reach = Window::reach(&samples);
        let pairs =
            std::array::from_fn(|i| HalvesPair::new(common.weights[2 * i], common.weights[2 * i + 1]));
        (fits && 2 * (end - start) > samples.len()).then_some(Self {
            samples,
            alike: start..end,
            pairs,
            reach,
        })
    }

    /// Panics unless everything that making samples of the target touches is there in a row of `length` samples.
    fn check(&self, length: usize, target: &Strips<'_, i16>) {
        target.check(self.samples.len());
        assert!(self.reach <= length, "the source row is long enough");
    }
}

impl Sixteen {
    fn new(samples: &[Window], source: usize) -> Option<Self> {
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
                    let (high, low) = parts(quad.weights[tap]);
                    sixteen.high[tap / 2].0[at] = high as i8;
                    sixteen.low[tap / 2].0[at] = low as i8;
                }
            }
        }
        Some(sixteen)
    }
}

/// Makes samples that have the same weights by `kernel`, which makes `N` of 2 N + 6 samples of the source; the others one by one.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[inline(always)]
fn halve_blocks<const N: usize>(
    source: &[u8],
    halves: &Halves,
    target: Strips<'_, i16>,
    kernel: impl Fn(&[u8], &mut [i16; N]),
) {
    let Strips { start, samples: target } = target;
    let windows = &halves.samples[start..][..target.len()];
    let alike = |bound: usize| bound.saturating_sub(start).min(target.len());
    let (begin, end) = (alike(halves.alike.start), alike(halves.alike.end));
    if end - begin < N {
        return scalar::sum_columns(source, windows, target);
    }
    scalar::sum_columns(source, &windows[..begin], &mut target[..begin]);
    scalar::sum_columns(source, &windows[end..], &mut target[end..]);
    let source = &source[windows[begin].first..];
    let target = &mut target[begin..end];
    for x in (0..target.len()).step_by(N) {
        // The last block overlaps the one before.
        let x = x.min(target.len() - N);
        if let Some(target) = target[x..].first_chunk_mut() {
            kernel(&source[2 * x..][..2 * N + 6], target);
        }
    }
}

impl ColumnsFirst {
    /// `None` if there are too many weights somewhere.
    pub(in crate::scale) fn new(columns: &Axis, rows: &Axis, source: usize, level: Level) -> Option<Self> {
        let columns: Vec<Window> = Window::of(columns)?.into_iter().map(Window::rounded).collect();
        let rows = Window::of(rows)?;
        let kernels = Kernels::new(level);
        let is_quad = |window: &Window| window.count <= 4;
        let columns = if columns.iter().chain(&rows).all(is_quad) {
            let quads = Quads::new(columns, source);
            let widen = if quads.sixteens.is_empty() { scalar::widen } else { kernels.widen };
            ColumnsPass::Quads(quads, widen)
        } else {
            ColumnsPass::Halves(Halves::new(columns, source)?, kernels.halve)
        };
        Some(Self { columns, rows, blend: kernels.blend, fetch: kernels.fetch })
    }

    /// Makes a part of some rows of the target, `columns`, which begin at a multiple of [`STRIP`]; the first row is row `y` of
    /// the target. `between` is room for the rows between the passes, whatever it holds.
    pub(in crate::scale) fn rows<'a>(
        &self,
        source: &PlaneView<'_>,
        columns: &Range<usize>,
        y: usize,
        targets: impl ExactSizeIterator<Item = &'a mut [u8]>,
        between: &mut Vec<i16>,
    ) {
        let (start, width) = (columns.start, columns.len());
        between.resize(between.len().max(MOST * width), 0);
        let windows = match &self.columns {
            ColumnsPass::Quads(quads, _) => &quads.samples[columns.clone()],
            ColumnsPass::Halves(halves, _) => &halves.samples[columns.clone()],
        };
        let reach = windows[0].first..Window::reach(&windows[width - 1..]);
        let rows = &self.rows[y..][..targets.len()];
        let end = Window::reach(&rows[rows.len() - 1..]);
        let mut next = 0;
        for (target, window) in targets.zip(rows) {
            for row in window.first.max(next)..window.first + window.count {
                if row + ROWS_AHEAD < end {
                    (self.fetch)(&source.row(row + ROWS_AHEAD)[reach.clone()]);
                }
                // What is made of row `n` of the source is at n mod 8.
                let samples = &mut between[row % MOST * width..][..width];
                let strips = Strips { start, samples };
                match &self.columns {
                    ColumnsPass::Quads(quads, kernel) => kernel(source.row(row), quads, strips),
                    ColumnsPass::Halves(halves, kernel) => kernel(source.row(row), halves, strips),
                }
                next = row + 1;
            }
            let rows: [&[i16]; MOST] =
                std::array::from_fn(|i| &between[(window.first + i) % MOST * width..][..width]);
            (self.blend)(&rows[..window.count], &window.weights[..window.count], target);
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
    widen: ColumnsKernel<Quads>,
    /// Sums up eight.
    halve: ColumnsKernel<Halves>,
    /// Sums up weighted rows of what `widen` and `halve` make, eight at most; weights are in units of 1 / [`ONE`].
    blend: fn(&[&[i16]], &[i16], &mut [u8]),
    /// Brings samples into the cache, or does nothing.
    fetch: fn(&[u8]),
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
                halve: scalar::halve,
                blend: scalar::blend,
                fetch: |_| {},
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
    fn every_level_goes_columns_first_like_scalar() {
        let mut random = Random(3);
        let shrinking = [(64, 32), (67, 33), (200, 100), (331, 165)].map(|(source, target)| {
            (
                source,
                Axis::new(Filter::Bicubic, Span { start: 0.0, length: 2.0 * target as f64 }, source, target),
            )
        });
        let mut halves = 0;
        for (source, axis) in axes().chain(shrinking) {
            let samples: Vec<u8> = (0..9 * source).map(|_| random.byte()).collect();
            let plane = PlaneView { width: source, height: 9, stride: source, data: &samples };
            let width = axis.len();
            for height in [14, 6] {
                let rows = Axis::new(Filter::Bicubic, Span { start: 0.0, length: 9.0 }, 9, height);
                // The columns from `start` on, of the rows from `y` on; others stay 0.
                let make = |level: Level, start: usize, y: usize| {
                    let passes = ColumnsFirst::new(&axis, &rows, source, level)?;
                    let mut target = vec![0; width * (height - y)];
                    let rows = target.chunks_mut(width).map(|row| &mut row[start..]);
                    passes.rows(&plane, &(start..width), y, rows, &mut vec![1; start]);
                    Some((target, matches!(passes.columns, ColumnsPass::Halves(..))))
                };
                for start in (0..width).step_by(2 * STRIP) {
                    for y in [0, 5] {
                        let expected = make(Level::SCALAR, start, y);
                        halves += usize::from(expected.as_ref().is_some_and(|(_, halves)| *halves));
                        for level in levels() {
                            assert!(
                                make(level, start, y) == expected,
                                "{}, {source} to {width}",
                                level.name()
                            );
                        }
                    }
                }
            }
        }
        assert!(halves > 10, "{halves}");
    }

    #[test]
    fn few_weights_are_what_growing_and_halving_takes() {
        let axis = |filter: Filter, (source, target): (usize, usize)| {
            Axis::new(filter, Span { start: 0.0, length: source as f64 }, source, target)
        };
        let pass = |filter: Filter, columns: (usize, usize), rows: (usize, usize)| {
            ColumnsFirst::new(&axis(filter, columns), &axis(filter, rows), columns.0, Level::SCALAR)
                .map(|passes| matches!(passes.columns, ColumnsPass::Halves(..)))
        };
        assert_eq!(pass(Filter::Bicubic, (640, 800), (480, 600)), Some(false));
        assert_eq!(pass(Filter::Bicubic, (7, 7), (480, 600)), Some(false));
        assert_eq!(pass(Filter::Bilinear, (9, 8), (9, 8)), Some(false));
        assert_eq!(pass(Filter::Bicubic, (1600, 800), (1000, 600)), Some(true));
        assert_eq!(pass(Filter::Bicubic, (1600, 800), (480, 600)), Some(true));
        assert_eq!(pass(Filter::Bicubic, (800, 640), (600, 480)), None);
        assert_eq!(pass(Filter::Bicubic, (1600, 800), (1000, 300)), None);
        assert_eq!(pass(Filter::Lanczos3, (640, 800), (480, 600)), None);
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
