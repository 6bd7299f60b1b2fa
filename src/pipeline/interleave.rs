//! The last stage: puts video and audio tags in order of time and hands them to the muxer.

use std::collections::VecDeque;
use std::io::Write;
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::source::Position;
use super::{Progress, Report, Stop};
use crate::error::InputError;
use crate::flv::{AudioFormat, Muxer, VideoFormat};
use crate::time::Time;

/// How much encoded material may wait for its counterpart.
const HELD_LIMIT_MIB: usize = 512;
/// How often the observer is called.
const OBSERVE_INTERVAL: Duration = Duration::from_millis(100);
/// Time between video tags at most while sound goes on under the last picture.
const CLOCK_MILLISECONDS: u32 = 1000;

/// What the encoders send.
pub(super) enum Tag {
    /// There is video, and what it looks like.
    VideoStart(VideoFormat),
    Video(VideoTag),
    /// The video ends at `time`; `standing` is a picture that repeats the last one, if there was one.
    VideoEnd {
        standing: Option<Vec<u8>>,
        time: Time,
    },
    /// There is audio, what it sounds like, and by how much decoders delay it.
    AudioStart {
        format: AudioFormat,
        delay: Time,
    },
    Audio(AudioTag),
    /// The audio ends at `time`.
    AudioEnd {
        time: Time,
    },
}

/// An encoded picture and when it appears.
pub(super) struct VideoTag {
    pub time: Time,
    pub key: bool,
    pub data: Vec<u8>,
}

/// An MP3 frame and when a decoder is to be given it.
pub(super) struct AudioTag {
    pub time: Time,
    pub data: Vec<u8>,
}

/// Tags of one kind that wait for their turn.
struct Queue<T> {
    tags: VecDeque<T>,
    ended: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { tags: VecDeque::new(), ended: false }
    }
}

impl<T> Queue<T> {
    /// Whether its next tag, or that there is none, is known.
    fn is_ready(&self) -> bool {
        self.ended || !self.tags.is_empty()
    }
}

/// Collects tags from both encoders, writes them to `body` in order and returns it with the file's head.
pub(super) fn run<W: Write>(
    tags: &Receiver<Tag>,
    body: W,
    position: &Position,
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(W, Vec<u8>, Report), Stop> {
    let mut interleaver = Interleaver::new(body);
    let mut observed = Instant::now();
    while !interleaver.is_complete() {
        match tags.recv_timeout(OBSERVE_INTERVAL) {
            Ok(tag) => interleaver.take(tag)?,
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Stop::Closed),
        }
        if observed.elapsed() >= OBSERVE_INTERVAL {
            observed = Instant::now();
            let bytes_written = interleaver.muxer.as_ref().map_or(0, Muxer::body_bytes);
            let progress = Progress { bytes_read: position.bytes(), bytes_written, time: interleaver.time };
            if observe(progress).is_break() {
                return Err(Stop::Interrupted);
            }
        }
    }
    interleaver.finish()
}

struct Interleaver<W: Write> {
    /// Taken by the muxer as soon as it is known which streams there are.
    body: Option<W>,
    muxer: Option<Muxer<W>>,
    video: Queue<VideoTag>,
    audio: Queue<AudioTag>,
    video_format: Option<VideoFormat>,
    audio_format: Option<AudioFormat>,
    /// By how much pictures are held back, so that they meet the sound that decoders delay.
    delay: Time,
    standing: Option<Vec<u8>>,
    last_video: Option<u32>,
    held_bytes: usize,
    time: Time,
    end: Time,
}

impl<W: Write> Interleaver<W> {
    fn new(body: W) -> Self {
        Self {
            body: Some(body),
            muxer: None,
            video: Queue::default(),
            audio: Queue::default(),
            video_format: None,
            audio_format: None,
            delay: Time::ZERO,
            standing: None,
            last_video: None,
            held_bytes: 0,
            time: Time::ZERO,
            end: Time::ZERO,
        }
    }

    fn is_complete(&self) -> bool {
        self.video.ended && self.audio.ended && self.video.tags.is_empty() && self.audio.tags.is_empty()
    }

    fn take(&mut self, tag: Tag) -> Result<(), Stop> {
        match tag {
            Tag::VideoStart(format) => self.video_format = Some(format),
            Tag::Video(tag) => {
                self.held_bytes += tag.data.len();
                self.video.tags.push_back(tag);
            }
            Tag::VideoEnd { standing, time } => {
                self.standing = standing;
                self.video.ended = true;
                self.end = self.end.max(time);
            }
            Tag::AudioStart { format, delay } => {
                self.audio_format = Some(format);
                self.delay = delay;
            }
            Tag::Audio(tag) => {
                self.held_bytes += tag.data.len();
                self.audio.tags.push_back(tag);
            }
            Tag::AudioEnd { time } => {
                self.audio.ended = true;
                self.end = self.end.max(time);
            }
        }
        if self.held_bytes > HELD_LIMIT_MIB << 20 {
            return Err(Stop::Input(InputError::Interleaving { limit: HELD_LIMIT_MIB }));
        }
        while self.video.is_ready() && self.audio.is_ready() && !self.is_complete() {
            self.write_next()?;
        }
        Ok(())
    }

    /// Writes the earliest tag; both queues are ready and at least one holds a tag.
    fn write_next(&mut self) -> Result<(), Stop> {
        let muxer = match &mut self.muxer {
            Some(muxer) => muxer,
            None => {
                let body = self.body.take().expect("the body waits for the muxer");
                self.muxer.insert(Muxer::new(body, self.video_format, self.audio_format))
            }
        };
        let video_time = self.video.tags.front().map(|tag| tag.time + self.delay);
        let audio_time = self.audio.tags.front().map(|tag| tag.time);
        match (video_time, audio_time) {
            (Some(time), other) if other.is_none_or(|audio| time <= audio) => {
                let tag = self.video.tags.pop_front().expect("the front is there");
                let timestamp = timestamp(time)?;
                muxer.write_video(timestamp, tag.key, &tag.data)?;
                self.last_video = Some(timestamp);
                self.held_bytes -= tag.data.len();
                self.time = time;
            }
            (video, Some(time)) => {
                let timestamp = timestamp(time)?;
                // Sound goes on under the last picture.
                if let (None, Some(standing), Some(last)) = (video, &self.standing, &mut self.last_video) {
                    if timestamp >= *last + CLOCK_MILLISECONDS {
                        *last += CLOCK_MILLISECONDS;
                        return Ok(muxer.write_video(*last, false, standing)?);
                    }
                }
                let tag = self.audio.tags.pop_front().expect("the front is there");
                muxer.write_audio(timestamp, &tag.data)?;
                self.held_bytes -= tag.data.len();
                self.time = time;
            }
            (_, None) => unreachable!("one of the queues holds a tag"),
        }
        Ok(())
    }

    fn finish(self) -> Result<(W, Vec<u8>, Report), Stop> {
        let Some(muxer) = self.muxer else { return Err(Stop::Input(InputError::Empty)) };
        let tags_bytes = muxer.body_bytes();
        let (body, head) = muxer.finish(self.end.milliseconds().max(0) as u64)?;
        let report = Report {
            duration: self.end,
            bytes: head.len() as u64 + tags_bytes,
            size: self.video_format.map(|format| (format.width, format.height)),
            ..Report::default()
        };
        Ok((body, head, report))
    }
}

/// FLV's timestamp of a point in time.
fn timestamp(time: Time) -> Result<u32, Stop> {
    if time > Time::FLV_LIMIT {
        return Err(Stop::Input(InputError::TooLong));
    }
    Ok(time.milliseconds().max(0) as u32)
}
