//! Kernels of `sparsefmt.kernels.affine_segments`.

use crate::affine::{Any, Grids, by_dtype};
use crate::arrays::{by_index, detached, index_size, matrix};
use crate::borrow::{In, Out, done};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sparsefmt::affine::Number;
use sparsefmt::affine_segments;

/// Where the slots of each group of columns begin.
#[pyfunction]
pub fn csr_segments(indptr: Any<'_, '_>, indices: Any<'_, '_>, group: usize, offsets: Any<'_, '_>) -> PyResult<()> {
    by_index!(index_size("indptr", indptr)?, I => detached!(
        indptr.py(), read: [indptr: I, indices: I], write: [offsets: i64],
        affine_segments::csr_segments(indptr, indices, group, offsets)
    ))
}

/// The same for bits.
#[pyfunction]
pub fn bits_segments(
    bits: Any<'_, '_>,
    row_offsets: Any<'_, '_>,
    cols: usize,
    group: usize,
    offsets: Any<'_, '_>,
) -> PyResult<()> {
    let ((_, stride), _) = matrix("bits", bits)?;
    by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        bits.py(), read: [bits: u8, row_offsets: I], write: [offsets: i64],
        affine_segments::bits_segments(bits, stride, row_offsets, cols, group, offsets)
    ))
}

/// Writes the least and the largest value of every segment, and 0.
#[pyfunction]
pub fn segment_extremes(
    values: Any<'_, '_>,
    dtype: &str,
    offsets: Any<'_, '_>,
    low: Any<'_, '_>,
    high: Any<'_, '_>,
) -> PyResult<()> {
    let py = values.py();
    let offsets = In::<i64>::new("offsets", offsets, 1)?;
    let offsets = offsets.items()?;
    by_dtype!(dtype, K => {
        let values = In::<<K as Number>::Item>::new("values", values, 1)?;
        let mut low = Out::<<K as Number>::Compute>::new("low", low, 1)?;
        let mut high = Out::<<K as Number>::Compute>::new("high", high, 1)?;
        let (values, low, high) = (values.items()?, low.items()?, high.items()?);
        done(py, crate::exit::detached(py, || affine_segments::segment_extremes::<K>(values, offsets, low, high)))
    })
}

/// Writes the lifted codes of values.
#[pyfunction]
pub fn segment_quantize(
    values: Any<'_, '_>,
    dtype: &str,
    offsets: Any<'_, '_>,
    scale: Any<'_, '_>,
    zero_point: Any<'_, '_>,
    bits: u32,
    codes: Any<'_, '_>,
) -> PyResult<()> {
    let py = values.py();
    let grids = Grids::new(scale, Some(zero_point))?;
    let (grid, offsets) = (grids.grid()?, In::<i64>::new("offsets", offsets, 1)?);
    let offsets = offsets.items()?;
    let mut codes = Out::<u8>::new("codes", codes, 1)?;
    let codes = codes.items()?;
    by_dtype!(dtype, K => {
        let values = In::<<K as Number>::Item>::new("values", values, 1)?;
        let values = values.items()?;
        done(py, crate::exit::detached(py, || affine_segments::segment_quantize::<K>(values, offsets, grid, bits, codes)))
    })
}

/// Writes the values of lifted codes.
#[pyfunction]
pub fn segment_dequantize(
    codes: Any<'_, '_>,
    offsets: Any<'_, '_>,
    scale: Any<'_, '_>,
    zero_point: Any<'_, '_>,
    dtype: &str,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let py = codes.py();
    let grids = Grids::new(scale, Some(zero_point))?;
    let (grid, offsets) = (grids.grid()?, In::<i64>::new("offsets", offsets, 1)?);
    let offsets = offsets.items()?;
    let codes = In::<u8>::new("codes", codes, 1)?;
    let codes = codes.items()?;
    by_dtype!(dtype, K => {
        let mut out = Out::<<K as Number>::Item>::new("out", out, 1)?;
        let out = out.items()?;
        done(py, crate::exit::detached(py, || affine_segments::segment_dequantize::<K>(codes, offsets, grid, out)))
    })
}
