//! Threads that are inside kernels when the interpreter ends.
//!
//! Before Python 3.14 a thread that attaches to an interpreter that ends is unwound by the C library, and unwinding
//! through frames of Rust aborts the process. So threads that come back from a kernel at that time stay away.

use crate::memory::MEMORY;
use pyo3::prelude::*;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};

/// Set when the interpreter runs its exit functions.
static ENDS: AtomicBool = AtomicBool::new(false);

/// Threads between the end of a kernel and their return to the interpreter.
static RETURNING: AtomicUsize = AtomicUsize::new(0);

/// How long a thread stays away. The process has ended by then, unless an exit function waits for the thread.
const AWAY: Duration = Duration::from_secs(3);

/// How long the interpreter waits for threads that are on their way back.
const PATIENCE: Duration = Duration::from_secs(1);

const PAUSE: Duration = Duration::from_micros(200);

thread_local! {
    /// Whether this thread ends the interpreter: its kernels return as ever.
    static ENDING: Cell<bool> = const { Cell::new(false) };
}

/// Ends with the kernel, by a panic too, before the thread is attached again.
struct Inside;

impl Drop for Inside {
    fn drop(&mut self) {
        RETURNING.fetch_add(1, Ordering::SeqCst);
        if ENDS.load(Ordering::SeqCst) && !ENDING.get() {
            RETURNING.fetch_sub(1, Ordering::SeqCst);
            sleep(AWAY);
            RETURNING.fetch_add(1, Ordering::SeqCst);
        }
    }
}

/// Ends when the thread is attached again.
struct Outside;

impl Drop for Outside {
    fn drop(&mut self) {
        RETURNING.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Runs `work` detached from the interpreter.
pub fn detached<R: Send>(py: Python<'_>, work: impl FnOnce() -> R + Send) -> R {
    MEMORY.put_by();
    let _outside = Outside;
    py.detach(|| {
        let _inside = Inside;
        work()
    })
}

/// Runs `work` attached to the interpreter from inside a kernel; None if the interpreter ends.
pub fn attached<R>(work: impl FnOnce(Python<'_>) -> R) -> Option<R> {
    RETURNING.fetch_add(1, Ordering::SeqCst);
    let _outside = Outside;
    if ENDS.load(Ordering::SeqCst) && !ENDING.get() { None } else { Python::try_attach(work) }
}

/// Called when the interpreter ends: threads that are on their way back from a kernel come first, later ones stay away.
#[pyfunction]
pub fn interpreter_ends(py: Python<'_>) {
    ENDING.set(true);
    ENDS.store(true, Ordering::SeqCst);
    let asked = Instant::now();
    while RETURNING.load(Ordering::SeqCst) > 0 && asked.elapsed() < PATIENCE {
        py.detach(|| sleep(PAUSE));
    }
}
