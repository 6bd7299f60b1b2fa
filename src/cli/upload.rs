//! `oggflv upload`: files to an S3 server.

use std::collections::HashSet;
use std::fs;
use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::Args;
use indicatif::{HumanBytes, ProgressBar, ProgressStyle};
use oggflv::upload::{self, Location, UploadError, UploadProgress, Uploaded};
use serde::Serialize;

use super::convert::{INTERRUPTED, Talk};
use super::s3::{self, Server};
use super::{interruption, say, usage_error};

/// How often programs are told how far it is.
const JSON_INTERVAL: Duration = Duration::from_secs(1);

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// Files, or folders whose content is meant; then the place: s3://bucket/prefix/ keeps the names, s3://bucket/key.flv
    /// is for one file
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,

    /// Go on with an upload that was interrupted: send only what is missing
    #[arg(long)]
    resume: bool,

    /// Give up unfinished uploads of these files, or of the key if no file is named, and free what the server has of them
    #[arg(long, conflicts_with_all = ["resume", "dry_run"])]
    abort: bool,

    /// Replace objects that exist
    #[arg(short = 'y', long)]
    overwrite: bool,

    /// Let pages of another origin read what is in the bucket, such as https://example.com, or * for all
    #[arg(long, value_name = "ORIGIN", conflicts_with = "abort")]
    cors: Vec<String>,

    /// Tell what would be sent where, and send nothing
    #[arg(long)]
    dry_run: bool,

    /// Print progress once a second and what came of it as JSON, an object a line, on standard output
    #[arg(long, conflicts_with = "quiet")]
    json: bool,

    /// Print nothing but warnings and errors
    #[arg(long)]
    quiet: bool,

    #[command(flatten)]
    s3: s3::Arguments,
}

/// A file and where it goes.
#[derive(Debug)]
pub(super) struct Transfer {
    pub(super) file: PathBuf,
    pub(super) location: Location,
    pub(super) resume: bool,
    pub(super) talk: Talk,
}

impl Arguments {
    pub(super) fn run(mut self) -> ExitCode {
        let talk = match (self.json, self.quiet) {
            (true, _) => Talk::Programs,
            (_, true) => Talk::Nobody,
            _ => Talk::People,
        };
        let target = self.files.pop().and_then(|name| s3::location(&name));
        let Some(target) = target else {
            usage_error("the last name is to be a place such as s3://bucket/prefix/ or s3://bucket/key.flv")
        };
        let server = self.s3.server(self.overwrite, interruption());
        if self.abort {
            return abort(&server, &self.files, &target, talk);
        }
        let transfers = match transfers(&self.files, &target, self.resume, talk) {
            Ok(transfers) => transfers,
            Err(message) => {
                say(&format!("oggflv: {message}"));
                return ExitCode::FAILURE;
            }
        };
        if self.dry_run {
            transfers.iter().for_each(|transfer| transfer.plan(&server));
            return ExitCode::SUCCESS;
        }
        for origin in &self.cors {
            let client = server.client(&target.bucket);
            if let Err(error) = client.and_then(|client| client.allow_origin(&target.bucket, origin)) {
                say(&format!("oggflv: {target}: {error}"));
                return ExitCode::FAILURE;
            }
        }
        let mut failed = 0;
        for transfer in &transfers {
            match transfer.run(&server) {
                Ok(()) => {}
                Err(UploadError::Interrupted) => return ExitCode::from(INTERRUPTED),
                Err(_) => failed += 1,
            }
        }
        if failed == 0 {
            return ExitCode::SUCCESS;
        }
        if transfers.len() > 1 && talk != Talk::Programs {
            say(&format!("oggflv: {failed} of {} files failed", transfers.len()));
        }
        ExitCode::FAILURE
    }
}

/// Pairs files with their places.
fn transfers(
    files: &[PathBuf],
    target: &Location,
    resume: bool,
    talk: Talk,
) -> Result<Vec<Transfer>, String> {
    let mut transfers = Vec::new();
    for file in files {
        let named = match file.is_dir() {
            true => content(file, "")?,
            false => vec![(file.clone(), name(file)?)],
        };
        if !target.is_prefix() && (named.len() > 1 || files.len() > 1 || file.is_dir()) {
            usage_error("several files go to a prefix, which ends with a slash: s3://bucket/prefix/");
        }
        transfers.extend(named.into_iter().map(|(file, name)| {
            let location = if target.is_prefix() { target.join(&name) } else { target.clone() };
            Transfer { file, location, resume, talk }
        }));
    }
    if files.is_empty() {
        usage_error("name a file, too");
    }
    let mut keys = HashSet::new();
    for Transfer { location, .. } in &transfers {
        if !keys.insert(&location.key) {
            usage_error(&format!("two files would become {location}"));
        }
    }
    Ok(transfers)
}

fn name(file: &Path) -> Result<String, String> {
    let name = file.file_name().and_then(|name| name.to_str());
    name.map(ToOwned::to_owned).ok_or_else(|| format!("{}: has no name that is text", file.display()))
}

/// All files below a folder, with their names from there on, in order.
fn content(folder: &Path, prefix: &str) -> Result<Vec<(PathBuf, String)>, String> {
    let problem = |error: io::Error| format!("{}: cannot be read: {error}", folder.display());
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(problem)?;
    let mut paths: Vec<_> = entries.into_iter().map(|entry| entry.path()).collect();
    paths.sort();
    let mut files = Vec::new();
    for path in paths {
        let name = format!("{prefix}{}", name(&path)?);
        if path.is_dir() {
            files.extend(content(&path, &format!("{name}/"))?);
        } else {
            files.push((path, name));
        }
    }
    Ok(files)
}

/// Gives up what is unfinished.
fn abort(server: &Server, files: &[PathBuf], target: &Location, talk: Talk) -> ExitCode {
    let places: Vec<_> = match (files, target.is_prefix()) {
        ([], true) => usage_error("name the files whose uploads are to be given up, or a key"),
        ([], false) => vec![(None, target.clone())],
        _ => match transfers(files, target, false, talk) {
            Ok(transfers) => transfers.into_iter().map(|each| (Some(each.file), each.location)).collect(),
            Err(message) => {
                say(&format!("oggflv: {message}"));
                return ExitCode::FAILURE;
            }
        },
    };
    let mut code = ExitCode::SUCCESS;
    for (file, location) in places {
        let client = server.client(&location.bucket);
        match client.and_then(|client| client.abort_uploads(file.as_deref(), &location)) {
            Ok(uploads) if talk == Talk::Programs => {
                print(&Line::Aborted { location: location.to_string(), uploads });
            }
            Ok(uploads) if talk == Talk::People && io::stderr().is_terminal() => {
                say(&format!("{location}: {uploads} given up"))
            }
            Ok(_) => {}
            Err(UploadError::Interrupted) => return ExitCode::from(INTERRUPTED),
            Err(error) => {
                say(&format!("oggflv: {location}: {error}"));
                code = ExitCode::FAILURE;
            }
        }
    }
    code
}

impl Transfer {
    /// Uploads the file and tells of it.
    pub(super) fn run(&self, server: &Server) -> Result<(), UploadError> {
        let mut display = Display::new(self);
        let result = server.client(&self.location.bucket).and_then(|client| {
            let mut observe = |progress| display.show(&progress);
            client.upload_file(&self.file, &self.location, &server.options, self.resume, &mut observe)
        });
        display.end(result)
    }

    /// Tells what would be done.
    fn plan(&self, server: &Server) {
        let (file, location) = (self.file.display().to_string(), self.location.to_string());
        let bytes = match fs::metadata(&self.file) {
            Ok(metadata) => metadata.len(),
            Err(error) => return say(&format!("oggflv: {file}: cannot be read: {error}")),
        };
        let content_type = server.options.content_type.as_deref();
        let content_type =
            content_type.unwrap_or_else(|| upload::content_type(&self.location.key)).to_owned();
        if self.talk == Talk::Programs {
            print(&Line::Plan { file, location, bytes, content_type });
        } else {
            let _ = writeln!(io::stdout(), "{file} -> {location}, {}, {content_type}", HumanBytes(bytes));
        }
    }
}

/// Tells of one upload.
struct Display<'a> {
    transfer: &'a Transfer,
    start: Instant,
    last_json: Instant,
    /// A line of progress, if standard error is a terminal and people are told.
    bar: ProgressBar,
}

impl<'a> Display<'a> {
    fn new(transfer: &'a Transfer) -> Self {
        let bar =
            if transfer.talk == Talk::People { ProgressBar::no_length() } else { ProgressBar::hidden() };
        let style = ProgressStyle::with_template("{percent:>3}% {bar:30} {msg}");
        bar.set_style(style.expect("the template is correct"));
        let now = Instant::now();
        Self { transfer, start: now, last_json: now, bar }
    }

    fn show(&mut self, progress: &UploadProgress) {
        let sent = progress.bytes - progress.bytes_found;
        let rate = sent as f64 / self.start.elapsed().as_secs_f64().max(0.001);
        self.bar.set_length(progress.bytes_total);
        self.bar.set_position(progress.bytes);
        self.bar.set_message(format!(
            "{}: {} of {} at {}/s",
            self.transfer.location,
            HumanBytes(progress.bytes),
            HumanBytes(progress.bytes_total),
            HumanBytes(rate as u64)
        ));
        if self.transfer.talk == Talk::Programs && self.last_json.elapsed() >= JSON_INTERVAL {
            self.last_json = Instant::now();
            print(&Line::UploadProgress {
                location: self.transfer.location.to_string(),
                bytes: progress.bytes,
                bytes_found: progress.bytes_found,
                bytes_total: progress.bytes_total,
            });
        }
    }

    fn end(self, result: Result<Uploaded, UploadError>) -> Result<(), UploadError> {
        self.bar.finish_and_clear();
        let Transfer { file, location, talk, .. } = self.transfer;
        match result {
            Ok(uploaded) => {
                if *talk == Talk::People && !self.bar.is_hidden() {
                    let took = self.start.elapsed().as_secs_f64();
                    say(&format!("{location}: {} in {took:.1} s", HumanBytes(uploaded.bytes)));
                }
                tell(&uploaded, location, *talk);
                Ok(())
            }
            Err(error) => {
                let resumable = upload::is_unfinished(file, location);
                let mut message = error.to_string();
                if resumable {
                    message += "; oggflv upload --resume goes on from here";
                }
                let name = match error {
                    UploadError::Read(_) => file.display().to_string(),
                    _ => location.to_string(),
                };
                say(&format!("oggflv: {name}: {message}"));
                if *talk == Talk::Programs {
                    print(&Line::Error { name, message, resumable });
                }
                Err(error)
            }
        }
    }
}

/// Tells programs of an object that is complete, and everybody if its checksum could not be compared.
pub(super) fn tell(uploaded: &Uploaded, location: &Location, talk: Talk) {
    if !uploaded.verified {
        say(&format!(
            "oggflv: {location}: warning: the server tells no checksum of the whole; parts were checked as they came in"
        ));
    }
    if talk == Talk::Programs {
        print(&Line::Uploaded {
            location: location.to_string(),
            bytes: uploaded.bytes,
            bytes_sent: uploaded.bytes_sent,
            crc64nvme: uploaded.checksum.to_string(),
            verified: uploaded.verified,
            etag: uploaded.etag.clone(),
        });
    }
}

/// What programs are told, an object a line.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum Line {
    Plan {
        file: String,
        location: String,
        bytes: u64,
        content_type: String,
    },
    UploadProgress {
        location: String,
        bytes: u64,
        bytes_found: u64,
        bytes_total: u64,
    },
    Uploaded {
        location: String,
        bytes: u64,
        bytes_sent: u64,
        crc64nvme: String,
        verified: bool,
        etag: Option<String>,
    },
    Aborted {
        location: String,
        uploads: usize,
    },
    Error {
        name: String,
        message: String,
        resumable: bool,
    },
}

fn print(line: &Line) {
    let text = serde_json::to_string(line).expect("numbers and strings can be written");
    let _ = writeln!(io::stdout(), "{text}");
}
