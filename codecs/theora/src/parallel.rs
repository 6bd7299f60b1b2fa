//! Decoding with several threads.
//!
//! Packets are parsed ahead, each on its own. The planes of a frame are made on their own, too: a plane waits for the
//! frame to be parsed and for the same plane of its references, and for nothing else. So the entropy decoding of later
//! frames, luma and chroma overlap, and behind a key frame a second chain of planes starts before the first is done.
//! What a frame looks like does not depend on the order of the work.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use oggflv_common::FrameView;

use crate::headers::{Identification, Setup};
use crate::parse::ParsedFrame;
use crate::recon::PlaneTask;
use crate::stream::Stream;
use crate::unchanged::{self, UnchangedBlocks};
use crate::{Error, FrameKind, Limits};

/// Decodes the data packets of one stream with several threads. The frames are those of a
/// [`Decoder`](crate::Decoder), some packets later.
#[derive(Debug)]
pub struct ParallelDecoder {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// How many packets are in work at most.
    depth: usize,
}

impl ParallelDecoder {
    /// A decoder for the stream with these headers, which decodes with `threads` threads, the caller's among them.
    /// Two frames for each thread are in work at once, and their memory is what the decoder takes.
    ///
    /// # Errors
    /// If the coded frame is larger than the limits allow.
    pub fn new(
        identification: Identification,
        setup: Setup,
        limits: &Limits,
        threads: NonZeroUsize,
    ) -> Result<Self, Error> {
        let stream = Stream::new(identification, &setup, limits)?;
        let grey = Arc::new(SharedPicture::grey(&stream));
        let state = State {
            jobs: VecDeque::new(),
            settled: 0,
            pictures: vec![(1, grey.clone())],
            frames: 1,
            recent: VecDeque::new(),
            previous: grey.clone(),
            golden: grey,
            parse_buffers: Vec::new(),
            stopped: false,
        };
        let shared = Arc::new(Shared { stream, state: Mutex::new(state), changed: Condvar::new() });
        let workers = (1..threads.get())
            .filter_map(|index| {
                let shared = shared.clone();
                let thread = std::thread::Builder::new().name(format!("theora {index}"));
                // With fewer threads than wished for, the frames are the same.
                thread.spawn(move || shared.work()).ok()
            })
            .collect();
        Ok(Self { shared, workers, depth: 2 * threads.get() })
    }

    /// The identification header of the stream.
    #[must_use]
    pub fn identification(&self) -> &Identification {
        &self.shared.stream.identification
    }

    /// Hands over a data packet, and hands out the oldest frame that is in work if there are enough of them.
    ///
    /// # Panics
    /// If a thread of the decoder has panicked.
    pub fn decode(&mut self, packet: Vec<u8>) -> Option<DecodedFrame> {
        let mut state = self.shared.lock();
        let serial = state.jobs.back().map_or(0, |job| job.serial + 1);
        state.jobs.push_back(Job::new(serial, packet));
        self.shared.changed.notify_one();
        let enough = state.jobs.len() > self.depth;
        drop(state);
        if enough { self.finish() } else { None }
    }

    /// Hands out the oldest frame that is in work. None if there is none.
    ///
    /// # Panics
    /// If a thread of the decoder has panicked.
    pub fn finish(&mut self) -> Option<DecodedFrame> {
        let mut state = self.shared.lock();
        loop {
            assert!(!state.stopped, "a thread of the Theora decoder has panicked");
            let front = state.jobs.front()?;
            if let Some(picture) = front.finished() {
                let picture = picture.clone();
                let parsed = state.jobs.pop_front()?.parsed?;
                state.settled -= 1;
                let kind = parsed.kind.clone();
                let unchanged = (!parsed.unchanged.is_empty()).then(|| parsed.unchanged.clone());
                state.parse_buffers.push(parsed);
                return Some(DecodedFrame { kind, picture, unchanged, shared: self.shared.clone() });
            }
            // While the frame is not there, this thread works like the others.
            state = self.shared.work_once(state);
        }
    }
}

impl Drop for ParallelDecoder {
    fn drop(&mut self) {
        self.shared.lock().stopped = true;
        self.shared.changed.notify_all();
        for worker in self.workers.drain(..) {
            // A panic has been reported where the frame was missed.
            let _ = worker.join();
        }
    }
}

/// A frame that a [`ParallelDecoder`] has decoded. While it is kept, its picture stays as it is.
#[derive(Clone, Debug)]
pub struct DecodedFrame {
    kind: Result<FrameKind, Error>,
    picture: Arc<SharedPicture>,
    unchanged: Option<Arc<Vec<bool>>>,
    shared: Arc<Shared>,
}

impl DecodedFrame {
    /// What the packet brought.
    ///
    /// # Errors
    /// If the packet was refused; the picture is that of the frame before.
    pub fn kind(&self) -> Result<FrameKind, Error> {
        self.kind.clone()
    }

    /// The picture region of the frame, as [`Decoder::picture`](crate::Decoder::picture) has it.
    #[must_use]
    pub fn picture(&self) -> FrameView<'_> {
        let plane = |pli: usize| self.picture.planes[pli].get().map_or(&[][..], |plane| plane);
        self.shared.stream.picture([plane(0), plane(1), plane(2)])
    }

    /// Which blocks of a plane the packet left as they were, as [`Decoder::unchanged`](crate::Decoder::unchanged) has
    /// it.
    ///
    /// # Panics
    /// If `pli` is above 2.
    #[must_use]
    pub fn unchanged(&self, pli: usize) -> UnchangedBlocks<'_> {
        UnchangedBlocks::new(&self.shared.stream, pli, self.unchanged.as_ref().map(|map| &map[..]))
    }
}

/// A coded frame whose planes become there one after the other.
#[derive(Debug, Default)]
struct SharedPicture {
    planes: [OnceLock<Vec<u8>>; 3],
}

impl SharedPicture {
    fn grey(stream: &Stream) -> Self {
        let planes =
            stream.layout.planes.map(|plane| OnceLock::from(vec![0x80; plane.width() * plane.height()]));
        Self { planes }
    }

    fn has(&self, pli: usize) -> bool {
        self.planes[pli].get().is_some()
    }

    fn is_complete(&self) -> bool {
        (0..3).all(|pli| self.has(pli))
    }
}

/// What parsing a packet brought.
#[derive(Debug)]
struct Parsed {
    kind: Result<FrameKind, Error>,
    frame: ParsedFrame,
    /// Which blocks are as they were; empty if the packet brought no new frame.
    unchanged: Arc<Vec<bool>>,
}

/// A packet in work.
#[derive(Debug)]
struct Job {
    /// How many packets came before it.
    serial: u64,
    /// The packet, until a thread has taken it.
    packet: Option<Vec<u8>>,
    parsed: Option<Arc<Parsed>>,
    /// The pictures, as soon as the packets up to this one are parsed.
    settled: Option<Settled>,
}

/// What a frame is to be made in and from.
#[derive(Debug)]
struct Settled {
    picture: Arc<SharedPicture>,
    /// What is to become of each plane: its memory, until a thread has taken it. Of frames that repeat nothing.
    buffers: [Option<Vec<u8>>; 3],
    /// The previous and the golden frame; none for key frames.
    references: Option<[Arc<SharedPicture>; 2]>,
    /// What the frames between the one that the buffers hold and this one left as it was; empty if not known.
    kept: Vec<Arc<Vec<bool>>>,
}

impl Job {
    fn new(serial: u64, packet: Vec<u8>) -> Self {
        Self { serial, packet: Some(packet), parsed: None, settled: None }
    }

    /// The picture if all of it is there.
    fn finished(&self) -> Option<&Arc<SharedPicture>> {
        self.settled.as_ref().map(|settled| &settled.picture).filter(|picture| picture.is_complete())
    }
}

/// A piece of work.
enum Task {
    /// To parse the packet of a job into the buffers of an old one.
    Parse { packet: Vec<u8>, buffers: Option<Arc<Parsed>>, serial: u64 },
    /// To make plane `pli` of a picture.
    Plane {
        pli: usize,
        parsed: Arc<Parsed>,
        picture: Arc<SharedPicture>,
        references: Option<[Arc<SharedPicture>; 2]>,
        kept: Vec<Arc<Vec<bool>>>,
        buffer: Vec<u8>,
    },
}

#[derive(Debug)]
struct State {
    /// The packets in work, the oldest first.
    jobs: VecDeque<Job>,
    /// How many of the jobs, from the oldest on, are settled.
    settled: usize,
    /// All pictures that there are, each with the number of its frame; those that nobody else has are free.
    pictures: Vec<(u64, Arc<SharedPicture>)>,
    /// How many new frames there have been, the grey picture among them. They are numbered from 1.
    frames: u64,
    /// Which blocks the newest frames left as they were, the newest last.
    recent: VecDeque<Arc<Vec<bool>>>,
    /// The references for the first job that is not settled.
    previous: Arc<SharedPicture>,
    golden: Arc<SharedPicture>,
    /// Results of parsing that are done with.
    parse_buffers: Vec<Arc<Parsed>>,
    /// The threads are to end, or one has panicked.
    stopped: bool,
}

impl State {
    /// The work that the oldest frame waits for and that can be done.
    fn next_task(&mut self) -> Option<Task> {
        for job in self.jobs.iter_mut().take(self.settled) {
            let (Some(settled), Some(parsed)) = (&mut job.settled, &job.parsed) else { continue };
            let Settled { picture, buffers, references, kept } = settled;
            let ready = |pli: usize| references.iter().flatten().all(|reference| reference.has(pli));
            if let Some(pli) = (0..3).find(|&pli| buffers[pli].is_some() && ready(pli)) {
                let (parsed, picture) = (parsed.clone(), picture.clone());
                let (references, kept) = (references.clone(), kept.clone());
                return buffers[pli].take().map(|buffer| Task::Plane {
                    pli,
                    parsed,
                    picture,
                    references,
                    kept,
                    buffer,
                });
            }
        }
        let job = self.jobs.iter_mut().find(|job| job.packet.is_some())?;
        let serial = job.serial;
        job.packet.take().map(|packet| Task::Parse { packet, buffers: self.parse_buffers.pop(), serial })
    }

    /// Settles the pictures of all jobs that are parsed and behind none that is not.
    fn settle(&mut self, stream: &Stream) {
        while let Some(job) = self.jobs.get(self.settled) {
            let Some(parsed) = job.parsed.clone() else { break };
            let settled = match parsed.kind {
                Ok(FrameKind::Key) => self.new_frame(stream, &parsed, None),
                Ok(FrameKind::Inter) => {
                    let references = [self.previous.clone(), self.golden.clone()];
                    self.new_frame(stream, &parsed, Some(references))
                }
                Ok(FrameKind::Repeat) | Err(_) => Settled {
                    picture: self.previous.clone(),
                    buffers: [None, None, None],
                    references: None,
                    kept: Vec::new(),
                },
            };
            if parsed.kind == Ok(FrameKind::Key) {
                self.golden = settled.picture.clone();
            }
            self.previous = settled.picture.clone();
            self.jobs[self.settled].settled = Some(settled);
            self.settled += 1;
        }
    }

    /// A picture for a new frame. The best is the free one that holds the newest frame: much of it may be right.
    fn new_frame(
        &mut self,
        stream: &Stream,
        parsed: &Parsed,
        references: Option<[Arc<SharedPicture>; 2]>,
    ) -> Settled {
        self.pictures.sort_by_key(|&(number, _)| std::cmp::Reverse(number));
        let free = self.pictures.iter_mut().position(|(_, picture)| Arc::get_mut(picture).is_some());
        let (number, mut picture) =
            free.map_or_else(Default::default, |index| self.pictures.swap_remove(index));
        let mut buffers = [None, None, None];
        if let Some(picture) = Arc::get_mut(&mut picture) {
            buffers = [0, 1, 2].map(|pli| picture.planes[pli].take());
        }
        let age = (self.frames - number) as usize;
        let mut kept = Vec::new();
        if buffers.iter().all(Option::is_some) && age <= self.recent.len() {
            kept.extend(self.recent.range(self.recent.len() - age..).cloned());
        }
        let planes = stream.layout.planes.map(|plane| plane.width() * plane.height());
        let buffers = [0, 1, 2].map(|pli| buffers[pli].take().or_else(|| Some(vec![0; planes[pli]])));

        self.frames += 1;
        self.pictures.push((self.frames, picture.clone()));
        self.recent.push_back(parsed.unchanged.clone());
        if self.recent.len() > MAX_AGE {
            self.recent.pop_front();
        }
        Settled { picture, buffers, references, kept }
    }
}

/// The age up to which it is known what has changed since a frame.
const MAX_AGE: usize = 16;

#[derive(Debug)]
struct Shared {
    stream: Stream,
    state: Mutex<State>,
    /// There is a new job, a task is done, or the threads are to end.
    changed: Condvar,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        // No thread leaves the state half changed: nothing in between can panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What a thread of the decoder does until the end.
    fn work(&self) {
        let _stop = StopOnPanic(self);
        let mut state = self.lock();
        while !state.stopped {
            state = self.work_once(state);
        }
    }

    /// Does a piece of work, or waits until something has changed.
    fn work_once<'a>(&'a self, mut state: MutexGuard<'a, State>) -> MutexGuard<'a, State> {
        let Some(task) = state.next_task() else {
            return self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        drop(state);
        let mut state = match task {
            Task::Parse { packet, buffers, serial } => {
                let parsed = self.parse(&packet, buffers);
                let mut state = self.lock();
                if let Some(job) = state.jobs.iter_mut().find(|job| job.serial == serial) {
                    job.parsed = Some(parsed);
                }
                state
            }
            Task::Plane { pli, parsed, picture, references, kept, buffer } => {
                let plane = self.make_plane(pli, &parsed.frame, references, &kept, buffer);
                let state = self.lock();
                // Nobody else has had the buffer, so the place is empty.
                let _ = picture.planes[pli].set(plane);
                state
            }
        };
        state.settle(&self.stream);
        self.changed.notify_all();
        state
    }

    /// The first phase.
    fn parse(&self, packet: &[u8], buffers: Option<Arc<Parsed>>) -> Arc<Parsed> {
        let buffers = buffers.and_then(|buffers| Arc::try_unwrap(buffers).ok());
        let mut frame =
            buffers.map_or_else(|| ParsedFrame::new(&self.stream.layout), |buffers| buffers.frame);
        let kind = frame.parse(packet, &self.stream);
        let mut unchanged = Vec::new();
        if matches!(kind, Ok(FrameKind::Key | FrameKind::Inter)) {
            unchanged.resize(self.stream.layout.blocks(), true);
            unchanged::find(&mut unchanged, &frame, &self.stream);
        }
        Arc::new(Parsed { kind, frame, unchanged: Arc::new(unchanged) })
    }

    /// The second phase, for one plane.
    fn make_plane(
        &self,
        pli: usize,
        frame: &ParsedFrame,
        references: Option<[Arc<SharedPicture>; 2]>,
        kept: &[Arc<Vec<bool>>],
        mut buffer: Vec<u8>,
    ) -> Vec<u8> {
        let plane = &self.stream.layout.planes[pli];
        let mut all_kept = vec![true; if kept.is_empty() { 0 } else { self.stream.layout.blocks() }];
        for map in kept {
            let range = plane.first..plane.first + plane.blocks();
            for (all_kept, &kept) in all_kept[range.clone()].iter_mut().zip(&map[range]) {
                *all_kept &= kept;
            }
        }
        let kept = (!kept.is_empty()).then_some(&all_kept[..]);
        let reference = |index: usize| {
            let picture = references.as_ref().map(|references| &references[index]);
            picture.and_then(|picture| picture.planes[pli].get()).map_or(&[][..], |plane| plane)
        };
        PlaneTask::new(frame, &self.stream, pli).run(&mut buffer, reference(0), reference(1), kept);
        buffer
    }
}

/// Stops all threads if the one that owns it panics: a frame would be waited for in vain.
struct StopOnPanic<'a>(&'a Shared);

impl Drop for StopOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.lock().stopped = true;
            self.0.changed.notify_all();
        }
    }
}
