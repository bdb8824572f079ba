//! Which CPU a thread is on, and keeping a sleeping thread off it.
//!
//! Linux likes to wake a thread on the CPU of the one that wakes it, even where another is idle: both then share one
//! until the scheduler moves one of them, often hundreds of microseconds later. A thread that may not run on that CPU is
//! woken elsewhere.
//!
//! The mask of CPUs is the user's, who may change it at any time (`taskset`, `os.sched_setaffinity`, a control group). So
//! it is read each time before it is narrowed, and put back only if it is still the narrowed one.

#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
mod linux {
    use std::ffi::c_int;

    unsafe extern "C" {
        safe fn sched_getcpu() -> c_int;
        fn sched_getaffinity(thread: c_int, size: usize, cpus: *mut u64) -> c_int;
        fn sched_setaffinity(thread: c_int, size: usize, cpus: *const u64) -> c_int;
    }

    /// A set of CPUs, a bit for each; as many as the C library's `cpu_set_t` has.
    type Cpus = [u64; 16];

    /// The CPU that the calling thread is on.
    #[must_use]
    pub fn current_cpu() -> Option<usize> {
        usize::try_from(sched_getcpu()).ok()
    }

    /// A thread of this process.
    #[derive(Clone, Copy, Debug)]
    pub struct ThreadId(c_int);

    impl ThreadId {
        /// That of the calling thread; none where the system does not tell.
        #[must_use]
        pub fn current() -> Option<Self> {
            let thread = std::fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()?;
            Some(Self(thread))
        }

        /// The CPUs that the thread may run on now, a bit for each; none where the system does not tell.
        #[must_use]
        pub fn cpus(self) -> Option<[u64; 16]> {
            let mut cpus: Cpus = [0; 16];
            // SAFETY: it writes at most as many bytes as it is told there are.
            let found = unsafe { sched_getaffinity(self.0, size_of::<Cpus>(), cpus.as_mut_ptr()) };
            (found == 0).then_some(cpus)
        }

        /// Keeps the thread off a CPU, unless it has no other or may not run there anyway. A system that refuses leaves
        /// the thread where it is, which is slower and not wrong.
        #[must_use]
        pub fn keep_off(self, cpu: usize) -> Option<Narrowed> {
            let before = self.cpus()?;
            let mut after = before;
            *after.get_mut(cpu / 64)? &= !(1 << (cpu % 64));
            let narrowed = Narrowed { thread: self, before, after };
            (after != before && after != [0; 16] && self.allow(&after)).then_some(narrowed)
        }

        fn allow(self, cpus: &Cpus) -> bool {
            // SAFETY: it reads as many bytes as it is told there are.
            unsafe { sched_setaffinity(self.0, size_of::<Cpus>(), cpus.as_ptr()) == 0 }
        }
    }

    /// A thread that is kept off a CPU.
    #[derive(Clone, Copy, Debug)]
    pub struct Narrowed {
        thread: ThreadId,
        before: Cpus,
        after: Cpus,
    }

    impl Narrowed {
        /// Lets the thread run where it was allowed to before, unless somebody has changed that since.
        pub fn undo(self) {
            if self.thread.cpus() == Some(self.after) {
                self.thread.allow(&self.before);
            }
        }
    }
}
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub use linux::{Narrowed, ThreadId, current_cpu};

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod other {
    /// The CPU that the calling thread is on; not known here.
    #[must_use]
    pub fn current_cpu() -> Option<usize> {
        None
    }

    /// A thread of this process; not known here.
    #[derive(Clone, Copy, Debug)]
    pub struct ThreadId;

    impl ThreadId {
        /// None here.
        #[must_use]
        pub fn current() -> Option<Self> {
            None
        }

        /// None here.
        #[must_use]
        pub fn cpus(self) -> Option<[u64; 16]> {
            None
        }

        /// Does nothing here.
        #[must_use]
        pub fn keep_off(self, _cpu: usize) -> Option<Narrowed> {
            None
        }
    }

    /// A thread that is kept off a CPU; none is here.
    #[derive(Clone, Copy, Debug)]
    pub struct Narrowed;

    impl Narrowed {
        /// Does nothing here.
        pub fn undo(self) {}
    }
}
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub use other::{Narrowed, ThreadId, current_cpu};

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use super::{ThreadId, current_cpu};
    use std::sync::mpsc::channel;
    use std::thread::spawn;

    #[test]
    fn a_thread_kept_off_a_cpu_runs_elsewhere_and_may_come_back() {
        let (say, hear) = channel();
        let (go, wait) = channel::<()>();
        let thread = spawn(move || {
            say.send(ThreadId::current()).ok();
            wait.recv().ok();
            current_cpu()
        });
        let (Some(id), Some(cpu)) = (hear.recv().ok().flatten(), current_cpu()) else { return };
        let before = id.cpus();
        let narrowed = id.keep_off(cpu);
        let more_than_one = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1);
        assert_eq!(narrowed.is_some(), more_than_one, "{before:?}");
        assert_eq!(id.cpus() != before, more_than_one);
        if let Some(narrowed) = narrowed {
            narrowed.undo();
            assert_eq!(id.cpus(), before);
            assert!(id.keep_off(cpu).is_some());
        }
        go.send(()).ok();
        let Ok(there) = thread.join() else { panic!("the thread panicked") };
        assert_eq!(there != Some(cpu), more_than_one, "on {there:?}, kept off {cpu}");
    }

    #[test]
    fn a_mask_that_was_changed_since_stays() {
        spawn(|| {
            let (Some(id), Some(cpu)) = (ThreadId::current(), current_cpu()) else { return };
            let Some(narrowed) = id.keep_off(cpu) else { return };
            let Some(user) = current_cpu().and_then(|there| id.keep_off(there)) else { return };
            let chosen = id.cpus();
            narrowed.undo();
            assert_eq!(id.cpus(), chosen);
            user.undo();
            narrowed.undo();
            assert_ne!(id.cpus(), chosen);
        })
        .join()
        .expect("no panic");
    }
}
