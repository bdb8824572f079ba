//! Workers come to work that is offered while they are at work elsewhere, or on their way to what is done by then.

use sparsefmt::par;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{sleep, yield_now};
use std::time::{Duration, Instant};

/// Whether two tasks are under way at the same time, within so long.
fn meet(patience: Duration) -> bool {
    let come = AtomicUsize::new(0);
    let both = par::map(vec![(); 2], |()| {
        come.fetch_add(1, Ordering::AcqRel);
        let start = Instant::now();
        while come.load(Ordering::Acquire) < 2 {
            if start.elapsed() > patience {
                return false;
            }
            yield_now();
        }
        true
    });
    both.into_iter().all(|met| met)
}

#[test]
fn work_offered_to_workers_on_their_way_is_done_by_them() {
    par::set_threads(2);
    for pause in [0, 20, 1000] {
        for round in 0..50 {
            sleep(Duration::from_micros(pause));
            // So short that it is done before a worker that sleeps has come.
            assert_eq!(par::map(vec![1, 2], |i| i * 2), [2, 4]);
            assert!(meet(Duration::from_secs(5)), "round {round}, {pause} us");
        }
    }
}
