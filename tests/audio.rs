//! Vorbis from packets to samples, against libvorbis and against hostile input.

#![allow(clippy::unwrap_used, reason = "in a test it says that this must hold")]

use std::f64::consts::PI;
use std::fs;
use std::io::Cursor;
use std::process::Command;

use oggflv::resample::{Downmix, Resampler, flv_rate};
use oggflv::vorbis::{Decoder, Error, Pcm, Placement, Timeline};

/// The packets of a vector, with their places. The first three are the headers.
struct Stream {
    packets: Vec<(Vec<u8>, Placement)>,
}

impl Stream {
    fn read(name: &str) -> Self {
        let file = fs::read(path(&format!("{name}.ogg"))).unwrap();
        let mut reader = ogg::PacketReader::new(Cursor::new(file));
        let mut packets: Vec<(Vec<u8>, Placement)> = Vec::new();
        let mut page_begins = 0;
        while let Some(packet) = reader.read_packet().unwrap() {
            let at = Placement {
                page_granule_pos: Some(packet.absgp_page() as i64),
                last_on_eos_page: packet.last_in_stream(),
                ..Placement::default()
            };
            if packet.first_in_page() {
                page_begins = packets.len();
            }
            for (_, earlier) in &mut packets[page_begins..] {
                earlier.after_on_page += 1;
            }
            packets.push((packet.data, at));
        }
        Self { packets }
    }

    fn decoder(&self) -> Decoder {
        Decoder::new(&self.packets[0].0, &self.packets[1].0, &self.packets[2].0).unwrap()
    }

    /// The same packets with a granule position at every `interval`th of them, as many samples later as
    /// `offset` says; without the flag for the end.
    fn with_anchors(&self, interval: usize, offset: i64) -> Self {
        let mut decoder = self.decoder();
        let mut position = offset;
        let mut packets = self.packets[..3].to_vec();
        for (index, (data, _)) in self.packets[3..].iter().enumerate() {
            position += decoder.decode(data).unwrap()[0].len() as i64;
            let anchor = (index + 1).is_multiple_of(interval);
            let at = Placement { page_granule_pos: anchor.then_some(position), ..Placement::default() };
            packets.push((data.clone(), at));
        }
        Self { packets }
    }

    /// Loses the audio packets `range`, counted from the first one.
    fn without(mut self, range: std::ops::Range<usize>) -> Self {
        self.packets.drain(3 + range.start..3 + range.end);
        self.packets[3 + range.start].1.lost_before = true;
        self
    }

    /// Decodes to the absolute index of the first sample, and all samples.
    fn decode(&self) -> (i64, Pcm) {
        let mut decoder = self.decoder();
        let mut timeline = Timeline::new(decoder.sample_rate(), decoder.channels());
        let mut all = vec![Vec::new(); decoder.channels()];
        for (data, at) in &self.packets[3..] {
            if at.lost_before {
                decoder.reset();
            }
            let block = decoder.decode(data).unwrap_or_default();
            append(&mut all, timeline.push(&block, *at));
        }
        append(&mut all, timeline.finish());
        (timeline.start().unwrap(), all)
    }
}

fn path(name: &str) -> String {
    format!("{}/tests/vectors/vorbis/{name}", env!("CARGO_MANIFEST_DIR"))
}

fn append(all: &mut Pcm, more: Pcm) {
    for (all, more) in all.iter_mut().zip(more) {
        all.extend(more);
    }
}

fn tone(frequency: f64, rate: u32, n: usize) -> f64 {
    0.4 * (2.0 * PI * frequency * n as f64 / f64::from(rate)).sin()
}

/// Ratio of the power of `expected` to that of the difference, in dB.
fn snr(samples: &[f32], expected: impl Fn(usize) -> f64) -> f64 {
    let (mut signal, mut noise) = (0.0, 0.0);
    for (n, &sample) in samples.iter().enumerate() {
        signal += expected(n).powi(2);
        noise += (expected(n) - f64::from(sample)).powi(2);
    }
    10.0 * (signal / noise).log10()
}

/// The largest step from one sample to the next.
fn largest_step(samples: &[f32]) -> f32 {
    samples.windows(2).map(|pair| (pair[1] - pair[0]).abs()).fold(0.0, f32::max)
}

#[test]
fn decodes_what_libvorbis_decodes() {
    for (name, rate, channels, length) in
        [("stereo", 44100, 2, 22050), ("mono8", 8000, 1, 3001), ("six", 48000, 6, 9600)]
    {
        let stream = Stream::read(name);
        let decoder = stream.decoder();
        assert_eq!((decoder.sample_rate(), decoder.channels()), (rate, channels));
        assert!(decoder.comments().vendor.starts_with("Xiph.Org libVorbis"));
        let (start, pcm) = stream.decode();
        assert_eq!(start, 0);
        assert!(pcm.iter().all(|channel| channel.len() == length), "{name}");
        let golden = fs::read_to_string(path(&format!("{name}.samples.txt"))).unwrap();
        assert!(golden.lines().count() > 15);
        for line in golden.lines() {
            let mut fields = line.split(' ');
            let index: usize = fields.next().unwrap().parse().unwrap();
            for channel in &pcm {
                let expected: f32 = fields.next().unwrap().parse().unwrap();
                assert!((channel[index] - expected).abs() < 1e-6, "{name} at {index}");
            }
        }
    }
}

#[test]
fn decodes_the_sound_that_was_encoded() {
    let (_, stereo) = Stream::read("stereo").decode();
    for (channel, samples) in stereo.iter().enumerate() {
        let source = |n: usize| {
            if n / 4410 % 2 == 1 { tone(440.0 * (channel + 1) as f64, 44100, n) } else { 0.0 }
        };
        assert!(snr(samples, source) > 15.0, "channel {channel}: {} dB", snr(samples, source));
    }
    let (_, mono) = Stream::read("mono8").decode();
    assert!(snr(&mono[0], |n| tone(500.0, 8000, n)) > 15.0);
}

#[test]
fn six_channels_come_in_wave_order() {
    let (_, six) = Stream::read("six").decode();
    for (channel, samples) in six.iter().enumerate() {
        let frequency = if channel == 3 { 60.0 } else { 300.0 + 200.0 * channel as f64 };
        let snr = snr(samples, |n| tone(frequency, 48000, n));
        assert!(snr > 10.0, "channel {channel}: {snr} dB");
    }
}

#[test]
fn blocks_end_at_the_centre_of_their_window() {
    let stream = Stream::read("stereo");
    let mut decoder = stream.decoder();
    let lengths: Vec<usize> =
        stream.packets[3..].iter().map(|(data, _)| decoder.decode(data).unwrap()[0].len()).collect();
    // A quarter of each of two windows of 256 or 2048 samples.
    assert_eq!(lengths[..10], [0, 576, 1024, 1024, 1024, 576, 128, 128, 576, 1024]);
    assert!(lengths[10..].iter().all(|length| [128, 576, 1024].contains(length)));
}

#[test]
fn a_start_offset_is_kept() {
    let offset = 604 * 44100 + 17;
    let (start, pcm) = Stream::read("stereo").with_anchors(5, offset).decode();
    assert_eq!(start, offset);
    assert_eq!(pcm, Stream::read("stereo").with_anchors(1, 0).decode().1);
}

#[test]
fn a_negative_start_is_cut() {
    let whole = Stream::read("stereo").with_anchors(5, 0).decode().1;
    let (start, pcm) = Stream::read("stereo").with_anchors(5, -100).decode();
    assert_eq!(start, 0);
    for (channel, whole) in pcm.iter().zip(&whole) {
        assert_eq!(channel[..], whole[100..]);
    }
}

#[test]
fn lost_packets_become_silence_of_their_length() {
    let mut heard = 0;
    for interval in [1, 4, 7] {
        let whole = Stream::read("stereo").with_anchors(interval, 0).decode().1;
        for first in 4..32 {
            let (start, pcm) =
                Stream::read("stereo").with_anchors(interval, 0).without(first..first + 2).decode();
            assert_eq!(start, 0);
            for (channel, whole) in pcm.iter().zip(&whole) {
                assert_eq!(channel.len(), whole.len(), "packets {first} and {} lost", first + 1);
                let differs = |n: &usize| channel[*n] != whole[*n];
                if let (Some(begin), Some(end)) =
                    ((0..whole.len()).find(differs), (0..whole.len()).rev().find(differs))
                {
                    // Two packets, and the one that primes; then the joint.
                    assert!(end - begin < 3 * 1024 + 448 + 221, "{begin} to {end}");
                    heard += 1;
                }
                // A joint of 5 ms leads over a step of 1 at most.
                assert!(largest_step(channel) <= largest_step(whole) + 1.0 / 220.0, "a click");
            }
        }
    }
    // The others are lost from silence.
    assert!(heard > 100, "{heard}");
}

#[test]
fn a_packet_that_cannot_be_decoded_costs_only_itself() {
    let whole = Stream::read("stereo").with_anchors(4, 0).decode().1;
    let mut stream = Stream::read("stereo").with_anchors(4, 0);
    stream.packets[3 + 20].0.clear();
    let (_, pcm) = stream.decode();
    assert_eq!(pcm[0].len(), whole[0].len());
    assert_eq!(pcm[0][..5000], whole[0][..5000]);
    assert_eq!(pcm[0][pcm[0].len() - 5000..], whole[0][pcm[0].len() - 5000..]);
}

#[test]
fn reset_gives_nothing_and_then_the_same_samples() {
    let stream = Stream::read("stereo");
    let (mut once, mut again) = (stream.decoder(), stream.decoder());
    for (index, (data, _)) in stream.packets[3..20].iter().enumerate() {
        let expected = once.decode(data).unwrap();
        if index == 4 {
            again.reset();
        }
        let pcm = again.decode(data).unwrap();
        for (channel, expected) in pcm.iter().zip(&expected) {
            assert!(expected.ends_with(channel));
            // Packet 4 is long and 5 short: what is between their windows was complete with packet 4.
            let missing = expected.len() - channel.len();
            assert_eq!(missing, [0, 0, 0, 0, expected.len(), 448].get(index).copied().unwrap_or(0));
        }
    }
}

#[test]
fn packets_that_are_no_audio_change_nothing() {
    let stream = Stream::read("stereo");
    let (mut plain, mut disturbed) = (stream.decoder(), stream.decoder());
    for (data, _) in &stream.packets[3..15] {
        assert_eq!(disturbed.decode(&[]), Err(Error::NotAudio));
        assert_eq!(disturbed.decode(&stream.packets[0].0), Err(Error::NotAudio));
        assert_eq!(disturbed.decode(data), plain.decode(data));
    }
}

#[test]
fn six_channels_to_flv_keep_their_length_and_do_not_clip() {
    let (_, six) = Stream::read("six").decode();
    let rate = flv_rate(48000);
    let mut resampler = Resampler::new(48000, rate, 2).unwrap();
    let mut out = resampler.push(&Downmix::new(6).unwrap().apply(six));
    append(&mut out, resampler.finish());
    assert_eq!((rate, out.len(), out[0].len(), out[1].len()), (44100, 2, 8820, 8820));
    assert!(out.iter().flatten().all(|sample| sample.abs() < 0.5));
    // Left, centre and rear left, at the weights of the downmix; not the LFE.
    let expected = |n: usize| {
        let tone = |frequency: f64| tone(frequency, 44100, n);
        (tone(300.0) + (tone(700.0) + tone(1100.0)) / 2f64.sqrt()) / (1.0 + 2.0 / 2f64.sqrt())
    };
    assert!(snr(&out[0], expected) > 15.0, "{} dB", snr(&out[0], expected));
}

/// Packs bits as section 2 of the Vorbis I specification says.
#[derive(Default)]
struct BitWriter {
    bytes: Vec<u8>,
    at: usize,
}

impl BitWriter {
    fn put(&mut self, value: u32, bits: usize) -> &mut Self {
        for bit in 0..bits {
            if self.at.is_multiple_of(8) {
                self.bytes.push(0);
            }
            self.bytes[self.at / 8] |= ((value >> bit & 1) as u8) << (self.at % 8);
            self.at += 1;
        }
        self
    }

    /// A setup header up to the first codebook.
    fn setup(codebooks: u32) -> Self {
        let mut bits = Self { bytes: b"\x05vorbis".to_vec(), at: 56 };
        bits.put(codebooks - 1, 8);
        bits
    }

    /// The head of a codebook.
    fn codebook(&mut self, dimensions: u32, entries: u32) -> &mut Self {
        self.put(0x564342, 24).put(dimensions, 16).put(entries, 24)
    }

    /// A codebook of 2^`log` entries, all of the same length, and a vector lookup of type 1 that unpacks to
    /// `dimensions` scalars an entry.
    fn full_codebook(&mut self, dimensions: u32, log: u32) -> &mut Self {
        self.codebook(dimensions, 1 << log).put(1, 1).put(log - 1, 5).put(1 << log, log as usize + 1);
        self.put(1, 4).put(0, 32).put(0, 32).put(0, 4).put(0, 1);
        let values =
            (1..).take_while(|base: &u32| base.checked_pow(dimensions).is_some_and(|p| p <= 1 << log));
        for _ in values {
            self.put(0, 1);
        }
        self
    }
}

fn verdict(setup: &[u8]) -> Error {
    let stream = Stream::read("stereo");
    Decoder::new(&stream.packets[0].0, &stream.packets[1].0, setup).err().expect("must be refused")
}

#[test]
fn a_comment_header_that_claims_gigabytes_costs_nothing() {
    let stream = Stream::read("stereo");
    let mut comment = b"\x03vorbis".to_vec();
    comment.extend(0u32.to_le_bytes());
    comment.extend(u32::MAX.to_le_bytes());
    comment.resize(331, 0xff);
    let decoder = Decoder::new(&stream.packets[0].0, &comment, &stream.packets[2].0).unwrap();
    assert!(decoder.comments().comments.is_empty());
}

#[test]
fn setup_headers_that_claim_too_much_are_refused() {
    // 2^24 - 1 entries in 20 bytes, all of length 24.
    let mut bits = BitWriter::setup(1);
    bits.codebook(1, 0xff_ffff).put(1, 1).put(23, 5).put(0xff_ffff, 24).put(0, 4);
    assert!(bits.bytes.len() < 30);
    assert!(matches!(verdict(&bits.bytes), Error::Limit { value: 0xff_ffff, limit: 262_144, .. }));

    // 16 entries of 65535 dimensions are 4 MB each time; some dozens are refused though one would pass.
    let mut bits = BitWriter::setup(64);
    for _ in 0..64 {
        bits.full_codebook(65535, 4);
    }
    assert!(bits.bytes.len() < 1500);
    assert!(matches!(verdict(&bits.bytes), Error::Limit { value: 3_145_680, limit: 2_097_152, .. }));

    // Many codebooks, each small enough.
    let mut bits = BitWriter::setup(32);
    for _ in 0..32 {
        bits.full_codebook(2, 14);
    }
    assert!(matches!(verdict(&bits.bytes), Error::Limit { value: 278_528, limit: 262_144, .. }));
}

#[test]
fn setup_headers_that_make_no_sense_are_refused() {
    // No dimensions: the number of lookup values would be without limit.
    let mut bits = BitWriter::setup(1);
    bits.codebook(0, 1).put(0, 32);
    assert_eq!(verdict(&bits.bytes), Error::Invalid { element: "codebook_dimensions", value: 0 });

    // Lengths that grow past 32.
    let mut bits = BitWriter::setup(1);
    bits.codebook(1, 2).put(1, 1).put(31, 5).put(0, 2).put(0, 32);
    assert_eq!(verdict(&bits.bytes), Error::Invalid { element: "codebook_codeword_lengths", value: 33 });

    // A floor whose curve would never be complete.
    let mut bits = BitWriter::setup(1);
    bits.full_codebook(1, 1).put(0, 6).put(0, 16).put(0, 6).put(0, 16);
    bits.put(1, 8).put(44100, 16).put(0, 16).put(0, 32);
    assert_eq!(verdict(&bits.bytes), Error::Invalid { element: "floor0_bark_map_size", value: 0 });
}

#[test]
fn identification_headers_out_of_range_are_refused() {
    let stream = Stream::read("stereo");
    let with = |index: usize, bytes: &[u8]| {
        let mut identification = stream.packets[0].0.clone();
        identification[index..index + bytes.len()].copy_from_slice(bytes);
        Decoder::new(&identification, &stream.packets[1].0, &stream.packets[2].0).err().unwrap()
    };
    assert_eq!(with(11, &[9]), Error::Limit { element: "audio_channels", value: 9, limit: 8 });
    let rate = Error::Limit { element: "audio_sample_rate", value: 4_294_967_295, limit: 768_000 };
    assert_eq!(with(12, &[0xff; 4]), rate);
    assert!(matches!(with(11, &[0]), Error::Header(_)));
    assert_eq!(with(0, &[3]), Error::NotHeader { header: "identification" });
}

#[test]
fn every_cut_of_the_setup_header_is_refused() {
    let setup = &Stream::read("stereo").packets[2].0;
    for length in (0..setup.len()).step_by(7) {
        verdict(&setup[..length]);
    }
}

/// Bits are flipped in headers and packets.
#[test]
fn mutations_are_decoded_or_refused() {
    let (mut decoded, mut refused) = (0, 0);
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut random = move |below: usize| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 33) as usize % below
    };
    for name in ["stereo", "mono8", "six"] {
        let original = Stream::read(name).packets;
        for round in 0..300 {
            let mut packets: Vec<Vec<u8>> = original.iter().map(|(data, _)| data.clone()).collect();
            // In turn: audio packets only, or the setup header, or the identification header too.
            let setup_bits = packets[2].len() * 8;
            if round % 3 > 0 {
                for _ in 0..1 + random(3) {
                    // Half of the flips go to the floors, residues and modes at the end.
                    let bit = if random(2) == 0 { random(setup_bits) } else { setup_bits - 1 - random(800) };
                    packets[2][bit / 8] ^= 1 << (bit % 8);
                }
            }
            if round % 3 == 2 {
                packets[0][28] ^= 1 << random(8);
            }
            let Ok(mut decoder) = Decoder::new(&packets[0], &packets[1], &packets[2]) else { continue };
            let mut timeline = Timeline::new(decoder.sample_rate(), decoder.channels());
            for packet in &mut packets[3..] {
                for _ in 0..random(4) {
                    if let Some(byte) = packet.len().checked_sub(1).map(|last| random(last + 1)) {
                        packet[byte] ^= 1 << random(8);
                    }
                }
                let result = decoder.decode(packet);
                *if result.is_ok() { &mut decoded } else { &mut refused } += 1;
                let block = result.unwrap_or_default();
                assert!(block.iter().all(|channel| channel.len() <= 8192));
                assert!(block.iter().flatten().all(|sample| sample.abs() <= 16.0), "finite and bounded");
                let granule_pos = (random(2) == 0).then(|| (random(1 << 31) as i64) << random(32));
                let at = Placement {
                    page_granule_pos: granule_pos.filter(|_| random(8) == 0).or(Some(random(1 << 15) as i64)),
                    lost_before: random(5) == 0,
                    ..Placement::default()
                };
                let placed = timeline.push(&block, at);
                assert!(placed.iter().flatten().all(|sample| sample.is_finite()));
            }
        }
    }
    assert!(decoded > 1000 && refused > 100, "{decoded} {refused}");
}

/// A setup header whose floor of type 0 has order 1, which makes the decoder panic.
fn setup_that_panics() -> Vec<u8> {
    let mut bits = BitWriter::setup(1);
    bits.full_codebook(1, 1).put(0, 6).put(0, 16);
    // floor
    bits.put(0, 6).put(0, 16).put(1, 8).put(44100, 16).put(64, 16).put(6, 6).put(1, 8).put(0, 4).put(0, 8);
    // residue
    bits.put(0, 6).put(0, 16).put(0, 24).put(0, 24).put(0, 24).put(0, 6).put(0, 8).put(0, 4);
    // mapping
    bits.put(0, 6).put(0, 16).put(0, 1).put(0, 1).put(0, 2).put(0, 24);
    // mode, framing
    bits.put(0, 6).put(0, 1).put(0, 32).put(0, 8).put(1, 1);
    bits.bytes
}

#[test]
fn panics_of_the_decoder_are_errors() {
    let stream = Stream::read("mono8");
    let mut decoder = Decoder::new(&stream.packets[0].0, &stream.packets[1].0, &setup_that_panics()).unwrap();
    let silent = [0; 2];
    let panics = [0b10, 0];
    assert!(decoder.decode(&silent).unwrap()[0].is_empty());
    assert_eq!(decoder.decode(&silent).unwrap()[0].len(), 256);
    assert_eq!(decoder.decode(&panics), Err(Error::Panicked { what: "audio packet" }));
    assert!(decoder.decode(&silent).unwrap()[0].is_empty());
    assert_eq!(decoder.decode(&silent).unwrap()[0].len(), 256);
}

/// Runs the test above in a process of its own and looks at its standard error output.
#[test]
fn panics_of_the_decoder_print_nothing() {
    let child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "panics_of_the_decoder_are_errors", "--nocapture", "--test-threads=1"])
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&child.stdout).contains("1 passed"));
    assert_eq!(String::from_utf8_lossy(&child.stderr), "");
}
