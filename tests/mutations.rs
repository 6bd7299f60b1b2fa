//! Damaged at random, by every means: no file makes the program panic, take long, or take much memory.
//!
//! Long is ten times the CPU time that the file took before the damage, and a millisecond more for every second that the film has
//! become longer by its granule positions. Headers can ask for larger pictures, too: `max_pixels` is little here.
//!
//! `OGGFLV_MUTATIONS` is how many files are tried (300), `OGGFLV_MUTATIONS_SEED` which ones. What fails is kept as
//! `mutation-N.ogv` in the folder for temporary files.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use common::memory::{MOST_MEMORY, peak_memory};
use common::ogg_pages::{Random, seal};
use common::sample::{FLASH_CLICK, multiplex, pages_of, stream, stream_of, theora_vector};
use oggflv::ogg::Codec;
use oggflv::{Error, Options, convert_file};
use rustix::time::{ClockId, clock_gettime};

const MONO: &[u8] = include_bytes!("vectors/vorbis/mono8.ogg");
const STEREO: &[u8] = include_bytes!("vectors/vorbis/stereo.ogg");
const SIX: &[u8] = include_bytes!("vectors/vorbis/six.ogg");
const OPUS: &[u8] = include_bytes!("vectors/sound/mono8.opus");
const FLAC: &[u8] = include_bytes!("vectors/sound/stereo.oga");

/// How many times longer than its seed a file may take.
const SLOWEST: u32 = 10;
/// Below this a duration says nothing.
const NOISE: Duration = Duration::from_millis(30);

/// Small files, each with something that the others do not have.
fn seeds() -> Vec<Vec<u8>> {
    let sound = |file, serial| stream_of(file, Codec::Vorbis).pages(serial, 0);
    let video = |name: &str, serial| theora_vector(name).pages(serial, 0);
    vec![
        multiplex(&[stream(Codec::Theora).cut(40).pages(1, 0), stream(Codec::Vorbis).cut(80).pages(2, 0)]),
        multiplex(&[video("420-odd", 9), pages_of(OPUS)]),
        multiplex(&[video("422-odd", 1), sound(MONO, 2)]),
        multiplex(&[video("444-odd", 1), sound(STEREO, 2)]),
        multiplex(&[theora_vector("golden").pages(1, 900_000 << 6), sound(STEREO, 2)]),
        SIX.to_vec(),
        FLAC.to_vec(),
        multiplex(&[video("random-4", 1), video("still", 2), sound(MONO, 3), sound(STEREO, 4)]),
        // A chain whose links differ in size, rate and channels and have the same serial numbers.
        [multiplex(&[video("coarse", 1), sound(MONO, 2)]), multiplex(&[video("random-3", 1), sound(SIX, 2)])]
            .concat(),
        // Links without sound, without pictures, with both.
        [multiplex(&[video("random-5", 1)]), STEREO.to_vec(), FLASH_CLICK[..30_000].to_vec()].concat(),
    ]
}

/// Where pages begin, and the end.
fn pages(file: &[u8]) -> Vec<usize> {
    let mut starts: Vec<usize> = (0..file.len()).filter(|&at| file[at..].starts_with(b"OggS\0")).collect();
    starts.push(file.len());
    starts
}

/// Changes a file a little.
fn mutate(file: &mut Vec<u8>, random: &mut Random) {
    for _ in 0..=random.below(4) {
        let starts = pages(file);
        if starts.len() < 2 {
            return;
        }
        let index = random.below(starts.len() - 1);
        let (start, end) = (starts[index], starts[index + 1]);
        match random.below(10) {
            0 => drop(file.drain(start..end)),
            1 => drop(file.drain(start + random.below(end - start)..end)),
            2 => {
                let (at, len) = (random.below(file.len()), random.below(500));
                let noise = random.bytes(len);
                file.splice(at..at, noise);
            }
            3 => {
                let page = file[start..end].to_vec();
                let at = starts[random.below(starts.len())];
                file.splice(at..at, page);
            }
            4 => file.truncate(start + random.below(end - start)),
            // A wrong checksum.
            5 => {
                let at = random.below(file.len());
                file[at] ^= 1 << random.below(8);
            }
            // The other changes reach the decoders.
            kind => {
                let (from, to) = match kind {
                    6 => (start + 5, start + 27),
                    7 => (start + 27, end.min(start + 80)),
                    _ => (start + 27, end),
                };
                for _ in 0..=random.below(4) {
                    let at = (from + random.below(to.saturating_sub(from).max(1))).min(file.len() - 1);
                    file[at] =
                        [0, 255, random.below(256) as u8, file[at] ^ (1 << random.below(8))][random.below(4)];
                }
            }
        }
        // The page of the last change and those after it get right checksums.
        if random.below(8) > 0 {
            let starts = pages(file);
            for pair in starts.windows(2) {
                reseal(&mut file[pair[0]..pair[1]]);
            }
        }
    }
}

/// Sets the checksum of a page right if all of it is there; what follows it stays.
fn reseal(bytes: &mut [u8]) {
    if bytes.len() < 27 {
        return;
    }
    let header = 27 + usize::from(bytes[26]);
    if let Some(lacing) = bytes.get(27..header) {
        let len = header + lacing.iter().map(|&value| usize::from(value)).sum::<usize>();
        if len <= bytes.len() {
            seal(&mut bytes[..len]);
        }
    }
}

/// The CPU time of all threads so far, which other programs hardly lengthen.
fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec as u64, time.tv_nsec as u32)
}

/// Converts; how much CPU time it takes, and how long what came of it lasts.
fn convert(input: &Path, output: &Path, options: &Options) -> (Duration, f64) {
    let start = cpu_time();
    let result = convert_file(input, output, true, options, &mut |_| ControlFlow::Continue(()));
    let lasts = match result {
        Ok(report) => report.duration.seconds(),
        Err(Error::Input { .. }) => 0.0,
        Err(error) => panic!("{error}"),
    };
    (cpu_time() - start, lasts)
}

/// How long a file may take whose seed took `usual`, if it lasts so many seconds.
fn allowed(usual: Duration, lasts: f64) -> Duration {
    usual * SLOWEST + Duration::from_secs_f64(lasts / 1000.0)
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().expect("a number"))
}

#[test]
fn random_damage_is_survived() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.ogv"), folder.path().join("out.flv"));
    let options = |case: u64| Options {
        max_pixels: 1 << 17,
        size: (!case.is_multiple_of(4)).then(|| "64x48".parse().unwrap()),
        threads: (1 + case as usize % 3).try_into().unwrap(),
        ..Options::default()
    };
    let seeds = seeds();
    let unmutated: Vec<Vec<Duration>> = seeds
        .iter()
        .map(|seed| {
            fs::write(&input, seed).unwrap();
            (0..4)
                .map(|case| {
                    let runs = (0..3).map(|_| convert(&input, &output, &options(case)));
                    runs.map(|(took, lasts)| {
                        assert!(lasts > 0.0);
                        took
                    })
                    .min()
                    .unwrap()
                })
                .collect()
        })
        .collect();
    if number("OGGFLV_MUTATIONS", 0) > 0 {
        println!("unmutated: {unmutated:?}");
    }
    let first = number("OGGFLV_MUTATIONS_SEED", 1) << 32;
    let (mut failures, mut most_memory, mut slowest) = (0, 0, 0.0_f64);
    peak_memory();
    for case in first..first + number("OGGFLV_MUTATIONS", 300) {
        let mut random = Random(case.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        let chosen = random.below(seeds.len());
        let mut file = seeds[chosen].clone();
        mutate(&mut file, &mut random);
        fs::write(&input, &file).unwrap();
        let usual = unmutated[chosen][(case % 4) as usize].max(NOISE);
        let converted = std::panic::catch_unwind(|| {
            // Caches that others fill may slow one run down, but hardly several.
            let mut runs = (0..4).map(|_| convert(&input, &output, &options(case)));
            let first = runs.next().expect("four runs");
            if first.0 < allowed(usual, first.1) {
                first
            } else {
                runs.fold(first, |a, b| if b.0 < a.0 { b } else { a })
            }
        });
        let memory = peak_memory();
        most_memory = most_memory.max(memory);
        let verdict = match converted {
            Err(_) => "panics".to_owned(),
            Ok((took, lasts)) => {
                let times = took.as_secs_f64() / usual.as_secs_f64();
                slowest = slowest.max(times);
                if took > allowed(usual, lasts) {
                    format!("took {took:?}, {times:.1} times as long as its seed; lasts {lasts:.1} s")
                } else if memory > MOST_MEMORY {
                    format!("took {} MiB", memory >> 20)
                } else {
                    continue;
                }
            }
        };
        failures += 1;
        let kept = std::env::temp_dir().join(format!("mutation-{case}.ogv"));
        fs::write(&kept, &file).unwrap();
        println!("{}: seed {chosen}: {verdict}", kept.display());
    }
    println!("slowest: {slowest:.1} times its seed; most memory: {} MiB", most_memory >> 20);
    assert_eq!(failures, 0);
}
