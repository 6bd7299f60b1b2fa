//! The encoder by bitrate and quality, and its inner loops by level.
//!
//! `cargo bench -p oggflv-mp3 --features bench`. The input is ten seconds of chords with noise and attacks, made here;
//! the throughput is in samples of each channel. `OGGFLV_SIMD` chooses the level of the encoder.

use criterion::{Criterion, Throughput};
use oggflv_common::simd::Level;
use oggflv_mp3::bench::KernelBench;
use oggflv_mp3::{Config, Encoder};

const SAMPLE_RATE: u32 = 44100;

/// Chords that change twice a second, each with a noisy attack, over faint noise.
fn music(length: usize, detune: f32) -> Vec<f32> {
    let mut state = 1u32;
    (0..length)
        .map(|i| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let noise = (state >> 8) as f32 / 8_388_608.0 - 1.0;
            let (beat, place) = (i / 22050, (i % 22050) as f32 / SAMPLE_RATE as f32);
            let root = 110.0 * detune * [1.0, 1.33, 1.5, 1.125][beat % 4];
            let phase = std::f32::consts::TAU * place * root;
            let chord: f32 = (1..20).map(|k| (phase * k as f32).sin() / k as f32).sum();
            0.3 * chord * (-3.0 * place).exp() + noise * (0.3 * (-60.0 * place).exp() + 0.003)
        })
        .collect()
}

fn encode(encoder: Encoder, pcm: &[Vec<f32>]) -> usize {
    let mut encoder = encoder;
    let mut frames = Vec::new();
    encoder.encode(&[&pcm[0], &pcm[1]], &mut frames);
    encoder.finish(&mut frames);
    frames.len()
}

fn encoder(criterion: &mut Criterion) {
    let length = 10 * SAMPLE_RATE as usize;
    let pcm = [music(length, 1.0), music(length, 1.01)];
    let mut group = criterion.benchmark_group("encoder");
    group.sample_size(10).throughput(Throughput::Elements(length as u64));
    for kilobits in [64, 128, 192, 320] {
        group.bench_function(format!("{kilobits} kbit/s"), |bencher| {
            let config = Config::new(SAMPLE_RATE, 2, kilobits * 1000);
            bencher.iter(|| encode(Encoder::new(config).expect("a legal bitrate"), &pcm));
        });
    }
    for quality in [0, 2, 5, 9] {
        group.bench_function(format!("quality {quality}"), |bencher| {
            let encoder = || Encoder::new_vbr(SAMPLE_RATE, 2, quality).expect("a legal quality");
            bencher.iter(|| encode(encoder(), &pcm));
        });
    }
    group.finish();
}

fn kernels(criterion: &mut Criterion) {
    for level in Level::available() {
        let mut bench = KernelBench::new(level).expect("a legal format");
        let mut group = criterion.benchmark_group(level.name());
        group.bench_function("powers", |bencher| bencher.iter(|| bench.powers()));
        group.bench_function("measure", |bencher| bencher.iter(|| bench.measure()));
        group.bench_function("polyphase", |bencher| bencher.iter(|| bench.polyphase()));
        group.bench_function("mdct", |bencher| bencher.iter(|| bench.mdct()));
        group.bench_function("masking", |bencher| bencher.iter(|| bench.masking()));
        group.finish();
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    encoder(&mut criterion);
    kernels(&mut criterion);
    criterion.final_summary();
}
