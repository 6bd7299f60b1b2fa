//! Mappings of codecs into Ogg: which codec a logical bitstream carries, and the header packets it starts
//! with.

use std::fmt;

use super::demuxer::Packet;

/// What a logical bitstream carries, by the signature at the start of its first packet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Codec {
    /// Theora video (Theora specification, section 6.1 and appendix A).
    Theora,
    /// Vorbis audio (Vorbis I specification, section 4.2.1 and appendix A).
    Vorbis,
    /// Opus audio (RFC 7845, section 5.1).
    Opus,
    /// Speex audio.
    Speex,
    /// FLAC audio (RFC 9639, section 10.1).
    Flac,
    /// Ogg Skeleton: a description of the other streams.
    Skeleton,
    /// Continuous Media Markup Language: annotations.
    Cmml,
    /// Kate: subtitles and overlays.
    Kate,
    /// Dirac video.
    Dirac,
    /// VP8 video.
    Vp8,
    /// Daala video.
    Daala,
    /// Anything else.
    Unknown,
}

#[rustfmt::skip]
const SIGNATURES: [(&[u8], Codec); 11] = [
    (b"\x80theora",        Codec::Theora),
    (b"\x01vorbis",        Codec::Vorbis),
    (b"OpusHead",          Codec::Opus),
    (b"Speex   ",          Codec::Speex),
    (b"\x7fFLAC",          Codec::Flac),
    (b"fishead\0",         Codec::Skeleton),
    (b"CMML\0\0\0\0",      Codec::Cmml),
    (b"\x80kate\0\0\0",    Codec::Kate),
    (b"BBCD\0",            Codec::Dirac),
    (b"OVP80",             Codec::Vp8),
    (b"\x80daala",         Codec::Daala),
];

impl Codec {
    /// Recognises the codec from the first packet of a stream, or its start; 8 bytes are enough.
    pub fn identify(first_packet: &[u8]) -> Self {
        let known = SIGNATURES.iter().find(|(signature, _)| first_packet.starts_with(signature));
        known.map_or(Codec::Unknown, |&(_, codec)| codec)
    }

    /// This library decodes it, so the demuxer hands out its packets.
    pub fn is_decoded(self) -> bool {
        matches!(self, Codec::Theora | Codec::Vorbis | Codec::Opus | Codec::Flac)
    }

    /// It is sound.
    pub fn is_audio(self) -> bool {
        matches!(self, Codec::Vorbis | Codec::Opus | Codec::Speex | Codec::Flac)
    }

    /// It is pictures; overlays are not.
    pub fn is_video(self) -> bool {
        matches!(self, Codec::Theora | Codec::Dirac | Codec::Vp8 | Codec::Daala)
    }

    /// A packet behind the first one, of a stream of sound with headers complete, is no data but a further header.
    pub(crate) fn is_header(self, packet: &[u8]) -> bool {
        match self {
            // RFC 7845, section 5.2.
            Codec::Opus => packet.starts_with(b"OpusTags"),
            // RFC 9639, section 10.1: a frame starts with a sync code, and no metadata block looks like one.
            Codec::Flac => packet.first() != Some(&0xff),
            _ => false,
        }
    }

    /// The stream is audio or video, not a description or annotation of other streams.
    pub(super) fn is_audio_or_video(self) -> bool {
        !matches!(self, Codec::Skeleton | Codec::Cmml | Codec::Kate | Codec::Unknown)
    }
}

impl fmt::Display for Codec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Codec::Theora => "Theora",
            Codec::Vorbis => "Vorbis",
            Codec::Opus => "Opus",
            Codec::Speex => "Speex",
            Codec::Flac => "FLAC",
            Codec::Skeleton => "Skeleton",
            Codec::Cmml => "CMML",
            Codec::Kate => "Kate",
            Codec::Dirac => "Dirac",
            Codec::Vp8 => "VP8",
            Codec::Daala => "Daala",
            Codec::Unknown => "unknown codec",
        })
    }
}

/// One of the three header packets Theora and Vorbis streams start with, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderKind {
    /// Picture or sample format.
    Identification,
    /// Tags.
    Comment,
    /// Decoding tables.
    Setup,
}

impl fmt::Display for HeaderKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            HeaderKind::Identification => "identification header",
            HeaderKind::Comment => "comment header",
            HeaderKind::Setup => "setup header",
        })
    }
}

/// The three header packets of a Theora or Vorbis stream: whole packets, signature included, not parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Headers {
    /// The identification header.
    pub identification: Vec<u8>,
    /// The comment header.
    pub comment: Vec<u8>,
    /// The setup header.
    pub setup: Vec<u8>,
}

/// Why a stream has no complete set of headers. It cannot be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HeaderError {
    /// Another packet came where a header was due.
    Missing {
        /// The stream's codec.
        codec: Codec,
        /// The header that was due.
        expected: HeaderKind,
        /// What came instead; None for a packet that is no header.
        found: Option<HeaderKind>,
        /// Something of the stream was lost in between, so the file is damaged rather than made wrong.
        after_loss: bool,
    },
    /// Only Theora and Vorbis streams have these headers.
    Unsupported(Codec),
}

impl fmt::Display for HeaderError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            HeaderError::Missing { codec, expected, found, after_loss } => {
                write!(f, "{codec} stream: {expected} missing, ")?;
                match found {
                    Some(found) => write!(f, "{found} found instead")?,
                    None => write!(f, "data packet found instead")?,
                }
                if after_loss { write!(f, " after lost pages") } else { Ok(()) }
            }
            HeaderError::Unsupported(codec) => write!(f, "{codec} stream: not Theora or Vorbis"),
        }
    }
}

impl std::error::Error for HeaderError {}

/// Gathers the header packets of a Theora or Vorbis stream.
///
/// Feed it the stream's packets from the first on, until it gives the headers; the next packet is data.
#[derive(Debug)]
pub struct HeaderCollector {
    codec: Codec,
    packets: Vec<Vec<u8>>,
    after_loss: bool,
}

impl HeaderCollector {
    /// A collector for a stream of `codec`.
    ///
    /// # Errors
    /// [`HeaderError::Unsupported`] if that is neither Theora nor Vorbis.
    pub fn new(codec: Codec) -> Result<Self, HeaderError> {
        match codec {
            Codec::Theora | Codec::Vorbis => {
                Ok(HeaderCollector { codec, packets: Vec::with_capacity(3), after_loss: false })
            }
            _ => Err(HeaderError::Unsupported(codec)),
        }
    }

    /// The header that is due next.
    pub fn expected(&self) -> HeaderKind {
        [HeaderKind::Identification, HeaderKind::Comment, HeaderKind::Setup][self.packets.len()]
    }

    /// A collector for a Vorbis stream.
    pub(crate) fn vorbis() -> Self {
        HeaderCollector { codec: Codec::Vorbis, packets: Vec::with_capacity(3), after_loss: false }
    }

    /// Takes the next packet; gives the headers once the third is there, and then starts anew.
    ///
    /// # Errors
    /// [`HeaderError::Missing`] if the packet is not the header that is due. The stream cannot be decoded
    /// then. A comment header that was lost is empty instead, since nothing depends on it.
    pub fn push(&mut self, packet: Packet) -> Result<Option<Headers>, HeaderError> {
        self.after_loss |= packet.lost_before;
        let found = header_kind(self.codec, &packet.data);
        if self.expected() == HeaderKind::Comment && found == Some(HeaderKind::Setup) && self.after_loss {
            self.packets.push(Vec::new());
        }
        let expected = self.expected();
        if found != Some(expected) {
            return Err(HeaderError::Missing {
                codec: self.codec,
                expected,
                found,
                after_loss: self.after_loss,
            });
        }
        self.packets.push(packet.data);
        if expected != HeaderKind::Setup {
            return Ok(None);
        }
        let mut packets = self.packets.drain(..);
        let mut next = || packets.next().unwrap_or_default();
        Ok(Some(Headers { identification: next(), comment: next(), setup: next() }))
    }
}

/// Which header a packet is: a type byte and the codec's name (Theora specification, section 6.1; Vorbis I
/// specification, section 4.2.1).
fn header_kind(codec: Codec, packet: &[u8]) -> Option<HeaderKind> {
    let (name, types): (&[u8], [u8; 3]) = match codec {
        Codec::Theora => (b"theora", [0x80, 0x81, 0x82]),
        Codec::Vorbis => (b"vorbis", [1, 3, 5]),
        _ => return None,
    };
    let (&packet_type, rest) = packet.split_first()?;
    if !rest.starts_with(name) {
        return None;
    }
    let kinds = [HeaderKind::Identification, HeaderKind::Comment, HeaderKind::Setup];
    types.iter().position(|&known| known == packet_type).map(|kind| kinds[kind])
}
