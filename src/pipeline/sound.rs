//! The sound stage: decode, downmix, resample, encode.

use std::sync::mpsc::{Receiver, SyncSender};

use oggflv_mp3 as mp3;

use super::Stop;
use super::counters::Counters;
use super::damage::Loss;
use super::interleave::Tag;
use super::queue::jitter;
use crate::error::{InputError, OutputError};
use crate::flv::AudioFormat;
use crate::ogg::Packet;
use crate::options::{AudioRate, Options};
use crate::resample::{self, Downmix, Resampler, flv_rate};
use crate::time::Time;
use crate::vorbis::{self, Pcm, Placement, Timeline};
use crate::{flac, opus};

/// How much silence may stand for what is missing.
const SILENCE_LIMIT_HOURS: u32 = 6;
/// MP3 frames after which the lengths of frames of a constant bit rate recur, whatever the sample rate.
const PERIOD_FRAMES: usize = 49;
/// A link may begin as much before the end of the one before without a warning.
const SMALL_OVERLAP: Time = Time::from_milliseconds(50);

/// What decodes the sound of a stream, packet by packet.
pub(super) trait SoundDecoder: Send {
    /// Samples per second and channel.
    fn sample_rate(&self) -> u32;
    /// Number of channels, 1..=8.
    fn channels(&self) -> usize;
    /// Samples at the start of the stream that are not to be heard.
    fn lead(&self) -> usize {
        0
    }
    /// Decodes a data packet; no samples if it yields none, or cannot be decoded.
    fn decode(&mut self, packet: &[u8]) -> Pcm;
    /// Forgets what came before, which is lost, or comes again.
    fn reset(&mut self);
}

impl SoundDecoder for vorbis::Decoder {
    fn sample_rate(&self) -> u32 {
        self.sample_rate()
    }

    fn channels(&self) -> usize {
        self.channels()
    }

    fn decode(&mut self, packet: &[u8]) -> Pcm {
        self.decode(packet).unwrap_or_default()
    }

    fn reset(&mut self) {
        self.reset();
    }
}

impl SoundDecoder for opus::Decoder {
    fn sample_rate(&self) -> u32 {
        opus::SAMPLE_RATE
    }

    fn channels(&self) -> usize {
        self.channels()
    }

    fn lead(&self) -> usize {
        self.pre_skip()
    }

    fn decode(&mut self, packet: &[u8]) -> Pcm {
        self.decode(packet)
    }

    fn reset(&mut self) {
        self.reset();
    }
}

impl SoundDecoder for flac::Decoder {
    fn sample_rate(&self) -> u32 {
        self.sample_rate()
    }

    fn channels(&self) -> usize {
        self.channels()
    }

    fn decode(&mut self, packet: &[u8]) -> Pcm {
        self.decode(packet)
    }

    /// Every packet stands for itself.
    fn reset(&mut self) {}
}

/// Decodes a packet without the samples of the lead; `lead` is what is left of it.
pub(super) fn decode_after(lead: &mut usize, decoder: &mut dyn SoundDecoder, packet: &[u8]) -> Pcm {
    let mut block = decoder.decode(packet);
    let skipped = (*lead).min(block.first().map_or(0, Vec::len));
    *lead -= skipped;
    block.iter_mut().for_each(|channel| drop(channel.drain(..skipped)));
    block
}

/// What the sound stage takes.
pub(super) enum AudioInput {
    /// The packets that follow are decoded by this; sample 0 of their stream is heard at `offset`, which may lie
    /// before the start.
    Link { decoder: Box<dyn SoundDecoder>, offset: Time },
    /// A data packet.
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
    tags: &SyncSender<Tag>,
    options: &Options,
    counters: &Counters,
) -> Result<Vec<String>, Stop> {
    let mut output = Output { sink: None, idle_until: None, options, tags, counters };
    let mut link: Option<Link> = None;
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
                    link.decode(&packet, &mut output)?;
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
                return Ok(Vec::new());
            }
        }
    }
    Err(Stop::Closed)
}

/// The sound of one link of the chain.
struct Link {
    decoder: Box<dyn SoundDecoder>,
    /// Samples that are still to be left out at the start.
    lead: usize,
    timeline: Timeline,
    offset: Time,
    /// Made when the first sample comes.
    conversion: Option<(Downmix, Resampler)>,
    /// Whether packets were lost since the last sample.
    lost: bool,
    /// Packets that were decoded, and the samples a channel that they gave.
    decoded: (u64, u64),
}

impl Link {
    fn new(decoder: Box<dyn SoundDecoder>, offset: Time) -> Self {
        let timeline = Timeline::new(decoder.sample_rate(), decoder.channels());
        let lead = decoder.lead();
        Self { decoder, lead, timeline, offset, conversion: None, lost: false, decoded: (0, 0) }
    }

    /// Decodes a packet and puts out what of it has found its place.
    fn decode(&mut self, packet: &Packet, output: &mut Output<'_>) -> Result<(), Stop> {
        if packet.lost_before {
            self.decoder.reset();
            self.lost |= self.conversion.is_none();
        }
        let block = decode_after(&mut self.lead, &mut *self.decoder, &packet.data);
        if let Some(samples @ 1..) = block.first().map(Vec::len) {
            self.decoded = (self.decoded.0 + 1, self.decoded.1 + samples as u64);
        }
        let placed = self.timeline.push(&block, packet.into());
        let start = self.timeline.start();
        if let Some((index, samples)) = self.timeline.take_loss() {
            let time = |index| self.offset + Time::from_units(index, self.decoder.sample_rate(), 1);
            output.counters.damage.add(self.loss(time(index), time(index + samples)));
        }
        self.convert(placed, start, output)
    }

    fn convert(&mut self, pcm: Pcm, start: Option<i64>, output: &mut Output<'_>) -> Result<(), Stop> {
        if pcm.first().is_none_or(Vec::is_empty) {
            return Ok(());
        }
        let source_rate = self.decoder.sample_rate();
        output.open(source_rate, self.decoder.channels())?;
        let Some(sink) = &mut output.sink else { return Ok(()) };
        let (downmix, resampler) = match &mut self.conversion {
            Some(conversion) => conversion,
            None => {
                let start = self.offset + Time::from_units(start.unwrap_or(0), source_rate, 1);
                let end = sink.end();
                if std::mem::take(&mut self.lost) && start > end {
                    output.counters.damage.add(self.loss(end, start));
                }
                // It comes too late: what follows it was heard. What lies before the start is not missed.
                let overlap = start.max(Time::ZERO);
                if end - overlap > SMALL_OVERLAP {
                    output.counters.damage.add(self.loss(overlap, end));
                }
                sink.seek(start)?;
                let problem =
                    |problem: resample::Error| Stop::Output(OutputError::Sound { problem: problem.into() });
                let downmix = Downmix::new(self.decoder.channels()).map_err(problem)?;
                let resampler = Resampler::new(source_rate, sink.format.sample_rate, sink.format.channels())
                    .map_err(problem)?;
                self.conversion.insert((downmix, resampler))
            }
        };
        let mut pcm = with_channels(downmix.apply(pcm), sink.format.channels());
        if sink.volume != 1.0 {
            pcm.iter_mut().flatten().for_each(|sample| *sample *= sink.volume);
        }
        // A second at a time: low rates become many samples.
        for start in (0..pcm[0].len()).step_by(source_rate as usize) {
            let end = pcm[0].len().min(start + source_rate as usize);
            let piece: Pcm = pcm.iter().map(|channel| channel[start..end].to_vec()).collect();
            sink.push(&resampler.push(&piece))?;
        }
        Ok(())
    }

    /// Sound that is missing.
    fn loss(&self, start: Time, end: Time) -> Loss {
        let (packets, samples) = self.decoded;
        let missing = (end - start).to_units(self.decoder.sample_rate(), 1).max(0) as u64;
        let in_packets = if samples == 0 { 0.0 } else { missing as f64 * packets as f64 / samples as f64 };
        Loss::sound(start, end, (in_packets.round() as u64).max(missing.min(1)))
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
    /// Up to when it was said that nothing comes, before there was a sink.
    idle_until: Option<Time>,
    options: &'a Options,
    tags: &'a SyncSender<Tag>,
    counters: &'a Counters,
}

impl Output<'_> {
    /// Makes the sink, which keeps the format that the first link with sound asks for.
    fn open(&mut self, source_rate: u32, source_channels: usize) -> Result<(), Stop> {
        if self.sink.is_none() {
            let sink = Sink::new(source_rate, source_channels, self.idle_until, self.options, self.tags)?;
            self.sink = Some(sink);
        }
        Ok(())
    }

    /// Puts silence out until `time`. Of the frames that this takes the encoder still has some.
    fn idle(&mut self, time: Time) -> Result<(), Stop> {
        let time = match &mut self.sink {
            Some(sink) => {
                sink.pause(time)?;
                sink.next_frame().min(time)
            }
            None => *self.idle_until.insert(time),
        };
        Ok(self.tags.send(Tag::AudioIdle { time })?)
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
    tags: &'a SyncSender<Tag>,
    /// When the first sample is heard: later than the start if only a later link has sound.
    origin: Time,
    /// Samples a channel that were given to the encoder.
    samples: i64,
    /// MP3 frames that came of them.
    frames: i64,
    /// Samples of them that stand for what is missing.
    silence: i64,
    /// Samples to leave out, where a link begins before the one before it ended, or before the start.
    surplus: usize,
    volume: f32,
    /// The last sample is heard before this.
    longest: Time,
}

impl<'a> Sink<'a> {
    fn new(
        source_rate: u32,
        source_channels: usize,
        idle_until: Option<Time>,
        options: &Options,
        tags: &'a SyncSender<Tag>,
    ) -> Result<Self, Stop> {
        let format = AudioFormat {
            sample_rate: options.sample_rate.unwrap_or_else(|| flv_rate(source_rate)),
            stereo: source_channels > 1 && !options.mono,
        };
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
        tags.send(Tag::AudioStart { format, delay, after: idle_until })?;
        let origin = idle_until.unwrap_or_default();
        let (volume, longest) = (options.volume, options.longest());
        Ok(Self {
            encoder,
            format,
            tags,
            origin,
            samples: 0,
            silence: 0,
            frames: 0,
            surplus: 0,
            volume,
            longest,
        })
    }

    /// The sample that is heard at `time`.
    fn sample_at(&self, time: Time) -> i64 {
        (time - self.origin).to_units(self.format.sample_rate, 1)
    }

    /// When a sample is heard.
    fn time_of(&self, sample: i64) -> Time {
        self.origin + Time::from_units(sample, self.format.sample_rate, 1)
    }

    /// When the sample is heard that comes next.
    fn end(&self) -> Time {
        self.time_of(self.samples)
    }

    /// Makes the next sample the one that is heard at `time`: by silence, or by leaving samples out.
    fn seek(&mut self, time: Time) -> Result<(), Stop> {
        self.pause(time)?;
        self.surplus = usize::try_from(self.samples - self.sample_at(time)).unwrap_or(0);
        Ok(())
    }

    /// Puts silence out until `time`.
    fn pause(&mut self, time: Time) -> Result<(), Stop> {
        if time > Time::FLV_LIMIT {
            return Err(Stop::Input(InputError::TooLong));
        }
        let mut missing = (self.sample_at(time) - self.samples).max(0);
        self.silence += missing;
        // Known before any of it is encoded.
        if self.silence > i64::from(SILENCE_LIMIT_HOURS * 3600) * i64::from(self.format.sample_rate) {
            return Err(Stop::Input(InputError::TooSilent { hours: SILENCE_LIMIT_HOURS }));
        }
        let period = PERIOD_FRAMES * self.encoder.samples_per_frame();
        let silence = vec![vec![0.0; period]; self.format.channels()];
        let mut last = Vec::new();
        while missing > 0 {
            let count = period.min(missing as usize);
            let silence: Vec<&[f32]> = silence.iter().map(|channel| &channel[..count]).collect();
            let frames = self.frames_of(&silence);
            missing -= count as i64;
            // In long silence the encoder goes round in circles. What it would give needs not be computed.
            while frames == last && missing >= period as i64 {
                self.send(frames.clone())?;
                self.samples += period as i64;
                missing -= period as i64;
            }
            self.send(frames.clone())?;
            last = frames;
        }
        Ok(())
    }

    fn push(&mut self, pcm: &Pcm) -> Result<(), Stop> {
        let surplus = self.surplus.min(pcm.first().map_or(0, Vec::len));
        self.surplus -= surplus;
        let room = usize::try_from(self.sample_at(self.longest) - self.samples).unwrap_or(0);
        let channels = pcm.iter().map(|channel| &channel[surplus..]);
        let channels: Vec<&[f32]> = channels.map(|channel| &channel[..channel.len().min(room)]).collect();
        self.encode(&channels)
    }

    fn encode(&mut self, pcm: &[&[f32]]) -> Result<(), Stop> {
        let frames = self.frames_of(pcm);
        self.send(frames)
    }

    /// Encodes samples to as many frames as they complete.
    fn frames_of(&mut self, pcm: &[&[f32]]) -> Vec<Vec<u8>> {
        let mut frames = Vec::new();
        self.encoder.encode(pcm, &mut frames);
        self.samples += pcm.first().map_or(0, |channel| channel.len() as i64);
        frames
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
        self.time_of(self.frames * self.encoder.samples_per_frame() as i64)
    }

    /// Ends the sound, not before the pictures, and tells when.
    fn finish(mut self, pictures_end: Time) -> Result<Time, Stop> {
        self.pause(pictures_end)?;
        let end = self.end();
        let mut frames = Vec::new();
        self.encoder.finish(&mut frames);
        self.send(frames)?;
        Ok(end)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::sync_channel;

    /// All frames that come of silence up to a time, encoded or not.
    #[test]
    fn long_silence_is_what_the_encoder_makes_of_it() {
        for (source_rate, audio_rate) in [
            (44_100, AudioRate::Constant(128_000)),
            (11_025, AudioRate::Constant(40_000)),
            (22_050, AudioRate::Quality(4)),
        ] {
            let (tags, sent) = sync_channel(10_000);
            let options = Options { audio_rate, ..Options::default() };
            let mut sink = Sink::new(source_rate, 1, None, &options, &tags).ok().unwrap();
            let mut encoder = Sink::new(source_rate, 1, None, &options, &tags).ok().unwrap().encoder;
            let noise: Vec<f32> = (0..30_000).map(|n| (n * n % 1009) as f32 / 2000.0 - 0.25).collect();
            let end = Time::from_seconds(100);
            let silence = vec![0.0; end.to_units(source_rate, 1) as usize - noise.len()];
            sink.encode(&[&noise]).ok().unwrap();
            sink.pause(end).ok().unwrap();
            assert_eq!(sink.end(), end);
            sink.encode(&[&noise]).ok().unwrap();
            drop(sink);
            let mut expected = Vec::new();
            for pcm in [&noise, &silence, &noise] {
                encoder.encode(&[pcm], &mut expected);
            }
            let frames = sent.try_iter().filter_map(|tag| match tag {
                Tag::Audio { frame, .. } => Some(frame),
                _ => None,
            });
            assert!(frames.collect::<Vec<_>>() == expected, "{source_rate} Hz");
        }
    }

    /// Once it was said that nothing comes before a time, nothing does, though the encoder is behind.
    #[test]
    fn promises_are_kept() {
        let (tags, sent) = sync_channel(10_000);
        let options = Options::default();
        let counters = Counters::default();
        let mut output =
            Output { sink: None, idle_until: None, options: &options, tags: &tags, counters: &counters };
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
