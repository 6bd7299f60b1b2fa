//! The encoder: samples in, frames out (11172-3, figure C.1).

use crate::bitstream::FrameQueue;
use crate::config::{Config, Format};
use crate::error::ConfigError;
use crate::header::{BlockType, FrameInfo};
use crate::huffman::{self, Huffman};
use crate::mdct::Mdct;
use crate::psycho::{self, Allowed, Model};
use crate::quantize::{MAX_GRANULE_BITS, QuantizedGranule, Quantizer};
use crate::reservoir::Reservoir;
use crate::subband::{Polyphase, Subbands};
use crate::tables::{LINES, LONG_BANDS, SLOTS, SUBBANDS};
use oggflv_common::BitWriter;

/// Samples kept before those of the frame to encode: what the filterbank and the model look back on.
const HISTORY: usize = 768;
/// First sample, from that history on, of the spectrum whose middle is that of the first granule's MDCT: the MDCT
/// covers the granule before and the granule itself, seen through a filterbank that delays by 241 samples.
const SPECTRUM: usize = HISTORY - 241 - psycho::WINDOW_LEN / 2;
/// Delay of the analysis filterbank and the synthesis filterbank, and that of the MDCT.
const DELAY: usize = 481 + LINES;

/// A Layer III encoder with constant bitrate.
///
/// Samples go in by [`encode`](Self::encode) in pieces of any length; frames come out when they are complete, which the
/// bit reservoir delays by some frames.
///
/// ```
/// use oggflv_mp3::{Config, Encoder};
///
/// let mut encoder = Encoder::new(Config::new(44100, 2, 128_000))?;
/// let (left, right) = (vec![0.0; 5000], vec![0.0; 5000]);
/// let mut frames = Vec::new();
/// encoder.encode(&[&left, &right], &mut frames);
/// encoder.finish(&mut frames);
/// assert_eq!(frames.len(), (5000 + encoder.delay()).div_ceil(encoder.samples_per_frame()));
/// # Ok::<(), oggflv_mp3::ConfigError>(())
/// ```
pub struct Encoder {
    format: Format,
    polyphase: Polyphase,
    mdct: Mdct,
    model: Model,
    quantizer: Quantizer,
    huffman: Huffman,
    reservoir: Reservoir,
    channels: Vec<Channel>,
    queue: FrameQueue,
    /// Samples taken in and frames begun since the start.
    samples: u64,
    frames: u64,
    /// Fraction of a byte by which the frames so far are too short, in units of 1 / sample_rate.
    padding: u32,
}

/// What the stages remember of one channel.
struct Channel {
    /// The last [`HISTORY`] samples that were encoded and all after them.
    pcm: Vec<f32>,
    /// Subband samples of the granule before.
    subbands: Subbands,
    history: psycho::History,
}

/// One channel of one granule, analysed.
#[derive(Clone, Copy)]
struct Analysed {
    lines: [f32; LINES],
    allowed: Allowed,
    /// Bits that would put the noise at the threshold, roughly (perceptual entropy).
    demand: f32,
}

impl Encoder {
    /// An encoder for `config`.
    ///
    /// # Errors
    /// If the sampling rate, the number of channels or the bitrate is none that Layer III has.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let format = Format::new(config)?;
        let channel = || Channel {
            pcm: vec![0.0; HISTORY],
            subbands: [[0.0; SUBBANDS]; SLOTS],
            history: psycho::History::default(),
        };
        Ok(Self {
            polyphase: Polyphase::new(),
            mdct: Mdct::new(),
            model: Model::new(&format),
            quantizer: Quantizer::new(&format),
            huffman: Huffman::new(),
            reservoir: Reservoir::new(&format),
            channels: (0..format.channels).map(|_| channel()).collect(),
            queue: FrameQueue::default(),
            samples: 0,
            frames: 0,
            padding: 0,
            format,
        })
    }

    /// Samples of a frame in each channel: 1152 in MPEG-1, 576 in MPEG-2 and MPEG-2.5.
    #[must_use]
    pub fn samples_per_frame(&self) -> usize {
        self.format.samples_per_frame()
    }

    /// Samples by which the output of a decoder lags the input, the decoder's own delay of 529 samples included:
    /// sample 0 of the input is sample `delay()` of everything decoded from the first frame on.
    #[must_use]
    pub fn delay(&self) -> usize {
        DELAY
    }

    /// Takes samples, one slice per channel, full scale at -1 and 1, and appends the frames that are complete.
    /// Samples beyond full scale are clipped; one that is no number counts as 0.
    ///
    /// # Panics
    /// If the number of slices is not that of the channels, or if their lengths differ.
    pub fn encode(&mut self, pcm: &[&[f32]], frames: &mut Vec<Vec<u8>>) {
        assert_eq!(pcm.len(), self.channels.len(), "slices of samples for the channels");
        assert!(pcm.iter().all(|samples| samples.len() == pcm[0].len()), "channels of one length");
        // A frame at a time, so that memory does not grow with the length of the input.
        let spf = self.samples_per_frame();
        let mut start = 0;
        while start < pcm[0].len() {
            let end = pcm[0].len().min(start + spf);
            for (channel, samples) in self.channels.iter_mut().zip(pcm) {
                channel.pcm.extend(
                    samples[start..end].iter().map(|&x| if x.is_nan() { 0.0 } else { x.clamp(-1.0, 1.0) }),
                );
            }
            while self.channels[0].pcm.len() >= HISTORY + spf {
                self.encode_frame(frames);
                for channel in &mut self.channels {
                    channel.pcm.drain(..spf);
                }
            }
            start = end;
        }
        self.samples += pcm[0].len() as u64;
    }

    /// Appends all remaining frames, the last of them with silence behind the input, so that every sample of it comes
    /// out of a decoder. The encoder is done then.
    pub fn finish(&mut self, frames: &mut Vec<Vec<u8>>) {
        let spf = self.samples_per_frame() as u64;
        if self.samples > 0 {
            let wanted = (self.samples + DELAY as u64).div_ceil(spf);
            let silence = vec![0.0; (wanted * spf - self.samples) as usize];
            self.encode(&vec![&silence[..]; self.channels.len()], frames);
            debug_assert_eq!(self.frames, wanted);
        }
        self.queue.flush(frames);
        self.samples = 0;
    }

    /// Encodes the samples behind the history.
    fn encode_frame(&mut self, frames: &mut Vec<Vec<u8>>) {
        let granules: Vec<[Analysed; 2]> =
            (0..self.format.granules()).map(|granule| self.analyse(granule)).collect();
        let (length, padding) = self.next_frame_length();
        let slot = length - 4 - self.format.side_info_len() as u32;
        let quantized = self.quantize(&granules, slot);

        let mut info =
            FrameInfo { padding, main_data_begin: self.reservoir.main_data_begin(), ..FrameInfo::default() };
        let mut main_data = BitWriter::new();
        for (g, channels) in quantized.iter().enumerate() {
            for (c, granule) in channels.iter().enumerate() {
                info.granules[g][c] = granule.info;
                granule.scalefactors.write(&mut main_data);
                let lines = &granules[g][c].lines;
                huffman::write(
                    &granule.lines,
                    |i| lines[i] < 0.0,
                    &granule.info,
                    self.format.long_bands,
                    &mut main_data,
                );
            }
        }
        let mut main_data = main_data.into_bytes();
        let stuffing = self.reservoir.settle(slot, main_data.len() as u32);
        main_data.resize(main_data.len() + stuffing as usize, 0);

        let mut header = BitWriter::new();
        info.write(&self.format, &mut header);
        self.queue.push(header.into_bytes(), slot as usize, &main_data, frames);
        self.frames += 1;
    }

    /// Filterbanks and psychoacoustic model for one granule of the frame.
    fn analyse(&mut self, granule: usize) -> [Analysed; 2] {
        let start = granule * LINES;
        let spectra: Vec<&[f32]> = self
            .channels
            .iter()
            .map(|channel| &channel.pcm[start + SPECTRUM..][..psycho::WINDOW_LEN])
            .collect();
        let mut histories: Vec<psycho::History> =
            self.channels.iter().map(|channel| channel.history.clone()).collect();
        let allowed = self.model.analyse(&spectra, &mut histories);
        let mut out = [Analysed { lines: [0.0; LINES], allowed: [0.0; LONG_BANDS], demand: 0.0 }; 2];
        for (c, (channel, history)) in self.channels.iter_mut().zip(histories).enumerate() {
            channel.history = history;
            let mut subbands = [[0.0; SUBBANDS]; SLOTS];
            self.polyphase.analyse(&channel.pcm[start + HISTORY - 480..], &mut subbands);
            self.mdct.transform(&channel.subbands, &subbands, BlockType::Long, &mut out[c].lines);
            channel.subbands = subbands;
            out[c].allowed = allowed[c];
            out[c].demand = perceptual_entropy(&out[c].lines, &allowed[c], self.format.long_bands);
        }
        out
    }

    /// Splits the frame's bits by the demands and quantises.
    fn quantize(&mut self, granules: &[[Analysed; 2]], slot: u32) -> Vec<Vec<QuantizedGranule>> {
        let channels = self.format.channels;
        let demand = |g: usize, c: usize| granules[g][c].demand.max(1.0);
        let mut demand_left: f32 =
            (0..granules.len()).flat_map(|g| (0..channels).map(move |c| demand(g, c))).sum();
        let mut bits_left = self.reservoir.budget(slot, demand_left);
        (0..granules.len())
            .map(|g| {
                (0..channels)
                    .map(|c| {
                        let share = bits_left as f32 * (demand(g, c) / demand_left).min(1.0);
                        let budget = (share as u32).min(bits_left).min(MAX_GRANULE_BITS);
                        let Analysed { lines, allowed, .. } = &granules[g][c];
                        let granule = self.quantizer.quantize(&self.huffman, lines, allowed, budget);
                        demand_left = (demand_left - demand(g, c)).max(1.0);
                        bits_left -= granule.info.part2_3_length;
                        granule
                    })
                    .collect()
            })
            .collect()
    }

    /// Bytes of the next frame and whether one of them is padding: whole bytes whose mean is the bitrate.
    fn next_frame_length(&mut self) -> (u32, bool) {
        let bytes_by_rate = self.samples_per_frame() as u32 / 8 * self.format.bitrate;
        self.padding += bytes_by_rate % self.format.sample_rate;
        let padding = self.padding >= self.format.sample_rate;
        if padding {
            self.padding -= self.format.sample_rate;
        }
        (bytes_by_rate / self.format.sample_rate + u32::from(padding), padding)
    }
}

/// Bits to bring the noise of each line down to what is allowed.
fn perceptual_entropy(lines: &[f32; LINES], allowed: &Allowed, bands: &[usize; LONG_BANDS + 1]) -> f32 {
    (0..LONG_BANDS)
        .map(|band| {
            let lines = &lines[bands[band]..bands[band + 1]];
            let energy: f32 = lines.iter().map(|x| x * x).sum();
            lines.len() as f32 * 0.5 * libm::log2f(1.0 + energy / allowed[band])
        })
        .sum()
}
