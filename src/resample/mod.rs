//! Any channel count and sample rate to what an FLV file may carry.
//!
//! [`Downmix`] brings the channels to one or two, [`Resampler`] the rate to [`flv_rate`].

mod downmix;
mod kernels;
mod polyphase;

pub use downmix::Downmix;
pub use polyphase::Resampler;

use std::fmt;

/// The sample rate of the FLV for a source of `source` Hz: the lowest of 11025, 22050 and 44100 that is
/// not below it, 44100 at most.
pub fn flv_rate(source: u32) -> u32 {
    [11025, 22050].into_iter().find(|&rate| rate >= source).unwrap_or(44100)
}

/// Why a conversion was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// A sample rate out of range, in Hz.
    Rate {
        /// The rate.
        rate: u32,
        /// The highest rate; the lowest is 1.
        limit: u32,
    },
    /// The rates are too far apart.
    Ratio {
        /// Source rate in Hz.
        from: u32,
        /// Target rate in Hz.
        to: u32,
        /// How many times the target rate the source rate may be.
        limit: u32,
    },
    /// A channel count out of range.
    Channels {
        /// The count.
        channels: usize,
        /// The highest count; the lowest is 1.
        limit: usize,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rate { rate, limit } => write!(f, "sample rate {rate} Hz is not within 1..={limit}"),
            Self::Ratio { from, to, limit } => {
                write!(f, "sample rate {from} Hz is more than {limit} times {to} Hz")
            }
            Self::Channels { channels, limit } => write!(f, "{channels} channels are not within 1..={limit}"),
        }
    }
}

impl std::error::Error for Error {}

#[cfg(test)]
mod tests {
    use super::flv_rate;

    #[test]
    fn flv_rate_is_the_nearest_not_below() {
        for (source, expected) in [
            (1, 11025),
            (8000, 11025),
            (11025, 11025),
            (11026, 22050),
            (22050, 22050),
            (22051, 44100),
            (32000, 44100),
            (44100, 44100),
            (48000, 44100),
            (u32::MAX, 44100),
        ] {
            assert_eq!(flv_rate(source), expected, "{source}");
        }
    }
}
