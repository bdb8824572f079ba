//! Kernels of `sparsefmt.kernels.checksum`.

use crate::arrays::{by_index, detached, index_size, input};
use pyo3::prelude::*;

/// The high and the low word of the checksum.
#[pyfunction]
pub fn xxh3_128(data: &Bound<'_, PyAny>) -> PyResult<(u64, u64)> {
    let py = data.py();
    let data = input::<u8>("data", data)?;
    let data = data.as_slice()?;
    Ok(crate::exit::detached(py, || sparsefmt::xxh3_128(data)))
}

/// Adds blocks to the sums.
#[pyfunction]
pub fn xxh3_blocks(sums: &Bound<'_, PyAny>, data: &Bound<'_, PyAny>) -> PyResult<()> {
    detached!(data.py(), read: [data: u8], write: [sums: u64], sparsefmt::xxh3_blocks(sums, data))
}

/// Writes the checksum of every `length` bytes.
#[pyfunction]
pub fn xxh3_rows(data: &Bound<'_, PyAny>, length: usize, sums: &Bound<'_, PyAny>) -> PyResult<()> {
    detached!(data.py(), read: [data: u8], write: [sums: u64], sparsefmt::xxh3_rows(data, length, sums))
}

/// Writes the checksum of the bytes between every two offsets.
#[pyfunction]
pub fn xxh3_spans(data: &Bound<'_, PyAny>, offsets: &Bound<'_, PyAny>, sums: &Bound<'_, PyAny>) -> PyResult<()> {
    by_index!(index_size("offsets", offsets)?, I => detached!(
        data.py(), read: [data: u8, offsets: I], write: [sums: u64], sparsefmt::xxh3_spans(data, offsets, sums)
    ))
}
