//! Times of the scaler, whole pictures on one thread.
//!
//! The environment variable `OGGFLV_SIMD` chooses among the vector instructions of the machine.

#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use oggflv::scale::{Filter, Region, Scaler};
use oggflv_common::simd::Level;
use oggflv_common::{Frame, PixelFormat};

fn noise(width: usize, height: usize) -> Frame {
    let mut frame = Frame::new(PixelFormat::Yuv420, width, height);
    let mut state = 1_u32;
    for plane in &mut frame.planes {
        for sample in plane.data_mut() {
            state = state.wrapping_mul(1664525).wrapping_add(1013904223);
            *sample = (state >> 24) as u8;
        }
    }
    frame
}

fn scale(criterion: &mut Criterion) {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread can be started");
    let mut group = criterion.benchmark_group(format!("scale/{}", Level::active().name()));
    for ((width, height), (target_width, target_height)) in
        [((1600, 1000), (800, 600)), ((640, 480), (800, 600)), ((1920, 1080), (640, 360))]
    {
        let source = noise(width, height);
        let mut target = Frame::new(PixelFormat::Yuv420, target_width, target_height);
        let region = Region { format: PixelFormat::Yuv420, x: 0, y: 0, width, height };
        group.throughput(Throughput::Elements((target_width * target_height) as u64));
        for filter in [Filter::Bilinear, Filter::Bicubic, Filter::Lanczos3] {
            let scaler = Scaler::with_filter(&region, target_width, target_height, filter);
            let name = format!("{filter:?} {width}x{height} to {target_width}x{target_height}");
            group.bench_function(name, |bencher| {
                pool.install(|| bencher.iter(|| scaler.scale(&black_box(&source).view(), &mut target)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, scale);
criterion_main!(benches);
