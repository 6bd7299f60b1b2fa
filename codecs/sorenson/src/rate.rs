//! Rate control: the quantiser of each picture, from a scale of quality or for an average bit rate.

use crate::encoder::Packet;
use crate::lookahead::{Plan, exp2_inverse};
use std::collections::VecDeque;

/// Highest quality of the scale.
pub const MAX_QUALITY: u8 = 100;

/// The quantiser, in units of 1/16, for a quality of 0 (quantiser 31) to [`MAX_QUALITY`] (quantiser 1).
///
/// Twenty more halve the quantiser, which about doubles the bits. 50 gives 5.8, 67 gives 3.1.
#[must_use]
pub fn quantizer_for_quality(quality: u8) -> u16 {
    /// Binary logarithm of 31 in units of 1/256.
    const LOG2_31: u32 = 1268;
    let exponent = u32::from(quality.min(MAX_QUALITY)) * LOG2_31 / u32::from(MAX_QUALITY);
    ((31 * 16 * u32::from(exp2_inverse(exponent)) + 128) / 256).max(16) as u16
}

/// Chooses quantisers for an average bit rate.
///
/// For every frame in order, call [`plan`](Self::plan) before it is encoded and [`encoded`](Self::encoded) after,
/// the latter at most [`DELAY`](Self::DELAY) frames behind the former. Only what is older than that is taken into
/// account, so quantisers do not depend on how many pictures are encoded at a time.
#[derive(Clone, Debug)]
pub struct RateControl {
    /// Bits for each frame.
    target: f64,
    /// Sizes that were reported and not taken into account yet.
    reported: VecDeque<f64>,
    /// What was planned and not taken into account yet: whether it is a key frame, complexity, quantiser.
    open: VecDeque<(bool, f64, f64)>,
    /// Bits times quantiser over complexity, for P and for key frames.
    models: [Model; 2],
    /// Mean bits of a frame at quantiser 1, as the models have it.
    demand: Option<f64>,
    /// Bits of all frames so far, the open ones as predicted, above the target.
    surplus: f64,
    last: Option<f64>,
}

#[derive(Clone, Copy, Debug)]
struct Model {
    bits: f64,
    complexity: f64,
}

impl Model {
    fn factor(&self) -> f64 {
        self.bits / self.complexity
    }

    fn add(&mut self, bits: f64, complexity: f64) {
        self.bits = self.bits * 0.95 + bits;
        self.complexity = self.complexity * 0.95 + complexity;
    }
}

impl RateControl {
    /// Frames from the planning of a frame to the report of its size at most.
    pub const DELAY: usize = 17;

    /// Frames in which a surplus is to be worked off.
    const WINDOW: f64 = 50.0;

    /// For `bits_per_second` on average, at `frames_per_second`.
    #[must_use]
    pub fn average(bits_per_second: u32, frames_per_second: f64) -> Self {
        // What the first pictures of most videos need.
        let model = Model { bits: 0.9, complexity: 1.0 };
        Self {
            target: f64::from(bits_per_second.max(1)) / frames_per_second.max(0.01),
            reported: VecDeque::new(),
            open: VecDeque::new(),
            models: [model, Model { bits: 1.4, ..model }],
            demand: None,
            surplus: 0.0,
            last: None,
        }
    }

    /// Sets the quantiser of the next frame.
    pub fn plan(&mut self, plan: &mut Plan) {
        while self.open.len() > Self::DELAY {
            self.take_account();
        }
        let complexity = f64::from(plan.complexity.max(1));
        let factor = |models: &[Model; 2]| models[usize::from(plan.key)].factor();
        let bits = factor(&self.models) * complexity;
        // The mean over the last seconds; a key frame stands for the many that it is shared by.
        let weight = if plan.key { 0.004 } else { 0.02 };
        let demand =
            self.demand.map_or(bits * if plan.key { 0.25 } else { 1.0 }, |old| old + (bits - old) * weight);
        self.demand = Some(demand);
        let correction = (1.0 + self.surplus / (self.target * Self::WINDOW)).clamp(0.4, 2.5);
        let mut quantizer = demand / self.target * correction;
        if let Some(last) = self.last {
            quantizer = quantizer.clamp(last * 0.88, last * 1.14);
        }
        let quantizer = quantizer.clamp(1.0, 31.0);
        self.last = Some(quantizer);
        plan.quantizer = (quantizer * 16.0 + 0.5) as u16;
        self.surplus += bits / quantizer - self.target;
        self.open.push_back((plan.key, complexity, quantizer));
    }

    /// Reports the next packet.
    pub fn encoded(&mut self, packet: &Packet) {
        self.reported.push_back(8.0 * packet.data.len() as f64);
    }

    /// Puts the size of the oldest open frame in the place of its prediction.
    fn take_account(&mut self) {
        let Some((key, complexity, quantizer)) = self.open.pop_front() else { return };
        let Some(bits) = self.reported.pop_front() else { return };
        let model = &mut self.models[usize::from(key)];
        self.surplus += bits - model.factor() * complexity / quantizer;
        model.add(bits * quantizer, complexity);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_scale_of_quality() {
        assert_eq!([0, 50, 67, 100].map(quantizer_for_quality), [496, 93, 50, 16]);
        assert!(
            (1..=100).all(|quality| quantizer_for_quality(quality) <= quantizer_for_quality(quality - 1))
        );
    }

    /// Pictures whose size goes with complexity over quantiser, whatever the factor, end near the target.
    #[test]
    fn the_average_comes_near_the_target() {
        for factor in [0.3, 1.0, 2.0] {
            let mut rate = RateControl::average(1_000_000, 25.0);
            let (mut sum, mut packets) = (0, VecDeque::new());
            for n in 0..1500u32 {
                let key = n % 250 == 0;
                let complexity = if key { 900_000 } else { 200_000 + n % 7 * 10_000 + n / 500 * 100_000 };
                let mut plan = Plan { key, quantizer: 0, factors: Vec::new(), complexity };
                rate.plan(&mut plan);
                let scale = factor * if key { 3.0 } else { 1.0 };
                let bytes = (scale * f64::from(complexity) / f64::from(plan.quantizer) * 2.0) as usize;
                sum += bytes * 8;
                packets.push_back(Packet { key, data: vec![0; bytes] });
                if packets.len() > 5 {
                    rate.encoded(&packets.pop_front().expect("there are five"));
                }
            }
            let wanted = 60.0 * 1_000_000.0;
            let error = sum as f64 / wanted - 1.0;
            assert!(error.abs() < 0.02, "factor {factor}: {error:+.3}");
        }
    }
}
