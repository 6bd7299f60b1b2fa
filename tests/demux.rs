//! The Ogg demuxer on pages made by hand: packets, links, damage, limits.

#[path = "common/ogg_model.rs"]
mod ogg_model;
#[path = "common/ogg_pages.rs"]
mod ogg_pages;

use std::io::{self, Read};

use ogg_pages::{BOS, CONTINUED, EOS, Random, page, pages, raw_page, seal};
use oggflv::ogg::{Codec, Damage, Demuxer, HeaderCollector, HeaderError, HeaderKind, Limits, Packet, Stream};

const THEORA: &[u8] = b"\x80theora identification";
const VORBIS: &[u8] = b"\x01vorbis identification";
const SKELETON: &[u8] = b"fishead\0 skeleton";

struct Demuxed {
    streams: Vec<Stream>,
    packets: Vec<Packet>,
    damage: Damage,
    pages: u64,
}

impl Demuxed {
    fn data(&self) -> Vec<&[u8]> {
        self.packets.iter().map(|packet| &packet.data[..]).collect()
    }

    fn of_stream(&self, stream: usize) -> Vec<&Packet> {
        self.packets.iter().filter(|packet| packet.stream == stream).collect()
    }
}

fn demux_with(input: impl Read, limits: Limits) -> Demuxed {
    let mut demuxer = Demuxer::with_limits(input, limits);
    let mut packets = Vec::new();
    while let Some(packet) = demuxer.next_packet().expect("slices do not fail") {
        packets.push(packet);
    }
    assert_eq!(demuxer.next_packet().expect("slices do not fail"), None, "the end stays the end");
    Demuxed {
        streams: demuxer.streams().to_vec(),
        packets,
        damage: *demuxer.damage(),
        pages: demuxer.pages(),
    }
}

fn demux(pages: &[Vec<u8>]) -> Demuxed {
    demux_with(&pages.concat()[..], Limits::default())
}

/// Packets of these sizes, all different, behind a Theora identification header.
fn theora_packets(sizes: &[usize]) -> Vec<Vec<u8>> {
    let mut random = Random(1 + sizes.iter().sum::<usize>() as u64);
    let mut packets = vec![THEORA.to_vec()];
    packets.extend(sizes.iter().map(|&size| random.bytes(size)));
    packets
}

/// Gives at most a few bytes at once.
struct Trickle<'a>(&'a [u8], Random);

impl Read for Trickle<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.1.below(10) == 0 {
            return Err(io::ErrorKind::Interrupted.into());
        }
        let count = (1 + self.1.below(40)).min(self.0.len()).min(buffer.len());
        buffer[..count].copy_from_slice(&self.0[..count]);
        self.0 = &self.0[count..];
        Ok(count)
    }
}

#[test]
fn packets_of_every_size_on_pages_of_every_size() {
    let packets = theora_packets(&[0, 1, 254, 255, 256, 509, 510, 511, 0, 0, 765, 70_000, 3, 65_025, 0]);
    for segments in [1, 2, 3, 17, 254, 255] {
        let file = pages(9, &packets, segments);
        let demuxed = demux(&file);
        assert_eq!(demuxed.data(), packets, "{segments} segments a page");
        assert_eq!(demuxed.damage, Damage::default(), "{segments} segments a page");
        assert_eq!(demuxed.pages, file.len() as u64);
        assert!(demuxed.packets.iter().all(|packet| !packet.lost_before));
        assert_eq!(demuxed.streams, [Stream { link: 0, serial: 9, codec: Codec::Theora }]);
        let (last, before) = demuxed.packets.split_last().unwrap();
        assert!(last.last_on_eos_page && before.iter().all(|packet| !packet.last_on_eos_page));
    }
}

#[test]
fn granule_position_and_place_on_the_page() {
    let demuxed = demux(&[
        page(1, 0, BOS, 0, &[THEORA]),
        page(1, 1, 0, 640, &[b"a", b"", b"c"]),
        raw_page(1, 2, 0, -1, &[255, 255], &[4; 510]),
        raw_page(1, 3, CONTINUED, 700, &[2, 1, 255], &[5; 258]),
        raw_page(1, 4, CONTINUED | EOS, -9, &[0, 1], &[6; 1]),
        page(1, 5, 0, -1, &[b"a packet, but no granule position"]),
    ]);
    let seen = demuxed.packets.iter().map(|packet| {
        (packet.data.len(), packet.page_granule_pos, packet.after_on_page, packet.last_on_eos_page)
    });
    let expected = [
        (THEORA.len(), Some(0), 0, false),
        (1, Some(640), 2, false),
        (0, Some(640), 1, false),
        (1, Some(640), 0, false),
        (512, Some(700), 1, false),
        (1, Some(700), 0, false),
        (255, Some(-9), 1, false),
        (1, Some(-9), 0, true),
        (33, None, 0, false),
    ];
    assert_eq!(seen.collect::<Vec<_>>(), expected);
    assert_eq!(demuxed.damage, Damage::default());
}

#[test]
fn multiplexed_streams_in_page_order() {
    let demuxed = demux(&[
        page(3, 0, BOS, 0, &[SKELETON]),
        page(1, 0, BOS, 0, &[THEORA]),
        page(2, 0, BOS, 0, &[VORBIS]),
        page(3, 1, 0, 0, &[b"fisbone\0"]),
        raw_page(1, 1, 0, -1, &[255], &[1; 255]),
        page(2, 1, 0, 5, &[b"audio", b"more"]),
        page(3, 2, EOS, 0, &[b""]),
        raw_page(1, 2, CONTINUED, 1, &[1], &[1; 1]),
        page(2, 2, EOS, 6, &[b"last"]),
    ]);
    let codecs = demuxed.streams.iter().map(|stream| stream.codec).collect::<Vec<_>>();
    assert_eq!(codecs, [Codec::Skeleton, Codec::Theora, Codec::Vorbis]);
    let order = demuxed.packets.iter().map(|packet| (packet.stream, packet.data.len())).collect::<Vec<_>>();
    assert_eq!(order, [(1, THEORA.len()), (2, VORBIS.len()), (2, 5), (2, 4), (1, 256), (2, 4)]);
    assert_eq!(demuxed.damage, Damage::default());
}

#[test]
fn codecs_are_recognised() {
    let signatures: [(&[u8], Codec, &str); 13] = [
        (b"\x80theora\x03\x02\x01", Codec::Theora, "Theora"),
        (b"\x01vorbis", Codec::Vorbis, "Vorbis"),
        (b"OpusHead\x01", Codec::Opus, "Opus"),
        (b"Speex   1.2", Codec::Speex, "Speex"),
        (b"\x7fFLAC\x01", Codec::Flac, "FLAC"),
        (b"fishead\0\x03", Codec::Skeleton, "Skeleton"),
        (b"CMML\0\0\0\0", Codec::Cmml, "CMML"),
        (b"\x80kate\0\0\0", Codec::Kate, "Kate"),
        (b"BBCD\0", Codec::Dirac, "Dirac"),
        (b"OVP80\x01", Codec::Vp8, "VP8"),
        (b"\x80daala", Codec::Daala, "Daala"),
        (b"\x81theora", Codec::Unknown, "unknown codec"),
        (b"", Codec::Unknown, "unknown codec"),
    ];
    for (serial, (signature, codec, name)) in (0..).zip(signatures) {
        // What follows the first packet on the page says nothing.
        let demuxed = demux(&[page(serial, 0, BOS, 0, &[signature, b"\x80theora"])]);
        assert_eq!(demuxed.streams, [Stream { link: 0, serial, codec }]);
        assert_eq!(codec.to_string(), name);
        assert_eq!(demuxed.packets.is_empty(), !codec.is_decoded());
    }
    // A first packet too long for one page.
    let mut long = b"\x80theora".to_vec();
    long.resize(255 * 255, 0);
    assert_eq!(demux(&[raw_page(1, 0, BOS, -1, &[255; 255], &long)]).streams[0].codec, Codec::Theora);
}

#[test]
fn a_lost_page_never_glues() {
    let packets = theora_packets(&[100, 1000, 1000, 1000, 100]);
    let file = pages(1, &packets, 3);
    for lost in 1..file.len() - 1 {
        let mut damaged = file.clone();
        damaged.remove(lost);
        let demuxed = demux(&damaged);
        assert_eq!(demuxed.damage.page_gaps, 1);
        assert!(demuxed.damage.incomplete_packets >= 1, "page {lost}");
        assert!(demuxed.data().iter().all(|data| packets.iter().any(|packet| packet == data)), "page {lost}");
        assert_eq!(demuxed.packets.iter().filter(|packet| packet.lost_before).count(), 1, "page {lost}");
    }
}

#[test]
fn a_gap_in_the_middle_of_a_packet() {
    let file = [
        page(1, 0, BOS, 0, &[THEORA]),
        raw_page(1, 1, 0, 1, &[1, 255], &[1; 256]),
        // Page 2 is lost. What page 3 goes on with is not the packet begun on page 1, whatever the flags say.
        raw_page(1, 3, CONTINUED, 3, &[5, 3, 2], &[3; 10]),
        page(1, 4, 0, 4, &[b"four"]),
    ];
    let demuxed = demux(&file);
    assert_eq!(demuxed.data(), [THEORA, &[1], &[3; 3], &[3; 2], b"four"]);
    let lost = demuxed.packets.iter().map(|packet| packet.lost_before).collect::<Vec<_>>();
    assert_eq!(lost, [false, false, true, false, false]);
    assert_eq!(demuxed.packets[2].after_on_page, 1, "the dropped end comes before it");
    assert_eq!(demuxed.damage, Damage { page_gaps: 1, incomplete_packets: 1, ..Damage::default() });
}

#[test]
fn a_gap_between_packets_and_a_repeated_number() {
    let demuxed = demux(&[
        page(1, 0, BOS, 0, &[THEORA]),
        page(1, 4, 0, 4, &[b"four"]),
        page(1, 5, 0, 5, &[b"five"]),
        // Another page of the same number.
        page(1, 5, 0, 5, &[b"else"]),
        raw_page(1, u32::MAX, 0, 6, &[4, 255], &[7; 259]),
        raw_page(1, 0, CONTINUED, 7, &[1], &[8; 1]),
    ]);
    let lost = demuxed.packets.iter().map(|packet| packet.lost_before).collect::<Vec<_>>();
    assert_eq!(lost, [false, true, false, true, true, false], "page numbers may wrap around");
    assert_eq!(demuxed.packets[5].data.len(), 256);
    assert_eq!(demuxed.damage, Damage { page_gaps: 3, ..Damage::default() });
}

/// A page that comes twice, whichever it is, changes nothing.
#[test]
fn doubled_pages_are_passed_over() {
    let packets = theora_packets(&[100, 1000, 0, 0, 100]);
    let file = pages(1, &packets, 3);
    let expected = demux(&file);
    for index in 0..file.len() {
        let mut doubled = file.clone();
        doubled.insert(index, file[index].clone());
        let demuxed = demux(&doubled);
        assert_eq!(demuxed.data(), expected.data(), "page {index}");
        assert!(demuxed.packets.iter().all(|packet| !packet.lost_before), "page {index}");
        assert_eq!(demuxed.streams, expected.streams, "page {index}");
        assert_eq!(demuxed.damage, Damage { doubled_pages: 1, ..Damage::default() });
    }
}

#[test]
fn continuation_flags_that_contradict_the_lacing() {
    // A packet is continued that was complete; another is not continued that was not.
    let demuxed = demux(&[
        page(1, 0, BOS, 0, &[THEORA]),
        raw_page(1, 1, CONTINUED, 1, &[255, 9, 2], &[1; 266]),
        raw_page(1, 2, 0, -1, &[255], &[2; 255]),
        raw_page(1, 3, 0, 3, &[3], &[3; 3]),
    ]);
    assert_eq!(demuxed.data(), [THEORA, &[1; 2], &[3; 3]]);
    assert!(demuxed.packets[1].lost_before && demuxed.packets[2].lost_before);
    assert_eq!(demuxed.damage, Damage { incomplete_packets: 2, ..Damage::default() });
}

#[test]
fn a_headless_packet_over_many_pages_counts_once() {
    let demuxed = demux(&[
        page(1, 0, BOS, 0, &[THEORA]),
        raw_page(1, 2, CONTINUED, -1, &[255], &[2; 255]),
        raw_page(1, 3, CONTINUED, -1, &[255, 255], &[3; 510]),
        raw_page(1, 4, CONTINUED, 4, &[0], &[]),
        page(1, 5, 0, 5, &[b"five"]),
    ]);
    assert_eq!(demuxed.data(), [THEORA, b"five"]);
    assert!(demuxed.packets[1].lost_before);
    assert_eq!(demuxed.damage, Damage { page_gaps: 1, incomplete_packets: 1, ..Damage::default() });
}

#[test]
fn pages_without_segments() {
    let demuxed = demux(&[
        raw_page(1, 0, BOS, 0, &[], &[]),
        page(2, 0, BOS, 0, &[THEORA]),
        raw_page(2, 1, 0, -1, &[255], &[1; 255]),
        raw_page(2, 2, CONTINUED, -1, &[], &[]),
        raw_page(2, 3, 0, -1, &[], &[]),
        raw_page(2, 4, CONTINUED, 4, &[1], &[1; 1]),
        raw_page(2, 5, EOS, 4, &[], &[]),
    ]);
    assert_eq!(demuxed.streams[0].codec, Codec::Unknown);
    assert_eq!(demuxed.data(), [THEORA, &[1; 256]]);
    assert!(!demuxed.packets[1].last_on_eos_page);
    assert_eq!(demuxed.damage, Damage::default());
}

#[test]
fn a_bad_checksum_loses_only_its_page() {
    let packets = theora_packets(&[300, 300, 300, 300]);
    let file = pages(1, &packets, 2);
    for bit in [0, 4 * 8, 6 * 8, 22 * 8, 26 * 8 + 1, 27 * 8, 100 * 8 + 3] {
        let mut damaged = file.clone();
        damaged[2][bit / 8] ^= 1 << (bit % 8);
        let demuxed = demux(&damaged);
        assert_eq!(demuxed.data(), [&packets[0], &packets[1], &packets[3], &packets[4]], "bit {bit}");
        assert_eq!(demuxed.damage.bytes_outside_pages, file[2].len() as u64, "bit {bit}");
        assert_eq!(demuxed.damage.page_gaps, 1);
        assert_eq!(demuxed.pages, 4);
    }
}

#[test]
fn garbage_between_pages_is_counted_to_the_byte() {
    let packets = theora_packets(&[10, 3000, 10, 200, 0, 3]);
    let mut random = Random(5);
    for case in 0..300 {
        let mut file = Vec::new();
        let mut garbage = 0;
        for page in pages(1, &packets, 4) {
            let noise = random.bytes(case);
            garbage += noise.len();
            file.extend(noise);
            file.extend(page);
        }
        let demuxed = demux_with(&file[..], Limits::default());
        assert_eq!(demuxed.data(), packets, "case {case}");
        assert_eq!(demuxed.damage.bytes_outside_pages, garbage as u64, "case {case}");
        assert_eq!((demuxed.damage.page_gaps, demuxed.damage.truncated), (0, false));
    }
}

#[test]
fn a_page_may_start_where_one_read_ends() {
    let packets = theora_packets(&[10, 300]);
    let file = pages(1, &packets, 4).concat();
    for garbage in (0..100).chain(65_500..65_540) {
        let bytes = [vec![0; garbage], file.clone()].concat();
        let whole = demux_with(&bytes[..], Limits::default());
        let pieces = demux_with(Trickle(&bytes, Random(garbage as u64 + 1)), Limits::default());
        for demuxed in [whole, pieces] {
            assert_eq!(demuxed.data(), packets, "{garbage} bytes");
            assert_eq!(demuxed.damage.bytes_outside_pages, garbage as u64);
        }
    }
}

#[test]
fn a_false_page_hides_no_true_one() {
    // A header that claims the largest page, so that the true pages lie inside of it.
    let mut false_page = raw_page(1, 0, 0, 0, &[255; 255], &[]);
    false_page[22..26].fill(0x55);
    let packets = theora_packets(&[20, 20]);
    let file = [vec![false_page.clone()], pages(1, &packets, 1)].concat();
    // The input ends before the false page does: no reason to give up.
    let demuxed = demux(&file);
    assert_eq!(demuxed.data(), packets);
    assert!(!demuxed.damage.truncated);
    assert_eq!(demuxed.damage.bytes_outside_pages, false_page.len() as u64);
    assert_eq!(demuxed.damage.pages_with_bad_crc, 0);
    // And with more behind it, the checksum tells.
    let demuxed = demux(&[file, vec![vec![0; 70_000]]].concat());
    assert_eq!(demuxed.data(), packets);
    assert_eq!(demuxed.damage.pages_with_bad_crc, 1);
    assert_eq!(demuxed.damage.bytes_outside_pages, false_page.len() as u64 + 70_000);
}

#[test]
fn capture_patterns_inside_packets_are_data() {
    let inner = page(2, 0, BOS, 0, &[VORBIS]);
    let file = [page(1, 0, BOS, 0, &[THEORA]), page(1, 1, 0, 1, &[&inner, b"OggS"])];
    let demuxed = demux(&file);
    assert_eq!(demuxed.data(), [THEORA, &inner, b"OggS"]);
    assert_eq!(demuxed.streams.len(), 1);
}

#[test]
fn headers_with_undefined_values_are_no_pages() {
    for (at, value) in [(4, 1), (5, 8), (5, 0x80)] {
        let mut odd = page(1, 1, 0, 1, &[b"odd"]);
        odd[at] = value;
        seal(&mut odd);
        let demuxed = demux(&[page(1, 0, BOS, 0, &[THEORA]), odd.clone(), page(1, 2, 0, 2, &[b"two"])]);
        assert_eq!(demuxed.data(), [THEORA, b"two"]);
        assert_eq!(demuxed.damage.bytes_outside_pages, odd.len() as u64);
        assert_eq!(demuxed.damage.pages_with_bad_crc, 0);
    }
}

#[test]
fn an_input_cut_anywhere() {
    let packets = theora_packets(&[100, 700, 30]);
    let file = pages(1, &packets, 2);
    let bytes = file.concat();
    for len in 0..=bytes.len() {
        let demuxed = demux_with(&bytes[..len], Limits::default());
        let mut end = 0;
        let whole = file.iter().take_while(|page| {
            end += page.len();
            end <= len
        });
        let whole = whole.count();
        let whole_bytes = file[..whole].concat().len();
        assert_eq!(demuxed.pages, whole as u64, "{len} bytes");
        assert_eq!(demuxed.damage.bytes_outside_pages, (len - whole_bytes) as u64, "{len} bytes");
        assert!(demuxed.data().iter().zip(&packets).all(|(data, packet)| data == packet), "{len} bytes");
        // Three bytes are not yet recognised as the start of a page.
        let in_page = len - whole_bytes > 3;
        let in_packet = whole > 1 && file[whole - 1][27 + usize::from(file[whole - 1][26]) - 1] == 255;
        assert_eq!(demuxed.damage.truncated, in_page || in_packet, "{len} bytes");
        assert_eq!(demuxed.damage.incomplete_packets, u64::from(in_packet), "{len} bytes");
    }
}

#[test]
fn chained_links_may_reuse_serial_numbers() {
    let first = pages(1, &theora_packets(&[50, 60]), 255);
    let second = pages(1, &theora_packets(&[70]), 255);
    let third =
        [page(8, 0, BOS, 0, &[SKELETON]), page(2, 0, BOS, 0, &[VORBIS]), page(1, 0, BOS, 0, &[THEORA])];
    let demuxed = demux(&[first, second, third.to_vec()].concat());
    let streams =
        demuxed.streams.iter().map(|stream| (stream.link, stream.serial, stream.codec)).collect::<Vec<_>>();
    let expected = [
        (0, 1, Codec::Theora),
        (1, 1, Codec::Theora),
        (2, 8, Codec::Skeleton),
        (2, 2, Codec::Vorbis),
        (2, 1, Codec::Theora),
    ];
    assert_eq!(streams, expected);
    assert_eq!(demuxed.of_stream(0).len(), 3);
    assert_eq!(demuxed.of_stream(1).len(), 2);
    assert!(demuxed.packets.iter().all(|packet| !packet.lost_before));
    assert_eq!(demuxed.damage, Damage::default());
}

#[test]
fn a_link_cut_short_is_followed_by_the_next() {
    let demuxed = demux(&[
        page(1, 0, BOS, 0, &[THEORA]),
        page(2, 0, BOS, 0, &[VORBIS]),
        raw_page(1, 1, 0, 1, &[1, 255], &[1; 256]),
        page(2, 1, 0, 9, &[b"audio"]),
        // No EOS, other serial numbers.
        page(3, 0, BOS, 0, &[THEORA]),
        page(4, 0, BOS, 0, &[VORBIS]),
        page(3, 1, 0, 1, &[b"video"]),
        // What still comes of the first link is without a beginning.
        raw_page(1, 2, CONTINUED, 2, &[1], &[1; 1]),
    ]);
    let links = demuxed.streams.iter().map(|stream| stream.link).collect::<Vec<_>>();
    assert_eq!(links, [0, 0, 1, 1]);
    let expected = Damage { incomplete_packets: 1, pages_without_bos: 1, ..Damage::default() };
    assert_eq!(demuxed.damage, expected);
}

#[test]
fn a_late_beginning() {
    let demuxed = demux(&[
        page(1, 0, BOS, 0, &[THEORA]),
        page(1, 1, 0, 0, &[b"header", b"header"]),
        // After header pages, before any data: the same link.
        page(2, 0, BOS, 0, &[VORBIS]),
        page(1, 2, 0, 1, &[b"video"]),
        // Annotations amidst the data cut nothing off.
        page(3, 0, BOS, 0, &[b"\x80kate\0\0\0"]),
        page(1, 3, 0, 2, &[b"video"]),
        page(2, 1, 0, 2, &[b"audio"]),
    ]);
    assert!(demuxed.streams.iter().all(|stream| stream.link == 0));
    assert_eq!(demuxed.packets.len(), 7);
    assert_eq!(demuxed.damage, Damage::default());
}

#[test]
fn pages_of_streams_without_beginning_are_skipped() {
    let demuxed = demux(&[
        page(7, 3, 0, 5, &[b"orphan"]),
        page(1, 0, BOS, 0, &[THEORA]),
        page(7, 4, EOS, 6, &[b"orphan"]),
        page(1, 1, 0, 1, &[b"video"]),
    ]);
    assert_eq!(demuxed.data(), [THEORA, b"video"]);
    assert_eq!(demuxed.streams.len(), 1);
    assert_eq!(demuxed.damage, Damage { pages_without_bos: 2, ..Damage::default() });
}

#[test]
fn ignored_streams_are_not_assembled() {
    let file = [
        page(1, 0, BOS, 0, &[THEORA]),
        page(2, 0, BOS, 0, &[VORBIS]),
        page(1, 1, 0, 1, &[b"one", b"two", b"three"]),
        page(2, 1, 0, 1, &[b"audio"]),
        raw_page(1, 5, CONTINUED, 2, &[9, 9], &[1; 18]),
        page(2, 2, 0, 2, &[b"audio"]),
    ]
    .concat();
    let mut demuxer = Demuxer::new(&file[..]);
    let mut seen = Vec::new();
    while let Some(packet) = demuxer.next_packet().unwrap() {
        if packet.data == b"one" {
            demuxer.ignore(packet.stream);
        }
        seen.push(packet.stream);
    }
    demuxer.ignore(99);
    assert_eq!(seen, [0, 1, 0, 1, 1], "from the very next packet on");
    assert_eq!(*demuxer.damage(), Damage::default(), "nobody misses what is ignored");
    assert_eq!((demuxer.pages(), demuxer.bytes_read()), (6, file.len() as u64));
}

#[test]
fn packets_over_the_limit_are_dropped() {
    let packets = theora_packets(&[100, 1000, 1001, 1500, 40_000, 100]);
    let limits = Limits { max_packet_bytes: 1000, ..Limits::default() };
    for segments in [1, 2, 4, 255] {
        let demuxed = demux_with(&pages(1, &packets, segments).concat()[..], limits);
        assert_eq!(
            demuxed.data(),
            [&packets[0], &packets[1], &packets[2], &packets[6]],
            "{segments} segments"
        );
        let lost = demuxed.packets.iter().map(|packet| packet.lost_before).collect::<Vec<_>>();
        assert_eq!(lost, [false, false, false, true]);
        assert_eq!(demuxed.damage, Damage { packets_over_limit: 3, ..Damage::default() });
    }
}

#[test]
fn unfinished_packets_share_a_limit() {
    let mut file = vec![page(1, 0, BOS, 0, &[THEORA]), page(2, 0, BOS, 0, &[VORBIS])];
    for sequence in 1..=4 {
        let flags = if sequence > 1 { CONTINUED } else { 0 };
        file.push(raw_page(1, sequence, flags, -1, &[255], &[1; 255]));
        file.push(raw_page(2, sequence, flags, -1, &[255], &[2; 255]));
    }
    file.push(raw_page(1, 5, CONTINUED, 1, &[0], &[]));
    file.push(raw_page(2, 5, CONTINUED, 1, &[0], &[]));
    let limits = Limits { max_buffered_bytes: 1600, ..Limits::default() };
    let demuxed = demux_with(&file.concat()[..], limits);
    // The first stream's packet would have been the one to exceed the limit.
    assert_eq!(demuxed.data(), [THEORA, VORBIS, &[2; 1020]]);
    assert_eq!(demuxed.damage, Damage { packets_over_limit: 1, ..Damage::default() });
    assert_eq!(demux(&file).packets.len(), 4);
}

#[test]
fn streams_over_the_limits_are_passed_over() {
    let many = |count| (0..count).map(|serial| page(serial, 0, BOS, 0, &[THEORA])).collect::<Vec<_>>();
    let demuxed = demux(&[many(100), vec![page(99, 1, 0, 1, &[b"x"]), page(3, 1, 0, 1, &[b"y"])]].concat());
    assert_eq!(demuxed.streams.len(), 64);
    assert_eq!(demuxed.packets.last().unwrap().data, b"y");
    assert_eq!(demuxed.damage, Damage { streams_over_limit: 36, pages_without_bos: 1, ..Damage::default() });

    // The same serial number again and again: a link each.
    let limits = Limits { max_streams: 10, ..Limits::default() };
    let links = (0..25).map(|number| page(1, number, BOS, 0, &[THEORA])).collect::<Vec<_>>().concat();
    let demuxed = demux_with(&links[..], limits);
    assert_eq!(demuxed.streams.len(), 10);
    assert_eq!(demuxed.streams[9].link, 9);
    assert_eq!(demuxed.damage, Damage { streams_over_limit: 15, ..Damage::default() });
}

#[test]
fn errors_of_the_input_are_passed_on_and_nothing_is_lost() {
    struct Failing<'a>(&'a [u8], bool);
    impl Read for Failing<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.1 = !self.1;
            if self.1 { Err(io::Error::other("unplugged")) } else { self.0.read(&mut buffer[..50]) }
        }
    }
    let packets = theora_packets(&[100, 700, 30]);
    let file = pages(1, &packets, 2).concat();
    let mut demuxer = Demuxer::new(Failing(&file, false));
    let (mut seen, mut errors) = (Vec::new(), 0);
    loop {
        match demuxer.next_packet() {
            Ok(Some(packet)) => seen.push(packet.data),
            Ok(None) => break,
            Err(error) => {
                assert_eq!(error.to_string(), "unplugged");
                errors += 1;
            }
        }
    }
    assert_eq!(seen, packets);
    assert_eq!(errors, file.len().div_ceil(50) + 1);
}

/// Pages are dropped at random; the model says which packets must come, and after which of them something is
/// lost.
#[test]
fn random_streams_with_random_losses() {
    let mut random = Random(2026);
    for case in 0..400 {
        let sizes = (0..random.below(30))
            .map(|_| {
                [random.below(4), random.below(600), 255 * random.below(4), random.below(5000)]
                    [random.below(4)]
            })
            .collect::<Vec<_>>();
        let packets = theora_packets(&sizes);
        let segments = 1 + random.below(20);
        let file = pages(1, &packets, segments);
        let loss = random.below(6);
        let kept = (0..file.len()).map(|index| index == 0 || random.below(10) >= loss).collect::<Vec<_>>();

        // Which pages each packet lies on.
        let mut expected = Vec::new();
        let (mut segment, mut previous_end) = (0, 0);
        for (index, packet) in packets.iter().enumerate().skip(1) {
            let (first, last) = (1 + segment / segments, 1 + (segment + packet.len() / 255) / segments);
            segment += packet.len() / 255 + 1;
            if (first..=last).all(|page| kept[page]) {
                expected.push((index, (previous_end..first).any(|page| !kept[page])));
                previous_end = last;
            }
        }

        // Amidst another stream's pages and noise, read in small pieces.
        let mut bytes = page(2, 0, BOS, 0, &[SKELETON]);
        for (index, page) in file.iter().enumerate().filter(|&(index, _)| kept[index]) {
            bytes.extend(page);
            if random.below(3) == 0 {
                bytes.extend(raw_page(2, index as u32, 0, 0, &[3, 2], b"OggS\0"));
                let noise = random.below(300);
                bytes.extend(random.bytes(noise));
            }
        }
        let whole = demux_with(&bytes[..], Limits::default());
        let pieces = demux_with(Trickle(&bytes, Random(case + 1)), Limits::default());
        assert_eq!(whole.packets, pieces.packets, "case {case}");
        assert_eq!(whole.damage, pieces.damage, "case {case}");
        let seen =
            whole.packets[1..].iter().map(|packet| (&packet.data, packet.lost_before)).collect::<Vec<_>>();
        let expected = expected.iter().map(|&(index, lost)| (&packets[index], lost)).collect::<Vec<_>>();
        assert_eq!(seen, expected, "case {case}");
    }
}

/// Any change to a file, under checksums set right again: the model says what must come. Limits then only
/// take away.
#[test]
fn random_mutations_are_survived() {
    let mut random = Random(42);
    let limits = Limits { max_packet_bytes: 1500, max_buffered_bytes: 1800, ..Limits::default() };
    for case in 0..3000 {
        let mut file = pages(1, &theora_packets(&[40, 2000, 0, 255, 510, 3]), 1 + random.below(9));
        let mut vorbis = theora_packets(&[300, 10, 256, 0, 0, 7]);
        vorbis[0] = VORBIS.to_vec();
        for (index, page) in pages(2, &vorbis, 1 + random.below(5)).into_iter().enumerate() {
            file.insert((2 * index + 1).min(file.len()), page);
        }
        for _ in 0..random.below(12) {
            let chosen = random.below(file.len());
            match random.below(4) {
                0 => {
                    let other = random.below(file.len());
                    file.swap(chosen, other);
                }
                1 => {
                    let copy = file[chosen].clone();
                    file.insert(random.below(file.len()), copy);
                }
                2 => file[chosen][5] = random.below(8) as u8,
                _ => {
                    let page = &mut file[chosen];
                    let at = 4 + random.below(page.len() - 4);
                    page[at] = [0, 1, 255, random.below(256) as u8][random.below(4)];
                    if random.below(5) == 0 {
                        page.truncate(30);
                    }
                }
            }
            seal(&mut file[chosen]);
        }
        let bytes = file.concat();
        let demuxed = demux_with(&bytes[..], Limits::default());
        let expected = ogg_model::demux(&bytes);
        assert_eq!((demuxed.streams, demuxed.packets), expected, "case {case}");
        let demuxed = demux_with(&bytes[..], limits);
        let total = demuxed.packets.iter().map(|packet| packet.data.len()).sum::<usize>();
        assert!(total <= bytes.len(), "case {case}");
        assert!(demuxed.data().iter().all(|&data| expected.1.iter().any(|packet| packet.data == data)));
        assert!(demuxed.packets.iter().all(|packet| packet.data.len() <= 1500), "case {case}");
    }
}

fn packet(data: &[u8], lost_before: bool) -> Packet {
    let data = data.to_vec();
    Packet { stream: 0, data, page_granule_pos: None, after_on_page: 0, lost_before, last_on_eos_page: false }
}

#[test]
fn headers_are_gathered() {
    for (codec, types, name) in
        [(Codec::Theora, [0x80, 0x81, 0x82], "theora"), (Codec::Vorbis, [1, 3, 5], "vorbis")]
    {
        let header = |kind: usize| [&[types[kind]], name.as_bytes(), &[kind as u8]].concat();
        let mut collector = HeaderCollector::new(codec).unwrap();
        assert_eq!(collector.expected(), HeaderKind::Identification);
        assert_eq!(collector.push(packet(&header(0), false)), Ok(None));
        assert_eq!(collector.push(packet(&header(1), false)), Ok(None));
        assert_eq!(collector.expected(), HeaderKind::Setup);
        let headers = collector.push(packet(&header(2), false)).unwrap().unwrap();
        assert_eq!(
            [headers.identification, headers.comment, headers.setup],
            [header(0), header(1), header(2)]
        );
        assert_eq!(collector.expected(), HeaderKind::Identification);
    }
}

#[test]
fn a_lost_comment_header_is_empty() {
    let mut collector = HeaderCollector::new(Codec::Theora).unwrap();
    assert_eq!(collector.push(packet(b"\x80theora", false)), Ok(None));
    let headers = collector.push(packet(b"\x82theora", true)).unwrap().unwrap();
    assert_eq!((&headers.comment[..], &headers.setup[..]), (&b""[..], &b"\x82theora"[..]));
}

#[test]
fn missing_headers_are_named() {
    let after = |packets: &[(&[u8], bool)]| {
        let mut collector = HeaderCollector::new(Codec::Vorbis).unwrap();
        packets.iter().find_map(|&(data, lost)| collector.push(packet(data, lost)).err()).unwrap()
    };
    let error = after(&[(b"\x01vorbis", false), (b"\x05vorbis", false)]);
    let (expected, found) = (HeaderKind::Comment, Some(HeaderKind::Setup));
    assert_eq!(error, HeaderError::Missing { codec: Codec::Vorbis, expected, found, after_loss: false });
    let error = after(&[(b"\x01vorbis", false), (b"sound", true)]);
    assert_eq!(
        error.to_string(),
        "Vorbis stream: comment header missing, data packet found instead after lost pages"
    );
    let error = after(&[(b"\x01vorbis", false), (b"\x03vorbis", false), (b"", false)]);
    assert_eq!(error.to_string(), "Vorbis stream: setup header missing, data packet found instead");
    let error = after(&[(b"\x80theora", false)]);
    assert_eq!(error.to_string(), "Vorbis stream: identification header missing, data packet found instead");
    let error = HeaderCollector::new(Codec::Opus).unwrap_err();
    assert_eq!(error, HeaderError::Unsupported(Codec::Opus));
}
