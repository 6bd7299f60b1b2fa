//! The last stage: puts video and audio tags in order of time and hands them to the muxer.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::ops::ControlFlow;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use oggflv_sorenson::Packet;

use super::counters::Counters;
use super::{CopiedSound, Progress, Report, Stop, Target};
use crate::comments::Texts;
use crate::error::InputError;
use crate::flv::{AudioFormat, Muxer, VideoFormat};
use crate::time::Time;

/// How much encoded material may wait for its counterpart.
const HELD_LIMIT_MIB: usize = 256;
/// How often the observer is called.
const OBSERVE_INTERVAL: Duration = Duration::from_millis(100);
/// Time between video tags at most while sound goes on under the last picture.
const CLOCK_MILLISECONDS: u32 = 1000;

/// What the encoders send.
pub(super) enum Tag {
    /// There is video, and what it looks like.
    VideoStart(VideoFormat),
    /// An encoded picture and when it appears.
    Video { time: Time, picture: Packet },
    /// No picture comes before `time`.
    VideoIdle { time: Time },
    /// The video ends at `time`; `standing` is a picture that repeats the last one, if there was one.
    VideoEnd { standing: Option<Vec<u8>>, time: Time },
    /// There is audio, what it sounds like, and by how much decoders delay it. If it was said before that it pauses,
    /// it comes after the time up to which it was.
    AudioStart { format: AudioFormat, delay: Time, after: Option<Time> },
    /// An MP3 frame and when a decoder is to be given it.
    Audio { time: Time, frame: Vec<u8> },
    /// No sound comes before `time`.
    AudioIdle { time: Time },
    /// The audio ends at `time`.
    AudioEnd { time: Time },
}

/// Tags of one kind that wait for their turn.
struct Queue<T> {
    tags: VecDeque<(Time, T)>,
    /// No tag that comes is earlier than this.
    until: Time,
    ended: bool,
}

impl<T> Default for Queue<T> {
    fn default() -> Self {
        Self { tags: VecDeque::new(), until: Time::ZERO, ended: false }
    }
}

impl<T> Queue<T> {
    /// Whether it is known how it begins even if no tag has come.
    fn known(&self) -> bool {
        self.ended || self.until > Time::ZERO
    }

    /// The earliest time at which a tag of this kind may be due.
    fn bound(&self) -> Time {
        match self.tags.front() {
            Some(&(time, _)) => time,
            None if self.ended => Time::MAX,
            None => self.until,
        }
    }
}

/// Collects tags from both encoders, writes them to the target in order and returns its body with the file's head. When
/// it is streaming, a head goes to the body first, and everything as soon as its turn has come.
pub(super) fn run<W: Write>(
    tags: &Receiver<Tag>,
    target: Target<W>,
    counters: &Counters,
    observe: &mut dyn FnMut(Progress) -> ControlFlow<()>,
) -> Result<(W, Vec<u8>, Report), Stop> {
    let mut interleaver = Interleaver::new(target.body, target.streaming);
    if let Some(sound) = target.sound {
        interleaver.copy_sound(sound);
    }
    let mut is_first = true;
    let mut observed = Instant::now();
    while !interleaver.is_complete() {
        let tag = tags.try_recv().map_or_else(
            |_| {
                interleaver.flush()?;
                Ok::<_, Stop>(tags.recv_timeout(OBSERVE_INTERVAL))
            },
            |tag| Ok(Ok(tag)),
        )?;
        match tag {
            Ok(tag) => {
                // All headers are read before anything is decoded.
                if std::mem::take(&mut is_first) {
                    interleaver.texts = counters.metadata(&target.metadata);
                }
                interleaver.take(tag)?;
            }
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Err(Stop::Closed),
        }
        if observed.elapsed() >= OBSERVE_INTERVAL {
            observed = Instant::now();
            let bytes_written = interleaver.muxer.as_ref().map_or(0, Muxer::body_bytes);
            let progress = Progress {
                bytes_read: counters.bytes_read.get(),
                bytes_written,
                time: interleaver.time,
                duration: counters.duration().filter(|&duration| interleaver.time <= duration),
                ..Progress::default()
            };
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
    streaming: bool,
    /// Names and texts for the metadata.
    texts: Texts,
    muxer: Option<Muxer<W>>,
    /// Size of the head that was written in front.
    head_bytes: Option<u64>,
    video: Queue<Packet>,
    audio: Queue<Vec<u8>>,
    /// Sound in place of that which the encoder gives.
    copied: Option<CopiedSound>,
    video_format: Option<VideoFormat>,
    audio_format: Option<AudioFormat>,
    /// By how much pictures are held back, so that they meet the sound that decoders delay.
    delay: Time,
    /// Pictures up to then were shown before it was known that there is sound.
    undelayed: Option<Time>,
    standing: Option<Vec<u8>>,
    last_video: Option<u32>,
    held_bytes: usize,
    time: Time,
    end: Time,
}

impl<W: Write> Interleaver<W> {
    fn new(body: W, streaming: bool) -> Self {
        Self {
            body: Some(body),
            streaming,
            texts: Texts::new(),
            muxer: None,
            head_bytes: None,
            video: Queue::default(),
            audio: Queue::default(),
            copied: None,
            video_format: None,
            audio_format: None,
            delay: Time::ZERO,
            undelayed: None,
            standing: None,
            last_video: None,
            held_bytes: 0,
            time: Time::ZERO,
            end: Time::ZERO,
        }
    }

    /// Takes sound from a file, and none from the encoder.
    fn copy_sound(&mut self, sound: CopiedSound) {
        self.audio_format = Some(sound.frames.format());
        self.delay = sound.frames.delay();
        self.copied = Some(sound);
    }

    /// Reads the next frame of copied sound, if it is not there.
    fn read_sound(&mut self) -> Result<(), Stop> {
        let Some(sound) = self.copied.as_mut().filter(|_| self.audio.tags.is_empty() && !self.audio.ended)
        else {
            return Ok(());
        };
        let frame = sound.frames.next_frame();
        let frame =
            frame.map_err(|error| InputError::Io(io::Error::other(format!("{}: {error}", sound.name))));
        match frame.map_err(Stop::Input)? {
            Some((time, frame)) if time < sound.longest + self.delay => {
                self.held_bytes += frame.len();
                self.audio.tags.push_back((time, frame));
            }
            _ => {
                self.audio.ended = true;
                self.end = self.end.max((sound.frames.end() - self.delay).min(sound.longest));
            }
        }
        Ok(())
    }

    fn is_complete(&self) -> bool {
        self.video.ended && self.audio.ended && self.video.tags.is_empty() && self.audio.tags.is_empty()
    }

    fn take(&mut self, tag: Tag) -> Result<(), Stop> {
        match tag {
            Tag::VideoStart(format) => {
                self.video_format = Some(format);
                if let Some(muxer) = &mut self.muxer {
                    muxer.add_video(format);
                }
            }
            Tag::Video { time, picture } => {
                // Sound whose granule positions go astray may have pictures go on beyond the end of both.
                self.end = self.end.max(time);
                self.held_bytes += picture.data.len();
                self.video.tags.push_back((time, picture));
            }
            Tag::VideoIdle { time } => self.video.until = time,
            Tag::VideoEnd { standing, time } => {
                self.standing = standing;
                self.video.ended = true;
                self.end = self.end.max(time);
            }
            Tag::AudioStart { format, delay, after } => {
                self.audio_format = Some(format);
                (self.delay, self.undelayed) = (delay, after);
                if let Some(muxer) = &mut self.muxer {
                    muxer.add_audio(format);
                }
            }
            Tag::Audio { time, frame } => {
                self.held_bytes += frame.len();
                self.audio.tags.push_back((time, frame));
            }
            Tag::AudioIdle { .. } | Tag::AudioEnd { .. } if self.copied.is_some() => {}
            Tag::AudioIdle { time } => self.audio.until = time,
            Tag::AudioEnd { time } => {
                self.audio.ended = true;
                self.end = self.end.max(time);
            }
        }
        // A stream that pauses may begin later.
        let video_known = self.video.known() || self.video_format.is_some();
        let audio_known = self.audio.known() || self.audio_format.is_some();
        while video_known && audio_known && self.write_next()? {}
        if self.held_bytes > HELD_LIMIT_MIB << 20 {
            return Err(Stop::Input(InputError::Interleaving { limit: HELD_LIMIT_MIB }));
        }
        Ok(())
    }

    /// Writes the earliest tag, if it is there; false if it is still to come, or if there is none any more. Of a
    /// picture and sound at the same time the picture comes first.
    fn write_next(&mut self) -> Result<bool, Stop> {
        self.read_sound()?;
        let (video, audio) = (self.delayed(self.video.bound()), self.audio.bound());
        if video.milliseconds() <= audio.milliseconds() { self.write_picture() } else { self.write_sound() }
    }

    /// When a picture appears that belongs to the sound at `time`.
    fn delayed(&self, time: Time) -> Time {
        let shown = self.undelayed.is_some_and(|after| time.milliseconds() <= after.milliseconds());
        if shown { time } else { time + self.delay }
    }

    fn write_picture(&mut self) -> Result<bool, Stop> {
        let Some((time, picture)) = self.video.tags.pop_front() else { return Ok(false) };
        self.time = self.delayed(time);
        self.held_bytes -= picture.data.len();
        let timestamp = timestamp(self.time)?;
        self.last_video = Some(timestamp);
        self.muxer()?.write_video(timestamp, picture.key, &picture.data)?;
        Ok(true)
    }

    fn write_sound(&mut self) -> Result<bool, Stop> {
        let Some((time, frame)) = self.audio.tags.pop_front() else { return Ok(false) };
        self.time = time;
        self.held_bytes -= frame.len();
        let timestamp = timestamp(time)?;
        self.keep_clock(timestamp)?;
        self.muxer()?.write_audio(timestamp, &frame)?;
        Ok(true)
    }

    /// Shows the last picture again, once a second, while sound goes on under it.
    fn keep_clock(&mut self, timestamp: u32) -> Result<(), Stop> {
        let (Some(standing), Some(mut last)) = (self.standing.take(), self.last_video) else { return Ok(()) };
        while self.video.tags.is_empty() && timestamp >= last + CLOCK_MILLISECONDS {
            last += CLOCK_MILLISECONDS;
            self.last_video = Some(last);
            self.muxer()?.write_video(last, false, &standing)?;
        }
        self.standing = Some(standing);
        Ok(())
    }

    /// The muxer, made when it is known which streams there are.
    fn muxer(&mut self) -> Result<&mut Muxer<W>, Stop> {
        if let Some(body) = self.body.take() {
            let muxer = Muxer::new(body, self.video_format, self.audio_format)
                .with_texts(std::mem::take(&mut self.texts));
            let muxer = self.muxer.insert(muxer);
            if self.streaming {
                self.head_bytes = Some(muxer.write_head()?);
            }
        }
        Ok(self.muxer.as_mut().expect("the muxer is made when the body is taken"))
    }

    /// Lets nothing wait in buffers that somebody at the other end may wait for.
    fn flush(&mut self) -> Result<(), Stop> {
        if let (true, Some(muxer)) = (self.streaming, &mut self.muxer) {
            muxer.flush()?;
        }
        Ok(())
    }

    fn finish(self) -> Result<(W, Vec<u8>, Report), Stop> {
        let Some(muxer) = self.muxer else { return Err(Stop::Input(InputError::Empty)) };
        let tags_bytes = muxer.body_bytes();
        let (video_bytes, audio_bytes) = (muxer.video_bytes(), muxer.audio_bytes());
        let (body, head) = muxer.finish(self.end.milliseconds().max(0) as u64)?;
        let report = Report {
            duration: self.end,
            bytes: self.head_bytes.unwrap_or(head.len() as u64) + tags_bytes,
            video_bytes,
            audio_bytes,
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

#[cfg(test)]
mod tests {
    use super::*;

    const VIDEO: VideoFormat = VideoFormat { width: 16, height: 16 };
    const AUDIO: AudioFormat = AudioFormat { sample_rate: 44_100, stereo: true };

    fn at(milliseconds: i32) -> Time {
        Time::from_milliseconds(milliseconds)
    }

    fn video(milliseconds: i32) -> Tag {
        Tag::Video { time: at(milliseconds), picture: Packet { key: milliseconds == 0, data: vec![0; 10] } }
    }

    fn audio(milliseconds: i32) -> Tag {
        Tag::Audio { time: at(milliseconds), frame: vec![0; 10] }
    }

    /// Type and timestamp of the tags that were written after each tag that was taken.
    fn written(tags: Vec<Tag>) -> Vec<Vec<(u8, u8)>> {
        let mut interleaver = Interleaver::new(Vec::new(), false);
        let mut seen = 0;
        let mut steps = Vec::new();
        for tag in tags {
            interleaver.take(tag).ok().unwrap();
            let body = interleaver.muxer.as_ref().map_or(0, |muxer| muxer.body_bytes()) as usize;
            steps.push((seen, body));
            seen = body;
        }
        let body = interleaver.muxer.unwrap().finish(0).unwrap().0;
        // A tag of this test takes 11 + 1 + 10 + 4 bytes.
        let tags =
            |(from, to): (usize, usize)| body[from..to].chunks(26).map(|tag| (tag[0], tag[6])).collect();
        steps.into_iter().map(tags).collect()
    }

    #[test]
    fn the_earliest_goes_first_and_a_picture_before_sound() {
        let steps = written(vec![
            Tag::VideoStart(VIDEO),
            video(0),
            Tag::AudioStart { format: AUDIO, delay: at(24), after: None },
            audio(0),
            audio(24),
            audio(50),
            video(30),
        ]);
        // Held until both kinds are known, and then until nothing earlier can come.
        let expected: [&[(u8, u8)]; 7] = [&[], &[], &[], &[(8, 0)], &[(9, 24)], &[], &[(8, 24), (8, 50)]];
        assert_eq!(steps, expected);
    }

    #[test]
    fn an_idle_stream_holds_nothing_back() {
        let steps = written(vec![
            Tag::AudioStart { format: AUDIO, delay: Time::ZERO, after: None },
            Tag::VideoStart(VIDEO),
            audio(0),
            audio(40),
            Tag::VideoIdle { time: at(40) },
            Tag::VideoIdle { time: at(41) },
            Tag::AudioIdle { time: at(90) },
            video(80),
            Tag::AudioEnd { time: at(90) },
            video(100),
        ]);
        let expected: [&[(u8, u8)]; 10] =
            [&[], &[], &[], &[], &[(8, 0)], &[(8, 40)], &[], &[(9, 80)], &[], &[(9, 100)]];
        assert_eq!(steps, expected);
    }

    #[test]
    fn sound_may_begin_late() {
        let steps = written(vec![
            Tag::VideoStart(VIDEO),
            video(0),
            Tag::AudioIdle { time: at(40) },
            video(40),
            video(80),
            Tag::AudioStart { format: AUDIO, delay: at(24), after: Some(at(40)) },
            audio(60),
            audio(110),
        ]);
        let expected: [&[(u8, u8)]; 8] = [&[], &[], &[(9, 0)], &[(9, 40)], &[], &[], &[(8, 60)], &[(9, 104)]];
        assert_eq!(steps, expected);
    }

    #[test]
    fn too_much_to_hold_is_an_error() {
        let mut interleaver = Interleaver::new(Vec::new(), false);
        interleaver.take(Tag::VideoStart(VIDEO)).ok().unwrap();
        interleaver.held_bytes = HELD_LIMIT_MIB << 20;
        assert!(matches!(interleaver.take(video(0)), Err(Stop::Input(InputError::Interleaving { .. }))));
    }
}
