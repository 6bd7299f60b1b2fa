//! The whole conversion, from an Ogg file to an FLV file: what is in it, when, and how good.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

mod common;

use std::fs;
use std::ops::ControlFlow;
use std::path::Path;

use common::film::{clicks, convert, copy, flashes, flv, picture_time, pictures, sound_delay};
use common::flv_file::{AUDIO, FlvFile, VIDEO};
use common::ogg_pages::{BOS, EOS, page, seal};
use common::sample::{FLASH_CLICK, FLASH_CLICK_FRAMES, FLASHES, multiplex, standing_video, stream};
use oggflv::flv::Value;
use oggflv::ogg::Codec;
use oggflv::options::VideoRate;
use oggflv::{Error, InputError, Options, OutputError, convert_file};
use oggflv_common::PixelFormat;
use oggflv_theora as theora;

#[test]
fn pictures_and_sound_arrive_whole_and_in_time() {
    let (file, report) = convert(FLASH_CLICK, &Options::default()).unwrap();
    let flv = FlvFile::parse(&file);
    assert_eq!(flv.flags, 5);
    assert!(report.warnings.is_empty(), "{:?}", report.warnings);
    // All tags are there, each at its time.
    let delay = sound_delay();
    assert!(delay > 0.0);
    let expected: Vec<u32> = (0..FLASH_CLICK_FRAMES).map(|n| picture_time(n, delay)).collect();
    assert_eq!(flv.times(VIDEO), expected);
    let expected = |n: usize| (n as f64 * 1152.0 / 44.1).round() as u32;
    let times = flv.times(AUDIO);
    assert_eq!(times, (0..times.len()).map(expected).collect::<Vec<_>>());
    // The sound lasts as long as the pictures and no longer than decoders need.
    let end = f64::from(*times.last().unwrap());
    assert!((4004.0..4004.0 + delay + 2.0 * 26.2).contains(&(end + 26.2)), "{end}");
    assert_eq!(flv.tags[0].timestamp, 0);

    for name in ["hasMetadata", "hasVideo", "hasAudio", "hasKeyframes", "stereo"] {
        assert_eq!(*flv.property(name), Value::Boolean(true), "{name}");
    }
    let facts = [
        ("duration", 4.004),
        ("width", 320.0),
        ("height", 240.0),
        ("videocodecid", 2.0),
        ("audiocodecid", 2.0),
        ("audiosamplerate", 44_100.0),
        ("audiosamplesize", 16.0),
        ("filesize", file.len() as f64),
    ];
    for (name, value) in facts {
        assert_eq!(flv.number(name), value, "{name}");
    }
    // As flvmeta defines it: all tags over all time, the last frame's included.
    let span = f64::from(flv.tags.last().unwrap().timestamp + times[1]) / 1000.0;
    assert_eq!(flv.number("framerate"), FLASH_CLICK_FRAMES as f64 / span);
}

#[test]
fn the_index_names_every_key_frame() {
    let sample = stream(Codec::Theora);
    let inter = &sample.packets[4];
    let changes: Vec<_> = [100, 400, 800, 999].map(|n| (n, inter.clone())).into();
    let flv = flv(&standing_video(1000, &changes), &Options::default());
    let key_frames = flv.tags.iter().filter(|tag| tag.is_key_frame());
    let index: Vec<_> = key_frames.map(|tag| (f64::from(tag.timestamp) / 1000.0, tag.offset)).collect();
    assert_eq!(flv.key_frames(), index);
    // A picture that comes 10 s or more after the last key frame is one.
    let expected = [0, 400, 800].map(|n| f64::from(picture_time(n, 0.0)) / 1000.0);
    assert_eq!(index.iter().map(|&(time, _)| time).collect::<Vec<_>>(), expected);
    let (time, offset) = *index.last().unwrap();
    assert_eq!(
        (flv.number("lastkeyframetimestamp"), flv.number("lastkeyframelocation")),
        (time, offset as f64)
    );
}

#[test]
fn a_flash_is_seen_when_its_click_is_heard() {
    let flv = flv(FLASH_CLICK, &Options::default());
    let (flashes, clicks) = (flashes(&flv), clicks(&flv));
    assert_eq!((flashes.len(), clicks.len()), (FLASHES.len(), FLASHES.len()), "{flashes:?} {clicks:?}");
    for (flash, click) in flashes.iter().zip(&clicks) {
        assert!((flash - click).abs() < 5.0, "flash at {flash} ms, click at {click} ms");
    }
}

#[test]
fn pictures_look_like_the_source() {
    let source = stream(Codec::Theora);
    let identification = theora::Identification::parse(&source.packets[0]).unwrap();
    let setup = theora::Setup::parse(&source.packets[2]).unwrap();
    let mut decoder = theora::Decoder::new(identification, setup, &theora::Limits::default()).unwrap();
    let options = Options { video_rate: VideoRate::Quality("70".parse().unwrap()), ..Options::default() };
    let flv = flv(FLASH_CLICK, &options);
    let mut squares = [0_u64; 3];
    let mut samples = [0_u64; 3];
    for (packet, (_, picture)) in source.packets[3..].iter().zip(pictures(&flv)) {
        decoder.decode(packet).unwrap();
        let original = copy(&decoder.picture());
        for pli in 0..3 {
            let pairs = original.planes[pli].data().iter().zip(picture.planes[pli].data());
            squares[pli] += pairs.map(|(&a, &b)| u64::from(a.abs_diff(b)).pow(2)).sum::<u64>();
            samples[pli] += picture.planes[pli].data().len() as u64;
        }
    }
    let psnr = |pli: usize| 10.0 * (255.0 * 255.0 * samples[pli] as f64 / squares[pli] as f64).log10();
    assert!(psnr(0) > 38.0 && psnr(1) > 38.0 && psnr(2) > 38.0, "{} {} {}", psnr(0), psnr(1), psnr(2));
}

#[test]
fn pictures_are_scaled() {
    let options = Options { size: Some("101x77".parse().unwrap()), ..Options::default() };
    let flv = flv(FLASH_CLICK, &options);
    assert_eq!((flv.number("width"), flv.number("height")), (101.0, 77.0));
    let (_, first) = &pictures(&flv)[0];
    assert_eq!((first.format(), first.width(), first.height()), (PixelFormat::Yuv420, 101, 77));
    // The ball is where it was: right of the middle, which is darker.
    let row = first.planes[0].view().row(38);
    assert!(row[80] > 170 && row[50] < 150, "{row:?}");
}

#[test]
fn one_stream_alone() {
    let silent = flv(FLASH_CLICK, &Options { audio: false, ..Options::default() });
    assert_eq!((silent.flags, silent.of_kind(AUDIO).len()), (1, 0));
    let expected: Vec<u32> = (0..FLASH_CLICK_FRAMES).map(|n| picture_time(n, 0.0)).collect();
    assert_eq!(silent.times(VIDEO), expected);
    assert_eq!(silent.number("duration"), 4.004);

    let blind = flv(FLASH_CLICK, &Options { video: false, ..Options::default() });
    assert_eq!((blind.flags, blind.of_kind(VIDEO).len()), (4, 0));
    let clicks = clicks(&blind);
    for (click, n) in clicks.iter().zip(FLASHES) {
        assert!((click - sound_delay() - f64::from(picture_time(n as i64, 0.0))).abs() < 5.0, "{clicks:?}");
    }
    assert_eq!(clicks.len(), FLASHES.len());

    // The same where the other stream is not there at all.
    let video = multiplex(&[stream(Codec::Theora).pages(1, 0)]);
    assert_eq!(flv(&video, &Options::default()).times(VIDEO), expected);
    let audio = multiplex(&[stream(Codec::Vorbis).pages(2, 0)]);
    assert_eq!(flv(&audio, &Options::default()).times(AUDIO), blind.times(AUDIO));
}

#[test]
fn a_common_start_offset_disappears_and_a_difference_stays() {
    let (video, audio) = (stream(Codec::Theora), stream(Codec::Vorbis));
    let shift = theora::Identification::parse(&video.packets[0]).unwrap().keyframe_granule_shift;
    let plain = multiplex(&[video.pages(1, 0), audio.pages(2, 0)]);
    let plain = convert(&plain, &Options::default()).unwrap().0;
    // 30,000 pictures take 1001 s.
    let offset = multiplex(&[video.pages(1, 30_000 << shift), audio.pages(2, 1001 * 48_000)]);
    assert!(
        convert(&offset, &Options::default()).unwrap().0 == plain,
        "an offset of both streams changes the file"
    );

    // 30 pictures take 1001 ms.
    for (late_video, late_audio) in [(30, 0), (0, 1001 * 48)] {
        let file = multiplex(&[video.pages(1, late_video << shift), audio.pages(2, late_audio)]);
        let flv = flv(&file, &Options::default());
        let expected = if late_video > 0 { 1001.0 } else { -1001.0 };
        for (flash, click) in flashes(&flv).iter().zip(clicks(&flv)) {
            assert!((flash - click - expected).abs() < 5.0, "flash at {flash} ms, click at {click} ms");
        }
        assert_eq!(flv.number("duration"), 5.005);
        // Either way both streams have something to play from the start to the end.
        assert_eq!(flv.tags[0].timestamp, 0);
        let (video, audio) = (flv.times(VIDEO), flv.times(AUDIO));
        assert!(video.last().unwrap().abs_diff(*audio.last().unwrap()) < 1000, "{video:?}");
        assert!(audio.windows(2).all(|pair| pair[1] - pair[0] < 1000), "sound pauses");
    }
}

#[test]
fn a_hole_in_both_streams_stays_a_hole() {
    let (video, audio) = (stream(Codec::Theora), stream(Codec::Vorbis));
    let identification = theora::Identification::parse(&video.packets[0]).unwrap();
    let shift = identification.keyframe_granule_shift;
    // 600 pictures take 20.02 s, 3000 take 100.1 s. Both streams begin a page at 2 s, just before the second flash.
    for pictures in [600, 3000] {
        let late = |at| identification.frame_index(at).unwrap() >= FLASHES[1] as u64;
        let moved_video = video.pages_moved(1, |at| if late(at) { at + (pictures << shift) } else { at });
        let samples = pictures * 1001 * 48_000 / 30_000;
        let moved_audio = audio.pages_moved(2, |at| if at > 96_000 { at + samples } else { at });
        let flv = flv(&multiplex(&[moved_video, moved_audio]), &Options::default());
        let (flashes, clicks) = (flashes(&flv), clicks(&flv));
        assert_eq!((flashes.len(), clicks.len()), (3, 3), "{flashes:?} {clicks:?}");
        for (flash, click) in flashes.iter().zip(&clicks) {
            assert!((flash - click).abs() < 5.0, "flash at {flash} ms, click at {click} ms");
        }
        let hole = flashes[1] - flashes[0];
        assert!((hole - (pictures + 30) as f64 * 1001.0 / 30.0).abs() < 2.0, "{hole}");
        assert!(flv.times(VIDEO).windows(2).all(|pair| pair[1] - pair[0] <= 1000));
    }
}

#[test]
fn a_stream_that_ends_early_leaves_the_other_alone() {
    let cut = |mut pages: Vec<Vec<u8>>, count: usize| {
        pages.truncate(count);
        let last = pages.last_mut().unwrap();
        last[5] |= EOS;
        seal(last);
        pages
    };
    let (video, audio) = (stream(Codec::Theora).pages(1, 0), stream(Codec::Vorbis).pages(2, 0));
    let silent = flv(&multiplex(&[video.clone(), cut(audio.clone(), 4)]), &Options::default());
    assert_eq!(silent.of_kind(VIDEO).len(), FLASH_CLICK_FRAMES as usize);
    assert!(clicks(&silent).len() < FLASHES.len());
    assert!(silent.times(AUDIO).last().unwrap() + 200 > *silent.times(VIDEO).last().unwrap());

    let standing = flv(&multiplex(&[cut(video, 4), audio]), &Options::default());
    assert_eq!(clicks(&standing).len(), FLASHES.len());
    assert_eq!(standing.number("duration"), 4.004);
    let times = standing.times(VIDEO);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 1000), "{times:?}");
    assert!(times.last().unwrap() + 1000 > *standing.times(AUDIO).last().unwrap(), "{times:?}");
}

#[test]
fn granule_positions_beyond_belief_are_not_believed() {
    let (video, audio) = (stream(Codec::Theora), stream(Codec::Vorbis));
    let plain = flv(&multiplex(&[video.pages(1, 0), audio.pages(2, 0)]), &Options::default());
    let identification = theora::Identification::parse(&video.packets[0]).unwrap();
    let late = |at| identification.frame_index(at).unwrap() >= 90;
    // All of them; those at the end; those of one stream.
    let all = multiplex(&[video.pages(1, 1 << 61), audio.pages(2, 1 << 59)]);
    let last = multiplex(&[
        video.pages_moved(1, |at| if late(at) { at + (1 << 61) } else { at }),
        audio.pages_moved(2, |at| if at > 150_000 { at + (1 << 59) } else { at }),
    ]);
    let one = multiplex(&[video.pages(1, 0), audio.pages(2, 1 << 59)]);
    for file in [all, last, one] {
        let flv = flv(&file, &Options::default());
        assert_eq!(flv.times(VIDEO), plain.times(VIDEO));
        // The end of the stream is where a granule position says so; without one it is the end of a block.
        assert!((flv.number("duration") - 4.004).abs() < 0.05);
        assert!(flv.times(AUDIO).len().abs_diff(plain.times(AUDIO).len()) < 5);
    }
}

#[test]
fn the_duration_is_that_of_what_is_written() {
    // Each packet of sound an hour behind the one before: of none of them comes sound, but the pictures wait for it.
    let mut audio = stream(Codec::Vorbis);
    audio.packets.truncate(3 + 8);
    audio.granule_positions = (-3..8).map(|packet: i64| packet.max(0) * 3500 * 48_000).collect();
    let flv = flv(&multiplex(&[stream(Codec::Theora).pages(1, 0), audio.pages(2, 0)]), &Options::default());
    let last = f64::from(*flv.times(VIDEO).last().unwrap()) / 1000.0;
    assert!(last > 20_000.0 && flv.number("duration") >= last, "{last} {}", flv.number("duration"));
}

#[test]
fn a_standing_picture_costs_one_tag_a_second() {
    let flv = flv(&standing_video(100, &[]), &Options::default());
    // At most a second apart, each where the source repeats the picture.
    assert_eq!(flv.times(VIDEO), [0, 29, 58, 87, 99].map(|n| picture_time(n, 0.0)));
    assert_eq!(flv.number("duration"), (100_f64 * 1001.0 / 30.0).round() / 1000.0);
    let tags = flv.of_kind(VIDEO);
    assert!(tags[0].is_key_frame());
    // A picture of 20 x 15 skipped macroblocks, a bit each, and its header.
    assert!(tags[1..].iter().all(|tag| tag.body.len() < 60 && !tag.is_key_frame()));
    let pictures = pictures(&flv);
    assert!(pictures.iter().all(|(_, picture)| *picture == pictures[0].1));
}

#[test]
fn a_single_picture_is_a_film() {
    let flv = flv(&standing_video(1, &[]), &Options::default());
    assert_eq!(flv.times(VIDEO), [0, 17]);
    assert_eq!(flv.number("duration"), 0.033);
}

#[test]
fn forty_four_minutes_do_not_drift() {
    const FRAMES: usize = 79_121;
    let sample = stream(Codec::Theora);
    let inter = sample.packets[4].clone();
    let changes = [(40_000, inter.clone()), (FRAMES - 1, inter)];
    let flv = flv(&standing_video(FRAMES, &changes), &Options::default());
    let times = flv.times(VIDEO);
    assert!(times.contains(&picture_time(40_000, 0.0)));
    assert_eq!(*times.last().unwrap(), picture_time(FRAMES as i64 - 1, 0.0));
    assert_eq!(flv.number("duration"), 2640.004);
    assert!(times.windows(2).all(|pair| pair[1] - pair[0] <= 1000));
}

#[test]
fn the_same_input_gives_the_same_bytes() {
    let first = convert(FLASH_CLICK, &Options::default()).unwrap().0;
    assert!(first == convert(FLASH_CLICK, &Options::default()).unwrap().0);
}

#[test]
fn a_chain_becomes_one_film() {
    let link = multiplex(&[stream(Codec::Theora).pages(1, 0), stream(Codec::Vorbis).pages(2, 0)]);
    let flv = flv(&[&link[..], &link].concat(), &Options::default());
    assert_eq!(flv.number("duration"), 8.008);
    let (flashes, clicks) = (flashes(&flv), clicks(&flv));
    assert_eq!(
        (flashes.len(), clicks.len()),
        (2 * FLASHES.len(), 2 * FLASHES.len()),
        "{flashes:?} {clicks:?}"
    );
    for (flash, click) in flashes.iter().zip(&clicks) {
        assert!((flash - click).abs() < 5.0, "flash at {flash} ms, click at {click} ms");
    }
}

#[test]
fn errors_name_the_file_and_the_cause() {
    let problem = |ogg: &[u8]| match convert(ogg, &Options::default()) {
        Err(Error::Input { name, problem }) => {
            assert!(name.ends_with("in.ogv"));
            problem
        }
        other => panic!("{other:?}"),
    };
    assert!(matches!(problem(b""), InputError::NotOgg));
    assert!(matches!(problem(&[b'x'; 100_000]), InputError::NotOgg));
    let speex = page(1, 0, BOS, 0, &[b"Speex   1.2"]);
    assert!(matches!(problem(&speex), InputError::NoStreams { found, .. } if found == "Speex"));
    let video = stream(Codec::Theora);
    let headers = &video.pages(1, 0)[..2];
    assert!(matches!(problem(&headers.concat()), InputError::Empty));
    assert!(matches!(problem(&headers[0]), InputError::HeadersMissing { codec: Codec::Theora }));
    let mut broken = video.packets[0].clone();
    broken[10..14].fill(0); // FMBW and FMBH
    let broken = page(1, 0, BOS, 0, &[&broken]);
    let broken = [&broken[..], &headers[1]].concat();
    assert!(matches!(problem(&broken), InputError::Headers { .. }));
}

#[test]
fn a_picture_that_cannot_be_decoded_is_replaced_by_the_one_before() {
    let mut video = stream(Codec::Theora);
    // A key frame whose reserved bits are set.
    video.packets[20] = vec![0x3F, 0xFF, 0xFF];
    let (file, report) = convert(&multiplex(&[video.pages(1, 0)]), &Options::default()).unwrap();
    assert_eq!(report.warnings.len(), 1, "{:?}", report.warnings);
    assert_eq!(FlvFile::parse(&file).of_kind(VIDEO).len(), FLASH_CLICK_FRAMES as usize - 1);
}

#[test]
fn an_observer_can_stop_and_nothing_is_left() {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.ogv"), folder.path().join("out.flv"));
    fs::write(&input, standing_video(200_000, &[])).unwrap();
    let result = convert_file(&input, &output, false, &Options::default(), &mut |_| ControlFlow::Break(()));
    assert!(matches!(result, Err(Error::Interrupted)), "{result:?}");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn targets_that_must_not_be_written_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().join("in.ogv");
    fs::write(&input, FLASH_CLICK).unwrap();
    let refused = |output: &Path, overwrite: bool| match convert_file(
        &input,
        output,
        overwrite,
        &Options::default(),
        &mut |_| ControlFlow::Continue(()),
    ) {
        Err(Error::Output { problem, .. }) => problem,
        other => panic!("{other:?}"),
    };
    let existing = folder.path().join("out.flv");
    fs::write(&existing, "mine").unwrap();
    assert!(matches!(refused(&existing, false), OutputError::Exists));
    assert_eq!(fs::read(&existing).unwrap(), b"mine");
    assert!(matches!(refused(folder.path(), true), OutputError::Folder));
    assert!(matches!(refused(&input, true), OutputError::IsInput));
    assert!(matches!(refused(&folder.path().join("missing/out.flv"), true), OutputError::Io(_)));
    #[cfg(unix)]
    {
        let link = folder.path().join("link.flv");
        std::os::unix::fs::symlink("missing.flv", &link).unwrap();
        assert!(matches!(refused(&link, true), OutputError::DeadLink));
    }
}

#[cfg(unix)]
#[test]
fn a_symbolic_link_leads_to_the_target() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    fs::write(path("in.ogv"), FLASH_CLICK).unwrap();
    fs::write(path("target.flv"), "old").unwrap();
    std::os::unix::fs::symlink("target.flv", path("link.flv")).unwrap();
    let options = Options { video: false, ..Options::default() };
    convert_file(&path("in.ogv"), &path("link.flv"), true, &options, &mut |_| ControlFlow::Continue(()))
        .unwrap();
    assert!(path("link.flv").symlink_metadata().unwrap().is_symlink());
    assert_eq!(fs::read(path("target.flv")).unwrap()[..3], *b"FLV");
}
