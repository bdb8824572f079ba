//! Compressed sparse columns: kernels of `sparsefmt.kernels.rowwise`.

use crate::arrays::{by_index, by_width, detached, index_size, layout, matrix};
use pyo3::prelude::*;
use sparsefmt::{Csr, Matrix, MatrixMut};

/// Counts the nonzero items of every column.
#[pyfunction]
pub fn dense_col_counts(w: &Bound<'_, PyAny>, zero: u64, counts: &Bound<'_, PyAny>) -> PyResult<()> {
    let (shape, size) = matrix("w", w)?;
    by_width!(size, T => by_index!(index_size("counts", counts)?, I => detached!(
        w.py(), read: [w: T], write: [counts: I],
        sparsefmt::dense_col_counts(Matrix::new("w", w, shape.0, shape.1)?, zero, counts)
    )))
}

/// Writes the rows and items of the nonzero items, column by column.
#[pyfunction]
pub fn dense_to_csc(
    w: &Bound<'_, PyAny>,
    zero: u64,
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (shape, size) = matrix("w", w)?;
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => detached!(
        w.py(), read: [w: T, indptr: I], write: [indices: I, slots: T],
        sparsefmt::dense_to_csc(Matrix::new("w", w, shape.0, shape.1)?, zero, indptr, indices, slots)
    )))
}

/// Zeroes `out` and puts every slot that falls into it in its place.
#[pyfunction]
pub fn csc_to_dense(
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
    first_row: i64,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (shape, size) = matrix("out", out)?;
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => detached!(
        out.py(), read: [indptr: I, indices: I, slots: T], write: [out: T],
        sparsefmt::csc_to_dense(Csr::new(indptr, indices, (shape.1, usize::MAX))?, slots, first_row, MatrixMut::new("out", out, shape.0, shape.1)?)
    )))
}

/// Counts how often each value occurs.
#[pyfunction]
pub fn count_indices(indices: &Bound<'_, PyAny>, counts: &Bound<'_, PyAny>) -> PyResult<()> {
    by_index!(index_size("indices", indices)?, I => detached!(
        counts.py(), read: [indices: I], write: [counts: I],
        sparsefmt::count_indices(indices, counts)
    ))
}

/// Writes the slots of csr column by column.
#[pyfunction]
pub fn csr_transpose(
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
    out_indptr: &Bound<'_, PyAny>,
    out_indices: &Bound<'_, PyAny>,
    out_slots: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (_, size) = layout("slots", slots, 1)?;
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => detached!(
        slots.py(), read: [indptr: I, indices: I, slots: T, out_indptr: I], write: [out_indices: I, out_slots: T],
        stop => sparsefmt::csr_transpose(
            Csr::of_cols(indptr, indices, out_indptr.len().saturating_sub(1))?, slots, out_indptr, out_indices, out_slots, stop
        )
    )))
}
