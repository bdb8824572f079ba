//! Kernels of `sparsefmt.kernels.packing`.

use crate::arrays::{detached, input, output};
use pyo3::prelude::*;

/// Writes a zstd frame; returns its length.
#[pyfunction]
pub fn zstd_compress(data: &Bound<'_, PyAny>, level: i32, out: &Bound<'_, PyAny>) -> PyResult<usize> {
    detached!(data.py(), read: [data: u8], write: [out: u8], sparsefmt::zstd_compress(data, level, out))
}

/// Writes what a zstd frame holds; returns its length.
#[pyfunction]
pub fn zstd_decompress(frame: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<usize> {
    detached!(frame.py(), read: [frame: u8], write: [out: u8], sparsefmt::zstd_decompress(frame, out))
}

/// Codes values if there is room; returns the bytes that they need.
#[pyfunction]
pub fn adaptive_encode(values: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<usize> {
    let py = values.py();
    let values = input::<u64>("values", values)?;
    let values = values.as_slice()?;
    let mut out = output::<u8>("out", out)?;
    let out = out.as_slice_mut()?;
    Ok(crate::exit::detached(py, || sparsefmt::adaptive_encode(values, out)))
}

/// The inverse.
#[pyfunction]
pub fn adaptive_decode(data: &Bound<'_, PyAny>, values: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = data.py();
    let data = input::<u8>("data", data)?;
    let data = data.as_slice()?;
    let mut values = output::<u64>("values", values)?;
    let values = values.as_slice_mut()?;
    crate::exit::detached(py, || sparsefmt::adaptive_decode(data, values));
    Ok(())
}
