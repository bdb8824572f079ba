//! The masks of CPUs that the user gives to threads of the pool are theirs at the next call.

#![cfg(all(target_os = "linux", target_pointer_width = "64"))]

use sparsefmt_kernels::{ThreadId, current_cpu};
use sparsefmt_pool::{each, set_threads};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

/// The thread that helps in a call of two threads, the CPUs it may run on while it does, and the one that it is on.
fn worker() -> (ThreadId, Option<[u64; 16]>, Option<usize>) {
    let (caller, come, found) = (std::thread::current().id(), AtomicUsize::new(0), Mutex::new(None));
    each(2, &|_| {
        come.fetch_add(1, Ordering::AcqRel);
        let start = Instant::now();
        while come.load(Ordering::Acquire) < 2 && start.elapsed() < Duration::from_secs(20) {
            yield_now();
        }
        if std::thread::current().id() != caller {
            let id = ThreadId::current().expect("Linux tells");
            *found.lock().expect("no panic") = Some((id, id.cpus(), current_cpu()));
        }
    });
    found.into_inner().expect("no panic").expect("a worker came within 20 s")
}

#[test]
fn what_the_user_sets_stays() {
    set_threads(2);
    let (id, born, _) = worker();
    for pause in [0, 5] {
        sleep(Duration::from_millis(pause));
        assert_eq!(worker().1, born, "after {pause} ms");
    }
    let Some(cpu) = worker().2 else { return };
    // The user takes the CPU away from the worker that sleeps: no call gives it back.
    sleep(Duration::from_millis(5));
    let Some(chosen) = id.keep_off(cpu) else { return };
    let mask = id.cpus();
    assert_ne!(mask, born);
    for pause in [0, 5, 5, 5] {
        sleep(Duration::from_millis(pause));
        let (_, now, on) = worker();
        assert_eq!(now, mask, "after {pause} ms");
        assert_ne!(on, Some(cpu));
    }
    sleep(Duration::from_millis(5));
    chosen.undo();
    sleep(Duration::from_millis(5));
    assert_eq!(worker().1, born);
}
