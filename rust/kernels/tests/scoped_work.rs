//! Work lent to other threads: done by all that come in time, touched by none that come late.

use sparsefmt_kernels::run_scoped;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::{scope, sleep};
use std::time::Duration;

#[test]
fn guests_work_with_the_lender() {
    for guests in [0, 1, 3] {
        let (calls, together) = (AtomicUsize::new(0), Barrier::new(guests + 1));
        let work = || {
            together.wait();
            calls.fetch_add(1, Ordering::Relaxed);
        };
        scope(|scope| {
            run_scoped(&work, |lent| {
                for _ in 0..guests {
                    let lent = lent.clone();
                    scope.spawn(move || lent.visit());
                }
            });
            assert_eq!(calls.load(Ordering::Relaxed), guests + 1);
        });
    }
}

#[test]
fn late_guests_do_nothing() {
    let mut kept = None;
    {
        let calls = AtomicUsize::new(0);
        let work = || {
            calls.fetch_add(1, Ordering::Relaxed);
        };
        run_scoped(&work, |lent| kept = Some(lent.clone()));
        assert_eq!(calls.load(Ordering::Relaxed), 1);
    }
    kept.expect("lent").visit();
}

#[test]
fn the_lender_waits_longer_than_its_patience() {
    let (begun, done) = (Barrier::new(2), AtomicBool::new(false));
    let first = AtomicBool::new(true);
    let work = || {
        let guest = !first.swap(false, Ordering::Relaxed);
        begun.wait();
        if guest {
            sleep(Duration::from_millis(20));
            done.store(true, Ordering::Relaxed);
        }
    };
    scope(|scope| {
        run_scoped(&work, |lent| {
            let lent = lent.clone();
            scope.spawn(move || lent.visit());
        });
        // Whoever came first, the other one slept and is done: `run_scoped` is back from both.
        assert!(done.load(Ordering::Relaxed));
    });
}

#[test]
fn a_panic_of_a_guest_is_the_lenders() {
    let (both, calls) = (Barrier::new(2), AtomicUsize::new(0));
    let work = || {
        both.wait();
        assert!(calls.fetch_add(1, Ordering::Relaxed) > 0, "the first of both panics");
    };
    let end = scope(|scope| {
        catch_unwind(AssertUnwindSafe(|| {
            run_scoped(&work, |lent| {
                let lent = lent.clone();
                scope.spawn(move || lent.visit());
            });
        }))
    });
    let panic = end.expect_err("one of both panicked");
    assert_eq!(panic.downcast_ref::<&str>(), Some(&"the first of both panics"));
    assert_eq!(calls.load(Ordering::Relaxed), 2);
}
