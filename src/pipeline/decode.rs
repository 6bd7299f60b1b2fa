//! The stage that decodes Theora packets and scales the pictures.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use oggflv_common::{Frame, PixelFormat};
use oggflv_theora as theora;

use super::clocks::Stage;
use super::counters::Counters;
use super::damage::Loss;
use crate::options::Options;
use crate::scale::{Region, Scaler};
use crate::time::Time;

/// What the stage takes.
pub(super) enum VideoInput {
    /// The packets that follow are decoded by this.
    Link(Box<theora::ParallelDecoder>),
    /// A Theora data packet and when its picture appears.
    Packet { data: Vec<u8>, time: Time },
    /// Nothing comes before `time`; the last picture stands.
    Idle { time: Time },
    /// All is sent; the last picture stands until `time`.
    End { time: Time },
}

/// What the stage gives.
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

/// Pictures of one size: that of `size`, else that of the first one.
pub(super) struct Pictures {
    packets: Receiver<VideoInput>,
    /// Frames that are no longer needed.
    used: Receiver<Frame>,
    target: Option<(usize, usize)>,
    /// Whether more than one thread scales.
    parallel: bool,
    link: Option<Link>,
    /// When the pictures appear that the decoder has in work.
    times: VecDeque<Time>,
    /// What was made and not given.
    ready: VecDeque<Picture>,
    /// Up to when it was said that nothing comes.
    idle_until: Time,
    counters: Arc<Counters>,
}

impl Pictures {
    pub(super) fn new(
        packets: Receiver<VideoInput>,
        used: Receiver<Frame>,
        options: &Options,
        counters: Arc<Counters>,
    ) -> Self {
        let parallel = options.decoder_threads().get() > 1;
        let target = options.size.map(|size| (usize::from(size.width.get()), usize::from(size.height.get())));
        let (times, ready) = (VecDeque::new(), VecDeque::new());
        Self { packets, used, target, parallel, link: None, times, ready, idle_until: Time::ZERO, counters }
    }

    fn take(&mut self, input: VideoInput) {
        match input {
            VideoInput::Link(decoder) => {
                self.drain();
                let region = region(decoder.identification());
                let (width, height) = *self.target.get_or_insert((region.width, region.height));
                self.link = Some(Link::new(decoder, &region, (width, height), self.parallel));
            }
            VideoInput::Packet { data, time } => {
                let Some(link) = &mut self.link else { return };
                self.times.push_back(time);
                if let Some(decoded) = link.decoder.decode(data) {
                    self.add(&decoded);
                }
            }
            VideoInput::Idle { time } => {
                self.drain();
                self.idle_until = time;
                self.ready.push_back(Picture::Idle { time });
            }
            VideoInput::End { time } => {
                self.drain();
                self.ready.push_back(Picture::End { time });
            }
        }
    }

    /// Waits for all that the decoder has in work.
    fn drain(&mut self) {
        while let Some(decoded) = self.link.as_mut().and_then(|link| link.decoder.finish()) {
            self.add(&decoded);
        }
    }

    /// Takes what the decoder made of the oldest packet.
    fn add(&mut self, decoded: &theora::DecodedFrame) {
        let (Some(time), Some(link)) = (self.times.pop_front(), &mut self.link) else { return };
        self.counters.decoded.add(1);
        let picture = match decoded.kind() {
            Ok(theora::FrameKind::Key | theora::FrameKind::Inter) => {
                let _running = self.counters.clocks.enter(Stage::Scale);
                Picture::New { frame: link.scale(decoded, self.used.try_recv().ok()), time }
            }
            Ok(theora::FrameKind::Repeat) => Picture::Repeat { time },
            // The picture before stands in for one that cannot be decoded.
            Err(_) => {
                self.counters.damaged.add(1);
                self.counters.damage.add(Loss::pictures(1, time, time));
                Picture::Repeat { time }
            }
        };
        if time >= self.idle_until {
            self.ready.push_back(picture);
        } else {
            // Too late: what comes after it has been shown.
            self.counters.damage.add(Loss::pictures(1, time, time));
        }
    }
}

impl Iterator for Pictures {
    type Item = Picture;

    fn next(&mut self) -> Option<Picture> {
        loop {
            if let Some(picture) = self.ready.pop_front() {
                return Some(picture);
            }
            let input = self.packets.recv().ok()?;
            self.take(input);
        }
    }
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

/// The pictures of one link of the chain.
struct Link {
    decoder: Box<theora::ParallelDecoder>,
    scaler: Scaler,
    source_height: usize,
    /// The last picture as it was scaled.
    last: Option<Frame>,
    target: (usize, usize),
    parallel: bool,
}

impl Link {
    fn new(
        decoder: Box<theora::ParallelDecoder>,
        region: &Region,
        target: (usize, usize),
        parallel: bool,
    ) -> Self {
        let scaler = Scaler::new(region, target.0, target.1);
        Self { decoder, scaler, source_height: region.height, last: None, target, parallel }
    }

    /// Scales a picture into `frame`, if there is one. Only rows that changed since the last picture are made anew.
    fn scale(&mut self, decoded: &theora::DecodedFrame, frame: Option<Frame>) -> Frame {
        let (width, height) = self.target;
        let mut frame = frame.unwrap_or_else(|| Frame::new(PixelFormat::Yuv420, width, height));
        let mut stale = vec![self.last.is_none(); height];
        let last = self.last.get_or_insert_with(|| Frame::new(PixelFormat::Yuv420, width, height));
        for rows in runs(&changed_rows(decoded, self.source_height)) {
            stale[self.scaler.dependents(rows)].fill(true);
        }
        for rows in runs(&stale) {
            if self.parallel {
                self.scaler.par_scale_rows(&decoded.picture(), last, rows);
            } else {
                self.scaler.scale_rows(&decoded.picture(), last, rows);
            }
        }
        for (plane, last) in frame.planes.iter_mut().zip(&last.planes) {
            plane.data_mut().copy_from_slice(last.data());
        }
        frame
    }
}

/// Which luma rows of the picture region may differ from those of the picture before.
fn changed_rows(decoded: &theora::DecodedFrame, height: usize) -> Vec<bool> {
    let mut changed = vec![false; height];
    for pli in 0..3 {
        let blocks = decoded.unchanged(pli);
        let plane_rows = decoded.picture().planes[pli].height;
        // Luma rows for each row of the plane.
        let scale = if plane_rows < height { 2 } else { 1 };
        for row in 0..blocks.rows {
            if blocks.row(row).is_some_and(|blocks| !blocks.iter().all(|&unchanged| unchanged)) {
                // A chroma row at an odd offset belongs to a luma row before its first one, too.
                let start = (scale * (8 * row).saturating_sub(blocks.y)).saturating_sub(scale - 1);
                let end = scale * (8 * (row + 1)).saturating_sub(blocks.y);
                changed[start.min(height)..end.min(height)].fill(true);
            }
        }
    }
    changed
}

/// The runs of rows that are marked.
fn runs(marked: &[bool]) -> Vec<Range<usize>> {
    let mut runs: Vec<Range<usize>> = Vec::new();
    for (row, _) in marked.iter().enumerate().filter(|(_, marked)| **marked) {
        match runs.last_mut() {
            Some(run) if run.end == row => run.end += 1,
            _ => runs.push(row..row + 1),
        }
    }
    runs
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ogg::{Codec, Demuxer, HeaderCollector};
    use std::num::NonZeroUsize;
    use std::sync::mpsc::channel;

    /// Scaling what has changed gives the pictures that scaling everything gives.
    #[test]
    fn rows_that_stand_are_those_of_before() {
        let mut demuxer = Demuxer::new(&include_bytes!("../../tests/media/flash-click.ogv")[..]);
        let mut collector = HeaderCollector::new(Codec::Theora).unwrap();
        let (mut headers, mut packets) = (None, Vec::new());
        while let Some(packet) = demuxer.next_packet().unwrap() {
            if demuxer.streams()[packet.stream].codec != Codec::Theora {
                demuxer.ignore(packet.stream);
            } else if headers.is_none() {
                headers = collector.push(packet).unwrap();
            } else {
                packets.push(packet.data);
            }
        }
        let headers = headers.unwrap();
        let decoder = || {
            let identification = theora::Identification::parse(&headers.identification).unwrap();
            let setup = theora::Setup::parse(&headers.setup).unwrap();
            let limits = theora::Limits::default();
            theora::ParallelDecoder::new(identification, setup, &limits, NonZeroUsize::MIN).unwrap()
        };
        for size in ["160x120", "320x240", "200x333"] {
            let (sender, receiver) = channel();
            let (_used, free) = channel();
            let size = size.parse::<crate::options::Size>().unwrap();
            let options = Options { size: Some(size), ..Options::default() };
            let (feed, packets_in) = std::sync::mpsc::sync_channel(packets.len() + 2);
            feed.send(VideoInput::Link(Box::new(decoder()))).unwrap();
            for data in &packets {
                feed.send(VideoInput::Packet { data: data.clone(), time: Time::ZERO }).unwrap();
            }
            feed.send(VideoInput::End { time: Time::ZERO }).unwrap();
            drop(feed);
            for picture in Pictures::new(packets_in, free, &options, Arc::default()) {
                sender.send(picture).unwrap();
            }
            drop(sender);

            let mut decoder = decoder();
            let (width, height) = (usize::from(size.width.get()), usize::from(size.height.get()));
            let region = region(decoder.identification());
            let scaler = Scaler::new(&region, width, height);
            let mut standing = 0;
            for data in &packets {
                let decoded = decoder.decode(data.clone()).or_else(|| decoder.finish()).unwrap();
                match receiver.recv().unwrap() {
                    Picture::New { frame, .. } => {
                        let mut expected = Frame::new(PixelFormat::Yuv420, width, height);
                        scaler.scale(&decoded.picture(), &mut expected);
                        assert!(frame == expected, "{size}");
                        let changed = changed_rows(&decoded, region.height);
                        standing += changed.iter().filter(|changed| !**changed).count();
                    }
                    _ => assert!(matches!(decoded.kind(), Ok(theora::FrameKind::Repeat))),
                }
            }
            assert!(standing > region.height, "the file has rows that stand: {standing}");
        }
    }
}
