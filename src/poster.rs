//! A picture of the film as a file of its own.

use std::io::{BufWriter, Write};
use std::path::Path;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder, ImageFormat, ImageResult};
use oggflv_common::{Frame, FrameView};

use crate::time::Time;

/// Quality of JPEG files, from 1 to 100.
const JPEG_QUALITY: u8 = 90;
/// A picture is blank if all but a twentieth of its luma samples at either end are closer together than this.
const BLANK_RANGE: usize = 16;

/// Looks for the picture.
#[derive(Debug)]
pub(crate) struct Search {
    /// The picture that stands then; without a time the first that is not blank.
    at: Option<Time>,
    found: bool,
}

impl Search {
    pub(crate) fn new(at: Option<Time>) -> Self {
        Self { at, found: false }
    }

    /// Whether a picture that appears at `time` is better than all before it.
    pub(crate) fn is_better(&mut self, frame: &Frame, time: Time, is_first: bool) -> bool {
        match self.at {
            _ if self.found => false,
            Some(at) => {
                self.found = time > at;
                !self.found || is_first
            }
            None => {
                self.found = !is_blank(frame);
                self.found || is_first
            }
        }
    }
}

fn is_blank(frame: &Frame) -> bool {
    let luma = frame.planes[0].data();
    let mut counts = [0_usize; 256];
    luma.iter().for_each(|&sample| counts[usize::from(sample)] += 1);
    let rank = |rank: usize| {
        let mut below = 0;
        counts.iter().position(|count| {
            below += count;
            below > rank
        })
    };
    let (low, high) = (rank(luma.len() / 20), rank(luma.len() - 1 - luma.len() / 20));
    low.zip(high).is_none_or(|(low, high)| high - low < BLANK_RANGE)
}

/// The format that a file name asks for: JPEG or PNG.
pub(crate) fn format(path: &Path) -> Option<ImageFormat> {
    ImageFormat::from_path(path).ok().filter(|format| matches!(format, ImageFormat::Jpeg | ImageFormat::Png))
}

/// A picture that is to be saved: rows of red, green and blue.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Picture {
    pub(crate) width: usize,
    pub(crate) height: usize,
    /// `3 * width * height` bytes.
    pub(crate) samples: Vec<u8>,
}

impl Picture {
    /// What a frame shows.
    pub(crate) fn of(frame: &Frame) -> Self {
        Self { width: frame.width(), height: frame.height(), samples: rgb(&frame.view()) }
    }

    /// Writes it as JPEG or PNG.
    pub(crate) fn write(&self, format: ImageFormat, out: impl Write) -> ImageResult<()> {
        let mut out = BufWriter::new(out);
        let (width, height) = (self.width as u32, self.height as u32);
        let colours = ExtendedColorType::Rgb8;
        match format {
            ImageFormat::Png => {
                PngEncoder::new(&mut out).write_image(&self.samples, width, height, colours)?
            }
            _ => JpegEncoder::new_with_quality(&mut out, JPEG_QUALITY).write_image(
                &self.samples,
                width,
                height,
                colours,
            )?,
        }
        Ok(out.flush()?)
    }
}

/// 4:2:0 of BT.601, luma from 16 to 235, to RGB.
fn rgb(frame: &FrameView<'_>) -> Vec<u8> {
    let [luma, cb, cr] = &frame.planes;
    let mut samples = Vec::with_capacity(3 * luma.width * luma.height);
    for (y, row) in luma.rows().enumerate() {
        let (cb, cr) = (cb.row(y / 2), cr.row(y / 2));
        for (x, &luma) in row.iter().enumerate() {
            // In units of 2^-16.
            let luma = 76_309 * (i32::from(luma) - 16) + (1 << 15);
            let (cb, cr) = (i32::from(cb[x / 2]) - 128, i32::from(cr[x / 2]) - 128);
            let channels = [luma + 104_597 * cr, luma - 25_675 * cb - 53_279 * cr, luma + 132_201 * cb];
            samples.extend(channels.map(|channel| (channel >> 16).clamp(0, 255) as u8));
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::PixelFormat;

    fn frame(luma: impl Fn(usize) -> u8) -> Frame {
        let mut frame = Frame::new(PixelFormat::Yuv420, 40, 30);
        frame.planes[0].data_mut().iter_mut().enumerate().for_each(|(i, sample)| *sample = luma(i));
        frame
    }

    #[test]
    fn the_first_picture_that_is_not_blank() {
        let (black, grey_noise, scene) =
            (frame(|_| 16), frame(|i| 100 + (i % 9) as u8), frame(|i| (i * 7 % 200) as u8));
        let mut search = Search::new(None);
        let mut better = |frame, is_first| search.is_better(frame, Time::ZERO, is_first);
        assert_eq!([better(&black, true), better(&grey_noise, false)], [true, false]);
        assert_eq!([better(&scene, false), better(&scene, false)], [true, false]);
    }

    #[test]
    fn the_picture_that_stands_at_a_time() {
        let black = frame(|_| 16);
        let mut search = Search::new(Some(Time::from_seconds(2)));
        let times = [0, 1500, 2000, 2040, 2080].map(Time::from_milliseconds);
        let better = times.map(|time| search.is_better(&black, time, time == Time::ZERO));
        assert_eq!(better, [true, true, true, false, false]);
        // Where the film begins later, its first one.
        assert!(Search::new(Some(Time::ZERO)).is_better(&black, Time::SECOND, true));
    }

    #[test]
    fn colours() {
        let mut frame = Frame::new(PixelFormat::Yuv420, 4, 2);
        frame.planes[0].data_mut().copy_from_slice(&[16, 235, 81, 81, 16, 235, 81, 81]);
        frame.planes[1].data_mut().copy_from_slice(&[128, 90]);
        frame.planes[2].data_mut().copy_from_slice(&[128, 240]);
        let row = [0, 0, 0, 255, 255, 255, 254, 0, 0, 254, 0, 0];
        assert_eq!(rgb(&frame.view()), [row, row].concat());
        for kind in [ImageFormat::Png, ImageFormat::Jpeg] {
            let mut file = Vec::new();
            Picture::of(&frame).write(kind, &mut file).unwrap();
            assert_eq!(image::guess_format(&file).unwrap(), kind);
            assert_eq!(image::load_from_memory(&file).unwrap().width(), 4);
        }
    }
}
