//! Looks at frames before they are encoded: where to put key frames, and which macroblocks later pictures build on.
//!
//! Frames are compared with the one before at half size. A macroblock is worth its own information for as long as the
//! frame stands, and what the next picture takes from it; summed up from the last frame of the window to the first, this
//! tells how finely to quantise it ("macroblock tree").

use crate::config::{Config, Preset};
use crate::error::EncodeError;
use crate::kernels::{Kernels, Rows, STRIDE};
use crate::motion::Mv;
use crate::planes::{CodedPlane, MB};
use oggflv_common::simd::Level;
use oggflv_common::{Frame, PlaneView};
use std::collections::VecDeque;
use std::time::Duration;

/// How long a frame stands if nobody says when it and the next one appear; its information then counts once.
const USUAL_DURATION: Duration = Duration::from_millis(40);
/// Frames that stand for less and for more count as if they stood for so long.
const DURATIONS: [Duration; 2] = [Duration::from_millis(10), Duration::from_secs(1)];

/// What is known about a frame before it is encoded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Whether it becomes a key frame.
    pub key: bool,
    /// The quantiser of the picture, in units of 1/16.
    pub(crate) quantizer: u16,
    pub(crate) macroblocks: Vec<MacroblockPlan>,
    pub(crate) outlook: Box<Outlook>,
}

/// What is known about a macroblock before it is encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct MacroblockPlan {
    /// The wanted quantiser, relative to that of the picture, in units of 1/256.
    pub(crate) factor: u16,
    /// Whether no vector but zero is worth trying.
    pub(crate) still: bool,
    /// Where it seems to come from.
    pub(crate) mv: Mv,
}

impl MacroblockPlan {
    /// Nothing is known.
    pub(crate) const FLAT: Self = Self { factor: 256, still: false, mv: Mv::ZERO };
}

/// What rate control needs to know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Outlook {
    /// When the frame appears.
    pub(crate) time: Duration,
    /// The frame, and those that follow as far as they are known.
    pub(crate) frames: Vec<Expected>,
    /// Whether nothing follows these.
    pub(crate) ends: bool,
}

/// How hard a frame is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    pub(crate) key: bool,
    /// Estimated differences, weighed by what the factors make of them; bits go with this over the quantiser.
    pub(crate) complexity: u32,
    /// How long it stands.
    pub(crate) duration: Duration,
}

impl Plan {
    /// Sets the quantiser of the picture, in units of 1/16: 16 to 496.
    pub fn set_quantizer(&mut self, quantizer: u16) {
        self.quantizer = quantizer.clamp(16, 31 * 16);
    }

    /// The configured quantiser everywhere.
    pub(crate) fn flat(config: &Config, key: bool) -> Self {
        let blocks = config.width.div_ceil(MB) * config.height.div_ceil(MB);
        Self {
            key,
            quantizer: 16 * u16::from(config.quantizer),
            macroblocks: vec![MacroblockPlan::FLAT; blocks],
            outlook: Box::new(Outlook {
                time: Duration::ZERO,
                frames: vec![Expected { key, complexity: 0, duration: Duration::ZERO }],
                ends: false,
            }),
        }
    }
}

/// Plans frames, some frames behind.
///
/// [`send`](Self::send) takes frames; [`receive`](Self::receive) gives them back in order with their plans, which
/// depend on the frames alone and not on when they are asked for.
#[derive(Clone, Debug)]
pub struct Lookahead {
    config: Config,
    /// Whether differences are Hadamard-transformed.
    hadamard: bool,
    kernels: Kernels,
    mb_width: usize,
    mb_height: usize,
    /// The last frame that was sent, at half size.
    last: Option<CodedPlane>,
    /// Room for the next one.
    spare: Option<CodedPlane>,
    /// Frames that were not handed out.
    window: VecDeque<Entry>,
    /// How many at the front of `window` have plans.
    planned: usize,
    /// Frames that a plan looks ahead at least, and frames planned in one go.
    depth: usize,
    batch: usize,
    key_requested: bool,
    /// Frames since the last key frame, itself included.
    since_key: u32,
    finished: bool,
    /// When the next frame appears, or all ends, if nobody says otherwise.
    next_time: Duration,
}

/// A frame and what it takes from the one before.
#[derive(Clone, Debug)]
struct Entry {
    frame: Frame,
    time: Duration,
    key: bool,
    costs: Costs,
    origins: Vec<Origin>,
    plan: Option<Plan>,
}

/// Estimated differences of the macroblocks of a frame.
#[derive(Clone, Debug)]
struct Costs {
    /// From their own means; not 0.
    intra: Vec<u32>,
    /// From the frame before; not more than `intra`.
    inter: Vec<u32>,
}

/// What is found out about a macroblock.
struct Estimate {
    /// Its differences from its mean; not 0.
    intra: u32,
    /// Those from the frame before.
    inter: u32,
    /// Its vector there, in samples of the half-size picture.
    mv: (i16, i16),
    /// Whether it moves at all, if by less than a sample.
    moving: bool,
}

/// What a macroblock takes from the frame before.
#[derive(Clone, Copy, Debug)]
struct Origin {
    /// Vector in samples of the half-size picture.
    mv: (i16, i16),
    /// How much of its information, in units of 2^-16.
    taken: u32,
    /// Whether it stands, and next to nothing of it changes.
    still: bool,
}

impl Origin {
    /// `moving` says whether it moves at all, if by less than a sample.
    ///
    /// Most of what moves is lost: interpolation between samples blurs it, which estimates at half size do not see.
    fn new(intra: u32, inter: u32, mv: (i16, i16), moving: bool) -> Self {
        let taken = ((intra - inter) << 16) / intra;
        let still = !moving && STILL_PART * inter < intra;
        Self { mv, taken: if moving { taken / MOTION_LOSS } else { taken }, still }
    }
}

/// Frames held at most. A third of them is planned in one go, the others are what these plans look at.
const FRAMES: usize = 36;
/// Bytes that these frames may take, except that there are always some.
const FRAMES_BYTES: usize = 64 << 20;
/// The quantiser goes with the inverse of this root of what a macroblock is worth.
const ROOT: i32 = 3;
/// Binary logarithm, in units of 1/256, of how many times its own information a macroblock is worth that gets the
/// quantiser of the picture.
const USUAL_WORTH: i32 = 128;
/// Sum of 64 absolute differences below which nothing moves.
const STILL: u32 = 64;
/// Where less than one part in so many changes, it is not by motion.
const STILL_PART: u32 = 16;
/// One part in so many survives motion.
const MOTION_LOSS: u32 = 8;
/// What a macroblock is worth at most: two of these do not overflow.
const MAX_WORTH: u32 = 1 << 30;
/// Key frames are this far apart at least.
const MIN_KEYINT: u32 = 10;
/// No step, and those to the neighbours of a vector in the order of [`Kernels::sad_8_beside`].
const STEPS: [(i16, i16); 5] = [(0, 0), (0, -1), (-1, 0), (1, 0), (0, 1)];
/// Largest component of a vector at half size.
const RANGE: i16 = 8;

impl Lookahead {
    /// For the frames of an encoder with the same settings, which must be legal, and the default preset.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self::with_preset(config, Preset::default())
    }

    /// For the frames of an encoder with the same settings, which must be legal.
    #[must_use]
    pub fn with_preset(config: &Config, preset: Preset) -> Self {
        let frames = (FRAMES_BYTES / (config.width * config.height * 3 / 2).max(1)).min(FRAMES);
        let batch = (frames / 3).max(1);
        Self {
            config: config.clone(),
            hadamard: preset.effort().hadamard_ahead,
            kernels: Kernels::new(Level::active()),
            mb_width: config.width.div_ceil(MB),
            mb_height: config.height.div_ceil(MB),
            last: None,
            spare: None,
            window: VecDeque::new(),
            planned: 0,
            depth: 2 * batch,
            batch,
            key_requested: false,
            since_key: 0,
            finished: false,
            next_time: Duration::ZERO,
        }
    }

    /// Takes the next frame, which appears a 25th of a second after the one before.
    ///
    /// Tells whether it becomes a key frame.
    ///
    /// # Errors
    /// If the frame is not 4:2:0 of the configured size.
    pub fn send(&mut self, frame: Frame) -> Result<bool, EncodeError> {
        self.send_at(frame, self.next_time)
    }

    /// Takes the next frame, which appears at `time`; only rate control goes by that.
    ///
    /// Tells whether it becomes a key frame.
    ///
    /// # Errors
    /// If the frame is not 4:2:0 of the configured size.
    pub fn send_at(&mut self, frame: Frame, time: Duration) -> Result<bool, EncodeError> {
        self.config.check(&frame)?;
        let half = self
            .spare
            .take()
            .unwrap_or_else(|| CodedPlane::new(8 * self.mb_width, 8 * self.mb_height, 2 * RANGE as usize));
        let half = self.half_size(&frame.planes[0].view(), half);
        let blocks = self.mb_width * self.mb_height;
        let mut costs = Costs { intra: Vec::with_capacity(blocks), inter: Vec::with_capacity(blocks) };
        let mut origins = Vec::with_capacity(blocks);
        for at in 0..blocks {
            let Estimate { intra, inter, mv, moving } = self.estimate(&half, at, &origins);
            let inter = inter.min(intra);
            costs.intra.push(intra);
            costs.inter.push(inter);
            origins.push(Origin::new(intra, inter, mv, moving));
        }
        let key = std::mem::take(&mut self.key_requested) || self.is_key(&costs);
        self.since_key = if key { 1 } else { self.since_key + 1 };
        self.spare = self.last.replace(half);
        let usual = self.window.back().map_or(USUAL_DURATION, |last| time.saturating_sub(last.time));
        self.next_time = time.saturating_add(usual);
        self.window.push_back(Entry { frame, time, key, costs, origins, plan: None });
        Ok(key)
    }

    /// Makes the next frame that is sent a key frame.
    pub fn request_keyframe(&mut self) {
        self.key_requested = true;
    }

    /// Plans all frames that are there without waiting for more.
    pub fn flush(&mut self) {
        self.plan(self.window.len());
    }

    /// Says that no frame follows; the last one stands as long as the one before.
    pub fn finish(&mut self) {
        self.finished = true;
    }

    /// Says that no frame follows, and that the last one stands until `end`.
    pub fn finish_at(&mut self, end: Duration) {
        self.next_time = end;
        self.finished = true;
    }

    /// Whether [`finish`](Self::finish) was called and every frame was received.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.finished && self.window.is_empty()
    }

    /// The next frame with its plan, or `None` if more frames must be sent first or all were received.
    pub fn receive(&mut self) -> Option<(Frame, Plan)> {
        if self.planned == 0 {
            if self.finished {
                self.plan(self.window.len());
            } else if self.window.len() >= self.depth + self.batch {
                self.plan(self.batch);
            } else {
                return None;
            }
        }
        let entry = self.window.pop_front()?;
        self.planned -= 1;
        entry.plan.map(|plan| (entry.frame, plan))
    }

    /// The means of 2x2 luma samples, on whole blocks of 8x8; fills all of `half`.
    fn half_size(&self, luma: &PlaneView<'_>, mut half: CodedPlane) -> CodedPlane {
        let whole = luma.width / 2;
        for y in 0..8 * self.mb_height {
            let [top, bottom] = [2 * y, 2 * y + 1].map(|y| luma.row(y.min(luma.height - 1)));
            let start = half.index(0, y as isize);
            let out = &mut half.data[start..][..half.width];
            (self.kernels.halve)(top, bottom, &mut out[..whole]);
            let edge = (u16::from(top[luma.width - 1]) + u16::from(bottom[luma.width - 1]) + 1) >> 1;
            out[whole..].fill(edge as u8);
        }
        half.extend_border(8 * self.mb_height);
        half
    }

    /// Estimates macroblock `at`; `done` has what is known of those before it.
    fn estimate(&self, half: &CodedPlane, at: usize, done: &[Origin]) -> Estimate {
        let (x, y) = ((8 * (at % self.mb_width)) as isize, (8 * (at / self.mb_width)) as isize);
        let source = (half.at(x, y), half.stride);
        let standing = |intra: u32, inter: u32| Estimate { intra, inter, mv: (0, 0), moving: false };
        let last = self.last.as_ref();
        let stands = last.map(|last| (self.kernels.sad_8)(source, (last.at(x, y), last.stride)));
        if let (Some(0), Some(before)) = (stands, self.window.back()) {
            return standing(before.costs.intra[at], 0);
        }
        let hadamard = self.hadamard;
        let intra = 1 + (if hadamard { self.kernels.activity_8 } else { self.kernels.deviation_8 })(source);
        let (Some(last), Some(stands)) = (last, stands) else {
            return standing(intra, intra);
        };
        let place = |mv: (i16, i16)| last.at(x + isize::from(mv.0), y + isize::from(mv.1));
        let satd = |mv: (i16, i16)| (self.kernels.satd_8)(source, (place(mv), last.stride));
        if stands < STILL {
            return standing(intra, if hadamard { satd((0, 0)) } else { stands });
        }
        let (mut least, mut mv) = self.seed(source, &place, stands, at, done);
        for _ in 0..2 * RANGE {
            let legal = [mv.1 > -RANGE, mv.0 > -RANGE, mv.0 < RANGE, mv.1 < RANGE];
            let step = self.step(source, place((mv.0 - 1, mv.1 - 1)), false, legal, &mut least);
            if step == (0, 0) {
                break;
            }
            mv = (mv.0 + step.0, mv.1 + step.1);
        }
        // A better place between samples is motion that the vector does not show.
        let between = self.step(source, place((mv.0 - 1, mv.1 - 1)), true, [true; 4], &mut least);
        let moving = mv != (0, 0) || between != (0, 0);
        let inter = match between {
            _ if !hadamard => least,
            (0, 0) => satd(mv),
            (x, y) => {
                let from = place((mv.0 + x.min(0), mv.1 + y.min(0)));
                let mut prediction = [0; 128];
                let fraction = if x == 0 { 2 } else { 1 };
                (self.kernels.predict_8)(from, last.stride, fraction, &mut prediction);
                (self.kernels.satd_8)(source, (&prediction, STRIDE))
            }
        };
        Estimate { intra, inter, mv, moving }
    }

    /// The best of no vector, with a known difference, and those of the macroblocks to the left, above, and above to the
    /// right.
    fn seed<'a>(
        &self,
        source: Rows<'_>,
        place: &impl Fn((i16, i16)) -> &'a [u8],
        stands: u32,
        at: usize,
        done: &[Origin],
    ) -> (u32, (i16, i16)) {
        let above = at.wrapping_sub(self.mb_width);
        // Those before the first macroblock wrap around to none.
        let seed = |at: usize| done.get(at).map_or((0, 0), |seed| seed.mv);
        let seeds = [seed(at.wrapping_sub(1)), seed(above), seed(above.wrapping_add(1))];
        let places = [place(seeds[0]), place(seeds[1]), place(seeds[2])];
        let sads = (self.kernels.sads_8)(source, places, source.1);
        let (mut least, mut mv) = (stands, (0, 0));
        for (seed, sad) in seeds.into_iter().zip(sads) {
            (least, mv) = if sad < least { (sad, seed) } else { (least, mv) };
        }
        (least, mv)
    }

    /// The step to the best of the four neighbours of the place behind the first sample of `from`, or half as far, if it is
    /// legal and better than `least`.
    ///
    /// All are compared as numbers that hold the step in their low bits, which takes no branches.
    #[inline]
    fn step(
        &self,
        source: Rows<'_>,
        from: &[u8],
        half: bool,
        legal: [bool; 4],
        least: &mut u32,
    ) -> (i16, i16) {
        let sads = (self.kernels.sad_8_beside)(source, (from, source.1), half);
        let mut best = *least << 3;
        for ((i, sad), legal) in (1..).zip(sads).zip(legal) {
            best = if legal { best.min(sad << 3 | i) } else { best };
        }
        *least = best >> 3;
        STEPS[(best & 7) as usize]
    }

    /// Whether the next frame becomes a key frame: when it is due, or takes little from the one before.
    fn is_key(&self, costs: &Costs) -> bool {
        if self.last.is_none() || self.since_key >= self.config.keyint {
            return true;
        }
        if self.since_key < MIN_KEYINT {
            return false;
        }
        let sum = |costs: &[u32]| costs.iter().map(|&cost| u64::from(cost)).sum::<u64>();
        20 * sum(&costs.inter) > 17 * sum(&costs.intra)
    }

    /// Plans the first `count` frames of the window.
    fn plan(&mut self, count: usize) {
        let blocks = self.mb_width * self.mb_height;
        // What the frame after the one in hand takes from it, and then all that it is worth.
        let (mut worth, mut next) = (vec![0; blocks], vec![0; blocks]);
        let mut factors = vec![0; blocks];
        // From the last frame to the first.
        let mut expected = VecDeque::new();
        let mut next_time = self.next_time;
        for (i, entry) in self.window.iter_mut().enumerate().rev() {
            let Costs { intra, inter } = &entry.costs;
            let key = entry.key;
            let duration = next_time.saturating_sub(entry.time);
            add_own(intra, duration, &mut worth);
            for ((factor, &intra), &worth) in factors.iter_mut().zip(intra).zip(&worth) {
                *factor = self::factor(intra, worth);
            }
            next.fill(0);
            if !key {
                hand_on(&entry.origins, &worth, &mut next, self.mb_width);
            }
            std::mem::swap(&mut worth, &mut next);
            // Those of noise are twice as large when they are transformed.
            let scale = if self.hadamard { 1 } else { 2 };
            let complexity = complexity(if key { intra } else { inter }, &factors).saturating_mul(scale);
            expected.push_front(Expected { key, complexity, duration });
            if i < count {
                let frames = expected.iter().copied().collect();
                let macroblock = |(origin, &factor): (&Origin, &u16)| MacroblockPlan {
                    factor,
                    still: origin.still,
                    mv: Mv { x: 4 * origin.mv.0, y: 4 * origin.mv.1 },
                };
                entry.plan = Some(Plan {
                    key,
                    quantizer: 16 * u16::from(self.config.quantizer),
                    macroblocks: entry.origins.iter().zip(&factors).map(macroblock).collect(),
                    outlook: Box::new(Outlook { time: entry.time, frames, ends: self.finished }),
                });
            }
            next_time = entry.time;
        }
        self.planned = count;
    }
}

/// Adds to what the macroblocks of a frame are worth their own information, for as long as the frame stands.
fn add_own(intra: &[u32], duration: Duration, worth: &mut [u32]) {
    let standing = duration.clamp(DURATIONS[0], DURATIONS[1]).as_micros() as u32;
    let times = standing * 256 / USUAL_DURATION.as_micros() as u32;
    for (worth, &intra) in worth.iter_mut().zip(intra) {
        *worth = (*worth + ((intra * times) >> 8)).min(MAX_WORTH);
    }
}

/// Adds to `next` what the macroblocks of a frame, each worth so much, take from the one before: from the macroblock there
/// of which they cover the most.
fn hand_on(origins: &[Origin], worth: &[u32], next: &mut [u32], mb_width: usize) {
    let mb_height = origins.len() / mb_width;
    // How many macroblocks a vector leads away.
    let nearest = |mb: usize, component: i16| mb.wrapping_add_signed((isize::from(component) + 4) >> 3);
    let mut blocks = origins.iter().zip(worth);
    for y in 0..mb_height {
        for (x, (origin, worth)) in (0..mb_width).zip(&mut blocks) {
            let (x, y) = (nearest(x, origin.mv.0), nearest(y, origin.mv.1));
            if x < mb_width && y < mb_height {
                let amount = (u64::from(*worth) * u64::from(origin.taken)) >> 16;
                let next = &mut next[y * mb_width + x];
                *next = (*next + amount as u32).min(MAX_WORTH);
            }
        }
    }
}

/// Estimated differences of a frame over what its factors make of the quantiser.
fn complexity(costs: &[u32], factors: &[u16]) -> u32 {
    let cost = |(&cost, &factor): (&u32, &u16)| u64::from((256 * cost) / u32::from(factor));
    let sum: u64 = costs.iter().zip(factors).map(cost).sum();
    sum.min(u64::from(u32::MAX)) as u32
}

/// What a relative quantiser, in units of 1/256, is at most.
const MAX_FACTOR: i32 = 512;

/// The relative quantiser, in units of 1/256, of a macroblock of so much information that is worth so much.
#[inline]
fn factor(intra: u32, worth: u32) -> u16 {
    let exponent = (log2(worth) - log2(intra) - USUAL_WORTH) / ROOT;
    // 512 over 2 to the exponent, linear between powers of two.
    let exponent = (exponent + 256).max(0) as u32;
    let factor = f32::from_bits(((127 + 9) << 23) - (exponent << 15)) as i32;
    factor.clamp(1, MAX_FACTOR) as u16
}

/// Binary logarithm in units of 1/256, linear between powers of two, which is what floating-point numbers look like.
#[inline]
fn log2(value: u32) -> i32 {
    (value as i32 as f32).to_bits() as i32 >> 15
}

#[cfg(test)]
mod tests {
    use super::*;
    use oggflv_common::PixelFormat;

    /// On the left, the texture stands under some noise; on the right, it moves by two samples a frame.
    #[test]
    fn what_stands_is_told_from_what_moves() {
        let (width, height) = (128, 32);
        let mut random = 1u32;
        let mut lookahead = Lookahead::new(&Config { width, height, quantizer: 5, keyint: 250 });
        for n in 0..3 {
            let mut frame = Frame::new(PixelFormat::Yuv420, width, height);
            for (i, sample) in frame.planes[0].data_mut().iter_mut().enumerate() {
                random = random.wrapping_mul(1664525).wrapping_add(1013904223);
                let (x, y) = (i % width, i / width);
                let texture = |x: usize| (30 + (x / 4 * 97 + y / 4 * 61) % 200) as u8;
                *sample = if x < width / 2 { texture(x) + (random >> 31) as u8 } else { texture(x + 2 * n) };
            }
            lookahead.send(frame).unwrap();
        }
        lookahead.finish();
        for n in 0..3 {
            let (_, plan) = lookahead.receive().unwrap();
            for (at, macroblock) in plan.macroblocks.iter().enumerate() {
                assert_eq!(macroblock.still, n > 0 && at % 8 < 4, "macroblock {at} of frame {n}");
            }
        }
    }
}
