//! FLV files copied without encoding anything anew.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use common::film;
use common::flv_file::{AUDIO, FlvFile, SCRIPT, VIDEO};
use common::sample::FLASH_CLICK;
use oggflv::flv::Value;
use oggflv::probe::probe;
use oggflv::remux::{Options, Report, remux_files};
use oggflv::time::Time;
use oggflv::{Error, InputError, OutputError};
use oggflv_mp3 as mp3;

/// Four seconds, a key frame each.
fn film() -> &'static [u8] {
    static FILM: OnceLock<Vec<u8>> = OnceLock::new();
    FILM.get_or_init(|| {
        let options = oggflv::Options {
            keyframe_interval: Time::SECOND,
            size: Some("80x60".parse().unwrap()),
            metadata: vec![("title".into(), "Flashes".into())],
            ..oggflv::Options::default()
        };
        film::convert(FLASH_CLICK, &options).unwrap().0
    })
}

/// Copies files into one of a name; the first input is `0.flv`, and so on.
fn copy_as(
    name: &str,
    inputs: &[&[u8]],
    audio: Option<&[u8]>,
    options: &Options,
) -> Result<(Vec<u8>, Report), Error> {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, content: &[u8]| {
        let path = folder.path().join(name);
        fs::write(&path, content).unwrap();
        path
    };
    let paths: Vec<PathBuf> =
        inputs.iter().enumerate().map(|(index, input)| write(&format!("{index}.flv"), input)).collect();
    let audio = audio.map(|audio| write("audio.mp3", audio));
    let output = folder.path().join(name);
    let options = Options { audio, ..options.clone() };
    let result = remux_files(&paths, &output, false, &options, &mut || ControlFlow::Continue(()));
    let files = fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(files, paths.len() + usize::from(options.audio.is_some()) + usize::from(result.is_ok()));
    let report = result?;
    let file = fs::read(&output).unwrap();
    assert_eq!(file.len() as u64, report.bytes);
    Ok((file, report))
}

fn copy(inputs: &[&[u8]], options: &Options) -> (Vec<u8>, Report) {
    let (file, report) = copy_as("out.flv", inputs, None, options).unwrap();
    assert_sound(&file);
    (file, report)
}

/// Asserts that nothing is wrong with a file, its metadata and its index.
fn assert_sound(file: &[u8]) {
    let probed = probe(file).unwrap();
    assert_eq!((probed.findings.errors, probed.findings.warnings), (0, 0), "{:?}", probed.findings.first);
    let flv = probed.flv.unwrap();
    assert!(flv.index.is_none_or(|index| index.is_right) && flv.has_metadata);
}

fn part(start: i32, end: i32) -> Options {
    Options { start: Time::from_milliseconds(start), end: Time::from_milliseconds(end), ..Options::default() }
}

/// Kinds, timestamps and bodies of all tags but the metadata.
fn tags(file: &[u8]) -> Vec<(u8, u32, Vec<u8>)> {
    FlvFile::parse(file).tags.into_iter().map(|tag| (tag.kind, tag.timestamp, tag.body)).collect()
}

/// A tag with its PreviousTagSize.
fn tag(kind: u8, timestamp: u32, body: &[u8]) -> Vec<u8> {
    let size = (body.len() as u32).to_be_bytes();
    let time = timestamp.to_be_bytes();
    let head = [kind, size[1], size[2], size[3], time[1], time[2], time[3], time[0], 0, 0, 0];
    [&head[..], body, &(11 + body.len() as u32).to_be_bytes()].concat()
}

/// A file of tags without metadata.
fn file_of(tags: &[(u8, u32, Vec<u8>)]) -> Vec<u8> {
    let tags = tags.iter().flat_map(|(kind, timestamp, body)| tag(*kind, *timestamp, body));
    b"FLV\x01\x05\0\0\0\x09\0\0\0\0".iter().copied().chain(tags).collect()
}

/// A click a second, three of them, as MP3, and the delay in milliseconds.
fn music(sample_rate: u32, channels: usize) -> (Vec<u8>, f64) {
    let mut encoder = mp3::Encoder::new(mp3::Config { sample_rate, channels, bitrate: 64_000 }).unwrap();
    let rate = sample_rate as usize;
    let samples: Vec<f32> = (0..rate * 3)
        .map(|at| if at % rate < rate / 50 { (at % 20) as f32 / 10.0 - 1.0 } else { 0.0 })
        .collect();
    let delay = encoder.delay() as f64 * 1000.0 / f64::from(sample_rate);
    let mut frames = Vec::new();
    encoder.encode(&vec![&samples[..]; channels], &mut frames);
    encoder.finish(&mut frames);
    (frames.concat(), delay)
}

#[test]
fn a_copy_holds_what_the_film_holds() {
    let (file, report) = copy(&[film()], &Options::default());
    assert_eq!(tags(&file), tags(film()));
    let (before, after) = (FlvFile::parse(film()), FlvFile::parse(&file));
    assert_eq!(after.flags, before.flags);
    for name in
        ["title", "width", "height", "videocodecid", "audiosamplerate", "stereo", "framerate", "datasize"]
    {
        assert_eq!(after.property(name), before.property(name), "{name}");
    }
    assert_eq!(after.key_frames().len(), before.key_frames().len());
    assert!(report.warnings.is_empty() && report.key_frames > 3, "{report:?}");
    assert_eq!(report.pictures as usize, before.of_kind(VIDEO).len());
    // A copy of a copy is the same.
    assert!(copy(&[&file], &Options::default()).0 == file);
}

#[test]
fn metadata_are_made_anew_and_texts_stay() {
    // Without metadata, with timestamps that begin late, and nonsense in the header.
    let late: Vec<_> =
        tags(film()).into_iter().map(|(kind, time, body)| (kind, time + 1_000_000, body)).collect();
    let mut bare = file_of(&late);
    bare[4] = 0;
    let (file, _) = copy(&[&bare], &Options::default());
    assert_eq!(tags(&file), tags(film()));
    let metadata =
        vec![("Title".into(), String::new()), ("artist".into(), "Me".into()), ("width".into(), "5".into())];
    let (file, _) = copy(&[film()], &Options { metadata, ..Options::default() });
    let flv = FlvFile::parse(&file);
    assert_eq!(flv.property("artist"), &Value::String("Me".into()));
    assert_eq!(flv.number("width"), 80.0);
    assert!(!file.windows(7).any(|window| window == b"Flashes"));
}

#[test]
fn values_of_any_kind_and_cue_points_stay() {
    let text = |text: &str| [&(text.len() as u16).to_be_bytes()[..], text.as_bytes()].concat();
    let properties = [
        text("level"),
        vec![0],
        2.5_f64.to_be_bytes().to_vec(),
        text("duration"),
        vec![0],
        99_f64.to_be_bytes().to_vec(),
        text("date"),
        vec![11],
        1e12_f64.to_be_bytes().to_vec(),
        vec![0, 60],
        vec![0, 0, 9],
    ]
    .concat();
    // As an object, which is not what it should be, and behind the first tag.
    let script = [&[2][..], &text("onMetaData"), &[3], &properties].concat();
    let cue = [&[2][..], &text("onCuePoint"), &[1, 1]].concat();
    let mut with_script = tags(film());
    with_script.insert(0, (SCRIPT, 0, script));
    let at = with_script.iter().position(|(_, time, _)| *time > 2000).unwrap();
    let cue_time = with_script[at].1;
    with_script.insert(at, (SCRIPT, cue_time, cue.clone()));
    let (file, _) = copy_as("out.flv", &[&file_of(&with_script)], None, &Options::default()).unwrap();
    assert_sound(&file);
    let at = file.windows(cue.len()).position(|window| window == cue).unwrap();
    assert_eq!(file[at - 7..at - 3], [(cue_time >> 16) as u8, (cue_time >> 8) as u8, cue_time as u8, 0]);
    let has = |needle: &[u8]| file.windows(needle.len()).any(|window| window == needle);
    assert!(has(&[&b"level\0"[..], &2.5_f64.to_be_bytes()].concat()));
    assert!(has(&[&b"date\x0B"[..], &1e12_f64.to_be_bytes(), &[0, 60]].concat()));
    assert!(!has(&99_f64.to_be_bytes()));
    // Out of the part that is copied.
    let (file, _) = copy_as("out.flv", &[&file_of(&with_script)], None, &part(0, 1500)).unwrap();
    assert!(!file.windows(cue.len()).any(|window| window == cue));
}

#[test]
fn a_cut_file_is_copied_as_far_as_it_goes() {
    let whole = tags(film());
    for length in (2000..film().len()).step_by(film().len() / 13) {
        let (file, report) = copy(&[&film()[..length]], &Options::default());
        let copied = tags(&file);
        assert_eq!(copied, whole[..copied.len()]);
        assert!(
            report.warnings.iter().all(|warning| warning.starts_with("cut off at ")),
            "{:?}",
            report.warnings
        );
    }
    assert!(matches!(
        copy_as("out.flv", &[&film()[..300]], None, &Options::default()),
        Err(Error::Input { problem: InputError::Empty, .. })
    ));
}

#[test]
fn damage_costs_no_more_than_it_hits() {
    let offsets: Vec<usize> = FlvFile::parse(film()).tags.iter().map(|tag| tag.offset).collect();
    let whole = tags(film());
    // Noise in place of a part of a tag, over a boundary, and a hole.
    for (from, to, noise) in [(20, 20, 30), (40, 41, 0), (60, 62, 500)] {
        let (start, end) = (offsets[from] + 5, offsets[to] + 9);
        let damaged = [&film()[..start], &vec![0x55; noise], &film()[end..]].concat();
        let (file, report) = copy(&[&damaged], &Options::default());
        let expected: Vec<_> = [&whole[..from], &whole[to + 1..]].concat();
        assert_eq!(tags(&file), expected);
        assert_eq!(report.warnings.len(), 1);
        assert!(report.warnings[0].starts_with("damaged at 0:0"), "{:?}", report.warnings);
    }
}

#[test]
fn pictures_of_an_unknown_type_are_left_out() {
    let mut with_unknown = tags(film());
    for frame_type in [0, 6, 15] {
        with_unknown.insert(20, (VIDEO, with_unknown[20].1, vec![frame_type << 4 | 2, 1, 2, 3]));
    }
    let (file, report) = copy(&[&file_of(&with_unknown)], &Options::default());
    assert_eq!(tags(&file), tags(film()));
    assert_eq!(report.warnings, ["3 tags that are empty or of an unknown type are left out"]);
    let only_unknown = file_of(&[(VIDEO, 0, vec![2, 1, 2, 3])]);
    assert!(matches!(
        copy_as("out.flv", &[&only_unknown], None, &Options::default()),
        Err(Error::Input { problem: InputError::Empty, .. })
    ));
}

#[test]
fn script_data_that_cannot_be_read_are_left_out() {
    let cue = b"\x02\0\x05onCue\x02\0\x04half".to_vec();
    let mut with_scripts = tags(film());
    let time = with_scripts[20].1;
    with_scripts.insert(20, (SCRIPT, time, cue.clone()));
    // Cut off, of a type that there is not, and without a name.
    for wrong in [&cue[..cue.len() - 1], b"\x02\0\x05onCue\x11", b"\0\0\0\0\0\0\0\0\0\x05"] {
        with_scripts.insert(20, (SCRIPT, time, wrong.to_vec()));
    }
    let (file, report) = copy(&[&file_of(&with_scripts)], &Options::default());
    assert_eq!(file.windows(5).filter(|name| name == b"onCue").count(), 1);
    assert!(file.windows(cue.len()).any(|window| window == cue));
    assert_eq!(report.warnings, ["3 script data tags that cannot be read are left out"]);
}

#[test]
fn pictures_without_their_key_frame_are_left_out() {
    let whole = tags(film());
    let keys: Vec<usize> = FlvFile::parse(film())
        .tags
        .iter()
        .enumerate()
        .filter_map(|(number, tag)| tag.is_key_frame().then_some(number))
        .collect();
    let without = |number: usize| [&whole[..number], &whole[number + 1..]].concat();
    // The first one is gone, and with it what stands before the second one.
    let (file, report) = copy(&[&file_of(&without(keys[0]))], &Options::default());
    let expected: Vec<_> =
        (whole[..keys[1]].iter().filter(|tag| tag.0 == AUDIO)).chain(&whole[keys[1]..]).cloned().collect();
    assert_eq!(tags(&file), expected);
    let lost = whole[..keys[1]].iter().filter(|tag| tag.0 == VIDEO).count() - 1;
    assert_eq!(
        report.warnings,
        [format!("{lost} pictures are left out, since the key frame before them is missing")]
    );
    // In the middle there is a picture to show, if not the right one.
    let (file, report) = copy(&[&file_of(&without(keys[1]))], &Options::default());
    assert!(tags(&file) == without(keys[1]) && report.warnings.is_empty());
    // With none at all it is copied as it is.
    let none: Vec<_> = whole.iter().filter(|tag| tag.0 == AUDIO || tag.2[0] >> 4 != 1).cloned().collect();
    let (file, report) = copy_as("out.flv", &[&file_of(&none)], None, &Options::default()).unwrap();
    assert_eq!((tags(&file).len(), report.warnings.len()), (none.len(), 1));
    assert!(report.warnings[0].starts_with("there is no key frame"));
}

#[test]
fn single_wrong_bytes_do_no_harm() {
    let whole = tags(film());
    let offsets: Vec<usize> = FlvFile::parse(film()).tags.iter().map(|tag| tag.offset).collect();
    let mut repaired = 0;
    // But the lowest of the timestamp, which nobody can tell from a right one.
    for (number, byte) in [0, 1, 2, 3, 4, 5, 7, 8, 9, 10, 11]
        .into_iter()
        .flat_map(|byte| [(5, byte), (30, byte), (whole.len() - 1, byte)])
    {
        let mut damaged = film().to_vec();
        damaged[offsets[number] + byte] ^= 0x41;
        let (file, report) = copy(&[&damaged], &Options::default());
        let copied = tags(&file);
        assert!(copied.len() + 2 >= whole.len(), "{number} {byte}: {} of {}", copied.len(), whole.len());
        // Those before and after it are where they were.
        assert_eq!(copied[..number.min(4)], whole[..number.min(4)]);
        if number < 40 {
            assert_eq!(copied[copied.len() - 50..], whole[whole.len() - 50..], "byte {byte} of tag {number}");
        }
        repaired += usize::from(!report.warnings.is_empty());
    }
    assert!(repaired > 10);
}

/// Whatever the bytes are, the copy is right or refused.
#[test]
fn mutations_give_right_files_or_errors() {
    let mut state = 7_u64;
    let mut random = |below: usize| {
        state = state.wrapping_mul(6364136223846793005).wrapping_add(1442695040888963407);
        (state >> 33) as usize % below
    };
    for round in 0..150 {
        let mut bytes = film().to_vec();
        for _ in 0..1 + random(40) {
            let at = random(bytes.len());
            match random(4) {
                0 => bytes[at] = random(256) as u8,
                1 => bytes[at] ^= 1 << random(8),
                2 => drop(bytes.drain(at..(at + random(300)).min(bytes.len()))),
                _ => drop(bytes.splice(at..at, (0..random(300)).map(|byte| byte as u8).collect::<Vec<_>>())),
            }
        }
        let options = if round % 3 == 0 { part(random(3000) as i32, 3500) } else { Options::default() };
        for name in ["out.flv", "out.mp3"] {
            if let Ok((file, _)) = copy_as(name, &[&bytes[..], &bytes[..]][..1 + round % 2], None, &options)
                && name == "out.flv"
            {
                let errors = probe(&file[..]).unwrap().findings;
                assert_eq!(errors.errors, 0, "{round}: {:?}", errors.first);
            }
        }
    }
}

#[test]
fn a_part_begins_with_a_key_frame() {
    let whole = tags(film());
    let keys: Vec<u32> = FlvFile::parse(film())
        .tags
        .iter()
        .filter(|tag| tag.is_key_frame())
        .map(|tag| tag.timestamp)
        .collect();
    for (start, end) in [(1500, 2600), (keys[2] as i32, 3000), (100, 100_000), (3900, 100_000)] {
        let (file, report) = copy(&[film()], &part(start, end));
        let key = *keys.iter().rev().find(|&&key| key <= start as u32).unwrap();
        assert_eq!(report.start.milliseconds(), i64::from(key), "{start}");
        let copied = tags(&file);
        let expected: Vec<_> = whole
            .iter()
            .filter(|(_, time, _)| *time >= key && *time < end as u32)
            .map(|(kind, time, body)| (*kind, time - key, body.clone()))
            .collect();
        // Sound at the time of the first picture may stand before it.
        assert_eq!(copied, expected, "{start} to {end}");
        assert!(FlvFile::parse(&file).tags.iter().find(|tag| tag.kind == VIDEO).unwrap().is_key_frame());
    }
    match copy_as("out.flv", &[film()], None, &part(5000, 6000)) {
        Err(Error::Input { problem: InputError::StartsBehindEnd { end }, .. }) => {
            assert!(end.milliseconds() > 3900)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn what_sets_a_decoder_up_stands_before_a_part() {
    let header = vec![0x17, 0, 0, 0, 0, 1, 66, 0, 30];
    let sound_header = vec![0xAF, 0, 0x12, 0x10];
    let picture = |key: bool, n: u8| vec![if key { 0x17 } else { 0x27 }, 1, 0, 0, 0, n];
    let mut list = vec![(VIDEO, 0, header.clone()), (AUDIO, 0, sound_header.clone())];
    for n in 0..100_u8 {
        list.push((VIDEO, 40 * u32::from(n), picture(n % 25 == 0, n)));
        list.push((AUDIO, 40 * u32::from(n) + 5, vec![0xAF, 1, n]));
    }
    list.push((VIDEO, 4000, vec![0x17, 2, 0, 0, 0]));
    let file = file_of(&list);
    let (copied, report) = copy_as("out.flv", &[&file], None, &part(2100, 2500)).unwrap();
    let found = tags(&copied);
    assert_eq!(found[..2], [(VIDEO, 0, header.clone()), (VIDEO, 0, picture(true, 50))]);
    assert_eq!(found[2..4], [(AUDIO, 5, sound_header), (AUDIO, 5, vec![0xAF, 1, 50])]);
    assert_eq!((report.pictures, report.key_frames), (13, 1));
    // Joined, the end of the first sequence is none.
    let (joined, _) = copy_as("out.flv", &[&file, &file], None, &Options::default()).unwrap();
    let found = tags(&joined);
    assert_eq!(found.iter().filter(|(_, _, body)| body == &header).count(), 2);
    assert_eq!(found.iter().filter(|(_, _, body)| body[..2] == [0x17, 2]).count(), 1);
}

#[test]
fn files_follow_one_another() {
    let (file, report) = copy(&[film(), film(), film()], &Options::default());
    let (whole, joined) = (tags(film()), tags(&file));
    assert_eq!(joined.len(), 3 * whole.len());
    for (number, tags) in joined.chunks(whole.len()).enumerate() {
        let shift = tags[0].1;
        assert!(
            tags.iter().zip(&whole).all(|(tag, expected)| tag.1 - shift == expected.1 && tag.2 == expected.2)
        );
        // The film takes 4004 ms, its sound a part of a frame more.
        assert!(shift.abs_diff(4004 * number as u32) < 60 * (1 + number as u32), "{shift}");
    }
    assert!((report.duration.milliseconds() - 3 * 4004).abs() < 150, "{:?}", report.duration);
    // A part that reaches from one into the next.
    let (file, _) = copy(&[film(), film()], &part(3100, 5500));
    let flashes = film::flashes(&FlvFile::parse(&file));
    assert_eq!(flashes.len(), 2, "{flashes:?}");
    // What differs.
    let other = film::convert(
        FLASH_CLICK,
        &oggflv::Options { size: Some("96x64".parse().unwrap()), ..Default::default() },
    )
    .unwrap()
    .0;
    let silent = film::convert(
        FLASH_CLICK,
        &oggflv::Options { audio: false, size: Some("80x60".parse().unwrap()), ..Default::default() },
    )
    .unwrap()
    .0;
    for (second, message) in
        [(&other, "its pictures are 96x64, not 80x60"), (&silent, "it has no sound, not MP3 sound")]
    {
        let error = copy_as("out.flv", &[film(), second], None, &Options::default()).unwrap_err().to_string();
        assert!(error.contains("1.flv: cannot be joined with ") && error.contains(message), "{error}");
    }
}

#[test]
fn other_sound_lies_under_the_pictures() {
    for (sample_rate, channels, byte) in [(44_100, 2, 0x2F), (22_050, 1, 0x2A), (11_025, 1, 0x26)] {
        let (sound, delay) = music(sample_rate, channels);
        // With what stands around it in files: it says that the delay is that of our encoder.
        let id3 = [&b"ID3\x03\0\0\0\0\0\x05"[..], &[0xFF; 5]].concat();
        let mp3_file = [&id3[..], &info_frame(&sound, mp3_delay()), &sound, b"TAG", &[0; 125]].concat();
        let (file, report) = copy_as("out.flv", &[film()], Some(&mp3_file), &Options::default()).unwrap();
        let flv = FlvFile::parse(&file);
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
        assert!(flv.of_kind(AUDIO).iter().all(|tag| tag.body[0] == byte));
        let frames: Vec<u8> = flv.of_kind(AUDIO).iter().flat_map(|tag| tag.body[1..].to_vec()).collect();
        assert!(frames == sound);
        let first = f64::from(flv.times(VIDEO)[0]);
        assert!((first - delay).abs() <= 1.0 && flv.times(AUDIO)[0] == 0, "{first} for {delay}");
        let pictures = |file: &[u8]| {
            tags(file).into_iter().filter(|tag| tag.0 == VIDEO).map(|tag| tag.2).collect::<Vec<_>>()
        };
        assert!(pictures(&file) == pictures(film()));
        let clicks = film::clicks(&flv);
        assert_eq!(clicks.len(), 3, "{clicks:?}");
        for (number, click) in clicks.iter().enumerate() {
            assert!(
                (click - first - 1000.0 * number as f64).abs() < 12.0,
                "{clicks:?} and pictures from {first}"
            );
        }
        assert_eq!(flv.number("audiosamplerate"), f64::from(sample_rate));
        assert_eq!(flv.number("filesize"), file.len() as f64);
    }
    // It is cut with the pictures.
    let (sound, _) = music(44_100, 2);
    let (file, _) = copy_as("out.flv", &[film()], Some(&sound), &part(1500, 2500)).unwrap();
    let last = *FlvFile::parse(&file).times(AUDIO).last().unwrap();
    assert!((1400..1550).contains(&last), "{last}");
    let rate = music(48_000, 2).0;
    for (sound, message) in
        [(&rate[..], "48000 Hz"), (film(), "not an MP3 file"), (&[][..], "not an MP3 file")]
    {
        let error = copy_as("out.flv", &[film()], Some(sound), &Options::default()).unwrap_err().to_string();
        assert!(error.contains("audio.mp3: ") && error.contains(message), "{error}");
    }
}

/// Samples by which an encoder that says so delays the sound, less the decoder's part.
fn mp3_delay() -> u32 {
    let encoder =
        mp3::Encoder::new(mp3::Config { sample_rate: 44_100, channels: 2, bitrate: 64_000 }).unwrap();
    encoder.delay() as u32 - 529
}

/// A frame with the header of the first one of `sound`, of the same size, that tells the delay.
fn info_frame(sound: &[u8], delay: u32) -> Vec<u8> {
    let second =
        (100..).find(|&at| sound[at..at + 2] == sound[..2] && sound[at + 3] & 0xC0 == sound[3] & 0xC0);
    let mut frame = vec![0; second.unwrap()];
    frame[..4].copy_from_slice(&sound[..4]);
    let (is_mpeg1, mono) = (sound[1] & 8 != 0, sound[3] >> 6 == 3);
    let start = 4 + match (is_mpeg1, mono) {
        (true, false) => 32,
        (true, true) | (false, false) => 17,
        _ => 9,
    };
    frame[start..start + 8].copy_from_slice(b"Info\0\0\0\0");
    frame[start + 8..start + 17].copy_from_slice(b"LAME3.100");
    frame[start + 29..start + 32].copy_from_slice(&[(delay >> 4) as u8, (delay << 4) as u8, 0]);
    frame
}

#[test]
fn the_sound_becomes_a_file() {
    let (file, report) = copy_as("out.mp3", &[film()], None, &Options::default()).unwrap();
    let frames: Vec<u8> =
        tags(film()).into_iter().filter(|tag| tag.0 == AUDIO).flat_map(|tag| tag.2[1..].to_vec()).collect();
    assert!(file.ends_with(&frames));
    let head = &file[..file.len() - frames.len()];
    assert_eq!((&head[..2], &head[36..40]), (&[0xFF, 0xFB][..], &b"Info"[..]));
    assert_eq!(head[44..48], (report.sounds as u32).to_be_bytes());
    assert_eq!(head[48..52], (file.len() as u32).to_be_bytes());
    assert_eq!(report.sounds as usize, FlvFile::parse(film()).of_kind(AUDIO).len());
    assert!((report.duration.milliseconds() - 4004).abs() < 80);
    // Back under the pictures, as many samples later as decoders delay it by most encoders.
    let (back, _) = copy_as("out.flv", &[film()], Some(&file), &Options::default()).unwrap();
    let flv = FlvFile::parse(&back);
    assert_eq!(flv.of_kind(AUDIO).len(), report.sounds as usize);
    assert_eq!(flv.times(VIDEO)[0], 25);
    let silent = Options { sound: false, ..Options::default() };
    let (pictures, _) = copy(&[film()], &silent);
    assert_eq!(FlvFile::parse(&pictures).flags, 1);
    let error = copy_as("out.mp3", &[&pictures], None, &Options::default()).unwrap_err().to_string();
    assert!(error.contains("there is no MP3 in it: it has no sound"), "{error}");
}

#[test]
fn an_output_that_exists_survives() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("in.flv"), film()).unwrap();
    fs::write(path("out.flv"), "mine").unwrap();
    let copy = |output: &Path, overwrite| {
        remux_files(&[path("in.flv")], output, overwrite, &Options::default(), &mut || {
            ControlFlow::Continue(())
        })
    };
    assert!(matches!(copy(&path("out.flv"), false), Err(Error::Output { problem: OutputError::Exists, .. })));
    assert!(matches!(copy(&path("in.flv"), true), Err(Error::Output { problem: OutputError::IsInput, .. })));
    assert_eq!(fs::read(path("out.flv")).unwrap(), b"mine");
    copy(&path("out.flv"), true).unwrap();
    assert_eq!(tags(&fs::read(path("out.flv")).unwrap()), tags(film()));
    let stopped = remux_files(&[path("in.flv")], &path("new.flv"), false, &Options::default(), &mut || {
        ControlFlow::Break(())
    });
    assert!(matches!(stopped, Err(Error::Interrupted)) || film().len() < 1 << 20);
}

#[test]
fn the_command_copies() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("in.flv"), film()).unwrap();
    let run = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_oggflv"));
        command.args(arguments).current_dir(folder.path());
        command.stdin(fs::File::open(folder.path().join("in.flv")).unwrap());
        command.output().unwrap()
    };
    let expected = copy(&[film()], &Options::default()).0;
    let output = run(&["remux", "in.flv", "out.flv"]);
    assert!(output.status.success() && output.stdout.is_empty() && output.stderr.is_empty(), "{output:?}");
    assert!(fs::read(folder.path().join("out.flv")).unwrap() == expected);
    // A pipe in and out gets the index, too.
    assert!(run(&["remux", "-", "-"]).stdout == expected);
    for (arguments, code, message) in [
        (&["remux", "in.flv", "out.flv"][..], 1, "exists already"),
        (&["remux", "in.flv"], 2, "2 values"),
        (&["remux", "in.flv", "x.flv", "--start", "3", "--end", "2"], 2, "end has to lie after"),
        (&["remux", "-", "-", "x.flv"], 2, "only once"),
        (&["in.flv", "x.flv"], 1, "oggflv remux"),
    ] {
        let output = run(arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{stderr}");
        assert!(stderr.contains(message), "{stderr}");
        assert!(!folder.path().join("x.flv").exists());
    }
}
