//! The bit reservoir (11172-3, C.1.5.4.2.2): bits that a frame leaves for those after it.

use crate::config::{Format, Version};

/// Bits saved up, and what a frame may spend.
#[derive(Clone, Debug)]
pub(crate) struct Reservoir {
    /// Whole bytes saved: `main_data_begin` of the next frame.
    level: u32,
    /// The largest `main_data_begin`.
    capacity: u32,
    /// Running mean of the frames' demands.
    mean_demand: f32,
}

impl Reservoir {
    pub(crate) fn new(format: &Format) -> Self {
        Self {
            level: 0,
            capacity: if format.version == Version::Mpeg1 { 511 } else { 255 },
            mean_demand: 0.0,
        }
    }

    /// Bytes by which the main data of the next frame begins before it.
    pub(crate) fn main_data_begin(&self) -> u32 {
        self.level
    }

    /// Bits for a frame that has room for `slot` bytes of main data: more than the room for one that demands more than
    /// the mean, less for one that demands less.
    pub(crate) fn budget(&mut self, slot: u32, demand: f32) -> u32 {
        self.mean_demand =
            if self.mean_demand > 0.0 { 0.95 * self.mean_demand + 0.05 * demand } else { demand };
        let relative = if self.mean_demand > 0.0 { (demand / self.mean_demand).clamp(0.5, 2.0) } else { 1.0 };
        // Towards a reservoir that is four fifths full.
        let surplus = 0.5 * (self.level as f32 / self.capacity as f32 - 0.8);
        let wanted = (slot as f32 * (relative + surplus)).max(0.0) as u32;
        8 * wanted.min(slot + self.level)
    }

    /// Takes a frame with `slot` bytes of room whose main data took `used` bytes, no more than its budget. Returns how
    /// many bytes must be stuffed because the reservoir cannot hold them.
    pub(crate) fn settle(&mut self, slot: u32, used: u32) -> u32 {
        debug_assert!(used <= slot + self.level);
        let left = slot + self.level - used;
        self.level = left.min(self.capacity);
        left - self.level
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;

    #[test]
    fn never_negative_and_never_above_main_data_begin() {
        for (rate, limit) in [(44100, 511), (22050, 255)] {
            let mut reservoir = Reservoir::new(&Format::new(Config::new(rate, 2, 64_000)).unwrap());
            let (mut given, mut taken) = (0u64, 0u64);
            for i in 0..1000u32 {
                let slot = 150 + i % 2;
                let budget = reservoir.budget(slot, if i % 50 < 25 { 1.0 } else { 30.0 });
                let used = if i % 7 == 0 { 0 } else { budget / 8 };
                let stuffing = reservoir.settle(slot, used);
                given += u64::from(slot);
                taken += u64::from(used + stuffing);
                assert!(reservoir.main_data_begin() <= limit);
                assert_eq!(given - taken, u64::from(reservoir.main_data_begin()));
            }
        }
    }

    #[test]
    fn demanding_frames_get_more() {
        let mut reservoir = Reservoir::new(&Format::new(Config::new(44100, 2, 128_000)).unwrap());
        for _ in 0..20 {
            let budget = reservoir.budget(400, 1.0);
            reservoir.settle(400, budget / 8);
        }
        assert!(reservoir.clone().budget(400, 2.0) > 8 * 600);
        assert!(reservoir.budget(400, 0.5) < 8 * 300);
    }
}
