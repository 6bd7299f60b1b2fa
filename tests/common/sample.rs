//! The sample film, taken apart and put together again in other ways.

use oggflv::ogg::{Codec, Demuxer};
use oggflv_theora as theora;

use super::ogg_pages::{BOS, EOS, page};

/// 120 pictures of 320x240 at 30000/1001 Hz, stereo at 48 kHz; a white picture and a click together at pictures 30,
/// 60 and 90. See media/README.md.
pub(crate) const FLASH_CLICK: &[u8] = include_bytes!("../media/flash-click.ogv");
pub(crate) const FLASHES: [usize; 3] = [30, 60, 90];
pub(crate) const FLASH_CLICK_FRAMES: i64 = 120;

/// The packets of a stream of the sample: headers first.
pub(crate) struct Stream {
    pub(crate) packets: Vec<Vec<u8>>,
    /// Granule position of each packet, -1 where the page tells another's.
    pub(crate) granule_positions: Vec<i64>,
}

pub(crate) fn stream(codec: Codec) -> Stream {
    stream_of(FLASH_CLICK, codec)
}

/// The packets of all streams of a codec in a file.
pub(crate) fn stream_of(file: &[u8], codec: Codec) -> Stream {
    let mut demuxer = Demuxer::new(file);
    let mut stream = Stream { packets: Vec::new(), granule_positions: Vec::new() };
    while let Some(packet) = demuxer.next_packet().unwrap() {
        if demuxer.streams()[packet.stream].codec == codec {
            let is_last = packet.after_on_page == 0;
            stream.granule_positions.push(packet.page_granule_pos.filter(|_| is_last).unwrap_or(-1));
            stream.packets.push(packet.data);
        }
    }
    stream
}

/// A stream of a vector of the Theora crate, at the frame rate of its headers; a page for each packet.
pub(crate) fn theora_vector(name: &str) -> Stream {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/codecs/theora/tests/vectors");
    let file = std::fs::read(format!("{folder}/{name}.pkt")).unwrap();
    let (mut rest, mut packets) = (&file[..], Vec::new());
    while let Some((length, tail)) = rest.split_first_chunk() {
        let (packet, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        packets.push(packet.to_vec());
        rest = tail;
    }
    theora_stream(packets)
}

/// A Theora stream with a page for each packet.
pub(crate) fn theora_stream(packets: Vec<Vec<u8>>) -> Stream {
    let shift = theora::Identification::parse(&packets[0]).unwrap().keyframe_granule_shift;
    let mut key = 0;
    let granule_pos = |(index, packet): (usize, &Vec<u8>)| {
        let number = index as i64 - 2;
        if theora::is_keyframe(packet) {
            key = number;
        }
        if number < 1 { 0 } else { key << shift | (number - key) }
    };
    let granule_positions = packets.iter().enumerate().map(granule_pos).collect();
    Stream { packets, granule_positions }
}

impl Stream {
    /// The headers and the first `count` data packets.
    pub(crate) fn cut(mut self, count: usize) -> Self {
        self.packets.truncate(3 + count);
        self.granule_positions.truncate(3 + count);
        // Only the last packet of a page has a granule position; the last page ends here.
        let last = self.granule_positions.iter().rposition(|&granule_pos| granule_pos >= 0).unwrap();
        self.packets.truncate(last + 1);
        self.granule_positions.truncate(last + 1);
        self
    }

    /// The stream in pages that end where they ended in the sample, granule positions moved by `shift`.
    pub(crate) fn pages(&self, serial: u32, shift: i64) -> Vec<Vec<u8>> {
        self.pages_moved(serial, |granule_pos| granule_pos + shift)
    }

    /// The stream in pages that end where they ended in the sample, with other granule positions.
    pub(crate) fn pages_moved(&self, serial: u32, moved: impl Fn(i64) -> i64) -> Vec<Vec<u8>> {
        let mut pages = vec![page(serial, 0, BOS, 0, &[&self.packets[0]])];
        pages.push(page(serial, 1, 0, 0, &[&self.packets[1], &self.packets[2]]));
        let mut waiting: Vec<&[u8]> = Vec::new();
        for (i, (packet, &granule_pos)) in
            self.packets.iter().zip(&self.granule_positions).enumerate().skip(3)
        {
            waiting.push(packet);
            if granule_pos >= 0 {
                let flags = if i + 1 == self.packets.len() { EOS } else { 0 };
                pages.push(page(serial, pages.len() as u32, flags, moved(granule_pos), &waiting));
                waiting.clear();
            }
        }
        assert!(waiting.is_empty(), "the last page ends with a packet");
        pages
    }
}

/// The pages of a file without damage.
pub(crate) fn pages_of(file: &[u8]) -> Vec<Vec<u8>> {
    let (mut pages, mut rest) = (Vec::new(), file);
    while !rest.is_empty() {
        let header = 27 + usize::from(rest[26]);
        let len = header + rest[27..header].iter().map(|&lacing| usize::from(lacing)).sum::<usize>();
        let (page, after) = rest.split_at(len);
        pages.push(page.to_vec());
        rest = after;
    }
    pages
}

/// Multiplexes streams: BOS pages first, then the others in turn.
pub(crate) fn multiplex(streams: &[Vec<Vec<u8>>]) -> Vec<u8> {
    multiplexed(streams).into_iter().flat_map(|(stream, page)| streams[stream][page].clone()).collect()
}

/// The order of the pages of multiplexed streams: which stream, and which of its pages.
pub(crate) fn multiplexed(streams: &[Vec<Vec<u8>>]) -> Vec<(usize, usize)> {
    let mut order = Vec::new();
    let longest = streams.iter().map(Vec::len).max().unwrap_or(0);
    for i in 0..longest {
        for (number, stream) in streams.iter().enumerate() {
            // In proportion, so that the streams run side by side.
            let from = if i == 0 { 0 } else { 1 + (i - 1) * (stream.len() - 1) / (longest - 1) };
            let to = 1 + i * (stream.len() - 1) / (longest - 1);
            order.extend((from..to).map(|page| (number, page)));
        }
    }
    order
}

/// A video of the sample's first picture, followed by packets that repeat it; `changes` holds what comes at which
/// index instead.
pub(crate) fn standing_video(frames: usize, changes: &[(usize, Vec<u8>)]) -> Vec<u8> {
    let sample = stream(Codec::Theora);
    let mut pages = vec![page(7, 0, BOS, 0, &[&sample.packets[0]])];
    pages.push(page(7, 1, 0, 0, &[&sample.packets[1], &sample.packets[2]]));
    let shift = theora::Identification::parse(&sample.packets[0]).unwrap().keyframe_granule_shift;
    assert!(1 << shift > 47, "the sample's key frames are 48 apart");
    let packets: Vec<&[u8]> = (0..frames)
        .map(|n| match changes.iter().find(|(at, _)| *at == n) {
            Some((_, packet)) => packet,
            None if n == 0 => &sample.packets[3][..],
            None => &[],
        })
        .collect();
    for (i, packets_of_page) in packets.chunks(40).enumerate() {
        // Counted from 1, as if every page ended with a key frame: only the sum tells the time.
        let granule_pos = ((i * 40 + packets_of_page.len()) as i64) << shift;
        let flags = if (i + 1) * 40 >= frames { EOS } else { 0 };
        pages.push(page(7, pages.len() as u32, flags, granule_pos, packets_of_page));
    }
    pages.concat()
}
