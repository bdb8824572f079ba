//! One team of threads per process.

use crate::count::default_threads;
use crate::workers::Workers;
use sparsefmt_kernels::{run_scoped, run_scoped_helping};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Threads that work together, and the process that they live in.
struct Owned {
    process: u32,
    team: Arc<Team>,
}

struct Team {
    threads: usize,
    workers: Arc<Workers>,
}

static TEAM: RwLock<Option<Owned>> = RwLock::new(None);

fn build(threads: usize) -> Owned {
    Owned { process: std::process::id(), team: Arc::new(Team { threads, workers: Arc::default() }) }
}

/// The team of this process.
///
/// A child made by fork has a copy of the parent's team but none of its threads, and would wait for them for ever: it
/// gets a team of its own, and the copy is leaked, because to drop it would be to talk to those threads.
fn team() -> Arc<Team> {
    let here = std::process::id();
    if let Some(owned) = &*TEAM.read().unwrap_or_else(PoisonError::into_inner)
        && owned.process == here
    {
        return Arc::clone(&owned.team);
    }
    let mut slot = TEAM.write().unwrap_or_else(PoisonError::into_inner);
    if let Some(owned) = &*slot
        && owned.process == here
    {
        return Arc::clone(&owned.team);
    }
    let new = build(slot.as_ref().map_or_else(default_threads, |owned| owned.team.threads));
    let team = Arc::clone(&new.team);
    std::mem::forget(slot.replace(new));
    team
}

/// Sets the number of threads; 0 means the default, see [`crate::from_env`]. Work already under way keeps the old
/// number.
pub fn set_threads(threads: usize) {
    let new = build(if threads == 0 { default_threads() } else { threads });
    let old = TEAM.write().unwrap_or_else(PoisonError::into_inner).replace(new);
    if old.as_ref().is_some_and(|owned| owned.process != std::process::id()) {
        std::mem::forget(old);
    }
}

/// The number of threads that work is spread over.
#[must_use]
pub fn threads() -> usize {
    team().threads
}

/// Calls `work` with every number below `count`, on several threads if there is more than one.
///
/// The caller works too: it begins at once, without a switch of threads, and does not wait for workers that have not
/// begun when all is done. Behind a `dyn`, so that this is compiled once and not for every kernel.
pub fn each(count: usize, work: &(dyn Fn(usize) + Sync)) {
    let next = AtomicUsize::new(0);
    let some = || {
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                i if i < count => work(i),
                _ => break,
            }
        }
    };
    if count > 1 {
        let team = team();
        let (most, wanted) = (team.threads - 1, team.threads.min(count) - 1);
        if wanted > 0 {
            return run_scoped(&some, |work| team.workers.offer(work, wanted, most));
        }
    }
    some();
}

/// What one of two tasks became: the task, then its result.
struct Half<F, T>(Mutex<(Option<F>, Option<T>)>);

impl<T, F: FnOnce() -> T> Half<F, T> {
    fn new(task: F) -> Self {
        Self(Mutex::new((Some(task), None)))
    }

    fn run(&self) {
        let task = self.0.lock().unwrap_or_else(PoisonError::into_inner).0.take();
        if let Some(task) = task {
            let result = task();
            self.0.lock().unwrap_or_else(PoisonError::into_inner).1 = Some(result);
        }
    }

    fn result(self) -> Option<T> {
        self.0.into_inner().unwrap_or_else(PoisonError::into_inner).1
    }
}

/// Runs both tasks and returns both results: at the same time if `both` says so and a worker is free. A caller whose own
/// task is done first takes up what others have offered, so that work may be split in two again and again.
///
/// # Panics
/// One of the tasks does.
pub fn join<A: Send, B: Send>(both: bool, a: impl FnOnce() -> A + Send, b: impl FnOnce() -> B + Send) -> (A, B) {
    let team = if both { team() } else { return (a(), b()) };
    if team.threads < 2 {
        return (a(), b());
    }
    let (first, second) = (Half::new(a), Half::new(b));
    let next = AtomicUsize::new(0);
    let work = || {
        loop {
            match next.fetch_add(1, Ordering::Relaxed) {
                0 => first.run(),
                1 => second.run(),
                _ => break,
            }
        }
    };
    run_scoped_helping(&work, |work| team.workers.offer(work, 1, team.threads - 1), || team.workers.help());
    match (first.result(), second.result()) {
        (Some(a), Some(b)) => (a, b),
        _ => unreachable!("both tasks are done, or their panic has gone on"),
    }
}
