//! Time on the way from granule positions to milliseconds.

use std::fmt;
use std::ops::{Add, AddAssign, Sub};

use serde::{Serialize, Serializer};

const PER_SECOND: i128 = 1_000_000_000;

/// A point on a timeline, or a span, in nanoseconds.
///
/// Each is computed from a count of frames or samples since the start of a stream and never by adding up rounded
/// durations, so nothing drifts; 292 years fit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(i64);

impl Time {
    /// The start.
    pub const ZERO: Self = Self(0);
    /// Later than everything.
    pub const MAX: Self = Self(i64::MAX);
    /// One second.
    pub const SECOND: Self = Self(PER_SECOND as i64);
    /// The farthest that the 31 bits of a timestamp in milliseconds reach, about 24.8 days.
    pub const FLV_LIMIT: Self = Self(i32::MAX as i64 * 1_000_000);

    /// Whole seconds.
    #[must_use]
    pub const fn from_seconds(seconds: i32) -> Self {
        Self(seconds as i64 * PER_SECOND as i64)
    }

    /// Whole milliseconds.
    #[must_use]
    pub const fn from_milliseconds(milliseconds: i32) -> Self {
        Self(milliseconds as i64 * 1_000_000)
    }

    /// What `count` units take of which there are `numerator` in `denominator` seconds, such as frames at 30000/1001
    /// or samples at 44100/1; rounded to the nearest nanosecond, held within what fits.
    ///
    /// # Panics
    /// If `numerator` is 0.
    #[must_use]
    pub fn from_units(count: i64, numerator: u32, denominator: u32) -> Self {
        let (numerator, denominator) = (i128::from(numerator), i128::from(denominator));
        let nanoseconds =
            (i128::from(count) * denominator * PER_SECOND * 2 + numerator).div_euclid(numerator * 2);
        Self(nanoseconds.clamp(i64::MIN.into(), i64::MAX.into()) as i64)
    }

    /// How many units of `numerator`/`denominator` a second fit, to the nearest.
    ///
    /// # Panics
    /// If `denominator` is 0.
    #[must_use]
    pub fn to_units(self, numerator: u32, denominator: u32) -> i64 {
        let (numerator, divisor) = (i128::from(numerator), i128::from(denominator) * PER_SECOND);
        (i128::from(self.0) * numerator * 2 + divisor).div_euclid(divisor * 2) as i64
    }

    /// In milliseconds, to the nearest; the half goes up.
    #[must_use]
    pub fn milliseconds(self) -> i64 {
        (self.0.saturating_add(500_000)).div_euclid(1_000_000)
    }

    /// In seconds.
    #[must_use]
    pub fn seconds(self) -> f64 {
        self.0 as f64 / PER_SECOND as f64
    }

    /// Half of it.
    #[must_use]
    pub fn halved(self) -> Self {
        Self(self.0 / 2)
    }
}

impl From<Time> for std::time::Duration {
    /// What lies before the start becomes the start.
    fn from(time: Time) -> Self {
        Self::from_nanos(time.0.max(0) as u64)
    }
}

impl fmt::Display for Time {
    /// Minutes, or hours and minutes, and seconds to a tenth: `0:12.3`, `1:02:03.0`. What lies before the start is the
    /// start.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tenths = (self.milliseconds().max(0) + 50) / 100;
        let (hours, minutes, tenths) = (tenths / 36_000, tenths / 600 % 60, tenths % 600);
        if hours > 0 {
            write!(f, "{hours}:{minutes:02}:{:02}.{}", tenths / 10, tenths % 10)
        } else {
            write!(f, "{minutes}:{:02}.{}", tenths / 10, tenths % 10)
        }
    }
}

impl Serialize for Time {
    /// In seconds.
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_f64(self.seconds())
    }
}

impl Add for Time {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

impl AddAssign for Time {
    fn add_assign(&mut self, other: Self) {
        *self = *self + other;
    }
}

impl Sub for Time {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forty_four_minutes_at_ntsc_rate_do_not_drift() {
        for frame in 0..79_121_i64 {
            let exact = (frame * 1_001_000 * 2 + 30_000).div_euclid(60_000);
            assert_eq!(Time::from_units(frame, 30_000, 1001).milliseconds(), exact, "frame {frame}");
        }
    }

    #[test]
    fn units_there_and_back() {
        for (numerator, denominator) in [(44_100, 1), (30_000, 1001), (1, 1), (192_000, 1), (u32::MAX, 1)] {
            for count in [0, 1, -1, 12_345, 100_000_000] {
                let time = Time::from_units(count, numerator, denominator);
                let back = time.to_units(numerator, denominator);
                assert!(
                    back.abs_diff(count) <= u64::from(numerator / 1_000_000_000),
                    "{count} at {numerator}"
                );
            }
        }
    }

    #[test]
    fn times_are_read_as_on_a_clock() {
        let clock = |milliseconds| Time::from_milliseconds(milliseconds).to_string();
        assert_eq!(
            [0, 49, 50, 59_949, 59_950, 3_599_999, 36_061_230].map(clock),
            ["0:00.0", "0:00.0", "0:00.1", "0:59.9", "1:00.0", "1:00:00.0", "10:01:01.2"]
        );
    }

    #[test]
    fn halves_go_up() {
        assert_eq!(Time::from_units(1, 16, 1).milliseconds(), 63);
        assert_eq!(Time::from_units(-1, 16, 1).milliseconds(), -62);
    }

    #[test]
    fn hostile_counts_saturate() {
        assert_eq!(Time::from_units(i64::MAX, 1, u32::MAX), Time(i64::MAX));
        assert_eq!(Time(i64::MAX) + Time::SECOND, Time(i64::MAX));
        assert_eq!(Time(i64::MAX).milliseconds(), i64::MAX / 1_000_000);
    }
}
