//! The decoder by file and by number of threads, and its inner loops by level.
//!
//! `cargo bench -p oggflv-theora --features bench`. The files are the vectors in `tests/vectors`, and those that the
//! environment variable `OGGFLV_BENCH_PACKETS` names, separated by colons. They hold packets, each after its length of
//! 32 bits, least significant byte first. `OGGFLV_SIMD` chooses the level of the decoder.

use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use criterion::{Criterion, Throughput};
use oggflv_common::simd::Level;
use oggflv_theora::bench::KernelBench;
use oggflv_theora::{Decoder, Identification, Limits, ParallelDecoder, Setup};

fn read_packets(path: &Path) -> Vec<Vec<u8>> {
    let file = std::fs::read(path).expect("a file of packets");
    let mut rest = &file[..];
    let mut packets = Vec::new();
    while let Some((length, tail)) = rest.split_first_chunk() {
        let (packet, tail) = tail.split_at(u32::from_le_bytes(*length) as usize);
        packets.push(packet.to_vec());
        rest = tail;
    }
    packets
}

fn files() -> Vec<PathBuf> {
    let vectors = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors");
    let mut files =
        ["420", "coarse", "rate", "random-15"].map(|name| vectors.join(format!("{name}.pkt"))).to_vec();
    if let Some(named) = std::env::var_os("OGGFLV_BENCH_PACKETS") {
        files.extend(std::env::split_paths(&named));
    }
    files
}

fn headers(packets: &[Vec<u8>]) -> (Identification, Setup) {
    let identification = Identification::parse(&packets[0]).expect("an identification header");
    (identification, Setup::parse(&packets[2]).expect("a setup header"))
}

fn decode(packets: &[Vec<u8>]) {
    let (identification, setup) = headers(packets);
    let mut decoder = Decoder::new(identification, setup, &Limits::default()).expect("a frame of usual size");
    for packet in &packets[3..] {
        decoder.decode(packet).expect("a packet that decodes");
    }
}

fn decode_parallel(packets: &[Vec<u8>], threads: NonZeroUsize) {
    let (identification, setup) = headers(packets);
    let decoder = ParallelDecoder::new(identification, setup, &Limits::default(), threads);
    let mut decoder = decoder.expect("a frame of usual size");
    for packet in &packets[3..] {
        decoder.decode(packet.clone());
    }
    while decoder.finish().is_some() {}
}

fn decoder(criterion: &mut Criterion) {
    for file in files() {
        let packets = read_packets(&file);
        let mut group = criterion.benchmark_group(file.file_stem().unwrap_or_default().to_string_lossy());
        group.sample_size(10).throughput(Throughput::Elements(packets.len() as u64 - 3));
        group.bench_function("decoder", |bencher| bencher.iter(|| decode(&packets)));
        for threads in [1, 2, 4].into_iter().filter_map(NonZeroUsize::new) {
            let name = format!("parallel decoder, threads: {threads}");
            group.bench_function(name, |bencher| bencher.iter(|| decode_parallel(&packets, threads)));
        }
    }
}

fn kernels(criterion: &mut Criterion) {
    for level in Level::available() {
        let mut group = criterion.benchmark_group(format!("row of 200 blocks, {}", level.name()));
        let mut kernels = KernelBench::new(level);
        for last in [2, 9, 63] {
            let name = format!("reconstruct up to {last}");
            group.bench_function(name, |bencher| bencher.iter(|| kernels.reconstruct_row(last)));
        }
        group.bench_function("reconstruct dc", |bencher| bencher.iter(|| kernels.reconstruct_dc_row()));
        group.bench_function("filter", |bencher| bencher.iter(|| kernels.filter_row()));
    }
}

fn main() {
    let mut criterion = Criterion::default().configure_from_args();
    decoder(&mut criterion);
    kernels(&mut criterion);
    criterion.final_summary();
}
