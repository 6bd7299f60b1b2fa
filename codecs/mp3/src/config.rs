//! Settings of an encoder, and what follows from the sampling rate alone.

use crate::error::ConfigError;
use crate::header::BlockType;
use crate::layout::Layout;
use crate::tables::{BITRATES, LINES, SAMPLE_RATES};

/// The most that the threshold in quiet counts as at prices of bits from 2^[`CHEAP`] to 2^[`DEAR`], as energy of a sine:
/// 10 dB SPL where full scale is at 96 dB.
const LARGEST_QUIET: f32 = 2.5e-9;
/// Binary logarithms of prices, and by how many octaves it grows for each octave outside.
const CHEAP: f32 = -5.8;
const DEAR: f32 = -4.5;
const QUIET_SLOPE: f32 = 2.0;

/// The most that the threshold in quiet counts as in long blocks, as energy of a sine, at a price of bits (a binary
/// logarithm). High frequencies get some bits below that threshold; but where bits are dear, fewer of them, and where they
/// are cheap, noise there need not fall with the price, as it does where it is heard.
pub(crate) fn largest_quiet(price: f32) -> f32 {
    let outside = (CHEAP - price).max(price - DEAR).max(0.0);
    LARGEST_QUIET * libm::exp2f(QUIET_SLOPE * outside)
}

/// What to encode. [`Encoder::new`](crate::Encoder::new) checks it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Config {
    /// Sampling rate in Hz, one of 8000, 11025, 12000 (MPEG-2.5), 16000, 22050, 24000 (MPEG-2), 32000, 44100 and
    /// 48000 (MPEG-1).
    pub sample_rate: u32,
    /// 1 (mono) or 2 (left and right).
    pub channels: usize,
    /// Constant bitrate in bit/s, one of the table for the sampling rate: 32000 to 320000 for MPEG-1, 8000 to 160000
    /// for MPEG-2 and MPEG-2.5 (11172-3 and 13818-3, 2.4.2.3).
    pub bitrate: u32,
}

impl Config {
    /// A constant bitrate: the legal one nearest to `bitrate` (bit/s).
    #[must_use]
    pub fn new(sample_rate: u32, channels: usize, bitrate: u32) -> Self {
        Self { sample_rate, channels, bitrate: Self::nearest_bitrate(sample_rate, bitrate) }
    }

    /// The sampling rate, in Hz, at which sound of `sample_rate` is best encoded with `bitrate` (bit/s): 32 kHz if it is
    /// higher and a channel gets no more than 48 kbit/s, or else its own. In the same time there are as many lines below
    /// 16 kHz, each of them narrower, so that tones take fewer bits.
    #[must_use]
    pub fn advised_sample_rate(sample_rate: u32, channels: usize, bitrate: u32) -> u32 {
        if bitrate as usize <= 48_000 * channels { sample_rate.min(32_000) } else { sample_rate }
    }

    /// The legal bitrate (bit/s) nearest to `wanted` at `sample_rate`, the higher one of two equally near ones. For
    /// an illegal sampling rate it is one of MPEG-1.
    #[must_use]
    pub fn nearest_bitrate(sample_rate: u32, wanted: u32) -> u32 {
        let row = SAMPLE_RATES.iter().position(|&rate| rate == sample_rate).unwrap_or(0);
        BITRATES[usize::from(row >= 3)][1..]
            .iter()
            .rev()
            .map(|kilobits| kilobits * 1000)
            .min_by_key(|&legal| legal.abs_diff(wanted))
            .unwrap_or(wanted)
    }
}

/// The MPEG version, of which the sampling rate decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Version {
    /// 32, 44.1 and 48 kHz.
    Mpeg1,
    /// 16, 22.05 and 24 kHz, low sampling frequencies.
    Mpeg2,
    /// 8, 11.025 and 12 kHz, an extension of MPEG-2 that no standard has.
    Mpeg25,
}

/// How many bits there are, which decides what they are best spent on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Supply {
    /// Less than 0.9 bits for a sample: 64 kbit/s at 44.1 kHz in stereo.
    Scarce,
    /// More: 64 kbit/s at 32 kHz, 96 at 44.1 kHz.
    Ample,
    /// What a high constant quality takes: no band takes bits from another.
    Unlimited,
}

impl Supply {
    /// The supply of a constant bitrate in bit/s.
    pub(crate) fn of_bitrate(format: &Format, bitrate: u32) -> Self {
        match f64::from(bitrate) / (f64::from(format.sample_rate) * format.channels as f64) {
            ..0.9 => Self::Scarce,
            _ => Self::Ample,
        }
    }
}

/// A checked configuration.
#[derive(Clone, Debug)]
pub(crate) struct Format {
    pub(crate) version: Version,
    pub(crate) sample_rate: u32,
    /// `sampling_frequency` of the header, 0 to 2.
    pub(crate) sampling_frequency: u32,
    pub(crate) channels: usize,
    /// Row of the sampling rate in the tables.
    pub(crate) row: usize,
    /// Scalefactor bands of long blocks.
    pub(crate) long: Layout,
    /// Scalefactor bands of short blocks.
    pub(crate) short: Layout,
}

impl Format {
    pub(crate) fn new(sample_rate: u32, channels: usize) -> Result<Self, ConfigError> {
        let row = SAMPLE_RATES
            .iter()
            .position(|&rate| rate == sample_rate)
            .ok_or(ConfigError::SampleRate(sample_rate))?;
        if !(1..=2).contains(&channels) {
            return Err(ConfigError::Channels(channels));
        }
        Ok(Self {
            version: [Version::Mpeg1, Version::Mpeg2, Version::Mpeg25][row / 3],
            sample_rate,
            sampling_frequency: (row % 3) as u32,
            channels,
            row,
            long: Layout::long(row),
            short: Layout::short(row),
        })
    }

    /// The bitrate in bit/s that an index from 1 to 14 stands for.
    pub(crate) fn bitrate(&self, index: u32) -> u32 {
        BITRATES[usize::from(self.version != Version::Mpeg1)][index as usize] * 1000
    }

    /// The index of a bitrate.
    pub(crate) fn bitrate_index(&self, bitrate: u32) -> Result<u32, ConfigError> {
        let sample_rate = self.sample_rate;
        (1..15).find(|&index| self.bitrate(index) == bitrate).ok_or_else(|| ConfigError::Bitrate {
            bitrate,
            sample_rate,
            nearest: Config::nearest_bitrate(sample_rate, bitrate),
        })
    }

    /// Scalefactor bands of a granule.
    pub(crate) fn layout(&self, block_type: BlockType) -> &Layout {
        if block_type == BlockType::Short { &self.short } else { &self.long }
    }

    /// Granules of a frame: two in MPEG-1, one otherwise.
    pub(crate) fn granules(&self) -> usize {
        if self.version == Version::Mpeg1 { 2 } else { 1 }
    }

    /// Samples of a frame in each channel.
    pub(crate) fn samples_per_frame(&self) -> usize {
        self.granules() * LINES
    }

    /// Bytes of the side information.
    pub(crate) fn side_info_len(&self) -> usize {
        match (self.version, self.channels) {
            (Version::Mpeg1, 2) => 32,
            (Version::Mpeg1, _) | (_, 2) => 17,
            _ => 9,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nearest_bitrates() {
        assert_eq!(Config::nearest_bitrate(44100, 128_000), 128_000);
        assert_eq!(Config::nearest_bitrate(44100, 1), 32_000);
        assert_eq!(Config::nearest_bitrate(48000, 1_000_000), 320_000);
        assert_eq!(Config::nearest_bitrate(22050, 1_000_000), 160_000);
        assert_eq!(Config::nearest_bitrate(8000, 0), 8000);
        assert_eq!(Config::nearest_bitrate(44100, 144_000), 160_000);
        assert_eq!(Config::nearest_bitrate(44100, 143_999), 128_000);
    }

    #[test]
    fn lower_sampling_rates_are_advised_where_bits_are_few() {
        for (sample_rate, channels, bitrate, expected) in [
            (44100, 2, 64_000, 32_000),
            (48000, 2, 96_000, 32_000),
            (44100, 2, 112_000, 44100),
            (44100, 1, 48_000, 32_000),
            (44100, 1, 56_000, 44100),
            (22050, 2, 64_000, 22050),
        ] {
            let advised = Config::advised_sample_rate(sample_rate, channels, bitrate);
            assert_eq!(advised, expected, "{sample_rate} {channels} {bitrate}");
        }
    }

    #[test]
    fn every_legal_configuration_is_taken() {
        for sample_rate in SAMPLE_RATES {
            for channels in 1..=2 {
                let format = Format::new(sample_rate, channels).unwrap();
                assert_eq!(format.samples_per_frame(), if sample_rate < 32000 { 576 } else { 1152 });
                for (index, kilobits) in (1..).zip(&BITRATES[usize::from(sample_rate < 32000)][1..]) {
                    assert_eq!(format.bitrate_index(kilobits * 1000), Ok(index));
                }
            }
        }
    }

    #[test]
    fn supplies_are_those_of_bits_for_a_sample() {
        let supply =
            |rate, channels, bitrate| Supply::of_bitrate(&Format::new(rate, channels).unwrap(), bitrate);
        for (channels, bitrate) in [(2, 1), (1, 2)].map(|(c, d)| (c, move |b: u32| b / d)) {
            assert_eq!(supply(44100, channels, bitrate(64_000)), Supply::Scarce);
            assert_eq!(supply(44100, channels, bitrate(96_000)), Supply::Ample);
            assert_eq!(supply(44100, channels, bitrate(320_000)), Supply::Ample);
            assert_eq!(supply(22050, channels, bitrate(32_000)), Supply::Scarce);
            assert_eq!(supply(22050, channels, bitrate(64_000)), Supply::Ample);
        }
    }

    #[test]
    fn threshold_in_quiet_is_lowered_most_at_usual_prices() {
        for price in [CHEAP, 0.5 * (CHEAP + DEAR), DEAR] {
            assert_eq!(largest_quiet(price), LARGEST_QUIET);
        }
        assert_eq!(largest_quiet(CHEAP - 2.0), 16.0 * LARGEST_QUIET);
        assert_eq!(largest_quiet(DEAR + 2.0), 16.0 * LARGEST_QUIET);
        assert_eq!(largest_quiet(f32::NEG_INFINITY), f32::INFINITY);
    }

    #[test]
    fn errors_name_the_value() {
        assert_eq!(Format::new(44000, 2).unwrap_err(), ConfigError::SampleRate(44000));
        assert_eq!(Format::new(44100, 3).unwrap_err(), ConfigError::Channels(3));
        let error = Format::new(22050, 2).unwrap().bitrate_index(320_000).unwrap_err();
        assert_eq!(error, ConfigError::Bitrate { bitrate: 320_000, sample_rate: 22050, nearest: 160_000 });
        assert!(error.to_string().contains("320000"));
    }
}
