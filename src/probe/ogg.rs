//! Ogg: streams by their header packets, times by granule positions.

use std::io::{self, Read};

use oggflv_theora as theora;

use super::lengths::Lengths;
use super::{Audio, Comment, Findings, Format, Kind, MAX_COMMENT_BYTES, Ogg, Probe, Stream, Video, bitrate};
use crate::ogg::{Codec, Damage, Demuxer, Packet};
use crate::opus;
use crate::time::Time;
use crate::vorbis::{self, Comments};

/// A leap of more than this is taken for an error of the granule positions, as in a conversion.
const LONGEST_LEAP: Time = Time::from_seconds(3600);

/// Reads all of `input`; `None` if there is no Ogg page in it.
pub(super) fn probe(input: impl Read) -> io::Result<Option<Probe>> {
    let mut demuxer = Demuxer::new(input).with_all_codecs();
    let mut tracks: Vec<Track> = Vec::new();
    let mut comment_bytes = MAX_COMMENT_BYTES;
    while let Some(packet) = demuxer.next_packet()? {
        add_tracks(&mut tracks, &demuxer);
        tracks[packet.stream].take(&packet, &mut comment_bytes);
    }
    add_tracks(&mut tracks, &demuxer);
    if demuxer.pages() == 0 {
        return Ok(None);
    }
    let mut findings = Findings::default();
    note_damage(demuxer.damage(), &mut findings);
    let streams_without_eos = (0..tracks.len()).filter(|&stream| !demuxer.has_ended(stream)).count() as u64;
    if streams_without_eos > 0 {
        findings.error(None, format!("streams without a last page (EOS): {streams_without_eos}"));
    }
    for (number, track) in (1..).zip(&tracks) {
        if let Some(problem) = track.problem() {
            findings.error(None, format!("stream {number}: {problem}"));
        }
    }
    let bytes = demuxer.bytes_read();
    let duration = duration(&tracks);
    let links = demuxer.streams().last().map_or(0, |stream| stream.link + 1);
    Ok(Some(Probe {
        format: Format::Ogg,
        bytes,
        duration,
        bitrate: bitrate(bytes, duration),
        streams: tracks.into_iter().map(Track::finish).collect(),
        comments: Vec::new(),
        ogg: Some(Ogg { links, pages: demuxer.pages(), damage: *demuxer.damage(), streams_without_eos }),
        flv: None,
        findings,
    }))
}

/// Makes tracks of the streams that are new.
fn add_tracks<R: Read>(tracks: &mut Vec<Track>, demuxer: &Demuxer<R>) {
    for stream in &demuxer.streams()[tracks.len()..] {
        let kind = kind(stream.codec);
        let link = stream.link + 1;
        let before = tracks.iter().rev().take_while(|track| track.stream.link == link);
        let number = 1 + before.filter(|track| track.stream.kind == kind).count();
        let mut track = Track::new(kind, stream.codec);
        track.stream.number = number;
        track.stream.link = link;
        track.stream.serial = Some(stream.serial);
        tracks.push(track);
    }
}

fn kind(codec: Codec) -> Kind {
    match codec {
        codec if codec.is_video() => Kind::Video,
        codec if codec.is_audio() => Kind::Audio,
        _ => Kind::Other,
    }
}

fn note_damage(damage: &Damage, findings: &mut Findings) {
    let kinds = [
        (damage.bytes_outside_pages, "bytes outside pages"),
        (damage.pages_with_bad_crc, "pages with a wrong checksum"),
        (damage.page_gaps, "gaps in page numbers"),
        (damage.doubled_pages, "doubled pages"),
        (damage.incomplete_packets, "packets of which a part is missing"),
        (damage.packets_over_limit, "packets passed over since they are too large"),
        (damage.pages_without_bos, "pages of streams without a first page (BOS)"),
        (damage.streams_over_limit, "streams passed over since there are too many"),
    ];
    for (count, kind) in kinds.into_iter().filter(|&(count, _)| count > 0) {
        findings.error(None, format!("{kind}: {count}"));
    }
    if damage.truncated {
        findings.error(None, "the file is cut off: it ends within a page or a packet");
    }
}

/// The sum of the links' durations, each from where the first of its streams starts to where the last one ends.
fn duration(tracks: &[Track]) -> Time {
    let mut sum = Time::ZERO;
    for link in tracks.chunk_by(|a, b| a.stream.link == b.stream.link) {
        let spans = || link.iter().filter(|track| track.stream.kind != Kind::Other).filter_map(Track::span);
        let start = spans().map(|(start, _)| start).min();
        let end = spans().map(|(_, end)| end).max();
        sum += end.zip(start).map_or(Time::ZERO, |(end, start)| end - start);
    }
    sum
}

/// What is known of a stream so far.
struct Track {
    codec: Codec,
    stream: Stream,
    /// Header packets that came: bit 0 identification, 1 comment, 2 setup.
    headers: u8,
    /// What is wrong with a header.
    header_error: Option<String>,
    theora: Option<theora::Identification>,
    vorbis: Option<vorbis::Format>,
    lengths: Lengths,
    /// Units of the granule position per second, as numerator and denominator; `None` if that is not known.
    units: Option<(u32, u32)>,
    /// Units that granule positions count but that are not heard.
    lead: i64,
    /// Units of packets up to the first granule position.
    counted: i64,
    /// The first unit, once it is known.
    first: Option<i64>,
    /// The unit behind the last one.
    next: i64,
    /// What is taken off granule positions since a leap was not believed.
    surplus: i64,
    key_frames: u64,
    last_key: Option<i64>,
    longest_key_interval: i64,
}

impl Track {
    fn new(kind: Kind, codec: Codec) -> Self {
        Self {
            codec,
            stream: Stream::new(kind, codec.to_string()),
            headers: 0,
            header_error: None,
            theora: None,
            vorbis: None,
            lengths: Lengths::Unknown,
            units: None,
            lead: 0,
            counted: 0,
            first: None,
            next: 0,
            surplus: 0,
            key_frames: 0,
            last_key: None,
            longest_key_interval: 0,
        }
    }

    fn take(&mut self, packet: &Packet, comment_bytes: &mut usize) {
        if self.take_header(&packet.data, comment_bytes) {
            return;
        }
        self.stream.packets += 1;
        self.stream.bytes += packet.data.len() as u64;
        if let Some(identification) = &self.theora {
            let index =
                packet.page_granule_pos.and_then(|granule_pos| identification.frame_index(granule_pos));
            let index = index.map(|index| (index as i64).saturating_sub(packet.after_on_page.into()));
            self.take_frame(index, theora::is_keyframe(&packet.data));
        } else {
            let samples = self.lengths.samples(&packet.data);
            let position = packet.page_granule_pos.filter(|&at| packet.after_on_page == 0 && at >= 0);
            self.take_samples(samples, position);
        }
    }

    /// Takes a picture, the index of which is known or follows from the one before.
    fn take_frame(&mut self, index: Option<i64>, is_key: bool) {
        let index = match (self.first, index) {
            (None, index) => index.unwrap_or(0).max(0),
            (Some(_), Some(index)) => self.believe(index),
            (Some(_), None) => self.next,
        };
        self.first.get_or_insert(index);
        self.next = index.saturating_add(1);
        if is_key {
            self.key_frames += 1;
            let last = self.last_key.replace(index).unwrap_or(index);
            self.longest_key_interval = self.longest_key_interval.max(index - last);
        }
    }

    /// Takes as many samples, which end at this granule position if it is known.
    fn take_samples(&mut self, samples: i64, position: Option<i64>) {
        self.counted = self.counted.saturating_add(samples);
        match (self.first, position.map(|position| position.saturating_sub(self.lead))) {
            (None, Some(position)) => {
                // Where the first position is less than what is there, the surplus at the start is not heard.
                self.first = Some(position.saturating_sub(self.counted.saturating_sub(self.lead)).max(0));
                self.next = position.max(0);
            }
            (Some(_), Some(position)) => self.next = self.believe(position),
            (_, None) => {}
        }
    }

    /// A position as it is, unless it goes back or leaps.
    fn believe(&mut self, position: i64) -> i64 {
        let believed = position.saturating_sub(self.surplus);
        if self
            .time(believed)
            .zip(self.time(self.next))
            .is_some_and(|(time, next)| time - next > LONGEST_LEAP)
        {
            self.surplus = position.saturating_sub(self.next);
            return self.next;
        }
        believed.max(self.next)
    }

    fn time(&self, position: i64) -> Option<Time> {
        self.units.map(|(numerator, denominator)| Time::from_units(position, numerator, denominator))
    }

    /// When it starts and ends.
    fn span(&self) -> Option<(Time, Time)> {
        Some((self.time(self.first?)?, self.time(self.next)?))
    }

    /// Takes a packet if it is a header.
    fn take_header(&mut self, packet: &[u8], comment_bytes: &mut usize) -> bool {
        if self.headers & 1 == 0 {
            self.headers |= 1;
            self.header_error = self.identify(packet).err();
            return true;
        }
        let comment = match self.codec {
            Codec::Theora if theora::is_header(packet) => {
                self.headers |= 1 << (packet[0] & 7);
                (packet[0] == 0x81).then(|| packet.get(7..)).flatten()
            }
            Codec::Vorbis if packet.first().is_some_and(|&first| first & 1 == 1) => {
                self.headers |= 1 << (packet[0] >> 1 & 7);
                if let Some(format) = self.vorbis.filter(|_| packet[0] == 5) {
                    match format.durations(packet) {
                        Ok(durations) => self.lengths = Lengths::Vorbis(durations),
                        Err(error) => self.header_error = Some(error.to_string()),
                    }
                }
                packet.strip_prefix(b"\x03vorbis")
            }
            Codec::Opus | Codec::Flac if !packet.is_empty() && self.codec.is_header(packet) => {
                let flac_block = packet.first().is_some_and(|&first| first & 0x7f == 4).then_some(4);
                let start = if self.codec == Codec::Opus { Some(8) } else { flac_block };
                start.and_then(|start| packet.get(start..))
            }
            Codec::Speex if self.headers & 2 == 0 => Some(packet),
            _ => return false,
        };
        if let Some(comment) = comment.filter(|_| self.stream.vendor.is_empty()) {
            self.headers |= 2;
            // A list that is cut gives what is whole.
            let kept = comment.len().min(*comment_bytes);
            *comment_bytes -= kept;
            self.take_comments(Comments::parse_list(&comment[..kept]));
        }
        true
    }

    fn take_comments(&mut self, comments: Comments) {
        self.stream.vendor = comments.vendor;
        let comment = |(name, value)| Comment { name, value };
        self.stream.comments = comments.comments.into_iter().map(comment).collect();
    }

    /// Reads the first packet.
    fn identify(&mut self, packet: &[u8]) -> Result<(), String> {
        match self.codec {
            Codec::Theora => {
                let header = theora::Identification::parse(packet).map_err(|error| error.to_string())?;
                self.units = Some(header.frame_rate);
                self.stream.nominal_bitrate = Some(header.nominal_bitrate).filter(|&rate| rate > 0);
                let (numerator, denominator) = header.frame_rate;
                self.stream.video = Some(Video {
                    width: header.picture_width as u32,
                    height: header.picture_height as u32,
                    pixel_format: Some(header.pixel_format),
                    pixel_aspect: Some(header.pixel_aspect)
                        .filter(|&(width, height)| width > 0 && height > 0),
                    nominal_frame_rate: Some(header.frame_rate),
                    frame_rate: Some(f64::from(numerator) / f64::from(denominator)),
                    ..Video::default()
                });
                self.theora = Some(header);
            }
            Codec::Vorbis => {
                let format = vorbis::Format::parse(packet).map_err(|error| error.to_string())?;
                let nominal = u32::try_from(format.nominal_bitrate).ok();
                self.stream.nominal_bitrate = nominal.filter(|&rate| rate > 0);
                self.set_audio(format.sample_rate, format.channels.into(), None);
                self.vorbis = Some(format);
            }
            Codec::Opus => {
                let &[_, _, _, _, _, _, _, _, _, channels, skip0, skip1, ..] = packet else {
                    return Err("the identification header is too short".to_owned());
                };
                self.set_audio(opus::SAMPLE_RATE, channels.into(), None);
                self.lead = u16::from_le_bytes([skip0, skip1]).into();
                self.lengths = Lengths::Opus;
            }
            Codec::Flac => {
                // Streaminfo begins at byte 17; at its byte 10, 20 bits of rate, 3 of channels, 5 of sample size
                // (RFC 9639, sections 8.2 and 10.1).
                let bits = u32_at(packet, 27, u32::from_be_bytes)?;
                self.set_audio(bits >> 12, (bits >> 9 & 7) + 1, Some((bits >> 4 & 31) + 1));
                self.lengths = Lengths::Flac;
            }
            Codec::Speex => {
                // Little-endian words: rate at 36, channels at 48, bit rate at 52, samples of a frame at 56, frames
                // of a packet at 64 (Speex manual, table of the header packet).
                let word = |at| u32_at(packet, at, u32::from_le_bytes);
                let (frame, frames) = (word(56)?, word(64)?);
                self.set_audio(word(36)?, word(48)?, None);
                self.stream.nominal_bitrate = Some(word(52)?).filter(|&rate| rate > 0 && rate < 1 << 31);
                self.lengths = Lengths::Fixed(i64::from(frame) * i64::from(frames.min(10)));
            }
            _ => {}
        }
        Ok(())
    }

    fn set_audio(&mut self, sample_rate: u32, channels: u32, bits_per_sample: Option<u32>) {
        self.units = Some((sample_rate, 1)).filter(|_| sample_rate > 0);
        self.stream.audio = Some(Audio { sample_rate, channels, bits_per_sample });
    }

    /// What is wrong with its headers.
    fn problem(&self) -> Option<String> {
        let all = if matches!(self.codec, Codec::Theora | Codec::Vorbis) { 7 } else { 0 };
        let missing = all & !self.headers;
        let name = ["identification", "comment", "setup"][missing.trailing_zeros().min(2) as usize];
        let missing = (missing != 0).then(|| format!("{name} header is missing"));
        Some(format!("{}: {}", self.codec, self.header_error.clone().or(missing)?))
    }

    fn finish(mut self) -> Stream {
        let span = self.span();
        let key_interval = self.last_key.map(|last| self.longest_key_interval.max(self.next - last));
        let longest_key_interval = key_interval.and_then(|interval| self.time(interval));
        let stream = &mut self.stream;
        if let Some((start, end)) = span {
            stream.start = Some(start);
            stream.duration = Some(end - start);
            stream.bitrate = bitrate(stream.bytes, end - start);
        }
        if let Some(video) = &mut stream.video {
            video.frames = stream.packets;
            video.key_frames = Some(self.key_frames);
            video.longest_key_interval = longest_key_interval;
        }
        self.stream
    }
}

fn u32_at(packet: &[u8], at: usize, convert: fn([u8; 4]) -> u32) -> Result<u32, String> {
    let field = packet.get(at..).and_then(<[u8]>::first_chunk);
    field.map(|&field| convert(field)).ok_or_else(|| "the identification header is too short".to_owned())
}
