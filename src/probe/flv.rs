//! FLV: tags counted, compared with one another and with what `onMetaData` says of them.
//!
//! What is an error and what is a warning follows `flvmeta --check`.

use std::io::{self, Read};

use super::metadata::Metadata;
use super::{Audio, Findings, Flv, Format, Kind, Probe, Stream, Video, bitrate};
use crate::flv::{
    Reader, Tag, Value, audio_codec_name, picture_size, read_script, sound_format, video_codec_name,
};
use crate::mp3;
use crate::time::Time;

const AUDIO: u8 = 8;
const VIDEO: u8 = 9;
const SCRIPT: u8 = 18;

/// A step back of more than this, in milliseconds, is taken for an overflow of the lower 24 bits of the timestamps.
const OVERFLOW: u32 = 0xF0_0000;

/// Reads all of `input`, which begins with `FLV`.
pub(super) fn probe(input: impl Read) -> io::Result<Probe> {
    let mut reader = Reader::new(input)?;
    let mut file = FlvFile::default();
    let header = reader.header();
    file.take_header(&header);
    while let Some(tag) = reader.next_tag()? {
        file.take(&tag);
    }
    let rest = reader.rest();
    if rest.bytes > 0 {
        let what = if rest.is_cut_tag { "the file is cut off within a tag" } else { "no tag" };
        let offset = reader.offset() - rest.bytes;
        file.findings.error(offset, format!("{what}: {} bytes at the end", rest.bytes));
    }
    Ok(file.finish(reader.offset()))
}

/// What is known of the tags of one type.
#[derive(Debug, Default)]
pub(super) struct Summary {
    pub(super) tags: u64,
    /// Bodies without their first byte.
    pub(super) payload_bytes: u64,
    /// Whole tags without PreviousTagSize.
    pub(super) tag_bytes: u64,
    /// The first byte of the last one: codec and format.
    pub(super) format: Option<u8>,
    pub(super) first: Option<u32>,
    previous: u32,
    /// The latest one.
    pub(super) last: u32,
    /// What the second tag's timestamp says of a frame's duration in milliseconds; 0 before it.
    pub(super) frame_duration: u32,
}

impl Summary {
    fn add(&mut self, tag: &Tag<'_>) {
        self.tags += 1;
        self.payload_bytes += tag.body.len().saturating_sub(1) as u64;
        self.tag_bytes += u64::from(tag.size());
        let first = *self.first.get_or_insert(tag.timestamp);
        if self.frame_duration == 0 {
            self.frame_duration = tag.timestamp.saturating_sub(first);
        }
        self.previous = tag.timestamp;
        self.last = self.last.max(tag.timestamp);
    }

    /// The format of a tag; whether it differs from that of the tag before.
    fn changes_format(&mut self, format: u8) -> bool {
        self.format.replace(format).is_some_and(|before| before != format)
    }

    fn duration(&self) -> u64 {
        self.first.map_or(0, |first| u64::from(self.last - first) + u64::from(self.frame_duration))
    }
}

/// What is known of a file.
#[derive(Debug, Default)]
pub(super) struct FlvFile {
    pub(super) bytes: u64,
    pub(super) flv: Flv,
    pub(super) audio: Summary,
    pub(super) video: Summary,
    pub(super) script: Summary,
    pub(super) last_timestamp: u32,
    /// Width and height, by the first picture that tells.
    pub(super) size: Option<(u32, u32)>,
    size_changes: u64,
    /// Sample rate and channels by the MP3 frames.
    mp3: Option<(u32, u32)>,
    /// FourCC of pictures in Enhanced RTMP tags.
    fourcc: Option<String>,
    pictures: u64,
    pub(super) key_frames: u64,
    /// Timestamp and offset of the last key frame.
    pub(super) last_key: Option<(u32, u64)>,
    longest_key_interval: u32,
    pub(super) ends_with_key_frame: bool,
    metadata: Option<Metadata>,
    /// There are script data that cannot be read.
    has_unreadable_script: bool,
    findings: Findings,
}

impl FlvFile {
    fn take_header(&mut self, header: &crate::flv::Header) {
        self.flv.version = header.version;
        self.flv.header_audio = header.has_audio();
        self.flv.header_video = header.has_video();
        let findings = &mut self.findings;
        if header.version != 1 {
            findings.error(3, format!("the version should be 1, not {}", header.version));
        }
        if !header.has_audio() && !header.has_video() {
            findings.error(4, "the header says that there is neither sound nor picture");
        }
        if header.type_flags & !5 != 0 {
            findings.error(4, "reserved flags in the header are not 0");
        }
        if header.data_offset != 9 {
            findings.error(5, format!("the header's size should be 9, not {}", header.data_offset));
        }
        if header.previous_tag_size != 0 {
            let found = header.previous_tag_size;
            findings.error(9, format!("the first PreviousTagSize should be 0, not {found}"));
        }
    }

    fn take(&mut self, tag: &Tag<'_>) {
        self.check_framing(tag);
        let summary = match tag.tag_type {
            AUDIO => &mut self.audio,
            VIDEO => &mut self.video,
            SCRIPT => &mut self.script,
            other => {
                self.flv.unknown_tags += 1;
                self.findings.error(tag.offset, format!("unknown tag type {other}"));
                return;
            }
        };
        if tag.timestamp < summary.previous {
            let (last, now) = (summary.previous, tag.timestamp);
            let kind = ["audio", "video", "script"][usize::from(tag.tag_type.min(10) - AUDIO)];
            let overflow = if last - now > OVERFLOW { ": TimestampExtended is not used" } else { "" };
            let message = format!("{kind} timestamps go back from {last} to {now} ms{overflow}");
            self.findings.error(tag.offset + 4, message);
        }
        summary.add(tag);
        self.last_timestamp = self.last_timestamp.max(tag.timestamp);
        let Some(&first) = tag.body.first() else {
            self.findings.warning(tag.offset, "the tag is empty");
            return;
        };
        match tag.tag_type {
            AUDIO => self.take_audio(tag, first),
            VIDEO => self.take_video(tag, first),
            _ => self.take_script(tag),
        }
    }

    fn check_framing(&mut self, tag: &Tag<'_>) {
        if tag.skipped > 0 {
            self.findings.error(tag.offset - tag.skipped, format!("{} bytes that are no tag", tag.skipped));
        }
        if tag.stream_id != 0 {
            self.findings.error(tag.offset + 8, format!("StreamID should be 0, not {}", tag.stream_id));
        }
        if self.tags() == 0 && tag.timestamp != 0 {
            let message = format!("the first timestamp should be 0, not {}", tag.timestamp);
            self.findings.error(tag.offset + 4, message);
        }
        let (size, end) = (tag.size(), tag.offset + u64::from(tag.size()));
        match tag.previous_tag_size {
            Some(found) if found != size => {
                self.findings.error(end, format!("PreviousTagSize should be {size}, not {found}"));
            }
            None => self.findings.error(end, "the file is cut off within PreviousTagSize"),
            Some(_) => {}
        }
    }

    fn take_audio(&mut self, tag: &Tag<'_>, format: u8) {
        if self.audio.tags == 1 && !self.flv.header_audio {
            self.findings.warning(tag.offset, "there is sound, but the header says there is none");
        }
        if self.audio.changes_format(format) {
            self.findings.warning(tag.offset, "the format of the sound changes");
            match format >> 4 {
                codec @ (12 | 13) => {
                    self.findings.warning(tag.offset, format!("unknown sound codec {codec}"))
                }
                codec @ (9 | 15) => {
                    self.findings.warning(tag.offset, format!("sound codec {codec} is reserved"));
                }
                _ => {}
            }
        }
        if self.mp3.is_none() && matches!(format >> 4, 2 | 14) {
            let header = mp3::FrameHeader::parse(&tag.body[1..]);
            self.mp3 = header.map(|header| (header.sample_rate, header.channels));
        }
    }

    fn take_video(&mut self, tag: &Tag<'_>, first: u8) {
        if self.video.tags == 1 && !self.flv.header_video {
            self.findings.warning(tag.offset, "there are pictures, but the header says there are none");
        }
        // Enhanced RTMP: FrameType has three bits, and a FourCC names the codec.
        let frame_type = if first & 0x80 != 0 {
            self.fourcc = tag.body.get(1..5).map(|name| String::from_utf8_lossy(name).into_owned());
            first >> 4 & 7
        } else {
            if self.video.changes_format(first & 15) {
                self.findings.warning(tag.offset, "the codec of the pictures changes");
            }
            first >> 4
        };
        match (first & 0x80, first & 15) {
            (0, codec @ (0 | 8..)) => {
                self.findings.error(tag.offset, format!("unknown picture codec {codec}"));
            }
            (0, 1) => self.findings.warning(tag.offset, "JPEG pictures are played by nothing"),
            _ => {}
        }
        match frame_type {
            1..=4 => self.pictures += 1,
            5 => return,
            other => {
                self.pictures += 1;
                self.findings.error(tag.offset, format!("unknown frame type {other}"));
            }
        }
        let is_key = matches!(frame_type, 1 | 4);
        if self.pictures == 1 && !is_key {
            self.findings.warning(tag.offset, "the first picture is no key frame");
        }
        self.ends_with_key_frame = is_key;
        if let Some(size) = (first & 0x80 == 0).then(|| picture_size(first & 15, &tag.body[1..])).flatten() {
            let before = *self.size.get_or_insert(size);
            if before != size {
                self.size_changes += 1;
            }
        }
        if is_key {
            self.take_key_frame(tag);
        }
    }

    fn take_key_frame(&mut self, tag: &Tag<'_>) {
        self.key_frames += 1;
        let last = self.last_key.map_or(tag.timestamp, |(last, _)| last);
        self.longest_key_interval = self.longest_key_interval.max(tag.timestamp.saturating_sub(last));
        // An index has one entry for each time.
        if self.last_key.is_none_or(|(last, _)| last != tag.timestamp)
            && let Some(metadata) = &mut self.metadata
        {
            metadata.take_key_frame(tag.timestamp, tag.offset);
        }
        self.last_key = Some((tag.timestamp, tag.offset));
    }

    fn take_script(&mut self, tag: &Tag<'_>) {
        let (name, value, rest) = match read_script(tag.body) {
            Ok(read) => read,
            Err(error) => {
                self.findings.error(tag.offset, error.to_string());
                self.has_unreadable_script = true;
                return;
            }
        };
        if rest > 0 {
            self.findings.warning(tag.offset, format!("{rest} bytes behind the script data"));
        }
        let Value::String(name) = name else {
            self.findings.error(tag.offset, "script data without a name");
            return;
        };
        if name != "onMetaData" {
            return;
        }
        if self.metadata.is_some() {
            self.findings.warning(tag.offset, "there is more than one onMetaData");
            return;
        }
        if self.audio.tags + self.video.tags > 0 {
            self.findings.warning(tag.offset, "onMetaData is not the first tag");
        }
        let properties = match value {
            Value::EcmaArray(properties) => properties,
            Value::Object(properties) => {
                self.findings.error(tag.offset, "onMetaData should be an ECMA array, but is an object");
                properties
            }
            _ => {
                self.findings.error(tag.offset, "onMetaData should be an ECMA array");
                Vec::new()
            }
        };
        self.metadata = Some(Metadata::new(tag.offset, properties));
    }

    /// From the first timestamp to the end of the last tag, in milliseconds.
    pub(super) fn span(&self) -> u64 {
        let frame = if self.audio.tags > 0 { &self.audio } else { &self.video }.frame_duration;
        let first = [self.audio.first, self.video.first].into_iter().flatten().min().unwrap_or(0);
        u64::from(self.last_timestamp.saturating_sub(first)) + u64::from(frame)
    }

    fn finish(mut self, bytes: u64) -> Probe {
        self.bytes = bytes;
        self.flv.audio_tags = self.audio.tags;
        self.flv.video_tags = self.video.tags;
        self.flv.script_tags = self.script.tags;
        self.check_content();
        let duration = milliseconds(self.span());
        let mut comments = Vec::new();
        if let Some(metadata) = self.metadata.take() {
            let mut findings = std::mem::take(&mut self.findings);
            metadata.check(&self, &mut findings);
            self.findings = findings;
            self.flv.has_metadata = true;
            self.flv.metadata_duration = metadata.seconds("duration");
            self.flv.index = metadata.index(self.key_frames);
            self.size = self.size.or_else(|| metadata.size());
            comments = metadata.comments();
        } else if !self.has_unreadable_script {
            self.findings
                .warning(None, "there is no onMetaData: many players show no duration and cannot seek");
        }
        let streams = [self.video_stream(), self.audio_stream()];
        Probe {
            format: Format::Flv,
            bytes,
            duration,
            bitrate: bitrate(bytes, duration),
            streams: streams.into_iter().flatten().collect(),
            comments,
            ogg: None,
            flv: Some(self.flv),
            findings: self.findings,
        }
    }

    fn tags(&self) -> u64 {
        self.audio.tags + self.video.tags + self.script.tags + self.flv.unknown_tags
    }

    /// What is wrong with the tags as a whole.
    fn check_content(&mut self) {
        if self.tags() == 0 {
            self.findings.error(None, "there are no tags");
        }
        let findings = &mut self.findings;
        if self.flv.header_video && self.video.tags == 0 {
            findings.warning(None, "the header says that there are pictures, but there are none");
        }
        if self.flv.header_audio && self.audio.tags == 0 {
            findings.warning(None, "the header says that there is sound, but there is none");
        }
        if self.pictures > 0 && self.key_frames == 0 {
            findings.warning(None, "there is no key frame");
        }
        if self.pictures > 1 && self.key_frames == self.pictures {
            findings.warning(None, "all pictures are key frames");
        }
        if self.size_changes > 0 {
            findings.warning(None, format!("the size of the pictures changes {} times", self.size_changes));
        }
    }

    fn video_stream(&self) -> Option<Stream> {
        let first = self.video.first?;
        let codec = match (&self.fourcc, self.video.format) {
            (Some(fourcc), None) => fourcc.clone(),
            (_, format) => video_codec_name(format.unwrap_or(0)),
        };
        let (width, height) = self.size.unwrap_or_default();
        let duration = milliseconds(self.video.duration());
        let to_end = self.last_key.map(|(last, _)| self.video.last.saturating_sub(last));
        let longest = to_end.map(|to_end| milliseconds(self.longest_key_interval.max(to_end).into()));
        let video = Video {
            width,
            height,
            frame_rate: (duration > Time::ZERO).then(|| self.pictures as f64 / duration.seconds()),
            frames: self.pictures,
            key_frames: Some(self.key_frames),
            longest_key_interval: longest,
            ..Video::default()
        };
        Some(Stream { video: Some(video), ..self.stream(Kind::Video, codec, &self.video, first) })
    }

    fn audio_stream(&self) -> Option<Stream> {
        let first = self.audio.first?;
        let format = self.audio.format?;
        let (sample_rate, channels) = self.mp3.unwrap_or_else(|| sound_format(format));
        let audio = Audio { sample_rate, channels, bits_per_sample: None };
        let codec = audio_codec_name(format >> 4);
        Some(Stream { audio: Some(audio), ..self.stream(Kind::Audio, codec, &self.audio, first) })
    }

    fn stream(&self, kind: Kind, codec: String, summary: &Summary, first: u32) -> Stream {
        let duration = milliseconds(summary.duration());
        Stream {
            start: Some(milliseconds(first.into())),
            duration: Some(duration),
            packets: summary.tags,
            bytes: summary.payload_bytes,
            bitrate: bitrate(summary.payload_bytes, duration),
            ..Stream::new(kind, codec)
        }
    }
}

fn milliseconds(milliseconds: u64) -> Time {
    Time::from_units(milliseconds as i64, 1000, 1)
}
