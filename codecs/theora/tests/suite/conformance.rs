//! Every picture of the vectors is the one that libtheora decodes.

use crate::common;

#[test]
fn vectors_decode_as_libtheora_decodes_them() {
    let names = common::names();
    assert!(names.len() >= 9, "vectors are missing: {names:?}");
    for name in names {
        let packets = common::packets(&name);
        let expected = common::expected(&name);
        assert_eq!(packets.len(), 3 + expected.len(), "{name}");
        let mut decoder = common::decoder(&packets).unwrap();
        for (index, (packet, expected)) in packets[3..].iter().zip(&expected).enumerate() {
            assert_eq!(common::decode(&mut decoder, packet), *expected, "frame {index} of {name}");
        }
    }
}

#[test]
fn vectors_cover_what_they_are_meant_to() {
    let data: Vec<Vec<u8>> =
        common::names().iter().flat_map(|name| common::packets(name).split_off(3)).collect();
    let inter = |packet: &[u8]| packet.first().is_some_and(|byte| byte & 0xC0 == 0x40);
    let has = |what: &str, found: bool| assert!(found, "no vector with {what}");
    has("an empty packet", data.iter().any(Vec::is_empty));
    has("an inter frame", data.iter().any(|packet| inter(packet)));
    // MOREQIS follows the first byte, and the second follows the next seven bits.
    has("two qi", data.iter().any(|packet| inter(packet) && packet[1] & 0x80 != 0));
    has("three qi", data.iter().any(|packet| inter(packet) && packet[1] & 0x81 == 0x81));
}

#[test]
fn inter_frames_before_the_first_key_frame_start_from_grey() {
    let packets = common::packets("420");
    let mut decoder = common::decoder(&packets).unwrap();
    let rows: Vec<&[u8]> = decoder.picture().planes.into_iter().flat_map(|plane| plane.rows()).collect();
    assert!(rows.iter().all(|row| row.iter().all(|&sample| sample == 0x80)));
    decoder.decode(&packets[4]).unwrap();
    decoder.decode(&packets[3]).unwrap();
    let expected = common::expected("420");
    assert_eq!(
        format!("key {:08x}", common::picture_crc(&decoder)),
        expected[0],
        "a key frame starts afresh"
    );
}

#[test]
fn unchanged_blocks_are_unchanged() {
    let mut unchanged = 0;
    for name in common::names() {
        let packets = common::packets(&name);
        let mut decoder = common::decoder(&packets).unwrap();
        let planes = |decoder: &oggflv_theora::Decoder| {
            decoder.picture().planes.map(|plane| plane.rows().map(<[u8]>::to_vec).collect::<Vec<_>>())
        };
        for packet in &packets[3..] {
            let before = planes(&decoder);
            let kind = decoder.decode(packet).unwrap();
            let after = planes(&decoder);
            for pli in 0..3 {
                let blocks = decoder.unchanged(pli);
                for (y, (before, after)) in before[pli].iter().zip(&after[pli]).enumerate() {
                    for (x, (before, after)) in before.iter().zip(after).enumerate() {
                        let is_unchanged = blocks.get((x + blocks.x) / 8, (y + blocks.y) / 8);
                        assert!(!is_unchanged || before == after, "{name}: plane {pli}, ({x}, {y})");
                        unchanged += u32::from(is_unchanged && kind == oggflv_theora::FrameKind::Inter);
                    }
                }
            }
        }
    }
    assert!(unchanged > 10_000, "only {unchanged} samples of inter frames are known to be unchanged");
}
