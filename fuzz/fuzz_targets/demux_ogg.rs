//! Any bytes through the Ogg demuxer: no panic, and the packets that the naive model says.
//!
//! Wherever the input looks like a page, its checksum is set right first, since no fuzzer guesses a CRC; not
//! where the lowest bit of the checksum says otherwise, so that wrong ones occur too.

#![no_main]

#[path = "../../tests/common/ogg_model.rs"]
mod ogg_model;
#[path = "../../tests/common/ogg_pages.rs"]
#[allow(dead_code)]
mod ogg_pages;

use libfuzzer_sys::fuzz_target;
use oggflv::ogg::{Demuxer, Limits, Packet, Stream};

fn seal_pages(bytes: &mut [u8]) {
    let mut at = 0;
    while at + 27 <= bytes.len() {
        let header = at + 27 + usize::from(bytes[at + 26]);
        let looks_like_page =
            bytes[at..].starts_with(b"OggS") && bytes[at + 22] & 1 == 0 && header <= bytes.len();
        if looks_like_page {
            let len = bytes[at + 27..header].iter().map(|&lacing| usize::from(lacing)).sum::<usize>();
            if header + len <= bytes.len() {
                ogg_pages::seal(&mut bytes[at..header + len]);
                at = header + len;
                continue;
            }
        }
        at += 1;
    }
}

fn demux(input: &[u8], limits: Limits) -> (Vec<Stream>, Vec<Packet>) {
    let mut demuxer = Demuxer::with_limits(input, limits);
    let mut packets = Vec::new();
    while let Some(packet) = demuxer.next_packet().unwrap() {
        assert!(packet.data.len() <= limits.max_packet_bytes);
        packets.push(packet);
    }
    assert_eq!(demuxer.bytes_read(), input.len() as u64);
    (demuxer.streams().to_vec(), packets)
}

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    seal_pages(&mut bytes);
    let limits = Limits { max_streams_per_link: usize::MAX, ..Limits::default() };
    let expected = ogg_model::demux(&bytes);
    assert_eq!(demux(&bytes, limits), expected);
    // Under tight limits packets get lost, but none is made up.
    let tight = Limits { max_packet_bytes: 400, max_buffered_bytes: 600, ..limits };
    for packet in demux(&bytes, tight).1 {
        assert!(expected.1.iter().any(|known| known.data == packet.data));
    }
    let few = Limits { max_streams_per_link: 2, max_streams: 9, ..limits };
    assert!(demux(&bytes, few).0.len() <= 9);
});
