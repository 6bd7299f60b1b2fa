//! The thread graph of a conversion.
//!
//! ```text
//!            packets          pictures         plans           pictures
//!          ┌─────────▶ decode ─────────▶ plan ───────▶ encode ─────────┐
//!   demux ─┤                                                           ├─▶ interleave ─▶ body, head
//!          └─────────▶ sound ──────────────────────────────────────────┘   (the caller's thread)
//!            packets                                    MP3 frames
//! ```
//!
//! Every edge is bounded. A message carries
//! its time on the output's timeline, which [`source`] alone works out. A stage that ends in order sends `End`; an
//! edge that closes without it makes the next stage stop, too, and the first cause is reported.
//!
//! Each stage has a thread, and decoder and encoder have more of them. With one thread for pictures, decode, plan and
//! encode share it. What a stage gives depends on what it took and never on when.

mod clocks;
mod counters;
mod damage;
mod decode;
mod encode;
mod interleave;
mod plan;
mod queue;
mod sound;
mod source;

use std::io::{self, Read, Write};
use std::ops::ControlFlow;
use std::sync::mpsc::{channel, sync_channel};
use std::sync::{Arc, PoisonError};
use std::thread::{Builder, JoinHandle};
use std::time::Duration;

use oggflv_common::Frame;
use oggflv_sorenson::{FirstPass, RateControl};

use crate::comments::Texts;
use crate::contact_sheet::Thumbnails;
use crate::error::{Error, InputError, OutputError};
use crate::mp3::Frames;
use crate::ogg::StreamEnd;
use crate::options::Options;
use crate::time::Time;
use clocks::Stage;
use counters::Counters;
pub use damage::Loss;

/// Packets that the demuxer may be ahead of a decoder.
const PACKETS_AHEAD: usize = 64;
/// Pictures that the decoder may be ahead of the planning.
const PICTURES_AHEAD: usize = 4;
/// Pictures that the planning may be ahead of the encoder. Plans are made for a dozen pictures at a time, and while
/// the encoder is busy with those, the next ones have to come in.
const PLANS_AHEAD: usize = 20;
/// A picture that is larger takes several places, which have to be free first.
const PLACE_BYTES: usize = 4 << 20;
/// Tags that the encoders may be ahead of an output that takes its time, about half a minute. The interleaver takes whatever
/// comes and holds what has to wait for its counterpart, so no stage waits here for another one.
const TAGS_AHEAD: usize = 2048;

/// How far a conversion has come.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Progress {
    /// Which pass over the input this is, from 1 on.
    pub pass: u32,
    /// How many passes there are.
    pub passes: u32,
    /// Bytes of the input read so far.
    pub bytes_read: u64,
    /// Size of the input in bytes; `None` for a pipe.
    pub bytes_total: Option<u64>,
    /// Bytes of the output written so far.
    pub bytes_written: u64,
    /// How much of the content is done.
    pub time: Time,
    /// Duration of the content by the last pages of the input; `None` where they do not tell: for a pipe, and for all but
    /// the last link of a chain.
    pub duration: Option<Time>,
}

impl Progress {
    /// The share of the work that is done, from 0 to 1, by time, else by bytes; `None` for a pipe.
    #[must_use]
    pub fn fraction(&self) -> Option<f64> {
        let of_pass = match (self.duration, self.bytes_total) {
            (Some(duration), _) => self.time.seconds() / duration.seconds(),
            (None, Some(bytes)) => self.bytes_read as f64 / bytes.max(1) as f64,
            (None, None) => return None,
        };
        Some(
            (f64::from(self.pass.saturating_sub(1)) + of_pass.clamp(0.0, 1.0))
                / f64::from(self.passes.max(1)),
        )
    }
}

/// What a finished conversion did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Duration of the content.
    pub duration: Time,
    /// Size of the output in bytes.
    pub bytes: u64,
    /// Bytes of its video tags without their headers.
    pub video_bytes: u64,
    /// Bytes of its audio tags without their headers.
    pub audio_bytes: u64,
    /// Size of the output's pictures, if there are any.
    pub size: Option<(usize, usize)>,
    /// What became of the pictures.
    pub pictures: Pictures,
    /// Peak signal-to-noise ratio of the coded pictures against those that were encoded, in decibels, of Y, U and V, if
    /// it was [wanted](crate::Options::psnr). Infinite if there is no difference.
    pub psnr: Option<[f64; 3]>,
    /// CPU time by stage, where the system tells it. From six threads on, scaling has some that are not counted.
    pub cpu: Vec<(&'static str, Duration)>,
    /// What the user should know though it did not stop the conversion, a sentence each.
    pub warnings: Vec<String>,
    /// What the user may want to know of the output, a sentence each.
    pub notes: Vec<String>,
    /// Where something of the input was lost, in order of time.
    pub losses: Vec<Loss>,
}

/// Counts of pictures.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Pictures {
    /// Packets of the source, each a picture or a repetition.
    pub decoded: u64,
    /// Those of them that could not be decoded; the picture before stands in for them.
    pub damaged: u64,
    /// Pictures of the output.
    pub coded: u64,
    /// Pictures of the output that only repeat the one before.
    pub repeated: u64,
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

/// What is converted.
pub(crate) struct Input<R> {
    pub reader: R,
    /// Where its streams end, if it could be looked at before.
    pub ends: Vec<StreamEnd>,
}

/// Where the result goes.
pub(crate) struct Target<W> {
    /// Takes the tags.
    pub body: W,
    /// Whether the body gets a head, too, with what is known at the start.
    pub streaming: bool,
    /// Names and texts for the metadata that go before the comments of the source.
    pub metadata: Texts,
    /// Sound that is copied in place of the source's.
    pub sound: Option<CopiedSound>,
}

/// MP3 frames in place of the source's sound.
pub(crate) struct CopiedSound {
    /// The file's name.
    pub name: String,
    pub frames: Frames<Box<dyn Read>>,
    /// How much of it is wanted.
    pub longest: Time,
}

/// Chooses the rate control, when it is known how long the content is, or that this cannot be known.
pub(crate) type Rate = Box<dyn FnOnce(Option<Time>) -> RateControl + Send>;

/// What a run gives.
pub(crate) struct Outcome<W> {
    pub body: W,
    /// What belongs in front of the body, unless it was streaming.
    pub head: Vec<u8>,
    pub report: Report,
    /// What the pictures took, if the rate control was recording it.
    pub first_pass: Option<FirstPass>,
    /// The picture for the poster, if one is wanted and there is one.
    pub poster: Option<Frame>,
    /// The small pictures for the contact sheet, if one is wanted.
    pub thumbnails: Option<Thumbnails>,
}

/// Runs a conversion: reads the input to its end and writes the tags to the target.
///
/// `observe` is called a few times a second; if it breaks, the conversion ends with [`Error::Interrupted`], without
/// waiting for an input that blocks.
pub(crate) fn run<R: Read + Send + 'static, W: Write>(
    input: Input<R>,
    target: Target<W>,
    options: &Options,
    rate: Rate,
    names: &Names<'_>,
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Outcome<W>, Error> {
    let (video_packets, decoder_input) = sync_channel(PACKETS_AHEAD);
    let (audio_packets, sound_input) = sync_channel(PACKETS_AHEAD);
    let (used_pictures, free_pictures) = channel();
    let (recorded, first_pass) = channel();
    let (tags, interleaver_input) = sync_channel(TAGS_AHEAD);
    let thumbnails = options.contact_sheet.as_ref().map(|sheet| Thumbnails::new(sheet.grid));
    let counters = Arc::new(Counters { thumbnails: thumbnails.into(), ..Counters::default() });
    let mut stages = Vec::new();

    let (source_options, source_counters) = (options.clone(), counters.clone());
    stages.push(spawn(Stage::Demux, &counters, move || {
        source::run(input, &source_options, source_counters, &video_packets, &audio_packets)
    })?);
    let pictures = decode::Pictures::new(decoder_input, free_pictures, options, counters.clone());
    let pictures = ahead(
        Stage::Decode,
        (PICTURES_AHEAD, decode::Picture::bytes),
        pictures,
        options,
        &counters,
        &mut stages,
    )?;
    let plans = plan::Plans::new(pictures, options.keyframe_interval, options.preset);
    let plans =
        ahead(Stage::Plan, (PLANS_AHEAD, plan::Planned::bytes), plans, options, &counters, &mut stages)?;
    let (encode_options, encode_counters, video_tags) = (options.clone(), counters.clone(), tags.clone());
    stages.push(spawn(Stage::Encode, &counters, move || {
        let ways_out = encode::WaysOut { used: &used_pictures, tags: &video_tags, first_pass: &recorded };
        encode::run(plans, ways_out, rate, &encode_options, &encode_counters)
    })?);
    let (sound_options, sound_counters) = (options.clone(), counters.clone());
    stages.push(spawn(Stage::Sound, &counters, move || {
        sound::run(&sound_input, &tags, &sound_options, &sound_counters)
    })?);

    let muxing = counters.clocks.enter(Stage::Mux);
    let muxed = interleave::run(&interleaver_input, target, &counters, observe);
    drop(muxing);
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
    let (mut failures, mut notes) = (Vec::new(), Vec::new());
    for (stage, handle) in stages {
        match handle.join() {
            Ok(Ok(more)) => notes.extend(more),
            Ok(Err(stop)) => failures.extend(name(stop)),
            Err(_) => failures.push(Error::Stage(stage)),
        }
    }
    let mut warnings = counters.damage.warnings();
    if options.strict && !warnings.is_empty() {
        let problem = InputError::Damaged { first: warnings.swap_remove(0) };
        failures.push(Error::Input { name: names.input.to_owned(), problem });
    }
    warnings.extend(notes);
    if let Some(first) = failures.into_iter().next() {
        return Err(first);
    }
    let (body, head, mut report) = muxed.ok_or(Error::Stage("interleave"))?;
    report.pictures = counters.pictures();
    report.psnr = report.size.filter(|_| options.psnr).map(|size| counters.psnr(size));
    report.cpu = counters.clocks.read();
    report.warnings = warnings;
    report.notes = counters.notes.read();
    report.losses = counters.damage.places();
    let poster = counters.poster.lock().unwrap_or_else(PoisonError::into_inner).take();
    let thumbnails = counters.thumbnails.lock().unwrap_or_else(PoisonError::into_inner).take();
    Ok(Outcome { body, head, report, first_pass: first_pass.try_recv().ok(), poster, thumbnails })
}

/// The thread of a stage and its name.
type StageThread = (&'static str, JoinHandle<Result<Vec<String>, Stop>>);

/// Starts a stage on a thread that bears its name.
fn spawn(
    stage: Stage,
    counters: &Arc<Counters>,
    work: impl FnOnce() -> Result<Vec<String>, Stop> + Send + 'static,
) -> Result<StageThread, Error> {
    let (name, counters) = (stage.name(), Arc::clone(counters));
    let thread = Builder::new().name(name.to_owned()).spawn(move || {
        let _running = counters.clocks.enter(stage);
        work()
    });
    Ok((name, thread.map_err(Error::Threads)?))
}

/// Lets a stage work ahead on a thread of its own, unless there is one thread for all. `places` is how many pictures it may be
/// ahead, and how many bytes they have.
fn ahead<T: Send + 'static>(
    stage: Stage,
    places: (usize, fn(&T) -> usize),
    mut items: impl Iterator<Item = T> + Send + 'static,
    options: &Options,
    counters: &Arc<Counters>,
    stages: &mut Vec<StageThread>,
) -> Result<Box<dyn Iterator<Item = T> + Send>, Error> {
    if options.threads.get() == 1 {
        let counters = Arc::clone(counters);
        return Ok(Box::new(std::iter::from_fn(move || {
            let _running = counters.clocks.enter(stage);
            items.next()
        })));
    }
    let (places, bytes) = places;
    let (sender, receiver) = sync_channel(places);
    stages.push(spawn(stage, counters, move || {
        for item in items {
            queue::jitter();
            for _ in 0..bytes(&item) / PLACE_BYTES {
                sender.send(None)?;
            }
            sender.send(Some(item))?;
        }
        Ok(Vec::new())
    })?);
    Ok(Box::new(receiver.into_iter().flatten()))
}

impl From<io::Error> for Stop {
    /// Only the body is written to directly; the input's errors are named where they arise.
    fn from(error: io::Error) -> Self {
        Self::Output(OutputError::Io(error))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{Line, Preset, VideoRate};
    use std::num::NonZeroUsize;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::mpsc::Receiver;

    /// Reads in pieces of changing size, like a pipe.
    struct Pieces<'a> {
        rest: &'a [u8],
        count: usize,
    }

    impl Read for Pieces<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.count += 1;
            queue::jitter();
            let size = (self.count * 7919 % 5000 + 1).min(buffer.len()).min(self.rest.len());
            let (piece, rest) = self.rest.split_at(size);
            buffer[..size].copy_from_slice(piece);
            self.rest = rest;
            Ok(size)
        }
    }

    fn rate(options: &Options) -> Rate {
        let rate = match options.video_rate {
            VideoRate::Average(bits_per_second) => RateControl::average(bits_per_second.get()),
            _ => RateControl::constant(60),
        };
        let rate = options.within_line(rate);
        Box::new(|_| rate)
    }

    fn convert(options: &Options) -> Vec<u8> {
        let input = Pieces { rest: &include_bytes!("../../tests/media/flash-click.ogv")[..], count: 0 };
        let names = Names { input: "in", output: "out" };
        let mut observe = |_| ControlFlow::Continue(());
        let input = Input { reader: input, ends: Vec::new() };
        let target = Target { body: Vec::new(), streaming: false, metadata: Vec::new(), sound: None };
        let outcome = run(input, target, options, rate(options), &names, &mut observe).unwrap();
        [outcome.head, outcome.body].concat()
    }

    /// A body that waits until it is let go on.
    struct Blocked(Receiver<()>);

    impl Write for Blocked {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let _ = self.0.recv(); // let go on for good as soon as the sender is gone
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Counts what is read.
    struct Counted<R>(R, Arc<AtomicU64>);

    impl<R: Read> Read for Counted<R> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let count = self.0.read(buffer)?;
            self.1.fetch_add(count as u64, Ordering::Relaxed);
            Ok(count)
        }
    }

    #[test]
    fn an_output_that_takes_its_time_holds_back_the_input() {
        let sample = &include_bytes!("../../tests/media/flash-click.ogv")[..];
        let input = sample.repeat(30);
        let total = input.len() as u64;
        let read = Arc::new(AtomicU64::new(0));
        let reader = Counted(io::Cursor::new(input), Arc::clone(&read));
        let (go_on, blocked) = channel();
        let conversion = std::thread::spawn(move || {
            let options = Options { size: Some("16x16".parse().unwrap()), ..Options::default() };
            let target =
                Target { body: Blocked(blocked), streaming: true, metadata: Vec::new(), sound: None };
            let input = Input { reader, ends: Vec::new() };
            let names = Names { input: "in", output: "out" };
            run(input, target, &options, rate(&options), &names, &mut |_| ControlFlow::Continue(())).unwrap()
        });
        // When nothing has been read for a while, all queues are full.
        let mut before = 0;
        loop {
            std::thread::sleep(Duration::from_millis(500));
            let now = read.load(Ordering::Relaxed);
            if now > 0 && now == before {
                break;
            }
            before = now;
        }
        assert!(before < total / 2, "{before} of {total} bytes were read");
        drop(go_on);
        conversion.join().unwrap();
        assert_eq!(read.load(Ordering::Relaxed), total);
    }

    #[test]
    fn neither_threads_nor_delays_change_a_byte() {
        let rates = [VideoRate::default(), VideoRate::Average(300_000.try_into().unwrap())];
        for (video_rate, preset) in rates.into_iter().zip([Preset::Balanced, Preset::Fast]) {
            let options = Options {
                video_rate,
                preset,
                line: Some(Line {
                    bits_per_second: 600_000.try_into().unwrap(),
                    buffer_bits: 400_000.try_into().unwrap(),
                }),
                size: Some("72x40".parse().unwrap()),
                keyframe_interval: Time::SECOND,
                threads: NonZeroUsize::MIN,
                ..Options::default()
            };
            let expected = convert(&options);
            assert!(expected.len() > 10_000);
            for threads in [1, 2, 3, 7, 16] {
                let options = Options { threads: threads.try_into().unwrap(), ..options.clone() };
                queue::injected::set_seed(threads as u64);
                let file = convert(&options);
                queue::injected::set_seed(0);
                assert!(file == expected, "{threads} threads: {} bytes, {}", file.len(), expected.len());
            }
        }
    }
}
