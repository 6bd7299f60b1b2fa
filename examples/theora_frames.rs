//! What the decoder makes of every Theora data packet of an Ogg file.
//!
//! ```text
//! theora_frames [--no-hash] [--threads N] FILE
//! ```
//!
//! One line a packet of the first Theora stream of each link that has one: `LINK PACKET KIND WIDTHxHEIGHT
//! FORMAT CRC32 GRANULEPOS`. KIND is `key`, `inter`, `dup` (an empty packet: the frame before stands again)
//! or `bad` (an error, and the frame before stands again). CRC32 is over the samples of the picture region,
//! top row first: all of Y, then Cb, then Cr. GRANULEPOS is the page's for the last packet that ends on a
//! page, otherwise -1. A stream without its three headers gives `LINK - badheader`, one that the decoder
//! refuses `LINK - badsetup`.
//!
//! With `--no-hash` there is one line in all: the number of packets and the seconds it took to demultiplex
//! and decode them. `--threads` decodes with several threads; the lines are the same.

use std::collections::VecDeque;
use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Stdout, Write};
use std::num::NonZeroUsize;
use std::process::ExitCode;
use std::time::Instant;

use oggflv::ogg::{Codec, Demuxer, HeaderCollector, Packet};
use oggflv_common::{FrameView, PixelFormat};
use oggflv_theora::{Comment, Decoder, FrameKind, Identification, Limits, ParallelDecoder, Setup};

/// What has become of a stream so far.
enum State {
    Headers(HeaderCollector),
    /// All headers are there; the first data packet makes a decoder of them.
    Ready(Box<(Identification, Setup)>),
    Decoding(Box<Decoder>),
    DecodingAhead(Box<ParallelDecoder>),
    Refused,
}

/// The Theora stream of a link that is decoded.
struct Video {
    link: usize,
    stream: usize,
    state: State,
    /// Number of data packets so far.
    packets: u64,
    /// What is to be said of packets that are in work: number, whether it is empty, granule position.
    waiting: VecDeque<(u64, bool, i64)>,
}

/// Where the lines go.
struct Listing {
    out: BufWriter<Stdout>,
    hash: bool,
}

impl Listing {
    fn refusal(&mut self, link: usize, why: &str) -> std::io::Result<()> {
        if self.hash { writeln!(self.out, "{link} - {why}") } else { Ok(()) }
    }

    fn picture(
        &mut self,
        link: usize,
        (index, is_empty, granule_pos): (u64, bool, i64),
        kind: Result<FrameKind, oggflv_theora::Error>,
        picture: &FrameView<'_>,
    ) -> std::io::Result<()> {
        if !self.hash {
            return Ok(());
        }
        let kind = match kind {
            Ok(FrameKind::Key) => "key",
            Ok(FrameKind::Repeat) if is_empty => "dup",
            Ok(FrameKind::Inter | FrameKind::Repeat) => "inter",
            Err(_) => "bad",
        };
        let format = match picture.format {
            PixelFormat::Yuv420 => "420",
            PixelFormat::Yuv422 => "422",
            PixelFormat::Yuv444 => "444",
        };
        let (width, height, crc) = (picture.planes[0].width, picture.planes[0].height, crc32(picture));
        writeln!(self.out, "{link} {index} {kind} {width}x{height} {format} {crc:08x} {granule_pos}")
    }
}

impl Video {
    fn new(link: usize, stream: usize) -> Result<Self, Box<dyn Error>> {
        let state = State::Headers(HeaderCollector::new(Codec::Theora)?);
        Ok(Video { link, stream, state, packets: 0, waiting: VecDeque::new() })
    }

    /// Takes the next packet and lists the frames that are done.
    fn push(&mut self, packet: Packet, threads: NonZeroUsize, listing: &mut Listing) -> std::io::Result<()> {
        if let State::Ready(headers) = &self.state {
            let (identification, setup) = (**headers).clone();
            let limits = Limits::default();
            let decoder = if threads.get() == 1 {
                Decoder::new(identification, setup, &limits).map(|decoder| State::Decoding(Box::new(decoder)))
            } else {
                ParallelDecoder::new(identification, setup, &limits, threads)
                    .map(|decoder| State::DecodingAhead(Box::new(decoder)))
            };
            self.state = match decoder {
                Ok(decoder) => decoder,
                Err(_) => {
                    listing.refusal(self.link, "badsetup")?;
                    State::Refused
                }
            };
        }
        let granule_pos = packet.page_granule_pos.filter(|_| packet.after_on_page == 0).unwrap_or(-1);
        match &mut self.state {
            State::Headers(collector) => match collect(collector, packet) {
                Ok(None) => {}
                Ok(Some(headers)) => self.state = State::Ready(Box::new(headers)),
                Err(_) => {
                    listing.refusal(self.link, "badheader")?;
                    self.state = State::Refused;
                }
            },
            State::Decoding(decoder) => {
                let kind = decoder.decode(&packet.data);
                let label = (self.packets, packet.data.is_empty(), granule_pos);
                listing.picture(self.link, label, kind, &decoder.picture())?;
                self.packets += 1;
            }
            State::DecodingAhead(decoder) => {
                self.waiting.push_back((self.packets, packet.data.is_empty(), granule_pos));
                self.packets += 1;
                if let Some(frame) = decoder.decode(packet.data) {
                    let label = self.waiting.pop_front().unwrap_or_default();
                    listing.picture(self.link, label, frame.kind(), &frame.picture())?;
                }
            }
            State::Ready(_) | State::Refused => {}
        }
        Ok(())
    }

    /// Lists the frames that are still in work.
    fn finish(&mut self, listing: &mut Listing) -> std::io::Result<()> {
        if let State::DecodingAhead(decoder) = &mut self.state {
            while let Some(frame) = decoder.finish() {
                let label = self.waiting.pop_front().unwrap_or_default();
                listing.picture(self.link, label, frame.kind(), &frame.picture())?;
            }
        }
        Ok(())
    }
}

fn collect(
    collector: &mut HeaderCollector,
    packet: Packet,
) -> Result<Option<(Identification, Setup)>, Box<dyn Error>> {
    let Some(headers) = collector.push(packet)? else { return Ok(None) };
    Comment::parse(&headers.comment)?;
    Ok(Some((Identification::parse(&headers.identification)?, Setup::parse(&headers.setup)?)))
}

fn crc32(picture: &FrameView<'_>) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    for row in picture.planes.iter().flat_map(|plane| plane.rows()) {
        hasher.update(row);
    }
    hasher.finalize()
}

fn run(path: &str, hash: bool, threads: NonZeroUsize) -> Result<(), Box<dyn Error>> {
    let mut listing = Listing { out: BufWriter::new(std::io::stdout()), hash };
    let start = Instant::now();
    let mut demuxer = Demuxer::new(File::open(path)?);
    let (mut video, mut links, mut packets): (Option<Video>, usize, u64) = (None, 0, 0);
    while let Some(packet) = demuxer.next_packet()? {
        let streams = demuxer.streams();
        let stream = streams[packet.stream];
        if stream.codec != Codec::Theora {
            demuxer.ignore(packet.stream);
            continue;
        }
        // The first Theora stream of its link: the links before it without one do not count.
        if video.as_ref().is_none_or(|video| streams[video.stream].link != stream.link) {
            if let Some(mut done) = video.replace(Video::new(links, packet.stream)?) {
                done.finish(&mut listing)?;
                packets += done.packets;
            }
            links += 1;
        }
        match &mut video {
            Some(video) if video.stream == packet.stream => video.push(packet, threads, &mut listing)?,
            _ => demuxer.ignore(packet.stream),
        }
    }
    if let Some(mut done) = video {
        done.finish(&mut listing)?;
        packets += done.packets;
    }
    if !hash {
        writeln!(listing.out, "{packets} frames {:.3} seconds", start.elapsed().as_secs_f64())?;
    }
    listing.out.flush()?;
    Ok(())
}

/// The file, whether pictures are to be hashed, and the number of threads; None if the arguments make no sense.
fn parse(mut arguments: impl Iterator<Item = String>) -> Option<(String, bool, NonZeroUsize)> {
    let (mut path, mut hash, mut threads) = (None, true, NonZeroUsize::MIN);
    while let Some(argument) = arguments.next() {
        match &argument[..] {
            "--no-hash" => hash = false,
            "--threads" => threads = arguments.next()?.parse().ok()?,
            _ if argument.starts_with("--") || path.is_some() => return None,
            _ => path = Some(argument),
        }
    }
    Some((path?, hash, threads))
}

fn main() -> ExitCode {
    let Some((path, hash, threads)) = parse(std::env::args().skip(1)) else {
        eprintln!("usage: theora_frames [--no-hash] [--threads N] FILE");
        return ExitCode::from(2);
    };
    match run(&path, hash, threads) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("theora_frames: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
