//! The thread pool: the caller of a function works too, next to workers that look for work a little before they sleep.
//!
//! What is unsafe about it, a borrow that other threads see while its owner waits, and the two system calls for masks of
//! CPUs, stands in [`sparsefmt_kernels`]: `scoped_work` and `affinity`.
#![forbid(unsafe_code)]

mod count;
mod team;
mod workers;

pub use count::{MAX_THREADS, UnknownCount, from_env};
pub use team::{each, join, set_alone, set_threads, threads};
