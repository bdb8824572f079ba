//! One team of threads per process.

use crate::count::default_threads;
use crate::workers::Workers;
use sparsefmt_kernels::{run_scoped, run_scoped_helping};
use std::cell::Cell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, RwLock};

/// Threads that work together.
struct Team {
    threads: usize,
    workers: Arc<Workers>,
}

/// The team of a process.
///
/// A child made by fork has a copy of the parent's team but none of its threads, and would wait for them for ever; and
/// a lock that another thread held at the fork stays locked in it. So the child uses neither: it takes the next place,
/// which nobody has used before, and never drops the copy, because that would be to talk to those threads.
struct Place {
    /// Whose it is; 0: nobody's yet.
    process: AtomicU32,
    team: RwLock<Option<Arc<Team>>>,
}

/// Forks of forks that have teams of their own; deeper ones do their work alone.
const PLACES: usize = 64;

static TEAMS: [Place; PLACES] = [const { Place { process: AtomicU32::new(0), team: RwLock::new(None) } }; PLACES];

/// The last place that is taken.
static TAKEN: AtomicUsize = AtomicUsize::new(0);

/// The number of threads that was set, which forks keep; 0: none was.
static SET: AtomicUsize = AtomicUsize::new(0);

thread_local! {
    /// Whether this thread does its work by itself.
    static ALONE: Cell<bool> = const { Cell::new(false) };
}

/// Sets whether the work of this thread is done by it alone: for callers that keep every CPU busy themselves, where
/// workers that look for more would only take their time.
pub fn set_alone(alone: bool) {
    ALONE.set(alone);
}

/// The place of this process.
fn place() -> Option<&'static Place> {
    let here = std::process::id();
    for (at, place) in TEAMS.iter().enumerate().skip(TAKEN.load(Ordering::Acquire)) {
        match place.process.compare_exchange(0, here, Ordering::AcqRel, Ordering::Acquire) {
            Ok(_) => {
                TAKEN.store(at, Ordering::Release);
                return Some(place);
            }
            Err(process) if process == here => return Some(place),
            Err(_) => {}
        }
    }
    None
}

fn build() -> Arc<Team> {
    let threads = match SET.load(Ordering::Relaxed) {
        0 => default_threads(),
        set => set,
    };
    Arc::new(Team { threads, workers: Arc::default() })
}

/// The team of this process; none where it is a fork of too many forks, or where this thread works alone.
fn team() -> Option<Arc<Team>> {
    let place = (!ALONE.get()).then(place).flatten()?;
    if let Some(team) = &*place.team.read().unwrap_or_else(PoisonError::into_inner) {
        return Some(Arc::clone(team));
    }
    let mut slot = place.team.write().unwrap_or_else(PoisonError::into_inner);
    Some(Arc::clone(slot.get_or_insert_with(build)))
}

/// Sets the number of threads; 0 means the default, see [`crate::from_env`]. Work already under way keeps the old
/// number.
pub fn set_threads(threads: usize) {
    SET.store(threads, Ordering::Relaxed);
    if let Some(place) = place() {
        let old = place.team.write().unwrap_or_else(PoisonError::into_inner).replace(build());
        drop(old); // after the lock is let go
    }
}

/// The number of threads that work is spread over.
#[must_use]
pub fn threads() -> usize {
    team().map_or(1, |team| team.threads)
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
    if let Some(team) = (count > 1).then(team).flatten() {
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
    let Some(team) = both.then(team).flatten().filter(|team| team.threads > 1) else {
        return (a(), b());
    };
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
