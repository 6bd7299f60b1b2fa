//! What can be wrong with a Vorbis stream.

use std::fmt;

/// Why a header or a packet was refused.
///
/// Errors of [`Decoder::new`](super::Decoder::new) are final: without its headers a stream cannot be
/// decoded. Errors of [`Decoder::decode`](super::Decoder::decode) concern one packet: drop it and go on.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The packet is not the header that belongs at this place.
    NotHeader {
        /// Name of the header.
        header: &'static str,
    },
    /// The header ends within a syntax element.
    Truncated {
        /// The syntax element, as the specification spells it.
        element: &'static str,
    },
    /// A syntax element has a value that the specification forbids.
    Invalid {
        /// The syntax element, as the specification spells it.
        element: &'static str,
        /// Its value.
        value: u64,
    },
    /// A legal value that would cost more memory or time than a real stream ever needs.
    Limit {
        /// What is too large.
        element: &'static str,
        /// Its value.
        value: u64,
        /// The largest value accepted.
        limit: u64,
    },
    /// The decoder behind this module refused a header, for this reason.
    Header(String),
    /// The packet is no audio packet: it is empty or a header. The decoder's state is unchanged.
    NotAudio,
    /// The audio packet cannot be decoded. The next one only primes the overlap.
    Packet(String),
    /// The decoder behind this module panicked, and was reset. The next packet only primes the overlap.
    Panicked {
        /// What was being decoded.
        what: &'static str,
    },
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotHeader { header } => write!(f, "not a Vorbis {header} header"),
            Self::Truncated { element } => write!(f, "Vorbis header ends within {element}"),
            Self::Invalid { element, value } => write!(f, "Vorbis header has {element} {value}"),
            Self::Limit { element, value, limit } => {
                write!(f, "Vorbis header has {element} {value}, more than {limit}")
            }
            Self::Header(reason) => write!(f, "Vorbis header: {reason}"),
            Self::NotAudio => f.write_str("not a Vorbis audio packet"),
            Self::Packet(reason) => write!(f, "Vorbis audio packet: {reason}"),
            Self::Panicked { what } => write!(f, "Vorbis {what} cannot be decoded"),
        }
    }
}

impl std::error::Error for Error {}
