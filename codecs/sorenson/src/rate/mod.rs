//! Rate control: the quantiser of each picture, from a scale of quality, for an average bit rate or for a total size,
//! and within the bounds of a buffer.

mod average;
mod buffer;
mod model;
mod two_pass;

use crate::encoder::Packet;
use crate::lookahead::{Expected, Outlook, Plan};
use crate::parallel::Input;
use average::Average;
use buffer::{Buffer, Level};
use model::{Model, Models, Picture};
use std::collections::VecDeque;
use std::time::Duration;
use two_pass::TwoPass;

pub use two_pass::FirstPass;

/// Highest quality of the scale.
pub const MAX_QUALITY: u8 = 100;

/// The quantiser, in units of 1/16, for a quality of 0 (quantiser 31) to [`MAX_QUALITY`] (quantiser 1).
///
/// Twenty more halve the quantiser, which about doubles the bits. 50 gives 5.9, 67 gives 3.2.
///
/// By PSNR, 70 is about what ffmpeg's `flv` encoder makes of `-q:v 2`, 60 of 3, 48 of 5, 35 of 8, and 25 of 12, give or
/// take 8. (The quantiser itself is higher here than there, because what later pictures build on gets a finer one.)
///
/// Fractions count: they shift the mean of the macroblocks' quantisers, from which PQUANT is rounded, and what a bit is
/// worth. Between two values of PQUANT bits fall in a step, which is large from 1 to 2.
#[must_use]
pub fn quantizer_for_quality(quality: u8) -> u16 {
    /// Binary logarithm of 31 in units of 1/256.
    const LOG2_31: u32 = 1268;
    let exponent = u32::from(quality.min(MAX_QUALITY)) * LOG2_31 / u32::from(MAX_QUALITY);
    ((31 * 16 * exp2_inverse(exponent) + (1 << 15)) >> 16).max(16) as u16
}

/// 2^16 times two to the minus `exponent` / 256, linear between powers of two.
fn exp2_inverse(exponent: u32) -> u32 {
    ((512 - exponent % 256) << 7) >> (exponent / 256).min(31)
}

/// Chooses the quantisers of pictures.
///
/// Give it to [`ParallelEncoder::with_rate`](crate::ParallelEncoder::with_rate) together with plans of a
/// [`Lookahead`](crate::Lookahead) that was told the time of every frame
/// ([`send_at`](crate::Lookahead::send_at)): bits are counted against seconds, so frames may come at any times, and a
/// picture that stands for long earns as many bits as many pictures in its time. Bits are those of
/// [`Packet::data`]; what a container adds to each is not counted.
///
/// A picture's size becomes known to it [`DELAY`](Self::DELAY) pictures later, however many are encoded at a time, so the
/// quantisers do not depend on the number of threads. With an average or a total, the last pictures are encoded one at a
/// time.
///
/// ```
/// use oggflv_sorenson::RateControl;
/// // Constant quality, but never more than a line of 800 kbit/s carries.
/// let capped = RateControl::constant(80).bounded(800_000, 1_600_000);
/// ```
#[derive(Clone, Debug)]
pub struct RateControl {
    state: State,
    buffer: Option<Buffer>,
    /// What is in the bucket after the last picture that was reported.
    level: Level,
    /// Pictures that were planned and not reported.
    unreported: VecDeque<Unreported>,
    /// Sizes of the pictures reported last, and how many older ones were forgotten.
    sizes: VecDeque<f64>,
    forgotten: u64,
    /// What to do when the next picture is planned again.
    retry: Option<Retry>,
    first_pass: Option<FirstPass>,
    overflows: u64,
    dropped: u64,
}

/// All that planning changes.
#[derive(Clone, Debug)]
struct State {
    mode: Mode,
    models: Models,
    /// Pictures that were planned and not taken into account, and how many were.
    open: VecDeque<Picture>,
    accounted: u64,
    /// Bits of the pictures that were taken into account, and what they left in the bucket.
    bits: f64,
    level: Level,
    /// Time of the first frame.
    start: Option<Duration>,
    /// The time until which the last picture stands.
    until: f64,
    /// The quantiser of the last frame, before the bounds.
    last: Option<f64>,
    /// Bits of a picture of nothing but skipped macroblocks.
    skipped: f64,
    /// A key frame was dropped: the next frame becomes one.
    owed_key: bool,
}

#[derive(Clone, Debug)]
enum Mode {
    Constant(f64),
    Average(Average),
    TwoPass(TwoPass),
}

#[derive(Clone, Debug)]
struct Unreported {
    picture: Picture,
    repeated: bool,
    /// The state before it was planned, if it may have to be planned again.
    before: Option<State>,
}

#[derive(Clone, Copy, Debug)]
enum Retry {
    /// Not below this quantiser.
    Coarser(f64),
    /// The last picture again.
    Drop,
}

/// The coarsest quantiser.
const COARSEST: f64 = 31.0;
/// Bits of a picture header and the padding.
const HEADER_BITS: f64 = 76.0;
/// So many pictures of a stream are encoded one at a time at its end.
const LAST: usize = 2 * RateControl::DELAY;
/// How much finer and coarser than the last picture one may be, if its quantiser is chosen for bits.
const STEPS: [f64; 2] = [1.12, 1.12];
/// The same in the second pass before the last pictures, where there is no hurry, and bits spent too early are lost.
const SMALL_STEPS: [f64; 2] = [1.02, 1.06];

impl RateControl {
    /// Pictures from the planning of one to the report of its size at most.
    pub const DELAY: usize = 17;

    /// One quantiser for all, in units of 1/16, from 16 to 496: constant quality.
    #[must_use]
    pub fn constant(quantizer: u16) -> Self {
        Self::new(Mode::Constant(f64::from(quantizer.clamp(16, 31 * 16)) / 16.0), Models::USUAL)
    }

    /// `bits_per_second` on average.
    ///
    /// The average holds over the whole stream, and nearly so over minutes. Bits that were saved are spent later. If the
    /// pictures take less at the finest quantiser, it is less.
    #[must_use]
    pub fn average(bits_per_second: u32) -> Self {
        Self::new(Mode::Average(Average::new(bits_per_second)), Models::USUAL)
    }

    /// `total_bits` for all packets together, after a first pass over the same inputs.
    ///
    /// The first pass is an encode with [`recording`](Self::recording), at best with [`average`](Self::average) at
    /// the rate that the total comes to, since sizes at similar quantisers tell most; any preset will do.
    #[must_use]
    pub fn two_pass(first: &FirstPass, total_bits: u64) -> Self {
        let mode = TwoPass::new(first, total_bits);
        let model = Model::new(1.0, (20.0 * mode.mean()).max(1.0), 0.98);
        Self::new(Mode::TwoPass(mode), Models([model; 2]))
    }

    fn new(mode: Mode, models: Models) -> Self {
        Self {
            state: State {
                mode,
                models,
                open: VecDeque::new(),
                accounted: 0,
                bits: 0.0,
                level: Level::default(),
                start: None,
                until: 0.0,
                last: None,
                skipped: HEADER_BITS,
                owed_key: false,
            },
            buffer: None,
            level: Level::default(),
            unreported: VecDeque::new(),
            sizes: VecDeque::new(),
            forgotten: 0,
            retry: None,
            first_pass: None,
            overflows: 0,
            dropped: 0,
        }
    }

    /// Keeps within what a player with a buffer of `buffer_bits` can receive at `bits_per_second`: if it begins when its
    /// buffer is full, or all is sent, it never has to wait for a picture. Any span of `t` seconds then has at most
    /// `buffer_bits + t * bits_per_second` bits.
    ///
    /// A picture that turns out too large is encoded again, more coarsely, and with it those that were begun after it. A
    /// picture too large at quantiser 31 is dropped: the one before is repeated, and a key frame comes with the next
    /// one. Only a key frame that is larger than the whole buffer at quantiser 31 is kept (see
    /// [`overflows`](Self::overflows)).
    #[must_use]
    pub fn bounded(mut self, bits_per_second: u32, buffer_bits: u32) -> Self {
        self.buffer = Some(Buffer::new(bits_per_second, buffer_bits));
        self
    }

    /// Remembers the pictures for a second pass.
    #[must_use]
    pub fn recording(mut self) -> Self {
        self.first_pass = Some(FirstPass::default());
        self
    }

    /// Whether it is [`recording`](Self::recording).
    #[must_use]
    pub fn is_recording(&self) -> bool {
        self.first_pass.is_some()
    }

    /// What was remembered, if it was [`recording`](Self::recording).
    #[must_use]
    pub fn into_first_pass(self) -> Option<FirstPass> {
        self.first_pass
    }

    /// Pictures that did not fit the buffer whatever was done.
    #[must_use]
    pub fn overflows(&self) -> u64 {
        self.overflows
    }

    /// Pictures that were dropped to keep within the bounds.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.dropped
    }

    /// Whether packets may not be accepted.
    pub(crate) fn may_refuse(&self) -> bool {
        self.buffer.is_some()
    }

    /// Whether an input is to be planned when the packets of all before it were reported: the last ones of a stream are,
    /// so that they can make up for what is missing.
    pub(crate) fn is_last(&self, input: &Input) -> bool {
        match input {
            Input::Frame(_, plan) if !matches!(self.state.mode, Mode::Constant(_)) => {
                plan.outlook.ends && plan.outlook.frames.len() <= LAST
            }
            _ => false,
        }
    }

    /// Plans the next input: sets the quantiser of a frame, or turns it into a repetition.
    pub(crate) fn plan(&mut self, input: &mut Input) {
        let before = self.buffer.map(|_| self.state.clone());
        let last = self.is_last(input);
        while (last || self.state.open.len() > Self::DELAY) && self.take_account() {}
        let retry = self.retry.take();
        let picture = match (&mut *input, retry) {
            (Input::Repeat, _) => self.state.repeat(),
            (Input::Frame(_, plan), Some(Retry::Drop)) => {
                self.state.owed_key |= plan.key;
                self.dropped += 1;
                let picture = Picture { key: false, demand: 0.0, ..self.state.known(plan)[0] };
                *input = Input::Repeat;
                picture
            }
            (Input::Frame(_, plan), retry) => {
                plan.key |= std::mem::take(&mut self.state.owed_key);
                let least = if let Some(Retry::Coarser(least)) = retry { least } else { 1.0 };
                self.state.frame(plan, self.buffer, least, last)
            }
        };
        self.state.until = picture.time + picture.duration;
        if let Mode::TwoPass(mode) = &mut self.state.mode {
            mode.advance();
        }
        self.state.open.push_back(picture);
        self.unreported.push_back(Unreported { picture, repeated: matches!(input, Input::Repeat), before });
    }

    /// Reports the next packet. If the answer is false, the packet is to be thrown away: then its input and all planned
    /// after it must be planned and encoded again.
    #[must_use]
    pub(crate) fn accept(&mut self, packet: &Packet) -> bool {
        let bits = 8.0 * packet.data.len() as f64;
        let Some(Unreported { picture, repeated, before }) = self.unreported.pop_front() else { return true };
        if let Some(buffer) = self.buffer {
            let level = buffer.after(self.level, picture.time, bits);
            if buffer.overflows(level) {
                let hopeless = repeated || picture.quantizer >= COARSEST && picture.key && bits > buffer.size;
                match before {
                    Some(before) if !hopeless => {
                        let room = buffer.room(self.level, picture.time);
                        self.plan_again(before, &picture, bits, room);
                        return false;
                    }
                    _ => self.overflows += 1,
                }
            }
            self.level = level;
        }
        if let Some(first_pass) = &mut self.first_pass {
            first_pass.push(&picture, bits);
        }
        self.sizes.push_back(bits);
        if self.sizes.len() > 4 * Self::DELAY {
            self.sizes.pop_front();
            self.forgotten += 1;
        }
        true
    }

    /// Goes back to the state before `picture`, which took too many `bits`.
    fn plan_again(&mut self, before: State, picture: &Picture, bits: f64, room: f64) {
        self.state = before;
        self.unreported.clear();
        while self.take_account() {}
        self.retry = Some(if picture.quantizer >= COARSEST {
            Retry::Drop
        } else {
            self.state.models.learn(picture, bits);
            let excess = (bits / room.max(1.0)).clamp(1.0, COARSEST);
            Retry::Coarser((picture.quantizer * 1.1 * excess).min(COARSEST))
        });
    }

    /// Puts the size of the oldest open picture in the place of its prediction, if it is known.
    fn take_account(&mut self) -> bool {
        let state = &mut self.state;
        let size = self.sizes.get((state.accounted - self.forgotten) as usize);
        let (Some(picture), Some(&bits)) = (state.open.front().copied(), size) else { return false };
        state.open.pop_front();
        state.accounted += 1;
        state.bits += bits;
        match &mut state.mode {
            Mode::Constant(_) => {}
            Mode::Average(average) => average.remember(&picture, bits),
            Mode::TwoPass(mode) => mode.compare(&picture, bits, &state.models),
        }
        state.models.learn(&picture, bits);
        if let Some(buffer) = self.buffer {
            state.level = buffer.after(state.level, picture.time, bits);
        }
        true
    }
}

impl State {
    /// Plans a frame, at a quantiser of `least` or more; `last` if it is one of the last.
    fn frame(&mut self, plan: &mut Plan, buffer: Option<Buffer>, least: f64, last: bool) -> Picture {
        let mut known = self.known(plan);
        let spent = self.bits + self.open.iter().map(|p| self.models.bits(p, p.quantizer)).sum::<f64>();
        let wanted = match &self.mode {
            Mode::Constant(quantizer) => *quantizer,
            Mode::Average(average) => self
                .limit(average.quantizer(&known, plan.outlook.ends, spent, self.last, &self.models), STEPS),
            Mode::TwoPass(mode) => {
                mode.fill_in(&mut known);
                mode.quantizer(spent, self.last, &self.models)
                    .map_or(self.last.unwrap_or(COARSEST), |quantizer| {
                        self.limit(quantizer, if last { STEPS } else { SMALL_STEPS })
                    })
            }
        };
        self.last = Some(wanted);
        let mut quantizer = wanted.max(least);
        if let Some(buffer) = buffer {
            let level = self
                .open
                .iter()
                .fold(self.level, |level, p| buffer.after(level, p.time, self.models.bits(p, p.quantizer)));
            quantizer = buffer.quantizer(quantizer, level, &known, &self.models);
        }
        plan.set_quantizer((quantizer * 16.0 + 0.5) as u16);
        Picture { quantizer: f64::from(plan.quantizer) / 16.0, ..known[0] }
    }

    /// Keeps the quantiser from leaping.
    fn limit(&self, quantizer: f64, [finer, coarser]: [f64; 2]) -> f64 {
        self.last.map_or(quantizer, |last| quantizer.clamp(last / finer, last * coarser)).clamp(1.0, COARSEST)
    }

    /// A frame and those after it; at least one.
    fn known(&mut self, plan: &Plan) -> Vec<Picture> {
        self.skipped = HEADER_BITS + plan.macroblocks.len() as f64;
        let Outlook { time, frames, .. } = &*plan.outlook;
        let mut time = time.saturating_sub(*self.start.get_or_insert(*time)).as_secs_f64();
        let mut pictures = Vec::with_capacity(frames.len());
        for &Expected { key, complexity, duration } in frames {
            let duration = duration.as_secs_f64();
            let demand = f64::from(complexity.max(1));
            pictures.push(Picture { key, time, duration, fixed: self.skipped, demand, quantizer: COARSEST });
            time += duration;
        }
        pictures[0].key = plan.key;
        pictures
    }

    /// Plans a repetition of the last picture. It comes while that stands, so its time is counted already.
    fn repeat(&self) -> Picture {
        let (time, fixed) = (self.until, self.skipped);
        Picture { key: false, time, duration: 0.0, fixed, demand: 0.0, quantizer: COARSEST }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lookahead::MacroblockPlan;
    use oggflv_common::{Frame, PixelFormat};

    #[test]
    fn the_scale_of_quality() {
        assert_eq!([0, 50, 67, 100].map(quantizer_for_quality), [496, 94, 52, 16]);
        assert!(
            (1..=100).all(|quality| quantizer_for_quality(quality) <= quantizer_for_quality(quality - 1))
        );
    }

    /// Frames of one macroblock and their complexities, of which 40 are known at a time; each stands for a 25th second.
    fn inputs(complexities: &[(bool, u32)]) -> Vec<Input> {
        let duration = Duration::from_millis(40);
        let expected = |&(key, complexity)| Expected { key, complexity, duration };
        (0..complexities.len())
            .map(|n| {
                let end = complexities.len().min(n + 40);
                let outlook = Outlook {
                    time: n as u32 * duration,
                    frames: complexities[n..end].iter().map(expected).collect(),
                    ends: end == complexities.len(),
                };
                let (key, macroblocks) = (complexities[n].0, vec![MacroblockPlan::FLAT]);
                let plan = Plan { key, quantizer: 0, macroblocks, outlook: Box::new(outlook) };
                Input::Frame(Frame::new(PixelFormat::Yuv420, 16, 16), plan)
            })
            .collect()
    }

    /// Sizes in bits of pictures that are made as `rate` says, `delay` of them at a time, by `size` from the complexity and
    /// the quantiser.
    fn encode(
        rate: &mut RateControl,
        mut inputs: Vec<Input>,
        delay: usize,
        size: impl Fn(bool, f64, f64) -> f64,
    ) -> Vec<f64> {
        let (mut sizes, mut planned) = (Vec::new(), 0);
        while sizes.len() < inputs.len() {
            while planned < inputs.len() && planned < sizes.len() + delay {
                if rate.is_last(&inputs[planned]) && planned > sizes.len() {
                    break;
                }
                rate.plan(&mut inputs[planned]);
                planned += 1;
            }
            let bytes = match &inputs[sizes.len()] {
                Input::Repeat => 12,
                Input::Frame(_, plan) => {
                    let complexity = f64::from(plan.outlook.frames[0].complexity);
                    (size(plan.key, complexity, f64::from(plan.quantizer) / 16.0) / 8.0) as usize
                }
            };
            if rate.accept(&Packet { key: false, data: vec![0; bytes] }) {
                sizes.push(8.0 * bytes as f64);
            } else {
                planned = sizes.len();
            }
        }
        sizes
    }

    /// A minute of three scenes, each harder than the one before, with key frames.
    fn minute() -> Vec<(bool, u32)> {
        (0..1500)
            .map(|n| {
                if n % 250 == 0 {
                    (true, 900_000)
                } else {
                    (false, 200_000 + n % 7 * 10_000 + n / 500 * 100_000)
                }
            })
            .collect()
    }

    #[test]
    fn the_average_is_met_whatever_a_unit_of_complexity_takes() {
        for factor in [0.3, 1.0, 2.0] {
            let size =
                |key, complexity, quantizer| factor * complexity / quantizer * if key { 3.0 } else { 1.0 };
            let mut rate = RateControl::average(1_000_000);
            let bits: f64 = encode(&mut rate, inputs(&minute()), 17, size).iter().sum();
            assert!((bits / 60e6 - 1.0).abs() < 0.01, "factor {factor}: {bits}");
        }
    }

    /// The second pass uses nearly one quantiser, though sizes go with another power of it than is believed.
    #[test]
    fn the_total_is_met_with_one_quantiser() {
        for power in [0.7f64, 1.4] {
            let size = |_, complexity: f64, quantizer| complexity / f64::powf(quantizer, power);
            let mut first = RateControl::constant(5 * 16).recording();
            let bits: f64 = encode(&mut first, inputs(&minute()), 9, size).iter().sum();
            let wanted = (0.6 * bits) as u64;
            let mut rate = RateControl::two_pass(&first.into_first_pass().unwrap(), wanted);
            let sizes = encode(&mut rate, inputs(&minute()), 9, size);
            let bits: f64 = sizes.iter().sum();
            assert!((bits / wanted as f64 - 1.0).abs() < 0.003, "{bits}, {wanted}");
            let relative = |n: usize| f64::powf(f64::from(minute()[n].1) / sizes[n], 1.0 / power);
            let (least, most) =
                (200..1450).map(relative).fold((31.0f64, 1.0f64), |(a, b), q| (a.min(q), b.max(q)));
            assert!(most / least < 1.15, "{least} to {most}");
        }
    }

    /// Pictures that are ten times as large as the model believes are made again until they fit.
    #[test]
    fn the_bucket_never_overflows() {
        let mut complexities = minute();
        for n in [300, 700, 701, 1100] {
            complexities[n].1 = 10_000_000;
        }
        let size = |_, complexity: f64, quantizer| {
            complexity / quantizer * if complexity > 1e6 { 10.0 } else { 1.0 }
        };
        let [line, room] = [1_500_000.0, 1_000_000.0];
        let bounded = || RateControl::constant(4 * 16).bounded(line as u32, room as u32);
        let mut rate = bounded();
        let sizes = encode(&mut rate, inputs(&complexities), 1, size);
        let mut level = 0.0f64;
        for (n, bits) in sizes.iter().enumerate() {
            level = (level - line / 25.0).max(0.0) + bits;
            assert!(level <= room, "{n}: {level}");
        }
        // At quantiser 31 they take 3.2 million bits.
        assert_eq!((rate.dropped(), rate.overflows()), (4, 0));
        for delay in [2, 7, 16] {
            assert_eq!(encode(&mut bounded(), inputs(&complexities), delay, size), sizes);
        }
    }
}
