//! Damaged files: no more is lost than was hit, what is lost is said, and the rest stays in its place.
//!
//! | damage | expectation | test |
//! |---|---|---|
//! | pages lost | exactly their packets are missing; flash and click stay together | `lost_pages` |
//! | a bit flipped | the packets of that page are missing | `a_flipped_bit` |
//! | garbage, false pages between pages | nothing is missing; a warning | `garbage_between_pages` |
//! | a wrong lacing table | the packets of the page, and of those it swallows, are missing | `a_wrong_lacing_table` |
//! | six holes of 400 bytes | as many pictures missing as were hit; right again from the next key frame on | `holes` |
//! | cut off | what is there is converted; a warning says up to when | `a_file_cut_off` |
//! | a picture that cannot be decoded | the one before stands | `a_broken_picture` |
//! | a comment header lost | nothing is missing; a warning | `a_lost_comment_header` |
//! | headers of a later link damaged | that stream of that link is left out | `damaged_headers_of_a_later_link` |
//!
//! Under `strict` each of them is an error.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

mod common;

use common::film::{clicks, convert, flashes, flv, picture_time, pictures, sound_delay};
use common::flv_file::{FlvFile, VIDEO};
use common::ogg_pages::{BOS, page, seal};
use common::sample::{FLASHES, multiplex, multiplexed, stream, theora_stream};
use oggflv::ogg::Codec;
use oggflv::options::Preset;
use oggflv::time::Time;
use oggflv::{Error, InputError, Options, Report};

/// The sample with a page for each picture, and where pages lie in it.
struct Film {
    bytes: Vec<u8>,
    /// Stream, page in the stream, offset and end.
    pages: Vec<(usize, usize, usize, usize)>,
}

const VIDEO_STREAM: usize = 0;
const SOUND_STREAM: usize = 1;

impl Film {
    /// The first `pictures` of the sample, and then those from the start again.
    fn new(pictures: usize) -> Self {
        let mut video = stream(Codec::Theora).packets;
        let again = video[3..].to_vec();
        while video.len() < 3 + pictures {
            video.extend(again.clone());
        }
        video.truncate(3 + pictures);
        let streams = [theora_stream(video).pages(1, 0), stream(Codec::Vorbis).pages(2, 0)];
        let (mut bytes, mut pages) = (Vec::new(), Vec::new());
        for (stream, page) in multiplexed(&streams) {
            let start = bytes.len();
            bytes.extend(&streams[stream][page]);
            pages.push((stream, page, start, bytes.len()));
        }
        Self { bytes, pages }
    }

    /// Where the page of a picture lies.
    fn picture(&self, number: usize) -> (usize, usize) {
        self.page(VIDEO_STREAM, number + 2)
    }

    fn page(&self, stream: usize, page: usize) -> (usize, usize) {
        let found = self.pages.iter().find(|known| (known.0, known.1) == (stream, page)).unwrap();
        (found.2, found.3)
    }

    /// Without some pages.
    fn without(&self, lost: &[(usize, usize)]) -> Vec<u8> {
        let kept = self.pages.iter().filter(|(stream, page, ..)| !lost.contains(&(*stream, *page)));
        kept.flat_map(|&(_, _, start, end)| self.bytes[start..end].to_vec()).collect()
    }
}

/// What makes little work.
fn small() -> Options {
    Options { size: Some("160x120".parse().unwrap()), preset: Preset::Fast, ..Options::default() }
}

/// Converts a damaged file and asserts that `strict` refuses it.
fn damaged(file: &[u8]) -> (FlvFile, Report) {
    let strict = convert(file, &Options { strict: true, ..small() });
    assert!(
        matches!(strict, Err(Error::Input { problem: InputError::Damaged { .. }, .. })),
        "strict: {:?}",
        strict.map(|(_, report)| report)
    );
    let (file, report) = convert(file, &small()).unwrap();
    assert!(!report.warnings.is_empty());
    (FlvFile::parse(&file), report)
}

/// Numbers of the pictures that have no tag of their own.
fn missing_pictures(flv: &FlvFile, count: usize) -> Vec<usize> {
    let times = flv.times(VIDEO);
    (0..count).filter(|&n| !times.contains(&picture_time(n as i64, sound_delay()))).collect()
}

fn in_sync(flv: &FlvFile) {
    let (flashes, clicks) = (flashes(flv), clicks(flv));
    assert_eq!((flashes.len(), clicks.len()), (FLASHES.len(), FLASHES.len()), "{flashes:?} {clicks:?}");
    for (flash, click) in flashes.iter().zip(&clicks) {
        assert!((flash - click).abs() < 5.0, "flash at {flash} ms, click at {click} ms");
    }
}

fn time_of(picture: i64) -> Time {
    Time::from_units(picture, 30_000, 1001)
}

#[test]
fn an_undamaged_file_is_strictly_right() {
    let (_, report) = convert(&Film::new(120).bytes, &Options { strict: true, ..small() }).unwrap();
    assert!(report.warnings.is_empty() && report.losses.is_empty());
}

#[test]
fn lost_pages() {
    let film = Film::new(120);
    let lost = [40, 41, 100].map(|picture| (VIDEO_STREAM, picture + 2));
    let (flv, report) = damaged(&film.without(&lost));
    assert_eq!(missing_pictures(&flv, 120), [40, 41, 100]);
    in_sync(&flv);
    let losses: Vec<_> = report.losses.iter().map(|loss| (loss.start, loss.end, loss.pictures)).collect();
    assert_eq!(losses, [(time_of(40), time_of(42), 2), (time_of(100), time_of(101), 1)]);
    assert!(
        report.warnings.iter().any(|warning| warning == "damaged at 0:01.3 to 0:01.4: 2 pictures"),
        "{:?}",
        report.warnings
    );

    // A page of sound, from one click to the next: silence of just its length.
    let sound = stream(Codec::Vorbis);
    let ends: Vec<i64> = sound.granule_positions.iter().copied().filter(|&end| end > 0).collect();
    let (flv, report) = damaged(&film.without(&[(SOUND_STREAM, 1 + 2)]));
    assert!(missing_pictures(&flv, 120).is_empty());
    let (last_flash, clicks) = (flashes(&flv)[2], clicks(&flv));
    assert!(clicks.iter().any(|click| (click - last_flash).abs() < 5.0), "{last_flash} {clicks:?}");
    let [loss] = report.losses[..] else { panic!("{:?}", report.losses) };
    let (start, end) = (Time::from_units(ends[0], 48_000, 1), Time::from_units(ends[1], 48_000, 1));
    // The block behind the page lacks the one before it.
    let near = |a: Time, b: Time| (a.seconds() - b.seconds()).abs() < 0.05;
    assert!(near(loss.start, start) && near(loss.end, end), "{loss:?}, {start} to {end}");
    assert!(near(loss.sound, end - start) && loss.pictures == 0, "{loss:?}");
    // As many packets as the page has, and the one that needs the last of them.
    let (before, through) =
        (sound.granule_positions.iter().position(|&end| end == ends[0]).unwrap(), ends[1]);
    let packets = sound.granule_positions.iter().position(|&end| end == through).unwrap() - before;
    assert!(loss.packets.abs_diff(packets as u64) <= 2, "{loss:?}, {packets}");
    let told = format!("s of sound (about {} packets)", loss.packets);
    assert!(report.warnings.iter().any(|warning| warning.ends_with(&told)), "{:?}", report.warnings);
    assert_eq!(flv.number("duration"), 4.004);
}

#[test]
fn a_flipped_bit() {
    let film = Film::new(120);
    let (start, end) = film.picture(50);
    for at in [start, start + 4, start + 14, start + 22, start + 27, (start + end) / 2, end - 1] {
        let mut file = film.bytes.clone();
        file[at] ^= 0x10;
        let (flv, report) = damaged(&file);
        assert_eq!(missing_pictures(&flv, 120), [50], "byte {}", at - start);
        assert_eq!(report.losses.iter().map(|loss| loss.pictures).sum::<u64>(), 1);
    }
}

#[test]
fn garbage_between_pages() {
    let film = Film::new(120);
    let mut false_page = page(1, 53, 0, 1 << 60, &[&[7; 300]]);
    false_page[100] ^= 1;
    for garbage in [&b"garbage"[..], b"OggS", b"OggS\0\0", &false_page, &false_page[..40]] {
        let mut file = film.bytes.clone();
        for picture in [90, 51, 50, 1] {
            let at = film.picture(picture).0;
            file.splice(at..at, garbage.iter().copied());
        }
        let (flv, report) = damaged(&file);
        assert_eq!(missing_pictures(&flv, 120), [0_usize; 0]);
        in_sync(&flv);
        assert!(report.losses.is_empty(), "{:?}", report.losses);
        let bytes = format!("bytes outside pages: {}", 4 * garbage.len());
        assert!(report.warnings[0].contains(&bytes), "{:?}", report.warnings);
    }
}

#[test]
fn a_wrong_lacing_table() {
    let film = Film::new(120);
    let (start, end) = film.picture(50);
    let segments = usize::from(film.bytes[start + 26]);
    assert!(segments >= 2);
    // The last lacing value smaller, larger, and 255: the page is shorter, longer, its packet goes on.
    for value in [1, 254, 255] {
        let mut file = film.bytes.clone();
        file[start + 26 + segments] = value;
        let (flv, _) = damaged(&file);
        assert_eq!(missing_pictures(&flv, 120), [50], "{value}");
    }
    // Shorter, with a right checksum: a piece of a picture, which may or may not be one.
    let mut file = film.bytes;
    let removed = usize::from(file[start + 26 + segments]);
    file[start + 26 + segments] = 0;
    seal(&mut file[start..end - removed]);
    let (flv, report) = damaged(&file);
    assert!(missing_pictures(&flv, 120).iter().all(|&picture| picture == 50));
    assert!(report.warnings[0].contains(&format!("bytes outside pages: {removed}")), "{:?}", report.warnings);
}

#[test]
fn holes() {
    const PICTURES: usize = 180;
    let film = Film::new(PICTURES);
    let intact = pictures(&flv(&film.bytes, &small()));
    let mut file = film.bytes.clone();
    let mut hit: Vec<usize> = Vec::new();
    for hole in 1..=6 {
        let at = film.bytes.len() * hole / 7;
        file[at..at + 400].fill(0);
        let overlapping = film
            .pages
            .iter()
            .filter(|&&(stream, _, start, end)| stream == VIDEO_STREAM && start < at + 400 && at < end);
        hit.extend(overlapping.map(|&(_, page, ..)| page - 2));
    }
    hit.dedup();
    assert!((6..=30).contains(&hit.len()), "{hit:?}");
    let (flv, report) = damaged(&file);
    assert_eq!(missing_pictures(&flv, PICTURES), hit);
    assert_eq!(report.losses.iter().map(|loss| loss.pictures).sum::<u64>(), hit.len() as u64);
    // Whatever was predicted from the missing ones is right again behind a key frame.
    let video = stream(Codec::Theora).packets;
    let is_key = |n: usize| oggflv_theora::is_keyframe(&video[3 + n % (video.len() - 3)]);
    let mut compared = 0;
    for (time, picture) in pictures(&flv) {
        let n = (0..PICTURES).find(|&n| picture_time(n as i64, sound_delay()) == time).unwrap();
        let key = (0..=n).rev().find(|&n| is_key(n)).unwrap();
        if hit.iter().any(|hit| (key..=n).contains(hit)) {
            continue;
        }
        let (_, original) = intact.iter().find(|(known, _)| *known == time).unwrap();
        let (a, b) = (picture.planes[0].data(), original.planes[0].data());
        let difference: u64 = a.iter().zip(b).map(|(&a, &b)| u64::from(a.abs_diff(b))).sum();
        assert!(difference < 3 * a.len() as u64, "picture {n}: {}", difference as f64 / a.len() as f64);
        compared += 1;
    }
    assert!(compared > 40, "{compared}");
}

#[test]
fn a_file_cut_off() {
    let film = Film::new(120);
    for cut in [film.picture(70).0 + 100, film.page(SOUND_STREAM, 5).0 + 40] {
        let (flv, report) = damaged(&film.bytes[..cut]);
        let whole = film.pages.iter().filter(|page| page.0 == VIDEO_STREAM && page.3 <= cut).count() - 2;
        assert!(flv.times(VIDEO).len() >= whole);
        assert!(missing_pictures(&flv, whole).is_empty());
        let end = Time::from_milliseconds((flv.number("duration") * 1000.0).round() as i32);
        let expected = format!("the file is cut off at {end}: it ends within a page or a packet");
        assert!(report.warnings.contains(&expected), "{:?}", report.warnings);
    }
    // A cut between two pages shows nowhere, as long as both streams have their data.
    let cut = film.picture(70).0;
    let (file, _) = convert(&film.bytes[..cut], &small()).unwrap();
    assert!(missing_pictures(&FlvFile::parse(&file), 70).is_empty());
}

#[test]
fn a_broken_picture() {
    let mut video = stream(Codec::Theora);
    // A key frame whose reserved bits are set.
    video.packets[3 + 20] = vec![0x3F, 0xFF, 0xFF];
    let file = multiplex(&[video.pages(1, 0), stream(Codec::Vorbis).pages(2, 0)]);
    let (flv, report) = damaged(&file);
    assert_eq!(missing_pictures(&flv, 120), [20]);
    assert_eq!(report.warnings, ["damaged at 0:00.7: 1 picture"]);
}

#[test]
fn a_broken_packet_of_sound() {
    let mut sound = stream(Codec::Vorbis);
    // A header amidst the data: no sound, but nothing else goes wrong.
    sound.packets[60] = b"\x05vorbis".to_vec();
    let (flv, report) = damaged(&multiplex(&[stream(Codec::Theora).pages(1, 0), sound.pages(2, 0)]));
    assert!(missing_pictures(&flv, 120).is_empty());
    assert_eq!((report.losses.len(), report.warnings.len()), (1, 1), "{report:?}");
    assert!(report.losses[0].sound > Time::ZERO && report.losses[0].sound < Time::from_milliseconds(60));
    in_sync(&flv);
}

#[test]
fn a_lost_comment_header() {
    let video = stream(Codec::Theora);
    // Comment and setup header on pages of their own.
    let mut pages = video.pages(1, 0);
    pages.remove(1);
    let setup = page(1, 2, 0, 0, &[&video.packets[2]]);
    pages.insert(1, setup);
    for (number, page) in pages.iter_mut().enumerate().skip(2) {
        page[18..22].copy_from_slice(&(number as u32 + 1).to_le_bytes());
        seal(page);
    }
    let (flv, _) = damaged(&pages.concat());
    assert_eq!(flv.times(VIDEO).len(), 120);
}

#[test]
fn damaged_headers_of_a_later_link() {
    let link = multiplex(&[stream(Codec::Theora).pages(1, 0), stream(Codec::Vorbis).pages(2, 0)]);
    let video = stream(Codec::Theora);
    let mut broken = vec![page(1, 0, BOS, 0, &[&video.packets[0]])];
    broken.push(page(1, 1, 0, 0, &[&video.packets[1], b"\x82theora nonsense"]));
    broken.extend(video.pages(1, 0).split_off(2));
    let second = multiplex(&[broken, stream(Codec::Vorbis).pages(2, 0)]);
    let (flv, report) = damaged(&[&link[..], &second].concat());
    assert_eq!(clicks(&flv).len(), 2 * FLASHES.len());
    assert_eq!(flashes(&flv).len(), FLASHES.len());
    assert!(
        report.warnings[0].starts_with("a stream of part 2 is left out: Theora"),
        "{:?}",
        report.warnings
    );
    // In the first link it is an error, which names the way out.
    let error = convert(&second, &small()).unwrap_err().to_string();
    assert!(error.ends_with("--no-video converts the rest"), "{error}");
}
