//! Kernels of `sparsefmt.kernels.checks`.

use crate::arrays::{by_index, detached, index_size, matrix};
use pyo3::prelude::*;

/// A finding as Python has it: the number of the fault and its position, or zeros.
pub fn finding(found: sparsefmt::Finding) -> (u8, usize) {
    found.map_or((0, 0), |(fault, at)| (fault as u8, at))
}

/// Gives what is wrong with csr first, and where.
#[pyfunction]
pub fn csr_check(indptr: &Bound<'_, PyAny>, indices: &Bound<'_, PyAny>, cols: usize) -> PyResult<(u8, usize)> {
    by_index!(index_size("indptr", indptr)?, I => detached!(
        indptr.py(), read: [indptr: I, indices: I], write: [],
        sparsefmt::csr_check(indptr, indices, cols).map(finding)
    ))
}

/// Gives what is wrong with coo first, and where.
#[pyfunction]
pub fn coo_check(row: &Bound<'_, PyAny>, col: &Bound<'_, PyAny>, shape: (usize, usize)) -> PyResult<(u8, usize)> {
    by_index!(index_size("row", row)?, I => detached!(
        row.py(), read: [row: I, col: I], write: [],
        sparsefmt::coo_check(row, col, shape).map(finding)
    ))
}

/// Gives what is wrong with a bitmask first, and where.
#[pyfunction]
pub fn bits_check(bits: &Bound<'_, PyAny>, row_offsets: &Bound<'_, PyAny>, cols: usize) -> PyResult<(u8, usize)> {
    let ((_, stride), _) = matrix("bits", bits)?;
    by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        bits.py(), read: [bits: u8, row_offsets: I], write: [],
        sparsefmt::bits_check(bits, stride, row_offsets, cols).map(finding)
    ))
}
