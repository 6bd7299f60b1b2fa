//! Rate control with the real encoder.

mod common;

use common::{Content, frame};
use oggflv_sorenson::{Config, Input, Lookahead, Output, Packet, ParallelEncoder, Preset, RateControl};
use std::num::NonZeroUsize;
use std::time::Duration;

const CONFIG: Config = Config { width: 104, height: 88, quantizer: 31, keyint: 250 };
const FRAMES_PER_SECOND: u64 = 25;

/// A clip whose frame `n` appears at `n` 25ths of a second, except that those for which `absent` holds are left out.
fn clip(
    count: u64,
    content: impl Fn(u64) -> Content,
    absent: impl Fn(u64) -> bool,
) -> Vec<(Duration, Input)> {
    let time = |n| Duration::from_millis(n * 1000 / FRAMES_PER_SECOND);
    let mut lookahead = Lookahead::with_preset(&CONFIG, Preset::Fast);
    let (mut times, mut inputs) = (Vec::new(), Vec::new());
    for n in (0..count).filter(|&n| !absent(n)) {
        let frame = frame(content(n), CONFIG.width, CONFIG.height, n as usize);
        lookahead.send_at(frame, time(n)).expect("the frame fits");
        times.push(time(n));
        inputs.extend(std::iter::from_fn(|| lookahead.receive()));
    }
    lookahead.finish_at(time(count));
    inputs.extend(std::iter::from_fn(|| lookahead.receive()));
    assert!(times.len() == inputs.len() && lookahead.is_finished());
    times.into_iter().zip(inputs).map(|(time, (frame, plan))| (time, Input::Frame(frame, plan))).collect()
}

/// Scenes of 60 frames: grain on a still texture, a pan, and a standing picture.
fn scenes(n: u64) -> Content {
    [Content::Grain, Content::Moving, Content::Static][(n / 60 % 3) as usize]
}

fn encode(clip: &[(Duration, Input)], threads: usize, rate: RateControl) -> (Vec<Packet>, RateControl) {
    let threads = NonZeroUsize::new(threads).expect("there is a thread");
    let mut encoder =
        ParallelEncoder::new(CONFIG, Preset::Fast, threads).expect("the settings are legal").with_rate(rate);
    let mut packets = Vec::new();
    let mut take = |output: Option<Output>| packets.extend(output.map(|output| output.packet));
    for (_, input) in clip {
        take(encoder.encode(input.clone()).expect("the frame fits"));
    }
    while let Some(output) = encoder.finish() {
        take(Some(output));
    }
    assert_eq!(packets.len(), clip.len());
    (packets, encoder.into_rate().expect("it was given one"))
}

fn bits(packets: &[Packet]) -> f64 {
    packets.iter().map(|packet| 8.0 * packet.data.len() as f64).sum()
}

/// How often a player with a buffer of `size` bits, filled at `rate` bits a second, has to wait.
fn underflows(clip: &[(Duration, Input)], packets: &[Packet], rate: f64, size: f64) -> usize {
    let (mut fullness, mut last, mut count) = (size, Duration::ZERO, 0);
    for ((time, _), packet) in clip.iter().zip(packets) {
        fullness = (fullness + rate * (*time - last).as_secs_f64()).min(size);
        fullness -= 8.0 * packet.data.len() as f64;
        last = *time;
        count += usize::from(fullness < -1e-3);
    }
    count
}

#[track_caller]
fn assert_near(bits: f64, wanted: f64, tolerance: f64) {
    let error = bits / wanted - 1.0;
    assert!(error.abs() < tolerance, "{:+.2} % of {wanted}", 100.0 * error);
}

#[test]
fn the_average_is_met() {
    let clip = clip(1500, scenes, |_| false);
    for rate in [60_000, 150_000, 400_000] {
        let (packets, _) = encode(&clip, 2, RateControl::average(rate));
        assert_near(bits(&packets), 60.0 * f64::from(rate), 0.02);
    }
}

/// Bits are counted against time: with two frames of three left out, the others get three times as many bits.
#[test]
fn the_average_is_met_at_a_variable_frame_rate() {
    let clip = clip(750, |_| Content::Moving, |n| n / 100 % 2 == 1 && n % 3 > 0);
    assert!(clip.len() < 520);
    let (packets, _) = encode(&clip, 1, RateControl::average(120_000));
    assert_near(bits(&packets), 30.0 * 120_000.0, 0.02);
}

/// A still picture does not need what it is offered.
#[test]
fn quantiser_1_is_fine_enough() {
    let clip = clip(100, |_| Content::Static, |_| false);
    let (finest, _) = encode(&clip, 1, RateControl::constant(16));
    let (packets, _) = encode(&clip, 1, RateControl::average(2_000_000));
    assert!(bits(&packets) <= bits(&finest));
    assert!(bits(&packets) > 0.9 * bits(&finest));
}

/// The errors of the totals of several passes, of which the first is at about the right rate.
fn errors_of_total(clip: &[(Duration, Input)], part: f64, passes: usize) -> Vec<f64> {
    let (natural, _) = encode(clip, 2, RateControl::constant(5 * 16));
    let wanted = part * bits(&natural);
    let mut rate = RateControl::average((wanted * FRAMES_PER_SECOND as f64 / clip.len() as f64) as u32);
    let error = |_| {
        let (packets, first) = encode(clip, 2, rate.clone().recording());
        let first = first.into_first_pass().expect("it was recording");
        assert_eq!((first.pictures(), first.bits() as f64), (packets.len(), bits(&packets)));
        rate = RateControl::two_pass(&first, wanted as u64);
        bits(&packets) / wanted - 1.0
    };
    (0..passes).map(error).collect()
}

#[test]
fn the_total_is_met() {
    let scenes = |n: u64| [Content::Moving, Content::Static, Content::Cuts][(n / 60 % 3) as usize];
    let clip = clip(250, scenes, |_| false);
    for part in [0.4, 0.7, 1.0, 1.5, 2.0] {
        let errors = errors_of_total(&clip, part, 2);
        assert!(errors[1].abs() < 0.01, "{errors:?} of {part}");
    }
}

/// Noise of one amplitude takes a hundred times the bits at half the quantiser, which nothing foresees; a minute is long
/// enough to make up for it.
#[test]
fn the_total_is_met_with_noise() {
    let clip = clip(1500, scenes, |_| false);
    for part in [0.4, 0.5, 0.7, 1.0, 1.5, 2.0] {
        let errors = errors_of_total(&clip, part, 2);
        assert!(errors[1].abs() < 0.01, "{errors:?} of {part}");
    }
}

/// A first pass at quite another quantiser still leads there, and one of another length does no harm.
#[test]
fn the_first_pass_may_be_different() {
    let clip = clip(250, |_| Content::Moving, |_| false);
    let (natural, _) = encode(&clip, 2, RateControl::constant(8 * 16));
    let (_, first) = encode(&clip, 2, RateControl::constant(3 * 16).recording());
    let first = first.into_first_pass().expect("it was recording");
    let (packets, _) = encode(&clip, 2, RateControl::two_pass(&first, bits(&natural) as u64));
    assert_near(bits(&packets), bits(&natural), 0.01);
    let (_, first) = encode(&clip[..100], 2, RateControl::constant(3 * 16).recording());
    encode(&clip, 2, RateControl::two_pass(&first.into_first_pass().unwrap(), 400_000));
    encode(&clip[..50], 2, RateControl::two_pass(&Default::default(), 400_000));
}

#[test]
fn the_buffer_never_runs_empty() {
    let clip = clip(250, scenes, |_| false);
    let free = [RateControl::constant(2 * 16), RateControl::average(140_000), RateControl::average(400_000)];
    for rate in free {
        let (unbounded, _) = encode(&clip, 1, rate.clone());
        for (line, size) in [(150_000, 150_000), (150_000, 60_000), (150_000, 40_000), (40_000, 40_000)] {
            let [rate_of_line, size_of_buffer] = [line, size].map(f64::from);
            assert!(underflows(&clip, &unbounded, rate_of_line, size_of_buffer) > 0);
            let (packets, rate) = encode(&clip, 2, rate.clone().bounded(line, size));
            assert_eq!(rate.overflows(), 0);
            assert_eq!(underflows(&clip, &packets, rate_of_line, size_of_buffer), 0);
            assert!(rate.dropped() < 10, "{} of {line}, {size}", rate.dropped());
        }
    }
}

/// The bound changes nothing where nothing comes near it.
#[test]
fn a_wide_buffer_does_not_matter() {
    let clip = clip(90, scenes, |_| false);
    let (free, _) = encode(&clip, 1, RateControl::constant(100));
    let (bounded, _) = encode(&clip, 1, RateControl::constant(100).bounded(50_000_000, 50_000_000));
    assert!(free == bounded);
}

/// Where even quantiser 31 is too much, pictures are dropped, and a key frame only if it fits later.
#[test]
fn pictures_too_large_for_the_line_are_dropped() {
    let clip = clip(120, |_| Content::Noise, |_| false);
    let (line, size) = (300_000, 150_000);
    let (packets, rate) = encode(&clip, 3, RateControl::constant(31 * 16).bounded(line, size));
    assert!(rate.dropped() > 10 && rate.overflows() == 0, "{} dropped", rate.dropped());
    assert_eq!(underflows(&clip, &packets, f64::from(line), f64::from(size)), 0);
    // A buffer that holds no key frame is told of.
    let (packets, rate) = encode(&clip, 3, RateControl::constant(80).bounded(line, 5_000));
    assert!(rate.overflows() > 0 && packets[0].key);
}

#[test]
fn packets_do_not_depend_on_the_number_of_threads() {
    let mut clip = clip(150, scenes, |n| n % 50 > 40);
    clip.insert(40, (clip[39].0, Input::Repeat));
    clip.insert(0, (Duration::ZERO, Input::Repeat));
    let (_, first) = encode(&clip, 2, RateControl::constant(64).recording());
    let first = first.into_first_pass().expect("it was recording");
    for rate in [
        RateControl::constant(75),
        RateControl::average(100_000),
        RateControl::two_pass(&first, 700_000),
        RateControl::constant(40).bounded(80_000, 50_000),
        RateControl::average(90_000).bounded(100_000, 60_000),
        RateControl::two_pass(&first, 500_000).bounded(100_000, 60_000),
        RateControl::constant(40).bounded(3_000, 40_000),
    ] {
        let (one, _) = encode(&clip, 1, rate.clone());
        for threads in [2, 3, 7, 40] {
            assert!(encode(&clip, threads, rate.clone()).0 == one, "{threads} threads, {rate:?}");
        }
    }
}

/// Bits fall from one sixteenth of a quantiser to the next, or hardly rise.
#[test]
fn fractions_of_quantisers_count() {
    let clip = clip(30, |_| Content::Moving, |_| false);
    let sizes: Vec<f64> = (16..=96).map(|q| bits(&encode(&clip, 1, RateControl::constant(q)).0)).collect();
    assert!(sizes.windows(2).all(|pair| pair[1] < 1.01 * pair[0]), "{sizes:?}");
    assert!(sizes.windows(17).all(|octave| octave[16] < 0.97 * octave[0]), "{sizes:?}");
    assert!(sizes.windows(9).all(|octave| octave[8] < octave[0]), "{sizes:?}");
}
