//! What of the input was lost, and where it would have been in the output.

use std::sync::{Mutex, PoisonError};

use crate::time::Time;

/// Losses that lie closer together are one place.
const APART: Time = Time::SECOND;
/// Places that are named; the others are only counted.
const NAMED_PLACES: usize = 5;
/// Losses that are remembered.
const LOSSES_LIMIT: usize = 1 << 16;

/// A place of the output where something is missing: the picture before stands, or there is silence.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Loss {
    /// Where it begins.
    pub start: Time,
    /// Where it ends.
    pub end: Time,
    /// How many pictures are missing.
    pub pictures: u64,
    /// How much sound is missing.
    pub sound: Time,
}

impl Loss {
    pub(super) fn pictures(pictures: u64, start: Time, end: Time) -> Self {
        Self { start, end, pictures, sound: Time::ZERO }
    }

    pub(super) fn sound(start: Time, end: Time) -> Self {
        Self { start, end, pictures: 0, sound: end - start }
    }

    /// Names it: `0:12.3 to 0:12.5: 3 pictures, 0.21 s of sound`.
    fn describe(&self) -> String {
        let mut text = self.start.to_string();
        let end = self.end.to_string();
        if end != text {
            text = format!("{text} to {end}");
        }
        let mut what = Vec::new();
        if self.pictures > 0 {
            what.push(format!("{} picture{}", self.pictures, if self.pictures == 1 { "" } else { "s" }));
        }
        if self.sound >= Time::from_milliseconds(10) {
            what.push(format!("{:.2} s of sound", self.sound.seconds()));
        }
        if what.is_empty() { text } else { format!("{text}: {}", what.join(", ")) }
    }
}

/// What all stages say of the damage.
#[derive(Debug, Default)]
pub(super) struct Damage {
    losses: Mutex<Vec<Loss>>,
    notes: Mutex<Vec<String>>,
}

impl Damage {
    pub(super) fn add(&self, loss: Loss) {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner);
        if losses.len() < LOSSES_LIMIT {
            losses.push(loss);
        }
    }

    /// Says what has no place in the output, or what is damaged in general.
    pub(super) fn note(&self, note: String) {
        let mut notes = self.notes.lock().unwrap_or_else(PoisonError::into_inner);
        if notes.len() < NAMED_PLACES && !notes.contains(&note) {
            notes.push(note);
        }
    }

    /// All places, in order.
    pub(super) fn places(&self) -> Vec<Loss> {
        let mut losses = self.losses.lock().unwrap_or_else(PoisonError::into_inner).clone();
        losses.sort_by_key(|loss| (loss.start, loss.end, loss.pictures));
        let mut places: Vec<Loss> = Vec::new();
        for loss in losses {
            match places.last_mut() {
                Some(place) if loss.start - place.end < APART => {
                    place.end = place.end.max(loss.end);
                    place.pictures += loss.pictures;
                    place.sound += loss.sound;
                }
                _ => places.push(loss),
            }
        }
        places
    }

    /// A sentence for each kind of damage and for the first places; none where nothing is damaged.
    pub(super) fn warnings(&self) -> Vec<String> {
        let mut warnings = self.notes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let places = self.places();
        warnings
            .extend(places.iter().take(NAMED_PLACES).map(|place| format!("damaged at {}", place.describe())));
        if let Some(others @ 1..) = places.len().checked_sub(NAMED_PLACES) {
            let pictures: u64 = places[NAMED_PLACES..].iter().map(|place| place.pictures).sum();
            let sound: f64 = places[NAMED_PLACES..].iter().map(|place| place.sound.seconds()).sum();
            warnings
                .push(format!("damaged at {others} more places: {pictures} pictures, {sound:.2} s of sound"));
        }
        warnings
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(milliseconds: i32) -> Time {
        Time::from_milliseconds(milliseconds)
    }

    #[test]
    fn what_lies_close_together_is_one_place() {
        let damage = Damage::default();
        damage.add(Loss::sound(at(12_350), at(12_560)));
        damage.add(Loss::pictures(2, at(12_300), at(12_400)));
        damage.add(Loss::pictures(1, at(12_470), at(12_500)));
        damage.add(Loss::pictures(1, at(3_723_000), at(3_723_040)));
        damage.add(Loss::sound(at(0), at(0)));
        damage.note("cut off".to_owned());
        let expected = [
            "cut off",
            "damaged at 0:00.0",
            "damaged at 0:12.3 to 0:12.6: 3 pictures, 0.21 s of sound",
            "damaged at 1:02:03.0: 1 picture",
        ];
        assert_eq!(damage.warnings(), expected);
    }

    #[test]
    fn many_places_are_counted() {
        let damage = Damage::default();
        assert!(damage.warnings().is_empty());
        for second in 0..9 {
            damage.add(Loss::pictures(2, at(3000 * second), at(3000 * second + 80)));
        }
        let warnings = damage.warnings();
        assert_eq!(warnings.len(), NAMED_PLACES + 1);
        assert_eq!(warnings[NAMED_PLACES], "damaged at 4 more places: 8 pictures, 0.00 s of sound");
    }
}
