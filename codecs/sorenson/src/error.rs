//! What can go wrong.

use std::fmt;

/// A setting that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigError {
    /// A number outside its range.
    Range {
        /// The field of [`Config`](crate::Config).
        name: &'static str,
        /// Its value.
        value: usize,
        /// The smallest legal value.
        least: usize,
        /// The largest legal value.
        most: usize,
    },
    /// A preset that does not exist.
    Preset(String),
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Range { name, value, least, most } => {
                write!(f, "{name} is {value}, not between {least} and {most}")
            }
            Self::Preset(name) => write!(f, "there is no preset {name}: fast, balanced, best"),
        }
    }
}

impl std::error::Error for ConfigError {}

/// A frame that does not fit the encoder; the encoder is as it was before.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EncodeError {
    /// The frame is not 4:2:0.
    Format(oggflv_common::PixelFormat),
    /// The frame has another size than the encoder.
    Size {
        /// Width and height of the frame.
        frame: (usize, usize),
        /// Width and height the encoder was made for.
        encoder: (usize, usize),
    },
}

impl fmt::Display for EncodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Format(format) => write!(f, "the frame is {format:?}, not Yuv420"),
            Self::Size { frame, encoder } => {
                write!(f, "the frame is {}x{}, the encoder {}x{}", frame.0, frame.1, encoder.0, encoder.1)
            }
        }
    }
}

impl std::error::Error for EncodeError {}

/// A picture that cannot be decoded; the last picture stays what [`Decoder::picture`](crate::Decoder::picture) shows.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum DecodeError {
    /// The data does not begin with the 17 bits of the picture start code.
    StartCode(u32),
    /// The version is neither 0 nor 1.
    Version(u32),
    /// Picture size code 7 is reserved, and no dimension may be 0.
    PictureSize {
        /// PictureSize as coded.
        code: u32,
        /// Width that follows from it.
        width: u32,
        /// Height that follows from it.
        height: u32,
    },
    /// Picture type 3 is reserved.
    PictureType(u32),
    /// PQUANT is 0.
    Quantizer,
    /// The data ends before the picture does, or is too short for its number of macroblocks.
    UnexpectedEnd {
        /// Bytes of data.
        length: usize,
    },
    /// A P picture that has no picture of its size before it.
    NoReference,
    /// A code word that is in none of the standard's tables.
    CodeWord {
        /// The syntax element.
        element: &'static str,
        /// The next 13 bits.
        bits: u32,
    },
    /// INTRADC 0 and 128 are forbidden.
    IntraDc(u32),
    /// An escaped LEVEL that is 0 or the most negative one.
    EscapedLevel(i32),
    /// A run that leaves the block.
    Run {
        /// Index in zigzag order that the coefficient would have, 64 or more.
        index: usize,
    },
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::StartCode(bits) => write!(f, "the picture start code is {bits:#x}, not 1"),
            Self::Version(version) => write!(f, "version {version}, not 0 or 1"),
            Self::PictureSize { code, width, height } => {
                write!(f, "PictureSize {code} with {width}x{height} samples")
            }
            Self::PictureType(code) => write!(f, "PictureType {code} is reserved"),
            Self::Quantizer => write!(f, "PQUANT is 0"),
            Self::UnexpectedEnd { length } => write!(f, "the picture does not end within its {length} bytes"),
            Self::NoReference => write!(f, "a P picture without a reference of its size"),
            Self::CodeWord { element, bits } => write!(f, "{element}: no code word begins {bits:013b}"),
            Self::IntraDc(code) => write!(f, "INTRADC {code} is forbidden"),
            Self::EscapedLevel(level) => write!(f, "escaped LEVEL {level} is forbidden"),
            Self::Run { index } => write!(f, "RUN leads to coefficient {index} of 64"),
        }
    }
}

impl std::error::Error for DecodeError {}
