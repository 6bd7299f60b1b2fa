//! `onMetaData` compared with what the file holds; the definitions are those of `flvmeta --check`.

use super::flv::FlvFile;
use super::{Comment, Findings, Index};
use crate::flv::{Value, sound_format};
use crate::time::Time;

/// By how many seconds times, or how many kilobits or frames a second rates may be off.
const TOLERANCE: f64 = 1.0;
/// Bytes of texts that are kept as comments.
const MAX_TEXT_BYTES: usize = 1 << 16;

/// What a property should be.
enum Expected {
    Number(f64, f64),
    Boolean(bool),
    /// It should not be there, since this is not.
    Without(&'static str),
}

/// The properties, and the index of key frames among them.
#[derive(Debug)]
pub(super) struct Metadata {
    offset: u64,
    properties: Vec<(String, Value)>,
    /// Seconds and file positions, as they stand there.
    index: Option<[Vec<f64>; 2]>,
    /// Key frames seen so far, one for each time.
    key_frames: usize,
    /// How many of them are wrong in the index, and how the first is.
    wrong: usize,
    first_wrong: Option<String>,
}

impl Metadata {
    pub(super) fn new(offset: u64, properties: Vec<(String, Value)>) -> Self {
        let index = properties.iter().find(|(name, _)| name == "keyframes").map(|(_, value)| {
            ["times", "filepositions"].map(|name| match value {
                Value::Object(lists) | Value::EcmaArray(lists) => numbers(lists, name),
                _ => Vec::new(),
            })
        });
        Self { offset, properties, index, key_frames: 0, wrong: 0, first_wrong: None }
    }

    /// Compares a key frame with the index: its timestamp in milliseconds, and where its tag is.
    pub(super) fn take_key_frame(&mut self, timestamp: u32, offset: u64) {
        let number = self.key_frames;
        self.key_frames += 1;
        let Some([times, positions]) = &self.index else { return };
        let (Some(&time), Some(&position)) = (times.get(number), positions.get(number)) else { return };
        let expected = f64::from(timestamp) / 1000.0;
        if !((time - expected).abs() <= TOLERANCE && position == offset as f64) {
            self.wrong += 1;
            self.first_wrong.get_or_insert_with(|| {
                let number = number + 1;
                format!("key frame {number} is at {expected} s and byte {offset}, not at {time} s and byte {position}")
            });
        }
    }

    /// What the index is worth; `key_frames` is how many key frames there are.
    pub(super) fn index(&self, key_frames: u64) -> Option<Index> {
        let [times, positions] = self.index.as_ref()?;
        let is_complete = [times.len(), positions.len()] == [self.key_frames; 2] && key_frames > 0;
        Some(Index { entries: times.len(), is_right: is_complete && self.wrong == 0 })
    }

    /// Says what is not as the file is.
    pub(super) fn check(&self, file: &FlvFile, findings: &mut Findings) {
        for (name, value) in &self.properties {
            let Some(expected) = expected(name, file) else { continue };
            let problem = match (expected, value) {
                (Expected::Number(expected, tolerance), Value::Number(found)) => {
                    let is_right = (found - expected).abs() <= tolerance;
                    (!is_right).then(|| format!("should be {}, not {}", rounded(expected), rounded(*found)))
                }
                (Expected::Boolean(expected), Value::Boolean(found)) => {
                    (*found != expected).then(|| format!("should be {expected}"))
                }
                (Expected::Number(..), _) => Some("should be a number".to_owned()),
                (Expected::Boolean(_), _) => Some("should be true or false".to_owned()),
                (Expected::Without(what), _) => Some(format!("is there, but {what} not")),
            };
            if let Some(problem) = problem {
                findings.warning(self.offset, format!("onMetaData: {name} {problem}"));
            }
        }
        if file.video.tags > 0 {
            for name in ["width", "height"] {
                if self.number(name).is_some() {
                    continue;
                }
                let problem = format!("onMetaData: {name} is missing");
                // Who wrote the file may not have known it.
                if file.size.is_some() {
                    findings.error(self.offset, problem);
                } else {
                    findings.warning(self.offset, format!("{problem}, and no picture tells it"));
                }
            }
        }
        if let Some([times, positions]) = &self.index {
            if [times.len(), positions.len()] != [self.key_frames; 2] {
                let (times, positions) = (times.len(), positions.len());
                let count = self.key_frames;
                findings.warning(
                    self.offset,
                    format!("the index has {times} times and {positions} positions for {count} key frames"),
                );
            }
            if let Some(first) = &self.first_wrong {
                let message = format!("the index is wrong in {} entries: {first}", self.wrong);
                findings.warning(self.offset, message);
            }
        }
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.properties.iter().find_map(|property| match property {
            (known, Value::Number(number)) if known == name => Some(*number),
            _ => None,
        })
    }

    /// A property in seconds.
    pub(super) fn seconds(&self, name: &str) -> Option<Time> {
        let seconds = self.number(name).filter(|seconds| seconds.is_finite())?;
        Some(Time::from_units((seconds * 1000.0).round() as i64, 1000, 1))
    }

    /// Width and height.
    pub(super) fn size(&self) -> Option<(u32, u32)> {
        Some((self.number("width")? as u32, self.number("height")? as u32))
    }

    /// All texts.
    pub(super) fn comments(&self) -> Vec<Comment> {
        let mut bytes = 0;
        let text = |(name, value): &(String, Value)| match value {
            Value::String(text) => {
                bytes += name.len() + text.len();
                (bytes <= MAX_TEXT_BYTES).then(|| Comment { name: name.clone(), value: text.clone() })
            }
            _ => None,
        };
        self.properties.iter().filter_map(text).collect()
    }
}

fn numbers(lists: &[(String, Value)], name: &str) -> Vec<f64> {
    let list = lists.iter().find_map(|list| match list {
        (known, Value::StrictArray(values)) if known == name => Some(values),
        _ => None,
    });
    // What is no number is wrong wherever it stands.
    let number = |value: &Value| if let Value::Number(number) = value { *number } else { f64::NAN };
    list.map_or_else(Vec::new, |values| values.iter().map(number).collect())
}

/// What a property should be; `None` for one that may be anything.
fn expected(name: &str, file: &FlvFile) -> Option<Expected> {
    let (audio, video) = (&file.audio, &file.video);
    let seconds = |milliseconds: u64| Expected::Number(milliseconds as f64 / 1000.0, TOLERANCE);
    let exactly = |number: f64| Expected::Number(number, 0.5);
    let span = file.span() as f64 / 1000.0;
    let rate = |amount: f64| Expected::Number(if span > 0.0 { amount / span } else { 0.0 }, TOLERANCE);
    let kilobits = |bytes: u64| bytes as f64 * 8.0 / 1024.0;
    match name {
        "width" | "height" | "videodatarate" | "framerate" | "videosize" | "videocodecid"
            if video.tags == 0 =>
        {
            return Some(Expected::Without("pictures are"));
        }
        "audiodatarate" | "audiosamplerate" | "audiosamplesize" | "stereo" | "audiosize" | "audiocodecid"
            if audio.tags == 0 =>
        {
            return Some(Expected::Without("sound is"));
        }
        _ => {}
    }
    let sound = audio.format.unwrap_or(0);
    Some(match name {
        "hasMetadata" => Expected::Boolean(true),
        "hasVideo" => Expected::Boolean(video.tags > 0),
        "hasAudio" => Expected::Boolean(audio.tags > 0),
        "hasKeyframes" => Expected::Boolean(file.key_frames > 0),
        "canSeekToEnd" => Expected::Boolean(file.ends_with_key_frame),
        "stereo" => Expected::Boolean(sound & 1 == 1),
        "duration" => seconds(file.span()),
        "lasttimestamp" => seconds(file.last_timestamp.into()),
        "lastkeyframetimestamp" => seconds(file.last_key.map_or(0, |(time, _)| time).into()),
        "lastkeyframelocation" => exactly(file.last_key?.1 as f64),
        "width" => exactly(file.size?.0.into()),
        "height" => exactly(file.size?.1.into()),
        "framerate" => rate(video.tags as f64),
        "videodatarate" => rate(kilobits(video.payload_bytes)),
        "audiodatarate" => rate(kilobits(audio.payload_bytes)),
        "filesize" => exactly(file.bytes as f64),
        "videosize" => exactly(video.tag_bytes as f64),
        "audiosize" => exactly(audio.tag_bytes as f64),
        "datasize" => exactly(file.script.tag_bytes as f64),
        "videocodecid" => exactly(video.format?.into()),
        "audiocodecid" => exactly((sound >> 4).into()),
        // ffmpeg names the true rate where FLV has only a nearby one.
        "audiosamplerate" => Expected::Number(sound_format(sound).0.into(), 100.0),
        "audiosamplesize" => exactly(if sound & 2 != 0 { 16.0 } else { 8.0 }),
        "audiodelay" => {
            let delay = f64::from(audio.first?) - f64::from(video.first?);
            Expected::Number(delay / 1000.0, TOLERANCE)
        }
        _ => return None,
    })
}

/// To three places.
fn rounded(number: f64) -> f64 {
    (number * 1000.0).round() / 1000.0
}
