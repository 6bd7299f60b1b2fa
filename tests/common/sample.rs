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
    let mut demuxer = Demuxer::new(FLASH_CLICK);
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

impl Stream {
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

/// Multiplexes streams: BOS pages first, then the others in turn.
pub(crate) fn multiplex(streams: &[Vec<Vec<u8>>]) -> Vec<u8> {
    let mut file = Vec::new();
    let longest = streams.iter().map(Vec::len).max().unwrap_or(0);
    for i in 0..longest {
        for stream in streams {
            // In proportion, so that the streams run side by side.
            let from = if i == 0 { 0 } else { 1 + (i - 1) * (stream.len() - 1) / (longest - 1) };
            let to = 1 + i * (stream.len() - 1) / (longest - 1);
            file.extend(stream[from..to].concat());
        }
    }
    file
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
