//! One timeline out of the timestamps of a file, whatever they are.

/// A step of more than this, in milliseconds, forth or back, is looked at twice.
const LEAP: i64 = 1000;
/// What a timestamp loses whose TimestampExtended is not used.
const OVERFLOW: i64 = 1 << 24;
/// By how much the timeline goes on where timestamps begin anew.
const STEP: i64 = 40;
/// The latest time that timestamps can tell.
const LATEST: i64 = i32::MAX as i64;

/// Puts tags on a timeline that starts at 0 and never goes back within a kind.
#[derive(Clone, Debug)]
pub(super) struct Clock {
    /// What is added to a timestamp.
    offset: i64,
    /// The last time of each kind: of sound and of pictures.
    last: [Option<i64>; 2],
    latest: i64,
    /// Timestamps that could not be taken as they were.
    pub(super) repaired: u64,
    /// How often the timestamps began anew.
    pub(super) restarts: u64,
}

impl Clock {
    /// A clock for a file whose first timestamp is `first`.
    pub(super) fn new(first: u32) -> Self {
        Self { offset: -i64::from(first), last: [None; 2], latest: 0, repaired: 0, restarts: 0 }
    }

    /// The time of the next tag of a `kind`, in milliseconds; `next` is the timestamp of the one after it, of any kind.
    pub(super) fn place(&mut self, kind: usize, timestamp: u32, next: Option<u32>) -> i64 {
        let before = self.last[kind].unwrap_or(0);
        let mut time = i64::from(timestamp) + self.offset;
        if (time + OVERFLOW - self.latest).abs() <= LEAP && self.latest > LEAP {
            self.offset += OVERFLOW;
            time += OVERFLOW;
        }
        if (time - before).abs() > LEAP && (time - self.latest).abs() > LEAP || time > LATEST {
            let next = next.map(|next| i64::from(next) + self.offset);
            let is_stray = next.is_none_or(|next| (next - self.latest).abs() < (next - time).abs());
            if is_stray || time > LATEST {
                self.repaired += 1;
                // Next to its neighbours, if both kinds are in order.
                time = if self.latest - before <= LEAP { self.latest } else { before };
            } else if time < before {
                // Another recording begins: it follows the one before.
                self.restarts += 1;
                self.offset += self.latest + STEP - time;
                time = self.latest + STEP;
            }
        }
        if time < before {
            self.repaired += 1;
            time = before;
        }
        self.last[kind] = Some(time);
        self.latest = self.latest.max(time);
        time
    }

    /// Where a tag belongs that is neither sound nor picture.
    pub(super) fn place_script(&self, timestamp: u32) -> i64 {
        let time = i64::from(timestamp) + self.offset;
        if (time - self.latest).abs() <= LEAP { time.max(0) } else { self.latest }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Places tags: kind and timestamp.
    fn place(tags: &[(usize, u32)]) -> (Vec<i64>, Clock) {
        let mut clock = Clock::new(tags[0].1);
        let mut next = tags.iter().skip(1).map(|&(_, timestamp)| timestamp);
        let times = tags.iter().map(|&(kind, timestamp)| clock.place(kind, timestamp, next.next())).collect();
        (times, clock)
    }

    #[test]
    fn good_timestamps_stay() {
        let tags = [(0, 0), (1, 25), (0, 26), (1, 58), (0, 52), (1, 92)];
        assert_eq!(place(&tags).0, [0, 25, 26, 58, 52, 92]);
        // They begin at 0.
        assert_eq!(place(&[(1, 5_000_000), (0, 5_000_010), (1, 5_000_040)]).0, [0, 10, 40]);
        // A gap in both kinds, pictures that stand long, sound behind all pictures.
        for tags in [
            &[(0, 0), (1, 10), (0, 90_000), (1, 90_010)][..],
            &[(1, 0), (0, 500), (0, 1500), (0, 29_995), (1, 30_000), (0, 29_998), (0, 30_010)],
            &[(1, 0), (1, 900), (1, 1800), (1, 2700), (1, 3600), (0, 0), (0, 900), (0, 1800)],
        ] {
            let (times, clock) = place(tags);
            assert!(times.iter().zip(tags).all(|(&time, tag)| time == i64::from(tag.1)), "{times:?}");
            assert_eq!((clock.repaired, clock.restarts), (0, 0));
        }
    }

    #[test]
    fn a_stray_timestamp_moves_no_other() {
        let mut expected: Vec<i64> = (0..10).map(|index| 40 * index).collect();
        for stray in [0, 8_000_000, 70_000, u32::MAX, 3000] {
            let mut tags: Vec<(usize, u32)> = (0..10).map(|index| (1, 40 * index)).collect();
            tags[5].1 = stray;
            expected[5] = 160;
            let (times, clock) = place(&tags);
            assert_eq!((times, clock.repaired, clock.restarts), (expected.clone(), 1, 0), "{stray}");
            // The last one.
            let tags = [(1, 0), (1, 40), (1, stray.max(3000))];
            assert_eq!(place(&tags).0, [0, 40, 40]);
        }
    }

    #[test]
    fn what_begins_anew_goes_on() {
        let tags = [(0, 0), (1, 3000), (0, 3000), (1, 0), (0, 0), (1, 40), (0, 26)];
        let (times, clock) = place(&tags);
        assert_eq!(times, [0, 3000, 3000, 3040, 3040, 3080, 3066]);
        assert_eq!((clock.repaired, clock.restarts), (0, 1));
        // The lower 24 bits alone.
        let tags = [(1, 0), (1, 16_777_200), (1, 16_777_210), (1, 4), (0, 10), (1, 44)];
        let (times, clock) = place(&tags);
        assert_eq!(times, [0, 16_777_200, 16_777_210, 16_777_220, 16_777_226, 16_777_260]);
        assert_eq!(clock.restarts, 0);
    }
}
