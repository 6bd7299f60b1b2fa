//! What the fuzz targets once found, and their seeds, without a fuzzer.

#![allow(clippy::unwrap_used, reason = "in a test it says that this must hold")]

#[path = "../fuzz/src/targets.rs"]
mod targets;

use std::fs;
use std::path::Path;

fn replay(target: fn(&[u8]), folders: &[&str]) {
    let mut replayed = 0;
    for folder in folders {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            println!("{}", path.display());
            target(&fs::read(path).unwrap());
            replayed += 1;
        }
    }
    assert!(replayed > 0);
}

#[test]
fn demux_ogg() {
    replay(targets::demux_ogg, &["fuzz/regressions/demux_ogg", "tests/vectors/vorbis"]);
}

#[test]
fn theora() {
    replay(targets::theora, &["fuzz/regressions/theora", "codecs/theora/tests/vectors"]);
}

#[test]
fn sound() {
    replay(targets::sound, &["fuzz/regressions/sound", "tests/vectors/vorbis", "tests/vectors/sound"]);
}

#[test]
fn transcode() {
    replay(
        targets::transcode,
        &["fuzz/regressions/transcode", "tests/vectors/vorbis", "tests/vectors/sound"],
    );
}

#[test]
fn remux() {
    replay(targets::remux, &["fuzz/regressions/remux", "codecs/sorenson/tests/golden"]);
}
