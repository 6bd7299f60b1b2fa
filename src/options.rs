//! What a conversion can be told.

use std::fmt;
use std::num::{NonZeroU16, NonZeroU32, NonZeroU64, NonZeroUsize};
use std::path::PathBuf;
use std::str::FromStr;

use oggflv_sorenson::{MAX_QUALITY, RateControl, quantizer_for_quality};

pub use oggflv_sorenson::Preset;

pub use crate::scale::Filter;

use crate::time::Time;

/// The settings of a conversion. The default keeps the picture size and takes both picture and sound.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of the pictures in the output; `None` keeps that of the source.
    pub size: Option<Size>,
    /// Pictures per second at most; what is more is dropped.
    pub frame_rate_limit: Option<FrameRate>,
    /// What becomes of pictures that have another shape.
    pub fit: Fit,
    /// How pictures are scaled.
    pub filter: Filter,
    /// How many bits the pictures get.
    pub video_rate: VideoRate,
    /// What the output's line can carry; `None` for no limit.
    pub line: Option<Line>,
    /// How much time is spent on smaller pictures of the same quality.
    pub preset: Preset,
    /// Time from one key frame to the next at most: how exactly a player can seek.
    pub keyframe_interval: Time,
    /// How many bits the sound gets.
    pub audio_rate: AudioRate,
    /// Whether pictures are converted.
    pub video: bool,
    /// Whether sound is converted.
    pub audio: bool,
    /// Sample rate of the sound: 11025, 22050 or 44100 Hz; `None` for the nearest that is not below the source's.
    pub sample_rate: Option<u32>,
    /// Whether the sound gets a single channel.
    pub mono: bool,
    /// What samples of the sound are multiplied by.
    pub volume: f32,
    /// An MP3 file whose frames are copied in place of the source's sound, from the first picture on.
    pub audio_file: Option<PathBuf>,
    /// Where the output begins in the source; what lies before is left out.
    pub start: Time,
    /// Where the output ends in the source.
    pub end: Time,
    /// Whether a picture is to be saved beside the film.
    pub poster: Option<Poster>,
    /// Whether an overview of the film is to be saved beside it.
    pub contact_sheet: Option<ContactSheet>,
    /// Which video stream of each link is converted, counted from 1; `None` for the first that can be.
    pub video_stream: Option<NonZeroUsize>,
    /// Which audio stream of each link is converted, counted from 1; `None` for the first that can be.
    pub audio_stream: Option<NonZeroUsize>,
    /// Pixels of the source's pictures at most, those outside of the picture region included.
    pub max_pixels: u64,
    /// Whether damage of the input is an error.
    pub strict: bool,
    /// Names and texts for the output's metadata, besides the comments of the source; an empty text leaves the comment of
    /// that name out.
    pub metadata: Vec<(String, String)>,
    /// Whether the report is to tell how far the coded pictures are from those that were encoded.
    pub psnr: bool,
    /// Threads that encode pictures, a third as many decode them. With 1, one thread does both. The output does not
    /// depend on it.
    pub threads: NonZeroUsize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            size: None,
            frame_rate_limit: None,
            fit: Fit::default(),
            filter: Filter::default(),
            video_rate: VideoRate::default(),
            line: None,
            preset: Preset::default(),
            keyframe_interval: Time::from_seconds(10),
            audio_rate: AudioRate::default(),
            video: true,
            audio: true,
            sample_rate: None,
            mono: false,
            volume: 1.0,
            audio_file: None,
            start: Time::ZERO,
            end: Time::MAX,
            poster: None,
            contact_sheet: None,
            video_stream: None,
            audio_stream: None,
            max_pixels: MAX_PIXELS.into(),
            strict: false,
            metadata: Vec::new(),
            psnr: false,
            threads: std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN),
        }
    }
}

/// Bytes that the pictures may have that a stage works on at once, except that there is always one. It takes several times as
/// much for what belongs to them.
const BYTES_IN_WORK: usize = 40 << 20;

/// Fewer pictures if they are so large that their number is not what counts.
fn at_most(pictures: NonZeroUsize, picture_bytes: usize) -> NonZeroUsize {
    NonZeroUsize::new(BYTES_IN_WORK / picture_bytes.max(1))
        .map_or(NonZeroUsize::MIN, |most| pictures.min(most))
}

impl Options {
    /// Threads that decode pictures of some bytes each. A second one is busy where the encoder has nothing to do.
    pub(crate) fn decoder_threads(&self, picture_bytes: usize) -> NonZeroUsize {
        let threads = (self.threads.get() / 3).max(2);
        let threads = NonZeroUsize::new(threads).map_or(self.threads, |threads| threads.min(self.threads));
        at_most(threads, picture_bytes)
    }

    /// Whether more than one thread scales a picture.
    pub(crate) fn scales_parallel(&self) -> bool {
        self.threads.get() >= 6
    }

    /// Pictures of some bytes each that are encoded at a time. Each waits for rows of the one before now and then, so there
    /// are more of them than threads that can be busy.
    pub(crate) fn pictures_in_work(&self, picture_bytes: usize) -> NonZeroUsize {
        let pictures = if self.threads.get() == 1 { self.threads } else { self.threads.saturating_add(2) };
        at_most(pictures, picture_bytes)
    }

    /// How long the output becomes at most.
    pub(crate) fn longest(&self) -> Time {
        if self.end == Time::MAX { Time::MAX } else { self.end - self.start }
    }

    /// Keeps a rate within what the line can carry.
    pub(crate) fn within_line(&self, rate: RateControl) -> RateControl {
        match self.line {
            Some(line) => rate.bounded(line.bits_per_second.get(), line.buffer_bits.get()),
            None => rate,
        }
    }
}

/// How many bits the pictures get.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VideoRate {
    /// As many as a constant quality takes.
    Quality(Quality),
    /// So many a second on average.
    Average(NonZeroU32),
    /// As many as make the whole file so many bytes large, in two passes over the input.
    FileSize(NonZeroU64),
}

impl Default for VideoRate {
    fn default() -> Self {
        Self::Quality(Quality::default())
    }
}

/// How many bits the sound gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AudioRate {
    /// So many a second in every frame; the nearest rate that MP3 has is taken.
    Constant(u32),
    /// As many as a quality takes, from 0 (best) to 9 (smallest).
    Quality(u8),
}

impl Default for AudioRate {
    fn default() -> Self {
        Self::Constant(128_000)
    }
}

/// A line and the buffer of a player at its end: pictures are never late if it starts with a full buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Line {
    /// What the line carries of pictures.
    pub bits_per_second: NonZeroU32,
    /// What the player holds of pictures.
    pub buffer_bits: NonZeroU32,
}

/// A picture of the film that is saved as a file of its own, as large as those of the film.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Poster {
    /// The file, whose name ends with .jpg, .jpeg or .png. One that exists is replaced only where the film would be, too.
    pub path: PathBuf,
    /// When the picture stands in the source; `None` for the first one that is not blank.
    pub at: Option<Time>,
}

/// Small pictures of the film in rows, with the times at which they appear, as a file of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ContactSheet {
    /// The file, named as that of a [`Poster`].
    pub path: PathBuf,
    /// How many pictures there are.
    pub grid: Grid,
}

/// Columns and rows, 1x1 to 20x20.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grid {
    /// Pictures in a row.
    pub(crate) columns: usize,
    /// Pictures in a column.
    pub(crate) rows: usize,
}

impl Default for Grid {
    fn default() -> Self {
        Self { columns: 4, rows: 4 }
    }
}

impl FromStr for Grid {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let side = |text: &str| text.parse().ok().filter(|side| (1..=20).contains(side));
        let sides = text.split_once('x').and_then(|(columns, rows)| side(columns).zip(side(rows)));
        sides
            .map(|(columns, rows)| Self { columns, rows })
            .ok_or_else(|| "columns and rows from 1x1 to 20x20, such as 4x3".to_owned())
    }
}

impl fmt::Display for Grid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.columns, self.rows)
    }
}

/// Pictures per second, from 0.001 to 1000, with a numerator up to a million.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameRate {
    /// So many pictures
    pub(crate) numerator: u32,
    /// in so many seconds.
    pub(crate) denominator: u32,
}

impl FromStr for FrameRate {
    type Err = String;

    /// A number with up to three decimals, or a fraction such as 30000/1001.
    fn from_str(text: &str) -> Result<Self, String> {
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let fraction = match text.split_once('/') {
            Some((numerator, denominator)) if digits(numerator) && digits(denominator) => {
                numerator.parse().ok().zip(denominator.parse().ok())
            }
            Some(_) => None,
            None => {
                let (whole, decimals) = text.split_once('.').unwrap_or((text, "0"));
                let plain = digits(whole) && digits(decimals) && decimals.len() <= 3;
                let thousandths =
                    plain.then(|| format!("{whole}{decimals:0<3}").parse::<u32>().ok()).flatten();
                thousandths.zip(Some(1000))
            }
        };
        let is_rate = |&(numerator, denominator): &(u32, u32)| {
            let (numerator, denominator) = (u64::from(numerator), u64::from(denominator));
            denominator > 0
                && numerator <= 1_000_000
                && numerator * 1000 >= denominator
                && numerator <= 1000 * denominator
        };
        fraction
            .filter(is_rate)
            .map(|(numerator, denominator)| Self { numerator, denominator })
            .ok_or_else(|| "pictures per second such as 25, 12.5 or 30000/1001".to_owned())
    }
}

/// Pixels of a picture at most.
pub(crate) const MAX_PIXELS: u32 = 16 << 20;

/// A picture size, 1x1 up to 16 Mi pixels, no side longer than 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// Width and height in samples.
    Sides(NonZeroU16, NonZeroU16),
    /// A width; the height follows from the display aspect of the source.
    Width(NonZeroU16),
    /// A height; the width follows from the display aspect of the source.
    Height(NonZeroU16),
    /// Both sides as a share of the source's, in per cent, up to 1000.
    Percent(NonZeroU16),
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(percent) = text.strip_suffix('%') {
            let percent = percent.parse().ok().filter(|percent: &NonZeroU16| percent.get() <= 1000);
            return percent
                .map(Self::Percent)
                .ok_or_else(|| "a share of the size is from 1% to 1000%".to_owned());
        }
        let (width, height) = text
            .split_once(['x', 'X'])
            .ok_or_else(|| "a size is written WIDTHxHEIGHT, such as 800x600, 800x-1, or 50%".to_owned())?;
        let side = |text: &str| {
            text.parse().map_err(|_| format!("'{text}' is not a number of pixels from 1 to 65535"))
        };
        match (width, height) {
            ("-1", height) => Ok(Self::Height(side(height)?)),
            (width, "-1") => Ok(Self::Width(side(width)?)),
            (width, height) => {
                let (width, height): (NonZeroU16, NonZeroU16) = (side(width)?, side(height)?);
                if u32::from(width.get()) * u32::from(height.get()) > MAX_PIXELS {
                    return Err(format!("a picture has at most {MAX_PIXELS} pixels"));
                }
                Ok(Self::Sides(width, height))
            }
        }
    }
}

/// What becomes of pictures whose shape is not that of the size that is wanted. All but the first honour the pixel aspect
/// of the source; those of the output are square.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Fit {
    /// They are stretched.
    #[default]
    Stretch,
    /// They get black bars.
    Pad,
    /// What does not fit is cut off, half of it at each side.
    Crop,
    /// The output is smaller than wanted in one direction.
    Inside,
}

impl FromStr for Fit {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "stretch" => Ok(Self::Stretch),
            "pad" => Ok(Self::Pad),
            "crop" => Ok(Self::Crop),
            "inside" => Ok(Self::Inside),
            _ => Err("one of stretch, pad, crop, inside".to_owned()),
        }
    }
}

impl fmt::Display for Fit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Stretch => "stretch",
            Self::Pad => "pad",
            Self::Crop => "crop",
            Self::Inside => "inside",
        })
    }
}

/// The quality of the pictures, from 0 (smallest) to 100 (best). Twenty more take about twice the bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality(u8);

impl Quality {
    /// The rate control that keeps it.
    pub(crate) fn rate_control(self) -> RateControl {
        RateControl::constant(quantizer_for_quality(self.0))
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self(50)
    }
}

impl FromStr for Quality {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse() {
            Ok(quality) if quality <= MAX_QUALITY => Ok(Self(quality)),
            _ => Err(format!("the quality is a number from 0 (smallest) to {MAX_QUALITY} (best)")),
        }
    }
}

impl fmt::Display for Quality {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes() {
        let side = |side: u16| NonZeroU16::new(side).unwrap();
        assert_eq!("800x600".parse(), Ok(Size::Sides(side(800), side(600))));
        assert_eq!("800x-1".parse(), Ok(Size::Width(side(800))));
        assert_eq!("-1X600".parse(), Ok(Size::Height(side(600))));
        assert_eq!("50%".parse(), Ok(Size::Percent(side(50))));
        for wrong in [
            "",
            "800",
            "x",
            "0x600",
            "800x65536",
            "-1x-1",
            "-2x5",
            "8 00x600",
            "800x600x2",
            "65535x65535",
            "%",
            "0%",
            "-5%",
            "1001%",
            "12.5%",
        ] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn frame_rates_and_grids() {
        for (text, numerator, denominator) in
            [("25", 25_000, 1000), ("12.5", 12_500, 1000), ("30000/1001", 30_000, 1001), ("0.001", 1, 1000)]
        {
            assert_eq!(text.parse(), Ok(FrameRate { numerator, denominator }), "{text}");
        }
        for wrong in ["", "0", "1001", "-5", "1/0", "5/", "1e3", "23.9761", ".5", "5000000000", "1/2000"] {
            assert!(wrong.parse::<FrameRate>().is_err(), "{wrong}");
        }
        assert_eq!("5x3".parse(), Ok(Grid { columns: 5, rows: 3 }));
        for wrong in ["", "5", "0x3", "21x1", "3x", "-1x2"] {
            assert!(wrong.parse::<Grid>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn fits() {
        for fit in [Fit::Stretch, Fit::Pad, Fit::Crop, Fit::Inside] {
            assert_eq!(fit.to_string().parse(), Ok(fit));
        }
        assert!("Pad".parse::<Fit>().is_err());
    }

    #[test]
    fn qualities() {
        assert_eq!("100".parse::<Quality>().unwrap(), Quality(100));
        for wrong in ["101", "", "five", "2.5", "-1"] {
            assert!(wrong.parse::<Quality>().is_err(), "{wrong}");
        }
    }
}
