//! Opus (RFC 6716) as Ogg carries it (RFC 7845): packets to samples at 48 kHz.
//!
//! The arithmetic is the `opus-decoder` crate's; what its panics leave behind is replaced.

use std::fmt;

use opus_decoder::OpusDecoder;

use crate::guard::quietly;
use crate::vorbis::{Pcm, to_wave_order};

/// What granule positions count, whatever the input of the encoder had (RFC 7845, section 4).
pub const SAMPLE_RATE: u32 = 48_000;
/// Most channels whose places are known (RFC 7845, section 5.1.1.2).
const MAX_CHANNELS: u8 = 8;
/// The channel mapping's number for a channel of silence.
const SILENT: u8 = 255;
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
    /// Of each channel, which of the decoded ones it is, or [`SILENT`].
    mapping: Vec<u8>,
    /// How many streams a packet holds.
    streams: u8,
    /// How many of them, the first ones, are stereo.
    coupled: u8,
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
        if !(1..=MAX_CHANNELS).contains(&channels) {
            return Err(Error::Invalid { field: "channel count", value: channels });
        }
        let (streams, coupled, mapping) = match (family, table) {
            (0, _) if channels <= 2 => (1, channels - 1, &[0, 1][..channels.into()]),
            // Nothing is known of more channels of family 255.
            (1 | 255, &[streams, coupled, ref mapping @ ..])
                if (family == 1 || channels <= 2) && mapping.len() >= channels.into() =>
            {
                (streams, coupled, &mapping[..channels.into()])
            }
            _ => return Err(Error::Invalid { field: "channel mapping family", value: family }),
        };
        // Streams that are not heard at all would only take time.
        if streams == 0 || streams > channels {
            return Err(Error::Invalid { field: "stream count", value: streams });
        }
        if coupled > streams {
            return Err(Error::Invalid { field: "coupled stream count", value: coupled });
        }
        if let Some(&value) = mapping.iter().find(|&&of| of >= streams + coupled && of != SILENT) {
            return Err(Error::Invalid { field: "channel mapping", value });
        }
        // Q7.8 in decibels.
        let decibels = f64::from(i16::from_le_bytes([gain0, gain1])) / 256.0;
        Ok(Self {
            mapping: mapping.to_vec(),
            streams,
            coupled,
            pre_skip: u16::from_le_bytes([skip0, skip1]),
            gain: libm::pow(10.0, decibels / 20.0) as f32,
        })
    }

    /// A decoder for each stream.
    fn decoders(&self) -> Vec<OpusDecoder> {
        let decoder = |stream| {
            let channels = self.channels_of(stream);
            OpusDecoder::new(SAMPLE_RATE, channels).expect("48 kHz, one or two channels")
        };
        (0..self.streams).map(decoder).collect()
    }

    fn channels_of(&self, stream: u8) -> usize {
        if stream < self.coupled { 2 } else { 1 }
    }
}

/// Splits the first packet off several that are in one (RFC 6716, appendix B): that packet as it would be alone, and the rest.
fn split_delimited(packet: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut at = 1;
    let (frames, variable, mut length) = match packet.first()? & 3 {
        0 => (1, false, 0),
        1 => (2, false, 0),
        2 => (2, true, 0),
        _ => {
            let count = *packet.get(1)?;
            at = 2;
            let mut padding = 0;
            let mut more = count & 0x40 != 0;
            while more {
                let value = usize::from(*packet.get(at)?);
                at += 1;
                more = value == 255;
                padding += value.min(254);
            }
            (usize::from(count & 0x3f), count & 0x80 != 0, padding)
        }
    };
    for _ in 1..if variable { frames } else { 1 } {
        length += frame_length(packet, &mut at)?;
    }
    // What a packet alone does not say: the length of the last frame, or of each.
    let header = packet.get(..at)?;
    let last = frame_length(packet, &mut at)?;
    length += if variable { last } else { last * frames };
    let frames = packet.get(at..at + length)?;
    Some(([header, frames].concat(), &packet[at + length..]))
}

/// Reads the length of a frame (RFC 6716, section 3.2.1).
fn frame_length(packet: &[u8], at: &mut usize) -> Option<usize> {
    let first = usize::from(*packet.get(*at)?);
    *at += 1;
    if first < 252 {
        return Some(first);
    }
    let second = usize::from(*packet.get(*at)?);
    *at += 1;
    Some(first + 4 * second)
}

/// A decoder of an Opus stream, safe on any input.
///
/// What it computes passes through the platform's sine, cosine and power before it is rounded to 16 bits, so in rare cases
/// the last bit of a sample may depend on the C library that a build is linked to.
pub struct Decoder {
    header: Header,
    inner: Vec<OpusDecoder>,
}

impl Decoder {
    /// Makes a decoder from the identification header.
    ///
    /// # Errors
    /// If the header is malformed, or has channels that it does not name: more than two without a meaning, or more than
    /// eight.
    pub fn new(identification: &[u8]) -> Result<Self, Error> {
        let header = Header::parse(identification)?;
        let inner = header.decoders();
        Ok(Self { header, inner })
    }

    /// Number of channels, 1..=8.
    pub fn channels(&self) -> usize {
        self.header.mapping.len()
    }

    /// Samples a channel at the start of the stream that are not to be heard, though granule positions count them.
    pub fn pre_skip(&self) -> usize {
        self.header.pre_skip.into()
    }

    /// Decodes a packet: at most 5760 samples a channel, none if it cannot be decoded. Full scale is 1; for the order of the
    /// channels see [`Pcm`].
    pub fn decode(&mut self, packet: &[u8]) -> Pcm {
        let decoded = self.decode_streams(packet);
        let Some(samples) = decoded.first().map(Vec::len) else { return Pcm::new() };
        let mapping = self.header.mapping.iter();
        let channel = |&of: &u8| decoded.get(usize::from(of)).cloned().unwrap_or_else(|| vec![0.0; samples]);
        let mut pcm = mapping.map(channel).collect();
        to_wave_order(&mut pcm);
        pcm
    }

    /// The channels of all streams, none if one of them cannot be decoded.
    fn decode_streams(&mut self, packet: &[u8]) -> Pcm {
        let (mut decoded, mut rest) = (Pcm::new(), packet);
        for stream in 0..self.header.streams {
            let split = if stream + 1 == self.header.streams {
                Some((rest.to_vec(), &[][..]))
            } else {
                split_delimited(rest)
            };
            // To the decoder an empty packet is a lost one.
            let Some((packet, others)) = split.filter(|(packet, _)| !packet.is_empty()) else {
                return Pcm::new();
            };
            rest = others;
            let channels = self.header.channels_of(stream);
            let mut interleaved = vec![0.0; MAX_SAMPLES * channels];
            let inner = &mut self.inner[usize::from(stream)];
            let samples = match quietly(|| inner.decode_float(&packet, &mut interleaved, false)) {
                Some(Ok(samples)) => samples.min(MAX_SAMPLES),
                Some(Err(_)) => return Pcm::new(),
                None => {
                    self.reset();
                    return Pcm::new();
                }
            };
            if decoded.first().is_some_and(|channel| channel.len() != samples) {
                return Pcm::new();
            }
            let gain = self.header.gain;
            let interleaved = &interleaved[..samples * channels];
            let channel = |channel| {
                interleaved.iter().skip(channel).step_by(channels).map(|sample| sample * gain).collect()
            };
            decoded.extend((0..channels).map(channel));
        }
        decoded
    }

    /// Forgets all packets so far.
    pub fn reset(&mut self) {
        self.inner = self.header.decoders();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STEREO: &[u8] = b"OpusHead\x01\x02\x38\x01\x80\xbb\0\0\0\0\0";

    #[test]
    fn headers() {
        let header = Header::parse(STEREO).unwrap();
        assert_eq!((header.mapping.len(), header.pre_skip, header.gain), (2, 312, 1.0));
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
        assert_eq!(changed(9, 3), Some(Error::Invalid { field: "channel mapping family", value: 0 }));
        for family in [1, 2, 255] {
            let expected = Error::Invalid { field: "channel mapping family", value: family };
            assert_eq!(changed(18, family), Some(expected), "without a table");
        }
        let table = |table: &[u8]| Decoder::new(&[&STEREO[..18], &[1], table].concat()).err();
        let invalid = |field, value| Some(Error::Invalid { field, value });
        assert_eq!(table(&[0, 0, 0, 1]), invalid("stream count", 0));
        assert_eq!(table(&[3, 0, 0, 1]), invalid("stream count", 3));
        assert_eq!(table(&[1, 2, 0, 1]), invalid("coupled stream count", 2));
        assert_eq!(table(&[1, 1, 0, 2]), invalid("channel mapping", 2));
        assert_eq!(table(&[2, 0, 255, 1]), None);
        assert_eq!(changed(9, 9), invalid("channel count", 9));
        for len in 0..STEREO.len() {
            assert_eq!(Decoder::new(&STEREO[..len]).err(), Some(Error::NotHeader), "{len} bytes");
        }
    }

    #[test]
    fn packets_in_a_packet_are_told_apart() {
        // Each as it is in front of others, and alone.
        let cases: [(&[u8], &[u8]); 7] = [
            (&[0x00, 2, 7, 8], &[0x00, 7, 8]),
            (&[0x01, 1, 7, 8], &[0x01, 7, 8]),
            (&[0x02, 1, 2, 7, 8, 9], &[0x02, 1, 7, 8, 9]),
            (&[0x03, 3, 1, 7, 8, 9], &[0x03, 3, 7, 8, 9]),
            (&[0x03, 0x83, 1, 0, 2, 7, 8, 9], &[0x03, 0x83, 1, 0, 7, 8, 9]),
            (&[0x03, 0x41, 2, 1, 7, 0, 0], &[0x03, 0x41, 2, 7, 0, 0]),
            (&[0x03, 0xc2, 1, 0, 1, 7, 0], &[0x03, 0xc2, 1, 0, 7, 0]),
        ];
        for (delimited, alone) in cases {
            let packet = [delimited, &[1, 2, 3]].concat();
            assert_eq!(split_delimited(&packet), Some((alone.to_vec(), &[1, 2, 3][..])), "{delimited:?}");
            for len in 0..delimited.len() {
                assert_eq!(split_delimited(&delimited[..len]), None, "{len} bytes of {delimited:?}");
            }
        }
        let long = [&[0x00, 252, 1][..], &[7; 256]].concat();
        assert_eq!(split_delimited(&long), Some(([&[0][..], &[7; 256]].concat(), &[][..])));
        assert_eq!(split_delimited(&long[..258]), None);
    }
}
