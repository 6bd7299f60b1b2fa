//! A logical bitstream: from pages to packets (RFC 3533, sections 4 and 5).
//!
//! The `ogg` crate's [`BasePacketReader`] puts the packets together. It trusts page flags alone, so it would
//! glue the start of one packet to the end of another across a lost page, and it never bounds what it keeps.
//! So page sequence numbers and sizes are followed here, each logical bitstream has a reader of its own, and
//! where something is missing the reader is told that a seek happened: then it drops both halves.

use std::mem;

use ogg::PageParsingOptions;
use ogg::reading::{BasePacketReader, OggPage, OggReadError, PageParser};

use super::demuxer::{Damage, Packet};
use super::page::Page;

/// The packet that the last page left unfinished.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Unfinished {
    /// There is none.
    Nothing,
    /// That many bytes of it are with the reader.
    Kept(usize),
    /// It was given up and counted; what else comes of it is dropped.
    Dropped,
}

/// What is still to come from the page that was last pushed.
#[derive(Clone, Copy, Debug, Default)]
struct CurrentPage {
    packets: u32,
    granule_pos: Option<i64>,
    is_eos: bool,
}

/// Puts together the packets of one logical bitstream.
pub(super) struct LogicalStream {
    /// Place in the list of all streams.
    index: usize,
    serial: u32,
    /// None if nobody wants its packets.
    reader: Option<BasePacketReader>,
    next_sequence: u32,
    /// The checksum of the last page.
    last_checksum: Option<[u8; 4]>,
    unfinished: Unfinished,
    current_page: CurrentPage,
    /// Something was lost since the last packet that was handed out.
    lost: bool,
    has_ended: bool,
}

impl LogicalStream {
    /// The stream that `bos_page` begins.
    pub(super) fn new(index: usize, bos_page: Page<'_>, assemble: bool) -> Self {
        LogicalStream {
            index,
            serial: bos_page.serial(),
            reader: assemble.then(BasePacketReader::new),
            next_sequence: bos_page.sequence(),
            last_checksum: None,
            unfinished: Unfinished::Nothing,
            current_page: CurrentPage::default(),
            lost: false,
            has_ended: false,
        }
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    pub(super) fn serial(&self) -> u32 {
        self.serial
    }

    /// Its last page has come.
    pub(super) fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Whether a page is the last one once more.
    pub(super) fn is_doubled(&self, page: Page<'_>) -> bool {
        self.last_checksum == Some(page.checksum()) && page.sequence().wrapping_add(1) == self.next_sequence
    }

    /// How many bytes of an unfinished packet are kept.
    pub(super) fn buffered(&self) -> usize {
        match self.unfinished {
            Unfinished::Kept(len) => len,
            Unfinished::Nothing | Unfinished::Dropped => 0,
        }
    }

    /// Its packets are not wanted (any more).
    pub(super) fn ignore(&mut self) {
        self.reader = None;
        self.unfinished = Unfinished::Nothing;
        self.current_page = CurrentPage::default();
    }

    /// Nothing more will come of this stream.
    pub(super) fn finish(&mut self, damage: &mut Damage) {
        self.give_up_unfinished(damage);
    }

    /// Takes in the next page of the stream; the packets of the one before have all been taken out.
    /// A packet that grows beyond `max_packet_bytes` is given up.
    pub(super) fn push_page(&mut self, page: Page<'_>, max_packet_bytes: usize, damage: &mut Damage) {
        let in_sequence = page.sequence() == self.next_sequence;
        self.next_sequence = page.sequence().wrapping_add(1);
        self.last_checksum = Some(page.checksum());
        self.has_ended |= page.is_eos();
        if self.reader.is_none() {
            return;
        }
        if !in_sequence {
            damage.page_gaps += 1;
            self.lost = true;
            self.give_up_unfinished(damage);
        }
        if page.segments().is_empty() {
            // Nothing of any packet is here: a continued one goes on with the next page.
            return;
        }
        self.check_continuation(page, max_packet_bytes, damage);
        let packet_ends = page.packet_ends();
        let drops_first = page.is_continued() && self.unfinished == Unfinished::Dropped;
        self.unfinished = match (page.open_piece_len(), packet_ends, self.unfinished) {
            (None, ..) => Unfinished::Nothing,
            (Some(len), 0, Unfinished::Kept(before)) => Unfinished::Kept(before + len),
            (Some(_), 0, Unfinished::Dropped) => Unfinished::Dropped,
            (Some(len), ..) => Unfinished::Kept(len),
        };
        self.current_page = CurrentPage {
            packets: packet_ends - u32::from(drops_first && packet_ends > 0),
            granule_pos: Some(page.granule_pos()).filter(|&granule_pos| granule_pos != -1),
            is_eos: page.is_eos(),
        };
        let Some(reader) = &mut self.reader else { return };
        if parse(page).and_then(|page| reader.push_page(page)).is_err() {
            // It refuses what contradicts the page before, and that is settled already.
            damage.page_gaps += 1;
            self.lost = true;
            self.give_up_unfinished(damage);
            self.current_page = CurrentPage::default();
        }
    }

    /// Settles whether the packet that was left unfinished goes on at the start of `page`.
    fn check_continuation(&mut self, page: Page<'_>, max_packet_bytes: usize, damage: &mut Damage) {
        match self.unfinished {
            Unfinished::Kept(len) if page.is_continued() => {
                if len + page.first_piece_len() > max_packet_bytes {
                    damage.packets_over_limit += 1;
                    self.drop_unfinished();
                }
            }
            Unfinished::Nothing if page.is_continued() => {
                damage.incomplete_packets += 1;
                self.drop_unfinished();
            }
            Unfinished::Dropped if page.is_continued() => {}
            _ => {
                self.give_up_unfinished(damage);
                self.unfinished = Unfinished::Nothing;
            }
        }
    }

    /// The rest of the unfinished packet, if there is one, will not come.
    fn give_up_unfinished(&mut self, damage: &mut Damage) {
        if let Unfinished::Kept(_) = self.unfinished {
            damage.incomplete_packets += 1;
            self.drop_unfinished();
        }
    }

    /// What comes next is no continuation to the reader, so it drops what is one.
    fn drop_unfinished(&mut self) {
        self.unfinished = Unfinished::Dropped;
        self.lost = true;
        if let Some(reader) = &mut self.reader {
            reader.update_after_seek();
        }
    }

    /// The next packet of the page that was pushed last, if there is one more.
    pub(super) fn next_packet(&mut self, max_packet_bytes: usize, damage: &mut Damage) -> Option<Packet> {
        while self.current_page.packets > 0 {
            self.current_page.packets -= 1;
            let data = self.reader.as_mut()?.read_packet()?.data;
            if data.len() > max_packet_bytes {
                damage.packets_over_limit += 1;
                self.lost = true;
                continue;
            }
            let after_on_page = self.current_page.packets;
            return Some(Packet {
                stream: self.index,
                data,
                page_granule_pos: self.current_page.granule_pos,
                after_on_page,
                lost_before: mem::take(&mut self.lost),
                last_on_eos_page: self.current_page.is_eos && after_on_page == 0,
            });
        }
        None
    }
}

/// Hands a page to the `ogg` crate; its checksum has been verified already.
fn parse(page: Page<'_>) -> Result<OggPage, OggReadError> {
    let mut options = PageParsingOptions::default();
    options.verify_checksum = false;
    let (mut parser, _) = PageParser::new_with_parse_opts(page.header(), options)?;
    parser.parse_segments(page.segments().to_vec());
    parser.parse_packet_data(page.body().to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(sequence: u8, flags: u8, lacing: &[u8]) -> Vec<u8> {
        let mut page = b"OggS\0".to_vec();
        page.push(flags);
        page.extend([0; 12]);
        page.extend([sequence, 0, 0, 0]);
        page.extend([0; 4]);
        page.push(lacing.len() as u8);
        page.extend(lacing);
        page.resize(page.len() + lacing.iter().map(|&value| usize::from(value)).sum::<usize>(), sequence);
        page
    }

    #[test]
    fn what_is_kept_of_an_endless_packet_is_bounded() {
        let bos = page(0, 2, &[1]);
        let mut stream = LogicalStream::new(0, Page::new(&bos), true);
        let mut damage = Damage::default();
        stream.push_page(Page::new(&bos), 100_000, &mut damage);
        assert_eq!(stream.next_packet(100_000, &mut damage).map(|packet| packet.data.len()), Some(1));
        let mut most = 0;
        for sequence in 1..=200 {
            let full = page(sequence, u8::from(sequence > 1), &[255; 250]);
            stream.push_page(Page::new(&full), 100_000, &mut damage);
            most = most.max(stream.buffered());
            assert_eq!(stream.next_packet(100_000, &mut damage), None);
        }
        assert_eq!((most, stream.buffered()), (250 * 255, 0));
        assert_eq!(damage, Damage { packets_over_limit: 1, ..Damage::default() });
        // Its end comes at last, and the next packet is whole.
        let end = page(201, 1, &[255, 3, 9]);
        stream.push_page(Page::new(&end), 100_000, &mut damage);
        let packet = stream.next_packet(100_000, &mut damage).unwrap();
        assert_eq!((packet.data, packet.lost_before), (vec![201; 9], true));
    }
}
