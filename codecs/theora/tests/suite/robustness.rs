//! Whatever the headers and packets hold, the decoder neither panics nor hangs, and a refused packet changes nothing.

use crate::common;

use oggflv_theora::{Comment, Identification, Setup};

/// Decodes what may be anything.
fn decode_all(packets: &[Vec<u8>]) {
    if let Ok(mut decoder) = common::decoder(packets) {
        for packet in &packets[3..] {
            let before = common::picture_crc(&decoder);
            if decoder.decode(packet).is_err() {
                assert_eq!(common::picture_crc(&decoder), before, "a refused packet changed the picture");
            }
        }
    }
}

#[test]
fn every_truncation_of_a_header_is_refused() {
    let packets = common::packets("420-odd");
    for length in 0..packets[0].len() {
        assert!(
            Identification::parse(&packets[0][..length]).is_err(),
            "identification header of {length} bytes"
        );
    }
    for length in 0..packets[1].len() {
        assert!(Comment::parse(&packets[1][..length]).is_err(), "comment header of {length} bytes");
    }
    for length in 0..packets[2].len() {
        assert!(Setup::parse(&packets[2][..length]).is_err(), "setup header of {length} bytes");
    }
}

#[test]
fn every_truncation_of_a_packet_decodes() {
    for name in ["420-odd", "422-odd", "444-odd"] {
        let packets = common::packets(name);
        let mut decoder = common::decoder(&packets).unwrap();
        for packet in &packets[3..6] {
            for length in 0..=packet.len() {
                decoder.decode(&packet[..length]).unwrap();
            }
        }
    }
}

#[test]
fn mutated_packets_decode_to_something() {
    let mut random = common::Random(1);
    for name in ["420-odd", "422-odd", "444-odd", "still"] {
        let original = common::packets(name);
        for _ in 0..300 {
            let mut packets = original.clone();
            for packet in &mut packets[3..] {
                mutate(packet, &mut random);
            }
            decode_all(&packets);
        }
    }
}

#[test]
fn mutated_headers_are_refused_or_decode() {
    let mut random = common::Random(2);
    let original = common::packets("420-odd");
    let mut accepted = 0;
    for round in 0..3000 {
        let mut packets = original.clone();
        // Identification and setup in turn; a mutated comment header does not stop a decoder.
        mutate(&mut packets[if round % 4 == 0 { 0 } else { 2 }], &mut random);
        mutate(&mut packets[1], &mut random);
        let _ = Comment::parse(&packets[1]);
        accepted += u32::from(common::decoder(&packets).is_ok());
        decode_all(&packets);
    }
    assert!(
        accepted > 300,
        "only {accepted} of the mutated headers were accepted: the test has lost its point"
    );
}

/// Changes up to eight bits or bytes, sometimes the length.
fn mutate(packet: &mut Vec<u8>, random: &mut common::Random) {
    for _ in 0..1 + random.below(8) {
        if packet.is_empty() {
            return;
        }
        let at = random.below(packet.len());
        match random.below(8) {
            0 => packet[at] = random.below(256) as u8,
            1 => packet[at] = [0, 0xFF][random.below(2)],
            2 if random.below(4) == 0 => packet.truncate(at),
            3 if random.below(4) == 0 => packet.insert(at, random.below(256) as u8),
            _ => packet[at] ^= 1 << random.below(8),
        }
    }
}
