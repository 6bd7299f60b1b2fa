//! Which part of a source's pictures goes where in pictures of the size that is wanted.

use crate::options::{Fit, MAX_PIXELS, Size};

/// Display aspects that differ by less than this are taken for the same.
const TOLERANCE: f64 = 0.01;

/// What is known of a source's pictures.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    /// Width in samples.
    pub(crate) width: usize,
    /// Height in samples.
    pub(crate) height: usize,
    /// Width of a sample over its height as two numbers; square if one of them is 0.
    pub(crate) pixel_aspect: (u32, u32),
}

/// A rectangle, in luma samples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rectangle {
    pub(crate) x: usize,
    pub(crate) y: usize,
    pub(crate) width: usize,
    pub(crate) height: usize,
}

/// Where pictures go.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Placement {
    /// The part of the source that is shown.
    pub(crate) source: Rectangle,
    /// Where it is shown, at even coordinates; what remains is black.
    pub(crate) target: Rectangle,
    /// Size of the output's pictures.
    pub(crate) size: (usize, usize),
}

impl Shape {
    /// Size when it is shown with square pixels: no side is shrunk.
    fn display(&self) -> (f64, f64) {
        let (width, height) = (self.width as f64, self.height as f64);
        match self.pixel_aspect {
            (0, _) | (_, 0) => (width, height),
            (x, y) if x > y => (width * f64::from(x) / f64::from(y), height),
            (x, y) => (width, height * f64::from(y) / f64::from(x)),
        }
    }

    /// Size of the output's pictures, before they are fitted in: at most 65535 a side, and [`MAX_PIXELS`].
    fn boundary(&self, size: Option<Size>, fit: Fit) -> (usize, usize) {
        let (width, height) = match fit {
            Fit::Stretch => (self.width as f64, self.height as f64),
            _ => self.display(),
        };
        let aspect = self.display().0 / self.display().1;
        let (width, height) = match size {
            None => (width, height),
            Some(Size::Sides(width, height)) => return (width.get().into(), height.get().into()),
            Some(Size::Width(width)) => (f64::from(width.get()), f64::from(width.get()) / aspect),
            Some(Size::Height(height)) => (f64::from(height.get()) * aspect, f64::from(height.get())),
            Some(Size::Percent(percent)) => {
                let factor = f64::from(percent.get()) / 100.0;
                (width * factor, height * factor)
            }
        };
        let excess = (width * height / f64::from(MAX_PIXELS)).sqrt().max(width.max(height) / 65535.0);
        let side = |exact: f64| match excess {
            _ if excess > 1.0 => 2 * (exact / excess / 2.0).max(1.0) as usize,
            _ if exact.fract() == 0.0 => exact as usize,
            _ => even(exact),
        };
        (side(width), side(height))
    }

    /// Fits pictures into pictures of `size`. A size that is fixed since pictures were put out is kept.
    pub(crate) fn place(&self, size: Option<Size>, fit: Fit, fixed: Option<(usize, usize)>) -> Placement {
        let (width, height) = fixed.unwrap_or_else(|| self.boundary(size, fit));
        let whole = Rectangle { x: 0, y: 0, width: self.width, height: self.height };
        let (display_width, display_height) = self.display();
        let factors = (width as f64 / display_width, height as f64 / display_height);
        let inner = |exact: f64, limit: usize| even(exact).min(limit);
        match fit {
            Fit::Stretch => Placement::new(whole, (width, height), (width, height)),
            Fit::Pad | Fit::Inside => {
                let factor = factors.0.min(factors.1);
                let inner = (inner(display_width * factor, width), inner(display_height * factor, height));
                let outer = if fit == Fit::Inside && fixed.is_none() { inner } else { (width, height) };
                Placement::new(whole, inner, outer)
            }
            Fit::Crop => {
                let factor = factors.0.max(factors.1);
                let part = |side: usize, share: f64| ((side as f64 * share).round() as usize).clamp(1, side);
                let (w, h) = (part(self.width, factors.0 / factor), part(self.height, factors.1 / factor));
                let part =
                    Rectangle { x: (self.width - w) / 2, y: (self.height - h) / 2, width: w, height: h };
                Placement::new(part, (width, height), (width, height))
            }
        }
    }

    /// By how much pictures of this shape are stretched in width (or, below 1, in height) where they fill others of
    /// square pixels; None where that does not show.
    pub(crate) fn stretch(&self, (width, height): (usize, usize)) -> Option<f64> {
        let (display_width, display_height) = self.display();
        let stretch = (width as f64 * display_height) / (height as f64 * display_width);
        (stretch.max(1.0 / stretch) > 1.0 + TOLERANCE).then_some(stretch)
    }
}

impl Placement {
    /// Shows `source` in the middle of pictures of `size`.
    fn new(source: Rectangle, (width, height): (usize, usize), size: (usize, usize)) -> Self {
        let middle = |outer: usize, inner: usize| ((outer - inner) / 2) & !1;
        let target = Rectangle { x: middle(size.0, width), y: middle(size.1, height), width, height };
        Self { source, target, size }
    }
}

/// The nearest even number that is not 0.
fn even(exact: f64) -> usize {
    2 * (exact / 2.0).round().max(1.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAL: Shape = Shape { width: 720, height: 576, pixel_aspect: (16, 15) };
    const SCREEN: Shape = Shape { width: 1600, height: 1000, pixel_aspect: (0, 0) };

    fn size(text: &str) -> Option<Size> {
        Some(text.parse().unwrap())
    }

    fn rectangle(x: usize, y: usize, width: usize, height: usize) -> Rectangle {
        Rectangle { x, y, width, height }
    }

    #[test]
    fn sizes() {
        let cases = [
            (SCREEN, None, Fit::Stretch, (1600, 1000)),
            (SCREEN, size("800x600"), Fit::Stretch, (800, 600)),
            (SCREEN, size("801x-1"), Fit::Stretch, (801, 500)),
            (SCREEN, size("-1x300"), Fit::Pad, (480, 300)),
            (SCREEN, size("50%"), Fit::Stretch, (800, 500)),
            (SCREEN, size("33%"), Fit::Stretch, (528, 330)),
            (SCREEN, size("800x600"), Fit::Inside, (800, 500)),
            (SCREEN, size("65535x-1"), Fit::Stretch, (5180, 3238)),
            (PAL, None, Fit::Stretch, (720, 576)),
            (PAL, None, Fit::Inside, (768, 576)),
            (PAL, size("384x-1"), Fit::Stretch, (384, 288)),
            (PAL, size("50%"), Fit::Crop, (384, 288)),
            (Shape { width: 321, height: 241, pixel_aspect: (1, 1) }, None, Fit::Stretch, (321, 241)),
            (Shape { width: 1, height: 1, pixel_aspect: (1, 1) }, size("1%"), Fit::Stretch, (2, 2)),
        ];
        for (shape, size, fit, expected) in cases {
            let placement = shape.place(size, fit, None);
            assert_eq!(placement.size, expected, "{shape:?} {size:?} {fit:?}");
            assert!(placement.size.0 * placement.size.1 <= MAX_PIXELS as usize);
        }
    }

    #[test]
    fn places() {
        let whole = rectangle(0, 0, 1600, 1000);
        let cases = [
            (Fit::Stretch, None, whole, rectangle(0, 0, 800, 600)),
            (Fit::Pad, None, whole, rectangle(0, 50, 800, 500)),
            (Fit::Inside, None, whole, rectangle(0, 0, 800, 500)),
            // A later part of the film has to keep the size.
            (Fit::Inside, Some((400, 600)), whole, rectangle(0, 174, 400, 250)),
            (Fit::Crop, None, rectangle(133, 0, 1333, 1000), rectangle(0, 0, 800, 600)),
        ];
        for (fit, fixed, source, target) in cases {
            let placement = SCREEN.place(size("800x600"), fit, fixed);
            assert_eq!((placement.source, placement.target), (source, target), "{fit:?}");
        }
        let narrow = PAL.place(size("300x576"), Fit::Crop, None);
        assert_eq!(narrow.source, rectangle(219, 0, 281, 576));
    }

    #[test]
    fn stretching_is_noticed() {
        assert_eq!(SCREEN.stretch((800, 500)), None);
        assert_eq!(SCREEN.stretch((801, 500)), None);
        assert!((SCREEN.stretch((800, 600)).unwrap() - 0.833).abs() < 0.001);
        assert!(PAL.stretch((720, 576)).is_some() && PAL.stretch((768, 576)).is_none());
    }
}
