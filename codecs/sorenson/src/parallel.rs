//! Encoding with several threads: pictures overlap, each one as far behind the one before as vectors reach.
//!
//! Every thread has an encoder of its own. A picture is passed on row by row, as soon as it is encoded. Nothing else
//! passes between pictures, so the packets are those of one encoder, whatever the number of threads.

use crate::config::{Config, Preset};
use crate::encoder::{Band, Encoder, Packet};
use crate::error::{ConfigError, EncodeError};
use crate::lookahead::Plan;
use crate::picture::PictureType;
use crate::rate::RateControl;
use oggflv_common::{Frame, PixelFormat};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;

/// More threads than this have nothing to do; rate control counts on it.
const MAX_THREADS: usize = RateControl::DELAY - 1;

/// What comes next.
#[derive(Clone, Debug)]
pub enum Input {
    /// A frame, to be encoded as planned.
    Frame(Frame, Plan),
    /// The last picture again, as by [`Encoder::encode_skipped`].
    Repeat,
}

/// Encodes `inputs` with `threads` threads besides the calling one (0 or 1: on the calling one), and hands the packets to `sink` in
/// order. At most `threads` inputs are in flight.
///
/// # Errors
/// If a setting is outside its range, a frame does not fit, or `sink` says so; it is not called again then.
///
/// # Panics
/// If a thread cannot be started.
pub fn encode_parallel<E: From<ConfigError> + From<EncodeError>>(
    config: &Config,
    preset: Preset,
    threads: usize,
    inputs: impl IntoIterator<Item = Input>,
    mut sink: impl FnMut(Packet) -> Result<(), E>,
) -> Result<(), E> {
    let mut encoder = Encoder::with_preset(config.clone(), preset)?;
    if threads <= 1 {
        for input in inputs {
            sink(match input {
                Input::Frame(frame, plan) => encoder.encode_planned(&frame, &plan)?,
                Input::Repeat => encoder.encode_skipped(),
            })?;
        }
        return Ok(());
    }
    let threads = threads.min(MAX_THREADS);
    thread::scope(|scope| {
        let mut workers: Vec<Worker> = Vec::new();
        let mut last = Arc::new(Progress::default());
        let mut count = 0;
        for input in inputs {
            let input = match input {
                Input::Repeat if count == 0 => {
                    let black = Frame::new(PixelFormat::Yuv420, config.width, config.height);
                    Input::Frame(black, Plan::flat(config, true))
                }
                input => input,
            };
            if let Input::Frame(frame, _) = &input {
                config.check(frame)?;
            }
            let index = (count % threads as u64) as usize;
            if count >= threads as u64 {
                sink(workers[index].packet())?;
            } else {
                let (jobs, received) = channel();
                let (sender, packets) = channel();
                let encoder = encoder.clone();
                thread::Builder::new()
                    .name(format!("sorenson {index}"))
                    .spawn_scoped(scope, move || work(encoder, &received, &sender))
                    .expect("the system gives a thread");
                workers.push(Worker { jobs, packets });
            }
            let own = Arc::new(Progress::default());
            let before = std::mem::replace(&mut last, Arc::clone(&own));
            workers[index].send(Job { number: count, input, before, own });
            count += 1;
        }
        for number in count.saturating_sub(threads as u64)..count {
            sink(workers[(number % threads as u64) as usize].packet())?;
        }
        Ok(())
    })
}

/// A thread that encodes.
struct Worker {
    jobs: Sender<Job>,
    packets: Receiver<Packet>,
}

impl Worker {
    fn send(&self, job: Job) {
        self.jobs.send(job).expect("the encoding thread lives as long as its queue");
    }

    fn packet(&self) -> Packet {
        self.packets.recv().expect("the encoding thread answers every job")
    }
}

/// A picture to encode.
struct Job {
    number: u64,
    input: Input,
    /// The picture before.
    before: Arc<Progress>,
    own: Arc<Progress>,
}

/// The rows of a picture that are done.
#[derive(Debug, Default)]
struct Progress {
    rows: Mutex<Rows>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct Rows {
    done: Vec<Arc<Band>>,
    /// The thread went down, and no more rows will come.
    abandoned: bool,
}

impl Progress {
    fn push(&self, band: Arc<Band>) {
        self.rows.lock().unwrap_or_else(PoisonError::into_inner).done.push(band);
        self.changed.notify_all();
    }

    /// Waits for a row.
    fn row(&self, mb_y: usize) -> Arc<Band> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        loop {
            if let Some(band) = rows.done.get(mb_y) {
                return Arc::clone(band);
            }
            assert!(!rows.abandoned, "the thread with the picture before went down");
            rows = self.changed.wait(rows).unwrap_or_else(PoisonError::into_inner);
        }
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
fn work(mut encoder: Encoder, jobs: &Receiver<Job>, packets: &Sender<Packet>) {
    for job in jobs {
        if packets.send(encode(&mut encoder, &job)).is_err() {
            return;
        }
    }
}

/// Encodes one picture, and passes its rows on.
fn encode(encoder: &mut Encoder, job: &Job) -> Packet {
    encoder.set_number(job.number);
    let mb_height = encoder.mb_height();
    let Input::Frame(frame, plan) = &job.input else {
        for mb_y in 0..mb_height {
            job.own.push(job.before.row(mb_y));
        }
        return Packet { key: false, data: encoder.write_skipped().into_bytes() };
    };
    // The first picture has none before it.
    let key = plan.key || job.number == 0;
    let picture_type = if key { PictureType::I } else { PictureType::P };
    encoder.load(frame, plan);
    let mut writer = encoder.start_picture(picture_type);
    let mut taken = 0;
    for mb_y in 0..mb_height {
        // Vectors reach one row down. An I picture needs nothing.
        while !key && taken < mb_height.min(mb_y + 2) {
            encoder.take_band(taken, &job.before.row(taken));
            taken += 1;
        }
        encoder.encode_row(picture_type, mb_y, &mut writer);
        job.own.push(Arc::new(encoder.band(mb_y)));
    }
    Packet { key, data: writer.into_bytes() }
}
