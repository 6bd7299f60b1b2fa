//! Several threads decode what one does.

use std::num::NonZeroUsize;

use oggflv_common::FrameView;

use oggflv_theora::{
    DecodedFrame, Decoder, FrameKind, Identification, Limits, ParallelDecoder, Setup, is_keyframe,
};

use crate::common;

fn parallel(packets: &[Vec<u8>], threads: usize) -> Result<ParallelDecoder, oggflv_theora::Error> {
    let (identification, setup) = (Identification::parse(&packets[0])?, Setup::parse(&packets[2])?);
    ParallelDecoder::new(
        identification,
        setup,
        &Limits { max_pixels: 1 << 20 },
        NonZeroUsize::new(threads).unwrap(),
    )
}

fn samples(view: FrameView<'_>) -> Vec<&[u8]> {
    view.planes.into_iter().flat_map(|plane| plane.rows()).collect()
}

/// Everything about a frame that can be asked for.
type Facts = (Option<FrameKind>, Vec<u8>, Vec<bool>);

fn one_by_one(packets: &[Vec<u8>]) -> Vec<Facts> {
    let mut decoder: Decoder = common::decoder(packets).unwrap();
    let mut decode = |packet: &Vec<u8>| {
        let kind = decoder.decode(packet).ok();
        let unchanged = (0..3).flat_map(|pli| all(decoder.unchanged(pli))).collect();
        (kind, samples(decoder.picture()).concat(), unchanged)
    };
    packets[3..].iter().map(&mut decode).collect()
}

fn all(blocks: oggflv_theora::UnchangedBlocks<'_>) -> Vec<bool> {
    (0..blocks.rows).flat_map(|row| (0..blocks.columns).map(move |column| blocks.get(column, row))).collect()
}

fn facts(frame: &DecodedFrame) -> Facts {
    let unchanged = (0..3).flat_map(|pli| all(frame.unchanged(pli))).collect();
    (frame.kind().ok(), samples(frame.picture()).concat(), unchanged)
}

/// Decodes with some threads; every seventh frame is kept for a while, so that its picture is not free.
fn side_by_side(packets: &[Vec<u8>], threads: usize) -> Vec<Facts> {
    let mut decoder = parallel(packets, threads).unwrap();
    let (mut frames, mut kept) = (Vec::new(), Vec::new());
    let mut take = |frame: DecodedFrame| {
        frames.push(facts(&frame));
        if frames.len() % 7 == 0 {
            kept.push((frames.len() - 1, frame));
        }
        if kept.len() > 3 {
            let (index, frame) = kept.remove(0);
            assert!(facts(&frame) == frames[index], "a frame that was kept has changed");
        }
    };
    for packet in &packets[3..] {
        decoder.decode(packet.clone()).into_iter().for_each(&mut take);
    }
    while let Some(frame) = decoder.finish() {
        take(frame);
    }
    frames
}

/// All vectors of one size after one another, several times, with packets that are refused and empty ones in between.
fn long_stream(name: &str) -> Vec<Vec<u8>> {
    let packets = common::packets(name);
    let mut stream = packets[..3].to_vec();
    let mut random = common::Random(3);
    for _ in 0..8 {
        for packet in &packets[3..] {
            stream.push(packet.clone());
            match random.below(6) {
                0 => stream.push(Vec::new()),
                1 => stream.push(vec![0x80]),
                2 => stream.push(packets[3 + random.below(packets.len() - 3)].clone()),
                _ => {}
            }
        }
    }
    stream
}

/// Packets of a vector in any order: it may begin without a key frame, then key frames come at random distances, up to
/// many times the packets that are in work, and some packets are damaged.
fn random_stream(name: &str, seed: u64) -> Vec<Vec<u8>> {
    let packets = common::packets(name);
    let (headers, data) = packets.split_at(3);
    let mut random = common::Random(seed);
    let mut stream = headers.to_vec();
    let (keys, others): (Vec<_>, Vec<_>) = data.iter().partition(|packet| is_keyframe(packet));
    let others = if others.is_empty() { &keys } else { &others };
    for _ in 0..6 {
        let limit = [2, 12, 90][random.below(3)];
        for _ in 0..random.below(limit) {
            let mut packet = others[random.below(others.len())].clone();
            match random.below(8) {
                0 => packet.truncate(random.below(packet.len() + 1)),
                1 if !packet.is_empty() => {
                    let position = random.below(packet.len());
                    packet[position] ^= 1 << random.below(8);
                }
                _ => {}
            }
            stream.push(packet);
        }
        stream.push(keys[random.below(keys.len())].clone());
    }
    stream
}

fn check(packets: &[Vec<u8>], label: &str) {
    let expected = one_by_one(packets);
    for threads in [1, 2, 3, 8] {
        let actual = side_by_side(packets, threads);
        assert_eq!(actual.len(), expected.len());
        for (index, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
            assert!(actual == expected, "{label}: frame {index} with {threads} threads");
        }
    }
}

#[test]
fn any_number_of_threads_decodes_the_same() {
    for name in common::names() {
        check(&long_stream(&name), &name);
    }
}

#[test]
fn key_frames_may_come_at_any_distance() {
    for (seed, name) in common::names().iter().enumerate() {
        check(&random_stream(name, seed as u64), name);
    }
}

/// With one thread every call gives the frame of its packet; with more, as many packets as are in work come first.
#[test]
fn frames_come_a_fixed_number_of_packets_later() {
    let packets = long_stream("420");
    for (threads, delay) in [(1, 0), (2, 10), (3, 15)] {
        let mut decoder = parallel(&packets, threads).unwrap();
        for (index, packet) in packets[3..].iter().enumerate() {
            assert_eq!(decoder.decode(packet.clone()).is_some(), index >= delay, "packet {index}");
        }
        for _ in 0..delay {
            assert!(decoder.finish().is_some());
        }
        assert!(decoder.finish().is_none());
        // After the end more may follow.
        assert_eq!(decoder.decode(packets[3].clone()).is_some(), delay == 0);
        assert_eq!(decoder.finish().is_some(), delay > 0);
    }
}

#[test]
fn a_decoder_may_be_dropped_at_any_time() {
    let packets = long_stream("420");
    for count in 3..40 {
        let mut decoder = parallel(&packets, 3).unwrap();
        let frames: Vec<DecodedFrame> =
            packets[3..count].iter().filter_map(|packet| decoder.decode(packet.clone())).collect();
        drop(decoder);
        assert!(frames.iter().all(|frame| !samples(frame.picture()).is_empty()));
    }
}

/// Frames so large that idle threads help with their planes, of packets at random.
#[test]
fn large_planes_are_made_in_bands() {
    let mut packets = common::packets("420")[..3].to_vec();
    // FMBW, FMBH, PICW, PICH, PICX and PICY (section 6.2): 1024x1024 samples.
    packets[0][10..22].copy_from_slice(&[0, 64, 0, 64, 0, 4, 0, 0, 4, 0, 0, 0]);
    let mut random = common::Random(5);
    for index in 0..24 {
        let mut packet: Vec<u8> = (0..4000).map(|_| random.below(256) as u8).collect();
        // The frame type and a qi; no second one.
        packet[0] = if index % 9 == 0 { 20 } else { 0x40 | 20 };
        packet[1] &= 0x0F;
        packets.push(packet);
    }
    let expected = one_by_one(&packets);
    assert!(expected.iter().all(|(kind, ..)| matches!(kind, Some(FrameKind::Key | FrameKind::Inter))));
    assert!(expected.windows(2).all(|pair| pair[0].1 != pair[1].1), "all frames differ");
    for threads in [3, 5, 8] {
        assert!(side_by_side(&packets, threads) == expected, "{threads} threads");
    }
}
