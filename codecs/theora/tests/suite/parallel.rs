//! Several threads decode what one does.

use std::num::NonZeroUsize;

use oggflv_common::FrameView;

use oggflv_theora::{DecodedFrame, Decoder, FrameKind, Identification, Limits, ParallelDecoder, Setup};

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

#[test]
fn any_number_of_threads_decodes_the_same() {
    for name in common::names() {
        let packets = long_stream(&name);
        let expected = one_by_one(&packets);
        for threads in [1, 2, 3, 8] {
            let actual = side_by_side(&packets, threads);
            assert_eq!(actual.len(), expected.len());
            for (index, (actual, expected)) in actual.iter().zip(&expected).enumerate() {
                assert!(actual == expected, "{name}: frame {index} with {threads} threads");
            }
        }
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
