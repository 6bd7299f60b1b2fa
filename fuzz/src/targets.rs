//! What the fuzz targets do with any bytes. `tests/fuzz_regressions.rs` does the same with what they once found.
//!
//! Wherever the input looks like a page, its checksum is set right first, since no fuzzer guesses a CRC; not
//! where the lowest bit of the checksum says otherwise, so that wrong ones occur too.

#[path = "../../tests/common/ogg_model.rs"]
mod ogg_model;
#[path = "../../tests/common/ogg_pages.rs"]
mod ogg_pages;

use std::ops::ControlFlow;

use oggflv::ogg::{Codec, Demuxer, HeaderCollector, Limits, Packet, Stream};
use oggflv::remux::{self, remux_files};
use oggflv::time::Time;
use oggflv::vorbis::{self, Placement, Timeline};
use oggflv::{Error, Options, convert_file, flac, opus, probe};
use oggflv_theora as theora;

fn seal_pages(bytes: &mut [u8]) {
    let mut at = 0;
    while at + 27 <= bytes.len() {
        let header = at + 27 + usize::from(bytes[at + 26]);
        let looks_like_page =
            bytes[at..].starts_with(b"OggS") && bytes[at + 22] & 1 == 0 && header <= bytes.len();
        if looks_like_page {
            let len = bytes[at + 27..header].iter().map(|&lacing| usize::from(lacing)).sum::<usize>();
            if header + len <= bytes.len() {
                ogg_pages::seal(&mut bytes[at..header + len]);
                at = header + len;
                continue;
            }
        }
        at += 1;
    }
}

fn demux(input: &[u8], limits: Limits) -> (Vec<Stream>, Vec<Packet>) {
    let mut demuxer = Demuxer::with_limits(input, limits);
    let mut packets = Vec::new();
    while let Some(packet) = demuxer.next_packet().unwrap() {
        assert!(packet.data.len() <= limits.max_packet_bytes);
        packets.push(packet);
    }
    assert_eq!(demuxer.bytes_read(), input.len() as u64);
    (demuxer.streams().to_vec(), packets)
}

/// Through the demuxer: the packets that the naive model says.
pub(crate) fn demux_ogg(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    seal_pages(&mut bytes);
    let limits = Limits { max_streams_per_link: usize::MAX, ..Limits::default() };
    let expected = ogg_model::demux(&bytes);
    assert_eq!(demux(&bytes, limits), expected);
    // Under tight limits packets get lost, but none is made up.
    let tight = Limits { max_packet_bytes: 400, max_buffered_bytes: 600, ..limits };
    for packet in demux(&bytes, tight).1 {
        assert!(expected.1.iter().any(|known| known.data == packet.data));
    }
    let few = Limits { max_streams_per_link: 2, max_streams: 9, ..limits };
    assert!(demux(&bytes, few).0.len() <= 9);
}

/// Packets, each behind its length in 32 bits, through the Theora decoder: three headers, then data.
pub(crate) fn theora(bytes: &[u8]) {
    let (mut rest, mut packets) = (bytes, Vec::new());
    while let Some((length, tail)) = rest.split_first_chunk() {
        let (packet, tail) = tail.split_at((u32::from_le_bytes(*length) as usize).min(tail.len()));
        packets.push(packet);
        rest = tail;
    }
    let [identification, _, setup, data @ ..] = &packets[..] else { return };
    let (Ok(identification), Ok(setup)) =
        (theora::Identification::parse(identification), theora::Setup::parse(setup))
    else {
        return;
    };
    let limits = theora::Limits { max_pixels: 1 << 16 };
    let Ok(mut decoder) = theora::Decoder::new(identification, setup, &limits) else { return };
    for packet in data {
        let _ = decoder.decode(packet);
        assert!(decoder.picture().planes[0].width > 0);
    }
}

/// An Ogg file through the decoders of sound, Vorbis under its guard, and onto the timeline.
pub(crate) fn sound(bytes: &[u8]) {
    enum Decoder {
        Vorbis(Box<vorbis::Decoder>),
        Opus(Box<opus::Decoder>),
        Flac(Box<flac::Decoder>),
    }
    let mut bytes = bytes.to_vec();
    seal_pages(&mut bytes);
    let mut demuxer = Demuxer::new(&bytes[..]);
    let mut headers = HeaderCollector::new(Codec::Vorbis).unwrap();
    let mut current: Option<(usize, Decoder, Timeline)> = None;
    while let Some(packet) = demuxer.next_packet().unwrap() {
        if let Some((stream, decoder, timeline)) = &mut current {
            if *stream != packet.stream {
                continue;
            }
            let pcm = match decoder {
                Decoder::Vorbis(decoder) => decoder.decode(&packet.data).unwrap_or_default(),
                Decoder::Opus(decoder) => decoder.decode(&packet.data),
                Decoder::Flac(decoder) => decoder.decode(&packet.data),
            };
            assert!(pcm.iter().flatten().all(|sample| sample.is_finite()));
            let at = Placement {
                page_granule_pos: packet.page_granule_pos,
                after_on_page: packet.after_on_page,
                lost_before: packet.lost_before,
                last_on_eos_page: packet.last_on_eos_page,
            };
            timeline.push(&pcm, at);
            continue;
        }
        current = match demuxer.streams()[packet.stream].codec {
            Codec::Vorbis => headers
                .push(packet.clone())
                .ok()
                .flatten()
                .and_then(|headers| {
                    vorbis::Decoder::new(&headers.identification, &headers.comment, &headers.setup).ok()
                })
                .map(|decoder| {
                    let timeline = Timeline::new(decoder.sample_rate(), decoder.channels());
                    (packet.stream, Decoder::Vorbis(Box::new(decoder)), timeline)
                }),
            Codec::Opus => opus::Decoder::new(&packet.data).ok().map(|decoder| {
                let timeline = Timeline::new(opus::SAMPLE_RATE, decoder.channels());
                (packet.stream, Decoder::Opus(Box::new(decoder)), timeline)
            }),
            Codec::Flac => flac::Decoder::new(&packet.data).ok().map(|decoder| {
                let timeline = Timeline::new(decoder.sample_rate(), decoder.channels());
                (packet.stream, Decoder::Flac(Box::new(decoder)), timeline)
            }),
            _ => None,
        };
    }
}

/// A file through the whole program. What is wrong may only be the input.
pub(crate) fn transcode(bytes: &[u8]) {
    let mut bytes = bytes.to_vec();
    seal_pages(&mut bytes);
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.ogv"), folder.path().join("out.flv"));
    std::fs::write(&input, &bytes).unwrap();
    let _ = probe::probe(&bytes[..]);
    let options = Options {
        size: Some("32x24".parse().unwrap()),
        max_pixels: 1 << 18,
        threads: std::num::NonZeroUsize::MIN,
        ..Options::default()
    };
    let result = convert_file(&input, &output, false, &options, &mut |_| ControlFlow::Continue(()));
    match result {
        Ok(report) => assert_eq!(std::fs::metadata(&output).unwrap().len(), report.bytes),
        Err(Error::Input { .. }) => assert!(!output.exists()),
        Err(error) => panic!("{error}"),
    }
}

/// A file read, and copied, as FLV: whole, a part of it behind itself, its sound, and under another picture as MP3. What is wrong may only be the
/// input, and nothing is wrong with the output.
pub(crate) fn remux(bytes: &[u8]) {
    // One tag: the header of a picture of 16x16.
    const PICTURE: &[u8] =
        b"FLV\x01\x01\0\0\0\x09\0\0\0\0\x09\0\0\x09\0\0\0\0\0\0\0\x12\0\0\x80\0\x08\x08\x04\0\0\0\0\x14";
    let folder = tempfile::tempdir().unwrap();
    let (input, picture) = (folder.path().join("in.flv"), folder.path().join("picture.flv"));
    std::fs::write(&input, bytes).unwrap();
    std::fs::write(&picture, PICTURE).unwrap();
    let _ = probe::probe(bytes);
    let part =
        remux::Options { start: Time::SECOND, end: Time::from_seconds(3), ..remux::Options::default() };
    let sound = remux::Options { audio: Some(input.clone()), ..remux::Options::default() };
    for (inputs, name, options) in [
        (vec![input.clone()], "whole.flv", remux::Options::default()),
        (vec![input.clone(), input.clone()], "part.flv", part.clone()),
        (vec![input], "sound.mp3", part),
        (vec![picture], "under.flv", sound),
    ] {
        let output = folder.path().join(name);
        match remux_files(&inputs, &output, false, &options, &mut || ControlFlow::Continue(())) {
            Ok(report) => {
                let file = std::fs::read(&output).unwrap();
                assert_eq!(file.len() as u64, report.bytes);
                if name.ends_with(".flv") {
                    let findings = probe::probe(&file[..]).unwrap().findings;
                    // Codecs are copied that nobody knows, too.
                    let known = findings
                        .first
                        .iter()
                        .all(|found| !found.message.starts_with("unknown picture codec"));
                    assert!(findings.errors == 0 || !known, "{name}: {:?}", findings.first);
                }
            }
            Err(Error::Input { .. }) => assert!(!output.exists()),
            Err(error) => panic!("{error}"),
        }
    }
}
