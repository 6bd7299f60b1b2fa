//! A page that plays an FLV file: a folder for any web server.
//!
//! ```text
//! index.html, player.css, player.js   the page and its controls
//! player.swf                          opens a NetStream on the film, by way of Ruffle
//! ruffle/                             Ruffle, which plays SWF in today's browsers
//! film.flv, poster.jpg                the film, unless it lies elsewhere, and a picture of it
//! ```

mod swf;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use image::ImageFormat;

use crate::error::Error;
use crate::probe::{Format, Kind, Probe, probe_file};
use crate::time::Time;
use crate::web::{escaped, fill, origin, percent_encoded};

const INDEX: &str = include_str!("assets/index.html");
const STYLE: &str = include_str!("assets/player.css");
const SCRIPT: &str = include_str!("assets/player.js");

/// The name of the page itself.
const INDEX_NAME: &str = "index.html";
/// The folder that Ruffle lies in.
const RUFFLE_FOLDER: &str = "ruffle";
/// Width and height of pictures of which nothing is known.
const USUAL_SIZE: (u32, u32) = (4, 3);

/// What a page is made of.
#[derive(Clone, Debug)]
pub struct Page {
    /// The film.
    pub film: Film,
    /// Its title; without one that of its metadata, or the file's name.
    pub title: Option<String>,
    /// A JPEG or PNG file; without it one that lies beside the film, with the film's name and the ending `.jpg`, `.jpeg`
    /// or `.png`.
    pub poster: Option<PathBuf>,
    /// The folder of the npm package `@ruffle-rs/ruffle`, which is copied. Without it somebody else has to put it there.
    pub ruffle: Option<PathBuf>,
}

/// Where the film is.
#[derive(Clone, Debug)]
pub enum Film {
    /// A file that is copied into the folder.
    Copied(PathBuf),
    /// Somewhere else on the web.
    Elsewhere {
        /// Where: an `http` or `https` URL, or a path on the page's own server that begins with a slash.
        url: String,
        /// A copy of it, from which size, duration and title are taken.
        file: Option<PathBuf>,
    },
}

/// Why there is no page. Each prints as one line.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PageError {
    /// The film cannot be read.
    #[error(transparent)]
    Film(#[from] Error),
    /// The film is something else.
    #[error("{0}: is no FLV file; oggflv FILE.ogv makes one")]
    NotFlv(String),
    /// The film's address is none that a browser loads a film from.
    #[error("{0}: is no address of a film: http://, https://, or a path that begins with one slash")]
    Url(String),
    /// The poster is no picture.
    #[error("{0}: is neither JPEG nor PNG")]
    Poster(String),
    /// That is not Ruffle.
    #[error("{folder}: is not the folder of the npm package @ruffle-rs/ruffle: there is no {missing} in it")]
    Ruffle {
        /// Where it was looked for.
        folder: String,
        /// What is missing.
        missing: &'static str,
    },
    /// The folder holds something.
    #[error("{0}: is not empty; --overwrite replaces the files of a page in it")]
    NotEmpty(String),
    /// A file cannot be read.
    #[error("{name}: cannot be read: {problem}")]
    Read {
        /// Which one.
        name: String,
        /// What the system says.
        problem: io::Error,
    },
    /// A file cannot be written.
    #[error("{name}: cannot be written: {problem}")]
    Write {
        /// Which one.
        name: String,
        /// What the system says.
        problem: io::Error,
    },
}

/// Makes the page in `folder`, which has to be empty or absent unless `overwrite` says otherwise; then files of the same names are
/// replaced and others stay.
///
/// All files are written into a temporary folder first, and get their names when all of them are complete, `index.html` last.
///
/// # Errors
/// If something cannot be read or written, or is not what it should be. The folder is then as it was, unless renaming
/// within it failed.
pub fn write_page(page: &Page, folder: &Path, overwrite: bool) -> Result<(), PageError> {
    let facts = Facts::gather(page)?;
    let was_there = folder.exists();
    let failed = |problem| PageError::Write { name: name_of(folder), problem };
    if was_there && !overwrite && fs::read_dir(folder).map_err(failed)?.next().is_some() {
        return Err(PageError::NotEmpty(name_of(folder)));
    }
    fs::create_dir_all(folder).map_err(failed)?;
    let made = tempfile::Builder::new()
        .prefix(".oggflv-")
        .suffix(".part")
        .tempdir_in(folder)
        .map_err(failed)
        .and_then(|workshop| {
            facts.write(page, workshop.path())?;
            move_into(workshop.path(), folder)
        });
    if made.is_err() && !was_there {
        // It goes if nothing is in it.
        let _ = fs::remove_dir(folder);
    }
    made
}

/// What the page says of the film.
struct Facts {
    title: String,
    /// The address of the film, as it stands in the page.
    url: String,
    /// The film's file, and its name in the folder, if it is copied.
    copied: Option<(PathBuf, String)>,
    poster: Option<(PathBuf, &'static str)>,
    probe: Option<Probe>,
}

impl Facts {
    fn gather(page: &Page) -> Result<Self, PageError> {
        let (file, url) = match &page.film {
            Film::Copied(file) => (Some(file), None),
            Film::Elsewhere { url, file } => (file.as_ref(), Some(url)),
        };
        if let Some(url) = url.filter(|url| !is_address(url)) {
            return Err(PageError::Url(url.clone()));
        }
        let probe = file.map(|file| probe_file(file)).transpose()?;
        if let Some(file) = file.filter(|_| probe.as_ref().is_some_and(|probe| probe.format != Format::Flv)) {
            return Err(PageError::NotFlv(name_of(file)));
        }
        let stem = match (file, url) {
            (Some(file), _) => file.file_stem().and_then(OsStr::to_str).unwrap_or("film").to_owned(),
            (None, url) => url.map_or("film", |url| stem_of(url)).to_owned(),
        };
        let copied = file.filter(|_| url.is_none()).map(|file| (file.clone(), format!("{stem}.flv")));
        let url = match (&copied, url) {
            (Some((_, name)), _) => percent_encoded(name),
            (None, url) => url.cloned().unwrap_or_default(),
        };
        let said = probe.as_ref().and_then(|probe| {
            let title = probe.comments.iter().find(|comment| comment.name.eq_ignore_ascii_case("title"));
            title.map(|title| title.value.clone()).filter(|title| !title.trim().is_empty())
        });
        let title = page.title.clone().or(said).unwrap_or(stem);
        let poster = page.poster.clone().or_else(|| {
            let beside = ["jpg", "jpeg", "png"].map(|ending| file.map(|file| file.with_extension(ending)));
            beside.into_iter().flatten().find(|path| path.is_file())
        });
        let poster = poster.map(|path| poster_name(&path).map(|name| (path, name))).transpose()?;
        Ok(Self { title, url, copied, poster, probe })
    }

    /// Writes all files.
    fn write(&self, page: &Page, folder: &Path) -> Result<(), PageError> {
        let text = |name: &str, content: &[u8]| {
            fs::write(folder.join(name), content)
                .map_err(|problem| PageError::Write { name: name.to_owned(), problem })
        };
        text("player.css", STYLE.as_bytes())?;
        text("player.js", SCRIPT.as_bytes())?;
        text("player.swf", &swf::player())?;
        text(INDEX_NAME, self.html().as_bytes())?;
        if let Some((poster, name)) = &self.poster {
            copy(poster, &folder.join(name))?;
        }
        if let Some(ruffle) = &page.ruffle {
            copy_ruffle(ruffle, &folder.join(RUFFLE_FOLDER))?;
        }
        if let Some((film, name)) = &self.copied {
            copy(film, &folder.join(name))?;
        }
        Ok(())
    }

    fn html(&self) -> String {
        let duration = self.probe.as_ref().map_or(Time::ZERO, |probe| probe.duration);
        let video = self.probe.as_ref().and_then(|probe| {
            let video = probe.streams.iter().find(|stream| stream.kind == Kind::Video)?.video.as_ref()?;
            (video.width > 0 && video.height > 0).then_some((video.width, video.height))
        });
        let (width, height) = video.unwrap_or(USUAL_SIZE);
        let mut facts = Vec::new();
        if duration > Time::ZERO {
            facts.push(clock(duration));
        }
        if let Some((width, height)) = video {
            facts.push(format!("{width} × {height}"));
        }
        let poster =
            self.poster.as_ref().map(|(_, name)| format!(r#"<img class="poster" src="{name}" alt="">"#));
        fill(
            INDEX,
            &[
                ("title", &escaped(&self.title)),
                ("film", &escaped(&self.url)),
                ("origin", &origin(&self.url).map(|origin| format!(" {origin}")).unwrap_or_default()),
                ("poster", &poster.unwrap_or_default()),
                ("width", &width.to_string()),
                ("height", &height.to_string()),
                ("duration", &duration.seconds().to_string()),
                ("length", &clock(duration)),
                ("facts", &facts.iter().map(|fact| format!("<span>{fact}</span>")).collect::<String>()),
                (
                    "size",
                    &self
                        .probe
                        .as_ref()
                        .map(|probe| format!(", {}", megabytes(probe.bytes)))
                        .unwrap_or_default(),
                ),
            ],
        )
    }
}

/// Whether a browser can load a film from there, and a Content-Security-Policy can name it.
fn is_address(url: &str) -> bool {
    let is_clean = url.bytes().all(|byte| byte.is_ascii_graphic());
    let is_path = url.starts_with('/') && !url.starts_with("//");
    is_clean && (is_path || origin(url).is_some())
}

/// The last part of a URL's path without its ending.
fn stem_of(url: &str) -> &str {
    let path = &url[..url.find(['?', '#']).unwrap_or(url.len())];
    let name = path.rsplit('/').next().unwrap_or_default();
    let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
    if stem.is_empty() { "film" } else { stem }
}

/// What a poster is called in the folder.
fn poster_name(path: &Path) -> Result<&'static str, PageError> {
    let read = |problem| PageError::Read { name: name_of(path), problem };
    let mut signature = Vec::new();
    File::open(path).and_then(|file| file.take(64).read_to_end(&mut signature)).map_err(read)?;
    match image::guess_format(&signature).ok() {
        Some(ImageFormat::Jpeg) => Ok("poster.jpg"),
        Some(ImageFormat::Png) => Ok("poster.png"),
        _ => Err(PageError::Poster(name_of(path))),
    }
}

/// Copies what a browser needs of Ruffle, and its licence.
fn copy_ruffle(from: &Path, to: &Path) -> Result<(), PageError> {
    let read = |problem| PageError::Read { name: name_of(from), problem };
    let mut names = Vec::new();
    for entry in fs::read_dir(from).map_err(read)? {
        names.extend(entry.map_err(read)?.file_name().into_string());
    }
    names.retain(|name| {
        let is_script = name == "ruffle.js" || name.starts_with("core.ruffle.") && name.ends_with(".js");
        is_script || name.ends_with(".wasm") || name.starts_with("LICENSE") || name == "package.json"
    });
    let missing = |what| PageError::Ruffle { folder: name_of(from), missing: what };
    if !names.iter().any(|name| name == "ruffle.js") {
        return Err(missing("ruffle.js"));
    }
    if !names.iter().any(|name| name.ends_with(".wasm")) {
        return Err(missing("file ending with .wasm"));
    }
    fs::create_dir(to).map_err(|problem| PageError::Write { name: name_of(to), problem })?;
    names.iter().try_for_each(|name| copy(&from.join(name), &to.join(name)))
}

/// Copies a file's content; the copy has the permissions of a new file.
fn copy(from: &Path, to: &Path) -> Result<(), PageError> {
    let mut source = File::open(from).map_err(|problem| PageError::Read { name: name_of(from), problem })?;
    let written = File::create_new(to).and_then(|mut copy| io::copy(&mut source, &mut copy));
    written.map(drop).map_err(|problem| {
        let name = to.file_name().map_or_else(|| name_of(to), |name| name_of(Path::new(name)));
        PageError::Write { name, problem }
    })
}

/// Moves all files, the page itself last.
fn move_into(workshop: &Path, folder: &Path) -> Result<(), PageError> {
    let failed = |problem| PageError::Write { name: name_of(folder), problem };
    let mut entries =
        fs::read_dir(workshop).and_then(Iterator::collect::<io::Result<Vec<_>>>).map_err(failed)?;
    entries.sort_by_key(|entry| entry.file_name() == INDEX_NAME);
    for entry in entries {
        let target = folder.join(entry.file_name());
        if entry.file_type().map_err(failed)?.is_dir() {
            fs::create_dir_all(&target).map_err(failed)?;
            move_into(&entry.path(), &target)?;
        } else {
            fs::rename(entry.path(), target).map_err(failed)?;
        }
    }
    Ok(())
}

fn name_of(path: &Path) -> String {
    path.display().to_string()
}

/// Hours, minutes and seconds as on a player.
fn clock(time: Time) -> String {
    let seconds = time.milliseconds().max(0) / 1000;
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 { format!("{hours}:{minutes:02}:{seconds:02}") } else { format!("{minutes}:{seconds:02}") }
}

/// A file size in the units of download pages.
fn megabytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes.div_ceil(1000)),
        1_000_000..10_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.0} MB", bytes as f64 / 1e6),
    }
}
