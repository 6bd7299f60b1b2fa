//! Vorbis I, section A.2: granule positions place the samples in time.
//!
//! A page's granule position is the absolute number of samples, a channel, at the end of the last packet
//! that ends on the page. Between two such anchors the samples are held back; at the anchor it shows
//! whether some are missing or too many.

use std::mem;

use super::Pcm;

/// Most samples a channel held back for want of a granule position.
const MAX_HELD: usize = 1 << 20;

/// Largest granule position believed: 2^60 samples are 47,000 years at 768 kHz.
const MAX_GRANULE_POS: i64 = 1 << 60;

/// Longest single gap filled with silence, and longest lead cut away, in seconds.
const MAX_GAP_SECONDS: i64 = 60;

/// Most samples, in all channels together, in a single gap: 64 MB.
const MAX_GAP_SAMPLES: i64 = 1 << 24;

/// Most silence put into a stream altogether, in seconds.
const MAX_SILENCE_SECONDS: i64 = 3600;

/// Where a packet stands in the Ogg stream.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Placement {
    /// Granule position of the page on which the packet ends, if it has one.
    pub page_granule_pos: Option<i64>,
    /// Number of packets that end on that page after this one.
    pub after_on_page: u32,
    /// Whether packets before this one are lost.
    pub lost_before: bool,
    /// Whether this is the last packet that ends on the page with the end-of-stream flag.
    pub last_on_eos_page: bool,
}

/// Turns decoded blocks and granule positions into one continuous run of samples.
///
/// Sample `i` of all that [`push`](Self::push) and [`finish`](Self::finish) return stands at the absolute
/// sample index [`start`](Self::start)` + i`. Rules, in the order of the stream:
///
/// - The first granule position less the samples decoded up to it is the start. If that is negative, so
///   many samples are cut at the beginning, or at the end if this is the end-of-stream page. If samples are
///   missing after a loss up to there, the start is taken to be 0. A stream without granule positions
///   starts at 0.
/// - Where samples are missing after a loss, silence of exactly their length stands for them; it goes to
///   the place of the loss. Where the samples lag or lead by more than 10 ms without a loss, silence is put
///   in or samples are cut after the previous anchor. Smaller deviations are let be, so the output is never
///   more than 10 ms off an anchor. The sound is led to and from such a place within 5 ms, lest it click.
/// - The granule position of the end-of-stream page cuts the end.
/// - A lag or lead of more than 60 s (less at many channels and high rates: what 64 MB hold), and any gap
///   once an hour of silence has been put in, is a discontinuity of the granule positions: the samples go on
///   without a gap, and later granule positions count from there.
///
/// What is held back is at most 2^20 samples a channel; without a granule position in so many they are let go.
pub struct Timeline {
    /// Samples since the last anchor.
    held: Pcm,
    /// Where in `held` samples are missing, if they are.
    seam: Option<usize>,
    /// What was lost of the samples let go last: where, and how many samples of silence stand for it.
    loss: Option<(i64, i64)>,
    /// Samples of silence put in since the last anchor.
    filled: i64,
    /// Absolute index of the first sample.
    start: Option<i64>,
    /// Absolute index of the first held sample, once the start is known.
    position: i64,
    /// Output index less granule position: not 0 after a discontinuity.
    shift: i64,
    /// The last sample let go, a channel.
    last: Vec<f32>,
    /// Whether the next samples are to be joined to those before them.
    join_next: bool,
    /// Deviation tolerated without a loss, in samples.
    tolerance: i64,
    /// Longest gap or lead, in samples.
    max_gap: i64,
    /// Silence that may still be put in, in samples.
    silence_left: i64,
    /// Length of a joint, in samples.
    joint: usize,
}

impl Timeline {
    /// A timeline for a stream of `sample_rate` Hz with `channels` channels (1 at least).
    pub fn new(sample_rate: u32, channels: usize) -> Self {
        let rate = i64::from(sample_rate);
        Self {
            held: vec![Vec::new(); channels],
            seam: None,
            loss: None,
            filled: 0,
            start: None,
            position: 0,
            shift: 0,
            last: vec![0.0; channels],
            join_next: false,
            tolerance: rate / 100,
            max_gap: (MAX_GAP_SECONDS * rate).min(MAX_GAP_SAMPLES / channels as i64),
            silence_left: MAX_SILENCE_SECONDS * rate,
            joint: (sample_rate as usize / 200).max(1),
        }
    }

    /// Absolute index, in samples of the source rate, of the first sample returned; `None` until that is
    /// known. 0 at least.
    pub fn start(&self) -> Option<i64> {
        self.start
    }

    /// What was lost of the samples that were returned last, unless that was asked before: the absolute index where it
    /// was, and how many samples of silence stand for it.
    pub fn take_loss(&mut self) -> Option<(i64, i64)> {
        self.loss.take()
    }

    /// Takes the block of the next packet: empty if the packet yielded none, be it the first one, or one
    /// that could not be decoded. Returns the samples whose place is now known, often none.
    ///
    /// # Panics
    /// If `block` has neither no channels nor as many as the timeline.
    pub fn push(&mut self, block: &Pcm, at: Placement) -> Pcm {
        let end = length(&self.held);
        // Before the start, an empty block is the first one, and a loss before any sample is none.
        let missing = if self.start.is_none() {
            at.lost_before && end > 0
        } else {
            at.lost_before || length(block) == 0
        };
        if missing {
            self.seam.get_or_insert(end);
        }
        assert!(block.is_empty() || block.len() == self.held.len(), "channels of a block");
        for (held, block) in self.held.iter_mut().zip(block) {
            held.extend_from_slice(block);
        }
        if self.join_next {
            self.join(end, self.joint);
        }
        let anchor =
            at.page_granule_pos.filter(|g| at.after_on_page == 0 && (0..=MAX_GRANULE_POS).contains(g));
        match anchor {
            Some(granule_pos) if self.start.is_none() => self.begin(granule_pos, at.last_on_eos_page),
            Some(granule_pos) => self.settle(granule_pos, at.last_on_eos_page),
            None if length(&self.held) < MAX_HELD => return vec![Vec::new(); self.held.len()],
            None => {}
        }
        self.release()
    }

    /// Returns what is still held back, at the end of the stream. After this the start is known.
    pub fn finish(&mut self) -> Pcm {
        self.release()
    }

    /// The first anchor: `granule_pos` is the end of the held samples.
    fn begin(&mut self, granule_pos: i64, eos: bool) {
        let mut start = granule_pos - length(&self.held) as i64;
        if let Some(at) = self.seam.filter(|_| 0 < start && start <= self.max_gap) {
            self.silence_left -= start;
            self.insert_silence(at, start as usize);
            start = 0;
        }
        if start < 0 {
            let surplus = start.unsigned_abs() as usize;
            if eos {
                self.truncate(surplus);
            } else {
                self.cut(0, surplus);
            }
        }
        self.position = start.max(0);
        self.start = Some(self.position);
    }

    /// A later anchor: makes the held samples end at `granule_pos`, if that is to be believed.
    fn settle(&mut self, granule_pos: i64, eos: bool) {
        let held = length(&self.held);
        let missing = granule_pos + self.shift - (self.position + held as i64);
        let at = self.seam.unwrap_or(0);
        let noticeable = missing.abs() > self.tolerance || (missing > 0 && self.seam.is_some());
        if eos && -self.max_gap <= missing && missing < 0 {
            self.truncate(missing.unsigned_abs() as usize);
        } else if missing.abs() > self.max_gap || (noticeable && missing > self.silence_left) {
            self.shift -= missing;
            self.join(at, self.joint);
        } else if noticeable && missing > 0 {
            self.silence_left -= missing;
            self.insert_silence(at, missing as usize);
        } else if noticeable {
            let surplus = (missing.unsigned_abs() as usize).min(held);
            let at = at.min(held - surplus);
            self.cut(at, surplus);
            self.join(at, self.joint);
        }
    }

    /// Lets the held samples go.
    fn release(&mut self) -> Pcm {
        self.start.get_or_insert(0);
        let filled = mem::take(&mut self.filled);
        if let Some(at) = self.seam.take() {
            self.loss = Some((self.position + at as i64, filled));
        }
        self.position += length(&self.held) as i64;
        for (last, held) in self.last.iter_mut().zip(&self.held) {
            *last = held.last().copied().unwrap_or(*last);
        }
        let channels = self.held.len();
        mem::replace(&mut self.held, vec![Vec::new(); channels])
    }

    fn truncate(&mut self, surplus: usize) {
        for channel in &mut self.held {
            channel.truncate(channel.len().saturating_sub(surplus));
        }
    }

    fn cut(&mut self, at: usize, surplus: usize) {
        for channel in &mut self.held {
            channel.drain(at..at + surplus);
        }
    }

    fn insert_silence(&mut self, at: usize, missing: usize) {
        self.filled += missing as i64;
        for channel in &mut self.held {
            let after = channel.split_off(at);
            channel.resize(at + missing, 0.0);
            channel.extend(after);
        }
        self.join(at, self.joint.min(missing));
        self.join(at + missing, self.joint);
    }

    /// Takes the step out of the waveform at index `at` of the held samples: what follows starts from the
    /// value before it and is led back to its own within `length` samples. If nothing follows yet, this is
    /// for the next samples.
    fn join(&mut self, at: usize, length: usize) {
        self.join_next = at == self::length(&self.held);
        for (channel, last) in self.held.iter_mut().zip(&self.last) {
            let before = if at > 0 { channel[at - 1] } else { *last };
            let Some(&first) = channel.get(at) else { continue };
            let length = length.min(channel.len() - at);
            for (i, sample) in channel[at..at + length].iter_mut().enumerate() {
                *sample += (before - first) * ((length - i) as f32 / (length + 1) as f32);
            }
        }
    }
}

fn length(pcm: &Pcm) -> usize {
    pcm.first().map_or(0, Vec::len)
}

#[cfg(test)]
mod tests {
    use super::*;

    const RATE: u32 = 1000;

    /// A mono timeline at 1 kHz, and what it has let go: 10 ms are 10 samples, a joint is 5.
    struct Run {
        timeline: Timeline,
        out: Vec<f32>,
    }

    impl Run {
        fn new() -> Self {
            Self { timeline: Timeline::new(RATE, 1), out: Vec::new() }
        }

        fn push_at(&mut self, block: &[f32], at: Placement) {
            let pcm = self.timeline.push(&vec![block.to_vec()], at);
            self.out.extend(pcm.concat());
        }

        /// A page of `length` samples of value `value`, ending at `granule_pos`.
        fn page(&mut self, value: f32, length: usize, granule_pos: impl Into<Option<i64>>) {
            let page_granule_pos = granule_pos.into();
            self.push_at(&vec![value; length], Placement { page_granule_pos, ..Placement::default() });
        }

        fn eos(&mut self, value: f32, length: usize, granule_pos: i64) {
            let at = Placement {
                page_granule_pos: Some(granule_pos),
                last_on_eos_page: true,
                ..Placement::default()
            };
            self.push_at(&vec![value; length], at);
        }

        /// The absolute index of the end of what was let go.
        fn end(&self) -> i64 {
            self.timeline.start().unwrap() + self.out.len() as i64
        }
    }

    #[test]
    fn without_granule_positions_the_start_is_0() {
        let mut run = Run::new();
        for _ in 0..3 {
            run.page(0.5, 100, None);
        }
        assert_eq!((run.timeline.start(), run.out.len()), (None, 0));
        run.out = run.timeline.finish().concat();
        assert_eq!((run.timeline.start(), run.out.clone()), (Some(0), vec![0.5; 300]));
    }

    #[test]
    fn what_is_held_back_is_bounded() {
        let mut run = Run::new();
        let mut pushed = 0;
        for _ in 0..600 {
            run.page(0.5, 4096, None);
            pushed += 4096;
            assert!(pushed - run.out.len() < MAX_HELD + 4096);
        }
        assert!(run.out.len() >= MAX_HELD);
    }

    #[test]
    fn only_the_last_packet_of_a_page_is_an_anchor() {
        let mut run = Run::new();
        for after_on_page in [2, 1, 0] {
            let at = Placement { page_granule_pos: Some(1300), after_on_page, ..Placement::default() };
            assert!(run.out.is_empty());
            run.push_at(&[0.5; 100], at);
        }
        assert_eq!((run.timeline.start(), run.out.len()), (Some(1000), 300));
    }

    #[test]
    fn the_end_is_cut_at_the_last_granule_position() {
        let mut run = Run::new();
        run.page(0.5, 100, 100);
        run.eos(0.5, 100, 137);
        assert_eq!(run.out, vec![0.5; 137]);
    }

    #[test]
    fn a_single_page_is_cut_at_its_end() {
        let mut run = Run::new();
        run.push_at(&(0..100).map(|n| n as f32).collect::<Vec<_>>(), Placement::default());
        run.eos(0.0, 0, 60);
        assert_eq!(run.timeline.start(), Some(0));
        assert_eq!(run.out, (0..60).map(|n| n as f32).collect::<Vec<_>>());
    }

    #[test]
    fn small_deviations_are_let_be_and_do_not_add_up() {
        for step in [99, 101] {
            let mut run = Run::new();
            let mut changes = 0;
            for page in 1..=200 {
                let before = run.out.len();
                run.page(0.5, 100, 5000 + step * page);
                changes += i64::from(run.out.len() - before != 100);
                assert!((run.end() - (5000 + step * page)).abs() <= 10);
            }
            // 200 samples in corrections of 11.
            assert_eq!(changes, 18);
        }
    }

    #[test]
    fn a_jump_forwards_becomes_silence_with_joints() {
        let mut run = Run::new();
        run.page(0.6, 100, 100);
        run.page(0.6, 100, 250);
        assert_eq!(run.out.len(), 250);
        let close = |actual: f32, expected: f32| (actual - expected).abs() < 1e-6;
        for n in 0..5 {
            let part = (5 - n) as f32 / 6.0;
            assert!(close(run.out[100 + n], 0.6 * part));
            assert!(close(run.out[150 + n], 0.6 - 0.6 * part));
        }
        assert!(run.out[105..150].iter().all(|&sample| sample == 0.0));
        assert!(run.out[155..].iter().all(|&sample| sample == 0.6));
    }

    #[test]
    fn a_loss_before_the_first_granule_position_is_filled() {
        let mut run = Run::new();
        run.page(0.5, 40, None);
        run.push_at(&[], Placement { lost_before: true, ..Placement::default() });
        run.page(0.5, 60, 150);
        assert_eq!((run.timeline.start(), run.out.len()), (Some(0), 150));
        assert_eq!(run.timeline.take_loss(), Some((40, 50)));
        assert!(run.out[45..90].iter().all(|&sample| sample == 0.0));

        // But not if the first granule position is too late for that.
        let mut run = Run::new();
        run.page(0.5, 40, None);
        run.push_at(&[], Placement { lost_before: true, ..Placement::default() });
        run.page(0.5, 60, 604_000);
        assert_eq!((run.timeline.start(), run.out.len()), (Some(603_900), 100));
    }

    #[test]
    fn a_loss_is_filled_where_it_is_however_short() {
        let mut run = Run::new();
        run.page(0.5, 100, 100);
        run.page(0.5, 40, None);
        run.push_at(&[], Placement { lost_before: true, ..Placement::default() });
        run.page(0.5, 60, 203);
        assert_eq!(run.out.len(), 203);
        assert_eq!((run.timeline.take_loss(), run.timeline.take_loss()), (Some((140, 3)), None));
        assert!(run.out[..140].iter().all(|&sample| sample == 0.5));
        assert!(run.out[140..143].iter().all(|&sample| sample < 0.4));
        assert!(run.out[148..].iter().all(|&sample| sample == 0.5));
    }

    #[test]
    fn samples_after_silence_at_the_end_of_a_page_are_joined() {
        let mut run = Run::new();
        run.page(0.6, 100, 100);
        run.push_at(
            &[],
            Placement { lost_before: true, page_granule_pos: Some(150), ..Placement::default() },
        );
        run.page(0.6, 100, 250);
        assert_eq!((run.out.len(), run.out[149]), (250, 0.0));
        assert!((run.out[150] - 0.1).abs() < 1e-6 && run.out[155] == 0.6);
    }

    #[test]
    fn a_jump_backwards_cuts_samples() {
        let mut run = Run::new();
        run.page(0.5, 1000, 1000);
        run.page(0.5, 100, 950);
        assert_eq!(run.out.len(), 1000);
        run.page(0.5, 100, 1050);
        assert_eq!(run.out.len(), 1050);
    }

    #[test]
    fn a_hostile_granule_position_makes_no_silence() {
        for granule_pos in [i64::MAX, 1 << 62, 1 << 59, 60 * 1000 + 201] {
            let mut run = Run::new();
            run.page(0.5, 100, 100);
            run.page(0.5, 100, granule_pos);
            run.page(0.5, 100, 300);
            assert_eq!(run.out, vec![0.5; 300], "{granule_pos}");
            // Granule positions still count.
            run.page(0.5, 100, 450);
            assert_eq!(run.out.len(), 450, "{granule_pos}");
        }
        for granule_pos in [i64::MIN, -1] {
            let mut run = Run::new();
            run.page(0.5, 100, granule_pos);
            assert_eq!(run.timeline.start(), None);
        }
    }

    #[test]
    fn after_a_discontinuity_granule_positions_count_from_there() {
        let mut run = Run::new();
        run.page(0.5, 100, 500_000);
        run.page(0.5, 100, 7100);
        run.page(0.5, 100, 7200);
        run.page(0.5, 100, 7330);
        assert_eq!((run.timeline.start(), run.out.len()), (Some(499_900), 430));
        run.eos(0.5, 100, 7400);
        assert_eq!(run.out.len(), 500);
    }

    #[test]
    fn silence_is_bounded_altogether() {
        let mut run = Run::new();
        let mut granule_pos = 100;
        run.page(0.5, 100, granule_pos);
        for _ in 0..100 {
            granule_pos += 59_000 + 100;
            run.page(0.5, 100, granule_pos);
        }
        // 61 gaps of 59 s are within an hour.
        assert_eq!(run.out.len(), 101 * 100 + 61 * 59_000);
    }

    #[test]
    fn a_gap_holds_64_megabytes_at_most() {
        assert_eq!(Timeline::new(48_000, 2).max_gap, 60 * 48_000);
        assert_eq!(Timeline::new(768_000, 8).max_gap * 8 * 4, 1 << 26);
    }
}
