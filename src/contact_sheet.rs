//! An overview of the film: small pictures in rows, with the times at which they appear.

use oggflv_common::{Frame, PixelFormat};

use crate::options::Grid;
use crate::poster::Picture;
use crate::scale::{Region, Scaler};
use crate::time::Time;

/// Width of a small picture at most.
const WIDTH: usize = 240;
/// Pixels between pictures and around them.
const GAP: usize = 4;
/// Small pictures that are kept for each that is shown.
const SURPLUS: usize = 8;
/// How often pictures are kept at first.
const FIRST_INTERVAL: Time = Time::from_milliseconds(100);
/// Grey of what is between the pictures.
const GROUND: u8 = 32;

/// Width and height of a digit, and how large its dots are.
const DIGIT: (usize, usize) = (5, 7);
const DOT: usize = 2;
/// The digits, and the colon, row by row, the leftmost dot in bit 4.
#[rustfmt::skip]
const DIGITS: [[u8; 7]; 11] = [
    [0b01110, 0b10001, 0b10001, 0b10001, 0b10001, 0b10001, 0b01110],
    [0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110],
    [0b01110, 0b10001, 0b00001, 0b00010, 0b00100, 0b01000, 0b11111],
    [0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110],
    [0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010],
    [0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110],
    [0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110],
    [0b11111, 0b00001, 0b00010, 0b00010, 0b00100, 0b00100, 0b00100],
    [0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110],
    [0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100],
    [0b00000, 0b00100, 0b00100, 0b00000, 0b00100, 0b00100, 0b00000],
];

/// Collects small pictures at even distances while it is not known how long the film is: when there are too many, every
/// second one goes, and further ones are kept half as often.
#[derive(Debug)]
pub(crate) struct Thumbnails {
    grid: Grid,
    interval: Time,
    /// When the next one is due.
    due: Time,
    /// Scales pictures of a size.
    scaler: Option<Scaler>,
    pictures: Vec<(Time, Frame)>,
}

impl Thumbnails {
    pub(crate) fn new(grid: Grid) -> Self {
        Self { grid, interval: FIRST_INTERVAL, due: Time::ZERO, scaler: None, pictures: Vec::new() }
    }

    /// Keeps a picture that appears at `time` if one is due. All have one size.
    pub(crate) fn take(&mut self, frame: &Frame, time: Time) {
        if time < self.due {
            return;
        }
        let (width, height) = (frame.width(), frame.height());
        let small = (width.min(WIDTH), (height * width.min(WIDTH)).div_ceil(width).max(1));
        let scaler = self.scaler.get_or_insert_with(|| {
            let region = Region { format: PixelFormat::Yuv420, x: 0, y: 0, width, height };
            Scaler::new(&region, small.0, small.1)
        });
        let mut thumbnail = Frame::new(PixelFormat::Yuv420, small.0, small.1);
        scaler.scale(&frame.view(), &mut thumbnail);
        self.pictures.push((time, thumbnail));
        if self.pictures.len() > SURPLUS * self.grid.columns * self.grid.rows {
            self.interval = self.interval + self.interval;
            let mut due = Time::ZERO;
            self.pictures.retain(|&(time, _)| {
                let is_due = time >= due;
                if is_due {
                    due = after(time, self.interval);
                }
                is_due
            });
        }
        self.due = after(time, self.interval);
    }

    /// The overview of a film that takes `duration` and begins at `start` in the source; `None` if there was no picture.
    pub(crate) fn sheet(&self, duration: Time, start: Time) -> Option<Picture> {
        let (_, first) = self.pictures.first()?;
        let (width, height) = (first.width(), first.height());
        let Grid { columns, rows } = self.grid;
        let mut sheet = blank(GAP + columns * (width + GAP), GAP + rows * (height + GAP));
        let cells = columns * rows;
        for cell in 0..cells {
            // The middle of its share of the film.
            let milliseconds = duration.milliseconds().max(0) * (2 * cell as i64 + 1) / (2 * cells as i64);
            let at = Time::from_units(milliseconds, 1000, 1);
            let after = self.pictures.partition_point(|&(time, _)| time <= at);
            let (time, picture) = &self.pictures[after.saturating_sub(1)];
            let (x, y) = (GAP + cell % columns * (width + GAP), GAP + cell / columns * (height + GAP));
            paste(&mut sheet, &Picture::of(picture), x, y);
            let label = label(&clock(*time + start));
            if label.width <= width && label.height <= height {
                paste(&mut sheet, &label, x, y + height - label.height);
            }
        }
        Some(sheet)
    }
}

/// The next multiple of `interval` behind `time`.
fn after(time: Time, interval: Time) -> Time {
    let (time, interval) = (time.milliseconds(), interval.milliseconds());
    Time::from_units((time.div_euclid(interval) + 1) * interval, 1000, 1)
}

/// Hours, minutes and seconds, in which the film is at `time`.
fn clock(time: Time) -> String {
    let seconds = time.milliseconds().max(0) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

fn blank(width: usize, height: usize) -> Picture {
    Picture { width, height, samples: vec![GROUND; 3 * width * height] }
}

/// White digits on grey.
fn label(text: &str) -> Picture {
    let step = DOT * (DIGIT.0 + 1);
    let mut label = blank(DOT + step * text.len() + DOT, DOT * (DIGIT.1 + 2));
    for (index, byte) in text.bytes().enumerate() {
        let glyph = if byte == b':' { 10 } else { usize::from(byte - b'0') };
        for (row, dots) in DIGITS[glyph].iter().enumerate() {
            for column in (0..DIGIT.0).filter(|column| dots >> (DIGIT.0 - 1 - column) & 1 != 0) {
                let (x, y) = (2 * DOT + index * step + column * DOT, DOT * (row + 1));
                for y in y..y + DOT {
                    label.samples[3 * (y * label.width + x)..][..3 * DOT].fill(255);
                }
            }
        }
    }
    label
}

/// Copies a picture to a place where it fits.
fn paste(sheet: &mut Picture, picture: &Picture, x: usize, y: usize) {
    for (row, samples) in picture.samples.chunks_exact(3 * picture.width).enumerate() {
        sheet.samples[3 * ((y + row) * sheet.width + x)..][..samples.len()].copy_from_slice(samples);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A picture of one grey.
    fn frame(luma: u8) -> Frame {
        let mut frame = Frame::new(PixelFormat::Yuv420, 320, 200);
        frame.planes[0].data_mut().fill(luma);
        frame.planes[1].data_mut().fill(128);
        frame.planes[2].data_mut().fill(128);
        frame
    }

    /// The middle of each cell, and where its picture stands.
    fn cells(sheet: &Picture, grid: Grid) -> Vec<u8> {
        let (width, height) = (240, 150);
        (0..grid.columns * grid.rows)
            .map(|cell| {
                let x = GAP + cell % grid.columns * (width + GAP) + width / 2;
                let y = GAP + cell / grid.columns * (height + GAP) + height / 2;
                sheet.samples[3 * (y * sheet.width + x)]
            })
            .collect()
    }

    #[test]
    fn pictures_are_spread_evenly_however_long_the_film_is() {
        let grid = Grid { columns: 3, rows: 2 };
        for pictures in [100, 1000, 20_000_i32] {
            let mut thumbnails = Thumbnails::new(grid);
            for picture in 0..pictures {
                // From 16 to 216.
                let luma = 16 + 200 * picture / pictures;
                if thumbnails.due <= Time::from_milliseconds(40 * picture) || picture % 1000 == 0 {
                    thumbnails.take(&frame(luma as u8), Time::from_milliseconds(40 * picture));
                }
                assert!(thumbnails.pictures.len() <= SURPLUS * 6);
            }
            let sheet = thumbnails.sheet(Time::from_milliseconds(40 * pictures), Time::ZERO).unwrap();
            assert_eq!((sheet.width, sheet.height), (4 + 3 * 244, 4 + 2 * 154));
            assert_eq!(sheet.samples.len(), 3 * sheet.width * sheet.height);
            for (cell, grey) in cells(&sheet, grid).into_iter().enumerate() {
                let expected = (2 * cell + 1) as f64 / 12.0 * 200.0 * 255.0 / 219.0;
                assert!((f64::from(grey) - expected).abs() < 12.0, "{pictures}, {cell}: {grey}, {expected}");
            }
        }
        assert_eq!(Thumbnails::new(grid).sheet(Time::SECOND, Time::ZERO), None);
    }

    #[test]
    fn a_picture_that_stands_fills_all_cells() {
        let mut thumbnails = Thumbnails::new(Grid { columns: 2, rows: 1 });
        thumbnails.take(&frame(100), Time::ZERO);
        let sheet = thumbnails.sheet(Time::from_seconds(100), Time::from_seconds(5)).unwrap();
        let cells = cells(&sheet, Grid { columns: 2, rows: 1 });
        assert_eq!(cells[0], cells[1]);
        // 0:05 in the lower left corner of both.
        let label = label("0:05");
        let row = 3 * ((GAP + 150 - label.height / 2) * sheet.width + GAP);
        let middle = 3 * (label.height - label.height / 2) * label.width;
        assert_eq!(sheet.samples[row..][..3 * label.width], label.samples[middle..][..3 * label.width]);
    }

    #[test]
    fn labels() {
        let times = [0, 59_999, 60_000, 3_600_000, 36_061_000].map(Time::from_milliseconds);
        assert_eq!(times.map(clock), ["0:00", "0:59", "1:00", "1:00:00", "10:01:01"]);
        let one = label("1");
        let row = |y: usize| -> String {
            let row = one.samples[3 * y * one.width..][..3 * one.width].chunks(3);
            row.map(|dot| if dot[0] == 255 { '#' } else { '.' }).collect()
        };
        assert_eq!((row(1), row(2)), ("................".into(), "........##......".into()));
        assert_eq!((row(4), row(15)), ("......####......".into(), "......######....".into()));
        // No two are alike.
        for (index, digit) in DIGITS.iter().enumerate() {
            assert!(!DIGITS[..index].contains(digit) && digit.iter().all(|row| row >> 5 == 0));
        }
    }
}
