//! Matrix Market files: kernels of `sparsefmt.kernels.matrix_market`.

use crate::arrays::{by_index, detached, index_size};
use pyo3::prelude::*;
use sparsefmt::matrix_market;
use sparsefmt::matrix_market::Outcome;

/// Reads the entries of a `coordinate` file.
#[pyfunction]
pub fn matrix_market_entries(
    text: &Bound<'_, PyAny>,
    first_line: u64,
    shape: (usize, usize),
    kind: (usize, usize, usize),
    row: &Bound<'_, PyAny>,
    col: &Bound<'_, PyAny>,
    values: &Bound<'_, PyAny>,
) -> PyResult<Outcome> {
    by_index!(index_size("row", row)?, I => detached!(
        row.py(), read: [text: u8], write: [row: I, col: I, values: u64],
        matrix_market::matrix_market_entries(text, first_line, shape, kind, row, col, values)
    ))
}

/// Reads the values of an `array` file.
#[pyfunction]
pub fn matrix_market_values(
    text: &Bound<'_, PyAny>,
    first_line: u64,
    kind: (usize, usize, usize),
    values: &Bound<'_, PyAny>,
) -> PyResult<Outcome> {
    detached!(
        text.py(), read: [text: u8], write: [values: u64],
        matrix_market::matrix_market_values(text, first_line, kind, values)
    )
}

/// Writes entries as lines of text.
#[pyfunction]
pub fn matrix_market_text(
    row: &Bound<'_, PyAny>,
    col: &Bound<'_, PyAny>,
    values: &Bound<'_, PyAny>,
    kind: usize,
    out: &Bound<'_, PyAny>,
) -> PyResult<usize> {
    by_index!(index_size("row", row)?, I => detached!(
        row.py(), read: [row: I, col: I, values: u64], write: [out: u8],
        matrix_market::matrix_market_text(row, col, values, kind, out)
    ))
}
