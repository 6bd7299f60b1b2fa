//! The tags of one file that are worth copying, on one timeline.

use std::io::{self, Read};

use super::clock::Clock;
use super::formats::{
    Formats, audio_codec, is_key_frame, is_known_frame, is_sequence_end, is_sequence_header, video_codec,
};
use crate::flv::{Reader, TagType, Value, read_script};
use crate::time::Time;

/// Places of damage that are told one by one.
const TOLD: usize = 10;

/// A tag that is worth copying.
#[derive(Debug)]
pub(super) struct Tag {
    pub(super) tag_type: TagType,
    /// Milliseconds from the start of the file.
    pub(super) time: i64,
    /// Whether decoding can begin with it.
    pub(super) is_key_frame: bool,
    /// Whether it sets a decoder up.
    pub(super) is_header: bool,
    /// Whether it says that nothing more comes.
    pub(super) is_end: bool,
    pub(super) body: Vec<u8>,
}

/// A tag before its time is known.
#[derive(Debug)]
struct Raw {
    tag_type: TagType,
    timestamp: u32,
    body: Vec<u8>,
}

/// What is missing of a file, or was put right.
#[derive(Debug, Default)]
struct Damage {
    /// Bytes that are no tag, and the time at which they stand.
    places: Vec<(i64, u64)>,
    more_places: u64,
    cut_bytes: u64,
    unknown: u64,
    other_codec: u64,
    /// Script data that cannot be read.
    unreadable: u64,
}

/// Reads a file's tags.
#[derive(Debug)]
pub(super) struct Tags<'a, R> {
    reader: Reader<R>,
    formats: &'a Formats,
    clock: Clock,
    /// Read, but not given.
    next: Option<Raw>,
    damage: Damage,
    /// The time of the last tag that was given.
    time: i64,
    started: bool,
}

impl<'a, R: Read> Tags<'a, R> {
    pub(super) fn new(input: R, formats: &'a Formats) -> io::Result<Self> {
        let reader = Reader::new(input)?;
        let clock = Clock::new(formats.first_timestamp);
        let damage = Damage::default();
        Ok(Self { reader, formats, clock, next: None, damage, time: 0, started: false })
    }

    /// The next tag.
    pub(super) fn next_tag(&mut self) -> io::Result<Option<Tag>> {
        if !self.started {
            self.started = true;
            self.next = self.read()?;
        }
        let Some(raw) = self.next.take() else { return Ok(None) };
        self.next = self.read()?;
        let first = raw.body[0];
        let kind = match raw.tag_type {
            TagType::Audio => 0,
            TagType::Video => 1,
            TagType::Script => {
                let time = self.clock.place_script(raw.timestamp);
                return Ok(Some(Tag {
                    tag_type: TagType::Script,
                    time,
                    is_key_frame: false,
                    is_header: false,
                    is_end: false,
                    body: raw.body,
                }));
            }
        };
        let next = self.next.as_ref().filter(|next| next.tag_type != TagType::Script);
        self.time = self.clock.place(kind, raw.timestamp, next.map(|next| next.timestamp));
        let is_video = raw.tag_type == TagType::Video;
        let is_header = is_sequence_header(is_video, &raw.body);
        let is_end = is_video && is_sequence_end(&raw.body);
        Ok(Some(Tag {
            tag_type: raw.tag_type,
            time: self.time,
            is_key_frame: is_video && is_key_frame(first),
            is_header,
            is_end,
            body: raw.body,
        }))
    }

    /// Where the next tag is looked for in the file.
    pub(super) fn offset(&self) -> u64 {
        self.reader.offset()
    }

    /// Reads up to a tag that is worth copying.
    fn read(&mut self) -> io::Result<Option<Raw>> {
        while let Some(tag) = self.reader.next_tag()? {
            if tag.skipped > 0 {
                if self.damage.places.len() < TOLD {
                    self.damage.places.push((self.time, tag.skipped));
                } else {
                    self.damage.more_places += 1;
                }
            }
            let (Some(tag_type), Some(&first)) = (TagType::known(tag.tag_type), tag.body.first()) else {
                self.damage.unknown += 1;
                continue;
            };
            if tag_type == TagType::Video && !is_known_frame(first) {
                self.damage.unknown += 1;
                continue;
            }
            let (is_wanted, others) = match tag_type {
                TagType::Audio => {
                    (self.formats.audio_codec() == Some(audio_codec(first)), &mut self.damage.other_codec)
                }
                TagType::Video => {
                    (self.formats.video == Some(video_codec(tag.body)), &mut self.damage.other_codec)
                }
                TagType::Script => (
                    matches!(read_script(tag.body), Ok((Value::String(_), _, _))),
                    &mut self.damage.unreadable,
                ),
            };
            if is_wanted {
                return Ok(Some(Raw { tag_type, timestamp: tag.timestamp, body: tag.body.to_vec() }));
            }
            *others += 1;
        }
        self.damage.cut_bytes = self.reader.rest().bytes;
        Ok(None)
    }

    /// What the user should know, a sentence each.
    pub(super) fn warnings(&self) -> Vec<String> {
        let damage = &self.damage;
        let mut warnings = Vec::new();
        for (time, bytes) in &damage.places {
            let time = milliseconds(*time);
            warnings.push(format!("damaged at {time}: {bytes} bytes that are no tag are left out"));
        }
        if damage.more_places > 0 {
            warnings.push(format!("damaged at {} more places", damage.more_places));
        }
        if damage.cut_bytes > 0 {
            let time = milliseconds(self.time);
            let bytes = damage.cut_bytes;
            let what = if self.reader.rest().is_cut_tag { "cut off" } else { "damaged" };
            warnings.push(format!("{what} at {time}: the last {bytes} bytes, no whole tag, are left out"));
        }
        for (count, what) in [
            (damage.unknown, "tags that are empty or of an unknown type are left out"),
            (damage.other_codec, "tags of another codec are left out"),
            (damage.unreadable, "script data tags that cannot be read are left out"),
            (self.clock.repaired, "timestamps that went astray are put right"),
            (self.clock.restarts, "times the timestamps began anew; they go on now"),
        ] {
            if count > 0 {
                warnings.push(format!("{count} {what}"));
            }
        }
        warnings
    }
}

/// A time of the timeline.
pub(super) fn milliseconds(milliseconds: i64) -> Time {
    Time::from_units(milliseconds, 1000, 1)
}
