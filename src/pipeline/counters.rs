//! What is counted while a conversion runs.

use std::sync::atomic::{AtomicU64, Ordering};

use super::damage::Damage;

/// A number that several threads add to.
#[derive(Debug, Default)]
pub(super) struct Counter(AtomicU64);

impl Counter {
    pub(super) fn add(&self, count: u64) {
        self.0.fetch_add(count, Ordering::Relaxed);
    }

    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// The counts of all stages.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// Bytes of the input that were read.
    pub(super) bytes_read: Counter,
    /// Theora packets that a picture, new or repeated, came of.
    pub(super) decoded: Counter,
    /// Those of them that could not be decoded.
    pub(super) damaged: Counter,
    /// What was lost.
    pub(super) damage: Damage,
    /// Pictures that were encoded.
    pub(super) coded: Counter,
    /// Pictures in which every macroblock is skipped.
    pub(super) repeated: Counter,
}
