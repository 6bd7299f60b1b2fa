//! `oggflv page`: a folder that plays a film in browsers.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use oggflv::page::{Film, Page, write_page};

use super::say;

#[derive(Debug, Args)]
pub(super) struct Arguments {
    /// The FLV file, or its URL if it lies on a web server already
    #[arg(value_name = "FILE|URL")]
    film: String,

    /// The folder to make; any web server can serve it
    #[arg(short, long, value_name = "FOLDER")]
    out_dir: PathBuf,

    /// The folder of the npm package @ruffle-rs/ruffle, which is copied; it plays SWF in browsers
    #[arg(long, value_name = "FOLDER")]
    ruffle: Option<PathBuf>,

    /// The title; without it that of the metadata, or the file's name
    #[arg(long, value_name = "TEXT")]
    title: Option<String>,

    /// A picture to show before it plays, JPEG or PNG; without it one beside FILE of the same name
    #[arg(long, value_name = "FILE")]
    poster: Option<PathBuf>,

    /// Where FILE will lie on the web, if not in the folder; FILE is not copied then
    #[arg(long, value_name = "URL")]
    url: Option<String>,

    /// Replace the files of a page that is there
    #[arg(short = 'y', long)]
    overwrite: bool,
}

impl Arguments {
    pub(super) fn run(self) -> ExitCode {
        let is_url = ["http://", "https://"].iter().any(|scheme| self.film.starts_with(scheme));
        let film = match (is_url, self.url) {
            (true, None) => Film::Elsewhere { url: self.film, file: None },
            (true, Some(_)) => super::usage_error("the film has two URLs: --url is for a FILE"),
            (false, None) => Film::Copied(self.film.into()),
            (false, Some(url)) => Film::Elsewhere { url, file: Some(self.film.into()) },
        };
        let has_ruffle = self.ruffle.is_some() || self.out_dir.join("ruffle/ruffle.js").exists();
        let page = Page { film, title: self.title, poster: self.poster, ruffle: self.ruffle };
        match write_page(&page, &self.out_dir, self.overwrite) {
            Ok(()) => {
                if !has_ruffle {
                    say(&without_ruffle(&self.out_dir));
                }
                ExitCode::SUCCESS
            }
            Err(error) => {
                say(&format!("oggflv: {error}"));
                ExitCode::FAILURE
            }
        }
    }
}

fn without_ruffle(folder: &Path) -> String {
    format!(
        "oggflv: note: the page plays once Ruffle lies in {}: npm install @ruffle-rs/ruffle, and \
         --ruffle node_modules/@ruffle-rs/ruffle copies it",
        folder.join("ruffle").display()
    )
}
