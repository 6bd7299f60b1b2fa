//! Decoding with several threads.
//!
//! Packets are parsed ahead, each on its own. The planes of a frame are made on their own, too: a plane waits for the
//! frame to be parsed and for the same plane of its references, and for nothing else. So the entropy decoding of later
//! frames, luma and chroma overlap, and behind a key frame a second chain of planes starts before the first is done.
//! Where key frames are rare, all threads soon wait for the next luma plane: those that find no other work help to make it,
//! each a band of rows. What a frame looks like does not depend on the order of the work.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread::JoinHandle;

use oggflv_common::FrameView;

use crate::headers::{Identification, Setup};
use crate::parse::ParsedFrame;
use crate::recon::{PlaneTask, Sources};
use crate::stream::Stream;
use crate::unchanged::{self, UnchangedBlocks, UnchangedMasks};
use crate::{Error, FrameKind, Limits};

/// Decodes the data packets of one stream with several threads.
///
/// Each packet gives one [`DecodedFrame`], in the order of the packets; which packet a frame belongs to is told by
/// counting. Kinds, pictures and maps of unchanged blocks are those that a [`Decoder`](crate::Decoder) has after the
/// same packet, whatever the number of threads. A packet that is refused gives a frame, too: its kind is the error, and
/// its picture and those after it are what they would be without the packet.
///
/// With several threads a frame comes a fixed number of packets later than its own, so [`decode`](Self::decode) gives
/// none for the first packets, and [`finish`](Self::finish) gives what is left at the end. Between the calls the other
/// threads go on working; while a call waits for a frame, its thread works as well. Dropping the decoder drops what is
/// in work.
pub struct ParallelDecoder {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
    /// Threads that are wanted besides the caller's, until they are started with the first packet.
    wanted: usize,
    around: Around,
    /// How many packets are in work at most when a call returns.
    depth: usize,
}

/// What a thread's work is wrapped in; it has to do the work it is given once.
pub type Around = Arc<dyn Fn(&mut dyn FnMut()) + Send + Sync>;

impl ParallelDecoder {
    /// A decoder for the stream with these headers, which decodes with `threads` threads, the caller's among them.
    /// Inter frames before the first key frame predict from grey pictures: every sample is 0x80.
    ///
    /// At most five packets for each thread are in work at once; with one thread, only the packet that is handed over.
    /// What they say and their pictures are the memory that the decoder takes, besides the golden and the previous
    /// picture, and the pictures of frames that the caller keeps.
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
        let grey = grey(&stream);
        let state = State {
            jobs: VecDeque::new(),
            settled: 0,
            window: PICTURES_IN_WORK * threads.get(),
            planes: grey.clone().map(|plane| vec![(1, plane)]),
            frames: 1,
            recent: VecDeque::new(),
            previous: grey.clone(),
            golden: grey,
            parse_buffers: Vec::new(),
            is_awaited: false,
            threads: threads.get(),
            at_work: 0,
            stopped: false,
        };
        let shared = Arc::new(Shared { stream, state: Mutex::new(state), changed: Condvar::new() });
        // One thread gains nothing by delay.
        let depth = if threads.get() > 1 { PACKETS_IN_WORK * threads.get() } else { 0 };
        Ok(Self {
            shared,
            workers: Vec::new(),
            wanted: threads.get() - 1,
            around: Arc::new(|work| work()),
            depth,
        })
    }

    /// Lets every thread that is started do its work within `around`, so that the caller can see what it takes. Threads
    /// start with the first packet.
    #[must_use]
    pub fn within(mut self, around: Around) -> Self {
        self.around = around;
        self
    }

    fn start(&mut self) {
        for index in 1..=std::mem::take(&mut self.wanted) {
            let (shared, around) = (self.shared.clone(), self.around.clone());
            let thread = std::thread::Builder::new().name(format!("theora {index}"));
            // With fewer threads than wished for, the frames are the same.
            self.workers.extend(thread.spawn(move || around(&mut || shared.work(&around))).ok());
        }
    }

    /// The identification header of the stream.
    #[must_use]
    pub fn identification(&self) -> &Identification {
        &self.shared.stream.identification
    }

    /// Hands over a data packet, and hands out the oldest frame that is in work if there are more than five for each
    /// thread, or only one thread. If so, waits until that frame is there.
    ///
    /// # Panics
    /// If a thread of the decoder has panicked.
    pub fn decode(&mut self, packet: Vec<u8>) -> Option<DecodedFrame> {
        self.start();
        let mut state = self.shared.lock();
        let serial = state.jobs.back().map_or(0, |job| job.serial + 1);
        state.jobs.push_back(Job::new(serial, packet));
        self.shared.changed.notify_one();
        let enough = state.jobs.len() > self.depth;
        drop(state);
        if enough { self.finish() } else { None }
    }

    /// Hands out the oldest frame that is in work, and waits until it is there. None if there is none. More packets may
    /// follow.
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
                state.is_awaited = false;
                let parsed = state.jobs.pop_front()?.parsed?;
                state.settled -= 1;
                let kind = parsed.kind.clone();
                let unchanged = parsed.unchanged.clone();
                state.parse_buffers.push(parsed);
                return Some(DecodedFrame { kind, picture, unchanged, shared: self.shared.clone() });
            }
            state.is_awaited = true;
            // While the frame is not there, this thread works like the others.
            state = self.shared.work_once(state, &self.around);
        }
    }
}

impl std::fmt::Debug for ParallelDecoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ParallelDecoder")
            .field("identification", self.identification())
            .finish_non_exhaustive()
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

/// How many packets are in work at most for each thread. Parsing a key frame takes as long as five other frames: that
/// much must have been parsed ahead if no thread is to wait meanwhile. What waits for longer is no longer in the cache.
const PACKETS_IN_WORK: usize = 5;

/// How many pictures are begun and not handed out at most for each thread. Memory that is used again soon is still in the
/// cache, and has more that need not be copied.
const PICTURES_IN_WORK: usize = 2;

/// How many bands a plane is made in at most, and how many blocks are in each at least. To start the threads for more bands
/// takes longer than they save.
const BANDS: usize = 4;
const BLOCKS_IN_BAND: usize = 4096;

/// A frame that a [`ParallelDecoder`] has decoded. While it is kept, its picture stays as it is.
#[derive(Clone, Debug)]
pub struct DecodedFrame {
    kind: Result<FrameKind, Error>,
    picture: SharedPicture,
    unchanged: Option<Arc<UnchangedMasks>>,
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
        let [y, cb, cr] = &self.picture;
        self.shared.stream.picture([samples_of(y), samples_of(cb), samples_of(cr)])
    }

    /// Which blocks of a plane (0 is Y, 1 Cb, 2 Cr) are as they were in the picture of the packet before, as
    /// [`Decoder::unchanged`](crate::Decoder::unchanged) has it: relative to the frame that was handed out just before
    /// this one, and not to any that the caller may have kept.
    ///
    /// # Panics
    /// If `pli` is above 2.
    #[must_use]
    pub fn unchanged(&self, pli: usize) -> UnchangedBlocks<'_> {
        UnchangedBlocks::new(&self.shared.stream, pli, self.unchanged.as_deref())
    }
}

/// A plane of a coded frame, which is there once it is made.
type SharedPlane = Arc<OnceLock<Vec<u8>>>;

/// A coded frame: Y, Cb and Cr. Each is shared on its own, so that its memory is free as soon as nobody needs that plane.
type SharedPicture = [SharedPlane; 3];

/// A grey picture: every sample is 0x80.
fn grey(stream: &Stream) -> SharedPicture {
    stream.layout.planes.map(|plane| Arc::new(OnceLock::from(vec![0x80; plane.width() * plane.height()])))
}

fn is_made(plane: &SharedPlane) -> bool {
    plane.get().is_some()
}

/// The samples of a plane; none if it is not made.
fn samples_of(plane: &SharedPlane) -> &[u8] {
    plane.get().map_or(&[], |samples| samples)
}

/// What parsing a packet brought.
#[derive(Debug)]
struct Parsed {
    kind: Result<FrameKind, Error>,
    frame: ParsedFrame,
    /// Which blocks are as they were; none if the packet brought no new frame.
    unchanged: Option<Arc<UnchangedMasks>>,
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
    picture: SharedPicture,
    /// The number of the frame.
    number: u64,
    /// The references of the planes that no thread has taken yet.
    waiting: [Option<References>; 3],
}

/// The same plane of the previous and the golden frame; none for key frames.
type References = Option<[SharedPlane; 2]>;

impl Job {
    fn new(serial: u64, packet: Vec<u8>) -> Self {
        Self { serial, packet: Some(packet), parsed: None, settled: None }
    }

    /// The picture if all of it is there.
    fn finished(&self) -> Option<&SharedPicture> {
        self.settled.as_ref().map(|settled| &settled.picture).filter(|picture| picture.iter().all(is_made))
    }
}

/// A piece of work.
enum Task {
    /// To parse the packet of a job into the buffers of an old one.
    Parse { packet: Vec<u8>, buffers: Option<Arc<Parsed>>, serial: u64 },
    /// To make plane `pli` of a frame.
    Plane {
        pli: usize,
        parsed: Arc<Parsed>,
        plane: SharedPlane,
        references: References,
        /// Memory for the plane, if there is any that is free.
        buffer: Option<Buffer>,
        /// How many threads help.
        helpers: usize,
    },
}

impl Task {
    fn helpers(&self) -> usize {
        match self {
            Self::Parse { .. } => 0,
            Self::Plane { helpers, .. } => *helpers,
        }
    }
}

/// The plane of an old frame.
struct Buffer {
    samples: Vec<u8>,
    /// What the frames between the old one and the one to be made left as it was; none if that is not known.
    kept: Option<Vec<Arc<UnchangedMasks>>>,
}

#[derive(Debug)]
struct State {
    /// The packets in work, the oldest first.
    jobs: VecDeque<Job>,
    /// How many of the jobs, from the oldest on, are settled.
    settled: usize,
    /// How many pictures are begun and not handed out at most.
    window: usize,
    /// All Y, Cb and Cr planes that there are, each with the number of its frame, the newest last; those that nobody
    /// else has are free.
    planes: [Vec<(u64, SharedPlane)>; 3],
    /// How many new frames there have been, the grey picture among them. They are numbered from 1.
    frames: u64,
    /// Which blocks the newest frames left as they were, the newest last.
    recent: VecDeque<Arc<UnchangedMasks>>,
    /// The references for the first job that is not settled.
    previous: SharedPicture,
    golden: SharedPicture,
    /// Results of parsing that are done with.
    parse_buffers: Vec<Arc<Parsed>>,
    /// The caller waits for the oldest frame.
    is_awaited: bool,
    /// How many threads there are, and how many are at work, those that help with a plane among them.
    threads: usize,
    at_work: usize,
    /// The threads are to end, or one has panicked.
    stopped: bool,
}

impl State {
    /// The work that the oldest frame waits for and that can be done.
    fn next_task(&mut self, stream: &Stream) -> Option<Task> {
        let idle = self.threads.checked_sub(self.at_work + 1)?;
        // Who would find no work, while the caller waits, is to help. Of two threads, one has enough to do ahead.
        let helpers =
            if self.is_awaited && self.threads > 2 { (idle + 1).saturating_sub(self.ready()) } else { 0 };
        let settled = self.jobs.iter_mut().take(self.settled.min(self.window));
        for job in settled.filter(|job| job.finished().is_none()) {
            let (Some(settled), Some(parsed)) = (&mut job.settled, &job.parsed) else { continue };
            let is_ready = |references: &mut References| references.iter().flatten().all(is_made);
            for pli in 0..3 {
                if let Some(references) = settled.waiting[pli].take_if(is_ready) {
                    let (parsed, plane) = (parsed.clone(), settled.picture[pli].clone());
                    let number = settled.number;
                    let buffer = self.take_buffer(pli, number, references.is_some());
                    let bands = (stream.layout.planes[pli].blocks() / BLOCKS_IN_BAND).clamp(1, BANDS);
                    let helpers = helpers.min(bands - 1);
                    return Some(Task::Plane { pli, parsed, plane, references, buffer, helpers });
                }
            }
        }
        let job = self.jobs.iter_mut().find(|job| job.packet.is_some())?;
        let serial = job.serial;
        job.packet.take().map(|packet| Task::Parse { packet, buffers: self.parse_buffers.pop(), serial })
    }

    /// How many pieces of work can be done now.
    fn ready(&self) -> usize {
        let settled = self.jobs.iter().take(self.settled.min(self.window));
        let waiting = settled.filter_map(|job| job.settled.as_ref()).flat_map(|settled| &settled.waiting);
        let planes = waiting.flatten().filter(|references| references.iter().flatten().all(is_made));
        planes.count() + self.jobs.iter().filter(|job| job.packet.is_some()).count()
    }

    /// Settles the pictures of all jobs that are parsed and behind none that is not.
    fn settle(&mut self) {
        while let Some(job) = self.jobs.get(self.settled) {
            let Some(parsed) = job.parsed.clone() else { break };
            let settled = match parsed.kind {
                Ok(FrameKind::Key) => self.new_frame(&parsed, [None, None, None]),
                Ok(FrameKind::Inter) => {
                    let references =
                        |pli: usize| Some([&self.previous, &self.golden].map(|picture| picture[pli].clone()));
                    self.new_frame(&parsed, [0, 1, 2].map(references))
                }
                Ok(FrameKind::Repeat) | Err(_) => Settled {
                    picture: self.previous.clone(),
                    number: self.frames,
                    waiting: [None, None, None],
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

    /// A picture for a new frame with the references of its planes.
    fn new_frame(&mut self, parsed: &Parsed, references: [References; 3]) -> Settled {
        let picture = SharedPicture::default();
        self.frames += 1;
        for (planes, plane) in self.planes.iter_mut().zip(&picture) {
            planes.push((self.frames, plane.clone()));
        }
        self.recent.extend(parsed.unchanged.clone());
        if self.recent.len() > MAX_AGE + self.settled {
            self.recent.pop_front();
        }
        Settled { picture, number: self.frames, waiting: references.map(Some) }
    }

    /// The memory of a free plane for a frame. The best is that of the newest frame: much of it may be right. So it is
    /// looked for as late as possible. A key frame copies nothing and makes an old plane new.
    fn take_buffer(&mut self, pli: usize, number: u64, has_references: bool) -> Option<Buffer> {
        let planes = &mut self.planes[pli];
        let is_free = |(_, plane): &mut (u64, SharedPlane)| Arc::get_mut(plane).is_some();
        let mut planes_by_age = planes.iter_mut();
        let index =
            if has_references { planes_by_age.rposition(is_free) } else { planes_by_age.position(is_free) }?;
        let (old, plane) = planes.remove(index);
        let samples = Arc::into_inner(plane)?.into_inner()?;
        // The frames after the old one up to the one before this.
        let first = self.frames + 1 - self.recent.len() as u64;
        let kept = (old + 1 >= first).then(|| {
            self.recent.range((old + 1 - first) as usize..(number - first) as usize).cloned().collect()
        });
        Some(Buffer { samples, kept })
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
    fn work(&self, around: &Around) {
        let _stop = StopOnPanic(self);
        let mut state = self.lock();
        while !state.stopped {
            state = self.work_once(state, around);
        }
    }

    /// Does a piece of work, or waits until something has changed.
    fn work_once<'a>(&'a self, mut state: MutexGuard<'a, State>, around: &Around) -> MutexGuard<'a, State> {
        let Some(task) = state.next_task(&self.stream) else {
            return self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        };
        let threads = 1 + task.helpers();
        state.at_work += threads;
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
            Task::Plane { pli, parsed, plane, references, buffer, helpers } => {
                let samples = self.make_plane(pli, parsed, references, buffer, helpers, around);
                let state = self.lock();
                // Nobody else makes this plane, so the place is empty.
                let _ = plane.set(samples);
                state
            }
        };
        state.at_work -= threads;
        state.settle();
        self.changed.notify_all();
        state
    }

    /// The first phase.
    fn parse(&self, packet: &[u8], buffers: Option<Arc<Parsed>>) -> Arc<Parsed> {
        let buffers = buffers.and_then(|buffers| Arc::try_unwrap(buffers).ok());
        let mut frame =
            buffers.map_or_else(|| ParsedFrame::new(&self.stream.layout), |buffers| buffers.frame);
        let kind = frame.parse(packet, &self.stream);
        let unchanged = matches!(kind, Ok(FrameKind::Key | FrameKind::Inter)).then(|| {
            let mut unchanged = UnchangedMasks::default();
            unchanged::find(&mut unchanged, &frame, &self.stream);
            Arc::new(unchanged)
        });
        Arc::new(Parsed { kind, frame, unchanged })
    }

    /// The second phase, for one plane.
    fn make_plane(
        &self,
        pli: usize,
        parsed: Arc<Parsed>,
        references: References,
        buffer: Option<Buffer>,
        helpers: usize,
        around: &Around,
    ) -> Vec<u8> {
        let plane = &self.stream.layout.planes[pli];
        let (mut samples, maps) = match buffer {
            Some(Buffer { samples, kept }) => (samples, kept),
            None => (vec![0; plane.width() * plane.height()], None),
        };
        let kept: Option<Vec<&[u64]>> =
            maps.as_ref().map(|maps| maps.iter().map(|masks| &masks[pli][..]).collect());
        let reference =
            |index: usize| references.as_ref().map_or(&[][..], |references| samples_of(&references[index]));
        let task = PlaneTask::new(&parsed.frame, &self.stream, pli);
        let sources = Sources { previous: reference(0), golden: reference(1), kept: kept.as_deref() };
        if helpers == 0 {
            task.run(&mut samples, &sources);
        } else {
            let share = |share: &(dyn Fn() + Sync)| with_helpers(helpers, around, share);
            task.run_in_bands(&mut samples, &sources, helpers + 1, share);
        }
        samples
    }
}

/// Calls `share` in this thread and in others that help, and waits for all.
fn with_helpers(helpers: usize, around: &Around, share: &(dyn Fn() + Sync)) {
    std::thread::scope(|scope| {
        for _ in 0..helpers {
            let thread = std::thread::Builder::new().name("theora helper".to_owned());
            // Without it, the others do its part.
            let _ = thread.spawn_scoped(scope, || around(&mut || share()));
        }
        share();
    });
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
