//! A bounded rate: what a leaky bucket holds.

use super::model::{Models, Picture, bisect};

/// A bucket that leaks at a constant rate: what was sent to a player over a line of that rate and is still on its way.
///
/// A player that has as much in its buffer when it starts as the bucket holds never waits for a picture.
#[derive(Clone, Copy, Debug)]
pub(super) struct Buffer {
    /// Bits per second.
    rate: f64,
    /// Bits.
    pub(super) size: f64,
}

/// What is in the bucket after a picture.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Level {
    bits: f64,
    time: f64,
}

/// How full the bucket may become by prediction.
const FILL: f64 = 0.9;
/// What predictions are multiplied by.
const MARGIN: f64 = 1.1;

impl Buffer {
    pub(super) fn new(bits_per_second: u32, bits: u32) -> Self {
        Self { rate: f64::from(bits_per_second.max(1)), size: f64::from(bits.max(1)) }
    }

    /// The level after a picture of `bits` at `time`.
    pub(super) fn after(&self, level: Level, time: f64, bits: f64) -> Level {
        let leaked = self.rate * (time - level.time).max(0.0);
        Level { bits: (level.bits - leaked).max(0.0) + bits, time: time.max(level.time) }
    }

    /// Whether a level is more than the bucket holds.
    pub(super) fn overflows(&self, level: Level) -> bool {
        level.bits > self.size
    }

    /// How many bits there is room for at `time`.
    pub(super) fn room(&self, level: Level, time: f64) -> f64 {
        self.size - self.after(level, time, 0.0).bits
    }

    /// The finest quantiser from `least` on at which the `known` pictures fit after `level`.
    pub(super) fn quantizer(&self, least: f64, level: Level, known: &[Picture], models: &Models) -> f64 {
        bisect(least, |quantizer| {
            let mut level = level;
            known.iter().all(|picture| {
                level = self.after(level, picture.time, MARGIN * models.bits(picture, quantizer));
                level.bits <= FILL * self.size
            })
        })
    }
}
