//! The encoder: a frame in, a picture out.

use crate::config::{Config, Preset};
use crate::effort::Effort;
use crate::error::{ConfigError, EncodeError};
use crate::kernels::{Divisor, Kernels};
use crate::lookahead::{MacroblockPlan, Plan};
use crate::macroblock::{Macroblock, MbType};
use crate::mode::{Candidates, Decision};
use crate::motion::Mv;
use crate::motion::predict::MotionField;
use crate::picture::{PictureHeader, PictureType};
use crate::planes::{Band, MB, MbSamples, Window, assemble};
use crate::quant::divisor;
use oggflv_common::simd::Level;
use oggflv_common::{BitWriter, Frame, FrameView, PixelFormat};
use std::sync::Arc;

/// Pictures that may build on one another's coefficients before a macroblock is coded intra (H.263, 4.4).
const REFRESH: u8 = 131;

/// A coded picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Packet {
    /// Whether decoding may start here.
    pub key: bool,
    /// The picture, from the 17 bits of its start code to fewer than 8 zero bits of padding.
    pub data: Vec<u8>,
}

/// Encodes frames of one size, each into one [`Packet`], without delay.
#[derive(Clone, Debug)]
pub struct Encoder {
    config: Config,
    mb_width: usize,
    mb_height: usize,
    /// What a decoder shows after the last packet.
    bands: Vec<Arc<Band>>,
    /// What vectors lead to from the row of macroblocks in hand.
    reference: Window,
    /// Vectors of the last picture, and of the one under construction.
    last_motion: MotionField,
    motion: MotionField,
    /// How often each macroblock got coefficients since it was intra.
    updates: Vec<u8>,
    /// The row of macroblocks under construction, and room for the next one.
    band: Band,
    spare: Option<Band>,
    kernels: Kernels,
    effort: Effort,
    divisors: [[Divisor; 2]; 32],
    /// QUANT after the last macroblock.
    quantizer: u8,
    /// What to aim at for each macroblock of the picture.
    aims: Vec<Aim>,
    /// The row of macroblocks in hand.
    sources: Vec<MbSamples>,
    candidates: Candidates,
    temporal_reference: u8,
    /// Pictures since the last key frame, itself included; `None` before the first one.
    since_key: Option<u32>,
    key_requested: bool,
}

/// What to aim at for a macroblock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Aim {
    /// Its quantiser, in units of 1/16.
    pub(crate) quantizer: u16,
    /// Whether it seems to stand.
    pub(crate) still: bool,
    /// Where it seems to come from.
    pub(crate) mv: Mv,
}

/// What stays the same for all macroblocks of a picture.
pub(crate) struct Coding<'a> {
    pub(crate) kernels: &'a Kernels,
    pub(crate) effort: &'a Effort,
    pub(crate) reference: &'a Window,
    /// Vectors of the macroblocks coded so far.
    pub(crate) motion: &'a MotionField,
    /// Vectors of the picture before.
    pub(crate) last_motion: &'a MotionField,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) picture_type: PictureType,
    /// Divisors of inter and of intra blocks by quantiser.
    pub(crate) divisors: &'a [[Divisor; 2]; 32],
}

impl Encoder {
    /// An encoder that has seen no frame yet, with the default preset.
    ///
    /// # Errors
    /// If a setting is outside its range.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Self::with_preset(config, Preset::default())
    }

    /// An encoder that has seen no frame yet.
    ///
    /// # Errors
    /// If a setting is outside its range.
    pub fn with_preset(config: Config, preset: Preset) -> Result<Self, ConfigError> {
        config.validate()?;
        let effort = preset.effort();
        let (mb_width, mb_height) = (config.width.div_ceil(MB), config.height.div_ceil(MB));
        let black = Arc::new(Band::new(mb_width));
        let motion = MotionField::new(mb_width, mb_height);
        Ok(Self {
            mb_width,
            mb_height,
            bands: vec![black; mb_height],
            reference: Window::new(mb_width, mb_height),
            last_motion: motion.clone(),
            motion,
            updates: vec![0; mb_width * mb_height],
            band: Band::new(mb_width),
            spare: None,
            kernels: Kernels::new(Level::active()),
            divisors: std::array::from_fn(|q| effort.offsets.map(|offset| divisor(q.max(1) as u8, offset))),
            effort,
            quantizer: 0,
            aims: Vec::new(),
            sources: vec![MbSamples::ZERO; mb_width],
            candidates: Candidates::new(),
            temporal_reference: 0,
            since_key: None,
            key_requested: false,
            config,
        })
    }

    /// Encodes the next frame.
    ///
    /// # Errors
    /// If the frame is not 4:2:0 of the configured size.
    pub fn encode(&mut self, frame: &Frame) -> Result<Packet, EncodeError> {
        let key = self.since_key.is_none_or(|count| count >= self.config.keyint);
        self.encode_planned(frame, &Plan::flat(&self.config, key))
    }

    /// Encodes the next frame as a [`Lookahead`](crate::Lookahead) of the same settings planned it.
    ///
    /// # Errors
    /// If the frame is not 4:2:0 of the configured size.
    pub fn encode_planned(&mut self, frame: &Frame, plan: &Plan) -> Result<Packet, EncodeError> {
        self.config.check(frame)?;
        let key = plan.key || self.key_requested || self.since_key.is_none();
        Ok(self.encode_frame(&frame.view(), plan, if key { PictureType::I } else { PictureType::P }))
    }

    /// Repeats the last picture: a P picture in which every macroblock is skipped. The first packet, however, is a
    /// black key frame.
    pub fn encode_skipped(&mut self) -> Packet {
        if self.since_key.is_none() {
            let black = Frame::new(PixelFormat::Yuv420, self.config.width, self.config.height);
            return self.encode_frame(&black.view(), &Plan::flat(&self.config, true), PictureType::I);
        }
        let writer = self.write_skipped();
        self.since_key = self.since_key.map(|count| count.saturating_add(1));
        Packet { key: false, data: writer.into_bytes() }
    }

    /// Writes a picture in which every macroblock is skipped.
    pub(crate) fn write_skipped(&mut self) -> BitWriter {
        self.quantizer = self.config.quantizer;
        let mut writer = self.start(PictureType::P);
        for _ in 0..self.mb_width * self.mb_height {
            Macroblock::skipped().write(&mut writer, PictureType::P);
        }
        writer
    }

    /// Makes the next encoded frame a key frame.
    pub fn request_keyframe(&mut self) {
        self.key_requested = true;
    }

    /// What a decoder shows after the last packet; black before the first one.
    ///
    /// Bit for bit the picture of ffmpeg's decoder; decoders with another inverse transform differ by rounding.
    #[must_use]
    pub fn reconstruction(&self) -> Frame {
        let mut frame = Frame::new(PixelFormat::Yuv420, self.config.width, self.config.height);
        assemble(&self.bands, &mut frame);
        frame
    }

    /// What [`Self::reconstruction`] is made of.
    pub(crate) fn bands(&self) -> &[Arc<Band>] {
        &self.bands
    }

    fn encode_frame(&mut self, frame: &FrameView<'_>, plan: &Plan, picture_type: PictureType) -> Packet {
        let mut before = std::mem::take(&mut self.bands).into_iter();
        let mut bands = Vec::with_capacity(self.mb_height);
        let before = |_| before.next().expect("every picture has all rows");
        let writer = self.encode_picture(frame, plan, picture_type, before, |_, band| bands.push(band));
        self.bands = bands;
        let key = picture_type == PictureType::I;
        if key {
            (self.since_key, self.key_requested) = (Some(0), false);
        }
        self.since_key = self.since_key.map(|count| count.saturating_add(1));
        Packet { key, data: writer.into_bytes() }
    }

    /// Header, then every macroblock as decided, row by row.
    ///
    /// `before` gives the rows of the picture before, and is asked for each once and in order; `done` takes the rows of
    /// this picture.
    pub(crate) fn encode_picture(
        &mut self,
        frame: &FrameView<'_>,
        plan: &Plan,
        picture_type: PictureType,
        mut before: impl FnMut(usize) -> Arc<Band>,
        mut done: impl FnMut(usize, Arc<Band>),
    ) -> BitWriter {
        let mut writer = self.start_picture(plan, picture_type);
        let mut taken = 0;
        for mb_y in 0..self.mb_height {
            // Vectors reach one row down. An I picture needs nothing.
            while picture_type == PictureType::P && taken < self.mb_height.min(mb_y + 2) {
                self.take_band(taken, before(taken));
                taken += 1;
            }
            self.encode_row(frame, picture_type, mb_y, &mut writer);
            done(mb_y, self.band(mb_y));
        }
        writer
    }

    /// Takes what to aim at, from which follows what PQUANT will be, and writes the header.
    fn start_picture(&mut self, plan: &Plan, picture_type: PictureType) -> BitWriter {
        let quantizer = u32::from(plan.quantizer);
        let aim = |macroblock: &MacroblockPlan| Aim {
            quantizer: (quantizer * u32::from(macroblock.factor) / 256).clamp(16, 31 * 16) as u16,
            still: macroblock.still,
            mv: macroblock.mv,
        };
        self.aims.clear();
        self.aims.extend(plan.macroblocks.iter().map(aim));
        let sum: u64 = self.aims.iter().map(|aim| u64::from(aim.quantizer)).sum();
        self.quantizer = ((sum / self.aims.len() as u64 + 8) / 16) as u8;
        self.start(picture_type)
    }

    /// Encodes a row of macroblocks.
    fn encode_row(
        &mut self,
        frame: &FrameView<'_>,
        picture_type: PictureType,
        mb_y: usize,
        writer: &mut BitWriter,
    ) {
        MbSamples::load_row(frame, mb_y, &mut self.sources);
        for mb_x in 0..self.mb_width {
            self.code_macroblock(picture_type, mb_x, mb_y, writer);
        }
    }

    /// Writes the header of the next picture.
    fn start(&mut self, picture_type: PictureType) -> BitWriter {
        let mut writer = BitWriter::new();
        let header = PictureHeader {
            width: self.config.width,
            height: self.config.height,
            temporal_reference: self.temporal_reference,
            picture_type,
            quantizer: self.quantizer,
        };
        header.write(&mut writer);
        self.temporal_reference = self.temporal_reference.wrapping_add(1);
        writer
    }

    /// Decides on a macroblock, writes it, and puts it into the picture under construction.
    fn code_macroblock(
        &mut self,
        picture_type: PictureType,
        mb_x: usize,
        mb_y: usize,
        writer: &mut BitWriter,
    ) {
        let coding = Coding {
            kernels: &self.kernels,
            effort: &self.effort,
            reference: &self.reference,
            motion: &self.motion,
            last_motion: &self.last_motion,
            width: self.config.width,
            height: self.config.height,
            picture_type,
            divisors: &self.divisors,
        };
        let at = mb_y * self.mb_width + mb_x;
        let decision =
            Decision::new(&coding, &self.sources[mb_x], (mb_x, mb_y), self.quantizer, self.aims[at]);
        let updates = &mut self.updates[at];
        if picture_type == PictureType::I || *updates >= REFRESH {
            decision.intra(&mut self.candidates);
        } else {
            decision.inter(&mut self.candidates);
        }
        let chosen = &mut self.candidates.best;
        if chosen.macroblock.mb_type == MbType::Skipped {
            self.band.samples.copy_macroblock(&self.kernels, &self.reference, mb_x, mb_y);
        } else {
            let samples = chosen.reconstruct(&self.kernels);
            self.band.samples.store_macroblock(&self.kernels, samples, mb_x);
        }
        let macroblock = &chosen.macroblock;
        self.quantizer = self.quantizer.saturating_add_signed(macroblock.dquant);
        if macroblock.mb_type == MbType::Intra {
            *updates = 0;
        } else if macroblock.coded_block_pattern() != 0 {
            *updates += 1;
        }
        self.motion.set(mb_x, mb_y, macroblock.mvs);
        macroblock.write(writer, picture_type);
    }

    /// Makes this the encoder of picture `number`, counted from the first one.
    pub(crate) fn set_number(&mut self, number: u64) {
        self.temporal_reference = number as u8;
    }

    /// What the next picture needs of a row that was encoded.
    fn band(&mut self, mb_y: usize) -> Arc<Band> {
        let next = self.spare.take().unwrap_or_else(|| Band::new(self.mb_width));
        let mut band = std::mem::replace(&mut self.band, next);
        band.motion.copy_from_slice(self.motion.row(mb_y));
        band.updates.copy_from_slice(&self.updates[mb_y * self.mb_width..][..self.mb_width]);
        Arc::new(band)
    }

    /// Takes over a row of the picture before. If nobody else has it, its memory, which is in the cache, becomes the next row.
    fn take_band(&mut self, mb_y: usize, band: Arc<Band>) {
        self.reference.take(mb_y, &band.samples);
        self.last_motion.row_mut(mb_y).copy_from_slice(&band.motion);
        self.updates[mb_y * self.mb_width..][..self.mb_width].copy_from_slice(&band.updates);
        self.spare = Arc::into_inner(band).or(self.spare.take());
    }

    /// Rows of macroblocks.
    pub(crate) fn mb_height(&self) -> usize {
        self.mb_height
    }
}
