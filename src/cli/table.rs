//! What a look into a file shows: to people a table, to programs an object.

use std::fmt::Write;
use std::path::Path;

use indicatif::HumanBytes;
use oggflv::Error;
use oggflv::probe::{
    Comment, Finding, Findings, Flv, Format, Kind, Probe, Severity, Stream, pixel_format_name,
};
use oggflv::time::Time;
use serde::Serialize;

/// Characters of a comment that are shown.
const COMMENT_CHARS: usize = 100;
/// Findings that the table shows.
const SHOWN_FINDINGS: usize = 20;

/// An object on a line of its own.
pub(super) fn json(file: &Path, result: &Result<Probe, Error>) -> String {
    #[derive(Serialize)]
    struct Line<'a> {
        file: String,
        #[serde(flatten)]
        probe: Option<&'a Probe>,
        error: Option<String>,
    }
    let line = Line {
        file: file.display().to_string(),
        probe: result.as_ref().ok(),
        error: result.as_ref().err().map(ToString::to_string),
    };
    serde_json::to_string(&line).expect("numbers and strings can be written") + "\n"
}

/// How many errors and warnings there are, and which.
pub(super) fn verdict(file: &Path, probe: &Probe) -> String {
    let Findings { errors, warnings, .. } = probe.findings;
    let mut text = format!(
        "{}: {}, {}\n",
        file.display(),
        count(errors, "error", "errors"),
        count(warnings, "warning", "warnings")
    );
    add_findings(&mut text, &probe.findings, usize::MAX);
    text
}

/// All that is known, on a line for each stream and each comment.
pub(super) fn table(file: &Path, probe: &Probe) -> String {
    let format = match probe.format {
        Format::Ogg => "Ogg",
        Format::Flv => "FLV",
        _ => "?",
    };
    let mut parts = vec![format.to_owned()];
    let links = probe.ogg.as_ref().map_or(1, |ogg| ogg.links);
    if links > 1 {
        parts.push(format!("{links} links"));
    }
    parts.push(probe.duration.to_string());
    parts.push(HumanBytes(probe.bytes).to_string());
    parts.extend(probe.bitrate.map(bits));
    let mut text = format!("{}: {}\n", file.display(), parts.join(", "));
    let rows: Vec<[String; COLUMNS]> = probe.streams.iter().map(row).collect();
    let widths: Vec<usize> =
        (0..COLUMNS).map(|i| rows.iter().map(|row| row[i].chars().count()).max().unwrap_or(0)).collect();
    let mut link = 1;
    for (stream, row) in probe.streams.iter().zip(&rows) {
        if stream.link != link {
            link = stream.link;
            let _ = writeln!(text, "  link {link}:");
        }
        let mut line = String::from(" ");
        for (cell, &width) in row.iter().zip(&widths).filter(|(_, width)| **width > 0) {
            let _ = write!(line, " {cell:width$} ");
        }
        text += line.trim_end();
        text += "\n";
        add_comments(&mut text, &stream.comments);
    }
    if let Some(flv) = &probe.flv {
        add_flv(&mut text, flv);
    }
    add_comments(&mut text, &probe.comments);
    add_findings(&mut text, &probe.findings, SHOWN_FINDINGS);
    text
}

const COLUMNS: usize = 8;

/// Number, codec, shape, rate, duration, bit rate, counts, and what is peculiar.
fn row(stream: &Stream) -> [String; COLUMNS] {
    let kind = match stream.kind {
        Kind::Video => "video",
        Kind::Audio => "audio",
        _ => "other",
    };
    let (mut shape, mut rate, mut counts) = (String::new(), String::new(), Vec::new());
    if let Some(video) = &stream.video {
        let mut parts = Vec::new();
        if video.width > 0 {
            parts.push(format!("{}x{}", video.width, video.height));
        }
        parts.extend(video.pixel_format.map(|format| pixel_format_name(format).to_owned()));
        if let Some((width, height)) = video.pixel_aspect.filter(|(width, height)| width != height) {
            parts.push(format!("pixels {width}:{height}"));
        }
        shape = parts.join(" ");
        rate = video.frame_rate.map_or_else(String::new, |rate| format!("{} fps", rounded(rate)));
        counts.push(count(video.frames, "picture", "pictures"));
        counts.extend(video.key_frames.map(|frames| count(frames, "key frame", "key frames")));
        if let Some(longest) = video.longest_key_interval {
            counts.push(format!("longest interval {} s", rounded(longest.seconds())));
        }
    } else if let Some(audio) = &stream.audio {
        shape = match audio.channels {
            1 => "mono".to_owned(),
            2 => "stereo".to_owned(),
            channels => format!("{channels} channels"),
        };
        if let Some(bits) = audio.bits_per_sample {
            let _ = write!(shape, " {bits} bit");
        }
        rate = format!("{} Hz", audio.sample_rate);
    } else {
        counts.push(count(stream.packets, "packet", "packets"));
    }
    let mut peculiar = Vec::new();
    if let Some(nominal) = stream.nominal_bitrate {
        peculiar.push(format!("nominal {}", bits(nominal.into())));
    }
    if let Some(start) = stream.start.filter(|&start| start != Time::ZERO) {
        peculiar.push(format!("starts at {} s", rounded(start.seconds())));
    }
    if let Some(serial) = stream.serial {
        peculiar.push(format!("serial {serial}"));
    }
    [
        format!("{kind} {}", stream.number),
        clean(&stream.codec),
        shape,
        rate,
        stream.duration.map_or_else(String::new, |duration| duration.to_string()),
        stream.bitrate.map_or_else(String::new, bits),
        counts.join(", "),
        peculiar.join(", "),
    ]
}

fn add_flv(text: &mut String, flv: &Flv) {
    let header = match (flv.header_audio, flv.header_video) {
        (true, true) => "audio and video",
        (true, false) => "audio",
        (false, true) => "video",
        (false, false) => "nothing",
    };
    let mut tags = format!("{} audio, {} video, {} script", flv.audio_tags, flv.video_tags, flv.script_tags);
    if flv.unknown_tags > 0 {
        let _ = write!(tags, ", {} unknown", flv.unknown_tags);
    }
    let metadata = match (flv.has_metadata, flv.metadata_duration) {
        (false, _) => "none".to_owned(),
        (true, None) => "no duration".to_owned(),
        (true, Some(duration)) => format!("duration {} s", rounded(duration.seconds())),
    };
    let index = match flv.index {
        None => "none".to_owned(),
        Some(index) => {
            let verdict = if index.is_right { "right" } else { "wrong" };
            format!("{}, {verdict}", count(index.entries as u64, "key frame", "key frames"))
        }
    };
    let _ = writeln!(text, "  header: {header}; tags: {tags}; metadata: {metadata}; index: {index}");
}

fn add_comments(text: &mut String, comments: &[Comment]) {
    let width = comments.iter().map(|comment| comment.name.chars().count()).max().unwrap_or(0).min(20);
    for comment in comments {
        let _ = writeln!(text, "    {:width$}  {}", clean(&comment.name), clean(&comment.value));
    }
}

fn add_findings(text: &mut String, findings: &Findings, most: usize) {
    for Finding { severity, offset, message, .. } in findings.first.iter().take(most) {
        let severity = match severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        let at = offset.map_or_else(String::new, |offset| format!(" at byte {offset}"));
        let _ = writeln!(text, "  {severity}{at}: {}", clean(message));
    }
    let shown = findings.first.len().min(most) as u64;
    let more = findings.errors + findings.warnings - shown;
    if more > 0 {
        let _ = writeln!(text, "  and {more} more");
    }
}

/// A text from a file as it may be shown on a terminal: without control characters, and not too long.
fn clean(text: &str) -> String {
    let is_steering =
        |c: char| c.is_control() || matches!(c, '\u{200e}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown: String =
        text.chars().take(COMMENT_CHARS).map(|c| if is_steering(c) { ' ' } else { c }).collect();
    if text.chars().nth(COMMENT_CHARS).is_some() {
        shown.push('…');
    }
    shown
}

fn count(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A bit rate.
fn bits(rate: f64) -> String {
    if rate < 10_000_000.0 {
        format!("{:.0} kbit/s", rate / 1e3)
    } else {
        format!("{:.1} Mbit/s", rate / 1e6)
    }
}

/// To three places at most.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_in_a_file_steers_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d"), "a [2Jb c d");
        assert_eq!(clean(&"é".repeat(100)), "é".repeat(100));
        assert_eq!(clean(&"é".repeat(101)), "é".repeat(100) + "…");
    }

    #[test]
    fn rates_are_short() {
        assert_eq!(
            [64_499.0, 9_999_000.0, 12_345_678.0].map(bits),
            ["64 kbit/s", "9999 kbit/s", "12.3 Mbit/s"]
        );
        assert_eq!((count(1, "a", "b"), count(0, "a", "b")), ("1 a".to_owned(), "0 b".to_owned()));
    }
}
