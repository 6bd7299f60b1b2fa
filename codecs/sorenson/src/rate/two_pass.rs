//! A total size in two passes.

use super::model::{Demand, Models, Picture, divisor};
use std::sync::Arc;

/// The quantiser is found as if so many pictures followed.
const MORE: f64 = 4.0;
/// What the last surprises count for when there is another.
const MEMORY: f64 = 0.8;
/// So many of the next pictures are thought to surprise as much.
const SURPRISES: usize = 30;

/// What the pictures of a first pass took, about 50 bytes for each.
#[derive(Clone, Debug, Default)]
pub struct FirstPass {
    pictures: Vec<Measured>,
}

#[derive(Clone, Copy, Debug)]
struct Measured {
    key: bool,
    bits: f64,
    fixed: f64,
    quantizer: f64,
}

impl FirstPass {
    pub(super) fn push(&mut self, picture: &Picture, bits: f64) {
        let &Picture { key, fixed, quantizer, .. } = picture;
        self.pictures.push(Measured { key, bits, fixed, quantizer });
    }

    /// How many pictures there were, repetitions included: each is a packet in the second pass, too.
    #[must_use]
    pub fn pictures(&self) -> usize {
        self.pictures.len()
    }

    /// Bits of all packets of the first pass.
    #[must_use]
    pub fn bits(&self) -> u64 {
        self.pictures.iter().map(|picture| picture.bits as u64).sum()
    }
}

/// Aims at a total, with one quantiser for all, corrected by what the pictures really take.
#[derive(Clone, Debug)]
pub(super) struct TwoPass {
    total: f64,
    pictures: Arc<[Known]>,
    /// Which picture comes next.
    next: usize,
    /// By how much P pictures have lately been larger than expected, had their quantiser been 1.
    ///
    /// Factors do not tell what was invisible to the first pass, such as noise that its quantiser removed.
    surprise: f64,
}

/// A picture of the first pass.
#[derive(Clone, Copy, Debug)]
struct Known {
    fixed: f64,
    /// In bits of the first pass, had its quantiser been 1.
    demand: f64,
    /// The demand of this picture and all that follow.
    remaining: Demand,
}

impl TwoPass {
    pub(super) fn new(first: &FirstPass, total_bits: u64) -> Self {
        let mut remaining = Demand::default();
        let mut pictures: Vec<Known> = first
            .pictures
            .iter()
            .rev()
            .map(|&Measured { key, bits, fixed, quantizer }| {
                let demand = (bits - fixed).max(0.0) * divisor(key, quantizer);
                remaining.fixed += fixed;
                remaining.varying[usize::from(key)] += demand;
                Known { fixed, demand, remaining }
            })
            .collect();
        pictures.reverse();
        Self { total: total_bits as f64, pictures: pictures.into(), next: 0, surprise: 0.0 }
    }

    /// The mean demand of P pictures and of key frames.
    pub(super) fn mean(&self) -> f64 {
        let sum = self.pictures.first().map_or(0.0, |all| all.remaining.varying.iter().sum());
        sum / self.pictures.len().max(1) as f64
    }

    /// Puts the demand of the first pass into the next picture and those after it.
    pub(super) fn fill_in(&self, known: &mut [Picture]) {
        for (picture, measured) in known.iter_mut().zip(self.pictures.iter().skip(self.next)) {
            (picture.fixed, picture.demand) = (measured.fixed, measured.demand);
        }
    }

    /// Goes on to the next picture.
    pub(super) fn advance(&mut self) {
        self.next += 1;
    }

    /// Compares a picture with what `models` make of it.
    pub(super) fn compare(&mut self, picture: &Picture, bits: f64, models: &Models) {
        if !picture.key {
            let excess = (bits - models.bits(picture, picture.quantizer)) * divisor(false, picture.quantizer);
            self.surprise = self.surprise * MEMORY + excess * (1.0 - MEMORY);
        }
    }

    /// The quantiser for the next picture when `spent` bits were spent before it, and the `last` one if any. None if the
    /// first pass had no such picture.
    pub(super) fn quantizer(&self, spent: f64, last: Option<f64>, models: &Models) -> Option<f64> {
        let next = self.pictures.get(self.next)?;
        let mut more = self.pictures[0].remaining;
        more.scale(MORE / self.pictures.len() as f64);
        let mut remaining = next.remaining;
        let surprises = (self.pictures.len() - self.next).min(SURPRISES);
        // In units of demand; the factor of a film that never changes comes near nothing.
        remaining.varying[0] += surprises as f64 * self.surprise.max(0.0) / models.0[0].factor().max(1e-6);
        Some(models.last_quantizer(&remaining, self.total - spent, &more, last))
    }
}
