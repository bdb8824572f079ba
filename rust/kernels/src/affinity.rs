//! Which CPU a thread is on, and keeping a sleeping thread off it.
//!
//! Linux likes to wake a thread on the CPU of the one that wakes it, even where another is idle: both then share one
//! until the scheduler moves one of them, often hundreds of microseconds later. A thread that may not run on that CPU is
//! woken elsewhere.

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
    pub fn here() -> Option<usize> {
        usize::try_from(sched_getcpu()).ok()
    }

    /// A thread, and the CPUs that it may run on.
    #[derive(Clone, Copy, Debug)]
    pub struct Affinity {
        thread: c_int,
        cpus: Cpus,
    }

    impl Affinity {
        /// That of the calling thread; none where the system does not tell.
        #[must_use]
        pub fn mine() -> Option<Self> {
            let thread = std::fs::read_link("/proc/thread-self").ok()?.file_name()?.to_str()?.parse().ok()?;
            let mut cpus: Cpus = [0; 16];
            // SAFETY: it writes at most as many bytes as it is told there are.
            let found = unsafe { sched_getaffinity(thread, size_of::<Cpus>(), cpus.as_mut_ptr()) };
            (found == 0).then_some(Self { thread, cpus })
        }

        /// Keeps the thread off a CPU, unless it has no other.
        pub fn exclude(&self, cpu: usize) {
            let mut cpus = self.cpus;
            if let Some(word) = cpus.get_mut(cpu / 64) {
                *word &= !(1 << (cpu % 64));
            }
            if cpus != self.cpus && cpus != [0; 16] {
                self.allow(&cpus);
            }
        }

        /// Lets the thread run on all of its CPUs again.
        pub fn restore(&self) {
            self.allow(&self.cpus);
        }

        /// A system that refuses leaves the thread where it is, which is slower and not wrong.
        fn allow(&self, cpus: &Cpus) {
            // SAFETY: it reads as many bytes as it is told there are.
            unsafe { sched_setaffinity(self.thread, size_of::<Cpus>(), cpus.as_ptr()) };
        }
    }
}
#[cfg(all(target_os = "linux", target_pointer_width = "64"))]
pub use linux::{Affinity, here};

#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
mod other {
    /// The CPU that the calling thread is on; not known here.
    #[must_use]
    pub fn here() -> Option<usize> {
        None
    }

    /// A thread, and the CPUs that it may run on; not known here.
    #[derive(Clone, Copy, Debug)]
    pub struct Affinity;

    impl Affinity {
        /// None here.
        #[must_use]
        pub fn mine() -> Option<Self> {
            None
        }

        /// Does nothing here.
        pub fn exclude(&self, _cpu: usize) {}

        /// Does nothing here.
        pub fn restore(&self) {}
    }
}
#[cfg(not(all(target_os = "linux", target_pointer_width = "64")))]
pub use other::{Affinity, here};

#[cfg(all(test, target_os = "linux", target_pointer_width = "64"))]
mod tests {
    use super::{Affinity, here};
    use std::sync::mpsc::channel;
    use std::thread::spawn;

    #[test]
    fn a_thread_kept_off_a_cpu_runs_elsewhere_and_may_come_back() {
        let (say, hear) = channel();
        let (go, wait) = channel::<()>();
        let thread = spawn(move || {
            say.send(Affinity::mine()).ok();
            wait.recv().ok();
            (here(), Affinity::mine().map(|seat| format!("{seat:?}")))
        });
        let (Some(seat), Some(cpu)) = (hear.recv().ok().flatten(), here()) else { return };
        seat.exclude(cpu);
        go.send(()).ok();
        let Ok((there, narrowed)) = thread.join() else { panic!("the thread panicked") };
        let more_than_one = std::thread::available_parallelism().is_ok_and(|cpus| cpus.get() > 1);
        assert_eq!(there != Some(cpu), more_than_one, "on {there:?}, kept off {cpu}");
        assert_eq!(narrowed != Some(format!("{seat:?}")), more_than_one, "{narrowed:?}");

        let Some(mine) = Affinity::mine() else { return };
        mine.exclude(cpu);
        mine.restore();
        assert_eq!(Affinity::mine().map(|seat| format!("{seat:?}")), Some(format!("{mine:?}")));
    }
}
