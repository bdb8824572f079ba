//! Kernels of `sparsefmt.kernels.rowwise`.

use crate::arrays::{Carried, by_index, by_width, index_size, input, layout, output, raised};
use pyo3::prelude::*;

/// Counts the items that are nonzero under `zero`.
#[pyfunction]
pub fn count_nonzero(slots: &Bound<'_, PyAny>, zero: u64) -> PyResult<usize> {
    let (_, size) = layout("slots", slots, 1)?;
    by_width!(size, T => {
        let items = input::<<T as Carried>::Carrier>("slots", slots)?;
        let items = T::items(items.as_slice()?);
        Ok(slots.py().detach(|| sparsefmt::count_nonzero(items, zero)))
    })
}

/// Counts the nonzero items of every row.
#[pyfunction]
pub fn dense_row_counts(w: &Bound<'_, PyAny>, zero: u64, counts: &Bound<'_, PyAny>) -> PyResult<()> {
    let (_, size) = layout("w", w, 2)?;
    let py = w.py();
    by_width!(size, T => by_index!(index_size("counts", counts)?, I => {
        let w = input::<<T as Carried>::Carrier>("w", w)?;
        let w = T::items(w.as_slice()?);
        let mut counts = output::<I>("counts", counts)?;
        let counts = counts.as_slice_mut()?;
        py.detach(|| sparsefmt::dense_row_counts(w, zero, counts)).map_err(|e| raised(py, &e))
    }))
}

/// Writes the columns and items of the nonzero items.
#[pyfunction]
pub fn dense_to_csr(
    w: &Bound<'_, PyAny>,
    zero: u64,
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (_, size) = layout("w", w, 2)?;
    let py = w.py();
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => {
        let w = input::<<T as Carried>::Carrier>("w", w)?;
        let w = T::items(w.as_slice()?);
        let indptr = input::<I>("indptr", indptr)?;
        let indptr = indptr.as_slice()?;
        let mut indices = output::<I>("indices", indices)?;
        let indices = indices.as_slice_mut()?;
        let mut slots = output::<<T as Carried>::Carrier>("slots", slots)?;
        let slots = T::items_mut(slots.as_slice_mut()?);
        py.detach(|| sparsefmt::dense_to_csr(w, zero, indptr, indices, slots)).map_err(|e| raised(py, &e))
    }))
}
