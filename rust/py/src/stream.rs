//! Kernels of `sparsefmt.kernels.stream`.

use crate::arrays::{input, output, raised};
use pyo3::prelude::*;

/// Packs codes.
#[pyfunction]
pub fn pack_stream(codes: &Bound<'_, PyAny>, bits: usize, stream: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = codes.py();
    let codes = input::<u8>("codes", codes)?;
    let codes = codes.as_slice()?;
    let mut stream = output::<u8>("stream", stream)?;
    let stream = stream.as_slice_mut()?;
    crate::exit::detached(py, || sparsefmt::pack_stream(codes, bits, stream)).map_err(|e| raised(py, &e))
}

/// Unpacks codes.
#[pyfunction]
pub fn unpack_stream(stream: &Bound<'_, PyAny>, bits: usize, codes: &Bound<'_, PyAny>) -> PyResult<()> {
    let py = stream.py();
    let stream = input::<u8>("stream", stream)?;
    let stream = stream.as_slice()?;
    let mut codes = output::<u8>("codes", codes)?;
    let codes = codes.as_slice_mut()?;
    crate::exit::detached(py, || sparsefmt::unpack_stream(stream, bits, codes)).map_err(|e| raised(py, &e))
}

/// Whether padding bits are set.
#[pyfunction]
pub fn stream_padding(stream: &Bound<'_, PyAny>, bits: usize, count: usize) -> PyResult<i64> {
    let py = stream.py();
    let stream = input::<u8>("stream", stream)?;
    sparsefmt::stream_padding(stream.as_slice()?, bits, count).map(i64::from).map_err(|e| raised(py, &e))
}
