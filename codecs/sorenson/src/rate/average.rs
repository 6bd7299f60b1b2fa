//! An average bit rate in one pass.

use super::model::{Demand, Models, Picture, divisor};

/// Aims at an average over the whole stream.
///
/// The quantiser is the one at which the frames that are known, and after them more of what came so far, would take what
/// the next seconds may take, less what was spent too much.
#[derive(Clone, Debug)]
pub(super) struct Average {
    /// Bits per second.
    target: f64,
    /// What the pictures so far would take in units of bits, the older the less, and how long they stood.
    past: Demand,
    past_seconds: f64,
}

/// How long the past counts, in seconds.
const MEMORY: f64 = 30.0;
/// Time beyond the known frames that is looked at: so many seconds at first, and a part of what went by.
const WINDOW: f64 = 10.0;
const WINDOW_PART: f64 = 0.05;
/// A surplus is worked off so much faster.
const HASTE: f64 = 2.0;
/// When the end is known, the quantiser is found as if so many seconds followed.
const MORE: f64 = 0.2;
/// A key frame at the start is one in this many seconds.
const KEY_SECONDS: f64 = 10.0;
/// However much was spent, this part of the target is still given out.
const LEAST_PART: f64 = 0.25;

impl Average {
    pub(super) fn new(bits_per_second: u32) -> Self {
        Self { target: f64::from(bits_per_second.max(1)), past: Demand::default(), past_seconds: 0.0 }
    }

    /// Remembers a picture that took `bits`.
    pub(super) fn remember(&mut self, picture: &Picture, bits: f64) {
        let kept = MEMORY / (MEMORY + picture.duration);
        self.past.scale(kept);
        self.past_seconds = self.past_seconds * kept + picture.duration;
        let demand = (bits - picture.fixed).max(0.0) * divisor(picture.key, picture.quantizer);
        self.past.add(&Picture { demand, ..*picture });
    }

    /// The quantiser for the first of the `known` pictures, after which nothing follows if the stream `ends`; `spent`
    /// bits were spent before.
    pub(super) fn quantizer(
        &self,
        known: &[Picture],
        ends: bool,
        spent: f64,
        last: Option<f64>,
        models: &Models,
    ) -> f64 {
        let (mut demand, mut seconds) = (Demand::default(), 0.0);
        for picture in known {
            demand.add(picture);
            seconds += picture.duration;
        }
        let elapsed = known[0].time;
        let surplus = spent - self.target * elapsed;
        // In units of bits, as the past is.
        for i in [0, 1] {
            demand.varying[i] *= models.0[i].factor();
        }
        if ends {
            let mut more = self.past;
            more.scale(MORE / self.past_seconds.max(MORE));
            return Models::UNIT.last_quantizer(&demand, self.target * seconds - surplus, &more, last);
        }
        let window = WINDOW + WINDOW_PART * elapsed;
        let total = (self.past_seconds + seconds).max(1e-3);
        let share = |past: f64, known: f64, total: f64| known + window * (past + known) / total;
        let expected = Demand {
            fixed: share(self.past.fixed, demand.fixed, total),
            varying: [
                share(self.past.varying[0], demand.varying[0], total),
                share(self.past.varying[1], demand.varying[1], total.max(KEY_SECONDS)),
            ],
        };
        let budget = self.target * (window + seconds);
        Models::UNIT.quantizer(&expected, (budget - HASTE * surplus).max(LEAST_PART * budget))
    }
}
