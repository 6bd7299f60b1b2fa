//! What is counted while a conversion runs.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use oggflv_common::Frame;

use super::Pictures;
use super::clocks::Clocks;
use super::damage::Damage;
use crate::comments::{Texts, metadata};
use crate::contact_sheet::Thumbnails;
use crate::time::Time;

/// A number that several threads add to.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn set(&self, value: u64) {
        self.0.store(value, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// Sentences for the user.
#[derive(Debug, Default)]
pub(super) struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub(super) fn extend(&self, notes: impl IntoIterator<Item = String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).extend(notes);
    }

    pub(super) fn read(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The counts of all stages.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Bytes of the input that were read.
    pub(super) bytes_read: Counter,
    /// Milliseconds that the content takes, by the last pages of the input; 0 where it is not known.
    pub(super) milliseconds: Counter,
    /// Theora packets that a picture, new or repeated, came of.
    pub(super) decoded: Counter,
    /// Those of them that could not be decoded.
    pub(super) damaged: Counter,
    /// What was lost.
    pub(super) damage: Damage,
    /// The comments of the first link's streams, those of pictures first.
    pub(super) comments: Mutex<Vec<Texts>>,
    /// The picture that is saved beside the film.
    pub(super) poster: Mutex<Option<Frame>>,
    /// The small pictures for an overview.
    pub(super) thumbnails: Mutex<Option<Thumbnails>>,
    /// What the user may want to know.
    pub(super) notes: Notes,
    /// Pictures that were encoded.
    pub(super) coded: Counter,
    /// Pictures in which every macroblock is skipped.
    pub(super) repeated: Counter,
    /// Pictures whose errors were measured.
    pub(super) measured: Counter,
    /// Sums of squared differences of their samples, of Y, U and V.
    pub(super) squared_errors: [Counter; 3],
    /// CPU time by stage.
    pub(super) clocks: Clocks,
}

impl Counters {
    pub(super) fn add_comments(&self, comments: Texts, of_pictures: bool) {
        let mut streams = self.comments.lock().unwrap_or_else(PoisonError::into_inner);
        let place = if of_pictures { 0 } else { streams.len() };
        streams.insert(place, comments);
    }

    /// What is said of the film, by the user (`own`) or in its streams.
    pub(super) fn metadata(&self, own: &[(String, String)]) -> Texts {
        metadata(&self.comments.lock().unwrap_or_else(PoisonError::into_inner), own)
    }

    /// Duration of the content, where it is known.
    pub(super) fn duration(&self) -> Option<Time> {
        let milliseconds = self.milliseconds.get() as i64;
        (milliseconds > 0).then(|| Time::from_units(milliseconds, 1000, 1))
    }

    pub(super) fn pictures(&self) -> Pictures {
        Pictures {
            decoded: self.decoded.get(),
            damaged: self.damaged.get(),
            coded: self.coded.get(),
            repeated: self.repeated.get(),
        }
    }

    /// Peak signal-to-noise ratios of the measured pictures of a size, in decibels.
    pub(super) fn psnr(&self, (width, height): (usize, usize)) -> [f64; 3] {
        let chroma = width.div_ceil(2) * height.div_ceil(2);
        let samples = [width * height, chroma, chroma];
        std::array::from_fn(|pli| {
            let count = self.measured.get() as f64 * samples[pli] as f64;
            10.0 * (255.0_f64.powi(2) * count / self.squared_errors[pli].get() as f64).log10()
        })
    }
}
