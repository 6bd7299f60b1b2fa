//! What is in a file: streams, sizes, rates, durations, damage. Nothing is decoded but headers.

mod flv;
mod lengths;
mod metadata;
mod ogg;

use std::fs::{self, File};
use std::io::{self, Cursor, Read};
use std::path::Path;

use oggflv_common::PixelFormat;
use serde::Serialize;

use crate::STANDARD_STREAM;
use crate::error::{Error, InputError};
use crate::ogg::Damage;
use crate::time::Time;

/// Findings that are kept; further ones are only counted.
const MAX_FINDINGS: usize = 100;
/// Bytes of comments that are kept of a file.
const MAX_COMMENT_BYTES: usize = 1 << 20;

/// What is in a file.
///
/// Serialised, times are in seconds and bit rates in bits per second; what is not known is `null`.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Probe {
    /// The container.
    pub format: Format,
    /// Size of the file.
    pub bytes: u64,
    /// How long it lasts. In a chain, the sum of its links.
    pub duration: Time,
    /// Bits per second of the whole file.
    pub bitrate: Option<f64>,
    /// The streams, in order of appearance.
    pub streams: Vec<Stream>,
    /// Texts in the metadata of an FLV file. In Ogg comments belong to streams.
    pub comments: Vec<Comment>,
    /// What an Ogg file has.
    pub ogg: Option<Ogg>,
    /// What an FLV file has.
    pub flv: Option<Flv>,
    /// What is wrong with it.
    pub findings: Findings,
}

/// A container.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Format {
    /// Ogg (RFC 3533).
    Ogg,
    /// Flash Video.
    Flv,
}

/// What a stream carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Kind {
    /// Pictures.
    Video,
    /// Sound.
    Audio,
    /// Subtitles, annotations, descriptions of other streams, or what is not known.
    Other,
}

/// A stream of pictures, of sound, or of something else.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stream {
    /// What it carries.
    pub kind: Kind,
    /// Which one of its kind in its link, from 1 on.
    pub number: usize,
    /// The link of the chain it belongs to, from 1 on; 1 in FLV.
    pub link: u32,
    /// Serial number in Ogg.
    pub serial: Option<u32>,
    /// Name of the codec.
    pub codec: String,
    /// When it starts, as its positions or timestamps say.
    pub start: Option<Time>,
    /// How long it lasts.
    pub duration: Option<Time>,
    /// Packets or tags behind the headers.
    pub packets: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Bits per second by bytes and duration.
    pub bitrate: Option<f64>,
    /// Bits per second that the headers name.
    pub nominal_bitrate: Option<u32>,
    /// What pictures have.
    pub video: Option<Video>,
    /// What sound has.
    pub audio: Option<Audio>,
    /// Who wrote it: the vendor of its comment header.
    pub vendor: String,
    /// Its comments, as far as they take less than 1 MiB in the whole file.
    pub comments: Vec<Comment>,
}

/// Properties of pictures.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Video {
    /// Width in pixels; 0 if it is not known.
    pub width: u32,
    /// Height in pixels; 0 if it is not known.
    pub height: u32,
    /// Subsampling of the chroma planes.
    #[serde(serialize_with = "pixel_format")]
    pub pixel_format: Option<PixelFormat>,
    /// Width to height of a pixel.
    pub pixel_aspect: Option<(u32, u32)>,
    /// Frames per second that the headers name, as numerator and denominator.
    pub nominal_frame_rate: Option<(u32, u32)>,
    /// Frames per second: by the headers, or by count and duration where they name none.
    pub frame_rate: Option<f64>,
    /// Number of pictures, repetitions included.
    pub frames: u64,
    /// Number of key frames.
    pub key_frames: Option<u64>,
    /// Longest time from a key frame to the next, or to the end.
    pub longest_key_interval: Option<Time>,
}

/// Properties of sound.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Audio {
    /// Samples per second and channel.
    pub sample_rate: u32,
    /// Number of channels.
    pub channels: u32,
    /// Bits of a sample, where the codec has that.
    pub bits_per_sample: Option<u32>,
}

/// A field name and its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Comment {
    /// Name of the field, such as `TITLE`; ASCII case does not matter in it.
    pub name: String,
    /// Its content.
    pub value: String,
}

/// Properties of an Ogg file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Ogg {
    /// Links of the chain.
    pub links: u32,
    /// Intact pages.
    pub pages: u64,
    /// What is damaged, counted over all streams.
    pub damage: Damage,
    /// Streams that no page ends.
    pub streams_without_eos: u64,
}

/// Properties of an FLV file.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Flv {
    /// Version in the header.
    pub version: u8,
    /// Whether the header says that there is sound.
    pub header_audio: bool,
    /// Whether the header says that there are pictures.
    pub header_video: bool,
    /// Audio tags.
    pub audio_tags: u64,
    /// Video tags.
    pub video_tags: u64,
    /// Script data tags.
    pub script_tags: u64,
    /// Tags of other types.
    pub unknown_tags: u64,
    /// Whether there is an `onMetaData`.
    pub has_metadata: bool,
    /// The duration that `onMetaData` names.
    pub metadata_duration: Option<Time>,
    /// The index of key frames in `onMetaData`.
    pub index: Option<Index>,
}

/// An index of key frames.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Index {
    /// How many key frames it has.
    pub entries: usize,
    /// Whether these are the key frames of the file, with their times and positions.
    pub is_right: bool,
}

/// What is wrong with a file.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Findings {
    /// How many errors there are.
    pub errors: u64,
    /// How many warnings there are.
    pub warnings: u64,
    /// The first hundred of both, in order of appearance.
    pub first: Vec<Finding>,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where in the file, in bytes from its start.
    pub offset: Option<u64>,
    /// What it is.
    pub message: String,
}

/// How bad something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Not as it should be, but players play it.
    Warning,
    /// Against the specification, or damaged.
    Error,
}

impl Findings {
    fn error(&mut self, offset: impl Into<Option<u64>>, message: impl Into<String>) {
        self.errors += 1;
        self.add(Severity::Error, offset.into(), message.into());
    }

    fn warning(&mut self, offset: impl Into<Option<u64>>, message: impl Into<String>) {
        self.warnings += 1;
        self.add(Severity::Warning, offset.into(), message.into());
    }

    fn add(&mut self, severity: Severity, offset: Option<u64>, message: String) {
        if self.first.len() < MAX_FINDINGS {
            self.first.push(Finding { severity, offset, message });
        }
    }
}

/// Looks into a file, or into standard input if it is [`STANDARD_STREAM`].
///
/// All of it is read, since only that tells durations, bit rates, key frames and damage.
///
/// # Errors
/// If it cannot be read, or is neither Ogg nor FLV.
pub fn probe_file(input: &Path) -> Result<Probe, Error> {
    let open = || {
        if input == Path::new(STANDARD_STREAM) {
            return probe(io::stdin().lock());
        }
        if fs::metadata(input)?.is_dir() {
            return Err(InputError::Folder);
        }
        probe(File::open(input)?)
    };
    open().map_err(|problem| Error::Input { name: input.display().to_string(), problem })
}

/// Looks into a file that is read from front to back.
///
/// # Errors
/// As [`probe_file`].
pub fn probe(mut input: impl Read) -> Result<Probe, InputError> {
    let mut signature = Vec::new();
    (&mut input).take(3).read_to_end(&mut signature)?;
    let is_flv = signature == b"FLV";
    let input = Cursor::new(signature).chain(input);
    if is_flv { Ok(flv::probe(input)?) } else { ogg::probe(input)?.ok_or(InputError::UnknownFormat) }
}

impl Stream {
    fn new(kind: Kind, codec: String) -> Self {
        Self {
            kind,
            number: 1,
            link: 1,
            serial: None,
            codec,
            start: None,
            duration: None,
            packets: 0,
            bytes: 0,
            bitrate: None,
            nominal_bitrate: None,
            video: None,
            audio: None,
            vendor: String::new(),
            comments: Vec::new(),
        }
    }
}

/// Bits per second; `None` where nothing lasts.
fn bitrate(bytes: u64, duration: Time) -> Option<f64> {
    (duration > Time::ZERO).then(|| bytes as f64 * 8.0 / duration.seconds())
}

fn pixel_format<S: serde::Serializer>(
    format: &Option<PixelFormat>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    format.map(pixel_format_name).serialize(serializer)
}

/// The usual name of a subsampling.
#[must_use]
pub fn pixel_format_name(format: PixelFormat) -> &'static str {
    match format {
        PixelFormat::Yuv420 => "4:2:0",
        PixelFormat::Yuv422 => "4:2:2",
        PixelFormat::Yuv444 => "4:4:4",
    }
}
