//! FLAC (RFC 9639) as Ogg carries it (section 10.1): packets to samples.
//!
//! The arithmetic is Symphonia's.

use std::fmt;

use symphonia_bundle_flac::FlacDecoder;
use symphonia_core::codecs::audio::well_known::CODEC_ID_FLAC;
use symphonia_core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia_core::packet::PacketRef;
use symphonia_core::units::{Duration, Timestamp};

use crate::guard::quietly;
use crate::vorbis::{MAX_CHANNELS, MAX_SAMPLE_RATE, MIN_SAMPLE_RATE, Pcm};

/// Where the streaminfo metadata block starts in the first packet: behind the mapping's own fields, `fLaC` and the header
/// of the block (RFC 9639, section 10.1).
const STREAMINFO: usize = 9 + 4 + 4;
/// Its size (section 8.2).
const STREAMINFO_LEN: usize = 34;

/// Why a stream cannot be decoded.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The first packet ends too early, or is no FLAC header.
    NotHeader,
    /// A field has a value out of range.
    Invalid {
        /// The field's name.
        field: &'static str,
        /// Its value.
        value: u32,
    },
    /// The decoder behind this module refused the header, for this reason.
    Header(String),
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHeader => write!(f, "not a FLAC header"),
            Self::Invalid { field, value } => write!(f, "FLAC header has {field} {value}"),
            Self::Header(reason) => write!(f, "FLAC header: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

/// A decoder of one FLAC stream, safe on any input.
pub struct Decoder {
    sample_rate: u32,
    channels: usize,
    inner: FlacDecoder,
}

impl Decoder {
    /// Makes a decoder from the first packet.
    ///
    /// # Errors
    /// If it is malformed, or asks for a sample rate out of the range of the Vorbis decoder.
    pub fn new(first: &[u8]) -> Result<Self, Error> {
        if !first.starts_with(b"\x7fFLAC") {
            return Err(Error::NotHeader);
        }
        let streaminfo = first.get(STREAMINFO..STREAMINFO + STREAMINFO_LEN).ok_or(Error::NotHeader)?;
        // 20 bits, then 3 (section 8.2).
        let bits = u32::from_be_bytes([streaminfo[10], streaminfo[11], streaminfo[12], streaminfo[13]]);
        let sample_rate = bits >> 12;
        if !(MIN_SAMPLE_RATE..=MAX_SAMPLE_RATE).contains(&sample_rate) {
            return Err(Error::Invalid { field: "sample rate", value: sample_rate });
        }
        let channels = (bits >> 9 & 7) as usize + 1;
        debug_assert!(channels <= MAX_CHANNELS);
        let mut parameters = AudioCodecParameters::new();
        parameters.for_codec(CODEC_ID_FLAC).with_extra_data(streaminfo.into());
        let options = AudioDecoderOptions::default().verify(false);
        let inner = quietly(|| FlacDecoder::try_new(&parameters, &options));
        let inner = inner.ok_or_else(|| Error::Header("it cannot be parsed".to_owned()))?;
        let inner = inner.map_err(|error| Error::Header(error.to_string()))?;
        Ok(Self { sample_rate, channels, inner })
    }

    /// Samples per second and channel, 1000..=768000.
    pub fn sample_rate(&self) -> u32 {
        self.sample_rate
    }

    /// Number of channels, 1..=8.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Decodes a packet: at most 65535 samples a channel, none if it cannot be decoded. Full scale is 1. For the order
    /// of the channels, which is FLAC's, see [`Pcm`].
    pub fn decode(&mut self, packet: &[u8]) -> Pcm {
        let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(0), packet);
        let (inner, mut pcm) = (&mut self.inner, Pcm::new());
        let decoded =
            quietly(|| inner.decode_ref(&packet).map(|samples| samples.copy_to_vecs_planar(&mut pcm)));
        // The frame's own header may contradict the stream's.
        let whole = matches!(decoded, Some(Ok(()))) && pcm.len() == self.channels;
        if whole { pcm } else { Pcm::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(bits: u32) -> Vec<u8> {
        let mut header = b"\x7fFLAC\x01\0\0\x01fLaC\0\0\0\x22".to_vec();
        header.extend([0x10, 0, 0x10, 0, 0, 0, 0, 0, 0, 0]);
        header.extend(bits.to_be_bytes());
        header.extend([0; 20]);
        header
    }

    /// 44.1 kHz, two channels, 16 bits.
    const CD: u32 = 44_100 << 12 | 1 << 9 | 15 << 4;

    #[test]
    fn headers() {
        let decoder = Decoder::new(&header(CD)).unwrap();
        assert_eq!((decoder.sample_rate(), decoder.channels()), (44_100, 2));
        for rate in [0, 999, 768_001, 1 << 20] {
            let wrong = header(CD & 0xfff | rate << 12);
            assert!(Decoder::new(&wrong).is_err(), "{rate}");
        }
        for len in 0..header(CD).len() {
            assert_eq!(Decoder::new(&header(CD)[..len]).err(), Some(Error::NotHeader), "{len} bytes");
        }
    }

    #[test]
    fn what_is_no_frame_gives_no_samples() {
        let mut decoder = Decoder::new(&header(CD)).unwrap();
        for packet in [&b""[..], b"\xff", b"\xff\xf8", &[0xff; 100], &[0; 100]] {
            assert!(decoder.decode(packet).is_empty());
        }
    }
}
