//! The thread graph of a conversion.
//!
//! ```text
//!            packets          pictures           pictures
//!          ┌─────────▶ decode ─────────▶ encode ─────────┐
//!   demux ─┤                                             ├─▶ interleave ─▶ body, head
//!          └─────────▶ sound ────────────────────────────┘   (the caller's thread)
//!            packets                      MP3 frames
//! ```
//!
//! Every edge but the last is bounded; the last one is bounded by what the interleaver holds back. A message carries
//! its time on the output's timeline, which [`source`] alone works out. A stage that ends in order sends `End`; an
//! edge that closes without it makes the next stage stop, too, and the first cause is reported.

mod interleave;
mod sound;
mod source;
mod video;

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::sync::mpsc::{channel, sync_channel};
use std::thread::{Builder, JoinHandle};

use crate::error::{Error, InputError, OutputError};
use crate::options::Options;
use crate::time::Time;

/// Packets that the demuxer may be ahead of a decoder.
const PACKETS_AHEAD: usize = 64;
/// Pictures that the decoder may be ahead of the encoder.
const PICTURES_AHEAD: usize = 4;

/// How far a conversion has come.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Bytes of the input read so far.
    pub bytes_read: u64,
    /// Bytes of the output written so far.
    pub bytes_written: u64,
    /// How much of the content is done.
    pub time: Time,
}

/// What a finished conversion did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Duration of the content.
    pub duration: Time,
    /// Size of the output in bytes.
    pub bytes: u64,
    /// Size of the output's pictures, if there are any.
    pub size: Option<(usize, usize)>,
    /// What the user should know though it did not stop the conversion, a sentence each.
    pub warnings: Vec<String>,
}

/// Why a stage ended early.
enum Stop {
    /// A neighbour ended; it knows why.
    Closed,
    Input(InputError),
    Output(OutputError),
    Interrupted,
}

impl<T> From<std::sync::mpsc::SendError<T>> for Stop {
    fn from(_: std::sync::mpsc::SendError<T>) -> Self {
        Self::Closed
    }
}

/// The names by which errors call input and output.
pub(crate) struct Names<'a> {
    pub input: &'a str,
    pub output: &'a str,
}

/// Runs a conversion: reads `input` to its end, writes the tags to `body` and returns it with the head that belongs
/// in front of it.
///
/// `observe` is called a few times a second; if it breaks, the conversion ends with [`Error::Interrupted`], without
/// waiting for an input that blocks.
pub(crate) fn run<R: Read + Send + 'static, W: Write>(
    input: R,
    body: W,
    options: &Options,
    names: &Names<'_>,
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(W, Vec<u8>, Report), Error> {
    let (video_packets, decoder_input) = sync_channel(PACKETS_AHEAD);
    let (audio_packets, sound_input) = sync_channel(PACKETS_AHEAD);
    let (pictures, encoder_input) = sync_channel(PICTURES_AHEAD);
    let (used_pictures, free_pictures) = channel();
    let (tags, interleaver_input) = channel();
    let position = source::Position::default();

    let source_options = options.clone();
    let demux_position = position.clone();
    let demux = spawn("demux", move || {
        source::run(input, &source_options, &demux_position, &video_packets, &audio_packets)
    })?;
    let size = options.size;
    let decode = spawn("decode", move || video::decode(&decoder_input, &pictures, &free_pictures, size))?;
    let quality = options.quality;
    let video_tags = tags.clone();
    let encode =
        spawn("encode", move || video::encode(&encoder_input, &used_pictures, &video_tags, quality))?;
    let bitrate = options.audio_bitrate;
    let sound = spawn("sound", move || sound::run(&sound_input, &tags, bitrate))?;

    let muxed = interleave::run(&interleaver_input, body, &position, observe);
    let name = |stop| match stop {
        Stop::Closed => None,
        Stop::Input(problem) => Some(Error::Input { name: names.input.to_owned(), problem }),
        Stop::Output(problem) => Some(Error::Output { name: names.output.to_owned(), problem }),
        Stop::Interrupted => Some(Error::Interrupted),
    };
    // Interruption and failing output are known here first, and then the demuxer may wait for its input for ever.
    let muxed = match muxed.map_err(name) {
        Err(Some(error)) => return Err(error),
        Err(None) => None,
        Ok(muxed) => Some(muxed),
    };
    drop(interleaver_input);
    let mut failures = Vec::new();
    let mut join = |stage: &'static str, handle: JoinHandle<Result<Vec<String>, Stop>>| match handle.join() {
        Ok(Ok(warnings)) => warnings,
        Ok(Err(stop)) => {
            failures.extend(name(stop));
            Vec::new()
        }
        Err(_) => {
            failures.push(Error::Stage(stage));
            Vec::new()
        }
    };
    let mut warnings = join("demux", demux);
    warnings.extend(join("decode", decode));
    warnings.extend(join("encode", encode));
    warnings.extend(join("sound", sound));
    if let Some(first) = failures.into_iter().next() {
        return Err(first);
    }
    let (body, head, mut report) = muxed.ok_or(Error::Stage("interleave"))?;
    report.warnings = warnings;
    Ok((body, head, report))
}

/// Starts a stage on a thread that bears its name.
fn spawn<T: Send + 'static>(
    name: &'static str,
    stage: impl FnOnce() -> T + Send + 'static,
) -> Result<JoinHandle<T>, Error> {
    Builder::new().name(name.to_owned()).spawn(stage).map_err(Error::Threads)
}

impl From<io::Error> for Stop {
    /// Only the body is written to directly; the input's errors are named where they arise.
    fn from(error: io::Error) -> Self {
        Self::Output(OutputError::Io(error))
    }
}
