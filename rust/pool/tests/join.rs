//! Work that is split in two again and again.

use sparsefmt_pool::{each, join, set_threads};
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
