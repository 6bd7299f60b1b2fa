//! What can be wrong with a stream.

use core::fmt;

/// Why a header or a packet was refused.
///
/// A header that is refused ends the stream. A data packet that is refused leaves the decoder and its picture as
/// they were; decoding may go on with the next packet.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Error {
    /// The packet is not the header that was expected here (Theora specification, 6.1).
    NotTheHeader {
        /// Type of the header that was expected: 0x80, 0x81 or 0x82.
        expected: u8,
    },
    /// The header ends before the named syntax element does.
    Truncated {
        /// The syntax element, spelled as in the specification.
        element: &'static str,
    },
    /// The stream is of a version that this specification does not cover; it covers 3.2.x.
    Version {
        /// VMAJ.
        major: u8,
        /// VMIN.
        minor: u8,
        /// VREV.
        revision: u8,
    },
    /// A syntax element has a value outside its range.
    OutOfRange {
        /// The syntax element, spelled as in the specification.
        element: &'static str,
        /// Its value in the stream.
        value: u64,
        /// The smallest value allowed.
        min: u64,
        /// The largest value allowed.
        max: u64,
    },
    /// A value or bits that the specification reserves.
    Reserved {
        /// The syntax element, spelled as in the specification.
        element: &'static str,
        /// Its value in the stream.
        value: u32,
    },
    /// A Huffman table has more than 32 entries, or a code of more than 32 bits.
    HuffmanTable {
        /// Index of the table, 0 to 79.
        table: usize,
    },
    /// The coded frame is larger than the caller's [`Limits`](crate::Limits) allow.
    TooLarge {
        /// Luma samples of the coded frame.
        pixels: u64,
        /// The limit.
        max_pixels: u64,
    },
    /// The packet is a header where a data packet was expected.
    NotADataPacket,
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::NotTheHeader { expected } => write!(f, "not a Theora header of type {expected:#04x}"),
            Self::Truncated { element } => write!(f, "the header ends within {element}"),
            Self::Version { major, minor, revision } => {
                write!(f, "version {major}.{minor}.{revision} of Theora; only 3.2.x is decodable")
            }
            Self::OutOfRange { element, value, min, max } => {
                write!(f, "{element} is {value}; it must be {min} to {max}")
            }
            Self::Reserved { element, value } => write!(f, "{element} has the reserved value {value}"),
            Self::HuffmanTable { table } => {
                write!(f, "Huffman table {table} has more than 32 entries or a code of more than 32 bits")
            }
            Self::TooLarge { pixels, max_pixels } => {
                write!(f, "the coded frame has {pixels} luma samples; the limit is {max_pixels}")
            }
            Self::NotADataPacket => write!(f, "a header packet where a data packet was expected"),
        }
    }
}

impl core::error::Error for Error {}
