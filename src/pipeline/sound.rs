//! The sound stage: decode, downmix, resample, encode.

use std::sync::mpsc::{Receiver, Sender};

use oggflv_mp3 as mp3;

use super::Stop;
use super::interleave::Tag;
use super::queue::jitter;
use crate::error::{InputError, OutputError};
use crate::flv::AudioFormat;
use crate::ogg::Packet;
use crate::options::{AudioRate, Options};
use crate::resample::{self, Downmix, Resampler, flv_rate};
use crate::time::Time;
use crate::vorbis::{self, Pcm, Placement, Timeline};

/// How much silence may stand for what is missing.
const SILENCE_LIMIT_HOURS: u32 = 6;
/// Samples of silence that are encoded at a time.
const SILENCE_SAMPLES: usize = 1 << 14;

/// What the sound stage takes.
pub(super) enum AudioInput {
    /// The packets that follow are decoded by this; sample 0 of their stream is heard at `offset`, which may lie
    /// before the start.
    Link { decoder: Box<vorbis::Decoder>, offset: Time },
    /// A Vorbis audio packet.
    Packet(Packet),
    /// The packets that follow are heard much later than the ones before.
    Leap,
    /// Nothing comes before `time`: there is silence.
    Idle { time: Time },
    /// All is sent; pictures are shown until `time`.
    End { time: Time },
}

impl From<&Packet> for Placement {
    fn from(packet: &Packet) -> Self {
        Self {
            page_granule_pos: packet.page_granule_pos,
            after_on_page: packet.after_on_page,
            lost_before: packet.lost_before,
            last_on_eos_page: packet.last_on_eos_page,
        }
    }
}

/// Turns the packets of all links into one run of MP3 frames without gaps, from the start to the end of sound and
/// pictures.
pub(super) fn run(
    packets: &Receiver<AudioInput>,
    tags: &Sender<Tag>,
    options: &Options,
) -> Result<Vec<String>, Stop> {
    let mut output = Output { sink: None, options, tags };
    let mut link: Option<Link> = None;
    let mut damaged = 0_u64;
    for input in packets {
        jitter();
        match input {
            AudioInput::Link { decoder, offset } => {
                if let Some(mut link) = link.replace(Link::new(decoder, offset)) {
                    link.flush(&mut output)?;
                }
            }
            AudioInput::Packet(packet) => {
                if let Some(link) = &mut link {
                    damaged += u64::from(!link.decode(&packet, &mut output)?);
                }
            }
            AudioInput::Leap => {
                if let Some(link) = &mut link {
                    link.flush(&mut output)?;
                }
            }
            AudioInput::Idle { time } => {
                if let Some(link) = &mut link {
                    link.flush(&mut output)?;
                }
                output.idle(time)?;
            }
            AudioInput::End { time } => {
                if let Some(mut link) = link {
                    link.flush(&mut output)?;
                }
                output.finish(time)?;
                let warning = format!("damaged packets of sound, replaced by silence: {damaged}");
                return Ok(if damaged > 0 { vec![warning] } else { Vec::new() });
            }
        }
    }
    Err(Stop::Closed)
}

/// The sound of one link of the chain.
struct Link {
    decoder: Box<vorbis::Decoder>,
    timeline: Timeline,
    offset: Time,
    /// Made when the first sample comes.
    conversion: Option<(Downmix, Resampler)>,
}

impl Link {
    fn new(decoder: Box<vorbis::Decoder>, offset: Time) -> Self {
        let timeline = Timeline::new(decoder.sample_rate(), decoder.channels());
        Self { decoder, timeline, offset, conversion: None }
    }

    /// Decodes a packet and puts out what of it has found its place; tells whether it could be decoded.
    fn decode(&mut self, packet: &Packet, output: &mut Output<'_>) -> Result<bool, Stop> {
        if packet.lost_before {
            self.decoder.reset();
        }
        let decoded = self.decoder.decode(&packet.data);
        let intact = decoded.is_ok();
        let placed = self.timeline.push(&decoded.unwrap_or_default(), packet.into());
        let start = self.timeline.start();
        self.convert(placed, start, output)?;
        Ok(intact)
    }

    fn convert(&mut self, pcm: Pcm, start: Option<i64>, output: &mut Output<'_>) -> Result<(), Stop> {
        if pcm.first().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let source_rate = self.decoder.sample_rate();
        let sink = output.open(source_rate, self.decoder.channels())?;
        let (downmix, resampler) = match &mut self.conversion {
            Some(conversion) => conversion,
            None => {
                let start = self.offset + Time::from_units(start.unwrap_or(0), source_rate, 1);
                sink.seek(start)?;
                let problem =
                    |problem: resample::Error| Stop::Output(OutputError::Sound { problem: problem.into() });
                let downmix = Downmix::new(self.decoder.channels()).map_err(problem)?;
                let resampler = Resampler::new(source_rate, sink.format.sample_rate, sink.format.channels())
                    .map_err(problem)?;
                self.conversion.insert((downmix, resampler))
            }
        };
        let pcm = with_channels(downmix.apply(pcm), sink.format.channels());
        // A second at a time: low rates become many samples.
        for start in (0..pcm[0].len()).step_by(source_rate as usize) {
            let end = pcm[0].len().min(start + source_rate as usize);
            let piece: Pcm = pcm.iter().map(|channel| channel[start..end].to_vec()).collect();
            sink.push(&resampler.push(&piece))?;
        }
        Ok(())
    }

    /// Puts out what is held back. What comes then finds its place anew.
    fn flush(&mut self, output: &mut Output<'_>) -> Result<(), Stop> {
        let rest = self.timeline.finish();
        let start = self.timeline.start();
        self.convert(rest, start, output)?;
        if let (Some((_, mut resampler)), Some(sink)) = (self.conversion.take(), &mut output.sink) {
            sink.push(&resampler.finish())?;
        }
        self.timeline = Timeline::new(self.decoder.sample_rate(), self.decoder.channels());
        self.decoder.reset();
        Ok(())
    }
}

/// Brings mono and stereo to the number of channels that the first link of the chain has set.
fn with_channels(mut pcm: Pcm, channels: usize) -> Pcm {
    match (pcm.len(), channels) {
        (1, 2) => pcm.push(pcm[0].clone()),
        (2, 1) => {
            let right = pcm.pop().unwrap_or_default();
            pcm[0].iter_mut().zip(right).for_each(|(left, right)| *left = (*left + right) * 0.5);
        }
        _ => {}
    }
    pcm
}

/// Opens the sink when the first sample comes; only then it is known that there is sound.
struct Output<'a> {
    sink: Option<Sink<'a>>,
    options: &'a Options,
    tags: &'a Sender<Tag>,
}

impl<'a> Output<'a> {
    /// The sink, which keeps the format that the first link asks for.
    fn open(&mut self, source_rate: u32, source_channels: usize) -> Result<&mut Sink<'a>, Stop> {
        match &mut self.sink {
            Some(sink) => Ok(sink),
            none => Ok(none.insert(Sink::new(source_rate, source_channels, self.options, self.tags)?)),
        }
    }

    /// Puts silence out until `time`. Of the frames that this takes the encoder still has some.
    fn idle(&mut self, time: Time) -> Result<(), Stop> {
        if let Some(sink) = &mut self.sink {
            sink.pause(time)?;
            self.tags.send(Tag::AudioIdle { time: sink.next_frame().min(time) })?;
        }
        Ok(())
    }

    fn finish(self, pictures_end: Time) -> Result<(), Stop> {
        let time = self.sink.map_or(Ok(Time::ZERO), |sink| sink.finish(pictures_end))?;
        Ok(self.tags.send(Tag::AudioEnd { time })?)
    }
}

/// The encoder and its place on the output's timeline.
struct Sink<'a> {
    encoder: mp3::Encoder,
    format: AudioFormat,
    tags: &'a Sender<Tag>,
    /// Samples a channel that were given to the encoder.
    samples: i64,
    /// MP3 frames that came of them.
    frames: i64,
    /// Samples of them that stand for what is missing.
    silence: i64,
    /// Samples to leave out, where a link begins before the one before it ended.
    surplus: usize,
}

impl<'a> Sink<'a> {
    fn new(
        source_rate: u32,
        source_channels: usize,
        options: &Options,
        tags: &'a Sender<Tag>,
    ) -> Result<Self, Stop> {
        let format = AudioFormat { sample_rate: flv_rate(source_rate), stereo: source_channels > 1 };
        let (sample_rate, channels) = (format.sample_rate, format.channels());
        let encoder = match options.audio_rate {
            AudioRate::Constant(bitrate) => {
                mp3::Encoder::new(mp3::Config::new(sample_rate, channels, bitrate))
            }
            AudioRate::Quality(quality) => mp3::Encoder::new_vbr(sample_rate, channels, quality),
        };
        let encoder =
            encoder.map_err(|problem| Stop::Output(OutputError::Sound { problem: problem.into() }))?;
        let delay = Time::from_units(encoder.delay() as i64, format.sample_rate, 1);
        tags.send(Tag::AudioStart { format, delay })?;
        Ok(Self { encoder, format, tags, samples: 0, silence: 0, frames: 0, surplus: 0 })
    }

    /// Makes the next sample the one that is heard at `time`: by silence, or by leaving samples out.
    fn seek(&mut self, time: Time) -> Result<(), Stop> {
        self.pause(time)?;
        self.surplus = usize::try_from(self.samples - time.to_units(self.format.sample_rate, 1)).unwrap_or(0);
        Ok(())
    }

    /// Puts silence out until `time`.
    fn pause(&mut self, time: Time) -> Result<(), Stop> {
        if time > Time::FLV_LIMIT {
            return Err(Stop::Input(InputError::TooLong));
        }
        let mut missing = (time.to_units(self.format.sample_rate, 1) - self.samples).max(0);
        self.silence += missing;
        // Known before any of it is encoded.
        if self.silence > i64::from(SILENCE_LIMIT_HOURS * 3600) * i64::from(self.format.sample_rate) {
            return Err(Stop::Input(InputError::TooSilent { hours: SILENCE_LIMIT_HOURS }));
        }
        let silence = vec![vec![0.0; SILENCE_SAMPLES]; self.format.channels()];
        while missing > 0 {
            let count = SILENCE_SAMPLES.min(missing as usize);
            let silence: Vec<&[f32]> = silence.iter().map(|channel| &channel[..count]).collect();
            self.encode(&silence)?;
            missing -= count as i64;
        }
        Ok(())
    }

    fn push(&mut self, pcm: &Pcm) -> Result<(), Stop> {
        let surplus = self.surplus.min(pcm.first().map_or(0, Vec::len));
        self.surplus -= surplus;
        let channels: Vec<&[f32]> = pcm.iter().map(|channel| &channel[surplus..]).collect();
        self.encode(&channels)
    }

    fn encode(&mut self, pcm: &[&[f32]]) -> Result<(), Stop> {
        let mut frames = Vec::new();
        self.encoder.encode(pcm, &mut frames);
        self.samples += pcm.first().map_or(0, |channel| channel.len() as i64);
        self.send(frames)
    }

    fn send(&mut self, frames: Vec<Vec<u8>>) -> Result<(), Stop> {
        for frame in frames {
            self.tags.send(Tag::Audio { time: self.next_frame(), frame })?;
            self.frames += 1;
        }
        Ok(())
    }

    /// When the next frame is heard that the encoder gives.
    fn next_frame(&self) -> Time {
        let start = self.frames * self.encoder.samples_per_frame() as i64;
        Time::from_units(start, self.format.sample_rate, 1)
    }

    /// Ends the sound, not before the pictures, and tells when.
    fn finish(mut self, pictures_end: Time) -> Result<Time, Stop> {
        self.pause(pictures_end)?;
        let end = Time::from_units(self.samples, self.format.sample_rate, 1);
        let mut frames = Vec::new();
        self.encoder.finish(&mut frames);
        self.send(frames)?;
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    /// Once it was said that nothing comes before a time, nothing does, though the encoder is behind.
    #[test]
    fn promises_are_kept() {
        let (tags, sent) = channel();
        let options = Options::default();
        let mut output = Output { sink: None, options: &options, tags: &tags };
        output.open(44_100, 2).ok().unwrap();
        for time in [500, 1000, 1001, 3000] {
            output.idle(Time::from_milliseconds(time)).ok().unwrap();
        }
        output.finish(Time::from_milliseconds(3500)).ok().unwrap();
        drop(tags);
        let (mut promised, mut frames) = (Time::ZERO, 0);
        for tag in sent {
            match tag {
                Tag::Audio { time, .. } => {
                    assert!(time >= promised, "{time:?} after {promised:?}");
                    frames += 1;
                }
                Tag::AudioIdle { time } => promised = time,
                _ => {}
            }
        }
        assert!(frames > 130 && promised > Time::from_milliseconds(2900), "{frames} {promised:?}");
    }
}
