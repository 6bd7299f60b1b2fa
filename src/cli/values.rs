//! Values of options: strings to numbers, with errors that show what is wanted.

use std::num::{NonZeroU32, NonZeroU64};

use oggflv::time::Time;

/// Parses a bit rate of sound.
pub(super) fn bitrate(text: &str) -> Result<u32, String> {
    let rate = scaled(text).filter(|rate| (8_000.0..=320_000.0).contains(rate));
    rate.map(|rate| rate as u32).ok_or_else(|| "a rate from 8k to 320k".to_owned())
}

/// Parses a bit rate of pictures, or the size of a buffer.
pub(super) fn video_rate(text: &str) -> Result<NonZeroU32, String> {
    let rate = scaled(text).filter(|rate| (1_000.0..=1e9).contains(rate));
    rate.and_then(|rate| NonZeroU32::new(rate as u32)).ok_or_else(|| "a number from 1k to 1000M".to_owned())
}

/// Parses the size of a file: bytes, or with a unit of decimal or binary thousands.
pub(super) fn file_size(text: &str) -> Result<NonZeroU64, String> {
    let digits = text.trim_end_matches(|letter: char| letter.is_ascii_alphabetic());
    let unit = match &text[digits.len()..] {
        "" | "B" => Some(1.0),
        "k" | "K" | "kB" | "KB" => Some(1e3),
        "M" | "MB" => Some(1e6),
        "G" | "GB" => Some(1e9),
        "KiB" => Some(1024.0),
        "MiB" => Some(1048576.0),
        "GiB" => Some(1073741824.0),
        _ => None,
    };
    let bytes = unit.zip(scaled(digits)).map(|(unit, number)| unit * number);
    bytes
        .filter(|bytes| (1.0..=1e12).contains(bytes))
        .and_then(|bytes| NonZeroU64::new(bytes as u64))
        .ok_or_else(|| "a number of bytes up to 1000 GB, such as 124MB or 118MiB".to_owned())
}

/// A number, in thousands with a k behind it, in millions with an M.
fn scaled(text: &str) -> Option<f64> {
    let (number, unit) = match text.strip_suffix(['k', 'K', 'M']) {
        Some(number) if text.ends_with('M') => (number, 1e6),
        Some(number) => (number, 1e3),
        None => (text, 1.0),
    };
    let plain = number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    plain.then(|| number.parse::<f64>().ok()).flatten().map(|number| number * unit)
}

/// Parses a name and a text.
pub(super) fn metadata(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, text)) if !name.is_empty() && name.len() <= 255 && text.len() <= 65_535 => {
            Ok((name.to_owned(), text.to_owned()))
        }
        _ => Err("a name, an equals sign, and a text, such as title=Holidays".to_owned()),
    }
}

/// Parses a sample rate that FLV has.
pub(super) fn sample_rate(text: &str) -> Result<u32, String> {
    let rate = text.parse().ok().filter(|rate| [11_025, 22_050, 44_100].contains(rate));
    rate.ok_or_else(|| "one of 11025, 22050, 44100".to_owned())
}

/// Parses a gain as a factor.
pub(super) fn volume(text: &str) -> Result<f32, String> {
    let number = |text: &str| text.parse().ok().filter(|number: &f64| number.is_finite());
    let factor = match text.strip_suffix("dB") {
        Some(decibels) => number(decibels).map(|decibels| libm::pow(10.0, decibels / 20.0)),
        None => number(text),
    };
    let factor = factor.filter(|factor| (0.0..=1000.0).contains(factor));
    factor
        .map(|factor| factor as f32)
        .ok_or_else(|| "a factor from 0 to 1000, or decibels such as 6dB".to_owned())
}

/// Parses a place: seconds, or minutes and hours before them.
pub(super) fn time(text: &str) -> Result<Time, String> {
    let parts: Vec<&str> = text.split(':').collect();
    let mut seconds = (parts.len() <= 3).then_some(0.0);
    for (index, part) in parts.iter().enumerate() {
        let last = index + 1 == parts.len();
        let plain =
            !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.' && last);
        let value = part.parse::<f64>().ok().filter(|value| plain && (index == 0 || *value < 60.0));
        seconds = seconds.zip(value).map(|(seconds, value)| 60.0 * seconds + value);
    }
    seconds
        .filter(|seconds| *seconds <= 2_000_000.0)
        .map(|seconds| Time::from_milliseconds((seconds * 1000.0).round() as i32))
        .ok_or_else(|| "seconds, or a time such as 1:02:30.5".to_owned())
}

/// Parses a time.
pub(super) fn seconds(text: &str) -> Result<Time, String> {
    let seconds = scaled(text).filter(|seconds| (0.001..=86_400.0).contains(seconds));
    seconds
        .map(|seconds| Time::from_milliseconds((seconds * 1000.0) as i32))
        .ok_or_else(|| "a number of seconds up to 86400".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitrates() {
        assert_eq!(
            (bitrate("128k"), bitrate("128000"), bitrate("8K")),
            (Ok(128_000), Ok(128_000), Ok(8_000))
        );
        for wrong in ["", "k", "128", "7999", "321k", "5000000k", "-1k", "1e5", "nan", "12.8.1k"] {
            assert!(bitrate(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            ["1.2M", "600k", "1000"].map(|text| video_rate(text).map(u32::from)),
            [Ok(1_200_000), Ok(600_000), Ok(1_000)]
        );
        for wrong in ["0", "999", "1001M", "inf", "-600k"] {
            assert!(video_rate(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn file_sizes() {
        let cases =
            [("124MB", 124_000_000), ("1.5k", 1500), ("7", 7), ("2MiB", 2 << 20), ("1000GB", 10_u64.pow(12))];
        for (text, bytes) in cases {
            assert_eq!(file_size(text).map(u64::from), Ok(bytes), "{text}");
        }
        for wrong in ["", "MB", "0", "-1", "1001G", "12 MB", "12Mb", "1e3", "1kk", "inf"] {
            assert!(file_size(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn places() {
        for (text, milliseconds) in
            [("0", 0), ("90", 90_000), ("12.345", 12_345), ("1:30", 90_000), ("1:02:30.5", 3_750_500)]
        {
            assert_eq!(time(text), Ok(Time::from_milliseconds(milliseconds)), "{text}");
        }
        for wrong in ["", "-1", "1:60", "1:2:3:4", ":5", "1:", "1.5:00", "x", "1e3", "3000000"] {
            assert!(time(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn gains() {
        assert_eq!((volume("0.5"), volume("0dB"), volume("-20dB")), (Ok(0.5), Ok(1.0), Ok(0.1)));
        for wrong in ["", "dB", "-1", "nan", "1001", "70dB", "loud"] {
            assert!(volume(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn times() {
        assert_eq!(
            (seconds("10"), seconds("0.5")),
            (Ok(Time::from_seconds(10)), Ok(Time::from_milliseconds(500)))
        );
        for wrong in ["0", "-1", "86401", "1:00"] {
            assert!(seconds(wrong).is_err(), "{wrong}");
        }
    }
}
