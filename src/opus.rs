//! Opus (RFC 6716) as Ogg carries it (RFC 7845): packets to samples at 48 kHz.
//!
//! The arithmetic is the `opus-decoder` crate's; what its panics leave behind is replaced.

use std::fmt;

use opus_decoder::OpusDecoder;

use crate::guard::quietly;
use crate::vorbis::Pcm;

/// What granule positions count, whatever the input of the encoder had (RFC 7845, section 4).
pub const SAMPLE_RATE: u32 = 48_000;
/// Samples a channel in a packet at most: 120 ms (RFC 6716, section 3.2.5).
const MAX_SAMPLES: usize = 5760;

/// Why a stream cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The identification header ends too early, or is none.
    NotHeader,
    /// A field has a value that RFC 7845 does not define, or that nothing is known of.
    Invalid {
        /// The field's name.
        field: &'static str,
        /// Its value.
        value: u8,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHeader => write!(f, "not an Opus identification header"),
            Self::Invalid { field, value } => write!(f, "Opus header has {field} {value}"),
        }
    }
}

impl std::error::Error for Error {}

/// The identification header (RFC 7845, section 5.1).
#[derive(Clone, Debug)]
struct Header {
    channels: u8,
    /// Samples at the start that are not to be heard.
    pre_skip: u16,
    /// What samples are multiplied by.
    gain: f32,
}

impl Header {
    fn parse(packet: &[u8]) -> Result<Self, Error> {
        let rest = packet.strip_prefix(b"OpusHead").ok_or(Error::NotHeader)?;
        let (fixed, table) = rest.split_first_chunk::<11>().ok_or(Error::NotHeader)?;
        let [version, channels, skip0, skip1, _, _, _, _, gain0, gain1, family] = *fixed;
        if version >> 4 != 0 {
            return Err(Error::Invalid { field: "version", value: version });
        }
        if !(1..=2).contains(&channels) {
            return Err(Error::Invalid { field: "channel count", value: channels });
        }
        // Another family may say the same in other words: one stream of just these channels.
        let simple = [1, channels - 1, 0, 1];
        match (family, table) {
            (0, _) => {}
            (1 | 255, table) if table.starts_with(&simple[..2 + usize::from(channels)]) => {}
            _ => return Err(Error::Invalid { field: "channel mapping family", value: family }),
        }
        // Q7.8 in decibels.
        let decibels = f64::from(i16::from_le_bytes([gain0, gain1])) / 256.0;
        Ok(Self {
            channels,
            pre_skip: u16::from_le_bytes([skip0, skip1]),
            gain: libm::pow(10.0, decibels / 20.0) as f32,
        })
    }

    fn decoder(&self) -> OpusDecoder {
        OpusDecoder::new(SAMPLE_RATE, self.channels.into()).expect("48 kHz, one or two channels")
    }
}

/// A decoder of one Opus stream, safe on any input.
///
/// What it computes passes through the platform's sine, cosine and power before it is rounded to 16 bits, so in rare cases
/// the last bit of a sample may depend on the C library that a build is linked to.
pub struct Decoder {
    header: Header,
    inner: OpusDecoder,
}

impl Decoder {
    /// Makes a decoder from the identification header.
    ///
    /// # Errors
    /// If the header is malformed, or has more than two channels.
    pub fn new(identification: &[u8]) -> Result<Self, Error> {
        let header = Header::parse(identification)?;
        let inner = header.decoder();
        Ok(Self { header, inner })
    }

    /// Number of channels, 1 or 2.
    pub fn channels(&self) -> usize {
        self.header.channels.into()
    }

    /// Samples a channel at the start of the stream that are not to be heard, though granule positions count them.
    pub fn pre_skip(&self) -> usize {
        self.header.pre_skip.into()
    }

    /// Decodes a packet: at most 5760 samples a channel, none if it cannot be decoded. Full scale is 1.
    pub fn decode(&mut self, packet: &[u8]) -> Pcm {
        // To the decoder an empty packet is a lost one.
        if packet.is_empty() {
            return Pcm::new();
        }
        let channels = self.channels();
        let mut interleaved = vec![0.0; MAX_SAMPLES * channels];
        let inner = &mut self.inner;
        let samples = match quietly(|| inner.decode_float(packet, &mut interleaved, false)) {
            Some(Ok(samples)) => samples.min(MAX_SAMPLES),
            Some(Err(_)) => return Pcm::new(),
            None => {
                self.reset();
                return Pcm::new();
            }
        };
        let gain = self.header.gain;
        let channel = |channel| {
            interleaved[..samples * channels]
                .iter()
                .skip(channel)
                .step_by(channels)
                .map(|sample| sample * gain)
                .collect()
        };
        (0..channels).map(channel).collect()
    }

    /// Forgets all packets so far.
    pub fn reset(&mut self) {
        self.inner = self.header.decoder();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEREO: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

    #[test]
    fn headers() {
        let header = Header::parse(STEREO).unwrap();
        assert_eq!((header.channels, header.pre_skip, header.gain), (2, 312, 1.0));
        let quiet = [&STEREO[..16], &(-6 * 256_i16).to_le_bytes(), &[0]].concat();
        assert!((Header::parse(&quiet).unwrap().gain - 0.501).abs() < 0.001);
        let other_words = [&STEREO[..18], &[255, 1, 1, 0, 1]].concat();
        assert_eq!(Decoder::new(&other_words).map(|decoder| decoder.channels()).ok(), Some(2));
    }

    #[test]
    fn wrong_headers_are_refused() {
        let changed = |at: usize, value: u8| {
            let mut header = STEREO.to_vec();
            header[at] = value;
            Decoder::new(&header).err()
        };
        assert_eq!(changed(0, b'o'), Some(Error::NotHeader));
        assert_eq!(changed(8, 0x10), Some(Error::Invalid { field: "version", value: 0x10 }));
        assert_eq!(changed(9, 0), Some(Error::Invalid { field: "channel count", value: 0 }));
        assert_eq!(changed(9, 3), Some(Error::Invalid { field: "channel count", value: 3 }));
        for family in [1, 2, 255] {
            let expected = Error::Invalid { field: "channel mapping family", value: family };
            assert_eq!(changed(18, family), Some(expected), "without a table");
        }
        for len in 0..STEREO.len() {
            assert_eq!(Decoder::new(&STEREO[..len]).err(), Some(Error::NotHeader), "{len} bytes");
        }
    }
}
