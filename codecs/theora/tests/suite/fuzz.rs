//! Random streams against libtheora, wherever it is installed.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::common;
use crate::writer::StreamWriter;

/// A random legal stream of some frames.
fn stream(seed: u64) -> Vec<Vec<u8>> {
    let (mut writer, mut packets) = StreamWriter::new(seed);
    for index in 0..8 {
        packets.push(writer.packet(index % 6 == 0));
    }
    packets
}

/// Builds the oracle of the vectors' directory. None without a C compiler or libtheora.
fn oracle() -> Option<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/oracle.c");
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("oracle");
    let built = Command::new("cc")
        .arg("-O2")
        .arg("-o")
        .arg(&program)
        .arg(source)
        .args(["-ltheoradec", "-logg"])
        .output();
    built.is_ok_and(|output| output.status.success()).then_some(program)
}

/// What libtheora makes of the packets.
fn ask(oracle: &Path, name: &str, packets: &[Vec<u8>]) -> Vec<String> {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    std::fs::write(&path, common::pack(packets)).unwrap();
    let output = Command::new(oracle).arg(&path).output().unwrap();
    assert!(output.status.success(), "{}", path.display());
    String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect()
}

#[test]
fn random_streams_decode_as_libtheora_decodes_them() {
    let Some(oracle) = oracle() else {
        println!("neither a C compiler nor libtheora: nothing compared");
        return;
    };
    let seeds = std::env::var("OGGFLV_FUZZ_STREAMS").map_or(60, |count| count.parse().unwrap());
    for seed in 0..seeds {
        let packets = stream(seed);
        let expected = ask(&oracle, &format!("random-{seed}.pkt"), &packets);
        let mut decoder = common::decoder(&packets).unwrap();
        for (index, packet) in packets[3..].iter().enumerate() {
            let actual = common::decode(&mut decoder, packet);
            assert_eq!(actual, expected[index], "frame {index} of stream {seed}");
        }
    }
}

#[test]
fn random_streams_are_legal_and_varied() {
    let streams: Vec<_> = (0..40).map(stream).collect();
    for packets in &streams {
        let mut decoder = common::decoder(packets).unwrap();
        for packet in &packets[3..] {
            decoder.decode(packet).unwrap();
        }
    }
    let sizes = || streams.iter().flat_map(|packets| &packets[3..]).map(Vec::len);
    assert!(sizes().any(|size| size > 1000) && sizes().any(|size| size < 20), "packets of all sizes");
}
