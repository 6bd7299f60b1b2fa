//! What a conversion can be told.

use std::fmt;
use std::num::{NonZeroU8, NonZeroU16};
use std::str::FromStr;

/// The settings of a conversion. The default keeps the picture size and takes both picture and sound.
#[derive(Clone, Debug)]
pub struct Options {
    /// Size of the pictures in the output; `None` keeps that of the source.
    pub size: Option<Size>,
    /// Quantiser of the pictures.
    pub quality: Quality,
    /// Bits per second of the sound; the nearest rate that MP3 has is taken.
    pub audio_bitrate: u32,
    /// Whether pictures are converted.
    pub video: bool,
    /// Whether sound is converted.
    pub audio: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { size: None, quality: Quality::default(), audio_bitrate: 128_000, video: true, audio: true }
    }
}

/// Pixels of a picture at most.
const MAX_PIXELS: u32 = 16 << 20;

/// A picture size, 1x1 up to 16 Mi pixels, no side longer than 65535.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Size {
    /// Width in samples.
    pub width: NonZeroU16,
    /// Height in samples.
    pub height: NonZeroU16,
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (width, height) = text
            .split_once(['x', 'X'])
            .ok_or_else(|| "a size is written WIDTHxHEIGHT, such as 800x600".to_owned())?;
        let side = |text: &str| {
            text.parse().map_err(|_| format!("'{text}' is not a number of pixels from 1 to 65535"))
        };
        let (width, height): (NonZeroU16, NonZeroU16) = (side(width)?, side(height)?);
        if u32::from(width.get()) * u32::from(height.get()) > MAX_PIXELS {
            return Err(format!("a picture has at most {MAX_PIXELS} pixels"));
        }
        Ok(Self { width, height })
    }
}

impl fmt::Display for Size {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.width, self.height)
    }
}

/// The quantiser of the pictures, 1 (best, largest) to 31 (worst, smallest).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Quality(NonZeroU8);

impl Quality {
    /// The quantiser.
    #[must_use]
    pub fn quantizer(self) -> u8 {
        self.0.get()
    }
}

impl Default for Quality {
    fn default() -> Self {
        Self(const { NonZeroU8::new(5).unwrap() })
    }
}

impl FromStr for Quality {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.parse::<NonZeroU8>() {
            Ok(quantizer) if quantizer.get() <= 31 => Ok(Self(quantizer)),
            _ => Err("the quality is a number from 1 (best) to 31 (smallest)".to_owned()),
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
        let size = "800x600".parse::<Size>().unwrap();
        assert_eq!((size.width.get(), size.height.get()), (800, 600));
        for wrong in ["", "800", "x", "0x600", "800x65536", "-1x5", "8 00x600", "800x600x2", "65535x65535"] {
            assert!(wrong.parse::<Size>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn qualities() {
        assert_eq!("31".parse::<Quality>().unwrap().quantizer(), 31);
        for wrong in ["0", "32", "", "five", "2.5"] {
            assert!(wrong.parse::<Quality>().is_err(), "{wrong}");
        }
    }
}
