//! The encoder: samples in, frames out (11172-3, figure C.1).

use crate::attack;
use crate::bitstream::FrameQueue;
use crate::config::{self, Config, Format, Supply};
use crate::error::ConfigError;
use crate::header::{BlockType, FrameInfo};
use crate::huffman::{self, Huffman};
use crate::kernels::Kernels;
use crate::layout::MAX_BANDS;
use crate::mdct::Mdct;
use crate::psycho::{self, LONG_WINDOW, Masking, Model, SHORT_WINDOW};
use crate::quantize::{MAX_GRANULE_BITS, QuantizedGranule, Quantizer, Spectrum};
use crate::reservoir::{Reservoir, Room};
use crate::stereo;
use crate::subband::{Polyphase, Subbands};
use crate::tables::{LINES, SLOTS, SUBBANDS, WINDOWS};
use oggflv_common::BitWriter;
use oggflv_common::simd::Level;

/// Samples kept before those of the frame to encode: what the filterbank, the model and the search for attacks look
/// back on.
const HISTORY: usize = MIDDLE + LONG_WINDOW / 2;
/// Samples by which the middle of a granule's MDCT lies before its first sample: the MDCT covers the granule before and
/// the granule itself, seen through a filterbank that delays by 241 samples.
const MIDDLE: usize = 241;
/// Delay of the analysis filterbank and the synthesis filterbank, and that of the MDCT.
const DELAY: usize = 481 + LINES;

/// Binary logarithms of the prices of bits of variable bitrates by quality, 0 to 9. Music of 44.1 kHz in stereo takes a
/// little less than with the settings of these numbers in LAME.
const PRICES: [f32; 10] = [-7.0, -6.25, -5.55, -4.7, -3.9, -3.1, -2.3, -1.7, -1.2, -0.6];
/// The price below which variable bitrates are [`Supply::Unlimited`]: qualities 0 to 2.
const UNLIMITED: f32 = -5.0;

/// How often a price is tried once bounds are known.
const MAX_ATTEMPTS: u32 = 10;
/// How near the bytes of a frame come to what is aimed at, in octaves.
const CLOSE_ENOUGH: f32 = 0.15;

/// A Layer III encoder with constant or variable bitrate.
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
    rate: Rate,
    kernels: Kernels,
    polyphase: Polyphase,
    mdct: Mdct,
    model: Model,
    quantizer: Quantizer,
    /// By granule and channel.
    spectra: Vec<[Spectrum; 2]>,
    huffman: Huffman,
    reservoir: Reservoir,
    channels: Vec<Channel>,
    queue: FrameQueue,
    /// Block type of the granule encoded last, and whether the next one has an attack.
    block_type: BlockType,
    sudden: bool,
    /// Samples taken in and frames begun since the start.
    samples: u64,
    frames: u64,
    /// Fraction of a byte by which the frames so far are too short, in units of 1 / sample_rate.
    padding: u32,
}

/// What the length of frames follows.
#[derive(Clone, Copy)]
enum Rate {
    /// The `bitrate_index` of all frames.
    Constant(u32),
    /// The price of bits, as a binary logarithm: the same for all frames.
    Variable(f32),
}

/// What the stages remember of one channel.
struct Channel {
    /// The last [`HISTORY`] samples that were encoded and all after them.
    pcm: Vec<f32>,
    /// Subband samples of the granule before.
    subbands: Subbands,
    history: psycho::History,
    attacks: attack::Detector,
}

/// A granule, analysed: lines and masking of each channel.
struct Granule {
    block_type: BlockType,
    lines: [[f32; LINES]; 2],
    masking: [Masking; 2],
    /// How much the energy of each band matters for what is heard: less in the fainter one of middle and side.
    presence: [[f32; MAX_BANDS]; 2],
}

impl Encoder {
    /// An encoder for `config`.
    ///
    /// # Errors
    /// If the sampling rate, the number of channels or the bitrate is none that Layer III has.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        let format = Format::new(config.sample_rate, config.channels)?;
        let rate = Rate::Constant(format.bitrate_index(config.bitrate)?);
        Ok(Self::with_rate(format, rate, Level::active()))
    }

    /// An encoder that gives every frame the bits that a constant quality takes: 0 is the best, 9 the smallest. At
    /// 44.1 kHz stereo music takes about 170 kbit/s at quality 2.
    ///
    /// # Errors
    /// If the sampling rate or the number of channels is none that Layer III has, or if the quality is above 9.
    pub fn new_vbr(sample_rate: u32, channels: usize, quality: u8) -> Result<Self, ConfigError> {
        let format = Format::new(sample_rate, channels)?;
        let price = *PRICES.get(usize::from(quality)).ok_or(ConfigError::Quality(quality))?;
        Ok(Self::with_rate(format, Rate::Variable(price), Level::active()))
    }

    fn with_rate(format: Format, rate: Rate, level: Level) -> Self {
        let kernels = Kernels::new(level);
        let supply = match rate {
            Rate::Constant(index) => Supply::of_bitrate(&format, format.bitrate(index)),
            Rate::Variable(price) if price < UNLIMITED => Supply::Unlimited,
            Rate::Variable(_) => Supply::Ample,
        };
        let channel = || Channel {
            pcm: vec![0.0; HISTORY],
            subbands: [[0.0; SUBBANDS]; SLOTS],
            history: psycho::History::default(),
            attacks: attack::Detector::new(format.sample_rate),
        };
        Self {
            rate,
            kernels,
            polyphase: Polyphase::new(),
            mdct: Mdct::new(format.row),
            model: Model::new(&format, kernels),
            quantizer: Quantizer::new(&format, supply, kernels),
            spectra: vec![<[Spectrum; 2]>::default(); format.granules()],
            huffman: Huffman::new(),
            reservoir: Reservoir::new(&format),
            channels: (0..format.channels).map(|_| channel()).collect(),
            queue: FrameQueue::default(),
            block_type: BlockType::Long,
            sudden: false,
            samples: 0,
            frames: 0,
            padding: 0,
            format,
        }
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
            while self.channels[0].pcm.len() >= HISTORY + spf + attack::LOOK_AHEAD {
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
            let silence = vec![0.0; (wanted * spf - self.samples) as usize + attack::LOOK_AHEAD];
            self.encode(&vec![&silence[..]; self.channels.len()], frames);
            debug_assert_eq!(self.frames, wanted);
        }
        self.queue.flush(frames);
        self.samples = 0;
    }

    /// Encodes the samples behind the history.
    fn encode_frame(&mut self, frames: &mut Vec<Vec<u8>>) {
        let price = match self.rate {
            Rate::Constant(_) => self.reservoir.price(),
            Rate::Variable(price) => price,
        };
        let mut granules: Vec<Granule> =
            (0..self.format.granules()).map(|g| self.analyse(g, price)).collect();
        let mid_side = self.format.channels == 2 && self.choose_mid_side(&mut granules);
        let main_data_begin = self.reservoir.main_data_begin();
        let (quantized, price, bitrate_index, padding) = match self.rate {
            Rate::Constant(bitrate_index) => {
                let padding = self.next_padding(bitrate_index);
                let room = self.reservoir.room(self.slot(bitrate_index, padding));
                let (quantized, price) = self.quantize(&granules, price, room);
                (quantized, price, bitrate_index, padding)
            }
            Rate::Variable(_) => {
                let most = self.slot(14, false) + main_data_begin;
                let (quantized, price) =
                    self.quantize(&granules, price, Room { least: 0, target: most, most });
                let bytes = bits_of(&quantized).div_ceil(8);
                let fits = |index: &u32| self.slot(*index, false) + main_data_begin >= bytes;
                (quantized, price, (1..14).find(fits).unwrap_or(14), false)
            }
        };
        let slot = self.slot(bitrate_index, padding);

        let mut info =
            FrameInfo { bitrate_index, padding, mid_side, main_data_begin, ..FrameInfo::default() };
        let mut main_data = BitWriter::new();
        for (g, channels) in quantized.iter().enumerate() {
            for (c, granule) in channels.iter().enumerate() {
                info.granules[g][c] = granule.info;
                if g == 1 {
                    info.scfsi[c] = granule.scalefactors.scfsi;
                }
                let lines = &granules[g].lines[c];
                let layout = self.format.layout(granule.info.block_type);
                granule.scalefactors.write(&mut main_data);
                huffman::write(&granule.lines, |i| lines[i] < 0.0, &granule.info, layout, &mut main_data);
            }
        }
        let mut main_data = main_data.into_bytes();
        let stuffing = self.reservoir.settle(slot, main_data.len() as u32, price);
        main_data.resize(main_data.len() + stuffing as usize, 0);

        let mut header = BitWriter::new();
        info.write(&self.format, &mut header);
        self.queue.push(header.into_bytes(), slot as usize, &main_data, frames);
        self.frames += 1;
    }

    /// Block type, filterbanks and psychoacoustic model for granule `g` of the frame. `price` is what bits may cost, as a
    /// binary logarithm.
    fn analyse(&mut self, g: usize, price: f32) -> Granule {
        let start = HISTORY + g * LINES;
        let mut next_sudden = false;
        for channel in &mut self.channels {
            next_sudden |= channel.attacks.is_sudden(&channel.pcm, start + LINES);
        }
        // The beginning of the sound is no attack: nobody hears what comes before it.
        next_sudden &= self.frames > 0 || g > 0;
        let block_type = attack::block_type(self.block_type, self.sudden, next_sudden);
        (self.block_type, self.sudden) = (block_type, next_sudden);

        let mut granule = Granule {
            block_type,
            lines: [[0.0; LINES]; 2],
            masking: [[0.0; MAX_BANDS]; 2],
            presence: [[1.0; MAX_BANDS]; 2],
        };
        let spectra = |middle: usize, length: usize| -> Vec<&[f32]> {
            self.channels.iter().map(|channel| &channel.pcm[middle - length / 2..][..length]).collect()
        };
        let middle = start - MIDDLE;
        let mut histories: Vec<psycho::History> =
            self.channels.iter().map(|channel| channel.history.clone()).collect();
        if self.frames == 0 && g == 0 {
            self.model.go_on(&spectra(middle, LONG_WINDOW), &mut histories);
        }
        self.model.go_on(&spectra(middle + LINES, LONG_WINDOW), &mut histories);
        for (masking, history) in granule.masking.iter_mut().zip(&histories) {
            *masking = self.model.allowed_long(history, config::largest_quiet(price));
        }
        if block_type == BlockType::Short {
            let before = middle - 2 * LINES / WINDOWS;
            let windows =
                (0..=WINDOWS).map(|window| spectra(before + window * LINES / WINDOWS, SHORT_WINDOW));
            self.model.allowed_short(windows, &mut granule.masking);
        }
        for (c, (channel, history)) in self.channels.iter_mut().zip(histories).enumerate() {
            channel.history = history;
            let mut subbands = [[0.0; SUBBANDS]; SLOTS];
            (self.kernels.polyphase)(&self.polyphase, &channel.pcm[start - 480..], &mut subbands);
            let lines = &mut granule.lines[c];
            (self.kernels.mdct)(&self.mdct, &channel.subbands, &subbands, block_type, lines);
            channel.subbands = subbands;
        }
        granule
    }

    /// Turns left and right of all granules into middle and side if that takes fewer bits.
    fn choose_mid_side(&self, granules: &mut [Granule]) -> bool {
        let gain: f32 = granules
            .iter()
            .map(|g| stereo::gain_of_mid_side(&g.lines, &g.masking, self.format.layout(g.block_type)))
            .sum();
        let mid_side = gain > 0.0;
        if mid_side {
            for granule in granules {
                stereo::mid_side(&mut granule.lines, &mut granule.masking);
                granule.presence = stereo::presence(&granule.lines, self.format.layout(granule.block_type));
            }
        }
        mid_side
    }

    /// Quantises a frame at a price of bits, or at the nearest one at which it fits the room.
    /// Returns the price, a binary logarithm, as well.
    fn quantize(
        &mut self,
        granules: &[Granule],
        mut price: f32,
        room: Room,
    ) -> (Vec<Vec<QuantizedGranule>>, f32) {
        for (granule, spectra) in granules.iter().zip(&mut self.spectra) {
            let layout = self.format.layout(granule.block_type);
            for (c, spectrum) in spectra[..self.format.channels].iter_mut().enumerate() {
                spectrum.block_type = granule.block_type;
                self.quantizer.prepare(
                    spectrum,
                    &granule.lines[c],
                    layout,
                    &granule.masking[c],
                    &granule.presence[c],
                    price,
                );
            }
        }
        // The dearest price known to take too many bytes, and what is kept: the cheapest one that does not; with each, the
        // binary logarithm of its bytes.
        let mut low: Option<(f32, f32)> = None;
        let mut kept: Option<(f32, f32, Vec<Vec<QuantizedGranule>>)> = None;
        let aim = libm::log2f(room.target.max(1) as f32);
        for attempt in 0.. {
            let quantized = self.quantize_at(price);
            let bytes = bits_of(&quantized).div_ceil(8);
            let logarithm = libm::log2f(bytes.max(1) as f32);
            if bytes > room.most {
                low = Some((price, logarithm));
            } else {
                kept = Some((price, logarithm, quantized));
                // Having met a price that is too low, a frame shall fill its room, not fall short of it by chance.
                let enough = bytes >= room.least && (low.is_none() || logarithm > aim - CLOSE_ENOUGH);
                if enough || Reservoir::is_least(price) {
                    break;
                }
            }
            price = match (low, &kept) {
                (Some(_), Some(_)) if attempt >= MAX_ATTEMPTS => break,
                (Some(low), Some(high)) => {
                    let share = (low.1 - aim) / (low.1 - high.1).max(f32::MIN_POSITIVE);
                    low.0 + share.clamp(0.1, 0.9) * (high.0 - low.0)
                }
                (Some(low), None) => price + (1.5 * (low.1 - aim)).clamp(0.3, 8.0) + attempt as f32,
                _ => price - (1.5 * (aim - logarithm)).clamp(0.3, 8.0),
            };
        }
        kept.map(|(price, _, quantized)| (quantized, price)).unwrap_or_default()
    }

    /// Quantises a frame at a price of bits.
    fn quantize_at(&mut self, price: f32) -> Vec<Vec<QuantizedGranule>> {
        let mut frame: Vec<Vec<QuantizedGranule>> = Vec::new();
        for spectra in &mut self.spectra {
            let mut channels = Vec::new();
            for (c, spectrum) in spectra[..self.format.channels].iter_mut().enumerate() {
                let layout = self.format.layout(spectrum.block_type);
                let before = frame.last().map(|channels| &channels[c]);
                let before = before.filter(|before| {
                    before.info.block_type != BlockType::Short && spectrum.block_type != BlockType::Short
                });
                let before = before.map(|before| &before.scalefactors);
                let mut price = price.max(spectrum.least_price);
                let quantized = loop {
                    let quantized =
                        self.quantizer.quantize(&self.huffman, layout, spectrum, libm::exp2f(price), before);
                    if quantized.info.part2_3_length <= MAX_GRANULE_BITS {
                        break quantized;
                    }
                    price += 0.5;
                    spectrum.least_price = price;
                };
                channels.push(quantized);
            }
            frame.push(channels);
        }
        frame
    }

    /// Bytes of a frame without padding, and what is missing to the bitrate in units of 1 / sample_rate.
    fn frame_length(&self, bitrate_index: u32) -> (u32, u32) {
        let bytes_by_rate = self.samples_per_frame() as u32 / 8 * self.format.bitrate(bitrate_index);
        (bytes_by_rate / self.format.sample_rate, bytes_by_rate % self.format.sample_rate)
    }

    /// Bytes of main data that a frame has room for.
    fn slot(&self, bitrate_index: u32, padding: bool) -> u32 {
        self.frame_length(bitrate_index).0 + u32::from(padding) - 4 - self.format.side_info_len() as u32
    }

    /// Whether the next frame needs a byte of padding for the mean to be the bitrate.
    fn next_padding(&mut self, bitrate_index: u32) -> bool {
        self.padding += self.frame_length(bitrate_index).1;
        let padding = self.padding >= self.format.sample_rate;
        if padding {
            self.padding -= self.format.sample_rate;
        }
        padding
    }
}

/// Bits of main data of a frame.
fn bits_of(frame: &[Vec<QuantizedGranule>]) -> u32 {
    frame.iter().flatten().map(|granule| granule.info.part2_3_length).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Silence, then noise that changes its level, so that all block types occur.
    fn noise(length: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        (0..length)
            .map(|i| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let amplitude = [0.0, 0.001, 0.5, 0.01][i / 3000 % 4];
                amplitude * ((state >> 8) as f32 / 8_388_608.0 - 1.0)
            })
            .collect()
    }

    #[test]
    fn bytes_are_the_same_at_every_level() {
        for (sample_rate, channels) in [(44100, 2), (44100, 1), (22050, 2), (8000, 1)] {
            let pcm: Vec<Vec<f32>> = (0..channels).map(|c| noise(20_000, c as u32)).collect();
            let pcm: Vec<&[f32]> = pcm.iter().map(Vec::as_slice).collect();
            for rate in [Rate::Constant(5), Rate::Constant(10), Rate::Variable(PRICES[2])] {
                let mut streams = Level::available().into_iter().map(|level| {
                    let format = Format::new(sample_rate, channels).unwrap();
                    let mut encoder = Encoder::with_rate(format, rate, level);
                    let mut frames = Vec::new();
                    encoder.encode(&pcm, &mut frames);
                    encoder.finish(&mut frames);
                    (level, frames)
                });
                let (_, scalar) = streams.next().unwrap();
                assert!(scalar.len() >= 20_000 / 1152);
                for (level, frames) in streams {
                    assert!(frames == scalar, "{} at {sample_rate} Hz", level.name());
                }
            }
        }
    }
}
