//! Encoding with several threads: pictures overlap, each one as far behind the one before as vectors reach.
//!
//! Every thread has an encoder of its own. A picture is passed on row by row, as soon as it is encoded. Nothing else
//! passes between pictures, so the packets are those of one encoder, whatever the number of threads.

use crate::config::{Config, Preset};
use crate::encoder::{Encoder, Packet};
use crate::error::{ConfigError, EncodeError};
use crate::lookahead::Plan;
use crate::picture::PictureType;
use crate::planes::Band;
use crate::rate::RateControl;
use oggflv_common::{Frame, PixelFormat};
use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

/// More threads than this have nothing to do; rate control counts on it.
const MAX_THREADS: usize = RateControl::DELAY - 1;

/// What a thread's work is wrapped in; it has to do the work it is given once.
pub type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

/// What comes next.
#[derive(Clone, Debug)]
pub enum Input {
    /// A frame, to be encoded as planned.
    Frame(Frame, Plan),
    /// The last picture again, as by [`Encoder::encode_skipped`].
    Repeat,
}

/// What became of an [`Input`].
#[derive(Clone, Debug)]
pub struct Output {
    /// The coded picture.
    pub packet: Packet,
    /// The frame that was encoded, for further use.
    pub frame: Option<Frame>,
    /// The sum of squared differences between its samples and those of the decoded picture, in the planes Y, U and V. None
    /// if it is not [measured](ParallelEncoder::measuring), and of repetitions.
    pub squared_errors: Option<[u64; 3]>,
}

/// Encodes pictures with several threads. The packets are those of one [`Encoder`], some inputs later.
pub struct ParallelEncoder {
    config: Config,
    /// Encodes by itself where one thread is wanted; else it is what the threads start from.
    encoder: Encoder,
    threads: usize,
    workers: Vec<Worker>,
    /// Inputs taken, and packets made.
    taken: u64,
    given: u64,
    /// What was waited for and not handed out.
    done: VecDeque<Output>,
    /// The newest picture.
    newest: Arc<Progress>,
    /// The picture before the oldest one in work, if its packet may be refused.
    shown: Vec<Arc<Band>>,
    rate: Option<RateControl>,
    measuring: bool,
    around: Around,
}

impl ParallelEncoder {
    /// An encoder with `threads` threads, or one that works on the caller's thread if that is 1.
    ///
    /// # Errors
    /// If a setting is outside its range.
    pub fn new(config: Config, preset: Preset, threads: NonZeroUsize) -> Result<Self, ConfigError> {
        Ok(Self {
            encoder: Encoder::with_preset(config.clone(), preset)?,
            config,
            threads: threads.get().min(MAX_THREADS),
            workers: Vec::new(),
            taken: 0,
            given: 0,
            done: VecDeque::new(),
            newest: Arc::default(),
            shown: Vec::new(),
            rate: None,
            measuring: false,
            around: Arc::new(|work| work()),
        })
    }

    /// Lets `rate` choose the quantisers, and what becomes of pictures that are too large, from the first input on.
    #[must_use]
    pub fn with_rate(mut self, rate: RateControl) -> Self {
        self.rate = Some(rate);
        self
    }

    /// Measures how far the decoded pictures are from the frames, from the first input on.
    #[must_use]
    pub fn measuring(mut self) -> Self {
        self.measuring = true;
        self
    }

    /// Lets every thread that is started do its work within `around`, so that the caller can see what it takes.
    #[must_use]
    pub fn within(mut self, around: Around) -> Self {
        self.around = around;
        self
    }

    /// The rate control, which knows how it went.
    #[must_use]
    pub fn into_rate(self) -> Option<RateControl> {
        self.rate
    }

    /// Hands over an input, and hands out the result of the oldest one if there are more in work than threads.
    ///
    /// # Errors
    /// If the frame is not 4:2:0 of the configured size.
    ///
    /// # Panics
    /// If a thread cannot be started, or has panicked.
    pub fn encode(&mut self, input: Input) -> Result<Option<Output>, EncodeError> {
        let input = match input {
            Input::Repeat if self.taken == 0 => {
                let black = Frame::new(PixelFormat::Yuv420, self.config.width, self.config.height);
                Input::Frame(black, Plan::flat(&self.config, true))
            }
            input => input,
        };
        if let Input::Frame(frame, _) = &input {
            self.config.check(frame)?;
        }
        if self.threads == 1 {
            return self.encode_here(input).map(Some);
        }
        let wait = self.rate.as_ref().is_some_and(|rate| rate.is_last(&input));
        // One more than threads, so that a thread that is done has the next picture at once.
        while self.in_work() > self.threads || wait && self.in_work() > 0 {
            let output = self.wait();
            self.done.push_back(output);
        }
        self.send(input);
        Ok(self.done.pop_front())
    }

    /// Waits for the result of the oldest input in work. None if there is none.
    ///
    /// # Panics
    /// If a thread has panicked.
    pub fn finish(&mut self) -> Option<Output> {
        self.done.pop_front().or_else(|| (self.in_work() > 0).then(|| self.wait()))
    }

    /// Waits for the oldest input in work, of which there must be one.
    fn wait(&mut self) -> Output {
        loop {
            let mut coded = self.worker(self.given).done();
            if self.rate.as_mut().is_none_or(|rate| rate.accept(&coded.packet)) {
                self.given += 1;
                self.shown = std::mem::take(&mut coded.bands);
                return coded.into();
            }
            // What was begun after it has the wrong reference.
            let mut inputs = vec![coded.input];
            inputs.extend((self.given + 1..self.taken).map(|number| self.worker(number).done().input));
            self.taken = self.given;
            self.newest = Arc::new(Progress::complete(self.shown.clone()));
            for input in inputs {
                self.send(input);
            }
        }
    }

    /// Gives a thread something to do.
    fn send(&mut self, mut input: Input) {
        if let Some(rate) = &mut self.rate {
            rate.plan(&mut input);
        }
        let index = (self.taken % self.threads as u64) as usize;
        if index == self.workers.len() {
            let wishes = Wishes {
                errors: self.measuring,
                bands: self.rate.as_ref().is_some_and(RateControl::may_refuse),
            };
            let worker = Worker::new(index, self.encoder.clone(), wishes, Arc::clone(&self.around));
            self.workers.push(worker);
        }
        let own = Arc::new(Progress::default());
        let before = std::mem::replace(&mut self.newest, Arc::clone(&own));
        let nap = (self.encoder.mb_height() / (2 * self.threads)).max(1);
        self.workers[index].send(Job { number: self.taken, input, before, own, nap });
        self.taken += 1;
    }

    /// The thread that has input `number`.
    fn worker(&self, number: u64) -> &Worker {
        &self.workers[(number % self.threads as u64) as usize]
    }

    fn in_work(&self) -> usize {
        (self.taken - self.given) as usize
    }

    fn encode_here(&mut self, mut input: Input) -> Result<Output, EncodeError> {
        self.taken += 1;
        self.given += 1;
        loop {
            if let Some(rate) = &mut self.rate {
                rate.plan(&mut input);
            }
            let before =
                self.rate.as_ref().is_some_and(RateControl::may_refuse).then(|| self.encoder.clone());
            let packet = match &input {
                Input::Frame(frame, plan) => self.encoder.encode_planned(frame, plan)?,
                Input::Repeat => self.encoder.encode_skipped(),
            };
            if self.rate.as_mut().is_none_or(|rate| rate.accept(&packet)) {
                let mut sum = None;
                if let (Input::Frame(frame, _), true) = (&input, self.measuring) {
                    for (mb_y, band) in self.encoder.bands().iter().enumerate() {
                        add(&mut sum, band.squared_errors(&frame.view(), mb_y));
                    }
                }
                return Ok(Coded { packet, input, squared_errors: sum, bands: Vec::new() }.into());
            }
            self.encoder = before.expect("nothing but a bounded rate refuses packets");
        }
    }
}

/// What was made of an input.
#[derive(Debug)]
struct Coded {
    packet: Packet,
    input: Input,
    squared_errors: Option<[u64; 3]>,
    /// The picture, if it was wished for.
    bands: Vec<Arc<Band>>,
}

/// What is wished for besides the packet.
#[derive(Clone, Copy, Debug)]
struct Wishes {
    errors: bool,
    bands: bool,
}

/// Adds the errors of some rows.
fn add(sum: &mut Option<[u64; 3]>, errors: [u64; 3]) {
    let sum = sum.get_or_insert([0; 3]);
    sum.iter_mut().zip(errors).for_each(|(sum, error)| *sum += error);
}

impl From<Coded> for Output {
    fn from(coded: Coded) -> Self {
        let frame = match coded.input {
            Input::Frame(frame, _) => Some(frame),
            Input::Repeat => None,
        };
        Self { packet: coded.packet, frame, squared_errors: coded.squared_errors }
    }
}

/// A thread that encodes.
#[derive(Debug)]
struct Worker {
    /// Gone when the thread is to end.
    jobs: Option<Sender<Job>>,
    outputs: Receiver<Coded>,
    thread: Option<JoinHandle<()>>,
}

impl Worker {
    fn new(index: usize, mut encoder: Encoder, wishes: Wishes, around: Around) -> Self {
        let (jobs, received) = channel();
        let (sender, outputs) = channel();
        let thread = thread::Builder::new()
            .name(format!("sorenson {index}"))
            .spawn(move || around(&mut || work(&mut encoder, wishes, &received, &sender)))
            .expect("the system gives a thread");
        Self { jobs: Some(jobs), outputs, thread: Some(thread) }
    }

    fn send(&self, job: Job) {
        let jobs = self.jobs.as_ref().expect("the queue is there until the worker is dropped");
        jobs.send(job).expect("the encoding thread lives as long as its queue");
    }

    fn done(&self) -> Coded {
        self.outputs.recv().expect("the encoding thread answers every job")
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            // A panic has been reported where the packet was missed.
            let _ = thread.join();
        }
    }
}

/// A picture to encode.
#[derive(Debug)]
struct Job {
    number: u64,
    input: Input,
    /// The picture before.
    before: Arc<Progress>,
    own: Arc<Progress>,
    /// Rows to sleep for when there are none to go on with: being woken for each one takes time, and pictures that lag
    /// far behind one another leave threads without any.
    nap: usize,
}

/// The rows of a picture that are done, for the one thread that has the picture after it. It takes each once and in order.
#[derive(Debug, Default)]
struct Progress {
    rows: Mutex<Rows>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Rows {
    done: VecDeque<Arc<Band>>,
    /// How many rows the other thread sleeps for, 0 if it does not sleep.
    awaited: usize,
    /// The thread went down, and no more rows will come.
    abandoned: bool,
}

impl Progress {
    /// A picture that is there.
    fn complete(bands: Vec<Arc<Band>>) -> Self {
        Self { rows: Mutex::new(Rows { done: bands.into(), ..Rows::default() }), ..Self::default() }
    }

    fn push(&self, band: Arc<Band>) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        rows.done.push_back(band);
        if rows.done.len() == rows.awaited {
            self.changed.notify_all();
        }
    }

    /// Takes the next row; who has to sleep for it sleeps until there are `count` rows.
    fn row(&self, count: usize) -> Arc<Band> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.done.is_empty() {
            rows.awaited = count;
            let is_short = |rows: &mut Rows| rows.done.len() < rows.awaited && !rows.abandoned;
            rows = self.changed.wait_while(rows, is_short).unwrap_or_else(PoisonError::into_inner);
            rows.awaited = 0;
        }
        rows.done.pop_front().expect("the thread with the picture before goes on to its end")
    }
}

impl Job {
    /// Waits for row `mb_y` of the picture before, which has `mb_height` of them.
    fn row_before(&self, mb_y: usize, mb_height: usize) -> Arc<Band> {
        self.before.row(self.nap.min(mb_height - mb_y))
    }
}

impl Drop for Job {
    /// Wakes whoever waits for rows that will not come.
    fn drop(&mut self) {
        self.own.rows.lock().unwrap_or_else(PoisonError::into_inner).abandoned = true;
        self.own.changed.notify_all();
    }
}

/// Encodes picture after picture until there are no more.
fn work(encoder: &mut Encoder, wishes: Wishes, jobs: &Receiver<Job>, outputs: &Sender<Coded>) {
    for job in jobs {
        if outputs.send(encode(encoder, wishes, job)).is_err() {
            return;
        }
    }
}

/// Encodes one picture, and passes its rows on.
fn encode(encoder: &mut Encoder, wishes: Wishes, mut job: Job) -> Coded {
    encoder.set_number(job.number);
    let mb_height = encoder.mb_height();
    let before = |mb_y| job.row_before(mb_y, mb_height);
    let (mut squared_errors, mut bands) = (None, Vec::new());
    let mut pass_on = |band: Arc<Band>| {
        if wishes.bands {
            bands.push(Arc::clone(&band));
        }
        job.own.push(band);
    };
    let packet = match &job.input {
        Input::Frame(frame, plan) => {
            // The first picture has none before it.
            let key = plan.key || job.number == 0;
            let picture_type = if key { PictureType::I } else { PictureType::P };
            let frame = frame.view();
            let writer = encoder.encode_picture(&frame, plan, picture_type, before, |mb_y, band| {
                if wishes.errors {
                    add(&mut squared_errors, band.squared_errors(&frame, mb_y));
                }
                pass_on(band);
            });
            Packet { key, data: writer.into_bytes() }
        }
        Input::Repeat => {
            (0..mb_height).map(before).for_each(pass_on);
            Packet { key: false, data: encoder.write_skipped().into_bytes() }
        }
    };
    let input = std::mem::replace(&mut job.input, Input::Repeat);
    Coded { packet, input, squared_errors, bands }
}
