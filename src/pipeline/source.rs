//! The first stage: finds the streams to convert and puts every packet on the output's timeline.

use std::error::Error;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use oggflv_theora as theora;

use super::counters::Counters;
use super::decode::VideoInput;
use super::queue::jitter;
use super::sound::AudioInput;
use super::{Input, Stop};
use crate::error::InputError;
use crate::ogg::{Codec, Demuxer, HeaderCollector, Headers, Packet, Stream, StreamEnd};
use crate::options::Options;
use crate::time::Time;
use crate::vorbis::{self, Timeline};

/// A leap of more than this, of pictures or of sound, is taken for an error of the granule positions.
const LONGEST_LEAP: Time = Time::from_seconds(3600);
/// The last picture stands no longer than this, whatever the frame rate.
const LONGEST_PICTURE: Time = Time::from_seconds(60);
/// Sound and pictures whose starts lie farther apart than this are taken to start together.
const LARGEST_START_DIFFERENCE: Time = Time::from_seconds(600);
/// A step of more than this from page to page of sound is a leap: the sound begins anew behind it.
const LONGEST_PAGE: Time = Time::from_seconds(60);
/// A first picture later than this is taken for an error of the granule positions: ten years.
const LATEST_START: Time = Time::from_seconds(10 * 365 * 86_400);
/// How often a stage whose stream pauses is told how far the other one has come.
const IDLE_INTERVAL: Time = Time::from_milliseconds(500);
/// Bytes of packets that may be held until the starts of both streams are known.
const PREROLL_LIMIT: usize = 16 << 20;

struct Counted<R> {
    inner: R,
    counters: Arc<Counters>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.counters.bytes_read.add(count as u64);
        Ok(count)
    }
}

/// Reads all of `input` and sends packets to the decoders.
pub(super) fn run<R: Read>(
    input: Input<R>,
    options: &Options,
    counters: Arc<Counters>,
    video: &SyncSender<VideoInput>,
    audio: &SyncSender<AudioInput>,
) -> Result<Vec<String>, Stop> {
    let mut demuxer = Demuxer::new(Counted { inner: input.reader, counters: counters.clone() });
    let mut source = Source {
        ends: input.ends,
        counters,
        video: Edge::new(video),
        audio: Edge::new(audio),
        link: Link::new(0),
        base: Time::ZERO,
        video_end: Time::ZERO,
        decoder_threads: options.decoder_threads(),
        left_out: Vec::new(),
    };
    while let Some(packet) = demuxer.next_packet().map_err(|error| Stop::Input(error.into()))? {
        let stream = packet.stream;
        let Stream { link: number, serial, codec } = demuxer.streams()[stream];
        if number != source.link.number {
            source.finish_link()?;
            source.link = Link::new(number);
        }
        let taken = match codec {
            Codec::Theora if options.video => source.take_video(packet, serial)?,
            Codec::Vorbis if options.audio => source.take_audio(packet, serial)?,
            _ => false,
        };
        if !taken {
            demuxer.ignore(stream);
        }
    }
    source.finish_link()?;
    let converted = |codec| match codec {
        Codec::Theora => options.video,
        Codec::Vorbis => options.audio,
        _ => false,
    };
    if demuxer.pages() == 0 {
        return Err(Stop::Input(InputError::NotOgg));
    }
    if !demuxer.streams().iter().any(|stream| converted(stream.codec)) {
        let mut found: Vec<String> =
            demuxer.streams().iter().map(|stream| stream.codec.to_string()).collect();
        found.dedup();
        let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
        let wanted = match (options.video, options.audio) {
            (true, false) => "Theora",
            (false, true) => "Vorbis",
            _ => "Theora or Vorbis",
        };
        return Err(Stop::Input(InputError::NoStreams { wanted, found }));
    }
    let end = source.video_end;
    source.video.end(VideoInput::End { time: end })?;
    source.audio.end(AudioInput::End { time: end })?;
    let mut warnings = warnings(&demuxer);
    warnings.extend(source.left_out);
    Ok(warnings)
}

/// What of the input did not reach the decoders.
fn warnings<R: Read>(demuxer: &Demuxer<Counted<R>>) -> Vec<String> {
    let mut warnings = Vec::new();
    for stream in demuxer.streams() {
        if matches!(
            stream.codec,
            Codec::Opus | Codec::Speex | Codec::Flac | Codec::Dirac | Codec::Vp8 | Codec::Daala
        ) {
            warnings.push(format!("the {} stream was left out: it cannot be decoded", stream.codec));
        }
    }
    let damage = demuxer.damage();
    let lost = damage.incomplete_packets + damage.packets_over_limit;
    let kinds = [
        // Where the file is cut off, these are those of the cut page.
        (if damage.truncated { 0 } else { damage.bytes_outside_pages }, "bytes outside pages"),
        (damage.pages_with_bad_crc, "bad checksums"),
        (damage.page_gaps, "gaps in page numbers"),
        (lost, "lost packets"),
    ];
    let kinds: Vec<String> = kinds
        .iter()
        .filter(|(count, _)| *count > 0)
        .map(|(count, kind)| format!("{kind}: {count}"))
        .collect();
    if !kinds.is_empty() {
        warnings.push(format!("the file is damaged ({})", kinds.join(", ")));
    }
    if damage.truncated {
        warnings.push("the file is cut off: it ends within a page or a packet".to_owned());
    }
    warnings
}

/// The way to a decoder.
struct Edge<'a, T> {
    /// Gone once the end was sent.
    sender: Option<&'a SyncSender<T>>,
    /// Up to when the stage knows that nothing comes.
    idle_until: Time,
}

impl<'a, T> Edge<'a, T> {
    fn new(sender: &'a SyncSender<T>) -> Self {
        Self { sender: Some(sender), idle_until: Time::ZERO }
    }

    fn send(&self, message: T) -> Result<(), Stop> {
        jitter();
        self.sender.map_or(Ok(()), |sender| Ok(sender.send(message)?))
    }

    /// Sends the last message, unless it was sent before.
    fn end(&mut self, message: T) -> Result<(), Stop> {
        self.sender.take().map_or(Ok(()), |sender| Ok(sender.send(message)?))
    }

    /// Whether it is time to tell the stage that nothing comes before `time`.
    fn is_idle(&mut self, time: Time) -> bool {
        let due = self.sender.is_some() && time - self.idle_until >= IDLE_INTERVAL;
        if due {
            self.idle_until = time;
        }
        due
    }
}

/// The stage's state.
struct Source<'a> {
    ends: Vec<StreamEnd>,
    counters: Arc<Counters>,
    video: Edge<'a, VideoInput>,
    audio: Edge<'a, AudioInput>,
    link: Link,
    /// Where the current link of the chain begins on the output's timeline.
    base: Time,
    /// Where the pictures end on the output's timeline, so far.
    video_end: Time,
    /// Threads for decoding pictures.
    decoder_threads: NonZeroUsize,
    /// Warnings of streams that came too late.
    left_out: Vec<String>,
}

impl Source<'_> {
    /// Takes a packet of a Theora stream; tells whether the stream is wanted.
    fn take_video(&mut self, packet: Packet, serial: u32) -> Result<bool, Stop> {
        if self.video.sender.is_none() {
            return Ok(self.leave_out("pictures"));
        }
        let track = match &mut self.link.video {
            Some(track) => track,
            none => none.insert(VideoTrack::new(packet.stream, serial)?),
        };
        if track.stream != packet.stream {
            return Ok(false);
        }
        if let Some(headers) = &mut track.headers {
            if let Some(headers) =
                headers.push(packet).map_err(|problem| headers_error(Codec::Theora, problem))?
            {
                track.start_decoder(&headers, self.decoder_threads)?;
                self.hand_over()?;
            }
        } else if !theora::is_header(&packet.data) {
            if self.link.preroll.is_some() {
                track.find_start(&packet);
                self.hold(packet)?;
            } else {
                self.send_video(packet)?;
            }
        }
        Ok(true)
    }

    /// Takes a packet of a Vorbis stream; tells whether the stream is wanted.
    fn take_audio(&mut self, packet: Packet, serial: u32) -> Result<bool, Stop> {
        if self.audio.sender.is_none() {
            return Ok(self.leave_out("sound"));
        }
        let track = match &mut self.link.audio {
            Some(track) => track,
            none => none.insert(AudioTrack::new(packet.stream, serial)?),
        };
        if track.stream != packet.stream {
            return Ok(false);
        }
        if let Some(headers) = &mut track.headers {
            if let Some(headers) =
                headers.push(packet).map_err(|problem| headers_error(Codec::Vorbis, problem))?
            {
                track.start_decoder(&headers)?;
                self.hand_over()?;
            }
        } else if self.link.preroll.is_some() {
            track.find_start(&packet);
            self.hold(packet)?;
        } else {
            self.send_audio(packet)?;
        }
        Ok(true)
    }

    /// Notes that a stream begins when the output can no longer have one of its kind.
    fn leave_out(&mut self, what: &str) -> bool {
        let warning = format!("the {what} of a later part were left out, since the first part has none");
        if !self.left_out.contains(&warning) {
            self.left_out.push(warning);
        }
        false
    }

    /// Keeps a data packet until the starts of all streams are known.
    fn hold(&mut self, packet: Packet) -> Result<(), Stop> {
        let Some(preroll) = &mut self.link.preroll else { return Ok(()) };
        self.link.preroll_bytes += packet.data.len();
        preroll.push(packet);
        let video_known = self.link.video.as_ref().is_none_or(|track| track.first.is_some());
        let audio_known = self.link.audio.as_ref().is_none_or(|track| track.first.is_some());
        if video_known && audio_known || self.link.preroll_bytes > PREROLL_LIMIT {
            self.begin_link()?;
        }
        Ok(())
    }

    /// Fixes where the streams of the link lie on the output's timeline: the earlier one starts at the link's base.
    fn begin_link(&mut self) -> Result<(), Stop> {
        let Some(preroll) = self.link.preroll.take() else { return Ok(()) };
        let video = self.link.video.as_ref().and_then(VideoTrack::start);
        let audio = self.link.audio.as_ref().and_then(AudioTrack::start);
        let (video, audio) = match (video, audio) {
            (Some(video), Some(audio)) => {
                let origin = video.min(audio);
                let together = video.max(audio) - origin <= LARGEST_START_DIFFERENCE;
                if together { (origin, origin) } else { (video, audio) }
            }
            (video, audio) => {
                let origin = video.or(audio).unwrap_or_default();
                (origin, origin)
            }
        };
        if let Some(track) = &mut self.link.video {
            track.offset = self.base - video;
        }
        if let Some(track) = &mut self.link.audio {
            track.offset = self.base - audio;
        }
        self.tell_duration();
        // What the first link does not have the output has not.
        if self.link.number == 0 {
            match (&self.link.video, &self.link.audio) {
                (None, Some(_)) => self.video.end(VideoInput::End { time: Time::ZERO })?,
                (Some(_), None) => self.audio.end(AudioInput::End { time: Time::ZERO })?,
                _ => {}
            }
        }
        self.hand_over()?;
        for packet in preroll {
            if self.link.video.as_ref().is_some_and(|track| track.stream == packet.stream) {
                self.send_video(packet)?;
            } else {
                self.send_audio(packet)?;
            }
        }
        Ok(())
    }

    /// Notes how long the output becomes if this is the last link.
    fn tell_duration(&self) {
        let granule_pos =
            |serial| self.ends.iter().find(|end| end.serial == serial).map(|end| end.granule_pos);
        let video = self.link.video.as_ref().and_then(|track| track.end_at(granule_pos(track.serial)?));
        let audio = self.link.audio.as_ref().and_then(|track| track.end_at(granule_pos(track.serial)?));
        let end = video.max(audio).map_or(0, |end| end.milliseconds().max(0) as u64);
        self.counters.milliseconds.set(end);
    }

    /// Gives the stages their decoders, once the link has begun and the headers are there.
    fn hand_over(&mut self) -> Result<(), Stop> {
        if self.link.preroll.is_some() {
            return Ok(());
        }
        if let Some(decoder) = self.link.video.as_mut().and_then(|track| track.decoder.take()) {
            self.video.send(VideoInput::Link(decoder))?;
        }
        if let Some(track) = &mut self.link.audio {
            if let Some(decoder) = track.decoder.take() {
                self.audio.send(AudioInput::Link { decoder, offset: track.offset })?;
            }
        }
        Ok(())
    }

    fn send_video(&mut self, packet: Packet) -> Result<(), Stop> {
        let Some(track) = &mut self.link.video else { return Ok(()) };
        if track.ended {
            return Ok(());
        }
        track.ended = packet.last_on_eos_page;
        let time = track.place(&packet);
        if time > Time::FLV_LIMIT {
            return Err(Stop::Input(InputError::TooLong));
        }
        self.video.send(VideoInput::Packet { data: packet.data, time })?;
        if self.link.audio.as_ref().is_none_or(|track| track.ended) && self.audio.is_idle(time) {
            self.audio.send(AudioInput::Idle { time })?;
        }
        Ok(())
    }

    fn send_audio(&mut self, packet: Packet) -> Result<(), Stop> {
        let Some(track) = &mut self.link.audio else { return Ok(()) };
        if track.ended {
            return Ok(());
        }
        track.ended = packet.last_on_eos_page;
        if track.follow(&packet) {
            self.audio.send(AudioInput::Leap)?;
        }
        let time = track.end().unwrap_or_default();
        if time > Time::FLV_LIMIT {
            return Err(Stop::Input(InputError::TooLong));
        }
        self.audio.send(AudioInput::Packet(packet))?;
        if self.link.video.as_ref().is_none_or(|track| track.ended) && self.video.is_idle(time) {
            self.video.send(VideoInput::Idle { time })?;
        }
        Ok(())
    }

    /// Sends what is still held; the next link begins where the longer stream of this one ends.
    fn finish_link(&mut self) -> Result<(), Stop> {
        self.begin_link()?;
        let video_headers = self.link.video.as_ref().and_then(|track| track.headers.as_ref());
        let audio_headers = self.link.audio.as_ref().and_then(|track| track.headers.as_ref());
        for (codec, unfinished) in [(Codec::Theora, video_headers), (Codec::Vorbis, audio_headers)] {
            if unfinished.is_some() {
                return Err(Stop::Input(InputError::HeadersMissing { codec }));
            }
        }
        if let Some(end) = self.link.video.as_ref().and_then(VideoTrack::end) {
            self.video_end = end;
            self.base = self.base.max(end);
        }
        if let Some(end) = self.link.audio.as_ref().and_then(AudioTrack::end) {
            self.base = self.base.max(end);
        }
        Ok(())
    }
}

fn headers_error(codec: Codec, problem: impl Into<Box<dyn Error + Send + Sync>>) -> Stop {
    Stop::Input(InputError::Headers { codec, problem: problem.into() })
}

/// One link of the chain.
struct Link {
    number: u32,
    video: Option<VideoTrack>,
    audio: Option<AudioTrack>,
    /// Data packets that wait until it is known when the streams start; `None` once it is.
    preroll: Option<Vec<Packet>>,
    preroll_bytes: usize,
}

impl Link {
    fn new(number: u32) -> Self {
        Self { number, video: None, audio: None, preroll: Some(Vec::new()), preroll_bytes: 0 }
    }
}

/// The pictures of one link.
struct VideoTrack {
    stream: usize,
    serial: u32,
    /// Collects the headers until they are complete.
    headers: Option<HeaderCollector>,
    /// There from the last header until the decode stage gets it.
    decoder: Option<Box<theora::ParallelDecoder>>,
    identification: Option<theora::Identification>,
    /// Index of the first picture, once it is known.
    first: Option<i64>,
    /// Index of the picture after the last one, once there is one.
    next: Option<i64>,
    /// What is taken off the indices that granule positions tell.
    surplus: i64,
    /// What is added to a time in the stream to get one in the output.
    offset: Time,
    /// Whether the last packet came.
    ended: bool,
}

impl VideoTrack {
    fn new(stream: usize, serial: u32) -> Result<Self, Stop> {
        Ok(Self {
            stream,
            serial,
            headers: Some(
                HeaderCollector::new(Codec::Theora)
                    .map_err(|problem| headers_error(Codec::Theora, problem))?,
            ),
            decoder: None,
            identification: None,
            first: None,
            next: None,
            surplus: 0,
            offset: Time::ZERO,
            ended: false,
        })
    }

    fn start_decoder(&mut self, headers: &Headers, threads: NonZeroUsize) -> Result<(), Stop> {
        let decoder = (|| {
            let identification = theora::Identification::parse(&headers.identification)?;
            let setup = theora::Setup::parse(&headers.setup)?;
            self.identification = Some(identification.clone());
            theora::ParallelDecoder::new(identification, setup, &theora::Limits::default(), threads)
        })();
        let decoder = decoder.map_err(|problem: theora::Error| {
            headers_error(Codec::Theora, format!("Theora stream: {problem}"))
        })?;
        self.decoder = Some(Box::new(decoder));
        self.headers = None;
        Ok(())
    }

    /// The index of the packet's picture by the granule position of its page, else by counting.
    fn index_of(&self, packet: &Packet) -> i64 {
        let identification = self.identification.as_ref();
        let last_on_page =
            packet.page_granule_pos.and_then(|granule_pos| identification?.frame_index(granule_pos));
        match last_on_page {
            Some(index) => (index as i64).saturating_sub(packet.after_on_page.into()),
            None => self.next.unwrap_or(0),
        }
    }

    /// Learns from the first data packet where the pictures start.
    fn find_start(&mut self, packet: &Packet) {
        if self.first.is_none() {
            let index = self.index_of(packet).max(0);
            if self.time(index) > LATEST_START {
                self.surplus = index;
            }
            self.first = Some(index - self.surplus);
        }
    }

    /// When the packet's picture appears in the output. Pictures follow one another: an index that goes back, or
    /// that leaps, is not believed.
    fn place(&mut self, packet: &Packet) -> Time {
        let index = self.index_of(packet).saturating_sub(self.surplus);
        let index = match self.next {
            Some(next) if index < next => next,
            Some(next) if self.time(index) - self.time(next) > LONGEST_LEAP => {
                self.surplus += index - next;
                next
            }
            Some(_) => index,
            None => index.max(0),
        };
        self.next = Some(index.saturating_add(1));
        self.time(index) + self.offset
    }

    /// Start of picture `index` in the stream.
    fn time(&self, index: i64) -> Time {
        let Some(identification) = &self.identification else { return Time::ZERO };
        let (numerator, denominator) = identification.frame_rate;
        Time::from_units(index, numerator, denominator)
    }

    fn start(&self) -> Option<Time> {
        self.first.map(|index| self.time(index))
    }

    /// Where the pictures end in the output if the last one has `granule_pos`.
    fn end_at(&self, granule_pos: i64) -> Option<Time> {
        let index = self.identification.as_ref()?.frame_index(granule_pos)? as i64;
        Some(self.time(index.saturating_sub(self.surplus).saturating_add(1)) + self.offset)
    }

    /// Where the last picture ends in the output.
    fn end(&self) -> Option<Time> {
        let last = self.time(self.next?.saturating_sub(1));
        let duration = (self.time(self.next?) - last).min(LONGEST_PICTURE);
        Some(last + duration + self.offset)
    }
}

/// The sound of one link.
struct AudioTrack {
    stream: usize,
    serial: u32,
    /// Collects the headers until they are complete.
    headers: Option<HeaderCollector>,
    /// There from the last header until the sound stage gets it.
    decoder: Option<Box<vorbis::Decoder>>,
    sample_rate: u32,
    /// Finds out where the first sample lies.
    timeline: Option<Timeline>,
    /// Index of the first sample, once it is known.
    first: Option<i64>,
    /// Index of the sample after the last one by the last granule position, once there is one.
    next: Option<i64>,
    /// What is taken off granule positions.
    surplus: i64,
    /// What is added to a time in the stream to get one in the output.
    offset: Time,
    /// Whether the last packet came.
    ended: bool,
}

impl AudioTrack {
    fn new(stream: usize, serial: u32) -> Result<Self, Stop> {
        Ok(Self {
            stream,
            serial,
            headers: Some(
                HeaderCollector::new(Codec::Vorbis)
                    .map_err(|problem| headers_error(Codec::Vorbis, problem))?,
            ),
            decoder: None,
            sample_rate: 0,
            timeline: None,
            first: None,
            next: None,
            surplus: 0,
            offset: Time::ZERO,
            ended: false,
        })
    }

    fn start_decoder(&mut self, headers: &Headers) -> Result<(), Stop> {
        let decoder = vorbis::Decoder::new(&headers.identification, &headers.comment, &headers.setup)
            .map_err(|problem| headers_error(Codec::Vorbis, problem))?;
        self.sample_rate = decoder.sample_rate();
        self.timeline = Some(Timeline::new(decoder.sample_rate(), decoder.channels()));
        self.decoder = Some(Box::new(decoder));
        self.headers = None;
        Ok(())
    }

    /// Decodes the packets up to the first granule position, only to learn where the sound starts.
    fn find_start(&mut self, packet: &Packet) {
        let (Some(decoder), Some(timeline)) = (&mut self.decoder, &mut self.timeline) else { return };
        timeline.push(&decoder.decode(&packet.data).unwrap_or_default(), packet.into());
        self.first = timeline.start();
        if self.first.is_some() {
            decoder.reset();
            self.timeline = None;
        }
    }

    fn start(&self) -> Option<Time> {
        self.first.map(|first| Time::from_units(first, self.sample_rate, 1))
    }

    /// Notes how far the sound goes by the granule position of a page; tells whether it leaps there. Too wide a leap is
    /// not believed.
    fn follow(&mut self, packet: &Packet) -> bool {
        let Some(granule_pos) = packet.page_granule_pos.filter(|&granule_pos| granule_pos >= 0) else {
            return false;
        };
        let index = granule_pos.saturating_sub(self.surplus);
        let time = |index| Time::from_units(index, self.sample_rate, 1);
        let next = self.next.unwrap_or(index);
        let step = time(index) - time(next);
        if step > LONGEST_LEAP {
            self.surplus += index - next;
            self.next = Some(next);
            return false;
        }
        self.next = Some(next.max(index));
        step > LONGEST_PAGE
    }

    /// Where the sound ends in the output if its last page has `granule_pos`.
    fn end_at(&self, granule_pos: i64) -> Option<Time> {
        let sample = granule_pos.saturating_sub(self.surplus);
        (self.sample_rate > 0).then(|| Time::from_units(sample, self.sample_rate, 1) + self.offset)
    }

    /// Where the sound ends in the output, so far.
    fn end(&self) -> Option<Time> {
        self.next.map(|next| Time::from_units(next, self.sample_rate, 1) + self.offset)
    }
}
