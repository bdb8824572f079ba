//! The thread pool: the caller of a function works too, next to workers that look for work a little before they sleep.
//!
//! What is unsafe about it, a borrow that other threads see while its owner waits, and the system calls for masks of CPUs
//! and for address space, stands in [`sparsefmt_kernels`]: `scoped_work`, `affinity` and `address_space`.
#![forbid(unsafe_code)]

mod count;
mod team;
mod workers;

pub use count::{MAX_THREADS, UnknownCount, from_env};
pub use team::{each, join, set_alone, set_threads, threads};
