//! CPU time by stage.

use std::cell::Cell;
use std::sync::Arc;
use std::time::Duration;

use super::counters::{Counter, Counters};

/// What the CPU time goes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    Demux,
    Decode,
    Scale,
    Plan,
    Encode,
    Sound,
    Mux,
}

impl Stage {
    const ALL: [Self; 7] =
        [Self::Demux, Self::Decode, Self::Scale, Self::Plan, Self::Encode, Self::Sound, Self::Mux];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Demux => "demux",
            Self::Decode => "decode",
            Self::Scale => "scale",
            Self::Plan => "plan",
            Self::Encode => "encode",
            Self::Sound => "sound",
            Self::Mux => "mux",
        }
    }
}

/// A clock for each stage.
#[derive(Debug, Default)]
pub(super) struct Clocks([Counter; Stage::ALL.len()]);

thread_local! {
    /// What the thread's time goes to, and since when.
    static RUNNING: Cell<Option<(Stage, Duration)>> = const { Cell::new(None) };
}

impl Clocks {
    /// Puts what the thread takes on the clock of `stage`, until the guard is dropped; then again on that of before.
    pub(super) fn enter(&self, stage: Stage) -> Running<'_> {
        let before = self.switch(Some(stage));
        Running { clocks: self, before }
    }

    fn switch(&self, stage: Option<Stage>) -> Option<Stage> {
        let now = thread_time();
        let before = RUNNING.replace(stage.map(|stage| (stage, now)));
        if let Some((stage, since)) = before {
            self.0[stage as usize].add(now.saturating_sub(since).as_nanos() as u64);
        }
        before.map(|(stage, _)| stage)
    }

    /// What each stage took so far.
    pub(super) fn read(&self) -> Vec<(&'static str, Duration)> {
        Stage::ALL.map(|stage| (stage.name(), Duration::from_nanos(self.0[stage as usize].get()))).to_vec()
    }
}

/// Runs the clock of a stage.
pub(super) struct Running<'a> {
    clocks: &'a Clocks,
    before: Option<Stage>,
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        self.clocks.switch(self.before);
    }
}

/// Runs the clock of a stage on threads that a codec starts.
pub(super) fn around(
    stage: Stage,
    counters: &Arc<Counters>,
) -> impl Fn(&mut dyn FnMut()) + Send + Sync + use<> {
    let counters = Arc::clone(counters);
    move |work: &mut dyn FnMut()| {
        let _running = counters.clocks.enter(stage);
        work();
    }
}

/// CPU time of this thread.
#[cfg(unix)]
fn thread_time() -> Duration {
    rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

/// Not known here.
#[cfg(not(unix))]
fn thread_time() -> Duration {
    Duration::ZERO
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn work_for(time: Duration) {
        let start = thread_time();
        while thread_time() - start < time {}
    }

    #[test]
    fn time_goes_to_the_innermost_stage() {
        let clocks = Clocks::default();
        let encode = clocks.enter(Stage::Encode);
        work_for(Duration::from_millis(4));
        {
            let _decode = clocks.enter(Stage::Decode);
            work_for(Duration::from_millis(20));
        }
        work_for(Duration::from_millis(4));
        drop(encode);
        work_for(Duration::from_millis(4));
        let times = clocks.read();
        let of = |name| times.iter().find(|time| time.0 == name).unwrap().1;
        assert!((8..16).contains(&of("encode").as_millis()), "{times:?}");
        assert!((20..28).contains(&of("decode").as_millis()), "{times:?}");
        assert!(of("plan").is_zero());
    }
}
