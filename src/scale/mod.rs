//! The scaler: pictures of any format and region to 4:2:0 pictures of one size.
//!
//! In Theora and in H.263 alike a chroma sample of a subsampled direction sits in the middle between the luma
//! samples that share it (Theora specification, 4.4; H.263, 4.1), so in both a plane of half the resolution covers
//! the luma picture with coordinates that are half as large, and the planes are scaled one by one.
//!
//! A row of a target plane is made in two passes: weighted rows of the source are summed up to one row, then weighted
//! samples of that row to samples of the target. Where four samples each way suffice, as where a picture grows, it is
//! the other way round: columns first, since what is made of a row serves several rows of the target. Nothing is kept
//! from one band of rows to the next, so any part can be made at any time, on any thread.

mod filter;
mod kernels;

use std::ops::Range;

use oggflv_common::simd::Level;
use oggflv_common::{Frame, FrameView, PixelFormat, PlaneView};
use rayon::prelude::*;

pub use filter::Filter;
use filter::{Axis, Span};
use kernels::{Horizontal, Vertical};

/// Rows and columns of a target plane that are made, or stay as they are, together.
const BAND: usize = 8;
const STRIP: usize = kernels::STRIP;

/// Rows that are worth a task of their own.
const TALLEST: usize = 64;

/// Which part of a coded frame is scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Region {
    /// Subsampling of the coded frame.
    pub format: PixelFormat,
    /// Distance of the region from the left edge of the coded frame, in luma samples.
    pub x: usize,
    /// Distance of the region from the top edge of the coded frame, in luma samples.
    pub y: usize,
    /// Width in luma samples, not 0.
    pub width: usize,
    /// Height in luma samples, not 0.
    pub height: usize,
}

/// Scales pictures of one [`Region`] to 4:2:0 pictures of one size, by a [`Filter`] that is widened to an
/// antialiasing filter where the picture shrinks. A plane that keeps its size and place is copied.
///
/// The samples do not depend on the threads, the vector instructions, or the rows scaled at a time.
#[derive(Clone, Debug)]
pub struct Scaler {
    planes: [PlaneScaler; 3],
}

/// Rows of a plane of the target in which there is something to do.
struct Task<'a> {
    plane: &'a PlaneScaler,
    source: &'a PlaneView<'a>,
    first: usize,
    columns: Vec<Columns>,
    target: &'a mut [u8],
}

impl Task<'_> {
    fn run(self) {
        self.plane.scale(self.source, self.first, &self.columns, self.target);
    }
}

/// Columns of the target, whole strips, and the columns of the source that they are made of.
#[derive(PartialEq)]
struct Columns {
    target: Range<usize>,
    source: Range<usize>,
}

/// Scales one plane.
#[derive(Clone, Debug)]
struct PlaneScaler {
    /// Size of the source's plane.
    source: (usize, usize),
    /// Size of the target's plane.
    target: (usize, usize),
    /// The columns of the source that each strip of the target is made of.
    strips: Vec<Range<usize>>,
    /// The rows of the source that each band of the target is made of.
    bands: Vec<Range<usize>>,
    passes: Passes,
}

/// How a plane is made.
#[derive(Clone, Debug)]
enum Passes {
    Copy,
    RowsFirst(Vertical, Horizontal),
    ColumnsFirst(kernels::ColumnsFirst),
}

impl Scaler {
    /// A bicubic scaler from `region` to `width` x `height`, neither of them 0.
    #[must_use]
    pub fn new(region: &Region, width: usize, height: usize) -> Self {
        Self::with_filter(region, width, height, Filter::default())
    }

    /// A scaler from `region` to `width` x `height`, neither of them 0.
    #[must_use]
    pub fn with_filter(region: &Region, width: usize, height: usize, filter: Filter) -> Self {
        Self::with_level(region, width, height, filter, Level::active())
    }

    fn with_level(region: &Region, width: usize, height: usize, filter: Filter, level: Level) -> Self {
        let planes = [0, 1, 2].map(|pli| {
            let (shift_x, shift_y) = if pli == 0 { (0, 0) } else { region.format.chroma_shift() };
            let target_shift = u32::from(pli != 0);
            let columns = AxisMap::new(region.x, region.width, shift_x, width, target_shift);
            let rows = AxisMap::new(region.y, region.height, shift_y, height, target_shift);
            PlaneScaler::new(columns, rows, filter, level)
        });
        Self { planes }
    }

    /// Scales `source` to all of `target`.
    ///
    /// Planes of `source` hold the samples that the region touches: from floor(x / 2) to ceil((x + width) / 2) in a
    /// subsampled direction.
    ///
    /// # Panics
    /// If a plane of `source` has not the size that the region asks for, or `target` is not 4:2:0 or not of the
    /// scaler's size.
    pub fn scale(&self, source: &FrameView<'_>, target: &mut Frame) {
        self.scale_changed(source, target, |_, _| |_| true);
    }

    /// The same where `target` was made of a picture of which `source` differs in parts only. `changed` is asked for
    /// a plane of `source` and some of its rows, and what it gives then for columns, whether any sample there may
    /// differ. What does not depend on such samples stays as it is.
    ///
    /// # Panics
    /// As [`Self::scale`].
    pub fn scale_changed<Changed: Fn(Range<usize>) -> bool>(
        &self,
        source: &FrameView<'_>,
        target: &mut Frame,
        changed: impl Fn(usize, Range<usize>) -> Changed,
    ) {
        self.tasks(source, target, changed).into_iter().for_each(Task::run);
    }

    /// As [`Self::scale_changed`], by all threads of the rayon pool that the caller is in.
    ///
    /// # Panics
    /// As [`Self::scale`].
    pub fn par_scale_changed<Changed: Fn(Range<usize>) -> bool>(
        &self,
        source: &FrameView<'_>,
        target: &mut Frame,
        changed: impl Fn(usize, Range<usize>) -> Changed,
    ) {
        self.tasks(source, target, changed).into_par_iter().for_each(Task::run);
    }

    /// What there is to do: for bands of the target, several where they need the same.
    fn tasks<'a, Changed: Fn(Range<usize>) -> bool>(
        &'a self,
        source: &'a FrameView<'a>,
        target: &'a mut Frame,
        changed: impl Fn(usize, Range<usize>) -> Changed,
    ) -> Vec<Task<'a>> {
        assert_eq!(target.format(), PixelFormat::Yuv420);
        let mut tasks = Vec::new();
        for (pli, (plane, target)) in self.planes.iter().zip(&mut target.planes).enumerate() {
            let source = &source.planes[pli];
            let width = target.width();
            assert_eq!(plane.source, (source.width, source.height), "size of plane {pli} of the source");
            assert_eq!(plane.target, (width, target.height()), "size of plane {pli} of the target");
            let (mut rest, mut made) = (target.data_mut(), 0);
            for (rows, columns) in plane.stale(|rows| changed(pli, rows)) {
                let target;
                (_, rest) = rest.split_at_mut((rows.start - made) * width);
                (target, rest) = rest.split_at_mut(rows.len() * width);
                made = rows.end;
                tasks.push(Task { plane, source, first: rows.start, columns, target });
            }
        }
        tasks
    }
}

/// What is known of one axis of one plane.
struct AxisMap {
    /// The part of the source that is scaled, from the first sample that the region touches.
    span: Span,
    /// Samples of the source that the region touches.
    source: usize,
    /// Samples of the target.
    target: usize,
}

impl AxisMap {
    /// Where the target is odd and subsampled, its last sample covers half a sample beyond the picture, and the span
    /// grows by what that is in the source.
    fn new(offset: usize, length: usize, shift: u32, target: usize, target_shift: u32) -> Self {
        let step = 1 << shift;
        let samples = target.div_ceil(1 << target_shift);
        Self {
            span: Span {
                start: (offset % step) as f64 / step as f64,
                // Rounded once, so that what is a whole number of samples stays one.
                length: (length * (samples << target_shift)) as f64 / (step * target) as f64,
            },
            source: (offset + length).div_ceil(step) - offset / step,
            target: samples,
        }
    }

    fn weights(&self, filter: Filter) -> Axis {
        Axis::new(filter, self.span, self.source, self.target)
    }
}

impl PlaneScaler {
    fn new(columns: AxisMap, rows: AxisMap, filter: Filter, level: Level) -> Self {
        let (source, target) = ((columns.source, rows.source), (columns.target, rows.target));
        let (columns, rows) = (columns.weights(filter), rows.weights(filter));
        let passes = if columns.is_identity() && rows.is_identity() {
            Passes::Copy
        } else if let Some(passes) = kernels::ColumnsFirst::new(&columns, &rows, source.0, level) {
            Passes::ColumnsFirst(passes)
        } else {
            Passes::RowsFirst(Vertical::new(&rows, level), Horizontal::new(&columns, source.0, level))
        };
        Self { source, target, strips: columns.reaches(STRIP), bands: rows.reaches(BAND), passes }
    }

    /// The rows of the target, and the columns there, that depend on what has changed in the source.
    fn stale<Changed: Fn(Range<usize>) -> bool>(
        &self,
        changed: impl Fn(Range<usize>) -> Changed,
    ) -> Vec<(Range<usize>, Vec<Columns>)> {
        let mut stale: Vec<(Range<usize>, Vec<Columns>)> = Vec::new();
        for (i, source) in self.bands.iter().enumerate() {
            let rows = i * BAND..((i + 1) * BAND).min(self.target.1);
            let columns = self.stale_columns(changed(source.clone()));
            match stale.last_mut() {
                _ if columns.is_empty() => {}
                Some((above, same))
                    if above.end == rows.start && above.len() < TALLEST && *same == columns =>
                {
                    above.end = rows.end;
                }
                _ => stale.push((rows, columns)),
            }
        }
        stale
    }

    /// The columns of a band that depend on what has changed in some rows of the source.
    fn stale_columns(&self, changed: impl Fn(Range<usize>) -> bool) -> Vec<Columns> {
        let mut stale: Vec<Columns> = Vec::new();
        for (i, source) in self.strips.iter().enumerate() {
            if !changed(source.clone()) {
                continue;
            }
            let target = i * STRIP..((i + 1) * STRIP).min(self.target.0);
            match stale.last_mut() {
                Some(last) if last.target.end == target.start => {
                    last.target.end = target.end;
                    last.source = last.source.start.min(source.start)..last.source.end.max(source.end);
                }
                _ => stale.push(Columns { target, source: source.clone() }),
            }
        }
        stale
    }

    /// Makes some columns of the rows of `target`, of which the first is row `first` of the plane.
    fn scale(&self, source: &PlaneView<'_>, first: usize, columns: &[Columns], target: &mut [u8]) {
        let mut between = match &self.passes {
            Passes::RowsFirst(_, horizontal) => horizontal.source_row(),
            _ => Vec::new(),
        };
        for Columns { target: columns, source: reach } in columns {
            let rows = target.chunks_exact_mut(self.target.0).map(|row| &mut row[columns.clone()]);
            match &self.passes {
                Passes::Copy => {
                    rows.zip(first..).for_each(|(row, y)| row.copy_from_slice(&source.row(y)[reach.clone()]));
                }
                Passes::RowsFirst(vertical, horizontal) => {
                    let samples = &source.data[reach.start..];
                    for (row, y) in rows.zip(first..) {
                        vertical.row(samples, source.stride, y, &mut between[reach.clone()]);
                        horizontal.row(&between, columns.start, row);
                    }
                }
                Passes::ColumnsFirst(passes) => passes.rows(source, columns, first, rows, &mut between),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::Plane;

    fn frame(
        format: PixelFormat,
        width: usize,
        height: usize,
        mut sample: impl FnMut(usize, f64, f64) -> f64,
    ) -> Frame {
        let mut frame = Frame::new(format, width, height);
        for pli in 0..3 {
            let (x_shift, y_shift) = if pli == 0 { (0, 0) } else { format.chroma_shift() };
            let plane_width = frame.planes[pli].width();
            for (i, value) in frame.planes[pli].data_mut().iter_mut().enumerate() {
                // The centre of the sample in luma samples from the top left corner of the picture.
                let centre = |i: usize, shift: u32| (i as f64 + 0.5) * f64::from(1 << shift);
                let (x, y) = (centre(i % plane_width, x_shift), centre(i / plane_width, y_shift));
                *value = sample(pli, x, y).round() as u8;
            }
        }
        frame
    }

    /// A window of a frame, as a decoder hands it out.
    fn view<'a>(frame: &'a Frame, region: &Region) -> FrameView<'a> {
        let mut view = frame.view();
        for pli in 0..3 {
            let (x_shift, y_shift) = if pli == 0 { (0, 0) } else { frame.format().chroma_shift() };
            let (left, top) = (region.x >> x_shift, region.y >> y_shift);
            let plane = &mut view.planes[pli];
            plane.width = (region.x + region.width).div_ceil(1 << x_shift) - left;
            plane.height = (region.y + region.height).div_ceil(1 << y_shift) - top;
            plane.data =
                &plane.data[top * plane.stride + left..][..(plane.height - 1) * plane.stride + plane.width];
        }
        view
    }

    const FORMATS: [PixelFormat; 3] = [PixelFormat::Yuv420, PixelFormat::Yuv422, PixelFormat::Yuv444];

    /// A plane tilted in x and y survives any scaling within a rounding step if nothing shifts.
    #[test]
    fn nothing_shifts() {
        let slope = |pli: usize, x: f64, y: f64| 30.0 + x * (1.0 + 0.1 * pli as f64) + 0.7 * y;
        for format in FORMATS {
            let source = frame(format, 96, 64, slope);
            for (x, y, width, height) in [(0, 0, 96, 64), (3, 5, 80, 50), (4, 1, 91, 63), (5, 3, 61, 41)] {
                let region = Region { format, x, y, width, height };
                for (target_width, target_height) in
                    [(width, height), (40, 30), (41, 31), (200, 100), (48, 96)]
                {
                    let mut target = Frame::new(PixelFormat::Yuv420, target_width, target_height);
                    Scaler::new(&region, target_width, target_height)
                        .scale(&view(&source, &region), &mut target);
                    let (step_x, step_y) =
                        (width as f64 / target_width as f64, height as f64 / target_height as f64);
                    let expected = frame(PixelFormat::Yuv420, target_width, target_height, |pli, tx, ty| {
                        slope(pli, x as f64 + tx * step_x, y as f64 + ty * step_y)
                    });
                    for pli in 0..3 {
                        let (got, expected) = (&target.planes[pli], &expected.planes[pli]);
                        // Edges are left out, where the filter runs out of samples.
                        let (w, h) = (got.width(), got.height());
                        for (i, (&a, &b)) in got.data().iter().zip(expected.data()).enumerate() {
                            let (column, row) = (i % w, i / w);
                            let edge = |at: usize, size: usize, step: f64| {
                                let reach = (3.0 / step.min(1.0)).ceil() as usize;
                                at < reach || at + reach >= size
                            };
                            if edge(column, w, step_x) || edge(row, h, step_y) {
                                continue;
                            }
                            let off = a.abs_diff(b);
                            assert!(
                                off <= 2,
                                "{region:?} to {target_width}x{target_height}, plane {pli}, {column},{row}: {a} {b}"
                            );
                        }
                    }
                }
            }
        }
    }

    #[test]
    fn the_same_size_is_a_copy() {
        let source =
            frame(PixelFormat::Yuv420, 33, 17, |pli, x, y| (x * 7.0 + y * 13.0 + 50.0 * pli as f64) % 256.0);
        let region = Region { format: PixelFormat::Yuv420, x: 0, y: 0, width: 33, height: 17 };
        let mut target = Frame::new(PixelFormat::Yuv420, 33, 17);
        Scaler::new(&region, 33, 17).scale(&source.view(), &mut target);
        assert_eq!(source, target);
    }

    /// What lies outside the region stays outside.
    #[test]
    fn the_region_does_not_bleed() {
        for format in FORMATS {
            let region = Region { format, x: 8, y: 8, width: 16, height: 16 };
            let inside = |v: f64| (8.0..24.0).contains(&v);
            let source = frame(format, 32, 32, |_, x, y| if inside(x) && inside(y) { 100.0 } else { 255.0 });
            let mut target = Frame::new(PixelFormat::Yuv420, 24, 10);
            Scaler::new(&region, 24, 10).scale(&view(&source, &region), &mut target);
            assert!(target.planes.iter().all(|plane| plane.data().iter().all(|&value| value == 100)));
        }
    }

    /// Detail that the target cannot show is averaged out, not aliased.
    #[test]
    fn fine_stripes_become_grey() {
        let source =
            frame(
                PixelFormat::Yuv420,
                64,
                64,
                |_, x, _| if (x as usize).is_multiple_of(2) { 0.0 } else { 200.0 },
            );
        let region = Region { format: PixelFormat::Yuv420, x: 0, y: 0, width: 64, height: 64 };
        let mut target = Frame::new(PixelFormat::Yuv420, 16, 16);
        Scaler::new(&region, 16, 16).scale(&source.view(), &mut target);
        let middle: Vec<u8> = target.planes[0].view().rows().flat_map(|row| row[2..14].to_vec()).collect();
        assert!(middle.iter().all(|value| value.abs_diff(100) <= 2), "{middle:?}");
    }

    #[test]
    fn extreme_sizes() {
        for (width, height, target_width, target_height) in
            [(1, 1, 1, 1), (1, 1, 64, 48), (64, 48, 1, 1), (3, 1, 1, 7)]
        {
            let region = Region { format: PixelFormat::Yuv420, x: 0, y: 0, width, height };
            let source = frame(PixelFormat::Yuv420, width, height, |_, _, _| 77.0);
            let mut target = Frame::new(PixelFormat::Yuv420, target_width, target_height);
            Scaler::new(&region, target_width, target_height).scale(&source.view(), &mut target);
            assert!(target.planes.iter().all(|plane| plane.data().iter().all(|&value| value == 77)));
        }
    }

    const FILTERS: [Filter; 3] = [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3];

    fn noise(format: PixelFormat, width: usize, height: usize) -> Frame {
        let mut state = 1_u32;
        frame(format, width, height, |_, _, _| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            // Half of the samples are extremes, which make the filters overshoot.
            if state & 1 << 20 != 0 { f64::from(state >> 31) * 255.0 } else { f64::from(state >> 24) }
        })
    }

    /// Rows or columns of weights by the definition of a widened filter.
    fn exact_weights(filter: Filter, source: usize, target: usize) -> Vec<Vec<f64>> {
        let kernel = |x: f64| match filter {
            Filter::Bilinear => (1.0 - x.abs()).max(0.0),
            Filter::Bicubic if x.abs() < 1.0 => 1.5 * x.abs().powi(3) - 2.5 * x * x + 1.0,
            Filter::Bicubic if x.abs() < 2.0 => -0.5 * x.abs().powi(3) + 2.5 * x * x - 4.0 * x.abs() + 2.0,
            Filter::Lanczos3 if x == 0.0 => 1.0,
            Filter::Lanczos3 if x.abs() < 3.0 => {
                let angle = std::f64::consts::PI * x;
                3.0 * angle.sin() * (angle / 3.0).sin() / (angle * angle)
            }
            _ => 0.0,
        };
        let step = source as f64 / target as f64;
        let row = |i: usize| {
            let distance = |x: usize| (x as f64 + 0.5 - (i as f64 + 0.5) * step) / step.max(1.0);
            let weights: Vec<f64> = (0..source).map(|x| kernel(distance(x))).collect();
            let sum: f64 = weights.iter().sum();
            weights.iter().map(|weight| weight / sum).collect()
        };
        (0..target).map(row).collect()
    }

    /// Scales a plane in double precision, without rounding.
    fn exact(filter: Filter, source: &Plane, width: usize, height: usize) -> Vec<f64> {
        let columns = exact_weights(filter, source.width(), width);
        let narrowed: Vec<Vec<f64>> = source
            .view()
            .rows()
            .map(|row| {
                let dot = |weights: &Vec<f64>| weights.iter().zip(row).map(|(w, &v)| w * f64::from(v)).sum();
                columns.iter().map(dot).collect()
            })
            .collect();
        let mut target = Vec::new();
        for weights in exact_weights(filter, source.height(), height) {
            for x in 0..width {
                let value: f64 = weights.iter().zip(&narrowed).map(|(weight, row)| weight * row[x]).sum();
                target.push(value.clamp(0.0, 255.0));
            }
        }
        target
    }

    /// Rounding to whole samples costs 58.9 dB; little is added to it, and no sum wraps.
    #[test]
    fn every_filter_is_precise() {
        let sizes = [
            ((160, 100), (80, 60)),
            ((64, 48), (80, 60)),
            ((192, 108), (64, 36)),
            ((97, 61), (89, 67)),
            ((31, 37), (131, 127)),
            ((101, 103), (13, 7)),
            ((16384, 2), (802, 3)),
            ((5, 3), (4096, 2)),
            ((2, 3000), (3, 50)),
            ((400, 300), (2, 2)),
            ((1, 1), (40, 30)),
            ((3, 1), (1, 7)),
            ((50, 50), (50, 30)),
            ((50, 50), (30, 50)),
        ];
        for filter in FILTERS {
            for ((width, height), (target_width, target_height)) in sizes {
                let region = Region { format: PixelFormat::Yuv420, x: 0, y: 0, width, height };
                let source = noise(PixelFormat::Yuv420, width, height);
                let mut target = Frame::new(PixelFormat::Yuv420, target_width, target_height);
                Scaler::with_filter(&region, target_width, target_height, filter)
                    .scale(&source.view(), &mut target);
                // Of odd sizes the chroma planes cover more than the picture.
                let odd = [width, height, target_width, target_height].iter().any(|size| size % 2 == 1);
                for pli in 0..if odd { 1 } else { 3 } {
                    let got = &target.planes[pli];
                    let expected = exact(filter, &source.planes[pli], got.width(), got.height());
                    let mut squares = 0.0;
                    for (&got, expected) in got.data().iter().zip(&expected) {
                        let error = f64::from(got) - expected;
                        assert!(error.abs() < 0.6, "{filter:?}, {region:?}, {got} for {expected}");
                        squares += error * error;
                    }
                    let psnr = 10.0 * (255.0 * 255.0 / (squares / expected.len() as f64)).log10();
                    // A handful of samples says nothing about the mean.
                    assert!(psnr > 58.0 || expected.len() < 100, "{filter:?}, {region:?}: {psnr} dB");
                }
            }
        }
    }

    #[test]
    fn levels_threads_and_bands_change_nothing() {
        let regions = [
            (Region { format: PixelFormat::Yuv420, x: 0, y: 0, width: 300, height: 250 }, (201, 151)),
            (Region { format: PixelFormat::Yuv422, x: 3, y: 5, width: 211, height: 101 }, (410, 333)),
            (Region { format: PixelFormat::Yuv444, x: 1, y: 1, width: 299, height: 249 }, (40, 31)),
            (Region { format: PixelFormat::Yuv420, x: 2, y: 4, width: 200, height: 100 }, (200, 100)),
        ];
        for (region, (width, height)) in regions {
            let source = noise(region.format, 300, 250);
            let source = view(&source, &region);
            for filter in FILTERS {
                let mut expected = Frame::new(PixelFormat::Yuv420, width, height);
                Scaler::with_level(&region, width, height, filter, Level::SCALAR)
                    .scale(&source, &mut expected);
                for level in Level::available() {
                    let scaler = Scaler::with_level(&region, width, height, filter, level);
                    for threads in [1, 3] {
                        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
                        let mut target = Frame::new(PixelFormat::Yuv420, width, height);
                        pool.install(|| scaler.scale(&source, &mut target));
                        assert_eq!(target, expected, "{} on {threads} threads", level.name());
                    }
                    let mut target = Frame::new(PixelFormat::Yuv420, width, height);
                    scaler.scale_changed(&source, &mut target, |_, _| |_| false);
                    assert_eq!(target, Frame::new(PixelFormat::Yuv420, width, height), "nothing is made");
                    let is_first = |columns: Range<usize>, rows: Range<usize>| {
                        (columns.start / 40 + rows.start / 10).is_multiple_of(2)
                    };
                    scaler.scale_changed(&source, &mut target, |_, y| move |x| is_first(x, y.clone()));
                    scaler.par_scale_changed(&source, &mut target, |_, y| move |x| !is_first(x, y.clone()));
                    assert_eq!(target, expected, "{} in parts", level.name());
                }
            }
        }
    }

    /// Scaling what depends on changed parts is as good as scaling all.
    #[test]
    fn changes_reach_what_depends_on_them() {
        let (width, height) = (300, 120);
        let sizes =
            [((0, 0, 300, 100), (150, 60)), ((3, 3, 281, 81), (333, 161)), ((5, 5, 220, 90), (70, 31))];
        for (format, ((x, y, w, h), target_size)) in FORMATS.into_iter().flat_map(|f| sizes.map(|s| (f, s))) {
            let region = Region { format, x, y, width: w, height: h };
            let before = noise(format, width, height);
            let scaler = Scaler::new(&region, target_size.0, target_size.1);
            let mut old = Frame::new(PixelFormat::Yuv420, target_size.0, target_size.1);
            scaler.scale(&view(&before, &region), &mut old);
            for pli in 0..3 {
                let plane = &view(&before, &region).planes[pli];
                let right = plane.width - 1;
                for (columns, rows) in [
                    (0..1, 0..1),
                    (7..8, 16..32),
                    (33..67, 5..6),
                    (right..right + 1, 0..plane.height),
                    (0..plane.width, 20..21),
                ] {
                    let mut after = before.clone();
                    let shift = if pli == 0 { (0, 0) } else { format.chroma_shift() };
                    let stride = plane.stride;
                    for row in rows.clone() {
                        let start = ((y >> shift.1) + row) * stride + (x >> shift.0) + columns.start;
                        for sample in &mut after.planes[pli].data_mut()[start..start + columns.len()] {
                            *sample = !*sample;
                        }
                    }
                    let mut expected = Frame::new(PixelFormat::Yuv420, target_size.0, target_size.1);
                    scaler.scale(&view(&after, &region), &mut expected);
                    let overlap = |a: &Range<usize>, b: &Range<usize>| a.start < b.end && b.start < a.end;
                    let mut target = old.clone();
                    scaler.scale_changed(&view(&after, &region), &mut target, |plane, y| {
                        let touched = plane == pli && overlap(&y, &rows);
                        let columns = &columns;
                        move |x| touched && overlap(&x, columns)
                    });
                    assert_eq!(target, expected, "{region:?}, plane {pli}, {columns:?}, {rows:?}");
                }
            }
        }
    }

    /// Only what lies near a change is made anew.
    #[test]
    fn far_parts_stay() {
        let region = Region { format: PixelFormat::Yuv420, x: 0, y: 0, width: 800, height: 400 };
        let source = noise(PixelFormat::Yuv420, 800, 400);
        let mut target = Frame::new(PixelFormat::Yuv420, 400, 240);
        let changed = |pli: usize, y: Range<usize>| {
            move |x: Range<usize>| pli == 0 && x.contains(&400) && y.contains(&200)
        };
        Scaler::new(&region, 400, 240).scale_changed(&source.view(), &mut target, changed);
        let black = Frame::new(PixelFormat::Yuv420, 400, 240);
        assert_eq!(target.planes[1..], black.planes[1..]);
        for (y, row) in target.planes[0].view().rows().enumerate() {
            for (x, &sample) in row.iter().enumerate() {
                let near = x.abs_diff(200) <= 4 + STRIP && y.abs_diff(120) <= 3 + BAND;
                assert!(near || sample == 16, "{x},{y}");
            }
        }
        assert_ne!(target.planes[0], black.planes[0]);
    }

    #[test]
    #[should_panic(expected = "size of plane 1 of the source")]
    fn a_source_of_another_size_is_refused() {
        let region = Region { format: PixelFormat::Yuv444, x: 0, y: 0, width: 8, height: 8 };
        let source = Frame::new(PixelFormat::Yuv420, 8, 8);
        Scaler::new(&region, 4, 4).scale(&source.view(), &mut Frame::new(PixelFormat::Yuv420, 4, 4));
    }
}
