//! Kernels of `sparsefmt.kernels.transposable`.

use crate::arrays::detached;
use pyo3::prelude::*;

/// The masks with n in every row and column of each block that keep most.
#[pyfunction]
pub fn transposable_blocks(
    score: &Bound<'_, PyAny>,
    n: usize,
    m: usize,
    keep: &Bound<'_, PyAny>,
    potential: &Bound<'_, PyAny>,
) -> PyResult<()> {
    detached!(
        score.py(), read: [score: f64], write: [keep: u8, potential: f64],
        sparsefmt::transposable_blocks(score, n, m, keep, potential)
    )
}
