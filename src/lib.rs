//! Converts Ogg Theora/Vorbis into FLV (Sorenson H.263 and MP3), in pure Rust.
//!
//! ```text
//! bytes ─ ogg → packets ─┬─ theora → pictures ─ scale → pictures ─ sorenson → pictures ─┬─ flv → bytes
//!                        └─ vorbis → sound ─ resample → sound ─ mp3 → frames ───────────┘
//! ```
//!
//! [`convert_file`] does the whole job; its stages can be used one by one.
//!
//! ```
//! use std::ops::ControlFlow;
//! use std::path::Path;
//!
//! use oggflv::{Options, convert_file};
//!
//! # let folder = tempfile::tempdir()?;
//! let output = folder.path().join("out.flv");
//! let options = Options { size: Some("160x120".parse()?), ..Options::default() };
//! let report = convert_file(Path::new("tests/media/flash-click.ogv"), &output, false, &options, &mut |progress| {
//!     println!("{:.1} s", progress.time.seconds());
//!     ControlFlow::Continue(()) // Break ends the conversion, and nothing is left of the output
//! })?;
//! assert_eq!(report.size, Some((160, 120)));
//! assert_eq!(std::fs::metadata(output)?.len(), report.bytes);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

// Allowed in the vector kernels of the scaler and the resampler only.
#![deny(unsafe_code)]

mod comments;
mod contact_sheet;
mod convert;
mod error;
mod fit;
pub mod flac;
pub mod flv;
mod guard;
mod mp3;
pub mod ogg;
pub mod options;
pub mod opus;
mod output;
pub mod page;
mod pipeline;
mod poster;
pub mod probe;
pub mod publish_plan;
pub mod remux;
pub mod resample;
pub mod scale;
pub mod time;
#[cfg(feature = "s3")]
pub mod upload;
pub mod vorbis;
mod web;

#[cfg(feature = "s3")]
pub use convert::convert_to_object;
pub use convert::{STANDARD_STREAM, convert_file};
pub use error::{Error, InputError, OutputError};
pub use options::Options;
pub use pipeline::{Loss, Progress, Report};
