//! Helpers that stay a little: to wake a thread that sleeps takes longer than most calls.

use sparsefmt_kernels::{Affinity, ScopedWork, here};
use std::collections::VecDeque;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, yield_now};
use std::time::{Duration, Instant};

/// How long a helper looks for more work before it sleeps. A layer of a model follows the other within it.
const LINGER: Duration = Duration::from_micros(200);

/// Offers that count on nobody and are left open at most.
const MOST_OPEN: usize = 64;

/// What wakes a helper: work, and whom it helps from then on.
type Call = (Arc<Helpers>, Arc<ScopedWork>);

/// A helper that sleeps. It ends when this is dropped.
struct Sleeper {
    wake: Sender<Call>,
    seat: Option<Affinity>,
}

/// Offers, the oldest first, and how many helpers look for one.
#[derive(Default)]
struct Offers {
    queue: VecDeque<Arc<ScopedWork>>,
    looking: usize,
}

impl Offers {
    /// Helpers that look for work and that no offer counts on.
    fn free(&self) -> usize {
        self.looking.saturating_sub(self.queue.len())
    }
}

/// The threads that help, and where they find work.
#[derive(Default)]
pub(crate) struct Helpers {
    offers: Mutex<Offers>,
    /// The length of the queue, for those that look.
    offered: AtomicUsize,
    asleep: Mutex<Vec<Sleeper>>,
    /// Helpers that were ever started: none ends before this does.
    started: AtomicUsize,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Helpers {
    /// Offers work to so many helpers: first to those that are awake, then to those that sleep; no more than `most` are
    /// ever started.
    pub(crate) fn offer(self: &Arc<Self>, lent: &Arc<ScopedWork>, helpers: usize, most: usize) {
        let mut offers = lock(&self.offers);
        let awake = offers.free().min(helpers);
        offers.queue.extend(std::iter::repeat_n(lent, awake).cloned());
        self.offered.store(offers.queue.len(), Ordering::Release);
        drop(offers);
        for _ in awake..helpers {
            let sleeper = lock(&self.asleep).pop();
            match sleeper {
                Some(sleeper) => {
                    if let (Some(seat), Some(cpu)) = (&sleeper.seat, here()) {
                        seat.exclude(cpu);
                    }
                    sleeper.wake.send((Arc::clone(self), Arc::clone(lent))).ok();
                }
                None if self.started.fetch_add(1, Ordering::Relaxed) < most => self.start(lent),
                None => {
                    self.started.fetch_sub(1, Ordering::Relaxed);
                    self.leave_open(lent, most);
                }
            }
        }
    }

    /// Starts a helper; where the system refuses, the caller does its work alone.
    fn start(self: &Arc<Self>, lent: &Arc<ScopedWork>) {
        let call = (Arc::clone(self), Arc::clone(lent));
        if Builder::new().name("sparsefmt".into()).spawn(|| life(call)).is_err() {
            self.started.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Leaves an offer, made while all `most` helpers are at work or waking up, for the first that is done. The oldest
    /// ones go where there are many: whoever made them has most likely done the work alone.
    fn leave_open(&self, lent: &Arc<ScopedWork>, most: usize) {
        let mut offers = lock(&self.offers);
        if offers.queue.len() >= most + MOST_OPEN {
            offers.queue.pop_front();
        }
        offers.queue.push_back(Arc::clone(lent));
        self.offered.store(offers.queue.len(), Ordering::Release);
    }

    /// What a helper does until there is no more.
    fn serve(&self, first: Arc<ScopedWork>) {
        let mut next = Some(first);
        while let Some(lent) = next {
            lent.visit();
            drop(lent);
            next = self.look();
        }
    }

    /// Waits for an offer.
    fn look(&self) -> Option<Arc<ScopedWork>> {
        lock(&self.offers).looking += 1;
        let start = Instant::now();
        loop {
            let done = start.elapsed() > LINGER;
            if done || self.offered.load(Ordering::Acquire) > 0 {
                let mut offers = lock(&self.offers);
                let found = offers.queue.pop_front();
                self.offered.store(offers.queue.len(), Ordering::Release);
                if done || found.is_some() {
                    offers.looking -= 1;
                    return found;
                }
            }
            (0..32).for_each(|_| spin_loop());
            yield_now();
        }
    }
}

/// Serves when called, and sleeps in between, without holding on to those it helped.
fn life(first: Call) {
    let seat = Affinity::mine();
    let mut call = Some(first);
    while let Some((helpers, lent)) = call {
        if let Some(seat) = &seat {
            seat.restore();
        }
        helpers.serve(lent);
        let (wake, calls) = channel();
        lock(&helpers.asleep).push(Sleeper { wake, seat });
        drop(helpers);
        call = calls.recv().ok();
    }
}
