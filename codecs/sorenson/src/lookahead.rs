//! Looks at frames before they are encoded: where to put key frames, and which macroblocks later pictures build on.
//!
//! Frames are compared with the one before at half size. A macroblock is worth its own information for as long as the
//! frame stands, and what the next picture takes from it; summed up from the last frame of the window to the first, this
//! tells how finely to quantise it ("macroblock tree").

use crate::config::Config;
use crate::error::EncodeError;
use crate::kernels::{Kernels, Rows, STRIDE};
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
}

impl MacroblockPlan {
    /// Nothing is known.
    pub(crate) const FLAT: Self = Self { factor: 256, still: false };
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
    blocks: Vec<Estimate>,
    plan: Option<Plan>,
}

/// Costs of a macroblock.
#[derive(Clone, Copy, Debug, Default)]
struct Estimate {
    intra: u32,
    /// At most `intra`.
    inter: u32,
    /// Vector in samples of the half-size picture.
    mv: (i16, i16),
    /// How much of its information it takes from the frame before, in units of 2^-16.
    taken: u32,
    /// Whether it stands, and next to nothing of it changes.
    still: bool,
}

impl Estimate {
    /// `moving` says whether it moves at all, if by less than a sample.
    ///
    /// Most of what moves is lost: interpolation between samples blurs it, which estimates at half size do not see.
    fn new(intra: u32, inter: u32, mv: (i16, i16), moving: bool) -> Self {
        let inter = inter.min(intra);
        let taken = ((intra - inter) << 16) / intra;
        let still = !moving && STILL_PART * inter < intra;
        Self { intra, inter, mv, taken: if moving { taken / MOTION_LOSS } else { taken }, still }
    }
}

/// Frames held at most. A third of them is planned in one go, the others are what these plans look at.
const FRAMES: usize = 60;
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
/// Key frames are this far apart at least.
const MIN_KEYINT: u32 = 10;
/// Steps to the neighbours of a vector, in the order of [`Kernels::sad_8_beside`].
const BESIDE: [(i16, i16); 4] = [(0, -1), (-1, 0), (1, 0), (0, 1)];
/// Largest component of a vector at half size.
const RANGE: i16 = 8;

impl Lookahead {
    /// For the frames of an encoder with the same settings, which must be legal.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        let frames = (FRAMES_BYTES / (config.width * config.height * 3 / 2).max(1)).min(FRAMES);
        let batch = (frames / 3).max(1);
        Self {
            config: config.clone(),
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
            .unwrap_or_else(|| CodedPlane::new(8 * self.mb_width, 8 * self.mb_height, 2 * RANGE as usize, 0));
        let half = self.half_size(&frame.planes[0].view(), half);
        let mut blocks = vec![Estimate::default(); self.mb_width * self.mb_height];
        for mb_y in 0..self.mb_height {
            for mb_x in 0..self.mb_width {
                blocks[mb_y * self.mb_width + mb_x] = self.estimate(&half, mb_x, mb_y, &blocks);
            }
        }
        let key = std::mem::take(&mut self.key_requested) || self.is_key(&blocks);
        self.since_key = if key { 1 } else { self.since_key + 1 };
        self.spare = self.last.replace(half);
        let usual = self.window.back().map_or(USUAL_DURATION, |last| time.saturating_sub(last.time));
        self.next_time = time.saturating_add(usual);
        self.window.push_back(Entry { frame, time, key, blocks, plan: None });
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
        for y in 0..half.height {
            let [top, bottom] = [2 * y, 2 * y + 1].map(|y| luma.row(y.min(luma.height - 1)));
            let start = half.index(0, y as isize);
            let out = &mut half.data[start..][..half.width];
            (self.kernels.halve)(top, bottom, &mut out[..whole]);
            let edge = (u16::from(top[luma.width - 1]) + u16::from(bottom[luma.width - 1]) + 1) >> 1;
            out[whole..].fill(edge as u8);
        }
        half.extend_border();
        half
    }

    /// Estimates a macroblock; `done` has those before it.
    fn estimate(&self, half: &CodedPlane, mb_x: usize, mb_y: usize, done: &[Estimate]) -> Estimate {
        let (x, y) = (8 * mb_x as isize, 8 * mb_y as isize);
        let at = mb_y * self.mb_width + mb_x;
        let source = (half.at(x, y), half.stride);
        let last = self.last.as_ref();
        let stands = last.map(|last| (self.kernels.sad_8)(source, (last.at(x, y), last.stride)));
        if let (Some(0), Some(before)) = (stands, self.window.back()) {
            return Estimate::new(before.blocks[at].intra, 0, (0, 0), false);
        }
        let intra = (self.kernels.activity_8)(source) + 1;
        let (Some(last), Some(stands)) = (last, stands) else {
            return Estimate::new(intra, intra, (0, 0), false);
        };
        let reference = |mv: (i16, i16)| -> Rows<'_> {
            (last.at(x + isize::from(mv.0), y + isize::from(mv.1)), last.stride)
        };
        if stands < STILL {
            return Estimate::new(intra, (self.kernels.satd_8)(source, reference((0, 0))), (0, 0), false);
        }
        let (mut least, mut mv) = (stands, (0, 0));
        let mut attempt = |x: i16, y: i16, mv: &mut (i16, i16)| {
            let sad = (self.kernels.sad_8)(source, reference((x, y)));
            if sad < least {
                (least, *mv) = (sad, (x, y));
            }
        };
        let mut tried = (0, 0);
        let above = at.wrapping_sub(self.mb_width);
        for seed in [at.wrapping_sub(1), above, above.wrapping_add(1)] {
            // Those before the first macroblock wrap around to none.
            let seed = done.get(seed).map_or((0, 0), |seed| seed.mv);
            if seed != tried && seed != mv {
                attempt(seed.0, seed.1, &mut mv);
                tried = seed;
            }
        }
        let beside =
            |mv: (i16, i16), half| (self.kernels.sad_8_beside)(source, reference((mv.0 - 1, mv.1 - 1)), half);
        for _ in 0..2 * RANGE {
            let centre = mv;
            for ((x, y), sad) in BESIDE.into_iter().zip(beside(centre, false)) {
                let (x, y) = (centre.0 + x, centre.1 + y);
                if sad < least && x.abs() <= RANGE && y.abs() <= RANGE {
                    (least, mv) = (sad, (x, y));
                }
            }
            if mv == centre {
                break;
            }
        }
        // A better place between samples is motion that the vector does not show.
        let mut between = None;
        for (step, sad) in BESIDE.into_iter().zip(beside(mv, true)) {
            if sad < least {
                (least, between) = (sad, Some(step));
            }
        }
        let inter = match between {
            Some((x, y)) => {
                let (from, stride) = reference((mv.0 + x.min(0), mv.1 + y.min(0)));
                let mut prediction = [0; 128];
                let fraction = if x == 0 { 2 } else { 1 };
                (self.kernels.predict_8)(from, stride, fraction, &mut prediction);
                (self.kernels.satd_8)(source, (&prediction, STRIDE))
            }
            None => (self.kernels.satd_8)(source, reference(mv)),
        };
        Estimate::new(intra, inter, mv, mv != (0, 0) || between.is_some())
    }

    /// Whether the next frame becomes a key frame: when it is due, or takes little from the one before.
    fn is_key(&self, blocks: &[Estimate]) -> bool {
        if self.last.is_none() || self.since_key >= self.config.keyint {
            return true;
        }
        if self.since_key < MIN_KEYINT {
            return false;
        }
        let sum = |cost: fn(&Estimate) -> u32| blocks.iter().map(|b| u64::from(cost(b))).sum::<u64>();
        20 * sum(|b| b.inter) > 17 * sum(|b| b.intra)
    }

    /// Plans the first `count` frames of the window.
    fn plan(&mut self, count: usize) {
        let blocks = self.mb_width * self.mb_height;
        // What the frame after the one in hand takes from it, and then all that it is worth.
        let (mut worth, mut next) = (vec![0; blocks], vec![0; blocks]);
        let mut factors = Vec::with_capacity(blocks);
        // From the last frame to the first.
        let mut expected = VecDeque::new();
        let mut next_time = self.next_time;
        for (i, entry) in self.window.iter_mut().enumerate().rev() {
            let key = entry.key;
            let duration = next_time.saturating_sub(entry.time);
            let standing = duration.clamp(DURATIONS[0], DURATIONS[1]).as_micros() as u64;
            for (worth, block) in worth.iter_mut().zip(&entry.blocks) {
                add(worth, u64::from(block.intra) * standing / USUAL_DURATION.as_micros() as u64);
            }
            factors.clear();
            factors.extend(entry.blocks.iter().zip(&worth).map(|(block, worth)| factor(block.intra, *worth)));
            next.fill(0);
            if !key {
                hand_on(&entry.blocks, &worth, &mut next, self.mb_width);
            }
            std::mem::swap(&mut worth, &mut next);
            let complexity = complexity(&entry.blocks, &factors, key);
            expected.push_front(Expected { key, complexity, duration });
            if i < count {
                let frames = expected.iter().copied().collect();
                entry.plan = Some(Plan {
                    key,
                    quantizer: 16 * u16::from(self.config.quantizer),
                    macroblocks: entry
                        .blocks
                        .iter()
                        .zip(&factors)
                        .map(|(block, &factor)| MacroblockPlan { factor, still: block.still })
                        .collect(),
                    outlook: Box::new(Outlook { time: entry.time, frames, ends: self.finished }),
                });
            }
            next_time = entry.time;
        }
        self.planned = count;
    }
}

/// Adds to `next` what the macroblocks of a frame, each worth so much, take from the one before.
fn hand_on(blocks: &[Estimate], worth: &[u32], next: &mut [u32], mb_width: usize) {
    let mb_height = blocks.len() / mb_width;
    for (at, (block, worth)) in blocks.iter().zip(worth).enumerate() {
        let amount = (u64::from(*worth) * u64::from(block.taken)) >> 16;
        if block.mv == (0, 0) {
            add(&mut next[at], amount);
            continue;
        }
        // The four macroblocks that the vector leads to, by their shares of the area of 64.
        let x = (8 * (at % mb_width)) as i32 + i32::from(block.mv.0);
        let y = (8 * (at / mb_width)) as i32 + i32::from(block.mv.1);
        for (mb_y, height) in [(y >> 3, 8 - (y & 7)), ((y >> 3) + 1, y & 7)] {
            for (mb_x, width) in [(x >> 3, 8 - (x & 7)), ((x >> 3) + 1, x & 7)] {
                if (0..mb_width as i32).contains(&mb_x) && (0..mb_height as i32).contains(&mb_y) {
                    let share = amount * (width * height) as u64 / 64;
                    add(&mut next[mb_y as usize * mb_width + mb_x as usize], share);
                }
            }
        }
    }
}

/// Adds to a sum that ends at its largest value.
fn add(sum: &mut u32, amount: u64) {
    *sum = (u64::from(*sum) + amount).min(u64::from(u32::MAX)) as u32;
}

/// Estimated differences of a frame over what its factors make of the quantiser.
fn complexity(blocks: &[Estimate], factors: &[u16], key: bool) -> u32 {
    let cost = |b: &Estimate| u64::from(if key { b.intra } else { b.inter });
    let sum: u64 = blocks.iter().zip(factors).map(|(b, f)| cost(b) * INVERSE[usize::from(*f)]).sum();
    (sum >> 16).min(u64::from(u32::MAX)) as u32
}

/// 2^24 over factors.
static INVERSE: [u64; MAX_FACTOR + 1] = {
    let mut inverse = [1 << 24; MAX_FACTOR + 1];
    let mut factor = 1;
    while factor < inverse.len() {
        inverse[factor] = (1 << 24) / factor as u64;
        factor += 1;
    }
    inverse
};

/// What a relative quantiser, in units of 1/256, is at most.
const MAX_FACTOR: usize = 512;

/// The relative quantiser, in units of 1/256, of a macroblock of so much information that is worth so much.
fn factor(intra: u32, worth: u32) -> u16 {
    let exponent = (log2(worth.max(1).into()) - log2(intra.into()) - USUAL_WORTH) / ROOT;
    // Twice the power of two for an exponent that is larger by one, since that is not negative.
    let factor = exp2_inverse((exponent + 256).max(0) as u32) >> 7;
    factor.clamp(1, MAX_FACTOR as u32) as u16
}

/// Binary logarithm in units of 1/256, linear between powers of two.
fn log2(value: u64) -> i32 {
    let whole = value.ilog2();
    let mantissa = if whole >= 8 { value >> (whole - 8) } else { value << (8 - whole) };
    (whole * 256) as i32 + (mantissa as i32 - 256)
}

/// 2^16 times two to the minus `exponent` / 256, linear between powers of two.
pub(crate) fn exp2_inverse(exponent: u32) -> u32 {
    ((512 - exponent % 256) << 7) >> (exponent / 256).min(31)
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
