//! The stage that decodes Theora packets and scales the pictures.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::mpsc::Receiver;
use std::sync::{Arc, PoisonError};

use oggflv_common::{Frame, FrameView, PixelFormat};
use oggflv_theora as theora;

use super::clocks::{self, Stage};
use super::counters::Counters;
use super::damage::Loss;
use crate::fit::{Placement, Rectangle, Shape};
use crate::options::{Filter, Fit, FrameRate, Options, Size};
use crate::poster::Search;
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

impl Picture {
    /// The bytes of its samples.
    pub(super) fn bytes(&self) -> usize {
        if let Self::New { frame, .. } = self { frame.samples() } else { 0 }
    }
}

/// Pictures of one size.
pub(super) struct Pictures {
    packets: Receiver<VideoInput>,
    /// Frames that are no longer needed.
    used: Receiver<Frame>,
    size: Option<Size>,
    fit: Fit,
    filter: Filter,
    /// Size of the output's pictures, once there is one.
    fixed: Option<(usize, usize)>,
    /// Whether more than one thread scales.
    parallel: bool,
    link: Option<Link>,
    /// When the pictures appear that the decoder has in work.
    times: VecDeque<Time>,
    /// What was made and not given.
    ready: VecDeque<Picture>,
    /// Up to when it was said that nothing comes.
    idle_until: Time,
    /// The last picture before the start, which stands there if none begins with it.
    before_start: Option<theora::DecodedFrame>,
    longest: Time,
    poster: Option<Search>,
    limit: Option<Limit>,
    counters: Arc<Counters>,
}

impl Pictures {
    pub(super) fn new(
        packets: Receiver<VideoInput>,
        used: Receiver<Frame>,
        options: &Options,
        counters: Arc<Counters>,
    ) -> Self {
        let parallel = options.scales_parallel();
        Self {
            packets,
            used,
            size: options.size,
            fit: options.fit,
            filter: options.filter,
            fixed: None,
            parallel,
            link: None,
            times: VecDeque::new(),
            ready: VecDeque::new(),
            idle_until: Time::ZERO,
            before_start: None,
            longest: options.longest(),
            poster: options.poster.as_ref().map(|poster| Search::new(poster.at.map(|at| at - options.start))),
            limit: options.frame_rate_limit.map(Limit::new),
            counters,
        }
    }

    fn take(&mut self, input: VideoInput) {
        match input {
            VideoInput::Link(decoder) => {
                self.drain();
                self.before_start = None;
                let shape = shape(decoder.identification());
                let placement = shape.place(self.size, self.fit, self.fixed);
                if self.fixed.is_none() && self.fit == Fit::Stretch {
                    self.counters.notes.extend(stretched(&shape, placement.size));
                }
                self.fixed = Some(placement.size);
                let decoder = decoder.within(Arc::new(clocks::around(Stage::Decode, &self.counters)));
                self.link = Some(Link::new(decoder, placement, self.filter, self.parallel));
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
                if time <= Time::ZERO {
                    return;
                }
                self.start(time);
                self.show_dropped(time);
                self.idle_until = time;
                self.ready.push_back(Picture::Idle { time });
            }
            VideoInput::End { time } => {
                self.drain();
                self.start(Time::MAX);
                // For a moment alone it is not worth it.
                self.show_dropped(time - self.limit.as_ref().map_or(Time::ZERO, Limit::step));
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

    /// Shows the last picture before the start, unless another one comes with the start; `next` is when one may.
    fn start(&mut self, next: Time) {
        if let (Some(decoded), Some(link)) = (self.before_start.take(), &mut self.link) {
            // What changes after it is told from it, so it is scaled whether it is shown or not.
            let _running = self.counters.clocks.enter(Stage::Scale);
            let frame = link.scale(&decoded, self.used.try_recv().ok());
            if next > Time::ZERO {
                save(&mut self.poster, &frame, Time::ZERO, &self.counters);
                if let Some(limit) = &mut self.limit {
                    limit.is_due(Time::ZERO);
                }
                self.ready.push_back(Picture::New { frame, time: Time::ZERO });
            }
        }
    }

    /// Takes what the decoder made of the oldest packet.
    fn add(&mut self, decoded: &theora::DecodedFrame) {
        let Some(time) = self.times.pop_front() else { return };
        if time < Time::ZERO {
            self.before_start = Some(decoded.clone());
            return;
        }
        let is_new = matches!(decoded.kind(), Ok(theora::FrameKind::Key | theora::FrameKind::Inter));
        self.start(if is_new { time } else { Time::MAX });
        let Some(link) = self.link.as_mut().filter(|_| time < self.longest) else { return };
        self.counters.decoded.add(1);
        let picture = match decoded.kind() {
            Ok(theora::FrameKind::Key | theora::FrameKind::Inter) => {
                let _running = self.counters.clocks.enter(Stage::Scale);
                // What changes after it is told from it, so it is scaled whether it is shown or not.
                let dropped = self.limit.as_mut().and_then(|limit| limit.dropped.take());
                let frame = link.scale(decoded, dropped.or_else(|| self.used.try_recv().ok()));
                save(&mut self.poster, &frame, time, &self.counters);
                let shown = match &mut self.limit {
                    Some(limit) => limit.show(frame, time),
                    None => Some(frame),
                };
                let Some(frame) = shown else { return };
                Picture::New { frame, time }
            }
            // What was dropped before is shown if it stands long enough.
            Ok(theora::FrameKind::Repeat) => {
                let dropped = self.limit.as_mut().and_then(|limit| limit.show_dropped(time));
                dropped.map_or(Picture::Repeat { time }, |frame| Picture::New { frame, time })
            }
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

impl Pictures {
    /// Shows a picture that was dropped as soon as one is due, unless something may come at `next` before that.
    fn show_dropped(&mut self, next: Time) {
        let Some(limit) = &mut self.limit else { return };
        let time = limit.next_due();
        if time < next {
            let frame = limit.show_dropped(time);
            self.ready.extend(frame.map(|frame| Picture::New { frame, time }));
        }
    }
}

/// Drops pictures where there are more than wanted: of those from a point of a grid to the next, the first one stays.
struct Limit {
    rate: FrameRate,
    /// The point of the grid before the picture that was shown last.
    last: Option<i64>,
    /// The last picture, if it was dropped.
    dropped: Option<Frame>,
}

impl Limit {
    fn new(rate: FrameRate) -> Self {
        Self { rate, last: None, dropped: None }
    }

    /// Whether a picture at `time` is shown.
    fn is_due(&mut self, time: Time) -> bool {
        // The nearest point is the one before what lies half a step earlier. A 1024th is given, lest rounding decide.
        let half = Time::from_units(511, 1024 * self.rate.numerator, self.rate.denominator);
        let point = (time - half).to_units(self.rate.numerator, self.rate.denominator);
        let is_due = self.last.is_none_or(|last| point > last);
        if is_due {
            self.last = Some(point);
        }
        is_due
    }

    /// Gives a picture back if it is shown, else keeps it.
    fn show(&mut self, frame: Frame, time: Time) -> Option<Frame> {
        if self.is_due(time) {
            return Some(frame);
        }
        self.dropped = Some(frame);
        None
    }

    /// The last picture, if it was dropped and is due at `time`.
    fn show_dropped(&mut self, time: Time) -> Option<Frame> {
        if self.dropped.is_some() && self.is_due(time) { self.dropped.take() } else { None }
    }

    /// From one point of the grid to the next.
    fn step(&self) -> Time {
        Time::from_units(1, self.rate.numerator, self.rate.denominator)
    }

    /// The next point of the grid.
    fn next_due(&self) -> Time {
        let point = self.last.map_or(0, |last| last.saturating_add(1));
        Time::from_units(point, self.rate.numerator, self.rate.denominator)
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

/// Keeps a picture if it is the best one so far for the poster, and if it is due for the contact sheet.
fn save(search: &mut Option<Search>, frame: &Frame, time: Time, counters: &Counters) {
    if let Some(thumbnails) = &mut *counters.thumbnails.lock().unwrap_or_else(PoisonError::into_inner) {
        thumbnails.take(frame, time);
    }
    if let Some(search) = search {
        let mut poster = counters.poster.lock().unwrap_or_else(PoisonError::into_inner);
        if search.is_better(frame, time, poster.is_none()) {
            *poster = Some(frame.clone());
        }
    }
}

fn shape(identification: &theora::Identification) -> Shape {
    Shape {
        width: identification.picture_width,
        height: identification.picture_height,
        pixel_aspect: identification.pixel_aspect,
    }
}

/// Says that pictures lose their shape.
fn stretched(shape: &Shape, (width, height): (usize, usize)) -> Option<String> {
    let stretch = shape.stretch((width, height))?;
    let (percent, direction) =
        if stretch < 1.0 { (1.0 - stretch, "narrower") } else { (stretch - 1.0, "wider") };
    Some(format!(
        "pictures of {}x{} fill {width}x{height} and get {:.0} % {direction}; --fit pad keeps their shape",
        shape.width,
        shape.height,
        100.0 * percent
    ))
}

/// The pictures of one link of the chain.
struct Link {
    decoder: theora::ParallelDecoder,
    placement: Placement,
    scaler: Scaler,
    /// The last picture as it was scaled.
    last: Option<Frame>,
    parallel: bool,
}

impl Link {
    fn new(decoder: theora::ParallelDecoder, placement: Placement, filter: Filter, parallel: bool) -> Self {
        let (identification, source) = (decoder.identification(), placement.source);
        let region = Region {
            format: identification.pixel_format,
            x: identification.picture_x + source.x,
            y: identification.picture_y + source.y,
            width: source.width,
            height: source.height,
        };
        let scaler = Scaler::with_filter(&region, placement.target.width, placement.target.height, filter);
        Self { decoder, placement, scaler, last: None, parallel }
    }

    /// Scales a picture into `frame`, if there is one. Only what has changed since the last picture is made anew.
    fn scale(&mut self, decoded: &theora::DecodedFrame, frame: Option<Frame>) -> Frame {
        let Rectangle { x, y, width, height } = self.placement.target;
        let is_first = self.last.is_none();
        let last = self.last.get_or_insert_with(|| Frame::new(PixelFormat::Yuv420, width, height));
        let (identification, source) = (self.decoder.identification(), self.placement.source);
        let picture = part(decoded, identification, source);
        let changed = |pli: usize, rows: Range<usize>| {
            let (left, top) = touched_plane(identification, source, pli);
            let rows = top.start + rows.start..top.start + rows.end;
            let blocks = ChangedBlocks::new(&decoded.unchanged(pli), rows);
            move |columns: Range<usize>| {
                is_first || blocks.any(left.start + columns.start..left.start + columns.end)
            }
        };
        if self.parallel {
            self.scaler.par_scale_changed(&picture, last, changed);
        } else {
            self.scaler.scale_changed(&picture, last, changed);
        }
        let size = self.placement.size;
        let mut frame = frame.unwrap_or_else(|| Frame::new(PixelFormat::Yuv420, size.0, size.1));
        for (pli, (plane, last)) in frame.planes.iter_mut().zip(&last.planes).enumerate() {
            if (width, height) == size {
                plane.data_mut().copy_from_slice(last.data());
                continue;
            }
            let (black, x, y) = if pli == 0 { (16, x, y) } else { (128, x / 2, y / 2) };
            let stride = plane.width();
            plane.data_mut().fill(black);
            let rows = plane.data_mut().chunks_exact_mut(stride).skip(y);
            for (row, last) in rows.zip(last.data().chunks_exact(last.width())) {
                row[x..x + last.len()].copy_from_slice(last);
            }
        }
        frame
    }
}

/// A part of the picture region, with all samples that it touches.
fn part<'a>(
    decoded: &'a theora::DecodedFrame,
    identification: &theora::Identification,
    rectangle: Rectangle,
) -> FrameView<'a> {
    let mut view = decoded.picture();
    for (pli, plane) in view.planes.iter_mut().enumerate() {
        let (columns, rows) = touched_plane(identification, rectangle, pli);
        let start = rows.start * plane.stride + columns.start;
        (plane.width, plane.height) = (columns.len(), rows.len());
        plane.data = &plane.data[start..start + (plane.height - 1) * plane.stride + plane.width];
    }
    view
}

/// The columns and the rows of a plane that a part of the picture region touches.
fn touched_plane(
    identification: &theora::Identification,
    part: Rectangle,
    pli: usize,
) -> (Range<usize>, Range<usize>) {
    let shifts = if pli == 0 { (0, 0) } else { identification.pixel_format.chroma_shift() };
    (
        touched(identification.picture_x, part.x, part.width, shifts.0),
        touched(identification.picture_y, part.y, part.height, shifts.1),
    )
}

/// The samples of a plane that luma samples from `start` on touch, counted from those that `origin` touches, from where
/// `start` is counted.
fn touched(origin: usize, start: usize, length: usize, shift: u32) -> Range<usize> {
    let first = origin >> shift;
    let start = origin + start;
    (start >> shift) - first..(start + length).div_ceil(1 << shift) - first
}

/// The columns of blocks that may differ from those of the picture before in any of some rows of a plane.
struct ChangedBlocks {
    /// 64 to a word.
    changed: Vec<u64>,
    /// Where the picture region begins, in samples.
    x: usize,
}

impl ChangedBlocks {
    fn new(unchanged: &theora::UnchangedBlocks<'_>, rows: Range<usize>) -> Self {
        let mut changed = vec![0; unchanged.columns.div_ceil(64)];
        for row in blocks(unchanged.y, rows).filter_map(|row| unchanged.row(row)) {
            changed.iter_mut().zip(row).for_each(|(changed, unchanged)| *changed |= !unchanged);
        }
        Self { changed, x: unchanged.x }
    }

    /// Whether there are any in these columns of samples.
    fn any(&self, columns: Range<usize>) -> bool {
        blocks(self.x, columns).any(|column| self.changed[column / 64] >> (column % 64) & 1 == 1)
    }
}

/// The blocks that a range of samples touches.
fn blocks(offset: usize, samples: Range<usize>) -> Range<usize> {
    (offset + samples.start) / 8..(offset + samples.end).div_ceil(8)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ogg::{Codec, Demuxer, HeaderCollector};
    use std::num::NonZeroUsize;
    use std::sync::mpsc::channel;

    #[test]
    fn what_was_dropped_is_shown_if_it_stands() {
        let at = Time::from_milliseconds;
        let frame = |luma: u8| {
            let mut frame = Frame::new(PixelFormat::Yuv420, 2, 2);
            frame.planes[0].data_mut().fill(luma);
            frame
        };
        let luma = |frame: Option<Frame>| frame.map(|frame| frame.planes[0].data()[0]);
        let mut limit = Limit::new("2".parse().unwrap());
        let mut shown = [(1, 0), (2, 40), (3, 80)].map(|(n, time)| luma(limit.show(frame(n), at(time))));
        assert_eq!(shown, [Some(1), None, None]);
        shown = [480, 500, 520].map(|time| luma(limit.show_dropped(at(time))));
        assert_eq!((shown, limit.next_due()), ([None, Some(3), None], at(1000)));
        // Nothing is due if nothing was dropped, and that does not use up the point.
        assert_eq!(luma(limit.show_dropped(at(1000))), None);
        assert_eq!(luma(limit.show(frame(4), at(1010))), Some(4));
        // Pictures at 60 Hz that are shown.
        let shown = |rate: &str| -> Vec<i64> {
            let mut limit = Limit::new(rate.parse().unwrap());
            (0..600).filter(|&n| limit.is_due(Time::from_units(n, 60, 1))).collect()
        };
        assert_eq!(shown("25").len(), 250);
        assert_eq!(shown("25")[..6], [0, 3, 5, 8, 10, 12]);
        for (rate, every) in [("60", 1), ("30", 2), ("20", 3), ("7.5", 8)] {
            assert_eq!(shown(rate), (0..600).step_by(every).collect::<Vec<_>>());
        }
    }

    /// Copies what fits from one picture to another, from even coordinates to even coordinates.
    fn copy(source: &FrameView<'_>, from: (usize, usize), target: &mut Frame, to: (usize, usize)) {
        for pli in 0..3 {
            let shift = usize::from(pli != 0);
            let (from, to) = ((from.0 >> shift, from.1 >> shift), (to.0 >> shift, to.1 >> shift));
            let (plane, target) = (&source.planes[pli], &mut target.planes[pli]);
            let (width, height) = (
                (plane.width - from.0).min(target.width() - to.0),
                (plane.height - from.1).min(target.height() - to.1),
            );
            let stride = target.width();
            for row in 0..height {
                target.data_mut()[(to.1 + row) * stride + to.0..][..width]
                    .copy_from_slice(&plane.row(from.1 + row)[from.0..from.0 + width]);
            }
        }
    }

    /// Scaling what has changed gives the pictures that scaling everything gives, in the place that they are to have.
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
        let whole = Rectangle { x: 0, y: 0, width: 320, height: 240 };
        let cropped = Rectangle { x: 40, width: 240, ..whole };
        for (size, fit, source, target) in [
            ("160x120", Fit::Stretch, whole, (0, 0, 160, 120)),
            ("320x240", Fit::Stretch, whole, (0, 0, 320, 240)),
            ("200x333", Fit::Stretch, whole, (0, 0, 200, 333)),
            ("161x161", Fit::Pad, whole, (0, 20, 161, 120)),
            ("50x30", Fit::Pad, whole, (4, 0, 40, 30)),
            ("160x160", Fit::Crop, cropped, (0, 0, 160, 160)),
        ] {
            let (sender, receiver) = channel();
            let (_used, free) = channel();
            let options = Options { size: Some(size.parse().unwrap()), fit, ..Options::default() };
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
            let (x, y, width, height) = target;
            let region = Region {
                format: PixelFormat::Yuv420,
                x: 0,
                y: 0,
                width: source.width,
                height: source.height,
            };
            let scaler = Scaler::new(&region, width, height);
            let mut standing = 0;
            for data in &packets {
                let decoded = decoder.decode(data.clone()).or_else(|| decoder.finish()).unwrap();
                match receiver.recv().unwrap() {
                    Picture::New { frame, .. } => {
                        let mut shown = Frame::new(PixelFormat::Yuv420, source.width, source.height);
                        copy(&decoded.picture(), (source.x, source.y), &mut shown, (0, 0));
                        let mut expected = Frame::new(PixelFormat::Yuv420, width, height);
                        scaler.scale(&shown.view(), &mut expected);
                        let inner = expected.clone();
                        expected = frame.clone();
                        expected.planes[0].data_mut().fill(16);
                        expected.planes[1].data_mut().fill(128);
                        expected.planes[2].data_mut().fill(128);
                        copy(&inner.view(), (0, 0), &mut expected, (x, y));
                        assert!(frame == expected, "{size} {fit:?}");
                        let stands = |row: &usize| {
                            let rows = source.y + row..source.y + row + 1;
                            let changed = ChangedBlocks::new(&decoded.unchanged(0), rows);
                            !changed.any(source.x..source.x + source.width)
                        };
                        standing += (0..source.height).filter(stands).count();
                    }
                    _ => assert!(matches!(decoded.kind(), Ok(theora::FrameKind::Repeat))),
                }
            }
            assert!(standing > source.height, "the file has rows that stand: {standing}");
        }
    }
}
