//! The encoder by preset and by number of threads, and its inner loops by level.
//!
//! `cargo bench -p oggflv-sorenson --features bench`. The clip is 24 frames of a textured scene that slides behind a fixed
//! frame, with noise, made here. `OGGFLV_SIMD` chooses the level of the encoder.

use criterion::{Criterion, Throughput};
use oggflv_common::simd::Level;
use oggflv_common::{Frame, PixelFormat};
use oggflv_sorenson::bench::KernelBench;
use oggflv_sorenson::{Config, Input, Lookahead, ParallelEncoder, Preset};
use std::num::NonZeroUsize;

const WIDTH: usize = 400;
const HEIGHT: usize = 300;
const FRAMES: usize = 24;

/// Blobs that move by one and a half samples a frame, and noise, inside a margin that stands still.
fn clip() -> Vec<Frame> {
    let mut state = 1u32;
    let mut noise = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 30) as u8
    };
    (0..FRAMES)
        .map(|number| {
            let mut frame = Frame::new(PixelFormat::Yuv420, WIDTH, HEIGHT);
            for (pli, plane) in frame.planes.iter_mut().enumerate() {
                let scale = if pli == 0 { 1 } else { 2 };
                let (width, height) = (WIDTH.div_ceil(scale), HEIGHT.div_ceil(scale));
                for (i, sample) in plane.data_mut().iter_mut().enumerate() {
                    let (x, y) = (scale * (i % width), scale * (i / width));
                    let still = x < 40 || y < 40 || i / width >= height - 40 / scale;
                    let (x, moved) = if still { (x, 0) } else { (x + 3 * number / 2, noise()) };
                    let blob = (x % 61).abs_diff(30) * (y % 47).abs_diff(23) / 5;
                    *sample = (40 + blob.min(160)) as u8 + moved;
                }
            }
            frame
        })
        .collect()
}

/// Plans and encodes; returns the bytes.
fn encode(frames: &[Frame], preset: Preset, threads: NonZeroUsize) -> usize {
    let config = Config { width: WIDTH, height: HEIGHT, quantizer: 6, keyint: 250 };
    let mut lookahead = Lookahead::with_preset(&config, preset);
    let mut encoder = ParallelEncoder::new(config, preset, threads).expect("legal settings");
    for frame in frames {
        lookahead.send(frame.clone()).expect("a frame of the right size");
    }
    lookahead.finish();
    let mut bytes = 0;
    while let Some((frame, plan)) = lookahead.receive() {
        let output = encoder.encode(Input::Frame(frame, plan)).expect("a frame of the right size");
        bytes += output.map_or(0, |output| output.packet.data.len());
    }
    while let Some(output) = encoder.finish() {
        bytes += output.packet.data.len();
    }
    bytes
}

fn encoder(criterion: &mut Criterion) {
    let frames = clip();
    let mut group = criterion.benchmark_group("encoder");
    group.sample_size(10).throughput(Throughput::Elements(FRAMES as u64));
    for preset in [Preset::Fast, Preset::Balanced, Preset::Best] {
        for threads in [1, 2].into_iter().filter_map(NonZeroUsize::new) {
            let name = format!("{preset:?}, threads: {threads}");
            group.bench_function(name, |bencher| bencher.iter(|| encode(&frames, preset, threads)));
        }
    }
    group.finish();
}

fn kernels(criterion: &mut Criterion) {
    for level in Level::available() {
        let mut bench = KernelBench::new(level);
        let mut group = criterion.benchmark_group(format!("macroblock, {}", level.name()));
        for (name, kernel) in KernelBench::KERNELS {
            group.bench_function(*name, |bencher| bencher.iter(|| kernel(&mut bench)));
        }
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    encoder(&mut criterion);
    kernels(&mut criterion);
    criterion.final_summary();
}
