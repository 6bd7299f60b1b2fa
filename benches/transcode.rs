//! The whole conversion of the sample, and its two halves.

#![allow(missing_docs, reason = "criterion's macros make functions without any")]

use std::hint::black_box;
use std::ops::ControlFlow;
use std::path::Path;

use criterion::{Criterion, criterion_group, criterion_main};
use oggflv::{Options, convert_file};

fn transcode(criterion: &mut Criterion) {
    let input = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media/flash-click.ogv"));
    let output = std::env::temp_dir().join(format!("oggflv-bench-{}.flv", std::process::id()));
    let mut group = criterion.benchmark_group("transcode 4 s of 320x240");
    group.sample_size(10);
    let video = Options { audio: false, ..Options::default() };
    let audio = Options { video: false, ..Options::default() };
    for (name, options) in [("all", Options::default()), ("pictures", video), ("sound", audio)] {
        group.bench_function(name, |bencher| {
            bencher.iter(|| {
                let mut go_on = |_| ControlFlow::Continue(());
                black_box(convert_file(input, &output, true, &options, &mut go_on))
                    .expect("the sample converts")
            });
        });
    }
    let _ = std::fs::remove_file(&output);
}

criterion_group!(benches, transcode);
criterion_main!(benches);
