//! Opus and FLAC sound: against what was encoded, beside pictures, damaged.

// A test that unwraps says "this must hold".
#![allow(clippy::unwrap_used)]

mod common;

use std::f64::consts::PI;

use common::film::{clicks, convert, flashes, flv};
use common::flv_file::FlvFile;
use common::sample::{FLASHES, multiplex, pages_of, stream};
use oggflv::ogg::{Codec, Demuxer};
use oggflv::time::Time;
use oggflv::vorbis::Pcm;
use oggflv::{Options, flac, opus};

macro_rules! vector {
    ($name:literal) => {
        include_bytes!(concat!("vectors/sound/", $name)).as_slice()
    };
}

fn packets(file: &[u8]) -> Vec<Vec<u8>> {
    let mut demuxer = Demuxer::new(file);
    std::iter::from_fn(|| demuxer.next_packet().unwrap()).map(|packet| packet.data).collect()
}

fn join(blocks: impl Iterator<Item = Pcm>, channels: usize) -> Pcm {
    let mut joined = vec![Vec::new(); channels];
    for block in blocks {
        assert_eq!(block.len(), channels);
        joined.iter_mut().zip(block).for_each(|(joined, block)| joined.extend(block));
    }
    joined
}

/// All that an Opus file holds, without the samples before the start.
fn decode_opus(file: &[u8]) -> Pcm {
    let packets = packets(file);
    let mut decoder = opus::Decoder::new(&packets[0]).unwrap();
    assert!(packets[1].starts_with(b"OpusTags"));
    let channels = decoder.channels();
    let mut pcm = join(packets[2..].iter().map(|packet| decoder.decode(packet)), channels);
    pcm.iter_mut().for_each(|channel| drop(channel.drain(..decoder.pre_skip())));
    pcm
}

fn decode_flac(file: &[u8]) -> (u32, Pcm) {
    let packets = packets(file);
    let mut decoder = flac::Decoder::new(&packets[0]).unwrap();
    let (rate, channels) = (decoder.sample_rate(), decoder.channels());
    let data = packets[1..].iter().filter(|packet| packet.first() == Some(&0xff));
    (rate, join(data.map(|packet| decoder.decode(packet)), channels))
}

fn tone(frequency: f64, rate: f64, n: usize) -> f64 {
    0.4 * (2.0 * PI * frequency * n as f64 / rate).sin()
}

/// Signal to noise ratio in dB.
fn snr(samples: &[f32], source: impl Fn(usize) -> f64) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        signal += source(n).powi(2);
        noise += (f64::from(sample) - source(n)).powi(2);
    }
    10.0 * (signal / noise).log10()
}

#[test]
fn opus_decodes_what_was_encoded() {
    // 22050 samples at 44.1 kHz are 24000 at 48 kHz.
    let stereo = decode_opus(vector!("stereo.opus"));
    for (channel, samples) in stereo.iter().enumerate() {
        assert!(samples.len() >= 24_000);
        let source = |n: usize| {
            if n / 4800 % 2 == 1 { tone(440.0 * (channel + 1) as f64, 48_000.0, n) } else { 0.0 }
        };
        let snr = snr(&samples[..24_000], source);
        assert!(snr > 15.0, "channel {channel}: {snr} dB");
    }
    // Four streams in each packet, two of them stereo.
    let six = decode_opus(vector!("six.opus"));
    assert_eq!(six.len(), 6);
    for (channel, samples) in six.iter().enumerate() {
        let frequency = if channel == 3 { 60.0 } else { 300.0 + 200.0 * channel as f64 };
        let snr = snr(&samples[..9600], |n| tone(frequency, 48_000.0, n));
        assert!(snr > 15.0, "channel {channel}: {snr} dB");
    }
    // SILK at 8 kHz keeps a tone, if not its phase.
    let mono = decode_opus(vector!("mono8.opus"));
    let middle = &mono[0][4800..14_400];
    let power = middle.iter().map(|sample| sample * sample).sum::<f32>() / middle.len() as f32;
    let crossings = middle.windows(2).filter(|pair| pair[0] < 0.0 && pair[1] >= 0.0).count();
    assert!((power.sqrt() - 0.283).abs() < 0.05 && crossings.abs_diff(100) <= 1, "{power} {crossings}");
}

#[test]
fn flac_decodes_every_bit() {
    let (rate, stereo) = decode_flac(vector!("stereo.oga"));
    assert_eq!((rate, stereo.len(), stereo[0].len()), (44_100, 2, 22_050));
    for (channel, samples) in stereo.iter().enumerate() {
        for (n, &sample) in samples.iter().enumerate() {
            let source =
                if n / 4410 % 2 == 1 { tone(440.0 * (channel + 1) as f64, 44_100.0, n) } else { 0.0 };
            assert_eq!(f64::from(sample) * 32_768.0, (32_767.0 * source).round_ties_even(), "{channel} {n}");
        }
    }
    let (rate, six) = decode_flac(vector!("six.oga"));
    assert_eq!((rate, six.len(), six[0].len()), (48_000, 6, 9600));
    for (channel, samples) in six.iter().enumerate() {
        let frequency = if channel == 3 { 60.0 } else { 300.0 + 200.0 * channel as f64 };
        assert!(snr(samples, |n| tone(frequency, 48_000.0, n)) > 80.0, "channel {channel}");
    }
}

#[test]
fn sound_alone_has_the_length_of_its_source() {
    for (file, seconds) in [
        (vector!("stereo.opus"), 0.5),
        (vector!("stereo.oga"), 0.5),
        (vector!("six.opus"), 0.2),
        (vector!("six.oga"), 0.2),
        (vector!("mono8.opus"), 0.375),
    ] {
        let (file, report) = convert(file, &Options { strict: true, ..Options::default() }).unwrap();
        assert!(report.warnings.is_empty());
        assert_eq!(FlvFile::parse(&file).number("duration"), seconds);
    }
}

#[test]
fn a_flash_is_seen_when_its_click_is_heard() {
    for sound in [vector!("clicks.opus"), vector!("clicks.oga")] {
        let file = multiplex(&[stream(Codec::Theora).pages(7, 0), pages_of(sound)]);
        let (file, report) = convert(&file, &Options { strict: true, ..Options::default() }).unwrap();
        assert!(report.warnings.is_empty(), "{:?}", report.warnings);
        let flv = FlvFile::parse(&file);
        let (flashes, clicks) = (flashes(&flv), clicks(&flv));
        assert_eq!((flashes.len(), clicks.len()), (FLASHES.len(), FLASHES.len()), "{flashes:?} {clicks:?}");
        for (flash, click) in flashes.iter().zip(&clicks) {
            assert!((flash - click).abs() < 5.0, "flash at {flash} ms, click at {click} ms");
        }
    }
}

#[test]
fn a_lost_page_is_as_long_as_it_was() {
    for sound in [vector!("clicks.opus"), vector!("clicks.oga")] {
        let mut pages = pages_of(sound);
        assert!(pages.len() > 12);
        // 1.4 s to 1.6 s or so: between two clicks.
        let lost = 2 + pages.len() * 3 / 8;
        pages.remove(lost);
        let (file, report) = convert(&pages.concat(), &Options::default()).unwrap();
        let flv = FlvFile::parse(&file);
        let [loss] = report.losses[..] else { panic!("{:?}", report.losses) };
        assert!(
            loss.sound > Time::from_milliseconds(150) && loss.sound < Time::from_milliseconds(650),
            "{loss:?}"
        );
        let intact = clicks(&self::flv(sound, &Options::default()));
        let clicks = clicks(&flv);
        assert_eq!((clicks.len(), intact.len()), (3, 3));
        for (click, intact) in clicks.iter().zip(&intact) {
            assert!((click - intact).abs() < 1.0, "{clicks:?} {intact:?}");
        }
    }
}
