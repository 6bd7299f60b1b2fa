//! What can go wrong, sorted by who has to act.

use std::error::Error as StdError;
use std::io;

use crate::ogg::Codec;
use crate::time::Time;

/// Why a conversion failed. Each prints as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The input cannot be converted; `name` is what the user called it.
    #[error("{name}: {problem}")]
    Input {
        /// The input's name.
        name: String,
        /// What is wrong with it.
        problem: InputError,
    },
    /// The output cannot be written; `name` is what the user called it.
    #[error("{name}: {problem}")]
    Output {
        /// The output's name.
        name: String,
        /// What is wrong with it.
        problem: OutputError,
    },
    /// The caller asked to stop.
    #[error("interrupted")]
    Interrupted,
    /// The system gives no thread.
    #[error("no thread can be started: {0}")]
    Threads(io::Error),
    /// A defect of this library.
    #[error("the {0} stage failed unexpectedly; this is a defect, please report it with the input")]
    Stage(&'static str),
}

/// What is wrong with an input.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InputError {
    /// It cannot be opened or read.
    #[error("cannot be read: {0}")]
    Io(#[from] io::Error),
    /// It is a folder.
    #[error("is a folder")]
    Folder,
    /// It can be read only once, and two passes are wanted.
    #[error("can be read only once, but --target-size reads it twice: copy it into a file first")]
    Once,
    /// There is no Ogg page in it.
    #[error("not an Ogg file: there is no Ogg page in it")]
    NotOgg,
    /// It is neither Ogg nor FLV.
    #[error("neither Ogg nor FLV")]
    UnknownFormat,
    /// It is an FLV file, where an Ogg file is wanted.
    #[error("is an FLV file already; oggflv remux copies it without encoding it anew")]
    IsFlv,
    /// It is none of the files that are copied without encoding them anew.
    #[error("not an FLV file: {0}")]
    NotFlv(String),
    /// There is no MPEG Layer III frame where one should be.
    #[error("not an MP3 file: there are no MPEG Layer III frames in it")]
    NotMp3,
    /// The sample rate is none that MP3 has in FLV.
    #[error("its sample rate is {rate} Hz, but MP3 in FLV has 44100, 22050, 11025 or 8000 Hz")]
    Mp3Rate {
        /// The rate.
        rate: u32,
    },
    /// It has no sound that can be copied into an MP3 file.
    #[error("there is no MP3 in it: {0}")]
    NoMp3(String),
    /// It cannot be joined with the file before it.
    #[error("cannot be joined with {before}: {difference}")]
    Different {
        /// The name of the first file.
        before: String,
        /// What differs.
        difference: String,
    },
    /// It changed while it was read.
    #[error("changed while it was read")]
    Changed,
    /// There is nothing in it that this library decodes.
    #[error("no {wanted} stream to convert (found: {found})")]
    NoStreams {
        /// The codecs that would do.
        wanted: &'static str,
        /// The codecs that are there.
        found: String,
    },
    /// A stream ends, or a new link begins, before its three header packets are complete.
    #[error("the {codec} stream ends before its headers are complete; {} converts the rest", option_against(*codec))]
    HeadersMissing {
        /// The stream's codec.
        codec: Codec,
    },
    /// A stream's headers are missing or cannot be decoded.
    #[error("{problem}; {} converts the rest", option_against(*codec))]
    Headers {
        /// The stream's codec.
        codec: Codec,
        /// What is wrong, and with which stream.
        problem: Box<dyn StdError + Send + Sync>,
    },
    /// The sound is of a kind that this library does not decode.
    #[error("its sound is {codec}, which cannot be decoded; --no-audio converts the rest")]
    Undecodable {
        /// The stream's codec.
        codec: Codec,
    },
    /// There is no stream of the number that was asked for.
    #[error("there is no {kind} stream {number}: the file has {count}")]
    NoSuchStream {
        /// `video` or `audio`.
        kind: &'static str,
        /// The number, from 1 on.
        number: usize,
        /// How many there are.
        count: usize,
    },
    /// It is damaged, and damage was asked to be an error.
    #[error("{first}")]
    Damaged {
        /// What was found first.
        first: String,
    },
    /// The headers are there, but no picture and no sound.
    #[error("there is no picture and no sound in it")]
    Empty,
    /// It ends before the place where the output is to begin.
    #[error("it ends at {end}, before the start that is wanted")]
    StartsBehindEnd {
        /// Where it ends.
        end: Time,
    },
    /// It runs longer than the timestamps of FLV can tell.
    #[error("it is longer than 24 days, more than FLV timestamps can tell")]
    TooLong,
    /// Its sound pauses for longer than anybody would want to fill with silence.
    #[error("its sound pauses for more than {hours} hours; --no-audio converts the rest")]
    TooSilent {
        /// The limit in hours.
        hours: u32,
    },
    /// The streams lie so far apart that too much would have to be held in memory.
    #[error(
        "its sound and pictures lie too far apart in the file: more than {limit} MiB would have to be held"
    )]
    Interleaving {
        /// The limit in MiB.
        limit: usize,
    },
}

/// What is wrong with an output.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum OutputError {
    /// It cannot be created or written.
    #[error("cannot be written: {0}")]
    Io(#[from] io::Error),
    /// It cannot be uploaded.
    #[cfg(feature = "s3")]
    #[error(transparent)]
    Upload(#[from] crate::upload::UploadError),
    /// It is there already.
    #[error("exists already; --overwrite replaces it")]
    Exists,
    /// It is a folder.
    #[error("is a folder")]
    Folder,
    /// It is a symbolic link that leads nowhere.
    #[error("is a symbolic link that leads nowhere")]
    DeadLink,
    /// The name of a picture says nothing of its format.
    #[error("is no name for a picture: it has to end with .jpg or .png")]
    PosterFormat,
    /// The requested file size leaves nothing for the pictures.
    #[error("{size} bytes are too few: {rest} are taken by sound and headers")]
    SizeTooSmall {
        /// Requested size in bytes.
        size: u64,
        /// Bytes that are not the pictures'.
        rest: u64,
    },
    /// It is the input.
    #[error("is the input itself")]
    IsInput,
    /// The requested picture size is none that the encoder takes.
    #[error("pictures of {width}x{height} cannot be encoded: {problem}")]
    Picture {
        /// Requested width.
        width: usize,
        /// Requested height.
        height: usize,
        /// What the encoder says.
        problem: Box<dyn StdError + Send + Sync>,
    },
    /// The requested sound is none that the encoder takes.
    #[error("the sound cannot be encoded: {problem}")]
    Sound {
        /// What the encoder says.
        problem: Box<dyn StdError + Send + Sync>,
    },
}

/// The option that leaves streams of a codec out.
fn option_against(codec: Codec) -> &'static str {
    if codec == Codec::Theora { "--no-video" } else { "--no-audio" }
}
