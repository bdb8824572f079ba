//! Coordinates: kernels of `sparsefmt.kernels.rowwise`.

use crate::arrays::{by_index, by_width, detached, finding, index_size, layout, matrix};
use pyo3::prelude::*;
use sparsefmt::{Coo, MatrixMut};

/// Zeroes `out` and puts every slot in its place.
#[pyfunction]
pub fn coo_to_dense(
    row: &Bound<'_, PyAny>,
    col: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
    first_row: i64,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (shape, size) = matrix("out", out)?;
    by_width!(size, T => by_index!(index_size("row", row)?, I => detached!(
        out.py(), read: [row: I, col: I, slots: T], write: [out: T],
        {
            let out = MatrixMut::new("out", out, shape.0, shape.1)?;
            sparsefmt::coo_to_dense(Coo::new(row, col, shape)?, slots, first_row, out)
        }
    )))
}

/// Writes the row of every slot.
#[pyfunction]
pub fn expand_indptr(indptr: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<()> {
    by_index!(index_size("indptr", indptr)?, I => detached!(
        out.py(), read: [indptr: I], write: [out: I],
        sparsefmt::expand_indptr(indptr, out)
    ))
}

/// The inverse of `expand_indptr`.
#[pyfunction]
pub fn compress_rows(row: &Bound<'_, PyAny>, indptr: &Bound<'_, PyAny>) -> PyResult<()> {
    by_index!(index_size("row", row)?, I => detached!(
        row.py(), read: [row: I], write: [indptr: I],
        sparsefmt::compress_rows(row, indptr)
    ))
}

/// Writes the stable permutation that sorts by row, then by column.
#[pyfunction]
pub fn coo_order(
    row: &Bound<'_, PyAny>,
    col: &Bound<'_, PyAny>,
    shape: (usize, usize),
    order: &Bound<'_, PyAny>,
) -> PyResult<()> {
    by_index!(index_size("row", row)?, I => detached!(
        row.py(), read: [row: I, col: I], write: [order: i64],
        stop => sparsefmt::coo_order(Coo::new(row, col, shape)?, order, stop)
    ))
}

/// Sorts coordinates in any order into csr.
#[pyfunction]
pub fn coo_to_csr(
    row: &Bound<'_, PyAny>,
    col: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
    shape: (usize, usize),
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    out_slots: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (_, size) = layout("slots", slots, 1)?;
    by_width!(size, T => by_index!(index_size("row", row)?, I => detached!(
        row.py(), read: [row: I, col: I, slots: T], write: [indptr: I, indices: I, out_slots: T],
        stop => sparsefmt::coo_to_csr(Coo::new(row, col, shape)?, slots, indptr, indices, out_slots, stop)
    )))
}

/// Returns what is wrong with coo first, and where.
#[pyfunction]
pub fn coo_check(row: &Bound<'_, PyAny>, col: &Bound<'_, PyAny>, shape: (usize, usize)) -> PyResult<(u8, usize)> {
    by_index!(index_size("row", row)?, I => detached!(
        row.py(), read: [row: I, col: I], write: [],
        sparsefmt::coo_check(Coo::new(row, col, shape)?).map(finding)
    ))
}
