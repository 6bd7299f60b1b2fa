//! What a look into files finds: in good ones, in broken ones, in hostile ones.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use common::film::convert;
use common::flv_file::{AUDIO, FlvFile, VIDEO};
use common::ogg_pages::{BOS, EOS, Random, page};
use common::sample::{FLASH_CLICK, multiplex, stream, theora_vector};
use oggflv::Options;
use oggflv::ogg::Codec;
use oggflv::probe::{Format, Kind, Probe, Severity, Stream, probe};
use oggflv_common::PixelFormat;

const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/media/flash-click.ogv");
const FLAC: &[u8] = include_bytes!("vectors/sound/stereo.oga");
const OPUS: &[u8] = include_bytes!("vectors/sound/stereo.opus");
const VORBIS: &[u8] = include_bytes!("vectors/vorbis/stereo.ogg");

fn look(file: &[u8]) -> Probe {
    probe(file).unwrap()
}

/// The sample as an FLV file with a key frame at least every half second.
fn flv() -> Vec<u8> {
    let options = Options {
        size: Some("64x48".parse().unwrap()),
        keyframe_interval: oggflv::time::Time::from_milliseconds(500),
        ..Options::default()
    };
    convert(FLASH_CLICK, &options).unwrap().0
}

fn seconds(stream: &Stream) -> (f64, f64) {
    (stream.start.unwrap().seconds(), stream.duration.unwrap().seconds())
}

fn messages(probe: &Probe, severity: Severity) -> Vec<&str> {
    let of_severity = probe.findings.first.iter().filter(|finding| finding.severity == severity);
    of_severity.map(|finding| finding.message.as_str()).collect()
}

/// Asserts that there are a number of errors, of which the first contains a text, and only them.
fn assert_error(file: &[u8], errors: u64, text: &str) {
    let probe = look(file);
    let found = messages(&probe, Severity::Error);
    assert_eq!(probe.findings.errors, errors, "{found:?}");
    assert!(found[0].contains(text), "{found:?}");
}

/// Asserts that there is no error, and among the warnings one that contains a text.
fn assert_warning(file: &[u8], text: &str) {
    let probe = look(file);
    assert_eq!(messages(&probe, Severity::Error), [""; 0]);
    let found = messages(&probe, Severity::Warning);
    assert!(found.iter().any(|message| message.contains(text)), "{text}: {found:?}");
}

#[test]
fn the_sample() {
    let probe = look(FLASH_CLICK);
    assert_eq!((probe.format, probe.bytes), (Format::Ogg, FLASH_CLICK.len() as u64));
    assert_eq!(probe.findings.errors + probe.findings.warnings, 0);
    let [video, audio] = &probe.streams[..] else { panic!("{:?}", probe.streams) };
    assert_eq!((video.kind, video.codec.as_str(), video.number, video.link), (Kind::Video, "Theora", 1, 1));
    let pictures = video.video.as_ref().unwrap();
    assert_eq!((pictures.width, pictures.height, pictures.frames), (320, 240, 120));
    assert_eq!(pictures.pixel_format, Some(PixelFormat::Yuv420));
    assert_eq!(pictures.nominal_frame_rate, Some((30_000, 1001)));
    assert_eq!(seconds(video), (0.0, 4.004));
    // What the decoder says of its packets.
    let theora = stream(Codec::Theora);
    let keys: Vec<usize> = (0..120).filter(|&n| oggflv_theora::is_keyframe(&theora.packets[3 + n])).collect();
    assert_eq!(pictures.key_frames, Some(keys.len() as u64));
    let intervals = keys.windows(2).map(|pair| pair[1] - pair[0]).chain([120 - keys[keys.len() - 1]]);
    let longest = intervals.max().unwrap() as f64 * 1001.0 / 30_000.0;
    assert!((pictures.longest_key_interval.unwrap().seconds() - longest).abs() < 1e-6);
    let bytes: usize = theora.packets[3..].iter().map(Vec::len).sum();
    assert_eq!((video.bytes, video.packets), (bytes as u64, 120));
    assert!((video.bitrate.unwrap() - bytes as f64 * 8.0 / 4.004).abs() < 1e-3);

    assert_eq!((audio.kind, audio.codec.as_str(), audio.number), (Kind::Audio, "Vorbis", 1));
    let sound = audio.audio.as_ref().unwrap();
    assert_eq!((sound.sample_rate, sound.channels, audio.nominal_bitrate), (48_000, 2, Some(96_000)));
    assert!(audio.comments.iter().any(|comment| comment.name == "encoder"));
    let (start, duration) = seconds(audio);
    assert!(start == 0.0 && (duration - 4.004).abs() < 0.03, "{duration}");
}

#[test]
fn sound_of_every_kind() {
    // Half a second in stereo, 3001 samples in mono, 0.2 s in six channels; of Opus, granule positions count 48000 Hz.
    let cases: [(&[u8], &str, u32, u32, f64); 6] = [
        (VORBIS, "Vorbis", 44_100, 2, 0.5),
        (include_bytes!("vectors/vorbis/mono8.ogg"), "Vorbis", 8_000, 1, 0.375125),
        (include_bytes!("vectors/vorbis/six.ogg"), "Vorbis", 48_000, 6, 0.2),
        (OPUS, "Opus", 48_000, 2, 0.5),
        (FLAC, "FLAC", 44_100, 2, 0.5),
        (include_bytes!("vectors/sound/six.oga"), "FLAC", 48_000, 6, 0.2),
    ];
    for (file, codec, rate, channels, duration) in cases {
        let probe = look(file);
        let stream = &probe.streams[0];
        let audio = stream.audio.as_ref().unwrap();
        assert_eq!((stream.codec.as_str(), audio.sample_rate, audio.channels), (codec, rate, channels));
        assert_eq!(seconds(stream), (0.0, duration), "{codec}, {channels} channels");
        assert_eq!((probe.findings.errors, probe.duration), (0, stream.duration.unwrap()));
    }
    let bits = |file| look(file).streams[0].audio.as_ref().unwrap().bits_per_sample;
    assert_eq!([bits(FLAC), bits(cases[5].0), bits(OPUS)], [Some(16), Some(24), None]);
}

#[test]
fn start_offsets_are_told() {
    let theora = stream(Codec::Theora);
    let vorbis = stream(Codec::Vorbis);
    let shift = oggflv_theora::Identification::parse(&theora.packets[0]).unwrap().keyframe_granule_shift;
    let file = multiplex(&[theora.pages(1, 300 << shift), vorbis.pages(2, 96_000)]);
    let probe = look(&file);
    assert_eq!(seconds(&probe.streams[0]), (10.01, 4.004));
    assert_eq!(probe.streams[1].start.unwrap().seconds(), 2.0);
    assert_eq!(probe.duration.seconds(), 12.014);
}

#[test]
fn links_of_a_chain_are_added_up() {
    let one = look(FLASH_CLICK);
    let probe = look(&[FLASH_CLICK, VORBIS, FLASH_CLICK].concat());
    let sound = look(VORBIS).duration.seconds();
    assert!((probe.duration.seconds() - (2.0 * one.duration.seconds() + sound)).abs() < 1e-6);
    let streams: Vec<_> =
        probe.streams.iter().map(|stream| (stream.link, stream.kind, stream.number)).collect();
    let (video, audio) = (Kind::Video, Kind::Audio);
    assert_eq!(streams, [(1, video, 1), (1, audio, 1), (2, audio, 1), (3, video, 1), (3, audio, 1)]);
    assert_eq!(probe.ogg.unwrap().links, 3);
}

#[test]
fn streams_are_numbered_by_kind_and_named() {
    let mut speex = b"Speex   1.2".to_vec();
    speex.resize(80, 0);
    for (at, word) in [(36, 16_000_u32), (48, 1), (52, 0), (56, 320), (64, 2)] {
        speex[at..at + 4].copy_from_slice(&word.to_le_bytes());
    }
    let other = |serial, header: &[u8]| {
        vec![page(serial, 0, BOS, 0, &[header]), page(serial, 1, EOS, 640, &[b"comments", b"data"])]
    };
    let file = multiplex(&[
        other(5, b"fishead\0..."),
        theora_vector("still").pages(1, 0),
        other(6, &speex),
        other(7, b"\x80kate\0\0\0..."),
        theora_vector("coarse").pages(2, 0),
        other(8, b"OVP80..."),
        other(9, b"no idea"),
    ]);
    let probe = look(&file);
    let names: Vec<_> =
        probe.streams.iter().map(|stream| (stream.codec.as_str(), stream.kind, stream.number)).collect();
    let expected = [
        ("Skeleton", Kind::Other, 1),
        ("Theora", Kind::Video, 1),
        ("Speex", Kind::Audio, 1),
        ("Kate", Kind::Other, 2),
        ("Theora", Kind::Video, 2),
        ("VP8", Kind::Video, 3),
        ("unknown codec", Kind::Other, 3),
    ];
    assert_eq!(names, expected);
    assert_eq!(probe.findings.errors, 0, "{:?}", probe.findings);
    let speex = &probe.streams[2];
    assert_eq!(speex.audio.as_ref().unwrap().sample_rate, 16_000);
    assert_eq!((seconds(speex), speex.bytes), ((0.0, 0.04), 4));
    assert_eq!(probe.streams[3].serial, Some(7));
}

#[test]
fn damage_of_ogg_files_is_found() {
    let pages = common::sample::pages_of(FLASH_CLICK);
    let without = |at: usize| {
        let kept = pages.iter().enumerate().filter(|(number, _)| *number != at);
        kept.flat_map(|(_, page)| page.clone()).collect::<Vec<u8>>()
    };
    let middle = pages.len() / 2;
    assert_error(&without(middle), 1, "gaps in page numbers: 1");
    assert_error(&without(pages.len() - 1), 1, "without a last page (EOS): 1");
    assert_error(&FLASH_CLICK[..FLASH_CLICK.len() - 1], 3, "bytes outside pages");
    let mut wrong = FLASH_CLICK.to_vec();
    wrong[60_000] ^= 1;
    let probe = look(&wrong);
    let found = messages(&probe, Severity::Error);
    assert!(found.contains(&"pages with a wrong checksum: 1"), "{found:?}");
    assert_eq!(probe.ogg.as_ref().unwrap().damage.pages_with_bad_crc, 1);
    // The setup header is missing.
    let theora = stream(Codec::Theora);
    let headers = [page(1, 0, BOS, 0, &[&theora.packets[0]]), page(1, 1, EOS, 1, &[&theora.packets[1]])];
    assert_error(&headers.concat(), 1, "stream 1: Theora: setup header is missing");
    let wrong_header = page(1, 0, BOS | EOS, 0, &[b"\x80theora\x04"]);
    assert_error(&wrong_header, 1, "stream 1: Theora: ");
}

#[test]
fn a_converted_file_is_right() {
    let file = flv();
    let probe = look(&file);
    assert_eq!((probe.format, probe.bytes), (Format::Flv, file.len() as u64));
    assert_eq!((probe.findings.errors, probe.findings.warnings), (0, 0), "{:?}", probe.findings);
    let parsed = FlvFile::parse(&file);
    let flv = probe.flv.as_ref().unwrap();
    assert_eq!((flv.header_audio, flv.header_video, flv.script_tags), (true, true, 1));
    assert_eq!(flv.audio_tags as usize, parsed.of_kind(AUDIO).len());
    assert_eq!(flv.video_tags as usize, parsed.of_kind(VIDEO).len());
    let index = flv.index.unwrap();
    assert_eq!((index.entries, index.is_right), (parsed.key_frames().len(), true));
    assert!(index.entries >= 8);
    assert_eq!(flv.metadata_duration.unwrap().seconds(), parsed.number("duration"));
    let [video, audio] = &probe.streams[..] else { panic!("{:?}", probe.streams) };
    assert_eq!((video.codec.as_str(), audio.codec.as_str()), ("Sorenson H.263", "MP3"));
    let pictures = video.video.as_ref().unwrap();
    assert_eq!((pictures.width, pictures.height), (64, 48));
    assert_eq!(pictures.key_frames, Some(index.entries as u64));
    assert!(pictures.longest_key_interval.unwrap().seconds() <= 0.501);
    let sound = audio.audio.as_ref().unwrap();
    assert_eq!((sound.sample_rate, sound.channels), (44_100, 2));
    assert!((audio.bitrate.unwrap() - 128_000.0).abs() < 500.0);
    assert_eq!(probe.comments[0].name, "metadatacreator");
}

/// Writes a number into a property of `onMetaData`.
fn with_property(file: &[u8], name: &str, change: impl Fn(f64) -> f64) -> Vec<u8> {
    let mut file = file.to_vec();
    let key = [&(name.len() as u16).to_be_bytes()[..], name.as_bytes(), &[0]].concat();
    let at = file.windows(key.len()).position(|bytes| bytes == key).unwrap() + key.len();
    let value = f64::from_be_bytes(file[at..at + 8].try_into().unwrap());
    file[at..at + 8].copy_from_slice(&change(value).to_be_bytes());
    file
}

#[test]
fn wrong_metadata_are_warned_of() {
    let file = flv();
    for name in [
        "duration",
        "lasttimestamp",
        "lastkeyframetimestamp",
        "lastkeyframelocation",
        "width",
        "height",
        "framerate",
        "videodatarate",
        "videosize",
        "audiodatarate",
        "audiosize",
        "audiosamplerate",
        "audiosamplesize",
        "filesize",
        "datasize",
        "audiocodecid",
        "videocodecid",
    ] {
        let wrong = with_property(&file, name, |value| value * 1.5 + 2.0);
        assert_warning(&wrong, &format!("onMetaData: {name} should be "));
        assert_eq!(look(&wrong).findings.warnings, 1, "{name}");
        assert_warning(&with_property(&file, name, |_| f64::NAN), &format!("{name} should be "));
    }
    // As flvmeta does, this lets a second pass.
    assert_eq!(look(&with_property(&file, "duration", |value| value + 0.9)).findings.warnings, 0);

    let offset = FlvFile::parse(&file).key_frames()[2].1 as f64;
    let at = file.windows(8).position(|bytes| bytes == offset.to_be_bytes()).unwrap();
    let mut wrong = file.clone();
    wrong[at..at + 8].copy_from_slice(&(offset + 1.0).to_be_bytes());
    assert_warning(&wrong, "the index is wrong in 1 entries: key frame 3 is at");
    assert!(!look(&wrong).flv.unwrap().index.unwrap().is_right);

    let metadata = 15 + u32::from_be_bytes([0, file[14], file[15], file[16]]) as usize;
    let without = [&file[..13], &file[13 + metadata..]].concat();
    assert_warning(&without, "there is no onMetaData");
    assert!(!look(&without).flv.unwrap().has_metadata);
    let twice = [&file[..13 + metadata], &file[13..]].concat();
    assert_warning(&twice, "more than one onMetaData");
}

#[test]
fn broken_flv_files_are_found_out() {
    let file = flv();
    let parsed = FlvFile::parse(&file);
    let patched = |at: usize, bytes: &[u8]| {
        let mut file = file.clone();
        file[at..at + bytes.len()].copy_from_slice(bytes);
        file
    };
    let picture = parsed.of_kind(VIDEO)[5];
    let (at, size) = (picture.offset, picture.body.len());
    let sound = parsed.of_kind(AUDIO)[5];
    assert_error(&patched(3, &[2]), 1, "version should be 1, not 2");
    assert_error(&patched(4, &[0x85]), 1, "reserved flags");
    assert_error(&patched(4, &[0]), 1, "neither sound nor picture");
    assert_warning(&patched(4, &[4]), "there are pictures, but the header says there are none");
    assert_error(&patched(8, &[10]), 1, "size should be 9, not 10");
    assert_error(&patched(12, &[5]), 1, "first PreviousTagSize should be 0, not 5");
    assert_error(&patched(at + 11 + size, &[0; 4]), 1, "PreviousTagSize should be");
    assert_error(&patched(at + 4, &[0; 4]), 1, "video timestamps go back");
    assert_error(&patched(sound.offset + 4, &[0; 4]), 1, "audio timestamps go back");
    assert_error(&patched(at + 8, &[0, 0, 1]), 1, "StreamID should be 0, not 1");
    assert_error(&patched(at, &[12]), 1, "unknown tag type 12");
    assert_error(&patched(at + 11, &[0x2d]), 1, "unknown picture codec 13");
    assert_error(&patched(at + 11, &[0x72]), 1, "unknown frame type 7");
    assert_warning(&patched(sound.offset + 11, &[0xcf]), "unknown sound codec 12");
    assert_error(&patched(at + 1, &[0xff; 3]), 1, &format!("{} bytes that are no tag", size + 15));
    let junk = [&file[..at], &[0; 100], &file[at..]].concat();
    assert_error(&junk, 1, "100 bytes that are no tag");
    assert_error(&[&file[..], &[0; 20]].concat(), 1, "no tag: 20 bytes at the end");
    assert_error(&file[..file.len() - 20], 1, "cut off within a tag");
    assert_error(&file[..file.len() - 2], 1, "cut off within PreviousTagSize");
    assert_error(&file[..13], 1, "there are no tags");
    let name = file.windows(10).position(|bytes| bytes == b"onMetaData").unwrap();
    assert_error(&patched(name + 10, &[17]), 1, "value of type 17");
    for len in 0..13 {
        assert!(probe(&file[..len]).is_err(), "{len} bytes");
    }
}

/// Whatever is in a file, looking into it ends, and what it says is consistent.
fn survives(file: &[u8]) {
    let Ok(probe) = probe(file) else { return };
    assert_eq!(probe.bytes, file.len() as u64);
    assert!(probe.streams.iter().map(|stream| stream.bytes).sum::<u64>() <= probe.bytes);
    assert!(probe.findings.first.len() <= 100);
    assert!(probe.findings.first.len() as u64 <= probe.findings.errors + probe.findings.warnings);
    serde_json::to_string(&probe).unwrap();
}

#[test]
fn random_damage_is_survived() {
    let chain = [FLASH_CLICK, FLAC].concat();
    let mut random = Random(0x9e37_79b9_7f4a_7c15);
    for seed in [flv(), chain, OPUS.to_vec(), VORBIS.to_vec()] {
        for _ in 0..400 {
            let mut file = seed.clone();
            for _ in 0..=random.below(6) {
                if file.is_empty() {
                    break;
                }
                // The beginning of a file holds what matters most.
                let end = if random.below(2) == 0 { file.len().min(2_000) } else { file.len() };
                let at = random.below(end);
                match random.below(6) {
                    0 => file.truncate(at + 1),
                    1 => drop(file.drain(at..(at + random.below(300)).min(end))),
                    2 => {
                        let noise = random.bytes(40);
                        file.splice(at..at, noise);
                    }
                    3 => file[at] = [0, 255, 8, 9, 18, 10][random.below(6)],
                    _ => file[at] ^= 1 << random.below(8),
                }
            }
            // Checksums are set right, so that what is wrong reaches what reads packets.
            let starts: Vec<usize> =
                (0..file.len()).filter(|&at| file[at..].starts_with(b"OggS\0")).collect();
            for (&start, &end) in starts.iter().zip(starts.iter().skip(1).chain([&file.len()])) {
                if end - start >= 27 {
                    common::ogg_pages::seal(&mut file[start..end]);
                }
            }
            survives(&file);
        }
    }
}

fn oggflv(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_oggflv")).args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn the_command() {
    let folder = tempfile::tempdir().unwrap();
    let file = flv();
    fs::write(folder.path().join("good.flv"), &file).unwrap();
    fs::write(folder.path().join("cut.flv"), &file[..file.len() - 20]).unwrap();
    fs::write(folder.path().join("text.txt"), "text").unwrap();
    let text = |output: &Output| String::from_utf8(output.stdout.clone()).unwrap();

    let table = oggflv(folder.path(), &["probe", SAMPLE, "good.flv"]);
    assert_eq!((table.status.code(), table.stderr.len()), (Some(0), 0));
    for part in
        ["video 1  Theora", "320x240 4:2:0", "29.97 fps", "48000 Hz", "Sorenson H.263", "key frames, right"]
    {
        assert!(text(&table).contains(part), "{part}: {}", text(&table));
    }
    // What is wrong does not matter unless it is asked for.
    assert_eq!(oggflv(folder.path(), &["probe", "cut.flv"]).status.code(), Some(0));
    let check = oggflv(folder.path(), &["probe", "--check", SAMPLE, "good.flv"]);
    assert_eq!(check.status.code(), Some(0));
    assert!(text(&check).ends_with("good.flv: 0 errors, 0 warnings\n"));
    let check = oggflv(folder.path(), &["probe", "--check", "cut.flv", "good.flv"]);
    assert_eq!(check.status.code(), Some(1));
    assert!(text(&check).starts_with("cut.flv: 1 error, "), "{}", text(&check));

    let json = oggflv(folder.path(), &["probe", "--json", "text.txt", "none", "good.flv", SAMPLE]);
    assert_eq!(json.status.code(), Some(1));
    let stderr = String::from_utf8(json.stderr.clone()).unwrap();
    assert_eq!(stderr.lines().next(), Some("oggflv: text.txt: neither Ogg nor FLV"));
    assert_eq!(stderr.lines().count(), 2);
    let text = text(&json);
    let lines: Vec<serde_json::Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(lines.len(), 4);
    assert_eq!(lines[0]["error"], "text.txt: neither Ogg nor FLV");
    assert_eq!((&lines[2]["file"], &lines[2]["format"]), (&"good.flv".into(), &"flv".into()));
    assert_eq!(lines[2]["flv"]["index"]["is_right"], true);
    assert_eq!(lines[3]["streams"][0]["duration"], 4.004);
    assert_eq!(lines[3]["streams"][0]["video"]["pixel_format"], "4:2:0");
    assert_eq!(lines[3]["ogg"]["damage"]["truncated"], false);

    let usage = oggflv(folder.path(), &["probe"]);
    assert_eq!(usage.status.code(), Some(2));
}
