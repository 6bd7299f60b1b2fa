//! The scaler: pictures of any format and region to 4:2:0 pictures of one size.
//!
//! In Theora and in H.263 alike a chroma sample of a subsampled direction sits in the middle between the luma
//! samples that share it (Theora specification, 4.4; H.263, 4.1), so in both a plane of half the resolution covers
//! the luma picture with coordinates that are half as large, and the planes are scaled one by one.
//!
//! A row of a target plane is made in two passes: weighted rows of the source are summed up to one row, then weighted
//! samples of that row to samples of the target. Nothing is kept from one row to the next, so any rows can be made at
//! any time, on any thread.

mod filter;
mod kernels;

use std::ops::Range;

use oggflv_common::simd::Level;
use oggflv_common::{Frame, FrameView, PixelFormat, PlaneView};
use rayon::prelude::*;

pub use filter::Filter;
use filter::{Axis, Span};
use kernels::{Horizontal, Vertical};

/// Samples of the target that are worth a task of its own.
const TASK_SAMPLES: usize = 1 << 16;

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
    /// The first luma row of the region in the coded frame, and the vertical chroma subsampling there.
    top: usize,
    shift: u32,
}

/// Some rows of a plane of the target.
struct Task<'a> {
    plane: &'a PlaneScaler,
    source: &'a PlaneView<'a>,
    first: usize,
    target: &'a mut [u8],
}

impl Task<'_> {
    fn run(self) {
        self.plane.scale(self.source, self.first, self.target);
    }
}

/// Scales one plane.
#[derive(Clone, Debug)]
struct PlaneScaler {
    /// Size of the source's plane.
    source: (usize, usize),
    /// Size of the target's plane.
    target: (usize, usize),
    /// How target rows are made of source rows.
    rows: Axis,
    /// The two passes; none where the plane is copied.
    passes: Option<(Vertical, Horizontal)>,
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
        Self { planes, top: region.y, shift: region.format.chroma_shift().1 }
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
        let rows = 0..target.height();
        self.scale_rows(source, target, rows);
    }

    /// The same for some of the target's rows, given as rows of its luma plane. A chroma row belongs to the upper of
    /// its two luma rows. Other rows of the target stay as they are, and rows of the source that do not contribute
    /// are not read.
    ///
    /// # Panics
    /// As [`Self::scale`], and if there are no such rows.
    pub fn scale_rows(&self, source: &FrameView<'_>, target: &mut Frame, rows: Range<usize>) {
        self.tasks(source, target, rows, usize::MAX).into_iter().for_each(Task::run);
    }

    /// As [`Self::scale_rows`], by all threads of the rayon pool that the caller is in.
    ///
    /// # Panics
    /// As [`Self::scale_rows`].
    pub fn par_scale_rows(&self, source: &FrameView<'_>, target: &mut Frame, rows: Range<usize>) {
        self.tasks(source, target, rows, TASK_SAMPLES).into_par_iter().for_each(Task::run);
    }

    /// Cuts the work up into tasks of about so many samples of the target.
    fn tasks<'a>(
        &'a self,
        source: &'a FrameView<'a>,
        target: &'a mut Frame,
        rows: Range<usize>,
        task_samples: usize,
    ) -> Vec<Task<'a>> {
        assert_eq!(target.format(), PixelFormat::Yuv420);
        let mut tasks = Vec::new();
        for (pli, (plane, target)) in self.planes.iter().zip(&mut target.planes).enumerate() {
            let source = &source.planes[pli];
            let width = target.width();
            assert_eq!(plane.source, (source.width, source.height), "size of plane {pli} of the source");
            assert_eq!(plane.target, (width, target.height()), "size of plane {pli} of the target");
            let rows = if pli == 0 { rows.clone() } else { rows.start.div_ceil(2)..rows.end.div_ceil(2) };
            let task_rows = task_samples.div_ceil(width).min(target.height());
            let samples = &mut target.data_mut()[rows.start * width..rows.end * width];
            for (i, target) in samples.chunks_mut(task_rows * width).enumerate() {
                tasks.push(Task { plane, source, first: rows.start + i * task_rows, target });
            }
        }
        tasks
    }

    /// The target's rows, as [`Self::scale_rows`] takes them, that have to be scaled again where only some rows of
    /// the source have changed, given as luma rows of the region.
    ///
    /// Of a source that is known down to row `n` only, all rows of the target before the first that depends on rows
    /// from `n` on can be made.
    #[must_use]
    pub fn dependents(&self, source: Range<usize>) -> Range<usize> {
        if source.is_empty() {
            return 0..0;
        }
        let luma = self.planes[0].rows.dependents(&source);
        let first_row = self.top >> self.shift;
        let touched = ((self.top + source.start) >> self.shift) - first_row
            ..(self.top + source.end).div_ceil(1 << self.shift) - first_row;
        let chroma = self.planes[1].rows.dependents(&touched);
        // A row whose weights are all 0, as they may be far from the centre of a filter, has no dependents.
        match (luma.is_empty(), chroma.is_empty()) {
            (_, true) => luma,
            (true, false) => 2 * chroma.start..2 * chroma.end - 1,
            (false, false) => luma.start.min(2 * chroma.start)..luma.end.max(2 * chroma.end - 1),
        }
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
        let copies = columns.is_identity() && rows.is_identity();
        let passes =
            (!copies).then(|| (Vertical::new(&rows, level), Horizontal::new(&columns, source.0, level)));
        Self { source, target, rows, passes }
    }

    /// Makes the rows of `target`, of which the first is row `first` of the plane.
    fn scale(&self, source: &PlaneView<'_>, first: usize, target: &mut [u8]) {
        let width = self.target.0;
        let rows = target.chunks_exact_mut(width).zip(first..);
        match &self.passes {
            None => rows.for_each(|(target, y)| target.copy_from_slice(&source.row(y)[..width])),
            Some((vertical, horizontal)) => {
                let mut between = horizontal.source_row();
                for (target, y) in rows {
                    vertical.row(source.data, source.stride, y, &mut between[..source.width]);
                    horizontal.row(&between, target);
                }
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
                    let mut rows = 0..0;
                    while rows.end < height {
                        rows = rows.end..(rows.end + 1 + rows.end % 7).min(height);
                        let below = target.planes[0].data()[rows.end * width..].to_vec();
                        scaler.scale_rows(&source, &mut target, rows.clone());
                        assert_eq!(target.planes[0].data()[rows.end * width..], below, "rows below {rows:?}");
                    }
                    assert_eq!(target, expected, "{} in bands", level.name());
                }
            }
        }
    }

    /// Scaling the dependents of changed rows is as good as scaling all.
    #[test]
    fn changed_rows_change_their_dependents() {
        for format in FORMATS {
            for (y, height, target_height) in [(0, 100, 60), (3, 81, 161), (5, 90, 31), (4, 64, 64)] {
                let region = Region { format, x: 0, y, width: 20, height };
                let before = noise(format, 20, 120);
                let scaler = Scaler::new(&region, 10, target_height);
                let mut old = Frame::new(PixelFormat::Yuv420, 10, target_height);
                scaler.scale(&view(&before, &region), &mut old);
                for changed in [0..1, 7..8, 16..32, 33..50, height - 1..height, 0..height, 9..9] {
                    let mut after = before.clone();
                    for (pli, plane) in after.planes.iter_mut().enumerate() {
                        let shift = if pli == 0 { 0 } else { format.chroma_shift().1 };
                        let width = plane.width();
                        let rows = (y + changed.start) >> shift..(y + changed.end).div_ceil(1 << shift);
                        let rows = if changed.is_empty() { 0..0 } else { rows };
                        for sample in &mut plane.data_mut()[rows.start * width..rows.end * width] {
                            *sample = !*sample;
                        }
                    }
                    let mut expected = Frame::new(PixelFormat::Yuv420, 10, target_height);
                    scaler.scale(&view(&after, &region), &mut expected);
                    let mut target = old.clone();
                    let dependents = scaler.dependents(changed.clone());
                    scaler.scale_rows(&view(&after, &region), &mut target, dependents.clone());
                    assert_eq!(target, expected, "{region:?}, rows {changed:?}");
                    let most =
                        changed.len() * target_height / height + 12 * target_height.div_ceil(height) + 8;
                    assert!(dependents.len() <= most, "{dependents:?} of {target_height} for {changed:?}");
                }
            }
        }
    }

    #[test]
    #[should_panic(expected = "size of plane 1 of the source")]
    fn a_source_of_another_size_is_refused() {
        let region = Region { format: PixelFormat::Yuv444, x: 0, y: 0, width: 8, height: 8 };
        let source = Frame::new(PixelFormat::Yuv420, 8, 8);
        Scaler::new(&region, 4, 4).scale(&source.view(), &mut Frame::new(PixelFormat::Yuv420, 4, 4));
    }
}
