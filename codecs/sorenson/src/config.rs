//! What an encoder is made from.

use crate::error::ConfigError;

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

impl Config {
    /// Checks every field against its range.
    pub(crate) fn validate(&self) -> Result<(), ConfigError> {
        let check = |name, value: usize, least: usize, most: usize| {
            if (least..=most).contains(&value) {
                Ok(())
            } else {
                Err(ConfigError { name, value, least, most })
            }
        };
        check("width", self.width, 1, 65535)?;
        check("height", self.height, 1, 65535)?;
        check("quantizer", self.quantizer.into(), 1, 31)?;
        check("keyint", self.keyint as usize, 1, u32::MAX as usize)
    }
}
