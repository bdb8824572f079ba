//! Tasks on several threads: all are done once, whoever asks and however often.

use sparsefmt::par;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread::{scope, sleep};
use std::time::Duration;

/// The squares of so many numbers, each by a task.
fn squares(count: usize) -> Vec<usize> {
    par::map((0..count).collect(), |i| i * i)
}

#[test]
fn every_task_is_done_once_and_results_keep_their_order() {
    let want: Vec<usize> = (0..100).map(|i| i * i).collect();
    scope(|scope| {
        for caller in 0..4 {
            let want = &want;
            scope.spawn(move || {
                for call in 0..500 {
                    let count = (call * 7 + caller) % 101;
                    assert_eq!(squares(count), want[..count]);
                    if call % 100 == 99 {
                        sleep(Duration::from_millis(1)); // helpers fall asleep
                    }
                }
            });
        }
        scope.spawn(|| {
            for threads in [1, 2, 7, 3, 2] {
                par::set_threads(threads);
                sleep(Duration::from_millis(3));
            }
        });
    });
    assert_eq!(par::threads(), 2);
}

#[test]
fn tasks_have_tasks_of_their_own() {
    let sums = par::map((0..20).collect(), |i| squares(i).into_iter().sum::<usize>());
    let want: Vec<usize> = (0..20).map(|i| (0..i).map(|j| j * j).sum()).collect();
    assert_eq!(sums, want);
}

#[test]
fn a_panic_reaches_the_caller_and_the_pool_lives_on() {
    for at in [0, 5, 9] {
        let panicking = || par::map((0..10).collect(), |i: usize| assert_ne!(i, at, "at {at}"));
        assert!(catch_unwind(AssertUnwindSafe(panicking)).is_err());
        assert_eq!(squares(4), [0, 1, 4, 9]);
    }
}
