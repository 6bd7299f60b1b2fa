//! Delays between stages, for tests: what comes out must not depend on them.

/// Does nothing, except in tests that ask for it.
#[cfg(not(test))]
pub(super) fn jitter() {}

#[cfg(test)]
pub(super) use injected::jitter;

#[cfg(test)]
pub(super) mod injected {
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    /// State of the generator of delays; 0 for none.
    static SEED: AtomicU64 = AtomicU64::new(0);

    /// From now on, stages are delayed by `seed`; 0 ends that.
    pub(in crate::pipeline) fn set_seed(seed: u64) {
        SEED.store(seed, Ordering::Relaxed);
    }

    /// Waits for up to three milliseconds, or not at all.
    pub(in crate::pipeline) fn jitter() {
        let next =
            |seed: u64| (seed != 0).then(|| seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1) | 1);
        if let Ok(seed) = SEED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next) {
            let draw = seed >> 33;
            if draw % 3 == 0 {
                std::thread::sleep(Duration::from_micros(draw % 3000));
            }
        }
    }
}
