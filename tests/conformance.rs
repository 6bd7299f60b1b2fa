//! Demuxer and Theora decoder together, against libtheora.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

use oggflv::ogg::{Codec, Demuxer, HeaderCollector};
use oggflv_theora::{Decoder, Identification, Limits, Setup};

#[test]
fn every_picture_is_the_one_libtheora_makes() {
    let expected: Vec<&str> = include_str!("media/flash-click.theora.txt").lines().collect();
    let mut demuxer = Demuxer::new(&include_bytes!("media/flash-click.ogv")[..]);
    let mut headers = HeaderCollector::new(Codec::Theora).unwrap();
    let mut decoder: Option<Decoder> = None;
    let mut lines = Vec::new();
    while let Some(packet) = demuxer.next_packet().unwrap() {
        if demuxer.streams()[packet.stream].codec != Codec::Theora {
            continue;
        }
        let Some(decoder) = &mut decoder else {
            if let Some(headers) = headers.push(packet).unwrap() {
                let identification = Identification::parse(&headers.identification).unwrap();
                let setup = Setup::parse(&headers.setup).unwrap();
                decoder = Some(Decoder::new(identification, setup, &Limits::default()).unwrap());
            }
            continue;
        };
        decoder.decode(&packet.data).unwrap();
        let kind = if oggflv_theora::is_keyframe(&packet.data) { "key" } else { "inter" };
        let mut crc = crc32fast::Hasher::new();
        decoder.picture().planes.iter().flat_map(|plane| plane.rows()).for_each(|row| crc.update(row));
        let granule_pos = packet.page_granule_pos.filter(|_| packet.after_on_page == 0).unwrap_or(-1);
        lines.push(format!("0 {} {kind} 320x240 420 {:08x} {granule_pos}", lines.len(), crc.finalize()));
    }
    assert_eq!(lines, expected);
}
