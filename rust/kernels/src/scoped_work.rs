//! Work that is lent to other threads, which may come late or never: nobody waits for those that have not begun.

use std::any::Any;
use std::hint::spin_loop;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{Thread, current, park, yield_now};
use std::time::{Duration, Instant};

/// The lender is done: no guest may begin.
const CLOSED: usize = 1;

/// One guest at work.
const GUEST: usize = 2;

/// How long the lender looks whether the last guest is done before it sleeps: to be woken takes as long.
const PATIENCE: Duration = Duration::from_millis(1);

type Work<'a> = *const (dyn Fn() + Sync + 'a);

/// Work that a thread has lent, for the others.
pub struct ScopedWork {
    work: Work<'static>,
    /// The guests at work, times [`GUEST`], and [`CLOSED`].
    state: AtomicUsize,
    lender: Thread,
    panic: Mutex<Option<Box<dyn Any + Send>>>,
}

// SAFETY: what `work` points to may be called from any thread, and all else may be shared by itself.
unsafe impl Send for ScopedWork {}
// SAFETY: as above.
unsafe impl Sync for ScopedWork {}

impl ScopedWork {
    /// Does the work, unless the lender is done.
    pub fn visit(&self) {
        let enter = |state| (state & CLOSED == 0).then_some(state + GUEST);
        if self.state.fetch_update(Ordering::Acquire, Ordering::Relaxed, enter).is_err() {
            return;
        }
        // SAFETY: the lender keeps the work alive until it has closed the door and the last guest has left.
        let work = unsafe { &*self.work };
        if let Err(panic) = catch_unwind(AssertUnwindSafe(work)) {
            *self.panic.lock().unwrap_or_else(PoisonError::into_inner) = Some(panic);
        }
        if self.state.fetch_sub(GUEST, Ordering::Release) == CLOSED + GUEST {
            self.lender.unpark();
        }
    }

    /// Lets nobody in any more, and waits until all have left. Meanwhile `help` does something else that is to be done,
    /// and returns whether there was any.
    fn close(&self, help: impl Fn() -> bool) {
        let mut state = self.state.fetch_or(CLOSED, Ordering::Acquire);
        let mut start = Instant::now();
        while state >= GUEST {
            if help() {
                start = Instant::now();
            } else if start.elapsed() > PATIENCE {
                park();
            } else {
                (0..32).for_each(|_| spin_loop());
                yield_now();
            }
            state = self.state.load(Ordering::Acquire);
        }
    }
}

/// Closes also when the lender panics.
struct Closing<'a>(&'a ScopedWork);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.close(|| false);
    }
}

/// Does `work` on this thread, and on all that [`visit`](ScopedWork::visit) what `offer` is given before this one is
/// done.
///
/// # Panics
/// `work` does, here or elsewhere.
pub fn run_scoped(work: &(dyn Fn() + Sync), offer: impl FnOnce(&Arc<ScopedWork>)) {
    run_scoped_helping(work, offer, || false);
}

/// Like [`run_scoped`]. While this thread waits for others that are at work it calls `help`, which does something else
/// that is to be done and returns whether there was any.
///
/// # Panics
/// `work` or `help` does, here or elsewhere.
pub fn run_scoped_helping(work: &(dyn Fn() + Sync), offer: impl FnOnce(&Arc<ScopedWork>), help: impl Fn() -> bool) {
    let work_here: Work<'_> = work;
    // SAFETY: only the lifetime changes. It is dereferenced by guests only, and `Closing` outlasts these.
    let work_anywhere = unsafe { std::mem::transmute::<Work<'_>, Work<'static>>(work_here) };
    let scoped = Arc::new(ScopedWork {
        work: work_anywhere,
        state: AtomicUsize::new(0),
        lender: current(),
        panic: Mutex::new(None),
    });
    let closing = Closing(&scoped);
    offer(&scoped);
    work();
    scoped.close(help);
    drop(closing);
    if let Some(panic) = scoped.panic.lock().unwrap_or_else(PoisonError::into_inner).take() {
        resume_unwind(panic);
    }
}
