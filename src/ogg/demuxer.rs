//! The physical bitstream: multiplexed logical bitstreams, one link of them after the other (RFC 3533,
//! section 4).

use std::io::{self, Read};

use serde::Serialize;

use super::mapping::Codec;
use super::page::Page;
use super::scanner::PageScanner;
use super::stream::LogicalStream;

/// What an input may make the demuxer hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Largest packet in bytes; a larger one is dropped and counted. 16 MiB by default.
    pub max_packet_bytes: usize,
    /// Largest sum in bytes of the unfinished packets of all streams; one that would exceed it is dropped and
    /// counted. 64 MiB by default.
    pub max_buffered_bytes: usize,
    /// Largest number of logical bitstreams in a link; further ones are passed over and counted. 64 by
    /// default.
    pub max_streams_per_link: usize,
    /// Largest number of logical bitstreams in the input; further ones are passed over and counted. 65,536 by
    /// default.
    pub max_streams: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Limits {
            max_packet_bytes: 16 << 20,
            max_buffered_bytes: 64 << 20,
            max_streams_per_link: 64,
            max_streams: 65_536,
        }
    }
}

/// A logical bitstream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The link of the chain it belongs to, from 0 on.
    pub link: u32,
    /// Its serial number, unique in its link only.
    pub serial: u32,
    /// What it carries.
    pub codec: Codec,
}

/// A packet of a stream that can be decoded: headers, frames of video, blocks of audio.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Index of its stream in [`Demuxer::streams`].
    pub stream: usize,
    /// The packet. It may be empty: in Theora that repeats a frame.
    pub data: Vec<u8>,
    /// Granule position of the page the packet ends on, which belongs to the last packet that ends there;
    /// None where the page says -1.
    pub page_granule_pos: Option<i64>,
    /// How many packets end after this one on the same page.
    pub after_on_page: u32,
    /// Something of the stream was lost between the packet before and this one.
    pub lost_before: bool,
    /// This is the last packet that ends on the page that ends the stream.
    pub last_on_eos_page: bool,
}

/// What was wrong with the input, counted. All that is about packets and page numbers concerns only the
/// streams whose packets are handed out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Damage {
    /// Bytes that belong to no intact page.
    pub bytes_outside_pages: u64,
    /// Page headers whose page has another checksum than they say: damaged pages, or none at all.
    pub pages_with_bad_crc: u64,
    /// Places where the page numbers of a stream do not go on by one.
    pub page_gaps: u64,
    /// Pages that are the last one of their stream once more, and passed over.
    pub doubled_pages: u64,
    /// Packets dropped since a part of them is missing.
    pub incomplete_packets: u64,
    /// Packets dropped since they are larger than [`Limits`] allows.
    pub packets_over_limit: u64,
    /// Pages of streams whose first page was not seen in the current link, or not let in.
    pub pages_without_bos: u64,
    /// Streams passed over since there are more than [`Limits`] allows.
    pub streams_over_limit: u64,
    /// The input ends within a page or a packet.
    pub truncated: bool,
}

/// Takes an Ogg file apart into packets.
///
/// Streams that cannot be decoded ([`Codec::is_decoded`]) are listed, but no packets of them are assembled.
///
/// ```
/// use oggflv::ogg::{Codec, Demuxer};
///
/// let mut demuxer = Demuxer::new(std::fs::File::open("tests/media/flash-click.ogv")?);
/// let mut packets = 0;
/// while let Some(packet) = demuxer.next_packet()? {
///     packets += usize::from(demuxer.streams()[packet.stream].codec == Codec::Theora);
/// }
/// assert!(packets > 3, "three headers, then pictures");
/// assert!(!demuxer.damage().truncated);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Demuxer<R> {
    scanner: PageScanner<R>,
    chain: Chain,
    damage: Damage,
    pages: u64,
}

impl<R: Read> Demuxer<R> {
    /// Reads `input`, in pieces of 64 KiB and from front to back, under the default limits.
    pub fn new(input: R) -> Self {
        Self::with_limits(input, Limits::default())
    }

    /// Reads `input` under `limits`.
    pub fn with_limits(input: R, limits: Limits) -> Self {
        Demuxer {
            scanner: PageScanner::new(input),
            chain: Chain::new(limits),
            damage: Damage::default(),
            pages: 0,
        }
    }

    /// The next packet in the order in which packets end in the input; None at its end.
    ///
    /// Damage is never an error: it is passed over and counted in [`Demuxer::damage`].
    ///
    /// # Errors
    /// Those of the input's `read`. The call may be repeated.
    pub fn next_packet(&mut self) -> io::Result<Option<Packet>> {
        loop {
            if let Some(packet) = self.chain.next_packet(&mut self.damage) {
                return Ok(Some(packet));
            }
            match self.scanner.next_page(&mut self.damage)? {
                Some(page) => {
                    self.pages += 1;
                    self.chain.push_page(page, &mut self.damage);
                }
                None => {
                    self.damage.truncated |= self.chain.buffered() > 0;
                    self.chain.end_link(&mut self.damage);
                    return Ok(None);
                }
            }
        }
    }

    /// Packets of all streams are assembled and handed out, also of those that cannot be decoded.
    #[must_use]
    pub fn with_all_codecs(mut self) -> Self {
        self.chain.all_codecs = true;
        self
    }

    /// The page that ends the stream with this index in [`Demuxer::streams`] has come.
    pub fn has_ended(&self, stream: usize) -> bool {
        self.chain.ended[stream]
    }

    /// All logical bitstreams seen so far, in order of appearance. Those of a link are complete with the
    /// first packet of the link that is not a stream's first, except in malformed files.
    pub fn streams(&self) -> &[Stream] {
        &self.chain.streams
    }

    /// Packets of the stream with this index in [`Demuxer::streams`] are not wanted, and no longer assembled.
    pub fn ignore(&mut self, stream: usize) {
        self.chain.ignore(stream);
    }

    /// What was wrong so far.
    pub fn damage(&self) -> &Damage {
        &self.damage
    }

    /// Number of intact pages so far.
    pub fn pages(&self) -> u64 {
        self.pages
    }

    /// Number of bytes read from the input so far.
    pub fn bytes_read(&self) -> u64 {
        self.scanner.bytes_read()
    }
}

/// The sequence of links: sends each page to its logical bitstream.
struct Chain {
    limits: Limits,
    /// All logical bitstreams so far.
    streams: Vec<Stream>,
    /// Of each of them, whether its last page has come.
    ended: Vec<bool>,
    /// Packets of streams that are not decoded are wanted, too.
    all_codecs: bool,
    /// Number of the current link.
    link: u32,
    /// The logical bitstreams of the current link.
    current: Vec<LogicalStream>,
    /// A page of the current link had data, not only headers.
    has_data: bool,
    /// The stream in `current` which the last page went to.
    active: Option<usize>,
}

impl Chain {
    fn new(limits: Limits) -> Self {
        Chain {
            limits,
            streams: Vec::new(),
            ended: Vec::new(),
            all_codecs: false,
            link: 0,
            current: Vec::new(),
            has_data: false,
            active: None,
        }
    }

    /// The next packet of the last page.
    fn next_packet(&mut self, damage: &mut Damage) -> Option<Packet> {
        self.current[self.active?].next_packet(self.limits.max_packet_bytes, damage)
    }

    fn push_page(&mut self, page: Page<'_>, damage: &mut Damage) {
        let known = self.find(page.serial());
        if known.is_some_and(|known| self.current[known].is_doubled(page)) {
            damage.doubled_pages += 1;
            self.active = None;
            return;
        }
        self.active = if page.is_bos() { self.begin_stream(page, damage) } else { known };
        let Some(active) = self.active else {
            damage.pages_without_bos += u64::from(!page.is_bos());
            return;
        };
        // A header page has granule position 0, or -1 where no packet ends on it.
        self.has_data |= page.granule_pos() > 0;
        self.ended[self.current[active].index()] |= page.is_eos();
        let others = self.buffered() - self.current[active].buffered();
        let max_packet_bytes =
            self.limits.max_packet_bytes.min(self.limits.max_buffered_bytes.saturating_sub(others));
        self.current[active].push_page(page, max_packet_bytes, damage);
    }

    /// Makes a place for the stream that this page begins; None if there are too many.
    fn begin_stream(&mut self, page: Page<'_>, damage: &mut Damage) -> Option<usize> {
        let codec = Codec::identify(page.body().get(..page.first_piece_len()).unwrap_or_default());
        if self.begins_link(page.serial(), codec) {
            self.end_link(damage);
            self.link += 1;
        }
        if self.current.len() >= self.limits.max_streams_per_link
            || self.streams.len() >= self.limits.max_streams
        {
            damage.streams_over_limit += 1;
            return None;
        }
        let assemble = self.all_codecs || codec.is_decoded();
        self.current.push(LogicalStream::new(self.streams.len(), page, assemble));
        self.ended.push(false);
        self.streams.push(Stream { link: self.link, serial: page.serial(), codec });
        Some(self.current.len() - 1)
    }

    /// A new stream begins a new link if the current one is over, or must be: the streams of a link begin
    /// together, before any data. Annotations that begin late, against the rule, are taken for part of the
    /// current link all the same, so that they do not cut off its sound and picture.
    fn begins_link(&self, serial: u32, codec: Codec) -> bool {
        let is_over = !self.current.is_empty() && self.current.iter().all(LogicalStream::has_ended);
        is_over || self.find(serial).is_some() || (self.has_data && codec.is_audio_or_video())
    }

    /// Nothing more comes of the streams of the current link.
    fn end_link(&mut self, damage: &mut Damage) {
        for stream in &mut self.current {
            stream.finish(damage);
        }
        self.current.clear();
        self.has_data = false;
        self.active = None;
    }

    fn ignore(&mut self, stream: usize) {
        if let Some(stream) = self.current.iter_mut().find(|known| known.index() == stream) {
            stream.ignore();
        }
    }

    fn find(&self, serial: u32) -> Option<usize> {
        self.current.iter().position(|stream| stream.serial() == serial)
    }

    /// Bytes of unfinished packets of all streams.
    fn buffered(&self) -> usize {
        self.current.iter().map(LogicalStream::buffered).sum()
    }
}
