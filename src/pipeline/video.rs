//! The video stages: decode and scale, then encode.

use std::sync::mpsc::{Receiver, Sender, SyncSender};

use oggflv_common::{Frame, PixelFormat};
use oggflv_sorenson as sorenson;
use oggflv_theora as theora;

use super::Stop;
use super::interleave::Tag;
use crate::error::OutputError;
use crate::flv::VideoFormat;
use crate::options::{Quality, Size};
use crate::scale::{Region, Scaler};
use crate::time::Time;

/// Time between key frames at most: how exactly a player can seek.
const KEYFRAME_INTERVAL: Time = Time::from_seconds(10);
/// Time between video tags at most: players' clocks run by them.
const CLOCK_INTERVAL: Time = Time::SECOND;

/// What the decode stage takes.
pub(super) enum VideoInput {
    /// The packets that follow are decoded by this.
    Link(Box<theora::Decoder>),
    /// A Theora data packet and when its picture appears.
    Packet { data: Vec<u8>, time: Time },
    /// Nothing comes before `time`; the last picture stands.
    Idle { time: Time },
    /// All is sent; the last picture stands until `time`.
    End { time: Time },
}

/// What the encode stage takes.
pub(super) enum Picture {
    /// A picture that appears at `time`.
    New { frame: Frame, time: Time },
    /// The picture before still stands at `time`.
    Repeat { time: Time },
    /// Nothing comes before `time`; the picture before stands.
    Idle { time: Time },
    /// All is sent; the last picture stands until `time`.
    End { time: Time },
}

/// Decodes packets and scales pictures to one size: that of `size`, else that of the first picture.
pub(super) fn decode(
    packets: &Receiver<VideoInput>,
    pictures: &SyncSender<Picture>,
    free_pictures: &Receiver<Frame>,
    size: Option<Size>,
) -> Result<Vec<String>, Stop> {
    let mut target = size.map(|size| (usize::from(size.width.get()), usize::from(size.height.get())));
    let mut link: Option<(Box<theora::Decoder>, Scaler)> = None;
    let mut damaged = 0_u64;
    for input in packets {
        match input {
            VideoInput::Link(decoder) => {
                let region = region(decoder.identification());
                let (width, height) = *target.get_or_insert((region.width, region.height));
                link = Some((decoder, Scaler::new(&region, width, height)));
            }
            VideoInput::Packet { data, time } => {
                let (Some((decoder, scaler)), Some((width, height))) = (&mut link, target) else { continue };
                match decoder.decode(&data) {
                    Ok(theora::FrameKind::Key | theora::FrameKind::Inter) => {
                        let mut frame = free_pictures
                            .try_recv()
                            .unwrap_or_else(|_| Frame::new(PixelFormat::Yuv420, width, height));
                        scaler.scale(&decoder.picture(), &mut frame);
                        pictures.send(Picture::New { frame, time })?;
                    }
                    Ok(theora::FrameKind::Repeat) => pictures.send(Picture::Repeat { time })?,
                    // The picture before stands in for one that cannot be decoded.
                    Err(_) => {
                        damaged += 1;
                        pictures.send(Picture::Repeat { time })?;
                    }
                }
            }
            VideoInput::Idle { time } => pictures.send(Picture::Idle { time })?,
            VideoInput::End { time } => {
                pictures.send(Picture::End { time })?;
                let warning = format!("damaged pictures, replaced by the ones before them: {damaged}");
                return Ok(if damaged > 0 { vec![warning] } else { Vec::new() });
            }
        }
    }
    Err(Stop::Closed)
}

fn region(identification: &theora::Identification) -> Region {
    Region {
        format: identification.pixel_format,
        x: identification.picture_x,
        y: identification.picture_y,
        width: identification.picture_width,
        height: identification.picture_height,
    }
}

/// Encodes pictures. A repetition costs nothing until a second has passed without a tag.
pub(super) fn encode(
    pictures: &Receiver<Picture>,
    used_pictures: &Sender<Frame>,
    tags: &Sender<Tag>,
    quality: Quality,
) -> Result<Vec<String>, Stop> {
    let mut stage: Option<EncodeStage<'_>> = None;
    for picture in pictures {
        match picture {
            Picture::New { frame, time } => {
                let stage = match &mut stage {
                    Some(stage) => stage,
                    None => stage.insert(EncodeStage::new(&frame, time, tags, quality)?),
                };
                stage.encode(&frame, time)?;
                // The decode stage may have ended; then nobody needs the frame any more.
                let _ = used_pictures.send(frame);
            }
            Picture::Repeat { time } => {
                if let Some(stage) = &mut stage {
                    stage.repeat(time)?;
                }
            }
            Picture::Idle { time } => {
                if let Some(stage) = &mut stage {
                    stage.keep_clock(time)?;
                }
                tags.send(Tag::VideoIdle { time })?;
            }
            Picture::End { time } => {
                let standing = stage.map(|stage| stage.finish(time)).transpose()?;
                tags.send(Tag::VideoEnd { standing, time })?;
                return Ok(Vec::new());
            }
        }
    }
    Err(Stop::Closed)
}

struct EncodeStage<'a> {
    encoder: sorenson::Encoder,
    tags: &'a Sender<Tag>,
    last_key: Time,
    last_tag: Time,
    /// Whether anything but key frames was sent.
    inter_sent: bool,
    /// When the last picture was repeated last.
    repeated: Option<Time>,
}

impl<'a> EncodeStage<'a> {
    fn new(frame: &Frame, time: Time, tags: &'a Sender<Tag>, quality: Quality) -> Result<Self, Stop> {
        let (width, height) = (frame.width(), frame.height());
        let config = sorenson::Config { width, height, quantizer: quality.quantizer(), keyint: u32::MAX };
        let encoder = sorenson::Encoder::new(config).map_err(|problem| {
            Stop::Output(OutputError::Picture { width, height, problem: problem.into() })
        })?;
        tags.send(Tag::VideoStart(VideoFormat { width, height }))?;
        Ok(Self { encoder, tags, last_key: time, last_tag: time, inter_sent: false, repeated: None })
    }

    fn encode(&mut self, frame: &Frame, time: Time) -> Result<(), Stop> {
        self.keep_clock(time)?;
        self.repeated = None;
        if time - self.last_key >= KEYFRAME_INTERVAL {
            self.encoder.request_keyframe();
        }
        let packet = self.encoder.encode(frame).expect("the frame has the size the encoder was made for");
        if packet.key {
            self.last_key = time;
        }
        self.send(time, packet)
    }

    fn repeat(&mut self, time: Time) -> Result<(), Stop> {
        self.keep_clock(time)?;
        self.repeated = Some(time);
        Ok(())
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
        let packet = self.encoder.encode_skipped();
        self.send(time, packet)
    }

    fn send(&mut self, time: Time, packet: sorenson::Packet) -> Result<(), Stop> {
        self.last_tag = time;
        self.inter_sent |= !packet.key;
        self.tags.send(Tag::Video { time, picture: packet })?;
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
        Ok(self.encoder.encode_skipped().data)
    }
}
