//! The encoder behind a lookahead, with several threads, and at a bit rate.

mod common;

use common::{Content, frame, psnr, samples, squared_errors};
use oggflv_sorenson::{Config, Decoder, Encoder, Input, Lookahead, Packet, ParallelEncoder, Preset};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

fn config(quantizer: u8) -> Config {
    Config { width: 104, height: 88, quantizer, keyint: 250 }
}

/// Frames with their plans.
fn planned(config: &Config, content: Content, count: usize) -> Vec<Input> {
    let mut lookahead = Lookahead::new(config);
    let mut inputs = Vec::new();
    for n in 0..count {
        lookahead.send(frame(content, config.width, config.height, n)).expect("the frame fits");
        inputs.extend(
            std::iter::from_fn(|| lookahead.receive()).map(|(frame, plan)| Input::Frame(frame, plan)),
        );
    }
    lookahead.finish();
    inputs.extend(std::iter::from_fn(|| lookahead.receive()).map(|(frame, plan)| Input::Frame(frame, plan)));
    assert!(lookahead.is_finished() && inputs.len() == count);
    inputs
}

fn encode(config: &Config, preset: Preset, threads: usize, inputs: Vec<Input>) -> Vec<Packet> {
    let threads = NonZeroUsize::new(threads).expect("there is a thread");
    let mut encoder = ParallelEncoder::new(config.clone(), preset, threads).expect("the settings are legal");
    let mut packets = Vec::new();
    for input in inputs {
        packets.extend(encoder.encode(input).expect("the frame fits"));
    }
    packets.extend(std::iter::from_fn(|| encoder.finish()));
    packets.into_iter().map(|output| output.packet).collect()
}

#[test]
fn packets_do_not_depend_on_the_number_of_threads() {
    for preset in [Preset::Fast, Preset::Balanced, Preset::Best] {
        let config = Config { keyint: 13, ..config(4) };
        let mut inputs = planned(&config, Content::Moving, 30);
        inputs.insert(9, Input::Repeat);
        inputs.insert(0, Input::Repeat);
        let one = encode(&config, preset, 1, inputs.clone());
        assert_eq!(one.len(), 32);
        for threads in [2, 3, 7, 40] {
            assert!(encode(&config, preset, threads, inputs.clone()) == one, "{threads} threads");
        }
    }
}

#[test]
fn planned_pictures_decode_to_the_reconstruction() {
    for (preset, content, quantizer) in [
        (Preset::Fast, Content::Moving, 3),
        (Preset::Balanced, Content::Cuts, 9),
        (Preset::Best, Content::Moving, 14),
        (Preset::Best, Content::Grain, 2),
    ] {
        let config = config(quantizer);
        let mut encoder = Encoder::with_preset(config.clone(), preset).unwrap();
        let mut decoder = Decoder::new();
        for input in planned(&config, content, 14) {
            let Input::Frame(frame, plan) = input else { unreachable!("all inputs are frames") };
            let packet = encoder.encode_planned(&frame, &plan).unwrap();
            decoder.decode(&packet.data).unwrap();
            assert!(
                samples(&decoder.picture()) == samples(&encoder.reconstruction().view()),
                "{preset:?} {content:?}"
            );
        }
    }
}

#[test]
fn errors_are_measured_with_any_number_of_threads() {
    let config = config(6);
    let mut inputs = planned(&config, Content::Moving, 6);
    inputs.insert(3, Input::Repeat);
    for threads in [1, 2, 5] {
        let threads = NonZeroUsize::new(threads).unwrap();
        let encoder = ParallelEncoder::new(config.clone(), Preset::Fast, threads).unwrap();
        let mut encoder = encoder.measuring();
        let mut outputs = Vec::new();
        for input in inputs.clone() {
            outputs.extend(encoder.encode(input).unwrap());
        }
        outputs.extend(std::iter::from_fn(|| encoder.finish()));
        assert_eq!(outputs.len(), 7);
        let mut decoder = Decoder::new();
        for output in outputs {
            decoder.decode(&output.packet.data).unwrap();
            let expected = output
                .frame
                .map(|frame| squared_errors(&frame.view(), &decoder.picture()).map(|(error, _)| error));
            assert_eq!(output.squared_errors, expected);
        }
    }
}

#[test]
fn threads_work_within_what_the_caller_wants() {
    let began = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&began);
    let mut encoder = ParallelEncoder::new(config(6), Preset::Fast, NonZeroUsize::new(3).unwrap())
        .unwrap()
        .within(Arc::new(move |work| {
            counter.fetch_add(1, Ordering::Relaxed);
            work();
        }));
    for _ in 0..9 {
        encoder.encode(Input::Repeat).unwrap();
    }
    drop(encoder);
    assert_eq!(began.load(Ordering::Relaxed), 3);
}

/// Scenes change at frames 6, 12, 18, ...; key frames are at least 10 frames apart.
#[test]
fn scene_cuts_become_key_frames() {
    let config = config(8);
    let packets = encode(&config, Preset::Fast, 1, planned(&config, Content::Cuts, 40));
    let keys: Vec<usize> = (0..40).filter(|&n| packets[n].key).collect();
    assert_eq!(keys, [0, 12, 24, 36]);
    let packets = encode(&config, Preset::Fast, 1, planned(&config, Content::Moving, 40));
    assert_eq!(packets.iter().filter(|packet| packet.key).count(), 1);
}

/// Bits and luma PSNR of a whole clip.
fn measure(config: &Config, content: Content, packets: &[Packet]) -> (usize, f64) {
    let mut decoder = Decoder::new();
    let (mut error, mut count) = (0, 0);
    for (n, packet) in packets.iter().enumerate() {
        decoder.decode(&packet.data).expect("the picture is good");
        let source = frame(content, config.width, config.height, n);
        let [(e, c), ..] = squared_errors(&decoder.picture(), &source.view());
        (error, count) = (error + e, count + c);
    }
    (packets.iter().map(|packet| packet.data.len() * 8).sum(), psnr(error, count))
}

/// What later pictures build on gets a finer quantiser: a still scene must look better than with one quantiser.
#[test]
fn the_macroblock_tree_favours_what_stays() {
    let config = config(12);
    let plain: Vec<Packet> = common::encode(&config, Content::Static, 30);
    let (plain_bits, plain_psnr) = measure(&config, Content::Static, &plain);
    let packets = encode(&config, Preset::Balanced, 1, planned(&config, Content::Static, 30));
    let (bits, psnr) = measure(&config, Content::Static, &packets);
    assert!(psnr > plain_psnr + 2.0, "{psnr:.2} dB, {plain_psnr:.2} dB without");
    assert!(bits < 4 * plain_bits, "{bits} bits, {plain_bits} without");
}

#[test]
fn more_effort_makes_smaller_pictures() {
    let config = config(6);
    let [fast, best] = [Preset::Fast, Preset::Best].map(|preset| {
        let packets = encode(&config, preset, 2, planned(&config, Content::Moving, 24));
        measure(&config, Content::Moving, &packets)
    });
    // Six decibels are worth about twice the bits.
    let rate = |(bits, psnr): (usize, f64)| (bits as f64).log2() - psnr / 6.0;
    assert!(rate(best) < rate(fast) - 0.05, "best {best:?}, fast {fast:?}");
}
