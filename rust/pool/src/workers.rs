//! Workers that stay awake a little: to wake a thread that sleeps takes longer than most calls.

use sparsefmt_kernels::{Narrowed, ScopedWork, ThreadId, current_cpu, has_address_space};
use std::collections::VecDeque;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, yield_now};
use std::time::{Duration, Instant};

/// How long a worker looks for more work before it sleeps. A layer of a model follows the other within it.
const LINGER: Duration = Duration::from_micros(200);

/// Bytes of address space that there must be before a thread is started: several times what it takes.
const THREAD: usize = 8 << 20;

/// Offers that count on nobody and are left open at most.
const MOST_OPEN: usize = 64;

/// What wakes a worker: work, whom it helps from then on, and the CPU that it was kept off meanwhile.
struct Call {
    team: Arc<Workers>,
    work: Arc<ScopedWork>,
    narrowed: Option<Narrowed>,
}

/// A worker that sleeps. It ends when this is dropped.
struct Sleeper {
    wake: Sender<Call>,
    thread: Option<ThreadId>,
}

/// Offers, the oldest first, and how many workers look for one.
#[derive(Default)]
struct Offers {
    queue: VecDeque<Arc<ScopedWork>>,
    looking: usize,
}

impl Offers {
    /// Workers that look for work and that no offer counts on.
    fn free(&self) -> usize {
        self.looking.saturating_sub(self.queue.len())
    }
}

/// The threads that help, and where they find work.
#[derive(Default)]
pub(crate) struct Workers {
    offers: Mutex<Offers>,
    /// The length of the queue, for those that look.
    offered: AtomicUsize,
    asleep: Mutex<Vec<Sleeper>>,
    /// Workers that were ever started: none ends before this does.
    started: AtomicUsize,
    /// Bytes of their stacks, if not as many as usual.
    stack: Option<usize>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Workers {
    /// Offers work to so many workers: first to those that are awake, then to those that sleep; no more than `most` are
    /// ever started.
    pub(crate) fn offer(self: &Arc<Self>, work: &Arc<ScopedWork>, workers: usize, most: usize) {
        let mut offers = lock(&self.offers);
        let awake = offers.free().min(workers);
        offers.queue.extend(std::iter::repeat_n(work, awake).cloned());
        self.offered.store(offers.queue.len(), Ordering::Release);
        drop(offers);
        for _ in awake..workers {
            let sleeper = lock(&self.asleep).pop();
            match sleeper {
                Some(sleeper) => self.wake(sleeper, work),
                None if self.started.fetch_add(1, Ordering::Relaxed) < most => self.start(work),
                None => {
                    self.started.fetch_sub(1, Ordering::Relaxed);
                    self.leave_open(work, most);
                }
            }
        }
    }

    /// Wakes a worker for work.
    fn wake(self: &Arc<Self>, sleeper: Sleeper, work: &Arc<ScopedWork>) {
        let narrowed = current_cpu().zip(sleeper.thread).and_then(|(cpu, thread)| thread.keep_off(cpu));
        sleeper.wake.send(Call { team: Arc::clone(self), work: Arc::clone(work), narrowed }).ok();
    }

    /// Starts a worker; where the system refuses, the caller does its work alone.
    ///
    /// A thread that finds no memory for what is local to it ends the process. So one is started only where there is
    /// some, and the caller takes no more of it before the thread has begun.
    fn start(self: &Arc<Self>, work: &Arc<ScopedWork>) {
        let begun = Arc::new(AtomicBool::new(false));
        let call = Call { team: Arc::clone(self), work: Arc::clone(work), narrowed: None };
        let mut builder = Builder::new().name("sparsefmt".into());
        if let Some(bytes) = self.stack {
            builder = builder.stack_size(bytes);
        }
        let begins = Arc::clone(&begun);
        let thread = move || {
            touch_locals();
            begins.store(true, Ordering::Release);
            life(call);
        };
        if has_address_space(THREAD) && builder.spawn(thread).is_ok() {
            while !begun.load(Ordering::Acquire) {
                yield_now();
            }
        } else {
            self.started.fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Does the oldest work on offer, if there is any.
    pub(crate) fn help(&self) -> bool {
        if self.offered.load(Ordering::Acquire) == 0 {
            return false;
        }
        self.left_open().as_deref().map(ScopedWork::visit).is_some()
    }

    /// Leaves an offer, made while all `most` workers are at work or waking up, for the first that is done. The oldest
    /// ones go where there are many: whoever made them has most likely done the work alone.
    ///
    /// No worker falls asleep meanwhile: one that has is woken, and one that is about to looks for offers once more.
    fn leave_open(self: &Arc<Self>, work: &Arc<ScopedWork>, most: usize) {
        let mut asleep = lock(&self.asleep);
        if let Some(sleeper) = asleep.pop() {
            drop(asleep);
            return self.wake(sleeper, work);
        }
        let mut offers = lock(&self.offers);
        if offers.queue.len() >= most + MOST_OPEN {
            offers.queue.pop_front();
        }
        offers.queue.push_back(Arc::clone(work));
        self.offered.store(offers.queue.len(), Ordering::Release);
    }

    /// The oldest offer, if there is any.
    fn left_open(&self) -> Option<Arc<ScopedWork>> {
        let mut offers = lock(&self.offers);
        let found = offers.queue.pop_front();
        self.offered.store(offers.queue.len(), Ordering::Release);
        found
    }

    /// What a worker does until there is no more.
    fn serve(&self, first: Arc<ScopedWork>) {
        let mut next = Some(first);
        while let Some(work) = next {
            work.visit();
            drop(work);
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

/// Makes what the library keeps for a thread that sleeps until it is called.
fn touch_locals() {
    let (_calls, calls) = channel::<()>();
    calls.recv_timeout(Duration::from_nanos(1)).ok();
}

/// Serves when called, and sleeps in between, without holding on to those it helped.
fn life(first: Call) {
    let thread = ThreadId::current();
    let mut next = Some(first);
    while let Some(Call { team, work, narrowed }) = next {
        if let Some(narrowed) = narrowed {
            narrowed.undo();
        }
        team.serve(work);
        let mut asleep = lock(&team.asleep);
        if let Some(work) = team.left_open() {
            drop(asleep);
            next = Some(Call { team, work, narrowed: None });
            continue;
        }
        let (wake, calls) = channel();
        asleep.push(Sleeper { wake, thread });
        drop(asleep);
        drop(team);
        next = calls.recv().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sparsefmt_kernels::run_scoped;

    #[test]
    fn threads_that_cannot_start_are_done_without() {
        let workers = Arc::new(Workers { stack: Some(usize::MAX >> 1), ..Workers::default() });
        for _ in 0..3 {
            let calls = AtomicUsize::new(0);
            let work = || {
                calls.fetch_add(1, Ordering::Relaxed);
            };
            run_scoped(&work, |work| workers.offer(work, 3, 3));
            assert_eq!((calls.into_inner(), workers.started.load(Ordering::Relaxed)), (1, 0));
        }
    }
}
