//! What a file holds, by all of its tags: a damaged one does not decide.

use std::io::{self, Read};

use crate::flv::{
    Reader, TagType, Value, audio_codec_name, picture_size, read_script, sound_format, video_codec_name,
};

/// Codecs and sizes of which there are more in a file are not looked at.
const MAX_VARIANTS: usize = 64;
/// Bytes of `onMetaData` that are kept; beyond that they are an index, or worse.
const MAX_METADATA: usize = 1 << 18;
/// Properties that tell what is no longer so, in small letters. Those that the muxer writes anyway are not listed.
const STALE: [&str; 12] = [
    "keyframes",
    "metadatadate",
    "metadatacreator",
    "duration",
    "totalduration",
    "totalframes",
    "totaldatarate",
    "bytelength",
    "starttime",
    "lastkeyframetimestamp",
    "lastkeyframelocation",
    "audiodelay",
];
/// Properties that speak of pictures, or of sound.
const OF_PICTURES: [&str; 6] = ["width", "height", "framerate", "videodatarate", "videosize", "videocodecid"];
const OF_SOUND: [&str; 6] =
    ["audiosamplerate", "audiosamplesize", "stereo", "audiodatarate", "audiosize", "audiocodecid"];

/// The codecs of a file, and what its metadata say.
#[derive(Debug, Default)]
pub(super) struct Formats {
    /// CodecID, or the FourCC of Enhanced RTMP, of most pictures.
    pub(super) video: Option<u32>,
    /// Width and height of most pictures that tell, else those of the metadata.
    pub(super) size: Option<(u32, u32)>,
    /// Whether decoding of pictures can begin anywhere.
    pub(super) has_key_frame: bool,
    /// The first byte of most audio tags.
    pub(super) audio: Option<u8>,
    /// The properties of the first `onMetaData`.
    pub(super) metadata: Vec<(String, Value)>,
    /// The earliest timestamp of the first sound and the first picture.
    pub(super) first_timestamp: u32,
    pub(super) tags: u64,
}

impl Formats {
    /// Reads all of a file.
    pub(super) fn read(input: impl Read, go_on: &mut dyn FnMut(u64) -> io::Result<()>) -> io::Result<Self> {
        let mut reader = Reader::new(input)?;
        let (mut videos, mut sounds, mut sizes) = (Votes::default(), Votes::default(), Votes::default());
        let mut formats = Self::default();
        let mut has_metadata = false;
        let mut firsts = [None; 2];
        while let Some(tag) = reader.next_tag()? {
            let (Some(tag_type), Some(&first)) = (TagType::known(tag.tag_type), tag.body.first()) else {
                continue;
            };
            if tag_type == TagType::Video && !is_known_frame(first) {
                continue;
            }
            formats.tags += 1;
            match tag_type {
                TagType::Audio => {
                    firsts[0].get_or_insert(tag.timestamp);
                    sounds.add(first);
                }
                TagType::Video => {
                    firsts[1].get_or_insert(tag.timestamp);
                    formats.has_key_frame |= is_key_frame(first)
                        && !is_sequence_header(true, tag.body)
                        && !is_sequence_end(tag.body);
                    let codec = video_codec(tag.body);
                    videos.add(codec);
                    if let Some(size) =
                        u8::try_from(codec).ok().and_then(|id| picture_size(id, &tag.body[1..]))
                    {
                        sizes.add((codec, size));
                    }
                }
                TagType::Script if !has_metadata => {
                    if let Some(properties) = metadata(tag.body) {
                        has_metadata = true;
                        formats.metadata = properties;
                    }
                }
                TagType::Script => {}
            }
            go_on(reader.offset())?;
        }
        formats.video = videos.winner(|_| true);
        let sound = sounds.sum_by(|byte| audio_codec(*byte));
        formats.audio = sounds.winner(|byte| Some(audio_codec(*byte)) == sound);
        formats.size = sizes.winner(|(codec, _)| Some(*codec) == formats.video).map(|(_, size)| size);
        formats.size = formats.size.or_else(|| size_of(&formats.metadata));
        formats.first_timestamp = firsts.into_iter().flatten().min().unwrap_or(0);
        Ok(formats)
    }

    /// Whether there are pictures, but none with which decoding can begin.
    pub(super) fn lacks_key_frame(&self) -> bool {
        self.video.is_some() && !self.has_key_frame
    }

    /// SoundFormat of most audio tags.
    pub(super) fn audio_codec(&self) -> Option<u8> {
        self.audio.map(audio_codec)
    }

    /// The metadata that are still right in a file with or without pictures, with or without the sound.
    pub(super) fn kept_metadata(&self, has_video: bool, has_sound: bool) -> Vec<(String, Value)> {
        let stays = |(name, _): &&(String, Value)| {
            let name = name.to_ascii_lowercase();
            (has_video || !OF_PICTURES.contains(&name.as_str()))
                && (has_sound || !OF_SOUND.contains(&name.as_str()))
        };
        self.metadata.iter().filter(stays).cloned().collect()
    }

    /// What differs from another file so that the two cannot be joined.
    pub(super) fn difference(&self, other: &Self) -> Option<String> {
        let pictures = |formats: &Self| formats.video.map_or_else(|| "no pictures".to_owned(), name_of);
        let sound = |formats: &Self| formats.audio.map_or_else(|| "no sound".to_owned(), describe);
        if self.video != other.video {
            return Some(format!("it has {}, not {}", pictures(self), pictures(other)));
        }
        if self.video.is_some() && self.size != other.size {
            let size = |formats: &Self| {
                formats.size.map_or_else(|| "unknown".to_owned(), |(w, h)| format!("{w}x{h}"))
            };
            return Some(format!("its pictures are {}, not {}", size(self), size(other)));
        }
        (self.audio != other.audio).then(|| format!("it has {}, not {}", sound(self), sound(other)))
    }
}

/// SoundFormat in the first byte of an audio tag.
pub(super) fn audio_codec(first: u8) -> u8 {
    first >> 4
}

/// CodecID in the first byte of a video tag, or the FourCC behind it where Enhanced RTMP says so.
pub(super) fn video_codec(body: &[u8]) -> u32 {
    match body {
        [first, a, b, c, d, ..] if first & 0x80 != 0 => u32::from_be_bytes([*a, *b, *c, *d]),
        [first, ..] => u32::from(first & 15),
        [] => 0,
    }
}

/// FrameType by the first byte of a video tag.
fn frame_type(first: u8) -> u8 {
    if first & 0x80 != 0 { first >> 4 & 7 } else { first >> 4 }
}

/// Whether the first byte of a video tag says that decoding can begin with it.
pub(super) fn is_key_frame(first: u8) -> bool {
    matches!(frame_type(first), 1 | 4)
}

/// Whether the first byte of a video tag says what it is.
pub(super) fn is_known_frame(first: u8) -> bool {
    matches!(frame_type(first), 1..=5)
}

/// Whether a tag sets a decoder up: AVCPacketType or AACPacketType 0, SequenceStart in Enhanced RTMP.
pub(super) fn is_sequence_header(is_video: bool, body: &[u8]) -> bool {
    match (is_video, body) {
        (true, [first, ..]) if first & 0x80 != 0 => first & 15 == 0,
        (true, [first, 0, ..]) => first & 15 == 7,
        (false, [first, ..]) if first >> 4 == 9 => first & 15 == 0,
        (false, [first, 0, ..]) => first >> 4 == 10,
        _ => false,
    }
}

/// Whether a video tag is the end of a sequence: AVCPacketType 2, SequenceEnd in Enhanced RTMP.
pub(super) fn is_sequence_end(body: &[u8]) -> bool {
    match body {
        [first, ..] if first & 0x80 != 0 => first & 15 == 2,
        [first, 2, ..] => first & 15 == 7,
        _ => false,
    }
}

fn name_of(codec: u32) -> String {
    match u8::try_from(codec) {
        Ok(id) => format!("{} pictures", video_codec_name(id)),
        Err(_) => format!("{} pictures", String::from_utf8_lossy(&codec.to_be_bytes())),
    }
}

fn describe(first: u8) -> String {
    let (rate, channels) = sound_format(first);
    let channels = if channels == 1 { "mono" } else { "stereo" };
    format!("{} sound, {rate} Hz, {channels}", audio_codec_name(audio_codec(first)))
}

/// The properties of an `onMetaData` that may still be right when its tags are copied.
fn metadata(body: &[u8]) -> Option<Vec<(String, Value)>> {
    let (name, value, _) = read_script(body).ok()?;
    let (Value::EcmaArray(mut properties) | Value::Object(mut properties)) = value else { return None };
    if name != Value::String("onMetaData".into()) {
        return None;
    }
    let mut bytes = 0;
    properties.retain(|(name, value)| {
        if STALE.contains(&name.to_ascii_lowercase().as_str()) {
            return false;
        }
        let mut out = Vec::new();
        value.write(&mut out);
        bytes += 2 + name.len() + out.len();
        bytes <= MAX_METADATA
    });
    Some(properties)
}

fn size_of(metadata: &[(String, Value)]) -> Option<(u32, u32)> {
    let side = |wanted: &str| {
        metadata.iter().find_map(|(name, value)| match value {
            Value::Number(number) if name == wanted && (1.0..=65_535.0).contains(number) => {
                Some(*number as u32)
            }
            _ => None,
        })
    };
    Some((side("width")?, side("height")?))
}

/// Counts of what was seen.
#[derive(Debug)]
struct Votes<T>(Vec<(T, u64)>);

impl<T> Default for Votes<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy + PartialEq> Votes<T> {
    fn add(&mut self, item: T) {
        self.add_many(item, 1);
    }

    fn add_many(&mut self, item: T, count: u64) {
        match self.0.iter().position(|(known, _)| *known == item) {
            Some(index) => self.0[index].1 += count,
            None if self.0.len() < MAX_VARIANTS => self.0.push((item, count)),
            None => {}
        }
    }

    /// The item seen most, of several the first.
    fn winner(&self, is_wanted: impl Fn(&T) -> bool) -> Option<T> {
        let mut best: Option<(T, u64)> = None;
        for &(item, count) in self.0.iter().filter(|(item, _)| is_wanted(item)) {
            if best.is_none_or(|(_, most)| count > most) {
                best = Some((item, count));
            }
        }
        best.map(|(item, _)| item)
    }

    /// What most items have in common.
    fn sum_by<K: Copy + PartialEq>(&self, key: impl Fn(&T) -> K) -> Option<K> {
        let mut sums = Votes::default();
        for (item, count) in &self.0 {
            sums.add_many(key(item), *count);
        }
        sums.winner(|_| true)
    }
}
