//! A guard around calls that may panic.

use std::cell::Cell;
use std::panic::{self, AssertUnwindSafe};
use std::sync::Once;

thread_local! {
    /// Whether this thread is within [`quietly`].
    static GUARDED: Cell<bool> = const { Cell::new(false) };
}

/// Calls `f`; `None` if it panicked.
///
/// Nothing is printed for such a panic. A panic message is printed by the process's panic hook, before
/// the panic can be caught; so the first call here puts a hook in front of the one that is installed by
/// then. It is silent for threads that are within this function and passes everything else on. A hook
/// that the program installs later replaces it: then panics are still caught here, but reported there.
///
/// `f` must leave nothing half-changed that is used after a panic; the caller sees to that.
pub(crate) fn quietly<T>(f: impl FnOnce() -> T) -> Option<T> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            // A thread that panics while it ends has no thread-locals any more, and is not guarded.
            if !GUARDED.try_with(Cell::get).unwrap_or(false) {
                previous(info);
            }
        }));
    });
    let outer = GUARDED.replace(true);
    let result = panic::catch_unwind(AssertUnwindSafe(f));
    GUARDED.set(outer);
    result.ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn catches_a_panic_and_lets_results_through() {
        assert_eq!(quietly(|| 7), Some(7));
        assert_eq!(quietly(|| -> u8 { panic!("not to be seen") }), None);
        assert!(!GUARDED.get());
        assert_eq!(quietly(|| quietly(|| -> u8 { panic!("not to be seen") }).is_none()), Some(true));
        assert!(!GUARDED.get());
    }
}
