//! The FLV muxer: tags one after another, and a head that knows them all.

use std::io::{self, Write};

use super::script::Value;
use super::tag::{self, TagType};

/// Bytes of the FLV header and the first PreviousTagSize, which is zero (FLV specification, E.2 and E.3).
const FILE_HEADER_BYTES: u64 = 13;
/// SoundFormat of MP3.
pub(crate) const SOUND_FORMAT_MP3: u8 = 2;
/// SoundFormat of MP3 at 8 kHz.
pub(crate) const SOUND_FORMAT_MP3_8K: u8 = 14;
/// CodecID of Sorenson H.263.
const CODEC_ID_SORENSON_H263: u8 = 2;
/// Key frames of an index that fits into a tag, and somewhat more.
const MAX_KEYFRAMES: usize = 1_000_000;

/// What the video tags hold: Sorenson H.263 pictures of one size.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct VideoFormat {
    /// Width of the pictures.
    pub width: usize,
    /// Height of the pictures.
    pub height: usize,
}

/// What the audio tags hold: MP3 frames of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AudioFormat {
    /// 44100, 22050, 11025 or 8000 Hz.
    pub sample_rate: u32,
    /// Two channels; else one.
    pub stereo: bool,
}

impl AudioFormat {
    /// Number of channels, 1 or 2.
    #[must_use]
    pub fn channels(self) -> usize {
        1 + usize::from(self.stereo)
    }

    /// The first byte of every audio tag (FLV specification, E.4.2.1): SoundFormat, SoundRate, SoundSize, SoundType.
    fn tag_byte(self) -> u8 {
        let (sound_format, sound_rate) = match self.sample_rate {
            44100 => (SOUND_FORMAT_MP3, 3),
            22050 => (SOUND_FORMAT_MP3, 2),
            11025 => (SOUND_FORMAT_MP3, 1),
            8000 => (SOUND_FORMAT_MP3_8K, 0),
            other => unreachable!("{other} Hz has no FLV sound rate"),
        };
        sound_format << 4 | sound_rate << 2 | 1 << 1 | u8::from(self.stereo)
    }
}

/// What video tags are that are copied from another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CopiedVideo {
    /// CodecID, or the FourCC of Enhanced RTMP as a number.
    pub(crate) codec_id: u32,
    /// Width and height, where they are known.
    pub(crate) size: Option<(usize, usize)>,
}

/// What audio tags are that are copied from another file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CopiedAudio {
    /// The first byte of the tags.
    pub(crate) tag_byte: u8,
    /// Samples per second and channel.
    pub(crate) sample_rate: u32,
}

impl From<VideoFormat> for CopiedVideo {
    fn from(format: VideoFormat) -> Self {
        Self { codec_id: CODEC_ID_SORENSON_H263.into(), size: Some((format.width, format.height)) }
    }
}

impl From<AudioFormat> for CopiedAudio {
    fn from(format: AudioFormat) -> Self {
        Self { tag_byte: format.tag_byte(), sample_rate: format.sample_rate }
    }
}

/// What is known of the tags of one kind.
#[derive(Clone, Debug, Default)]
struct Summary {
    tags: u64,
    /// Bodies without their first byte.
    payload_bytes: u64,
    /// Whole tags without PreviousTagSize.
    tag_bytes: u64,
    first: Option<u32>,
    /// What the second tag's timestamp says of a frame's duration in milliseconds; 0 before it.
    frame_duration: u32,
}

impl Summary {
    fn add(&mut self, timestamp: u32, payload: usize) {
        self.tags += 1;
        self.payload_bytes += payload as u64;
        self.tag_bytes += tag::HEADER_BYTES + 1 + payload as u64;
        let first = *self.first.get_or_insert(timestamp);
        if self.frame_duration == 0 {
            self.frame_duration = timestamp.saturating_sub(first);
        }
    }
}

/// Writes tags to a body and, when all are written, makes the head that belongs before them.
///
/// The head holds the index of the key frames, so its size is not known before the end; whoever owns the output
/// puts it in front of the body. Tags are to come in order of their timestamps.
///
/// ```
/// use oggflv::flv::{Muxer, Reader, VideoFormat};
/// use oggflv_common::{Frame, PixelFormat};
/// use oggflv_sorenson::{Config, Encoder};
///
/// let (width, height) = (160, 120);
/// let mut encoder = Encoder::new(Config { width, height, quantizer: 5, keyint: 250 })?;
/// let mut muxer = Muxer::new(Vec::new(), Some(VideoFormat { width, height }), None);
/// for number in 0..25 {
///     let picture = encoder.encode(&Frame::new(PixelFormat::Yuv420, width, height))?;
///     muxer.write_video(40 * number, picture.key, &picture.data)?;
/// }
/// let (body, head) = muxer.finish(1000)?;
/// let file = [head, body].concat();
/// assert!(Reader::new(&file[..])?.header().has_video());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug)]
pub struct Muxer<W> {
    body: W,
    body_bytes: u64,
    video_format: Option<CopiedVideo>,
    audio_format: Option<CopiedAudio>,
    /// Bytes of script data tags in the body, without PreviousTagSize.
    script_bytes: u64,
    video: Summary,
    audio: Summary,
    first_timestamp: Option<u32>,
    last_timestamp: u32,
    /// Names and values for `onMetaData`, besides its own.
    values: Vec<(String, Value)>,
    /// Timestamp and offset in the body of each key frame.
    keyframes: Vec<(u32, u64)>,
    ends_with_keyframe: bool,
}

impl<W: Write> Muxer<W> {
    /// A muxer that writes tags to `body`, without a video or an audio stream where the format is `None`.
    ///
    /// # Panics
    /// If the sample rate is none that FLV knows for MP3.
    pub fn new(body: W, video_format: Option<VideoFormat>, audio_format: Option<AudioFormat>) -> Self {
        Self::copying(body, video_format.map(Into::into), audio_format.map(Into::into))
    }

    /// A muxer for tags that are copied from another file.
    pub(crate) fn copying(
        body: W,
        video_format: Option<CopiedVideo>,
        audio_format: Option<CopiedAudio>,
    ) -> Self {
        Self {
            body,
            body_bytes: 0,
            video_format,
            audio_format,
            script_bytes: 0,
            video: Summary::default(),
            audio: Summary::default(),
            first_timestamp: None,
            last_timestamp: 0,
            values: Vec::new(),
            keyframes: Vec::new(),
            ends_with_keyframe: false,
        }
    }

    /// There is video from now on, too.
    pub fn add_video(&mut self, format: VideoFormat) {
        self.video_format = Some(format.into());
    }

    /// There is audio from now on, too.
    ///
    /// # Panics
    /// If the sample rate is none that FLV knows for MP3.
    pub fn add_audio(&mut self, format: AudioFormat) {
        self.audio_format = Some(format.into());
    }

    /// Adds names and texts to `onMetaData`, behind its own properties. A name that those have is left out.
    #[must_use]
    pub fn with_texts(self, texts: Vec<(String, String)>) -> Self {
        self.with_values(texts.into_iter().map(|(name, text)| (name, Value::String(text))).collect())
    }

    /// Adds names and values to `onMetaData`, as [`with_texts`](Self::with_texts) does.
    #[must_use]
    pub(crate) fn with_values(mut self, values: Vec<(String, Value)>) -> Self {
        self.values = values;
        self
    }

    /// Writes a picture that is shown from `timestamp` (milliseconds) on.
    ///
    /// # Errors
    /// Those of the body, and a picture that is too large for a tag.
    ///
    /// # Panics
    /// If the muxer was made without video.
    pub fn write_video(&mut self, timestamp: u32, key: bool, picture: &[u8]) -> io::Result<()> {
        let frame_type = if key { 1 } else { 2 };
        self.write_video_body(timestamp, key, frame_type << 4 | CODEC_ID_SORENSON_H263, picture)
    }

    /// Writes a copied video tag, whose body begins with FrameType and CodecID.
    ///
    /// # Errors
    /// Those of the body, and more key frames than an index holds.
    pub(crate) fn copy_video(&mut self, timestamp: u32, key: bool, body: &[u8]) -> io::Result<()> {
        body.split_first().map_or(Ok(()), |(&first, rest)| self.write_video_body(timestamp, key, first, rest))
    }

    fn write_video_body(&mut self, timestamp: u32, key: bool, first: u8, picture: &[u8]) -> io::Result<()> {
        assert!(self.video_format.is_some(), "a video tag in a file without video");
        if key && self.keyframes.last().is_none_or(|&(last, _)| last != timestamp) {
            if self.keyframes.len() == MAX_KEYFRAMES {
                let what = format!("an index holds less than {MAX_KEYFRAMES} key frames");
                return Err(io::Error::new(io::ErrorKind::InvalidInput, what));
            }
            self.keyframes.push((timestamp, self.body_bytes));
        }
        self.write(TagType::Video, timestamp, first, picture)?;
        self.video.add(timestamp, picture.len());
        self.ends_with_keyframe = key;
        Ok(())
    }

    /// Writes an MP3 frame that is heard from `timestamp` (milliseconds) on.
    ///
    /// # Errors
    /// Those of the body.
    ///
    /// # Panics
    /// If the muxer was made without audio.
    pub fn write_audio(&mut self, timestamp: u32, frame: &[u8]) -> io::Result<()> {
        let format = self.audio_format.expect("an audio tag in a file without audio");
        self.write_audio_body(timestamp, format.tag_byte, frame)
    }

    /// Writes a copied audio tag, whose body begins with SoundFormat.
    ///
    /// # Errors
    /// Those of the body.
    pub(crate) fn copy_audio(&mut self, timestamp: u32, body: &[u8]) -> io::Result<()> {
        body.split_first().map_or(Ok(()), |(&first, rest)| self.write_audio_body(timestamp, first, rest))
    }

    fn write_audio_body(&mut self, timestamp: u32, first: u8, data: &[u8]) -> io::Result<()> {
        assert!(self.audio_format.is_some(), "an audio tag in a file without audio");
        self.write(TagType::Audio, timestamp, first, data)?;
        self.audio.add(timestamp, data.len());
        Ok(())
    }

    /// Writes a copied script data tag.
    ///
    /// # Errors
    /// Those of the body.
    pub(crate) fn copy_script(&mut self, timestamp: u32, body: &[u8]) -> io::Result<()> {
        let Some((&first, rest)) = body.split_first() else { return Ok(()) };
        self.write(TagType::Script, timestamp, first, rest)?;
        self.script_bytes += tag::HEADER_BYTES + body.len() as u64;
        Ok(())
    }

    fn write(&mut self, tag_type: TagType, timestamp: u32, first: u8, data: &[u8]) -> io::Result<()> {
        tag::write(&mut self.body, tag_type, timestamp, &[first], data)?;
        self.body_bytes += tag::HEADER_BYTES + 1 + data.len() as u64 + tag::PREVIOUS_TAG_SIZE_BYTES;
        if tag_type != TagType::Script {
            self.first_timestamp.get_or_insert(timestamp);
        }
        self.last_timestamp = self.last_timestamp.max(timestamp);
        Ok(())
    }

    /// Bytes of all tags written so far.
    #[must_use]
    pub fn body_bytes(&self) -> u64 {
        self.body_bytes
    }

    /// Bytes of the pictures written so far.
    #[must_use]
    pub fn video_bytes(&self) -> u64 {
        self.video.payload_bytes
    }

    /// Bytes of the MP3 frames written so far.
    #[must_use]
    pub fn audio_bytes(&self) -> u64 {
        self.audio.payload_bytes
    }

    /// Ends the file: hands back the body and the head (FLV header and `onMetaData`) that goes in front of it.
    ///
    /// `duration` is that of the content in milliseconds.
    ///
    /// # Errors
    /// If the index of the key frames is too large for a tag, which takes more than 900,000 of them.
    pub fn finish(self, duration: u64) -> io::Result<(W, Vec<u8>)> {
        // Numbers take the same room whatever they are, so a first try tells the size.
        let size = self.head(duration, 0)?.len() as u64;
        let head = self.head(duration, size)?;
        Ok((self.body, head))
    }

    /// Writes a head in front of the first tag, for an output that cannot be gone back in: with what is known before the
    /// end, so without duration, sizes, rates, and index. Offsets count from the end of this head. Returns its size in bytes.
    ///
    /// # Errors
    /// Those of the body.
    pub fn write_head(&mut self) -> io::Result<u64> {
        let head = self.head_with(self.known_metadata())?;
        self.body.write_all(&head)?;
        Ok(head.len() as u64)
    }

    /// Hands on what the body has buffered.
    ///
    /// # Errors
    /// Those of the body.
    pub fn flush(&mut self) -> io::Result<()> {
        self.body.flush()
    }

    fn head(&self, duration: u64, head_bytes: u64) -> io::Result<Vec<u8>> {
        self.head_with(self.metadata(duration, head_bytes))
    }

    fn head_with(&self, mut metadata: Vec<(String, Value)>) -> io::Result<Vec<u8>> {
        for (name, value) in &self.values {
            if metadata.iter().all(|(own, _)| !own.eq_ignore_ascii_case(name)) {
                metadata.push((name.clone(), value.clone()));
            }
        }
        let type_flags = u8::from(self.audio_format.is_some()) << 2 | u8::from(self.video_format.is_some());
        let mut head = b"FLV\x01".to_vec();
        head.extend_from_slice(&[type_flags, 0, 0, 0, 9, 0, 0, 0, 0]);
        let mut body = Vec::new();
        Value::String("onMetaData".into()).write(&mut body);
        Value::EcmaArray(metadata).write(&mut body);
        tag::write(&mut head, TagType::Script, 0, &[], &body)?;
        Ok(head)
    }

    /// The properties that are known before the end.
    fn known_metadata(&self) -> Vec<(String, Value)> {
        let mut properties = Vec::new();
        let mut add = |name: &str, value: Value| properties.push((name.to_owned(), value));
        add("hasMetadata", Value::Boolean(true));
        add("hasVideo", Value::Boolean(self.video_format.is_some()));
        add("hasAudio", Value::Boolean(self.audio_format.is_some()));
        if let Some(CopiedVideo { codec_id, size }) = self.video_format {
            if let Some((width, height)) = size {
                add("width", Value::Number(width as f64));
                add("height", Value::Number(height as f64));
            }
            add("videocodecid", Value::Number(codec_id.into()));
        }
        if let Some(CopiedAudio { tag_byte, sample_rate }) = self.audio_format {
            add("audiosamplerate", Value::Number(sample_rate.into()));
            add("audiosamplesize", Value::Number(if tag_byte & 2 != 0 { 16.0 } else { 8.0 }));
            add("stereo", Value::Boolean(tag_byte & 1 != 0));
            add("audiocodecid", Value::Number((tag_byte >> 4).into()));
        }
        add("metadatacreator", Value::String(concat!("oggflv ", env!("CARGO_PKG_VERSION")).into()));
        properties
    }

    /// The properties of `onMetaData`. Sizes, rates and the span they refer to are defined as `flvmeta --check`
    /// has them; there is no date, since one in front of `keyframes` makes nginx-rtmp overlook the index.
    fn metadata(&self, duration: u64, head_bytes: u64) -> Vec<(String, Value)> {
        let seconds = |milliseconds: u32| Value::Number(f64::from(milliseconds) / 1000.0);
        let bytes = |count: u64| Value::Number(count as f64);
        let frame_duration =
            if self.audio_format.is_some() { &self.audio } else { &self.video }.frame_duration;
        let span =
            f64::from(self.last_timestamp - self.first_timestamp.unwrap_or(0) + frame_duration) / 1000.0;
        let rate = |amount: f64| Value::Number(if span > 0.0 { amount / span } else { 0.0 });
        let kilobits = |count: u64| count as f64 * 8.0 / 1024.0;
        let last_keyframe = self.keyframes.last().copied();

        let mut properties = self.known_metadata();
        let mut add = |name: &str, value: Value| properties.push((name.to_owned(), value));
        add("hasKeyframes", Value::Boolean(last_keyframe.is_some()));
        add("hasCuePoints", Value::Boolean(false));
        add("canSeekToEnd", Value::Boolean(self.ends_with_keyframe));
        add("duration", Value::Number(duration as f64 / 1000.0));
        add("lasttimestamp", seconds(self.last_timestamp));
        if self.video_format.is_some() {
            add("framerate", rate(self.video.tags as f64));
            add("videodatarate", rate(kilobits(self.video.payload_bytes)));
            add("videosize", bytes(self.video.tag_bytes));
        }
        if self.audio_format.is_some() {
            add("audiodatarate", rate(kilobits(self.audio.payload_bytes)));
            add("audiosize", bytes(self.audio.tag_bytes));
        }
        if let (Some(audio), Some(video)) = (self.audio.first, self.video.first) {
            add("audiodelay", Value::Number((f64::from(audio) - f64::from(video)) / 1000.0));
        }
        add("filesize", bytes(head_bytes + self.body_bytes));
        let metadata_bytes = head_bytes.saturating_sub(FILE_HEADER_BYTES + tag::PREVIOUS_TAG_SIZE_BYTES);
        add("datasize", bytes(metadata_bytes + self.script_bytes));
        if let Some((timestamp, offset)) = last_keyframe {
            add("lastkeyframetimestamp", seconds(timestamp));
            add("lastkeyframelocation", bytes(head_bytes + offset));
        }
        // One key frame needs no index, and ffmpeg takes an index of one for an error.
        if self.keyframes.len() > 1 {
            let times = self.keyframes.iter().map(|&(timestamp, _)| seconds(timestamp)).collect();
            let positions = self.keyframes.iter().map(|&(_, offset)| bytes(head_bytes + offset)).collect();
            let index = [("times", times), ("filepositions", positions)];
            let index = index.map(|(name, values)| (name.to_owned(), Value::StrictArray(values)));
            add("keyframes", Value::Object(index.into()));
        }
        properties
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(properties: &[(String, Value)], name: &str) -> f64 {
        match properties.iter().find(|(key, _)| key == name) {
            Some((_, Value::Number(number))) => *number,
            other => panic!("{name}: {other:?}"),
        }
    }

    #[test]
    fn positions_point_at_key_frames() {
        let video = VideoFormat { width: 16, height: 16 };
        let audio = AudioFormat { sample_rate: 22050, stereo: false };
        let mut muxer = Muxer::new(Vec::new(), Some(video), Some(audio));
        muxer.write_audio(0, &[0xFF; 10]).unwrap();
        muxer.write_video(25, true, &[1; 20]).unwrap();
        muxer.write_audio(26, &[0xFF; 10]).unwrap();
        muxer.write_video(65, false, &[2; 5]).unwrap();
        muxer.write_video(105, true, &[3; 21]).unwrap();

        let size = muxer.head(131, 0).unwrap().len() as u64;
        let properties = muxer.metadata(131, size);
        let keyframes = muxer.keyframes.clone();
        let (body, head) = muxer.finish(131).unwrap();
        assert_eq!(head.len() as u64, size);
        let file = [head, body].concat();
        assert_eq!(keyframes.iter().map(|&(timestamp, _)| timestamp).collect::<Vec<_>>(), [25, 105]);
        for (timestamp, offset) in keyframes {
            let tag = &file[(size + offset) as usize..];
            assert_eq!((tag[0], tag[11]), (9, 0x12));
            assert_eq!(u32::from(tag[6]), timestamp);
        }
        let last = number(&properties, "lastkeyframelocation") as usize;
        assert_eq!(file[last + 12], 3);
        assert_eq!(number(&properties, "filesize") as usize, file.len());
        assert_eq!(number(&properties, "datasize"), (size - 17) as f64);
        assert_eq!(number(&properties, "audiodelay"), -0.025);
        assert_eq!(number(&properties, "videosize"), 46.0 + 3.0 * 12.0);
        assert_eq!(number(&properties, "audiosize"), 20.0 + 2.0 * 12.0);
        assert_eq!(number(&properties, "framerate"), 3.0 / 0.131);
        assert_eq!(number(&properties, "videodatarate"), 46.0 * 8.0 / 1024.0 / 0.131);
    }

    #[test]
    fn header_flags_match_the_content() {
        let video = VideoFormat { width: 16, height: 16 };
        let audio = AudioFormat { sample_rate: 44100, stereo: true };
        for (video, audio, flags) in
            [(Some(video), None, 1), (None, Some(audio), 4), (Some(video), Some(audio), 5)]
        {
            let (body, head) = Muxer::new(Vec::new(), video, audio).finish(0).unwrap();
            assert!(body.is_empty());
            assert_eq!(head[..13], [b'F', b'L', b'V', 1, flags, 0, 0, 0, 9, 0, 0, 0, 0]);
        }
    }

    #[test]
    fn sound_byte() {
        let byte = |sample_rate, stereo| AudioFormat { sample_rate, stereo }.tag_byte();
        let bytes = [byte(44100, true), byte(22050, false), byte(11025, true), byte(8000, false)];
        assert_eq!(bytes, [0x2F, 0x2A, 0x27, 0xE2]);
    }
}
