//! What an encoder is made from.

use crate::error::{ConfigError, EncodeError};
use oggflv_common::{Frame, PixelFormat};

/// Settings of an [`Encoder`](crate::Encoder).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Width of the pictures in samples, 1 to 65535.
    pub width: usize,
    /// Height of the pictures in samples, 1 to 65535.
    pub height: usize,
    /// PQUANT of every picture, 1 (finest) to 31 (coarsest); the step of a coefficient is twice as large.
    pub quantizer: u8,
    /// Frames from one key frame to the next at most, 1 or more.
    pub keyint: u32,
}

/// How much time to spend on smaller pictures of the same quality.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Preset {
    /// Simple decisions.
    Fast,
    /// Most of what helps.
    #[default]
    Balanced,
    /// All that helps.
    Best,
}

impl std::str::FromStr for Preset {
    type Err = ConfigError;

    fn from_str(name: &str) -> Result<Self, ConfigError> {
        match name {
            "fast" => Ok(Self::Fast),
            "balanced" => Ok(Self::Balanced),
            "best" => Ok(Self::Best),
            _ => Err(ConfigError::Preset(name.to_owned())),
        }
    }
}

impl Config {
    /// Checks every field against its range.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let check = |name, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError::Range { name, value, least, most })
            }
        };
        check("width", self.width, 1, 65535)?;
        check("height", self.height, 1, 65535)?;
        check("quantizer", self.quantizer.into(), 1, 31)?;
        check("keyint", self.keyint as usize, 1, u32::MAX as usize)
    }

    /// Checks that a frame fits.
    pub(crate) fn check(&self, frame: &Frame) -> Result<(), EncodeError> {
        if frame.format() != PixelFormat::Yuv420 {
            return Err(EncodeError::Format(frame.format()));
        }
        let (frame, encoder) = ((frame.width(), frame.height()), (self.width, self.height));
        if frame != encoder {
            return Err(EncodeError::Size { frame, encoder });
        }
        Ok(())
    }
}
