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
    /// About how many packets of sound that is: what is lost tells no number, so it is by the length of the others.
    pub packets: u64,
}

impl Loss {
    pub(super) fn pictures(pictures: u64, start: Time, end: Time) -> Self {
        Self { start, end, pictures, ..Self::default() }
    }

    pub(super) fn sound(start: Time, end: Time, packets: u64) -> Self {
        Self { start, end, pictures: 0, sound: end - start, packets }
    }

    /// Names it: `0:12.3 to 0:12.5: 3 pictures, 0.21 s of sound (about 10 packets)`.
    fn describe(&self) -> String {
        let mut text = self.start.to_string();
        let end = self.end.to_string();
        if end != text {
            text = format!("{text} to {end}");
        }
        let what = self.what();
        if what.is_empty() { text } else { format!("{text}: {what}") }
    }

    /// Says how much it is: nothing, if that is next to nothing.
    fn what(&self) -> String {
        let count = |count, unit| format!("{count} {unit}{}", if count == 1 { "" } else { "s" });
        let mut what = Vec::new();
        if self.pictures > 0 {
            what.push(count(self.pictures, "picture"));
        }
        if self.sound >= Time::from_milliseconds(10) {
            what.push(format!("{:.2} s of sound", self.sound.seconds()));
            if let (Some(sound), 1..) = (what.last_mut(), self.packets) {
                *sound += &format!(" (about {})", count(self.packets, "packet"));
            }
        }
        what.join(", ")
    }

    /// This one and another one, together.
    fn with(self, other: &Self) -> Self {
        Self {
            start: self.start,
            end: self.end.max(other.end),
            pictures: self.pictures + other.pictures,
            sound: self.sound + other.sound,
            packets: self.packets + other.packets,
        }
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
                Some(place) if loss.start - place.end < APART => *place = place.with(&loss),
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
            let all = places[NAMED_PLACES..].iter().fold(Loss::default(), Loss::with);
            warnings.push(match all.what() {
                what if what.is_empty() => format!("damaged at {others} more places"),
                what => format!("damaged at {others} more places: {what}"),
            });
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
        damage.add(Loss::sound(at(12_350), at(12_560), 10));
        damage.add(Loss::pictures(2, at(12_300), at(12_400)));
        damage.add(Loss::pictures(1, at(12_470), at(12_500)));
        damage.add(Loss::pictures(1, at(3_723_000), at(3_723_040)));
        damage.add(Loss::sound(at(0), at(0), 0));
        damage.note("cut off".to_owned());
        let expected = [
            "cut off",
            "damaged at 0:00.0",
            "damaged at 0:12.3 to 0:12.6: 3 pictures, 0.21 s of sound (about 10 packets)",
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
        assert_eq!(warnings[NAMED_PLACES], "damaged at 4 more places: 8 pictures");
    }
}
