//! Long work that may be stopped on the way.

use crate::{Error, Result};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::ThreadId;
use std::time::{Duration, Instant};

/// Time between two questions.
const PAUSE: Duration = Duration::from_millis(50);

/// Tells all threads of a piece of work whether to stop: the thread that began it asks now and then, the others are told.
pub struct Stop<'a> {
    ask: &'a (dyn Fn() -> bool + Sync),
    asker: ThreadId,
    began: Instant,
    /// Milliseconds from `began` to the last question.
    asked: AtomicU64,
    stopped: AtomicBool,
}

impl std::fmt::Debug for Stop<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stop").field("stopped", &self.stopped).finish_non_exhaustive()
    }
}

impl<'a> Stop<'a> {
    /// For work of the calling thread, the only one that calls `ask`: whether to stop.
    pub fn new(ask: &'a (dyn Fn() -> bool + Sync)) -> Self {
        let (asker, began) = (std::thread::current().id(), Instant::now());
        Self { ask, asker, began, asked: AtomicU64::new(0), stopped: AtomicBool::new(false) }
    }

    /// To be called between pieces of a millisecond or so.
    ///
    /// # Errors
    /// [`Error::Stopped`] from when `ask` says so.
    pub(crate) fn check(&self) -> Result<()> {
        if self.stopped.load(Ordering::Relaxed) {
            return Err(Error::Stopped); // who said so is not asked again: the answer is there once
        }
        let now = u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX);
        let due = self.asked.load(Ordering::Relaxed).saturating_add(PAUSE.as_millis() as u64) <= now;
        if due && std::thread::current().id() == self.asker {
            self.asked.store(now, Ordering::Relaxed);
            if (self.ask)() {
                self.stopped.store(true, Ordering::Relaxed);
            }
        }
        if self.stopped.load(Ordering::Relaxed) { Err(Error::Stopped) } else { Ok(()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;

    #[test]
    fn who_said_stop_is_not_asked_again() {
        let asked = AtomicUsize::new(0);
        let ask = || asked.fetch_add(1, Ordering::Relaxed) == 0;
        let stop = Stop::new(&ask);
        assert_eq!(stop.check(), Ok(()));
        for _ in 0..2 {
            std::thread::sleep(PAUSE + PAUSE / 5);
            assert_eq!(stop.check(), Err(Error::Stopped));
        }
        assert_eq!(asked.load(Ordering::Relaxed), 1);
    }
}
