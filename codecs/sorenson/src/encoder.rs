//! The encoder: a frame in, a picture out.

use crate::config::Config;
use crate::error::{ConfigError, EncodeError};
use crate::kernels::{Divisor, Kernels};
use crate::macroblock::{Macroblock, MbType};
use crate::mode::Decision;
use crate::motion::predict::MotionField;
use crate::picture::{PictureHeader, PictureType};
use crate::planes::{CodedPicture, MB};
use crate::quant::divisor;
use oggflv_common::simd::Level;
use oggflv_common::{BitWriter, Frame, FrameView, PixelFormat};

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
    source: CodedPicture,
    /// What a decoder shows after the last packet.
    reference: CodedPicture,
    /// The picture under construction.
    current: CodedPicture,
    /// Vectors of the last picture, and of the one under construction.
    last_motion: MotionField,
    motion: MotionField,
    /// How often each macroblock got coefficients since it was intra.
    updates: Vec<u8>,
    kernels: Kernels,
    effort: Effort,
    temporal_reference: u8,
    /// Pictures since the last key frame, itself included; `None` before the first one.
    since_key: Option<u32>,
    key_requested: bool,
}

/// What stays the same for all macroblocks of a picture.
pub(crate) struct Coding<'a> {
    pub(crate) kernels: &'a Kernels,
    pub(crate) effort: &'a Effort,
    pub(crate) source: &'a CodedPicture,
    pub(crate) reference: &'a CodedPicture,
    /// Vectors of the macroblocks coded so far.
    pub(crate) motion: &'a MotionField,
    /// Vectors of the picture before.
    pub(crate) last_motion: &'a MotionField,
    pub(crate) width: usize,
    pub(crate) height: usize,
    pub(crate) picture_type: PictureType,
    pub(crate) quantizer: u8,
    pub(crate) intra_divisor: Divisor,
    pub(crate) inter_divisor: Divisor,
    /// 64 times the squared error that a bit is worth.
    pub(crate) lambda: i32,
    /// 16 times the absolute error that a bit is worth.
    pub(crate) motion_lambda: u32,
}

/// How hard to try.
#[derive(Clone, Debug)]
pub(crate) struct Effort {
    /// Whether levels are chosen by [`crate::trellis`].
    pub(crate) trellis: bool,
    /// Whether half-sample vectors are judged by Hadamard-transformed differences.
    pub(crate) satd: bool,
    /// Whether INTER4V is tried.
    pub(crate) four_vectors: bool,
    /// Cost of the best vector, over the quantiser, above which INTER4V is tried.
    pub(crate) four_vectors_above: u32,
    /// Cost of skipping, in bits, below which nothing else is tried.
    pub(crate) early_skip: i64,
    /// Difference by which INTRA must seem better than INTER before it is tried.
    pub(crate) intra_bias: u32,
}

pub(crate) fn knob(name: &str, default: i64) -> i64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

impl Encoder {
    /// An encoder that has seen no frame yet.
    ///
    /// # Errors
    /// If a setting is outside its range.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        let (mb_width, mb_height) = (config.width.div_ceil(MB), config.height.div_ceil(MB));
        let picture = CodedPicture::new(config.width, config.height);
        let motion = MotionField::new(mb_width, mb_height);
        Ok(Self {
            mb_width,
            mb_height,
            source: picture.clone(),
            reference: picture.clone(),
            current: picture,
            last_motion: motion.clone(),
            motion,
            updates: vec![0; mb_width * mb_height],
            kernels: Kernels::new(Level::active()),
            effort: Effort {
                trellis: knob("TRELLIS", 1) != 0,
                satd: knob("SATD", 1) != 0,
                four_vectors: knob("MV4", 1) != 0,
                four_vectors_above: knob("MV4ABOVE", 1024) as u32,
                early_skip: knob("SKIP", 6),
                intra_bias: knob("INTRABIAS", 500) as u32,
            },
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
        self.check(frame)?;
        self.source.load(&frame.view());
        let picture_type = match self.since_key {
            Some(count) if count < self.config.keyint && !self.key_requested => PictureType::P,
            _ => PictureType::I,
        };
        Ok(self.encode_source(picture_type))
    }

    /// Repeats the last picture: a P picture in which every macroblock is skipped. The first packet, however, is a
    /// black key frame.
    pub fn encode_skipped(&mut self) -> Packet {
        if self.since_key.is_none() {
            return self.encode_source(PictureType::I);
        }
        let mut writer = self.start(PictureType::P);
        for _ in 0..self.mb_width * self.mb_height {
            Macroblock::skipped().write(&mut writer, PictureType::P);
        }
        self.since_key = self.since_key.map(|count| count.saturating_add(1));
        Packet { key: false, data: writer.into_bytes() }
    }

    /// Makes the next encoded frame a key frame.
    pub fn request_keyframe(&mut self) {
        self.key_requested = true;
    }

    /// What a decoder shows after the last packet; black before the first one.
    ///
    /// Bit for bit the picture of ffmpeg's decoder; decoders with another inverse transform differ by rounding.
    #[must_use]
    pub fn reconstruction(&self) -> FrameView<'_> {
        self.reference.view()
    }

    fn check(&self, frame: &Frame) -> Result<(), EncodeError> {
        if frame.format() != PixelFormat::Yuv420 {
            return Err(EncodeError::Format(frame.format()));
        }
        let (frame, encoder) = ((frame.width(), frame.height()), (self.config.width, self.config.height));
        if frame != encoder {
            return Err(EncodeError::Size { frame, encoder });
        }
        Ok(())
    }

    /// Encodes the picture in `source`: header, then every macroblock as decided, then the next reference.
    fn encode_source(&mut self, picture_type: PictureType) -> Packet {
        let mut writer = self.start(picture_type);
        for mb_y in 0..self.mb_height {
            for mb_x in 0..self.mb_width {
                let macroblock = self.code_macroblock(picture_type, mb_x, mb_y);
                macroblock.write(&mut writer, picture_type);
            }
        }
        self.current.extend_borders();
        std::mem::swap(&mut self.current, &mut self.reference);
        std::mem::swap(&mut self.motion, &mut self.last_motion);
        let key = picture_type == PictureType::I;
        if key {
            (self.since_key, self.key_requested) = (Some(0), false);
        }
        self.since_key = self.since_key.map(|count| count.saturating_add(1));
        Packet { key, data: writer.into_bytes() }
    }

    /// Writes the header of the next picture.
    fn start(&mut self, picture_type: PictureType) -> BitWriter {
        let mut writer = BitWriter::new();
        let header = PictureHeader {
            width: self.config.width,
            height: self.config.height,
            temporal_reference: self.temporal_reference,
            picture_type,
            quantizer: self.config.quantizer,
        };
        header.write(&mut writer);
        self.temporal_reference = self.temporal_reference.wrapping_add(1);
        writer
    }

    /// Decides on a macroblock and puts it into the picture under construction.
    fn code_macroblock(&mut self, picture_type: PictureType, mb_x: usize, mb_y: usize) -> Macroblock {
        let quantizer = self.config.quantizer;
        let offset = if self.effort.trellis {
            [8, 8]
        } else {
            [knob("INTRAOFF", 0) as i16, knob("INTEROFF", -8) as i16]
        };
        let coding = Coding {
            kernels: &self.kernels,
            effort: &self.effort,
            source: &self.source,
            reference: &self.reference,
            motion: &self.motion,
            last_motion: &self.last_motion,
            width: self.config.width,
            height: self.config.height,
            picture_type,
            quantizer,
            intra_divisor: divisor(quantizer, offset[0]),
            inter_divisor: divisor(quantizer, offset[1]),
            lambda: knob("LAMBDA", 54) as i32 * i32::from(quantizer).pow(2), // 0.85 Q^2
            motion_lambda: knob("MELAMBDA", 15) as u32 * u32::from(quantizer), // its root, for absolute errors
        };
        let decision = Decision::new(&coding, mb_x, mb_y);
        let updates = &mut self.updates[mb_y * self.mb_width + mb_x];
        let chosen = if picture_type == PictureType::I || *updates >= REFRESH {
            decision.intra()
        } else {
            decision.inter()
        };
        let (macroblock, reconstruction) = decision.reconstruct(chosen);
        if macroblock.mb_type == MbType::Intra {
            *updates = 0;
        } else if macroblock.coded_block_pattern() != 0 {
            *updates += 1;
        }
        reconstruction.store(&mut self.current, mb_x, mb_y);
        self.motion.set(mb_x, mb_y, macroblock.mvs);
        macroblock
    }
}
