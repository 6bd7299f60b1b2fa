//! The inner loops, opened to the benches.

use crate::config::Format;
use crate::error::ConfigError;
use crate::header::BlockType;
use crate::kernels::{Kernels, Pairs, Power43};
use crate::layout::MAX_WIDTH;
use crate::mdct::Mdct;
use crate::psycho::{LONG_WINDOW, Resolution};
use crate::subband::{Polyphase, Subbands};
use crate::tables::{LINES, SLOTS, SUBBANDS};
use oggflv_common::simd::Level;

/// The inner loops at one level, and one granule of noise for them.
pub struct KernelBench {
    kernels: Kernels,
    polyphase: Polyphase,
    mdct: Mdct,
    resolution: Resolution,
    power43: Box<Power43>,
    pcm: Vec<f32>,
    magnitude: Vec<f32>,
    power34: Vec<f32>,
    pairs: [Pairs; 3],
    subbands: Subbands,
    lines: [f32; LINES],
}

impl KernelBench {
    /// The inner loops at a level.
    ///
    /// # Errors
    /// None: 44.1 kHz is a legal sampling rate.
    pub fn new(level: Level) -> Result<Self, ConfigError> {
        let format = Format::new(44100, 2)?;
        let noise = |i: u32| (i.wrapping_mul(2_654_435_761) >> 8) as f32 / 8_388_608.0 - 1.0;
        let pcm: Vec<f32> = (0..1056).map(noise).collect();
        Ok(Self {
            kernels: Kernels::new(level),
            polyphase: Polyphase::new(),
            mdct: Mdct::new(format.row),
            resolution: Resolution::of_length(&format, LONG_WINDOW),
            power43: Box::new(std::array::from_fn(|i| libm::pow(i as f64, 4.0 / 3.0) as f32)),
            magnitude: pcm[..LINES].iter().map(|x| x.abs()).collect(),
            power34: vec![0.0; LINES],
            pairs: [[0; MAX_WIDTH / 2]; 3],
            subbands: [[0.0; SUBBANDS]; SLOTS],
            lines: [0.0; LINES],
            pcm,
        })
    }

    /// The powers of the lines.
    pub fn powers(&mut self) -> f32 {
        (self.kernels.powers)(&self.magnitude, &mut self.power34).energy
    }

    /// The noise of a wide band at three steps about 1/8. Call [`powers`](Self::powers) before.
    pub fn measure(&mut self) -> f32 {
        let steps = [[3.668_016_2, 0.176_776_7], [4.756_828_5, 0.125], [6.168_843_3, 0.088_388_35]];
        let [magnitude, power34] = [&self.magnitude, &self.power34].map(|lines| &lines[..MAX_WIDTH]);
        (self.kernels.measure_three)(magnitude, power34, steps, &self.power43, &mut self.pairs)[0][0]
    }

    /// The analysis filterbank.
    pub fn polyphase(&mut self) -> f32 {
        (self.kernels.polyphase)(&self.polyphase, &self.pcm, &mut self.subbands);
        self.subbands[0][0]
    }

    /// The MDCT of long blocks.
    pub fn mdct(&mut self) -> f32 {
        (self.kernels.mdct)(&self.mdct, &self.subbands, &self.subbands, BlockType::Long, &mut self.lines);
        self.lines[0]
    }

    /// The masking thresholds of two channels.
    pub fn masking(&mut self) -> f32 {
        let pcm = &self.pcm[..LONG_WINDOW];
        let energies = (self.kernels.energies)(&self.resolution, &[pcm, pcm]);
        energies.iter().map(|energies| (self.kernels.thresholds)(&self.resolution, energies)[0]).sum()
    }
}
