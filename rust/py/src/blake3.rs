//! Kernels of `sparsefmt.kernels.blake3`.

use crate::arrays::detached;
use pyo3::prelude::*;

/// Writes the BLAKE3 of bytes.
#[pyfunction]
pub fn blake3_hash(data: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<()> {
    detached!(data.py(), read: [data: u8], write: [out: u8], sparsefmt::blake3_hash(data, out))
}
