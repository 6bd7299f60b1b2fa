//! The first stage: finds the streams to convert and puts every packet on the output's timeline.

use std::error::Error;
use std::io::{self, Read};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::mpsc::SyncSender;

use oggflv_theora as theora;

use super::counters::Counters;
use super::damage::Loss;
use super::decode::VideoInput;
use super::queue::jitter;
use super::sound::{AudioInput, SoundDecoder, decode_after};
use super::{Input, Stop};
use crate::comments;
use crate::error::InputError;
use crate::ogg::{Codec, Damage, Demuxer, HeaderCollector, Headers, Packet, Stream, StreamEnd};
use crate::options::Options;
use crate::time::Time;
use crate::vorbis::{self, Timeline};
use crate::{flac, opus};

/// A leap of more than this, of pictures or of sound, is taken for an error of the granule positions.
const LONGEST_LEAP: Time = Time::from_seconds(3600);
/// A frame rate at which pictures stand longer than this is taken for an error of the header.
const SLOWEST_PICTURE: Time = Time::from_seconds(600);
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
/// A stream of which nothing comes while the other one goes on for this long, and this many bytes of it come, pauses:
/// it holds the other one back no longer. What still comes of that time is left out.
const PAUSE: (Time, usize) = (Time::from_seconds(10), 8 << 20);
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
        options,
        counters: &counters,
        video: Edge::new(video),
        audio: Edge::new(audio),
        streams: Vec::new(),
        link: Link::new(0),
        base: Time::ZERO - options.start,
        video_end: Time::ZERO,
        notes: Vec::new(),
    };
    if !options.video {
        source.video.end(VideoInput::End { time: Time::ZERO })?;
    }
    if !options.audio {
        source.audio.end(AudioInput::End { time: Time::ZERO })?;
    }
    while !source.is_past_end() {
        let Some(packet) = demuxer.next_packet().map_err(|error| Stop::Input(error.into()))? else { break };
        let stream = packet.stream;
        source.streams.extend_from_slice(&demuxer.streams()[source.streams.len()..]);
        let comments = source.is_before_start().then(|| comments::of_header(&packet.data)).flatten();
        if !source.take(packet)? {
            demuxer.ignore(stream);
        } else if let Some(comments) = comments {
            source.counters.add_comments(comments, source.streams[stream].codec.is_video());
        }
    }
    source.finish_link()?;
    source.streams.extend_from_slice(&demuxer.streams()[source.streams.len()..]);
    if demuxer.pages() == 0 {
        return Err(Stop::Input(InputError::NotOgg));
    }
    source.check_found()?;
    source.note_damage(demuxer.damage());
    source.note_streams();
    if options.start > Time::ZERO && source.base <= Time::ZERO {
        return Err(Stop::Input(InputError::StartsBehindEnd { end: source.base + options.start }));
    }
    let end = source.video_end.min(options.longest()).max(Time::ZERO);
    source.video.end(VideoInput::End { time: end })?;
    source.audio.end(AudioInput::End { time: end })?;
    Ok(source.notes)
}

/// The way to a decoder.
struct Edge<'a, T> {
    /// Gone once the end was sent.
    sender: Option<&'a SyncSender<T>>,
    /// Up to when the stage knows that nothing comes.
    idle_until: Time,
    /// Bytes that came of the other stream since the last packet of this one.
    missed_bytes: usize,
}

impl<'a, T> Edge<'a, T> {
    fn new(sender: &'a SyncSender<T>) -> Self {
        Self { sender: Some(sender), idle_until: Time::ZERO, missed_bytes: 0 }
    }

    fn send(&self, message: T) -> Result<(), Stop> {
        jitter();
        self.sender.map_or(Ok(()), |sender| Ok(sender.send(message)?))
    }

    /// Sends the last message, unless it was sent before.
    fn end(&mut self, message: T) -> Result<(), Stop> {
        self.sender.take().map_or(Ok(()), |sender| Ok(sender.send(message)?))
    }

    /// Whether it is time to tell the stage that nothing comes before `time`, where the other stream has come to;
    /// `end` is where this one has come to, `None` if nothing is to come of it.
    fn is_idle(&mut self, end: Option<Time>, time: Time) -> bool {
        let pauses = |end| self.missed_bytes > PAUSE.1 && time - end > PAUSE.0;
        let due = self.sender.is_some() && end.is_none_or(pauses) && time - self.idle_until >= IDLE_INTERVAL;
        if due {
            self.idle_until = time;
        }
        due
    }
}

/// The stage's state.
struct Source<'a> {
    ends: Vec<StreamEnd>,
    options: &'a Options,
    counters: &'a Counters,
    video: Edge<'a, VideoInput>,
    audio: Edge<'a, AudioInput>,
    /// All streams so far.
    streams: Vec<Stream>,
    link: Link,
    /// Where the current link of the chain begins on the output's timeline.
    base: Time,
    /// Where the pictures end on the output's timeline, so far.
    video_end: Time,
    /// What the user should know.
    notes: Vec<String>,
}

impl Source<'_> {
    /// Takes a packet; tells whether its stream is wanted.
    fn take(&mut self, packet: Packet) -> Result<bool, Stop> {
        let Stream { link, codec, .. } = self.streams[packet.stream];
        if link != self.link.number {
            self.finish_link()?;
            self.link = Link::new(link);
        }
        if codec == Codec::Theora && self.options.video {
            let taken = self.take_video(packet);
            self.or_without(taken, |link| link.video = None)
        } else if codec.is_audio() && self.options.audio {
            let taken = self.take_audio(packet, codec);
            self.or_without(taken, |link| link.audio = None)
        } else {
            Ok(false)
        }
    }

    /// Once there is a link to convert, a stream of a later one whose headers are wrong is left out.
    fn or_without(
        &mut self,
        taken: Result<bool, Stop>,
        leave_out: impl FnOnce(&mut Link),
    ) -> Result<bool, Stop> {
        match taken {
            Err(Stop::Input(problem @ (InputError::Headers { .. } | InputError::HeadersMissing { .. })))
                if self.link.number > 0 =>
            {
                let problem = match problem {
                    InputError::Headers { problem, .. } => problem.to_string(),
                    InputError::HeadersMissing { codec } => format!("{codec} stream without all headers"),
                    other => other.to_string(),
                };
                let part = self.link.number + 1;
                self.counters.damage.note(format!("a stream of part {part} is left out: {problem}"));
                leave_out(&mut self.link);
                Ok(false)
            }
            other => other,
        }
    }

    /// Whether a stream is the one of its kind in its link that is to be converted, if there is none yet.
    fn is_chosen(&self, stream: usize, kind: impl Fn(Codec) -> bool, choice: Option<NonZeroUsize>) -> bool {
        let link = self.streams[stream].link;
        let before = self.streams[..stream].iter().rev().take_while(|stream| stream.link == link);
        choice.is_none_or(|number| number.get() == 1 + before.filter(|stream| kind(stream.codec)).count())
    }

    /// Whether all that comes lies behind the end of what is wanted.
    fn is_past_end(&self) -> bool {
        let end = self.options.longest();
        let video = self.link.video.as_ref().is_none_or(|track| track.end() >= Some(end));
        let audio =
            self.link.audio.as_ref().is_none_or(|track| track.page_is_done && track.end() >= Some(end));
        self.options.end < Time::MAX && self.link.preroll.is_none() && video && audio
    }

    /// Whether nothing has been decoded yet.
    fn is_before_start(&self) -> bool {
        self.link.number == 0 && self.link.preroll.is_some()
    }

    /// Takes a packet of a Theora stream; tells whether the stream is wanted.
    fn take_video(&mut self, packet: Packet) -> Result<bool, Stop> {
        if self.link.video.is_none() {
            if !self.is_chosen(packet.stream, Codec::is_video, self.options.video_stream) {
                return Ok(false);
            }
            self.link.video = Some(VideoTrack::new(packet.stream)?);
        }
        let Some(track) = &mut self.link.video else { return Ok(false) };
        if track.stream != packet.stream {
            return Ok(false);
        }
        if let Some(headers) = &mut track.headers {
            if let Some(headers) =
                headers.push(packet).map_err(|problem| headers_error(Codec::Theora, problem))?
            {
                track.start_decoder(&headers, self.options)?;
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

    /// Takes a packet of a sound stream; tells whether the stream is wanted.
    fn take_audio(&mut self, mut packet: Packet, codec: Codec) -> Result<bool, Stop> {
        if self.link.audio.is_none() {
            if !self.is_chosen(packet.stream, Codec::is_audio, self.options.audio_stream) {
                return Ok(false);
            }
            self.link.audio = Some(AudioTrack::new(packet.stream, codec));
        }
        let Some(track) = &mut self.link.audio else { return Ok(false) };
        if track.stream != packet.stream {
            return Ok(false);
        }
        if !track.has_headers {
            if track.take_header(packet)? {
                self.hand_over()?;
            }
            return Ok(true);
        }
        if codec.is_header(&packet.data) {
            return Ok(true);
        }
        // Positions count the lead, too.
        packet.page_granule_pos =
            packet.page_granule_pos.map(|granule_pos| granule_pos.saturating_sub(track.lead as i64));
        if self.link.preroll.is_some() {
            track.find_start(&packet);
            self.hold(packet)?;
        } else {
            self.send_audio(packet)?;
        }
        Ok(true)
    }

    /// The codecs of the current link's streams of a kind.
    fn kinds(&self, kind: impl Fn(Codec) -> bool) -> Vec<Codec> {
        let streams = self.streams.iter().rev().take_while(|stream| stream.link >= self.link.number);
        let of_link = streams.filter(|stream| stream.link == self.link.number && kind(stream.codec));
        let mut codecs: Vec<Codec> = of_link.map(|stream| stream.codec).collect();
        codecs.reverse();
        codecs
    }

    /// Refuses a choice that cannot be followed, now that all streams of the link are known.
    fn check_choice(&self) -> Result<(), Stop> {
        let (video, audio) = (self.kinds(Codec::is_video), self.kinds(Codec::is_audio));
        for (kind, wanted, number, codecs) in [
            ("video", self.options.video, self.options.video_stream, &video),
            ("audio", self.options.audio, self.options.audio_stream, &audio),
        ] {
            let Some(number) = number.filter(|_| wanted).map(NonZeroUsize::get) else { continue };
            match codecs.get(number - 1) {
                Some(&codec) if !codec.is_decoded() => {
                    return Err(Stop::Input(InputError::Undecodable { codec }));
                }
                None if self.link.number == 0 => {
                    let count = codecs.len();
                    return Err(Stop::Input(InputError::NoSuchStream { kind, number, count }));
                }
                _ => {}
            }
        }
        match audio.first() {
            Some(&codec) if self.options.audio && !audio.iter().any(|codec| codec.is_decoded()) => {
                Err(Stop::Input(InputError::Undecodable { codec }))
            }
            _ => Ok(()),
        }
    }

    /// Refuses an input in which there is nothing to convert.
    fn check_found(&self) -> Result<(), Stop> {
        let wanted = |codec: Codec| {
            codec.is_decoded()
                && (codec.is_video() && self.options.video || codec.is_audio() && self.options.audio)
        };
        if self.streams.iter().any(|stream| wanted(stream.codec)) {
            return Ok(());
        }
        let mut found: Vec<String> = Vec::new();
        for stream in &self.streams {
            let codec = stream.codec.to_string();
            if !found.contains(&codec) {
                found.push(codec);
            }
        }
        let found = if found.is_empty() { "nothing".to_owned() } else { found.join(", ") };
        let wanted = match (self.options.video, self.options.audio) {
            (true, false) => "Theora",
            (false, true) => "Vorbis, Opus or FLAC",
            _ => "Theora, Vorbis, Opus or FLAC",
        };
        Err(Stop::Input(InputError::NoStreams { wanted, found }))
    }

    /// Says which streams were left out.
    fn note_streams(&mut self) {
        let (mut link, mut video, mut audio) = (u32::MAX, 0, 0);
        for &Stream { link: of_link, codec, .. } in &self.streams {
            if of_link != link {
                (link, video, audio) = (of_link, 0, 0);
            }
            video += usize::from(codec.is_video());
            audio += usize::from(codec.is_audio());
            let (kind, wanted, chosen, count) = match codec {
                codec if codec.is_video() => ("video", self.options.video, self.options.video_stream, video),
                codec if codec.is_audio() => ("audio", self.options.audio, self.options.audio_stream, audio),
                _ => ("", true, None, 1),
            };
            let note = if !wanted || codec == Codec::Skeleton {
                continue;
            } else if !codec.is_decoded() {
                format!("the {codec} stream is left out: it cannot be converted")
            } else if count > 1 && chosen.is_none() {
                format!("there is more than one {kind} stream: --{kind}-stream picks another than the first")
            } else {
                continue;
            };
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
    }

    /// Says what of the input did not reach the decoders.
    fn note_damage(&self, damage: &Damage) {
        let kinds = [
            // Where the file is cut off, these are those of the cut page.
            (if damage.truncated { 0 } else { damage.bytes_outside_pages }, "bytes outside pages"),
            (damage.pages_with_bad_crc, "bad checksums"),
            (damage.page_gaps, "gaps in page numbers"),
            (damage.doubled_pages, "doubled pages"),
            (damage.pages_without_bos, "pages of streams without a beginning"),
            (damage.incomplete_packets + damage.packets_over_limit, "lost packets"),
            (damage.streams_over_limit, "streams too many"),
        ];
        let kinds: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{kind}: {count}"))
            .collect();
        if !kinds.is_empty() {
            self.counters.damage.note(format!("the file is damaged ({})", kinds.join(", ")));
        }
        if damage.truncated {
            let end = self.base;
            self.counters
                .damage
                .note(format!("the file is cut off at {end}: it ends within a page or a packet"));
        }
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
        self.check_choice()?;
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
        let granule_pos = |stream: usize| {
            let serial = self.streams[stream].serial;
            self.ends.iter().find(|end| end.serial == serial).map(|end| end.granule_pos)
        };
        let video = self.link.video.as_ref().and_then(|track| track.end_at(granule_pos(track.stream)?));
        let audio = self.link.audio.as_ref().and_then(|track| track.end_at(granule_pos(track.stream)?));
        let end = video.max(audio).map(|end| end.min(self.options.longest()));
        let end = end.map_or(0, |end| end.milliseconds().max(0) as u64);
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
        if let Some(track) = &mut self.link.audio
            && let Some(decoder) = track.decoder.take()
        {
            self.audio.send(AudioInput::Link { decoder, offset: track.offset })?;
        }
        Ok(())
    }

    fn send_video(&mut self, packet: Packet) -> Result<(), Stop> {
        let Some(track) = &mut self.link.video else { return Ok(()) };
        if track.ended {
            return Ok(());
        }
        track.ended = packet.last_on_eos_page;
        let (time, lost) = track.place(&packet);
        if time > Time::FLV_LIMIT {
            return Err(Stop::Input(InputError::TooLong));
        }
        if let Some(lost) = lost {
            self.counters.damage.add(lost);
        }
        self.video.missed_bytes = 0;
        self.audio.missed_bytes += packet.data.len();
        self.video.send(VideoInput::Packet { data: packet.data, time })?;
        let sound = self.link.audio.as_ref().filter(|track| !track.ended);
        if self.audio.is_idle(sound.map(|track| track.end().unwrap_or(self.base)), time) {
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
        track.page_is_done = packet.after_on_page == 0;
        if track.follow(&packet) {
            self.audio.send(AudioInput::Leap)?;
        }
        let time = track.end().unwrap_or_default();
        if time > Time::FLV_LIMIT {
            return Err(Stop::Input(InputError::TooLong));
        }
        self.audio.missed_bytes = 0;
        self.video.missed_bytes += packet.data.len();
        self.audio.send(AudioInput::Packet(packet))?;
        let pictures = self.link.video.as_ref().filter(|track| !track.ended);
        if self.video.is_idle(pictures.map(|track| track.end().unwrap_or(self.base)), time) {
            self.video.send(VideoInput::Idle { time })?;
        }
        Ok(())
    }

    /// Sends what is still held; the next link begins where the longer stream of this one ends.
    fn finish_link(&mut self) -> Result<(), Stop> {
        self.begin_link()?;
        if self.link.video.as_ref().is_some_and(|track| track.headers.is_some()) {
            let missing = Err(Stop::Input(InputError::HeadersMissing { codec: Codec::Theora }));
            self.or_without(missing, |link| link.video = None)?;
        }
        if let Some(track) = self.link.audio.as_ref().filter(|track| !track.has_headers) {
            let missing = Err(Stop::Input(InputError::HeadersMissing { codec: track.codec }));
            self.or_without(missing, |link| link.audio = None)?;
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
    fn new(stream: usize) -> Result<Self, Stop> {
        Ok(Self {
            stream,
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

    fn start_decoder(&mut self, headers: &Headers, options: &Options) -> Result<(), Stop> {
        let limits = theora::Limits { max_pixels: options.max_pixels };
        let decoder = (|| {
            let identification = theora::Identification::parse(&headers.identification)?;
            let setup = theora::Setup::parse(&headers.setup)?;
            self.identification = Some(identification.clone());
            let (width, height) = (identification.coded_width, identification.coded_height);
            let threads = options.decoder_threads(identification.pixel_format.samples(width, height));
            theora::ParallelDecoder::new(identification, setup, &limits, threads)
        })();
        let decoder = decoder.map_err(|problem: theora::Error| {
            headers_error(Codec::Theora, format!("Theora stream: {problem}"))
        })?;
        if self.time(1) > SLOWEST_PICTURE {
            let seconds = SLOWEST_PICTURE.seconds();
            let problem = format!("Theora stream: the frame rate is below one picture in {seconds} s");
            return Err(headers_error(Codec::Theora, problem));
        }
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

    /// When the packet's picture appears in the output, and which pictures are missing before it. Pictures follow one
    /// another: an index that goes back, or that leaps, is not believed.
    fn place(&mut self, packet: &Packet) -> (Time, Option<Loss>) {
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
        let next = self.next.replace(index.saturating_add(1)).unwrap_or(index);
        let time = |index| self.time(index) + self.offset;
        let missing = u64::try_from(index - next).unwrap_or(0);
        let lost = packet.lost_before.then(|| Loss::pictures(missing, time(next), time(index)));
        (time(index), lost)
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
    codec: Codec,
    /// Collects the headers of Vorbis until they are complete.
    headers: HeaderCollector,
    has_headers: bool,
    /// There from the last header until the sound stage gets it.
    decoder: Option<Box<dyn SoundDecoder>>,
    sample_rate: u32,
    /// Samples that granule positions count but are not heard.
    lead: usize,
    /// How many of them are still to come, and what finds out where the first sample lies.
    search: Option<(usize, Timeline)>,
    /// Index of the first sample, once it is known.
    first: Option<i64>,
    /// Index of the sample after the last one by the last granule position, once there is one.
    next: Option<i64>,
    /// What is taken off granule positions.
    surplus: i64,
    /// What is added to a time in the stream to get one in the output.
    offset: Time,
    /// Whether all packets came that end on the page of the last one.
    page_is_done: bool,
    /// Whether the last packet came.
    ended: bool,
}

impl AudioTrack {
    fn new(stream: usize, codec: Codec) -> Self {
        Self {
            stream,
            codec,
            headers: HeaderCollector::vorbis(),
            has_headers: false,
            decoder: None,
            sample_rate: 0,
            lead: 0,
            search: None,
            first: None,
            next: None,
            surplus: 0,
            offset: Time::ZERO,
            page_is_done: false,
            ended: false,
        }
    }

    /// Takes a packet before the headers are complete; tells whether they are now.
    fn take_header(&mut self, packet: Packet) -> Result<bool, Stop> {
        let codec = self.codec;
        let problem = |problem: Box<dyn Error + Send + Sync>| headers_error(codec, problem);
        let decoder: Box<dyn SoundDecoder> = match codec {
            Codec::Opus => Box::new(opus::Decoder::new(&packet.data).map_err(|error| problem(error.into()))?),
            Codec::Flac => Box::new(flac::Decoder::new(&packet.data).map_err(|error| problem(error.into()))?),
            _ => match self.headers.push(packet).map_err(|error| problem(error.into()))? {
                None => return Ok(false),
                Some(Headers { identification, comment, setup }) => Box::new(
                    vorbis::Decoder::new(&identification, &comment, &setup)
                        .map_err(|error| problem(error.into()))?,
                ),
            },
        };
        self.sample_rate = decoder.sample_rate();
        self.lead = decoder.lead();
        self.search = Some((self.lead, Timeline::new(decoder.sample_rate(), decoder.channels())));
        self.decoder = Some(decoder);
        self.has_headers = true;
        Ok(true)
    }

    /// Decodes the packets up to the first granule position, only to learn where the sound starts.
    fn find_start(&mut self, packet: &Packet) {
        let (Some(decoder), Some((lead, timeline))) = (&mut self.decoder, &mut self.search) else { return };
        timeline.push(&decode_after(lead, &mut **decoder, &packet.data), packet.into());
        self.first = timeline.start();
        if self.first.is_some() {
            decoder.reset();
            self.search = None;
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
        let sample = granule_pos.saturating_sub(self.lead as i64).saturating_sub(self.surplus);
        (self.sample_rate > 0).then(|| Time::from_units(sample, self.sample_rate, 1) + self.offset)
    }

    /// Where the sound ends in the output, so far.
    fn end(&self) -> Option<Time> {
        self.next.map(|next| Time::from_units(next, self.sample_rate, 1) + self.offset)
    }
}
