//! Kernels of `sparsefmt.kernels.gap`.

use crate::arrays::finding;
use crate::arrays::{by_index, by_width, detached, index_size, matrix};
use pyo3::prelude::*;

/// Counts the bytes of gaps of every row.
#[pyfunction]
pub fn csr_gap_counts(
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    counts: &Bound<'_, PyAny>,
) -> PyResult<()> {
    by_index!(index_size("indptr", indptr)?, I => detached!(
        indptr.py(), read: [indptr: I, indices: I], write: [counts: i64],
        sparsefmt::csr_gap_counts(indptr, indices, counts)
    ))
}

/// Writes the gaps of all slots.
#[pyfunction]
pub fn csr_to_gaps(
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    byte_offsets: &Bound<'_, PyAny>,
    gaps: &Bound<'_, PyAny>,
) -> PyResult<()> {
    by_index!(index_size("indptr", indptr)?, I => detached!(
        indptr.py(), read: [indptr: I, indices: I, byte_offsets: I], write: [gaps: u8],
        sparsefmt::csr_to_gaps(indptr, indices, byte_offsets, gaps)
    ))
}

/// Writes the column of every slot.
#[pyfunction]
pub fn gaps_to_indices(
    gaps: &Bound<'_, PyAny>,
    byte_offsets: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    cols: usize,
    indices: &Bound<'_, PyAny>,
) -> PyResult<()> {
    by_index!(index_size("indices", indices)?, I => detached!(
        gaps.py(), read: [gaps: u8, byte_offsets: I, row_offsets: I], write: [indices: I],
        sparsefmt::gaps_to_indices(gaps, byte_offsets, row_offsets, cols, indices)
    ))
}

/// Zeroes `out` and puts every slot in its place.
#[pyfunction]
pub fn gaps_to_dense(
    gaps: &Bound<'_, PyAny>,
    byte_offsets: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (shape, size) = matrix("out", out)?;
    by_width!(size, T => by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        out.py(), read: [gaps: u8, byte_offsets: I, row_offsets: I, slots: T], write: [out: T],
        sparsefmt::gaps_to_dense(gaps, byte_offsets, row_offsets, slots, shape, out)
    )))
}

/// Counts the nonzero items of every row, and the bytes of their gaps.
#[pyfunction]
pub fn dense_gap_counts(
    w: &Bound<'_, PyAny>,
    zero: u64,
    slot_counts: &Bound<'_, PyAny>,
    byte_counts: &Bound<'_, PyAny>,
) -> PyResult<()> {
    by_width!(matrix("w", w)?.1, T => detached!(
        w.py(), read: [w: T], write: [slot_counts: i64, byte_counts: i64],
        sparsefmt::dense_gap_counts(w, zero, slot_counts, byte_counts)
    ))
}

/// Writes the gaps and items of the nonzero items.
#[pyfunction]
pub fn dense_to_gaps(
    w: &Bound<'_, PyAny>,
    zero: u64,
    byte_offsets: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    gaps: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
) -> PyResult<()> {
    by_width!(matrix("w", w)?.1, T => by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        w.py(), read: [w: T, byte_offsets: I, row_offsets: I], write: [gaps: u8, slots: T],
        sparsefmt::dense_to_gaps(w, zero, byte_offsets, row_offsets, gaps, slots)
    )))
}

/// What is wrong first, and where.
#[pyfunction]
pub fn gap_check(
    gaps: &Bound<'_, PyAny>,
    byte_offsets: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    cols: usize,
) -> PyResult<(u8, usize)> {
    by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        gaps.py(), read: [gaps: u8, byte_offsets: I, row_offsets: I], write: [],
        sparsefmt::gap_check(gaps, byte_offsets, row_offsets, cols).map(finding)
    ))
}
