//! The bit reservoir (11172-3, C.1.5.4.2.2), which lets a frame take bits that others left, and the price of bits that
//! keeps it neither empty nor full.

use crate::config::{Format, Version};

/// Binary logarithm of the price at the start.
const FIRST_PRICE: f32 = -10.0;
/// How far the price moves with the fill of the reservoir, in octaves from empty to full.
const LEVERAGE: f32 = 2.0;
/// The fill at which the price stays.
const WANTED_FILL: f32 = 0.6;
/// How quickly the mean price follows that of the frames.
const INERTIA: f32 = 0.15;
/// How far the mean may stay from the prices of two frames, in octaves.
const REACH: f32 = 6.0;
/// The lowest mean price.
const LEAST_MEAN: f32 = -14.0;
/// The lowest price: noise far below the threshold is worth no more bits.
const LEAST_PRICE: f32 = -30.0;

/// Bits saved up, and what they are worth.
#[derive(Clone, Debug)]
pub(crate) struct Reservoir {
    /// Whole bytes saved: `main_data_begin` of the next frame.
    level: u32,
    /// The largest `main_data_begin`.
    capacity: u32,
    /// Binary logarithm of the mean price.
    price: f32,
    /// That of the last frame.
    last: f32,
}

/// Bytes of main data that a frame may take.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Room {
    pub(crate) least: u32,
    /// What to aim at where the price has to be searched for.
    pub(crate) target: u32,
    pub(crate) most: u32,
}

impl Reservoir {
    pub(crate) fn new(format: &Format) -> Self {
        let capacity = if format.version == Version::Mpeg1 { 511 } else { 255 };
        Self { level: 0, capacity, price: FIRST_PRICE, last: FIRST_PRICE }
    }

    /// Bytes by which the main data of the next frame begins before it.
    pub(crate) fn main_data_begin(&self) -> u32 {
        self.level
    }

    /// The binary logarithm of the price that the next frame should pay.
    pub(crate) fn price(&self) -> f32 {
        let fill = self.level as f32 / self.capacity as f32;
        (self.price + LEVERAGE * (WANTED_FILL - fill)).max(LEAST_PRICE)
    }

    /// Whether the price cannot fall any more.
    pub(crate) fn is_least(price: f32) -> bool {
        price <= LEAST_PRICE
    }

    /// What a frame with room for `slot` bytes of main data may take: with less than the least, the reservoir would
    /// overflow; with more than the most, it would be overdrawn.
    pub(crate) fn room(&self, slot: u32) -> Room {
        Room {
            least: (slot + self.level).saturating_sub(self.capacity),
            target: slot + self.level / 2,
            most: slot + self.level,
        }
    }

    /// Takes a frame with `slot` bytes of room whose main data took `used` bytes at `price`. Returns how many bytes must
    /// be stuffed because the reservoir cannot hold them.
    pub(crate) fn settle(&mut self, slot: u32, used: u32, price: f32) -> u32 {
        debug_assert!(used <= slot + self.level);
        // One odd frame tells nothing, two do; and after a silence of any depth sounds will come.
        let price = price.max(LEAST_MEAN);
        let (low, high) = (price.min(self.last), price.max(self.last));
        self.price += INERTIA * (price - self.price);
        self.price = self.price.clamp(low - REACH, high + REACH);
        self.last = price;
        let left = slot + self.level - used;
        self.level = left.min(self.capacity);
        left - self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn never_negative_and_never_above_main_data_begin() {
        for (rate, capacity) in [(44100, 511), (22050, 255)] {
            let mut reservoir = Reservoir::new(&Format::new(rate, 2).unwrap());
            let (mut given, mut taken) = (0u64, 0u64);
            for i in 0..1000u32 {
                let slot = 150 + i % 2;
                let Room { least, target, most } = reservoir.room(slot);
                assert!(least <= target && target <= most);
                let used = match i % 7 {
                    0 => 0,
                    1 => least,
                    2 => most,
                    _ => (least + most) / 2,
                };
                let stuffing = reservoir.settle(slot, used, -7.0);
                assert_eq!(stuffing, least.saturating_sub(used));
                given += u64::from(slot);
                taken += u64::from(used + stuffing);
                assert!(reservoir.main_data_begin() <= capacity);
                assert_eq!(given - taken, u64::from(reservoir.main_data_begin()));
            }
        }
    }

    #[test]
    fn the_price_falls_as_the_reservoir_fills_and_follows_the_frames() {
        let mut reservoir = Reservoir::new(&Format::new(44100, 2).unwrap());
        let empty = reservoir.price();
        reservoir.settle(400, 0, FIRST_PRICE);
        assert!(reservoir.price() < empty);
        for _ in 0..200 {
            reservoir.settle(400, 400, 3.0);
        }
        assert!((reservoir.price() - 3.0).abs() < 1.0);
    }
}
