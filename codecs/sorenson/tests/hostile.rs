//! The reference decoder and data that no encoder made.

mod common;

use common::{Content, encode, samples};
use oggflv_sorenson::{Config, DecodeError, Decoder, Packet};

fn stream() -> Vec<Packet> {
    encode(&Config { width: 72, height: 40, quantizer: 3, keyint: 4 }, Content::Moving, 6)
}

#[test]
fn every_truncation_is_an_error_and_changes_nothing() {
    let packets = stream();
    for (n, packet) in packets.iter().enumerate() {
        let mut decoder = Decoder::new();
        for packet in &packets[..n] {
            decoder.decode(&packet.data).unwrap();
        }
        let before = samples(&decoder.picture());
        for length in 0..packet.data.len() {
            assert!(
                decoder.decode(&packet.data[..length]).is_err(),
                "{length} bytes of {}",
                packet.data.len()
            );
            assert!(samples(&decoder.picture()) == before);
        }
        decoder.decode(&packet.data).unwrap();
    }
}

#[test]
fn mutated_pictures_do_no_harm() {
    let mut state = 1u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    let packets = stream();
    let (mut good, mut bad) = (0, 0);
    for _ in 0..300 {
        let mut decoder = Decoder::new();
        for packet in &packets {
            let mut data = packet.data.clone();
            for _ in 0..random(4) {
                let at = random(data.len());
                data[at] ^= 1 << random(8);
            }
            match decoder.decode(&data) {
                Ok(info) => {
                    good += 1;
                    let view = decoder.picture();
                    assert_eq!((view.planes[0].width, view.planes[0].height), (info.width, info.height));
                    assert_eq!(view.planes[1].rows().count(), info.height.div_ceil(2));
                }
                Err(_) => bad += 1,
            }
        }
    }
    assert!(good > 300 && bad > 300, "{good} good, {bad} bad");
}

#[test]
fn random_bytes_behind_a_header_do_no_harm() {
    let header = &stream()[0].data[..9];
    let mut state = 7u32;
    for length in 1..400 {
        let mut data = header.to_vec();
        data.extend((0..length * 3).map(|_| {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            (state >> 24) as u8
        }));
        let _ = Decoder::new().decode(&data);
    }
}

/// Pictures of 65535x65535 need 6 GB; the decoder asks for the bits first.
#[test]
fn a_large_size_in_little_data_is_refused() {
    let bits = "00000000000000001 00001 00000000 001 1111111111111111 1111111111111111 00 0 00101 0";
    let text = bits.replace(' ', "");
    let mut data = vec![0; 1000];
    for (i, digit) in text.bytes().enumerate() {
        data[i / 8] |= (digit - b'0') << (7 - i % 8);
    }
    assert_eq!(Decoder::new().decode(&data), Err(DecodeError::UnexpectedEnd { length: 1000 }));
}

#[test]
fn headers_are_checked() {
    let packets = stream();
    let with = |byte: usize, value: u8| {
        let mut data = packets[0].data.clone();
        data[byte] = value;
        Decoder::new().decode(&data).unwrap_err()
    };
    assert_eq!(with(0, 1), DecodeError::StartCode(0x201));
    assert_eq!(with(2, 0x88), DecodeError::Version(2));
    assert_eq!(Decoder::new().decode(&packets[1].data), Err(DecodeError::NoReference));
    assert_eq!(Decoder::new().decode(&[]), Err(DecodeError::StartCode(0)));
}
