//! The stage that looks ahead: where key frames go, and what is worth how many bits.

use std::collections::VecDeque;

use oggflv_common::Frame;
use oggflv_sorenson as sorenson;

use super::decode::Picture;
use crate::time::Time;

/// The newest picture is ahead of the one that is planned by this at most. What follows later hardly matters, and
/// sound has to wait as long.
const LONGEST_LOOK: Time = Time::from_seconds(4);

/// What the stage gives.
pub(super) enum Planned {
    /// A picture that appears at `time`, and how to encode it.
    New { frame: Frame, plan: sorenson::Plan, time: Time },
    /// The picture before still stands at `time`.
    Repeat { time: Time },
    /// Nothing comes before `time`; the picture before stands.
    Idle { time: Time },
    /// All is sent; the last picture stands until `time`.
    End { time: Time },
}

impl Planned {
    /// The bytes of its samples.
    pub(super) fn bytes(&self) -> usize {
        if let Self::New { frame, .. } = self { frame.samples() } else { 0 }
    }
}

/// What waits for its turn.
enum Waiting {
    /// A picture that the lookahead has.
    New {
        time: Time,
    },
    Other(Planned),
}

/// Pictures with plans.
pub(super) struct Plans<I> {
    pictures: I,
    keyframe_interval: Time,
    preset: sorenson::Preset,
    lookahead: Option<sorenson::Lookahead>,
    waiting: VecDeque<Waiting>,
    last_key: Time,
}

impl<I: Iterator<Item = Picture>> Plans<I> {
    /// `keyframe_interval` is the time from one key frame to the next at most, but for the picture that is due.
    pub(super) fn new(pictures: I, keyframe_interval: Time, preset: sorenson::Preset) -> Self {
        let (waiting, last_key) = (VecDeque::new(), Time::ZERO);
        Self { pictures, keyframe_interval, preset, lookahead: None, waiting, last_key }
    }

    fn take(&mut self, picture: Picture) {
        match picture {
            Picture::New { frame, time } => {
                self.look_no_farther_than(time);
                self.look_at(frame, time);
                self.waiting.push_back(Waiting::New { time });
            }
            Picture::Repeat { time } => {
                self.look_no_farther_than(time);
                self.waiting.push_back(Waiting::Other(Planned::Repeat { time }));
            }
            Picture::Idle { time } => {
                self.look_no_farther_than(time);
                self.waiting.push_back(Waiting::Other(Planned::Idle { time }));
            }
            Picture::End { time } => {
                if let Some(lookahead) = &mut self.lookahead {
                    lookahead.finish_at(time.into());
                }
                self.waiting.push_back(Waiting::Other(Planned::End { time }));
            }
        }
    }

    fn look_at(&mut self, frame: Frame, time: Time) {
        let lookahead = self.lookahead.get_or_insert_with(|| {
            let config = super::encode::encoder_config(frame.width(), frame.height());
            sorenson::Lookahead::with_preset(&config, self.preset)
        });
        if time - self.last_key >= self.keyframe_interval {
            lookahead.request_keyframe();
        }
        let key = lookahead.send_at(frame, time.into());
        if key.expect("the frame has the size the lookahead was made for") {
            self.last_key = time;
        }
    }

    /// Makes plans with what is there if the oldest picture lies too far before `time`.
    fn look_no_farther_than(&mut self, time: Time) {
        if let (Some(&Waiting::New { time: oldest }), Some(lookahead)) =
            (self.waiting.front(), &mut self.lookahead)
            && time - oldest >= LONGEST_LOOK
        {
            lookahead.flush();
        }
    }

    /// What stands in front, if it is ready.
    fn ready(&mut self) -> Option<Planned> {
        let planned = match *self.waiting.front()? {
            Waiting::New { time } => {
                let (frame, plan) = self.lookahead.as_mut()?.receive()?;
                Some(Planned::New { frame, plan, time })
            }
            Waiting::Other(_) => None,
        };
        match self.waiting.pop_front()? {
            Waiting::New { .. } => planned,
            Waiting::Other(planned) => Some(planned),
        }
    }
}

impl<I: Iterator<Item = Picture>> Iterator for Plans<I> {
    type Item = Planned;

    fn next(&mut self) -> Option<Planned> {
        loop {
            if let Some(planned) = self.ready() {
                return Some(planned);
            }
            let picture = self.pictures.next()?;
            self.take(picture);
        }
    }
}
