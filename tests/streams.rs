//! Which streams are converted, chains of links that differ, streams that pause or are missing.
//!
//! | oddity | expectation | test |
//! |---|---|---|
//! | two video or audio streams | the first of each, a warning; `video_stream`, `audio_stream` pick | `a_stream_can_be_chosen` |
//! | a number that no stream has | an error with the count | `a_choice_that_cannot_be_followed` |
//! | Speex, alone or chosen | an error that names it; `audio: false` converts the rest | `sound_that_cannot_be_decoded` |
//! | Dirac, VP8, Daala, Kate, CMML beside Theora | left out with a warning that names them | `other_streams_are_left_out` |
//! | links of other sizes, rates, channels, same serial numbers | one film of the first one's format | `links_that_differ` |
//! | a link without sound | silence | `a_link_without_sound` |
//! | a first link without sound | no sound up to the link that has some | `sound_from_the_second_link_on` |
//! | a first link without pictures | no pictures up to the link that has some | `pictures_from_the_second_link_on` |
//! | a stream that stops without an end | the other goes on; little is held | `a_stream_that_stops` |
//! | a stream that pauses in the file, not in time | what comes too late is left out; tags stay in order | `a_stream_that_comes_too_late` |
//! | pictures of too many pixels | an error with the limit, which can be raised | `the_limit_of_pixels` |
//! | less than a picture in ten minutes | an error | `hopelessly_slow_pictures` |
//! | 1 and 120 pictures a second, a picture of one sample | as they are | `odd_pictures` |
//! | sound of 1 kHz, 11127 Hz, 192 kHz | as long as it was, at a rate of FLV | `odd_sample_rates` |

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

mod common;

use common::film::{clicks, convert, flashes, flv, pictures};
use common::flv_file::{AUDIO, FlvFile, VIDEO};
use common::ogg_pages::{BOS, page};
use common::sample::{FLASHES, multiplex, pages_of, stream, stream_of, theora_stream, theora_vector};
use oggflv::ogg::Codec;
use oggflv::options::Preset;
use oggflv::{Error, InputError, Options};

const MONO: &[u8] = include_bytes!("vectors/vorbis/mono8.ogg");
const SIX: &[u8] = include_bytes!("vectors/vorbis/six.ogg");
const CLICKS_OPUS: &[u8] = include_bytes!("vectors/sound/clicks.opus");

fn theora(serial: u32) -> Vec<Vec<u8>> {
    stream(Codec::Theora).pages(serial, 0)
}

fn vorbis(serial: u32) -> Vec<Vec<u8>> {
    stream(Codec::Vorbis).pages(serial, 0)
}

fn mono(serial: u32) -> Vec<Vec<u8>> {
    stream_of(MONO, Codec::Vorbis).pages(serial, 0)
}

fn options() -> Options {
    Options { size: Some("160x120".parse().unwrap()), preset: Preset::Fast, ..Options::default() }
}

fn problem(file: &[u8], options: &Options) -> InputError {
    match convert(file, options) {
        Err(Error::Input { problem, .. }) => problem,
        other => panic!("{:?}", other.map(|(_, report)| report)),
    }
}

#[test]
fn a_stream_can_be_chosen() {
    let small = theora_vector("444-odd").pages(3, 0);
    let file = multiplex(&[theora(1), small, mono(2), vorbis(4)]);
    let chosen = |video: Option<usize>, audio: Option<usize>| {
        let number = |number: usize| number.try_into().unwrap();
        let options = Options {
            video_stream: video.map(number),
            audio_stream: audio.map(number),
            ..Options::default()
        };
        let (file, report) = convert(&file, &options).unwrap();
        let flv = FlvFile::parse(&file);
        (flv.number("width"), flv.number("audiosamplerate"), report.warnings)
    };
    let both = [
        "there is more than one video stream: --video-stream picks another than the first",
        "there is more than one audio stream: --audio-stream picks another than the first",
    ];
    assert_eq!(chosen(None, None), (320.0, 11_025.0, both.map(str::to_owned).to_vec()));
    let (width, rate, warnings) = chosen(Some(2), Some(2));
    assert!(width < 320.0 && warnings.is_empty(), "{width} {warnings:?}");
    assert_eq!(rate, 44_100.0);
    assert_eq!(chosen(Some(1), Some(2)), (320.0, 44_100.0, Vec::new()));
}

#[test]
fn a_choice_that_cannot_be_followed() {
    let file = multiplex(&[theora(1), vorbis(2)]);
    let options = Options { audio_stream: Some(3.try_into().unwrap()), ..options() };
    let error = problem(&file, &options).to_string();
    assert_eq!(error, "there is no audio stream 3: the file has 1");
    // What is not wanted need not be there.
    assert!(convert(&file, &Options { audio: false, ..options }).is_ok());
}

#[test]
fn sound_that_cannot_be_decoded() {
    let speex = vec![page(5, 0, BOS, 0, &[b"Speex   1.2"]), page(5, 1, 0, 0, &[b"comment"])];
    let file = multiplex(&[theora(1), speex.clone()]);
    let error = problem(&file, &options()).to_string();
    assert_eq!(error, "its sound is Speex, which cannot be decoded; --no-audio converts the rest");
    let (_, report) = convert(&file, &Options { audio: false, ..options() }).unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    // Beside sound that can be, it is only left out; its number counts.
    let file = multiplex(&[theora(1), speex, vorbis(2)]);
    let (flv, report) =
        convert(&file, &options()).map(|(file, report)| (FlvFile::parse(&file), report)).unwrap();
    assert_eq!(clicks(&flv).len(), FLASHES.len());
    assert!(report.warnings.contains(&"the Speex stream is left out: it cannot be converted".to_owned()));
    let choice = |number: usize| Options { audio_stream: Some(number.try_into().unwrap()), ..options() };
    assert!(matches!(problem(&file, &choice(1)), InputError::Undecodable { codec: Codec::Speex }));
    assert!(convert(&file, &choice(2)).is_ok());
}

#[test]
fn other_streams_are_left_out() {
    for (signature, name) in [
        (&b"BBCD\0"[..], "Dirac"),
        (b"OVP80\x01", "VP8"),
        (b"\x80daala", "Daala"),
        (b"\x80kate\0\0\0", "Kate"),
        (b"CMML\0\0\0\0", "CMML"),
    ] {
        let other = vec![page(5, 0, BOS, 0, &[signature]), page(5, 1, 0, 9, &[b"data"])];
        let (_, report) = convert(&multiplex(&[theora(1), other]), &options()).unwrap();
        assert_eq!(report.warnings, [format!("the {name} stream is left out: it cannot be converted")]);
    }
    let skeleton = vec![page(5, 0, BOS, 0, &[b"fishead\0"]), page(5, 1, 0, 0, &[b"fisbone\0"])];
    let (_, report) = convert(&multiplex(&[skeleton, theora(1)]), &options()).unwrap();
    assert!(report.warnings.is_empty());
}

#[test]
fn links_that_differ() {
    let second = theora_vector("444-odd");
    let count = second.packets.len() - 3;
    let six = stream_of(SIX, Codec::Vorbis);
    let file = [
        multiplex(&[theora(1), vorbis(2)]),
        multiplex(&[second.pages(1, 0), mono(2)]),
        multiplex(&[theora(1), six.pages(2, 0)]),
        multiplex(&[theora(1), pages_of(CLICKS_OPUS)]),
    ]
    .concat();
    let (file, report) = convert(&file, &Options { strict: true, size: None, ..options() }).unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let flv = FlvFile::parse(&file);
    assert_eq!((flv.number("width"), flv.number("audiosamplerate")), (320.0, 44_100.0));
    let pictures = pictures(&flv);
    assert!(pictures.iter().all(|(_, picture)| (picture.width(), picture.height()) == (320, 240)));
    assert!(pictures.len() > 3 * 115 + count / 2, "{}", pictures.len());
    let (flashes, clicks) = (flashes(&flv), clicks(&flv));
    // The tones of the two links between are loud, too.
    assert!(flashes.len() == 9 && clicks.len() >= 6, "{flashes:?} {clicks:?}");
    let clicks = [&clicks[..3], &clicks[clicks.len() - 3..]].concat();
    for (flash, click) in [0, 1, 2, 6, 7, 8].map(|n| flashes[n]).iter().zip(&clicks) {
        assert!((flash - click).abs() < 5.0, "{flashes:?} {clicks:?}");
    }
    let audio = flv.times(AUDIO);
    assert!(audio.windows(2).all(|pair| pair[1] - pair[0] <= 27), "sound without a gap");
}

#[test]
fn a_link_without_sound() {
    let file =
        [multiplex(&[theora(1), vorbis(2)]), multiplex(&[theora(1)]), multiplex(&[theora(1), vorbis(2)])]
            .concat();
    let flv = flv(&file, &options());
    assert_eq!(flv.number("duration"), 12.012);
    let (flashes, clicks) = (flashes(&flv), clicks(&flv));
    assert_eq!((flashes.len(), clicks.len()), (9, 6));
    assert!((flashes[6] - clicks[3]).abs() < 5.0, "{flashes:?} {clicks:?}");
    assert!(flv.times(AUDIO).windows(2).all(|pair| pair[1] - pair[0] <= 27));
}

#[test]
fn sound_from_the_second_link_on() {
    let file = [multiplex(&[theora(1)]), multiplex(&[theora(1), vorbis(2)])].concat();
    let (file, report) = convert(&file, &options()).unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let flv = FlvFile::parse(&file);
    assert_eq!((flv.flags, flv.number("duration")), (5, 8.008));
    let (flashes, clicks) = (flashes(&flv), clicks(&flv));
    assert_eq!((flashes.len(), clicks.len()), (6, 3), "{flashes:?} {clicks:?}");
    for (flash, click) in flashes[3..].iter().zip(&clicks) {
        assert!((flash - click).abs() < 5.0, "{flashes:?} {clicks:?}");
    }
    assert!(flv.times(AUDIO)[0] > 3000);
    assert!(flv.times(VIDEO).windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn pictures_from_the_second_link_on() {
    let file = [multiplex(&[vorbis(1)]), multiplex(&[theora(1), vorbis(2)])].concat();
    let (file, report) = convert(&file, &options()).unwrap();
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    let flv = FlvFile::parse(&file);
    assert_eq!((flv.flags, flv.number("width")), (5, 160.0));
    let (flashes, clicks) = (flashes(&flv), clicks(&flv));
    assert_eq!((flashes.len(), clicks.len()), (3, 6), "{flashes:?} {clicks:?}");
    for (flash, click) in flashes.iter().zip(&clicks[3..]) {
        assert!((flash - click).abs() < 5.0, "{flashes:?} {clicks:?}");
    }
    let video = flv.of_kind(VIDEO);
    assert!(video[0].is_key_frame() && video[0].timestamp > 4000);
}

/// The sample's pictures again and again, as key frames that are `padding` bytes longer.
fn long_video(pictures: usize, padding: usize) -> Vec<Vec<u8>> {
    let sample = stream(Codec::Theora).packets;
    let mut packets = sample[..3].to_vec();
    let mut key = sample[3].clone();
    key.resize(key.len() + padding, 0);
    packets.extend((0..pictures).map(|_| key.clone()));
    theora_stream(packets).pages(1, 0)
}

#[test]
fn a_stream_that_stops() {
    // 20 s of pictures of 50,000 bytes each; the sound stops after a second, without an end.
    let video = long_video(600, 45_000);
    let mut sound = vorbis(2);
    sound.truncate(3);
    let bytes: usize = video.iter().map(Vec::len).sum();
    assert!(bytes > 24 << 20);
    let flv = flv(&multiplex(&[video, sound]), &options());
    assert_eq!(flv.number("duration"), 20.02);
    // Silence up to the end, in order with the pictures.
    let (video, audio) = (flv.times(VIDEO), flv.times(AUDIO));
    assert!(audio.last().unwrap() + 100 > *video.last().unwrap());
}

#[test]
fn a_stream_that_comes_too_late() {
    let video = long_video(600, 45_000);
    let sound = vorbis(2);
    // All sound but its first second comes behind the pictures.
    let (first, late) = sound.split_at(3);
    let file = [&video[0], &first[0]].map(|page| page.clone()).concat();
    let file =
        [file, video[1..300].concat(), first[1..].concat(), video[300..].concat(), late.concat()].concat();
    let (file, report) = convert(&file, &options()).unwrap();
    let flv = FlvFile::parse(&file);
    assert_eq!(flv.number("duration"), 20.02);
    assert!(report.losses.iter().any(|loss| loss.sound.seconds() > 1.0), "{:?}", report.losses);
    assert!(flv.times(AUDIO).last().unwrap() + 100 > *flv.times(VIDEO).last().unwrap());
}

#[test]
fn the_limit_of_pixels() {
    let file = multiplex(&[theora(1)]);
    let limited = |max_pixels| convert(&file, &Options { max_pixels, ..options() });
    assert!(limited(320 * 240).is_ok());
    let error = limited(320 * 240 - 1).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("76800 luma samples; the limit is 76799"), "{error}");
}

#[test]
fn hopelessly_slow_pictures() {
    let mut video = stream(Codec::Theora);
    // FRN and FRD.
    video.packets[0][22..26].copy_from_slice(&1_u32.to_be_bytes());
    video.packets[0][26..30].copy_from_slice(&601_u32.to_be_bytes());
    let error = problem(&multiplex(&[video.pages(1, 0)]), &options()).to_string();
    assert!(error.contains("the frame rate is below one picture in 600 s"), "{error}");
}

#[test]
fn odd_pictures() {
    for (rate, size, seconds) in
        [((1, 1), (320, 240), 5.0), ((120, 1), (1, 1), 0.042), ((30, 1), (1, 240), 0.167)]
    {
        let mut video = stream(Codec::Theora);
        let identification = &mut video.packets[0];
        // PICW and PICH, FRN and FRD.
        identification[14..17].copy_from_slice(&u32::to_be_bytes(size.0)[1..]);
        identification[17..20].copy_from_slice(&u32::to_be_bytes(size.1)[1..]);
        identification[22..26].copy_from_slice(&u32::to_be_bytes(rate.0));
        identification[26..30].copy_from_slice(&u32::to_be_bytes(rate.1));
        let file = theora_stream(video.packets[..3 + 5].to_vec()).pages(1, 0).concat();
        let (file, report) = convert(&file, &Options { size: None, strict: true, ..options() }).unwrap();
        assert!(report.warnings.is_empty());
        let flv = FlvFile::parse(&file);
        assert_eq!((flv.number("width"), flv.number("height")), (size.0.into(), size.1.into()));
        assert_eq!(flv.number("duration"), seconds);
    }
}

#[test]
fn odd_sample_rates() {
    for (rate, expected) in [(1000_u32, 11_025.0), (11_127, 22_050.0), (192_000, 44_100.0)] {
        let mut sound = stream_of(MONO, Codec::Vorbis);
        sound.packets[0][12..16].copy_from_slice(&rate.to_le_bytes());
        let flv = flv(&sound.pages(1, 0).concat(), &options());
        assert_eq!(flv.number("audiosamplerate"), expected);
        let seconds = 3001.0 / f64::from(rate);
        assert!((flv.number("duration") - seconds).abs() < 0.002, "{rate} {}", flv.number("duration"));
    }
}
