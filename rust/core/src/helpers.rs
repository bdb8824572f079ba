//! Helpers that stay a little: to wake a thread that sleeps takes longer than most calls.

use rayon::ThreadPool;
use sparsefmt_kernels::Lent;
use std::hint::spin_loop;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::yield_now;
use std::time::{Duration, Instant};

/// How long a helper looks for more work before it sleeps. A layer of a model follows the other within it.
const LINGER: Duration = Duration::from_micros(200);

/// Where the helpers of a pool find work.
#[derive(Default)]
pub(crate) struct Helpers {
    /// Helpers that look for work and that no offer counts on.
    free: AtomicUsize,
    /// The length of `offers`.
    offered: AtomicUsize,
    offers: Mutex<Vec<Arc<Lent>>>,
}

impl Helpers {
    /// Offers work to so many helpers: first to those that are awake.
    pub(crate) fn offer(self: &Arc<Self>, pool: &ThreadPool, lent: &Arc<Lent>, helpers: usize) {
        let awake = self.reserve(helpers);
        if awake > 0 {
            let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
            offers.extend(std::iter::repeat_n(lent, awake).cloned());
            self.offered.store(offers.len(), Ordering::Release);
        }
        for _ in awake..helpers {
            let (all, lent) = (Arc::clone(self), Arc::clone(lent));
            pool.spawn(move || all.serve(lent));
        }
    }

    /// Takes up to so many from the free ones, and gives how many.
    fn reserve(&self, most: usize) -> usize {
        let less = |free: usize| Some(free - free.min(most));
        self.free.fetch_update(Ordering::AcqRel, Ordering::Acquire, less).map_or(0, |free| free.min(most))
    }

    /// What a helper does until there is no more.
    fn serve(&self, first: Arc<Lent>) {
        let mut next = Some(first);
        while let Some(lent) = next {
            lent.visit();
            drop(lent);
            next = self.look();
        }
    }

    /// Waits for an offer. Every offer counts on one helper, so none leaves that is not free.
    fn look(&self) -> Option<Arc<Lent>> {
        self.free.fetch_add(1, Ordering::AcqRel);
        let start = Instant::now();
        loop {
            if self.offered.load(Ordering::Acquire) > 0 {
                let mut offers = self.offers.lock().unwrap_or_else(PoisonError::into_inner);
                let found = offers.pop();
                self.offered.store(offers.len(), Ordering::Release);
                if found.is_some() {
                    return found;
                }
            }
            if start.elapsed() > LINGER && self.reserve(1) == 1 {
                return None;
            }
            (0..32).for_each(|_| spin_loop());
            yield_now();
        }
    }
}
