//! The scaler: pictures of any format and region to 4:2:0 pictures of one size.
//!
//! In Theora and in H.263 alike a chroma sample of a subsampled direction sits in the middle between the luma
//! samples that share it (Theora specification, 4.4; H.263, 4.1), so in both a plane of half the resolution covers
//! the luma picture with coordinates that are half as large, and the planes are scaled one by one.

use fast_image_resize::images::{TypedCroppedImage, TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};
use oggflv_common::{Frame, FrameView, PixelFormat, Plane, PlaneView};
use rayon::prelude::*;

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

/// What a plane of the source contributes: a window in its samples, whose edges may lie within a sample.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Window {
    left: f64,
    top: f64,
    width: f64,
    height: f64,
}

/// Scales one plane.
struct PlaneScaler {
    window: Window,
    resizer: Resizer,
    /// Holds the source where it cannot be taken in place: without gaps, its last column and row repeated as far as
    /// the window reaches.
    packed: Vec<u8>,
}

/// Scales pictures of one [`Region`] to 4:2:0 pictures of one size by bicubic interpolation (Catmull-Rom), widened
/// to an antialiasing filter where the picture shrinks. A plane that keeps its size and place is copied.
pub struct Scaler {
    planes: [PlaneScaler; 3],
}

impl Scaler {
    /// A scaler from `region` to `width` x `height`, neither of them 0.
    #[must_use]
    pub fn new(region: &Region, width: usize, height: usize) -> Self {
        let planes = [0, 1, 2].map(|pli| PlaneScaler {
            window: Window::of_plane(region, pli, width, height),
            resizer: Resizer::new(),
            packed: Vec::new(),
        });
        Self { planes }
    }

    /// Scales `source` to all of `target`.
    ///
    /// Planes of `source` hold the samples that the region touches: from floor(x / 2) to ceil((x + width) / 2) in a
    /// subsampled direction.
    ///
    /// # Panics
    /// If a plane of `source` has not the size that the region asks for, or `target` is not 4:2:0.
    pub fn scale(&mut self, source: &FrameView<'_>, target: &mut Frame) {
        assert_eq!(target.format(), PixelFormat::Yuv420);
        self.planes
            .par_iter_mut()
            .zip(&source.planes)
            .zip(&mut target.planes)
            .for_each(|((plane, source), target)| plane.scale(source, target));
    }
}

impl Window {
    fn of_plane(region: &Region, pli: usize, width: usize, height: usize) -> Self {
        let (shift_x, shift_y) = if pli == 0 { (0, 0) } else { region.format.chroma_shift() };
        let target_shift = u32::from(pli != 0);
        let (left, width) = span(region.x, region.width, shift_x, width, target_shift);
        let (top, height) = span(region.y, region.height, shift_y, height, target_shift);
        Self { left, top, width, height }
    }
}

/// Start and length of a window along one axis, relative to the first sample that the region touches.
///
/// Where the target is odd and subsampled, its last sample covers half a sample beyond the picture, and the window
/// grows by what that is in the source.
fn span(offset: usize, length: usize, shift: u32, target: usize, target_shift: u32) -> (f64, f64) {
    let step = 1 << shift;
    let start = (offset % step) as f64 / step as f64;
    let covered = (target.div_ceil(1 << target_shift) << target_shift) as f64 / target as f64;
    (start, length as f64 / step as f64 * covered)
}

impl PlaneScaler {
    fn scale(&mut self, source: &PlaneView<'_>, target: &mut Plane) {
        let Window { left, top, width, height } = self.window;
        let whole = left == 0.0 && top == 0.0;
        if whole && (width, height) == (target.width() as f64, target.height() as f64) {
            let target_width = target.width();
            for (target, source) in target.data_mut().chunks_exact_mut(target_width).zip(source.rows()) {
                target.copy_from_slice(&source[..target_width]);
            }
            return;
        }
        let columns = source.width.max((left + width).ceil() as usize);
        let rows = source.height.max((top + height).ceil() as usize);
        let in_place = (columns, rows) == (source.width, source.height)
            && source.data.len() >= source.stride * source.height;
        let (samples, stride) = if in_place {
            (source.data, source.stride)
        } else {
            self.pack(source, columns, rows);
            (self.packed.as_slice(), columns)
        };
        let image =
            TypedImageRef::<U8>::from_buffer(stride as u32, rows as u32, samples).expect("whole rows");
        let image =
            TypedCroppedImage::new(image, 0, 0, columns as u32, rows as u32).expect("rows within the stride");
        let (target_width, target_height) = (target.width() as u32, target.height() as u32);
        let mut target = TypedImage::<U8>::from_buffer(target_width, target_height, target.data_mut())
            .expect("planes have no gaps");
        let options = ResizeOptions::new()
            .resize_alg(ResizeAlg::Convolution(FilterType::CatmullRom))
            .crop(left, top, width, height);
        self.resizer.resize_typed(&image, &mut target, &options).expect("the window lies in the plane");
    }

    fn pack(&mut self, source: &PlaneView<'_>, columns: usize, rows: usize) {
        self.packed.clear();
        for y in 0..rows {
            let row = source.row(y.min(source.height - 1));
            self.packed.extend_from_slice(row);
            self.packed.resize((y + 1) * columns, row[source.width - 1]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(
        format: PixelFormat,
        width: usize,
        height: usize,
        sample: impl Fn(usize, f64, f64) -> f64,
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
}
