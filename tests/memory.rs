//! What headers claim does not decide how much memory a conversion takes. In a program of its own: other tests would take some.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::ops::ControlFlow;

use common::memory::{MOST_MEMORY, peak_memory};
use common::sample::{multiplex, stream};
use oggflv::ogg::Codec;
use oggflv::{Options, convert_file};

/// Pictures of the sample under a header that claims 4096x4096, which is the largest that is taken by default.
#[test]
fn the_largest_pictures_take_bounded_memory_with_many_threads() {
    let mut video = stream(Codec::Theora).cut(32);
    // FMBW, FMBH, PICW, PICH, PICX, PICY (Theora specification, 6.2).
    video.packets[0][10..22].copy_from_slice(&[1, 0, 1, 0, 0, 16, 0, 0, 16, 0, 0, 0]);
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.ogv"), folder.path().join("out.flv"));
    fs::write(&input, multiplex(&[video.pages(1, 0)])).unwrap();
    let options = Options { threads: 16.try_into().unwrap(), ..Options::default() };
    let report = convert_file(&input, &output, true, &options, &mut |_| ControlFlow::Continue(())).unwrap();
    assert_eq!((report.size, report.pictures.decoded), (Some((4096, 4096)), 32));
    let peak = peak_memory();
    assert!(peak < MOST_MEMORY, "{} MiB", peak >> 20);
}
