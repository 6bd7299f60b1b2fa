//! Parts of a film: where it begins and ends, and what becomes of its sound.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

mod common;

use common::film::{clicks, convert, flashes, flv, pictures, sound, sound_delay};
use common::flv_file::{AUDIO, VIDEO};
use common::sample::{FLASH_CLICK, multiplex, pages_of, standing_video, stream};
use oggflv::ogg::Codec;
use oggflv::time::Time;
use oggflv::{Error, InputError, Options};

fn part(start: i32, end: i32) -> Options {
    Options { start: Time::from_milliseconds(start), end: Time::from_milliseconds(end), ..Options::default() }
}

/// The flashes and clicks of the sample come at 1.001, 2.002 and 3.003 s.
#[test]
fn a_part_is_exact() {
    for (start, end, expected) in [
        (0, 2500, &[1001.0, 2002.0][..]),
        (500, 4000, &[501.0, 1502.0, 2503.0]),
        (1001, 3003, &[0.0, 1001.0]),
        (1950, 2050, &[52.0]),
        (2500, 100_000, &[503.0]),
    ] {
        let flv = flv(FLASH_CLICK, &part(start, end));
        let length = f64::from(end.min(4004) - start);
        assert!((flv.number("duration") * 1000.0 - length).abs() < 1.0, "{start} to {end}");
        // Nothing is said before the first picture and the first sound.
        assert_eq!(flv.times(VIDEO)[0], sound_delay().round() as u32);
        let (flashes, clicks) = (flashes(&flv), clicks(&flv));
        assert_eq!((flashes.len(), clicks.len()), (expected.len(), expected.len()), "{flashes:?} {clicks:?}");
        for ((flash, click), expected) in flashes.iter().zip(&clicks).zip(expected) {
            assert!((flash - expected - sound_delay()).abs() <= 1.0, "{start}: {flash} for {expected}");
            assert!((click - expected - sound_delay()).abs() < 5.0, "{start}: {click} for {expected}");
        }
        let samples = sound(&flv)[0].len() as f64 / 44.1;
        assert!(samples >= length && samples < length + 100.0, "{samples} ms of sound");
    }
}

/// Between two pictures the one before stands at the start.
#[test]
fn the_picture_of_the_start_is_shown() {
    let options = |start| Options { audio: false, ..part(start, 1100) };
    let whole = pictures(&flv(FLASH_CLICK, &options(0)));
    let part = pictures(&flv(FLASH_CLICK, &options(1010)));
    // The flash begins at 1001 ms, the next picture comes at 1034.
    let mean = |index: usize| {
        let data = part[index].1.planes[0].data();
        data.iter().map(|&sample| u32::from(sample)).sum::<u32>() / data.len() as u32
    };
    assert_eq!((part[0].0, part[1].0), (0, 24));
    assert!(mean(0) > 200 && whole.len() > part.len(), "{}", mean(0));
}

/// The picture at the start repeats the one before.
#[test]
fn a_picture_that_stands_is_shown_from_the_start() {
    for start in [1001, 1010] {
        let flv = flv(&standing_video(100, &[]), &part(start, 2500));
        assert_eq!(flv.times(VIDEO)[0], 0, "{start}");
        assert!(flv.tags[0].is_key_frame());
        assert!((flv.number("duration") * 1000.0 - f64::from(2500 - start)).abs() < 1.0);
    }
}

#[test]
fn the_end_of_a_part_is_all_that_is_read() {
    let (_, report) = convert(FLASH_CLICK, &part(0, 500)).unwrap();
    assert!(report.pictures.decoded < 30, "{:?}", report.pictures);
    // What is damaged behind the end does not matter.
    let mut damaged = FLASH_CLICK.to_vec();
    let length = damaged.len();
    damaged[length / 2..].fill(0x55);
    let (expected, _) = convert(FLASH_CLICK, &part(200, 600)).unwrap();
    let (found, report) = convert(&damaged, &part(200, 600)).unwrap();
    assert!(found == expected && report.warnings.is_empty(), "{:?}", report.warnings);
}

#[test]
fn a_chain_is_cut_in_any_link() {
    let link = |serial| {
        multiplex(&[stream(Codec::Theora).pages(serial, 0), stream(Codec::Vorbis).pages(serial + 1, 0)])
    };
    let chain = [link(1), link(3)].concat();
    assert!(pages_of(&chain).len() > 20);
    let flv = flv(&chain, &part(3500, 5500));
    let expected = 4004.0 + 1001.0 - 3500.0 + sound_delay();
    let (flashes, clicks) = (flashes(&flv), clicks(&flv));
    assert_eq!((flashes.len(), clicks.len()), (1, 1), "{flashes:?} {clicks:?}");
    assert!(
        (flashes[0] - expected).abs() <= 2.0 && (clicks[0] - expected).abs() < 6.0,
        "{flashes:?} {clicks:?}"
    );
}

#[test]
fn a_start_behind_the_end_is_refused() {
    match convert(FLASH_CLICK, &part(5000, 9000)) {
        Err(Error::Input { problem: InputError::StartsBehindEnd { end }, .. }) => {
            assert_eq!(end.milliseconds(), 4004);
        }
        other => panic!("{:?}", other.map(|(_, report)| report)),
    }
}

#[test]
fn sound_as_it_is_wanted() {
    let options =
        Options { sample_rate: Some(22_050), mono: true, volume: 0.5, video: false, ..Options::default() };
    let (wanted, usual) =
        (flv(FLASH_CLICK, &options), flv(FLASH_CLICK, &Options { volume: 1.0, ..options.clone() }));
    assert_eq!(wanted.number("audiosamplerate"), 22_050.0);
    // MP3, 22 kHz, 16 bits, mono.
    assert!(wanted.of_kind(AUDIO).iter().all(|tag| tag.body[0] == 0x2A));
    let energy = |channel: &[f32]| channel.iter().map(|sample| f64::from(*sample).powi(2)).sum::<f64>();
    let ratio = energy(&sound(&wanted)[0]) / energy(&sound(&usual)[0]);
    assert!((0.24..0.26).contains(&ratio), "{ratio}");
    assert_eq!(sound(&wanted).len(), 1);
}

#[test]
fn a_frame_rate_is_not_exceeded() {
    let rated = |rate: &str| Options {
        frame_rate_limit: Some(rate.parse().unwrap()),
        audio: false,
        ..Options::default()
    };
    let whole = flv(FLASH_CLICK, &Options { audio: false, ..Options::default() });
    // That of the source, and more.
    for rate in ["30000/1001", "30", "60"] {
        assert_eq!(flv(FLASH_CLICK, &rated(rate)).times(VIDEO), whole.times(VIDEO), "{rate}");
    }
    for (rate, per_second) in [("25", 25.0), ("12", 12.0), ("10", 10.0)] {
        let limited = flv(FLASH_CLICK, &rated(rate));
        let times = limited.times(VIDEO);
        // Those that stay are where they were.
        let pictures = times.iter().filter(|time| whole.times(VIDEO).contains(time)).count();
        assert!(
            (pictures as f64 - 4.004 * per_second).abs() <= 1.0 + 0.02 * per_second,
            "{rate}: {pictures}"
        );
        assert_eq!(pictures, times.len());
        // No window of a second has more than one picture too many.
        for (number, time) in times.iter().enumerate() {
            let window = times[number..].iter().take_while(|later| *later - time < 1000).count();
            assert!(window as f64 <= per_second + 1.0, "{rate}: {window} from {time} on");
        }
        assert_eq!(limited.number("duration"), whole.number("duration"));
    }
    let half = flv(FLASH_CLICK, &rated("15000/1001"));
    let every_second: Vec<u32> = whole.times(VIDEO).into_iter().step_by(2).collect();
    assert_eq!(half.times(VIDEO), every_second);
}

#[test]
fn sound_of_a_file_is_copied_under_the_pictures() {
    use oggflv_mp3 as mp3;
    let config = mp3::Config { sample_rate: 22_050, channels: 1, bitrate: 64_000 };
    let mut encoder = mp3::Encoder::new(config).unwrap();
    let delay = encoder.delay() as f64 / 22.05;
    let samples: Vec<f32> = (0..6 * 22_050)
        .map(|at| if at % 22_050 < 440 { (at % 20) as f32 / 10.0 - 1.0 } else { 0.0 })
        .collect();
    let mut frames = Vec::new();
    encoder.encode(&[&samples], &mut frames);
    encoder.finish(&mut frames);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("music.mp3");
    std::fs::write(&path, frames.concat()).unwrap();
    let with_sound = |options: Options| Options { audio_file: Some(path.clone()), ..options };
    let flv = flv(FLASH_CLICK, &with_sound(Options::default()));
    assert!(flv.of_kind(AUDIO).iter().all(|tag| tag.body[0] == 0x2A));
    let copied: Vec<u8> = flv.of_kind(AUDIO).iter().flat_map(|tag| tag.body[1..].to_vec()).collect();
    assert!(copied == frames.concat());
    // It says nothing of its delay, which is taken for 1105 samples.
    let first = f64::from(flv.times(VIDEO)[0]);
    assert!((first - 1105.0 / 22.05).abs() <= 1.0 && (first - delay).abs() < 4.0, "{first}");
    let clicks = clicks(&flv);
    assert_eq!(clicks.len(), 6, "{clicks:?}");
    assert!((clicks[2] - first - 2000.0).abs() < 12.0, "{clicks:?}");
    // Longer than the pictures, of which the last one stands.
    assert!((flv.number("duration") - 6.0).abs() < 0.1, "{}", flv.number("duration"));
    assert!(*flv.times(VIDEO).last().unwrap() > 5000);
    // A part has the sound from its beginning on, and no more of it than of the pictures.
    let short = common::film::flv(FLASH_CLICK, &with_sound(part(1500, 3000)));
    assert_eq!(short.of_kind(AUDIO)[0].body, flv.of_kind(AUDIO)[0].body);
    assert!((short.number("duration") - 1.5).abs() < 0.05, "{}", short.number("duration"));
    std::fs::write(&path, FLASH_CLICK).unwrap();
    let error = convert(FLASH_CLICK, &with_sound(Options::default())).unwrap_err().to_string();
    assert!(error.contains("music.mp3: not an MP3 file"), "{error}");
}

#[test]
fn a_contact_sheet_shows_the_film() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("sheet.png");
    let sheet = oggflv::options::ContactSheet { path: path.clone(), grid: "3x2".parse().unwrap() };
    let options =
        Options { contact_sheet: Some(sheet), size: Some("160x120".parse().unwrap()), ..part(0, 3600) };
    let (with, report) = convert(FLASH_CLICK, &options).unwrap();
    let (without, _) = convert(FLASH_CLICK, &Options { contact_sheet: None, ..options.clone() }).unwrap();
    assert!(with == without && report.warnings.is_empty());
    let png = std::fs::read(&path).unwrap();
    // Width and height in IHDR.
    assert_eq!(png[16..24], [(4 + 3 * 164_u32).to_be_bytes(), (4 + 2 * 124_u32).to_be_bytes()].concat());
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    // It is not replaced without being asked for.
    let error = convert(FLASH_CLICK, &options).unwrap_err().to_string();
    assert!(error.contains("sheet.png: exists already"), "{error}");
}
