//! Helpers that stay a little: to wake a thread that sleeps takes longer than most calls.

use sparsefmt_kernels::{Lent, Seat, here};
use std::collections::VecDeque;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, yield_now};
use std::time::{Duration, Instant};

/// How long a helper looks for more work before it sleeps. A layer of a model follows the other within it.
const LINGER: Duration = Duration::from_micros(200);

/// Offers that are left open at most.
const MOST_OPEN: usize = 64;

/// What wakes a helper: work, and whom it helps from then on.
type Call = (Arc<Helpers>, Arc<Lent>);

/// A helper that sleeps. It ends when this is dropped.
struct Sleeper {
    wake: Sender<Call>,
    seat: Option<Seat>,
}

/// The threads that help, and where they find work.
#[derive(Default)]
pub(crate) struct Helpers {
    /// Helpers that look for work and that no offer counts on.
    free: AtomicUsize,
    /// The length of `offers`.
    offered: AtomicUsize,
    offers: Mutex<Vec<Arc<Lent>>>,
    /// The length of `open`.
    opened: AtomicUsize,
    /// Offers that count on nobody, made while all helpers were at work or waking up: for whoever is done first.
    open: Mutex<VecDeque<Arc<Lent>>>,
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
    pub(crate) fn offer(self: &Arc<Self>, lent: &Arc<Lent>, helpers: usize, most: usize) {
        let awake = self.reserve(helpers);
        if awake > 0 {
            let mut offers = lock(&self.offers);
            offers.extend(std::iter::repeat_n(lent, awake).cloned());
            self.offered.store(offers.len(), Ordering::Release);
        }
        for _ in awake..helpers {
            let sleeper = lock(&self.asleep).pop();
            match sleeper {
                Some(sleeper) => {
                    if let (Some(seat), Some(cpu)) = (&sleeper.seat, here()) {
                        seat.keep_off(cpu);
                    }
                    sleeper.wake.send((Arc::clone(self), Arc::clone(lent))).ok();
                }
                None if self.started.fetch_add(1, Ordering::Relaxed) < most => self.start(lent),
                None => {
                    self.started.fetch_sub(1, Ordering::Relaxed);
                    self.leave_open(lent);
                }
            }
        }
    }

    /// Starts a helper; where the system refuses, the caller does its work alone.
    fn start(self: &Arc<Self>, lent: &Arc<Lent>) {
        let call = (Arc::clone(self), Arc::clone(lent));
        if Builder::new().name("sparsefmt".into()).spawn(|| life(call)).is_err() {
            self.started.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Leaves an offer for the first helper that is done with something else. The oldest ones go where there are many:
    /// whoever made them has most likely done the work alone.
    fn leave_open(&self, lent: &Arc<Lent>) {
        let mut open = lock(&self.open);
        if open.len() == MOST_OPEN {
            open.pop_front();
        }
        open.push_back(Arc::clone(lent));
        self.opened.store(open.len(), Ordering::Release);
    }

    /// An offer that was left open, if there is one.
    fn take_open(&self) -> Option<Arc<Lent>> {
        if self.opened.load(Ordering::Acquire) == 0 {
            return None;
        }
        let mut open = lock(&self.open);
        let found = open.pop_front();
        self.opened.store(open.len(), Ordering::Release);
        found
    }

    /// Takes up to so many from the free ones, and gives how many.
    fn reserve(&self, most: usize) -> usize {
        let less = |free: usize| Some(free - free.min(most));
        self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).map_or(0, |free| free.min(most))
    }

    /// What a helper does until there is no more.
    fn serve(&self, first: Arc<Lent>) {
        let mut next = Some(first);
        while let Some(lent) = next {
            lent.visit();
            drop(lent);
            next = self.take_open().or_else(|| self.look());
        }
    }

    /// Waits for an offer. Every offer that is not open counts on one helper, so none leaves that is not free.
    fn look(&self) -> Option<Arc<Lent>> {
        self.free.fetch_add(1, Ordering::AcqRel);
        let start = Instant::now();
        loop {
            if self.offered.load(Ordering::Acquire) > 0 {
                let mut offers = lock(&self.offers);
                let found = offers.pop();
                self.offered.store(offers.len(), Ordering::Release);
                if found.is_some() {
                    return found;
                }
            }
            let done = start.elapsed() > LINGER;
            if (done || self.opened.load(Ordering::Acquire) > 0) && self.reserve(1) == 1 {
                return self.take_open();
            }
            (0..32).for_each(|_| spin_loop());
            yield_now();
        }
    }
}

/// Serves when called, and sleeps in between, without holding on to those it helped.
fn life(first: Call) {
    let seat = Seat::mine();
    let mut call = Some(first);
    while let Some((helpers, lent)) = call {
        if let Some(seat) = &seat {
            seat.allow_all();
        }
        helpers.serve(lent);
        let (wake, calls) = channel();
        lock(&helpers.asleep).push(Sleeper { wake, seat });
        drop(helpers);
        call = calls.recv().ok();
    }
}
