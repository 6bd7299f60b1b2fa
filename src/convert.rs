//! From a file to a file.

use std::fs::{self, File};
use std::io::{self, Read, Seek, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use oggflv_sorenson::RateControl;

use crate::error::{Error, InputError, OutputError};
use crate::mp3::Frames;
use crate::ogg;
use crate::options::{AudioRate, Options, Quality, VideoRate};
use crate::output::Output;
use crate::pipeline::{self, CopiedSound, Input, Names, Outcome, Progress, Rate, Report, Target};
use crate::poster::{self, Picture};
use crate::time::Time;
#[cfg(feature = "s3")]
use crate::upload::{ObjectWriter, UploadError, Uploaded};

/// Is told how far a conversion has come, and tells whether to go on.
type Observe<'a> = &'a mut dyn FnMut(Progress) -> ControlFlow<()>;

/// Bits per second of sound if nothing else is known.
const USUAL_SOUND: f64 = 128_000.0;

/// The name that stands for standard input, or for standard output.
pub const STANDARD_STREAM: &str = "-";

/// Converts the Ogg file `input` (or standard input, if it is [`STANDARD_STREAM`]) into the FLV file `output`
/// (or standard output).
///
/// The output is written under a temporary name in the same folder and gets its own name when it is complete. One
/// that exists already is replaced only if `overwrite` says so. Standard output, a named pipe or a device gets everything as
/// soon as it is ready; its metadata lack what is not known at the start: duration, sizes, rates, and the index of key frames.
///
/// `observe` is called about ten times a second; if it breaks, the conversion ends with [`Error::Interrupted`].
///
/// # Errors
/// If the input cannot be converted, or the output cannot be written. Nothing of the output is left then.
pub fn convert_file(
    input: &Path,
    output: &Path,
    overwrite: bool,
    options: &Options,
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<Report, Error> {
    let conversion = Conversion {
        input,
        input_name: &input.display().to_string(),
        output_name: &output.display().to_string(),
        options,
    };
    let output_error = |problem| conversion.output_error(problem);
    conversion.check_pictures(overwrite)?;
    let source = conversion.open()?;
    if let Some(stream) = open_stream(output).map_err(|problem| output_error(problem.into()))? {
        let rate = conversion.rate(observe)?;
        let body = io::BufWriter::with_capacity(1 << 16, stream);
        let mut outcome = conversion.run(source, conversion.target(body, true)?, rate, observe)?;
        outcome.body.flush().map_err(|problem| output_error(problem.into()))?;
        conversion.save_pictures(&mut outcome, overwrite)?;
        return Ok(conversion.report(outcome.report));
    }
    let target = resolve_target(input, output, overwrite).map_err(output_error)?;
    let body = Output::create(&target, overwrite).map_err(|problem| output_error(problem.into()))?;
    let rate = conversion.rate(observe)?;
    let mut outcome = conversion.run(source, conversion.target(body, false)?, rate, observe)?;
    conversion.save_pictures(&mut outcome, overwrite)?;
    outcome.body.complete(&outcome.head).map_err(|problem| match problem.kind() {
        io::ErrorKind::AlreadyExists => output_error(OutputError::Exists),
        _ => output_error(problem.into()),
    })?;
    Ok(conversion.report(outcome.report))
}

/// Converts the Ogg file `input` (or standard input, if it is [`STANDARD_STREAM`]) into an object, while it is made: nothing
/// is kept here. The object is the same as the file that [`convert_file`] would write.
///
/// Poster and contact sheet go into files, which are replaced only if `overwrite` says so.
///
/// # Errors
/// If the input cannot be converted, or the object cannot be written. Nothing of the object is left then.
#[cfg(feature = "s3")]
pub fn convert_to_object(
    input: &Path,
    object: ObjectWriter,
    overwrite: bool,
    options: &Options,
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(Report, Uploaded), Error> {
    let conversion = Conversion {
        input,
        input_name: &input.display().to_string(),
        output_name: &object.location().to_string(),
        options,
    };
    conversion.check_pictures(overwrite)?;
    let source = conversion.open()?;
    let rate = conversion.rate(observe)?;
    let target = conversion.target(object, false)?;
    let mut outcome = conversion.run(source, target, rate, observe).map_err(upload_error)?;
    conversion.save_pictures(&mut outcome, overwrite)?;
    let uploaded = outcome.body.complete(&outcome.head).map_err(|problem| match problem {
        UploadError::Interrupted => Error::Interrupted,
        problem => conversion.output_error(problem.into()),
    })?;
    Ok((conversion.report(outcome.report), uploaded))
}

/// What went wrong with an upload, where all that is known is that the body could not be written.
#[cfg(feature = "s3")]
fn upload_error(error: Error) -> Error {
    match error {
        Error::Output { name, problem: OutputError::Io(problem) } => match problem.downcast() {
            Ok(UploadError::Interrupted) => Error::Interrupted,
            Ok(problem) => Error::Output { name, problem: problem.into() },
            Err(problem) => Error::Output { name, problem: problem.into() },
        },
        error => error,
    }
}

/// What is asked for.
struct Conversion<'a> {
    input: &'a Path,
    input_name: &'a str,
    output_name: &'a str,
    options: &'a Options,
}

/// An input that is open.
struct Source {
    input: Input<Box<dyn Read + Send>>,
    bytes: Option<u64>,
}

impl Conversion<'_> {
    fn input_error(&self, problem: InputError) -> Error {
        Error::Input { name: self.input_name.to_owned(), problem }
    }

    fn output_error(&self, problem: OutputError) -> Error {
        Error::Output { name: self.output_name.to_owned(), problem }
    }

    fn open(&self) -> Result<Source, Error> {
        if self.input == Path::new(STANDARD_STREAM) {
            let input = Input { reader: Box::new(io::stdin()) as Box<dyn Read + Send>, ends: Vec::new() };
            return Ok(Source { input, bytes: None });
        }
        let open = || {
            let metadata = fs::metadata(self.input)?;
            if metadata.is_dir() {
                return Err(InputError::Folder);
            }
            let mut file = File::open(self.input)?;
            let (mut ends, mut bytes) = (Vec::new(), None);
            if metadata.is_file() {
                check_signature(&mut file)?;
                ends = ogg::stream_ends(&mut file)?;
                bytes = Some(metadata.len());
            }
            Ok(Source { input: Input { reader: Box::new(file), ends }, bytes })
        };
        open().map_err(|problem| self.input_error(problem))
    }

    fn run<W: Write>(
        &self,
        source: Source,
        target: Target<W>,
        rate: Rate,
        observe: Observe<'_>,
    ) -> Result<Outcome<W>, Error> {
        let passes = self.passes();
        let mut observe =
            |progress| observe(Progress { pass: passes, passes, bytes_total: source.bytes, ..progress });
        pipeline::run(source.input, target, &self.of_streams(), rate, &self.names(), &mut observe)
    }

    /// The options for the streams of the source.
    fn of_streams(&self) -> Options {
        Options { audio: self.options.audio && self.options.audio_file.is_none(), ..self.options.clone() }
    }

    fn target<W: Write>(&self, body: W, streaming: bool) -> Result<Target<W>, Error> {
        let sound = self.options.audio_file.as_deref().map(|path| self.copied_sound(path)).transpose()?;
        Ok(Target { body, streaming, metadata: self.options.metadata.clone(), sound })
    }

    fn copied_sound(&self, path: &Path) -> Result<CopiedSound, Error> {
        let name = path.display().to_string();
        let open = || {
            if fs::metadata(path)?.is_dir() {
                return Err(InputError::Folder);
            }
            Frames::new(Box::new(File::open(path)?) as Box<dyn Read>)
        };
        match open() {
            Ok(frames) => Ok(CopiedSound { name, frames, longest: self.options.longest() }),
            Err(problem) => Err(Error::Input { name, problem }),
        }
    }

    fn passes(&self) -> u32 {
        if matches!(self.options.video_rate, VideoRate::FileSize(_)) { 2 } else { 1 }
    }

    fn names(&self) -> Names<'_> {
        Names { input: self.input_name, output: self.output_name }
    }

    /// The rate control that is wanted; for a file size it takes a pass to know.
    fn rate(&self, observe: Observe<'_>) -> Result<Rate, Error> {
        let rate = match self.options.video_rate {
            VideoRate::Quality(quality) => quality.rate_control(),
            VideoRate::Average(bits_per_second) => RateControl::average(bits_per_second.get()),
            VideoRate::FileSize(size) => self.first_pass(size.get(), observe)?,
        };
        let rate = self.options.within_line(rate);
        Ok(Box::new(|_| rate))
    }

    /// The files that are to hold pictures of the film.
    fn picture_files(&self) -> impl Iterator<Item = &Path> {
        let poster = self.options.poster.as_ref().map(|poster| poster.path.as_path());
        let sheet = self.options.contact_sheet.as_ref().map(|sheet| sheet.path.as_path());
        poster.into_iter().chain(sheet)
    }

    /// Refuses pictures of a kind that is not known, or that must not be replaced, before any work is done.
    fn check_pictures(&self, overwrite: bool) -> Result<(), Error> {
        for path in self.picture_files() {
            if path.exists() && !overwrite {
                return Err(picture_error(path, OutputError::Exists));
            }
            if poster::format(path).is_none() {
                return Err(picture_error(path, OutputError::PosterFormat));
            }
        }
        Ok(())
    }

    /// Saves the pictures, each of which is complete or absent, too.
    fn save_pictures<W>(&self, outcome: &mut Outcome<W>, overwrite: bool) -> Result<(), Error> {
        if let (Some(poster), Some(picture)) = (&self.options.poster, outcome.poster.take()) {
            save_picture(&poster.path, &Picture::of(&picture), overwrite)?;
        }
        if let (Some(sheet), Some(thumbnails)) = (&self.options.contact_sheet, outcome.thumbnails.take()) {
            let picture = thumbnails.sheet(outcome.report.duration, self.options.start);
            save_picture(
                &sheet.path,
                &picture.ok_or_else(|| self.input_error(InputError::Empty))?,
                overwrite,
            )?;
        }
        Ok(())
    }

    /// Warns if what was asked for could not be had.
    fn report(&self, mut report: Report) -> Report {
        if let VideoRate::FileSize(size) = self.options.video_rate {
            let size = size.get();
            if report.bytes > size + size / 100 {
                report.warnings.push(format!(
                    "the file has {} bytes, more than the {size} that were wanted: the pictures cannot be any coarser",
                    report.bytes
                ));
            }
        }
        report
    }

    /// Finds out what the pictures take for a file of `size` bytes, and what else there is in it.
    fn first_pass(&self, size: u64, observe: Observe<'_>) -> Result<RateControl, Error> {
        let source = self.open()?;
        if source.bytes.is_none() {
            return Err(self.input_error(InputError::Once));
        }
        // The pictures' sizes tell most of what the second pass makes of them if the quantisers are near its own.
        let sound = match self.options.audio_rate {
            _ if !self.options.audio => 0.0,
            AudioRate::Constant(bits_per_second) => f64::from(bits_per_second),
            AudioRate::Quality(_) => USUAL_SOUND,
        };
        let rate: Rate = Box::new(move |duration: Option<Time>| {
            let rate = match duration {
                Some(duration) => {
                    let rate = size as f64 * 8.0 / duration.seconds().max(1.0) - sound;
                    RateControl::average(rate.clamp(1_000.0, 1e9) as u32)
                }
                None => Quality::default().rate_control(),
            };
            rate.recording()
        });
        let options = Options { psnr: false, poster: None, contact_sheet: None, ..self.of_streams() };
        let passes = self.passes();
        let mut observe =
            |progress| observe(Progress { pass: 1, passes, bytes_total: source.bytes, ..progress });
        let target = self.target(io::sink(), false)?;
        let outcome = pipeline::run(source.input, target, &options, rate, &self.names(), &mut observe)?;
        let Some(first_pass) = outcome.first_pass else {
            return Ok(Quality::default().rate_control());
        };
        let rest = outcome.report.bytes - first_pass.bits() / 8;
        match size.checked_sub(rest) {
            Some(bytes) if bytes > 0 => Ok(RateControl::two_pass(&first_pass, bytes * 8)),
            _ => Err(self.output_error(OutputError::SizeTooSmall { size, rest })),
        }
    }
}

fn save_picture(path: &Path, picture: &Picture, overwrite: bool) -> Result<(), Error> {
    let format = poster::format(path).unwrap_or(ImageFormat::Png);
    let save = || {
        let mut output = Output::create(path, overwrite)?;
        picture.write(format, &mut output).map_err(io::Error::other)?;
        output.complete(&[])
    };
    save().map_err(|problem| picture_error(path, problem.into()))
}

fn picture_error(path: &Path, problem: OutputError) -> Error {
    Error::Output { name: path.display().to_string(), problem }
}

/// Refuses FLV, which needs no conversion. The file is left at its start.
fn check_signature(file: &mut File) -> Result<(), InputError> {
    let mut signature = Vec::new();
    Read::by_ref(file).take(3).read_to_end(&mut signature)?;
    file.rewind()?;
    if signature == b"FLV" { Err(InputError::IsFlv) } else { Ok(()) }
}

/// Opens an output that takes bytes only one after the other: standard output, a named pipe, a device.
pub(crate) fn open_stream(output: &Path) -> io::Result<Option<Box<dyn Write>>> {
    if output == Path::new(STANDARD_STREAM) {
        return Ok(Some(Box::new(io::stdout())));
    }
    match fs::metadata(output) {
        Ok(metadata) if !metadata.is_file() && !metadata.is_dir() => {
            Ok(Some(Box::new(File::options().write(true).open(output)?)))
        }
        _ => Ok(None),
    }
}

/// Finds out where the output belongs, which for a symbolic link is where it leads, and refuses a target that must not
/// be written to, before any work is done.
pub(crate) fn resolve_target(input: &Path, output: &Path, overwrite: bool) -> Result<PathBuf, OutputError> {
    if output.symlink_metadata().is_err() {
        return Ok(output.to_owned());
    }
    let target = output.canonicalize().map_err(|_| OutputError::DeadLink)?;
    if fs::metadata(&target)?.is_dir() {
        return Err(OutputError::Folder);
    }
    if input.canonicalize().is_ok_and(|input| input == target) {
        return Err(OutputError::IsInput);
    }
    if overwrite { Ok(target) } else { Err(OutputError::Exists) }
}
