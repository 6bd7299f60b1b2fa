//! Converts, and looks at what comes of it.

use std::fs;
use std::ops::ControlFlow;

use oggflv::{Error, Options, Report, convert_file};
use oggflv_common::{Frame, FrameView};
use oggflv_mp3 as mp3;
use oggflv_sorenson as sorenson;
use symphonia::core::codecs::audio::well_known::CODEC_ID_MP3;
use symphonia::core::codecs::audio::{AudioCodecParameters, AudioDecoder, AudioDecoderOptions};
use symphonia::core::packet::PacketRef;
use symphonia::core::units::{Duration, Timestamp};
use symphonia::default::codecs::MpaDecoder;

use super::flv_file::{self, AUDIO, FlvFile, VIDEO};

pub(crate) fn convert(ogg: &[u8], options: &Options) -> Result<(Vec<u8>, Report), Error> {
    let folder = tempfile::tempdir().unwrap();
    let (input, output) = (folder.path().join("in.ogv"), folder.path().join("out.flv"));
    fs::write(&input, ogg).unwrap();
    let report = convert_file(&input, &output, false, options, &mut |_| ControlFlow::Continue(()))?;
    let file = fs::read(&output).unwrap();
    assert_eq!(file.len() as u64, report.bytes);
    Ok((file, report))
}

pub(crate) fn flv(ogg: &[u8], options: &Options) -> FlvFile {
    FlvFile::parse(&convert(ogg, options).unwrap().0)
}

/// Milliseconds of picture `n` of the sample.
pub(crate) fn picture_time(n: i64, delay: f64) -> u32 {
    ((n * 1001) as f64 / 30.0 + delay).round() as u32
}

/// By how many milliseconds MP3 decoders delay the sound.
pub(crate) fn sound_delay() -> f64 {
    let config = mp3::Config { sample_rate: 44_100, channels: 2, bitrate: 128_000 };
    mp3::Encoder::new(config).unwrap().delay() as f64 / 44.1
}

/// Decodes all pictures with the reference decoder: time and picture.
pub(crate) fn pictures(flv: &FlvFile) -> Vec<(u32, Frame)> {
    let mut decoder = sorenson::decoder::Decoder::new();
    let decode = |tag: &&flv_file::Tag| {
        decoder.decode(&tag.body[1..]).unwrap();
        (tag.timestamp, copy(&decoder.picture()))
    };
    flv.of_kind(VIDEO).iter().map(decode).collect()
}

pub(crate) fn copy(view: &FrameView<'_>) -> Frame {
    let mut frame = Frame::new(view.format, view.planes[0].width, view.planes[0].height);
    for (plane, view) in frame.planes.iter_mut().zip(&view.planes) {
        plane.data_mut().copy_from_slice(&view.rows().flatten().copied().collect::<Vec<_>>());
    }
    frame
}

/// Decodes all sound: one vector a channel, the first sample at the time of the first audio tag.
pub(crate) fn sound(flv: &FlvFile) -> Vec<Vec<f32>> {
    let parameters = AudioCodecParameters::new().for_codec(CODEC_ID_MP3).clone();
    let mut decoder =
        MpaDecoder::try_new(&parameters, &AudioDecoderOptions::default().gapless(false)).unwrap();
    let mut channels: Vec<Vec<f32>> = Vec::new();
    for tag in flv.of_kind(AUDIO) {
        let packet = PacketRef::new(0, Timestamp::new(0), Duration::new(1152), &tag.body[1..]);
        let mut planes: Vec<Vec<f32>> = Vec::new();
        decoder.decode_ref(&packet).unwrap().copy_to_vecs_planar(&mut planes);
        channels.resize(planes.len(), Vec::new());
        channels.iter_mut().zip(planes).for_each(|(channel, plane)| channel.extend(plane));
    }
    channels
}

/// Milliseconds at which clicks begin.
pub(crate) fn clicks(flv: &FlvFile) -> Vec<f64> {
    let start = f64::from(flv.times(AUDIO)[0]);
    let (sound, rate) = (sound(flv), flv.number("audiosamplerate"));
    let mut clicks: Vec<f64> = Vec::new();
    for (i, sample) in sound[0].iter().enumerate() {
        let time = start + i as f64 * 1000.0 / rate;
        if sample.abs() > 0.15 && clicks.last().is_none_or(|last| time - last > 200.0) {
            clicks.push(time);
        }
    }
    clicks
}

/// Milliseconds at which white pictures appear.
pub(crate) fn flashes(flv: &FlvFile) -> Vec<f64> {
    let mean = |frame: &Frame| {
        let data = frame.planes[0].data();
        data.iter().map(|&value| u64::from(value)).sum::<u64>() / data.len() as u64
    };
    pictures(flv).iter().filter(|(_, frame)| mean(frame) > 200).map(|&(time, _)| f64::from(time)).collect()
}
