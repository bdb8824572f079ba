//! Kernels of `sparsefmt.kernels.gap_items`.

use crate::arrays::{by_index, detached, index_size, layout};
use crate::delta::by_integer;
use pyo3::exceptions::PyTypeError;
use pyo3::prelude::*;

/// Copies the items that the gaps name out of `values`.
#[pyfunction]
pub fn gaps_take(
    gaps: &Bound<'_, PyAny>,
    byte_offsets: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    cols: usize,
    values: &Bound<'_, PyAny>,
    items: &Bound<'_, PyAny>,
) -> PyResult<()> {
    by_integer!(layout("items", items, 1)?.1, T => by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        values.py(), read: [gaps: u8, byte_offsets: I, row_offsets: I, values: u8], write: [items: T],
        sparsefmt::gaps_take(gaps, (byte_offsets, row_offsets), cols, values, items)
    )))
}

/// Copies `items` to the places in `values` that the gaps name.
#[pyfunction]
pub fn gaps_put(
    gaps: &Bound<'_, PyAny>,
    byte_offsets: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    cols: usize,
    items: &Bound<'_, PyAny>,
    values: &Bound<'_, PyAny>,
) -> PyResult<()> {
    by_integer!(layout("items", items, 1)?.1, T => by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        values.py(), read: [gaps: u8, byte_offsets: I, row_offsets: I, items: T], write: [values: u8],
        sparsefmt::gaps_put(gaps, (byte_offsets, row_offsets), cols, items, values)
    )))
}
