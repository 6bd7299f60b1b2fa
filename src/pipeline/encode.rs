//! The stage that encodes pictures.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::mpsc::{Sender, SyncSender};

use oggflv_common::Frame;
use oggflv_sorenson as sorenson;

use super::clocks;
use super::counters::Counters;
use super::interleave::Tag;
use super::plan::Planned;
use super::{Rate, Stop};
use crate::error::OutputError;
use crate::flv::VideoFormat;
use crate::options::Options;
use crate::time::Time;

/// Time between video tags at most: players' clocks run by them.
const CLOCK_INTERVAL: Time = Time::SECOND;

/// Where things go from here.
#[derive(Clone, Copy)]
pub(super) struct WaysOut<'a> {
    /// Frames that were encoded, for further use.
    pub(super) used: &'a Sender<Frame>,
    pub(super) tags: &'a SyncSender<Tag>,
    /// What a recording rate control remembers of all pictures.
    pub(super) first_pass: &'a Sender<sorenson::FirstPass>,
}

/// Encodes pictures. A repetition costs nothing until a second has passed without a tag.
pub(super) fn run(
    pictures: impl Iterator<Item = Planned>,
    ways_out: WaysOut<'_>,
    rate: Rate,
    options: &Options,
    counters: &Arc<Counters>,
) -> Result<Vec<String>, Stop> {
    let tags = ways_out.tags;
    let mut rate = Some(rate);
    let mut stage: Option<Stage<'_>> = None;
    for picture in pictures {
        match picture {
            Planned::New { frame, plan, time } => {
                if let Some(rate) = rate.take() {
                    let rate = rate(counters.duration());
                    stage = Some(Stage::new(&frame, time, rate, ways_out, options, counters)?);
                }
                if let Some(stage) = &mut stage {
                    stage.picture(frame, plan, time)?;
                }
            }
            Planned::Repeat { time } => {
                if let Some(stage) = &mut stage {
                    stage.repeat(time)?;
                }
            }
            Planned::Idle { time } => {
                if let Some(stage) = &mut stage {
                    stage.idle(time)?;
                }
                tags.send(Tag::VideoIdle { time })?;
            }
            Planned::End { time } => {
                let standing = stage.map(|stage| stage.finish(time)).transpose()?;
                tags.send(Tag::VideoEnd { standing, time })?;
                return Ok(Vec::new());
            }
        }
    }
    Err(Stop::Closed)
}

/// The encoder's settings. Key frames and quantisers come with the plans.
pub(super) fn encoder_config(width: usize, height: usize) -> sorenson::Config {
    sorenson::Config { width, height, quantizer: 1, keyint: u32::MAX }
}

struct Stage<'a> {
    encoder: sorenson::ParallelEncoder,
    /// When the pictures appear that the encoder has in work.
    times: VecDeque<Time>,
    ways_out: WaysOut<'a>,
    counters: &'a Counters,
    last_tag: Time,
    /// Whether anything but key frames was sent.
    inter_sent: bool,
    /// When the last picture was repeated last.
    repeated: Option<Time>,
}

impl<'a> Stage<'a> {
    fn new(
        frame: &Frame,
        time: Time,
        rate: sorenson::RateControl,
        ways_out: WaysOut<'a>,
        options: &Options,
        counters: &'a Arc<Counters>,
    ) -> Result<Self, Stop> {
        let (width, height) = (frame.width(), frame.height());
        let config = encoder_config(width, height);
        let in_work = options.pictures_in_work(frame.samples());
        // All that a first pass is for are sizes.
        let preset = if rate.is_recording() { sorenson::Preset::Fast } else { options.preset };
        let encoder = sorenson::ParallelEncoder::new(config, preset, in_work)
            .map_err(|problem| Stop::Output(OutputError::Picture { width, height, problem: problem.into() }))?
            .with_rate(rate)
            .within(Arc::new(clocks::around(clocks::Stage::Encode, counters)));
        let encoder = if options.psnr { encoder.measuring() } else { encoder };
        ways_out.tags.send(Tag::VideoStart(VideoFormat { width, height }))?;
        let times = VecDeque::new();
        Ok(Self { encoder, times, ways_out, counters, last_tag: time, inter_sent: false, repeated: None })
    }

    fn picture(&mut self, frame: Frame, plan: sorenson::Plan, time: Time) -> Result<(), Stop> {
        self.keep_clock(time)?;
        self.repeated = None;
        self.inter_sent |= !plan.key;
        self.counters.coded.add(1);
        self.encode(sorenson::Input::Frame(frame, plan), time)
    }

    fn repeat(&mut self, time: Time) -> Result<(), Stop> {
        self.keep_clock(time)?;
        self.repeated = Some(time);
        Ok(())
    }

    /// Sends all that lies before `time`, since nobody may expect it afterwards.
    fn idle(&mut self, time: Time) -> Result<(), Stop> {
        self.keep_clock(time)?;
        match self.repeated {
            Some(repeated) if repeated < time => {
                self.repeated = None;
                self.skip(repeated)?;
            }
            _ if !self.inter_sent && time > self.last_tag => {
                self.skip(self.last_tag + (time - self.last_tag).halved())?;
            }
            _ => {}
        }
        self.drain()
    }

    /// Keeps tags at most [`CLOCK_INTERVAL`] apart, knowing that the next one comes at `time` or later.
    fn keep_clock(&mut self, time: Time) -> Result<(), Stop> {
        if time - self.last_tag > CLOCK_INTERVAL {
            // Where the source repeats a picture is the best place: there no other picture comes close.
            if let Some(repeated) = self.repeated.take() {
                self.skip(repeated)?;
            }
        }
        while time - self.last_tag > CLOCK_INTERVAL {
            // The last step is halved, lest it end just before the next picture.
            let step = (time - self.last_tag).halved().min(CLOCK_INTERVAL);
            self.skip(self.last_tag + step)?;
        }
        Ok(())
    }

    /// Sends a picture that repeats the one before.
    fn skip(&mut self, time: Time) -> Result<(), Stop> {
        self.inter_sent = true;
        self.counters.repeated.add(1);
        self.encode(sorenson::Input::Repeat, time)
    }

    fn encode(&mut self, input: sorenson::Input, time: Time) -> Result<(), Stop> {
        self.last_tag = time;
        self.times.push_back(time);
        let output = self.encoder.encode(input).expect("the frame has the size the encoder was made for");
        output.map_or(Ok(()), |output| self.send(output))
    }

    /// Sends all that the encoder has in work.
    fn drain(&mut self) -> Result<(), Stop> {
        while let Some(output) = self.encoder.finish() {
            self.send(output)?;
        }
        Ok(())
    }

    fn send(&mut self, output: sorenson::Output) -> Result<(), Stop> {
        if let Some(frame) = output.frame {
            // The decode stage may have ended; then nobody needs the frame any more.
            let _ = self.ways_out.used.send(frame);
        }
        if let Some(errors) = output.squared_errors {
            self.counters.measured.add(1);
            self.counters.squared_errors.iter().zip(errors).for_each(|(sum, error)| sum.add(error));
        }
        let Some(time) = self.times.pop_front() else { return Ok(()) };
        self.ways_out.tags.send(Tag::Video { time, picture: output.packet })?;
        Ok(())
    }

    /// Sends what still has to be shown until `end` and returns a picture that repeats the last one, for as long as
    /// the sound goes on.
    fn finish(mut self, end: Time) -> Result<Vec<u8>, Stop> {
        self.keep_clock(end)?;
        match self.repeated {
            Some(time) if time > self.last_tag => self.skip(time)?,
            // A single picture shows its duration only by a second one.
            _ if !self.inter_sent => self.skip(self.last_tag + (end - self.last_tag).halved())?,
            _ => {}
        }
        self.drain()?;
        let standing = self.encoder.encode(sorenson::Input::Repeat).expect("a repetition has no size");
        let standing = standing.or_else(|| self.encoder.finish());
        if let Some(first_pass) = self.encoder.into_rate().and_then(sorenson::RateControl::into_first_pass) {
            // Nobody may have asked for it.
            let _ = self.ways_out.first_pass.send(first_pass);
        }
        Ok(standing.map(|output| output.packet.data).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::PixelFormat;
    use std::sync::mpsc::{channel, sync_channel};

    /// Once it was said that nothing comes before a time, nothing does, whatever the end turns out to need.
    #[test]
    fn promises_are_kept() {
        let at = Time::from_milliseconds;
        for repeated in [None, Some(40), Some(700)] {
            let mut lookahead = sorenson::Lookahead::new(&encoder_config(16, 16));
            lookahead.send(Frame::new(PixelFormat::Yuv420, 16, 16)).unwrap();
            lookahead.finish();
            let (frame, plan) = lookahead.receive().unwrap();
            let mut pictures = vec![Planned::New { frame, plan, time: at(0) }];
            pictures.extend(repeated.map(|time| Planned::Repeat { time: at(time) }));
            pictures.extend([Planned::Idle { time: at(500) }, Planned::End { time: at(740) }]);
            let ((used, _used), (first_pass, _first_pass)) = (channel(), channel());
            let (tags, sent) = sync_channel(100);
            let ways_out = WaysOut { used: &used, tags: &tags, first_pass: &first_pass };
            let options = Options::default();
            run(
                pictures.into_iter(),
                ways_out,
                Box::new(|_| sorenson::RateControl::constant(80)),
                &options,
                &Arc::default(),
            )
            .ok()
            .unwrap();
            drop(tags);
            let (mut promised, mut shown) = (Time::ZERO, Vec::new());
            for tag in sent {
                match tag {
                    Tag::Video { time, .. } => {
                        assert!(time >= promised, "{repeated:?}: {time:?} after {promised:?}");
                        shown.push(time);
                    }
                    Tag::VideoIdle { time } => promised = time,
                    _ => {}
                }
            }
            let last = repeated.map_or(at(250), at);
            assert!(shown.len() > 1 && shown.contains(&last), "{repeated:?}: {shown:?}");
        }
    }
}
