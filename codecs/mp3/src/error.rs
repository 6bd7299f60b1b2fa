//! What can be wrong with a configuration.

use std::fmt;

/// Why a [`Config`](crate::Config) cannot be encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// `sample_rate` is none of the nine of MPEG-1, MPEG-2 and MPEG-2.5.
    SampleRate(u32),
    /// `channels` is neither 1 nor 2.
    Channels(usize),
    /// `bitrate` is no entry of the table that goes with the sampling rate.
    Bitrate {
        /// The bitrate asked for, bit/s.
        bitrate: u32,
        /// The sampling rate it was asked for, Hz.
        sample_rate: u32,
        /// The nearest legal bitrate, bit/s.
        nearest: u32,
    },
    /// The quality of a variable bitrate is none from 0 to 9.
    Quality(u8),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::SampleRate(rate) => write!(
                f,
                "sample_rate {rate} Hz: Layer III has 8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100 and 48000 Hz"
            ),
            Self::Channels(channels) => write!(f, "channels {channels}: Layer III has 1 or 2"),
            Self::Bitrate { bitrate, sample_rate, nearest } => {
                write!(
                    f,
                    "bitrate {bitrate} bit/s is none of those at {sample_rate} Hz; the nearest is {nearest} bit/s"
                )
            }
            Self::Quality(quality) => write!(f, "quality {quality}: variable bitrates have 0 (best) to 9"),
        }
    }
}

impl std::error::Error for ConfigError {}
