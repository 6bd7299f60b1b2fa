//! FLV files put together anew without encoding anything: an index and metadata that are right, damage left out, parts,
//! files one after the other, other sound.
//!
//! Inputs are read several times: to see what they hold, to find where a part begins, to make the head, and to copy. Memory
//! holds the index of the key frames, and a few tags.

mod clock;
mod extract;
mod formats;
mod input;
mod tags;
mod walk;

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use crate::convert::{open_stream, resolve_target};
use crate::error::{Error, InputError, OutputError};
use crate::flv::{CopiedAudio, CopiedVideo, Muxer, TagType, Value, sound_format};
use crate::mp3::Frames;
use crate::output::Output;
use crate::time::Time;
use formats::Formats;
use input::Input;
use tags::milliseconds;
use walk::Walk;

/// The settings of a copy. The default copies everything.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the output begins: with the last key frame before this.
    pub start: Time,
    /// Where it ends.
    pub end: Time,
    /// An MP3 file whose sound takes the place of the input's, from the first picture on.
    pub audio: Option<PathBuf>,
    /// Whether pictures are copied.
    pub video: bool,
    /// Whether sound is copied.
    pub sound: bool,
    /// Names and texts for the metadata; they take the place of what the input says, and an empty one leaves that out.
    pub metadata: Vec<(String, String)>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            start: Time::ZERO,
            end: Time::MAX,
            audio: None,
            video: true,
            sound: true,
            metadata: Vec::new(),
        }
    }
}

/// What a finished copy did.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// Duration of the output.
    pub duration: Time,
    /// Size of the output in bytes.
    pub bytes: u64,
    /// Where the output begins in the input.
    pub start: Time,
    /// Pictures that were copied.
    pub pictures: u64,
    /// Key frames among them.
    pub key_frames: u64,
    /// Tags of sound, or MP3 frames, that were copied.
    pub sounds: u64,
    /// What the user should know though it did not stop the copy, a sentence each.
    pub warnings: Vec<String>,
}

/// Is asked now and then whether to go on.
type GoOn<'a> = &'a mut dyn FnMut() -> ControlFlow<()>;

/// Copies FLV files, one behind the other, into the FLV file `output`, or their sound into an MP3 file, if its name ends so.
///
/// Inputs and output may be [`STANDARD_STREAM`](crate::STANDARD_STREAM). The output is complete or absent. One that exists
/// already is replaced only if `overwrite` says so. `go_on` is asked now and then; if it breaks, the copy ends with
/// [`Error::Interrupted`].
///
/// # Errors
/// If an input cannot be read, holds nothing to copy, or cannot be joined with the one before; if the output cannot be
/// written. Nothing of the output is left then.
///
/// # Panics
/// If there are no inputs.
pub fn remux_files(
    inputs: &[PathBuf],
    output: &Path,
    overwrite: bool,
    options: &Options,
    go_on: &mut dyn FnMut() -> ControlFlow<()>,
) -> Result<Report, Error> {
    assert!(!inputs.is_empty(), "there is nothing to copy");
    let name = output.display().to_string();
    let output_error = |problem| Error::Output { name: name.clone(), problem };
    let stream = open_stream(output).map_err(|problem| output_error(problem.into()))?;
    let mut target = output.to_owned();
    if stream.is_none() {
        for input in inputs.iter().chain(&options.audio) {
            target = resolve_target(input, output, overwrite).map_err(output_error)?;
        }
    }
    let film = Film::open(inputs, options, go_on)?;
    let job = Job { film: &film, options, output_name: &name };
    let is_mp3 = output.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("mp3"));
    let write = |out: &mut dyn Write, go_on: GoOn<'_>| {
        if is_mp3 { job.write_mp3(out, go_on) } else { job.write_flv(out, go_on) }
    };
    if let Some(stream) = stream {
        let mut out = BufWriter::with_capacity(1 << 16, stream);
        let report = write(&mut out, go_on)?;
        out.flush().map_err(|problem| output_error(problem.into()))?;
        return Ok(report);
    }
    let mut out = Output::create(&target, overwrite).map_err(|problem| output_error(problem.into()))?;
    let report = write(&mut out, go_on)?;
    out.complete(&[]).map_err(|problem| match problem.kind() {
        io::ErrorKind::AlreadyExists => output_error(OutputError::Exists),
        _ => output_error(problem.into()),
    })?;
    Ok(report)
}

/// The inputs, and what they hold.
#[derive(Debug)]
struct Film {
    inputs: Vec<(Input, Formats)>,
    audio: Option<Input>,
}

impl Film {
    fn open(paths: &[PathBuf], options: &Options, go_on: GoOn<'_>) -> Result<Self, Error> {
        let mut inputs: Vec<(Input, Formats)> = Vec::new();
        for path in paths {
            let input = Input::open(path)?;
            let formats = read_formats(&input, go_on)?;
            if let Some((before, expected)) = inputs.first()
                && let Some(difference) = formats.difference(expected)
            {
                let before = before.name.clone();
                return Err(input.error(InputError::Different { before, difference }));
            }
            inputs.push((input, formats));
        }
        let audio = options.audio.as_deref().map(Input::open).transpose()?;
        Ok(Self { inputs, audio })
    }

    /// The first input, by which the others go.
    fn first(&self) -> (&Input, &Formats) {
        let (input, formats) = self.inputs.first().expect("there is an input");
        (input, formats)
    }
}

fn read_formats(input: &Input, go_on: GoOn<'_>) -> Result<Formats, Error> {
    let file = input.rewound().map_err(|problem| input.error(problem))?;
    let mut looked_at = 0;
    let mut interrupted = false;
    let formats = Formats::read(file, &mut |offset| {
        if offset >= looked_at + walk::ASK_BYTES {
            looked_at = offset;
            interrupted = go_on().is_break();
        }
        if interrupted { Err(io::ErrorKind::Interrupted.into()) } else { Ok(()) }
    });
    match formats {
        _ if interrupted => Err(Error::Interrupted),
        Ok(formats) if formats.video.is_none() && formats.audio.is_none() => {
            Err(input.error(InputError::Empty))
        }
        Ok(formats) => Ok(formats),
        Err(problem)
            if matches!(problem.kind(), io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof) =>
        {
            Err(input.error(InputError::NotFlv(problem.to_string())))
        }
        Err(problem) => Err(input.error(problem)),
    }
}

/// A copy that is under way.
struct Job<'a> {
    film: &'a Film,
    options: &'a Options,
    output_name: &'a str,
}

/// MP3 frames that lie under the pictures, the next one at hand.
struct Sound<'a> {
    input: &'a Input,
    frames: Frames<&'a File>,
    next: Option<(Time, Vec<u8>)>,
}

impl<'a> Sound<'a> {
    fn new(input: &'a Input) -> Result<Self, Error> {
        let file = input.rewound().map_err(|problem| input.error(problem))?;
        let mut sound =
            Self { input, frames: Frames::new(file).map_err(|problem| input.error(problem))?, next: None };
        sound.advance()?;
        Ok(sound)
    }

    fn advance(&mut self) -> Result<(), Error> {
        self.next = self.frames.next_frame().map_err(|problem| self.input.error(problem))?;
        Ok(())
    }
}

impl Job<'_> {
    fn output_error(&self, problem: impl Into<OutputError>) -> Error {
        Error::Output { name: self.output_name.to_owned(), problem: problem.into() }
    }

    /// Goes over the tags twice: to make the head, and to write them behind it.
    fn write_flv(&self, mut out: &mut dyn Write, go_on: GoOn<'_>) -> Result<Report, Error> {
        let start = walk::find_start(self.film, self.options, go_on)?;
        let (_, head, expected) = self.mux(io::sink(), &start, go_on)?;
        out.write_all(&head).map_err(|problem| self.output_error(problem))?;
        let (_, _, report) = self.mux(&mut out, &start, go_on)?;
        if report.bytes != expected.bytes {
            return Err(self.film.first().0.error(InputError::Changed));
        }
        Ok(report)
    }

    /// Copies all tags to `body`; returns it, and the head that belongs in front of it.
    fn mux<W: Write>(
        &self,
        body: W,
        start: &walk::Start,
        go_on: GoOn<'_>,
    ) -> Result<(W, Vec<u8>, Report), Error> {
        let (_, formats) = self.film.first();
        let mut sound = self.film.audio.as_ref().map(Sound::new).transpose()?;
        let copied = |byte: u8| CopiedAudio { tag_byte: byte, sample_rate: sound_format(byte).0 };
        let audio_format = match &sound {
            Some(sound) => Some(sound.frames.format().into()),
            None => formats.audio.filter(|_| self.options.sound).map(copied),
        };
        let video_format = formats.video.filter(|_| self.options.video).map(|codec_id| CopiedVideo {
            codec_id,
            size: formats.size.map(|(width, height)| (width as usize, height as usize)),
        });
        let mut muxer = Muxer::copying(body, video_format, audio_format)
            .with_values(self.metadata(video_format.is_some(), audio_format.is_some() && sound.is_none()));
        // Pictures are held back by as much as decoders delay the sound.
        let delay = sound.as_ref().map_or(0, |sound| sound.frames.delay().milliseconds());
        let length = self.options.end - milliseconds(start.time);
        let mut report = Report { start: milliseconds(start.time), ..Report::default() };
        let mut first_picture = None;
        let mut walk = Walk::new(self.film, self.options, start, sound.is_none());
        while let Some(tag) = walk.next(go_on)? {
            let mut time = tag.time;
            if sound.is_some() && tag.tag_type == TagType::Video {
                time -= *first_picture.get_or_insert(time);
            }
            if tag.tag_type == TagType::Video {
                time += delay;
            }
            let timestamp = timestamp(time).ok_or_else(|| self.film.first().0.error(InputError::TooLong))?;
            if let Some(sound) = &mut sound {
                self.lay_sound(sound, &mut muxer, time, &mut report)?;
            }
            let written = match tag.tag_type {
                TagType::Audio => {
                    report.sounds += u64::from(!tag.is_header);
                    muxer.copy_audio(timestamp, &tag.body)
                }
                TagType::Video => {
                    let is_picture = !tag.is_header && !tag.is_end;
                    report.pictures += u64::from(is_picture);
                    report.key_frames += u64::from(is_picture && tag.is_key_frame);
                    muxer.copy_video(timestamp, tag.is_key_frame, &tag.body)
                }
                TagType::Script => muxer.copy_script(timestamp, &tag.body),
            };
            written.map_err(|problem| self.output_error(problem))?;
        }
        let mut end = walk.end() - first_picture.unwrap_or(0) + delay;
        report.warnings = walk.into_warnings();
        if let Some(sound) = &mut sound {
            // It goes on under the last picture.
            let rest = (length + sound.frames.delay()).milliseconds();
            self.lay_sound(sound, &mut muxer, rest, &mut report)?;
            end = end.max(sound.frames.end().milliseconds());
            if sound.frames.format().sample_rate == 8000 {
                report
                    .warnings
                    .push("MP3 of 8000 Hz has a number of its own in FLV, which few players know".to_owned());
            }
            if sound.frames.junk() > 0 {
                let (name, bytes) = (&sound.input.name, sound.frames.junk());
                report.warnings.push(format!("{bytes} bytes of {name} are no MP3 frames and are left out"));
            }
        }
        if report.pictures + report.sounds == 0 {
            return Err(self.film.first().0.error(InputError::Empty));
        }
        report.duration = milliseconds(end);
        let body_bytes = muxer.body_bytes();
        let (body, head) = muxer.finish(end.max(0) as u64).map_err(|problem| self.output_error(problem))?;
        report.bytes = head.len() as u64 + body_bytes;
        Ok((body, head, report))
    }

    /// Writes the MP3 frames that come before `time`, in milliseconds.
    fn lay_sound<W: Write>(
        &self,
        sound: &mut Sound<'_>,
        muxer: &mut Muxer<W>,
        time: i64,
        report: &mut Report,
    ) -> Result<(), Error> {
        while let Some((at, frame)) = sound.next.take_if(|(at, _)| at.milliseconds() < time) {
            let timestamp =
                timestamp(at.milliseconds()).ok_or_else(|| sound.input.error(InputError::TooLong))?;
            muxer.write_audio(timestamp, &frame).map_err(|problem| self.output_error(problem))?;
            report.sounds += 1;
            sound.advance()?;
        }
        Ok(())
    }

    /// What the first input says of itself, and what the user does.
    fn metadata(&self, has_video: bool, has_sound: bool) -> Vec<(String, Value)> {
        let own = &self.options.metadata;
        let mut values = self.film.first().1.kept_metadata(has_video, has_sound);
        values.retain(|(name, _)| own.iter().all(|(own, _)| !own.eq_ignore_ascii_case(name)));
        let texts = own.iter().filter(|(_, text)| !text.is_empty());
        values.extend(texts.map(|(name, text)| (name.clone(), Value::String(text.clone()))));
        values
    }
}

fn timestamp(time: i64) -> Option<u32> {
    (time <= i64::from(i32::MAX)).then_some(time.max(0) as u32)
}
