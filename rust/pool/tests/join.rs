//! Work that is split in two again and again.

use sparsefmt_pool::{each, join, set_alone, set_threads, threads};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};

/// The sum of a range, split down to single numbers.
fn sum(from: u64, to: u64) -> u64 {
    if to - from < 2 {
        return (from..to).sum();
    }
    let middle = from.midpoint(to);
    let (a, b) = join(true, || sum(from, middle), || sum(middle, to));
    a + b
}

#[test]
fn halves_of_halves_add_up() {
    for threads in [1, 2, 3, 8] {
        set_threads(threads);
        assert_eq!(sum(0, 3000), 2999 * 3000 / 2, "{threads} threads");
    }
}

#[test]
fn callers_beside_each_other_split_their_work() {
    set_threads(3);
    let done = AtomicUsize::new(0);
    each(16, &|i| {
        assert_eq!(sum(0, 100 + i as u64), (99 + i as u64) * (100 + i as u64) / 2);
        done.fetch_add(1, Ordering::Relaxed);
    });
    assert_eq!(done.into_inner(), 16);
}

#[test]
fn a_panic_of_either_half_reaches_the_caller() {
    set_threads(2);
    for left in [true, false] {
        let split = || join(true, || assert!(!left, "the left one"), || assert!(left, "the right one"));
        assert!(catch_unwind(AssertUnwindSafe(split)).is_err());
        assert_eq!(sum(0, 10), 45);
    }
}

#[test]
fn a_thread_that_works_alone_shares_nothing() {
    set_threads(3);
    let threads_of = |alone| {
        std::thread::spawn(move || {
            set_alone(alone);
            let (done, other) = (AtomicUsize::new(0), AtomicUsize::new(0));
            let here = std::thread::current().id();
            each(64, &|_| {
                done.fetch_add(1, Ordering::Relaxed);
                other.fetch_add(usize::from(std::thread::current().id() != here), Ordering::Relaxed);
            });
            assert_eq!(done.into_inner(), 64);
            assert!(!alone || other.into_inner() == 0);
            assert_eq!(sum(0, 1000), 499_500);
            threads()
        })
        .join()
    };
    assert_eq!(threads_of(true).ok(), Some(1));
    assert!(threads_of(false).is_ok_and(|threads| threads > 1));
}
