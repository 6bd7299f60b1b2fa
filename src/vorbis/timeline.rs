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
///   many samples are cut at the beginning, or at the end if this is the end-of-stream page. A stream
///   without granule positions starts at 0.
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
    /// Absolute index of the first sample.
    start: Option<i64>,
    /// Absolute index of the first held sample, once the start is known.
    position: i64,
    /// Output index less granule position: not 0 after a discontinuity.
    shift: i64,
    /// The last sample let go, a channel.
    last: Vec<f32>,
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
            start: None,
            position: 0,
            shift: 0,
            last: vec![0.0; channels],
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

    /// Takes the block of the next packet: empty if the packet yielded none, be it the first one, or one
    /// that could not be decoded. Returns the samples whose place is now known, often none.
    ///
    /// # Panics
    /// If `block` has neither no channels nor as many as the timeline.
    pub fn push(&mut self, block: &Pcm, at: Placement) -> Pcm {
        if at.lost_before || length(block) == 0 {
            self.seam.get_or_insert(length(&self.held));
        }
        assert!(block.is_empty() || block.len() == self.held.len(), "channels of a block");
        for (held, block) in self.held.iter_mut().zip(block) {
            held.extend_from_slice(block);
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
        let start = granule_pos - length(&self.held) as i64;
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
        self.seam = None;
        self.start.get_or_insert(0);
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
        for channel in &mut self.held {
            let after = channel.split_off(at);
            channel.resize(at + missing, 0.0);
            channel.extend(after);
        }
        self.join(at, self.joint.min(missing));
        self.join(at + missing, self.joint);
    }

    /// Takes the step out of the waveform at index `at` of the held samples: what follows starts from the
    /// value before it and is led back to its own within `length` samples.
    fn join(&mut self, at: usize, length: usize) {
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
