//! Kernels of `sparsefmt.kernels.philox`.

use crate::arrays::output;
use pyo3::prelude::*;

/// Words from counters.
#[pyfunction]
pub fn philox_words(seed: u64, stream: u64, start: u64, out: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = out.py();
    let mut out = output::<u32>("out", out)?;
    let out = out.as_slice_mut()?;
    crate::exit::detached(py, || sparsefmt::philox_words(seed, stream, start, out));
    Ok(())
}
