//! What the decoder makes of every Theora data packet of an Ogg file.
//!
//! ```text
//! theora_frames [--no-hash] [--threads 1] FILE
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
//! and decode them.

use std::error::Error;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::process::ExitCode;
use std::time::Instant;

use oggflv::ogg::{Codec, Demuxer, HeaderCollector, Packet};
use oggflv_common::{FrameView, PixelFormat};
use oggflv_theora::{Comment, Decoder, FrameKind, Identification, Limits, Setup};

/// What has become of a stream so far.
enum State {
    Headers(HeaderCollector),
    /// All headers are there; the first data packet makes a decoder of them.
    Ready(Identification, Setup),
    Decoding(Decoder),
    Refused,
}

/// Why nothing more of a stream is decoded, as it is printed.
struct Refusal(&'static str);

/// The Theora stream of a link that is decoded.
struct Video {
    stream: usize,
    state: State,
    /// Number of data packets so far.
    packets: u64,
}

impl Video {
    fn new(stream: usize) -> Result<Self, Box<dyn Error>> {
        Ok(Video { stream, state: State::Headers(HeaderCollector::new(Codec::Theora)?), packets: 0 })
    }

    /// Takes the next packet; for a data packet says what it was.
    fn push(&mut self, packet: Packet) -> Result<Option<&'static str>, Refusal> {
        match &mut self.state {
            State::Headers(collector) => {
                match collect(collector, packet) {
                    Ok(None) => {}
                    Ok(Some((identification, setup))) => self.state = State::Ready(identification, setup),
                    Err(_) => return Err(self.refuse("badheader")),
                }
                Ok(None)
            }
            State::Ready(identification, setup) => {
                match Decoder::new(identification.clone(), setup.clone(), &Limits::default()) {
                    Ok(decoder) => self.state = State::Decoding(decoder),
                    Err(_) => return Err(self.refuse("badsetup")),
                }
                self.push(packet)
            }
            State::Decoding(decoder) => {
                let kind = match decoder.decode(&packet.data) {
                    Ok(FrameKind::Key) => "key",
                    Ok(FrameKind::Inter) => "inter",
                    Ok(FrameKind::Repeat) if packet.data.is_empty() => "dup",
                    Ok(FrameKind::Repeat) => "inter",
                    Err(_) => "bad",
                };
                self.packets += 1;
                Ok(Some(kind))
            }
            State::Refused => Ok(None),
        }
    }

    /// The decoder, once a data packet has come.
    fn decoder(&self) -> Option<&Decoder> {
        if let State::Decoding(decoder) = &self.state { Some(decoder) } else { None }
    }

    fn refuse(&mut self, why: &'static str) -> Refusal {
        self.state = State::Refused;
        Refusal(why)
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

fn run(path: &str, hash: bool) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let start = Instant::now();
    let mut demuxer = Demuxer::new(File::open(path)?);
    let mut videos: Vec<Video> = Vec::new();
    while let Some(packet) = demuxer.next_packet()? {
        let streams = demuxer.streams();
        let stream = streams[packet.stream];
        if stream.codec != Codec::Theora {
            demuxer.ignore(packet.stream);
            continue;
        }
        // The first Theora stream of its link: the links before it without one do not count.
        if videos.last().is_none_or(|video| streams[video.stream].link != stream.link) {
            videos.push(Video::new(packet.stream)?);
        }
        let link = videos.len() - 1;
        let video = &mut videos[link];
        if packet.stream != video.stream {
            demuxer.ignore(packet.stream);
            continue;
        }
        let granule_pos = packet.page_granule_pos.filter(|_| packet.after_on_page == 0).unwrap_or(-1);
        let index = video.packets;
        match (video.push(packet), video.decoder()) {
            (Ok(Some(kind)), Some(decoder)) if hash => {
                let id = decoder.identification();
                let picture = decoder.picture();
                let format = match picture.format {
                    PixelFormat::Yuv420 => "420",
                    PixelFormat::Yuv422 => "422",
                    PixelFormat::Yuv444 => "444",
                };
                let (width, height, crc) = (id.picture_width, id.picture_height, crc32(&picture));
                writeln!(out, "{link} {index} {kind} {width}x{height} {format} {crc:08x} {granule_pos}")?;
            }
            (Err(Refusal(why)), _) if hash => writeln!(out, "{link} - {why}")?,
            _ => {}
        }
    }
    if !hash {
        let packets = videos.iter().map(|video| video.packets).sum::<u64>();
        writeln!(out, "{packets} frames {:.3} seconds", start.elapsed().as_secs_f64())?;
    }
    out.flush()?;
    Ok(())
}

/// The file, and whether pictures are to be hashed; None if the arguments make no sense.
fn parse(mut arguments: impl Iterator<Item = String>) -> Option<(String, bool)> {
    let (mut path, mut hash) = (None, true);
    while let Some(argument) = arguments.next() {
        match &argument[..] {
            "--no-hash" => hash = false,
            // The decoder has no threads.
            "--threads" => _ = arguments.next().filter(|threads| threads == "1")?,
            _ if argument.starts_with("--") || path.is_some() => return None,
            _ => path = Some(argument),
        }
    }
    Some((path?, hash))
}

fn main() -> ExitCode {
    let Some((path, hash)) = parse(std::env::args().skip(1)) else {
        eprintln!("usage: theora_frames [--no-hash] [--threads 1] FILE");
        return ExitCode::from(2);
    };
    match run(&path, hash) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("theora_frames: {path}: {error}");
            ExitCode::FAILURE
        }
    }
}
