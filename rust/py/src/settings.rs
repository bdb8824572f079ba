//! Threads and CPU features.

use pyo3::prelude::*;
use sparsefmt::{Isa, Kernels, par};

/// Sets the number of threads; 0 means the default.
#[pyfunction]
pub fn set_num_threads(n: usize) {
    par::set_threads(n);
}

/// The number of threads in use.
#[pyfunction]
pub fn get_num_threads() -> usize {
    par::threads()
}

/// Sets whether kernels that this thread calls work in it alone.
#[pyfunction]
pub fn set_alone(alone: bool) {
    par::set_alone(alone);
}

/// The instruction set in use, and whether each known one is available.
#[pyfunction]
pub fn cpu_features() -> (&'static str, Vec<(&'static str, bool)>) {
    let known = Isa::ALL.into_iter().map(|isa| (isa.name(), isa.is_available())).collect();
    (Kernels::active().isa().name(), known)
}
