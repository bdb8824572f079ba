//! Compressed sparse rows: kernels of `sparsefmt.kernels.rowwise`.

use crate::arrays::{
    Carried, aligned, by_index, by_width, detached, finding, index_size, input, layout, matrix, output, read_only,
};
use crate::borrow::{In, done};
use pyo3::prelude::*;
use sparsefmt::bsr::Block;
use sparsefmt::{Csr, Item, Matrix, MatrixMut};

/// Counts the items that are nonzero under `zero`.
#[pyfunction]
pub fn count_nonzero(slots: &Bound<'_, PyAny>, zero: u64) -> PyResult<usize> {
    let (_, size) = layout("slots", slots, 1)?;
    by_width!(size, T => {
        let items = input::<<T as Carried>::Carrier>("slots", slots)?;
        let items = T::items(items.as_slice()?);
        Ok(crate::exit::detached(slots.py(), || sparsefmt::count_nonzero(items, zero)))
    })
}

/// Counts the nonzero items of every row.
#[pyfunction]
pub fn dense_row_counts(w: &Bound<'_, PyAny>, zero: u64, counts: &Bound<'_, PyAny>) -> PyResult<()> {
    let (shape, size) = matrix("w", w)?;
    by_width!(size, T => by_index!(index_size("counts", counts)?, I => detached!(
        w.py(), read: [w: T], write: [counts: I],
        sparsefmt::dense_row_counts(Matrix::new("w", w, shape.0, shape.1)?, zero, counts)
    )))
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
    let (shape, size) = matrix("w", w)?;
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => detached!(
        w.py(), read: [w: T, indptr: I], write: [indices: I, slots: T],
        sparsefmt::dense_to_csr(Matrix::new("w", w, shape.0, shape.1)?, zero, indptr, indices, slots)
    )))
}

/// Writes offsets, and the columns and items of the nonzero items if there is room for all; returns their number.
#[pyfunction]
pub fn dense_to_csr_within(
    w: &Bound<'_, PyAny>,
    zero: u64,
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
) -> PyResult<usize> {
    let (shape, size) = matrix("w", w)?;
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => detached!(
        w.py(), read: [w: T], write: [indptr: I, indices: I, slots: T],
        sparsefmt::dense_to_csr_within(Matrix::new("w", w, shape.0, shape.1)?, zero, indptr, indices, slots)
    )))
}

/// Returns new arrays that are read-only: offsets, columns and items of the nonzero items of a small matrix.
///
/// The interpreter is not let go of: that would take longer than the few items do.
#[pyfunction]
pub fn dense_to_csr_new<'py>(w: &Bound<'py, PyAny>, zero: u64) -> PyResult<NewCsr<'py>> {
    by_width!(matrix("w", w)?.1, T => new_csr::<T>(w, zero))
}

/// Offsets, columns and items.
type NewCsr<'py> = (Bound<'py, PyAny>, Bound<'py, PyAny>, Bound<'py, PyAny>);

fn new_csr<'py, T: Carried + Item>(any: &Bound<'py, PyAny>, zero: u64) -> PyResult<NewCsr<'py>> {
    let (py, w) = (any.py(), In::<T>::new("w", any, 2)?);
    let w = w.matrix()?;
    let mut offsets = aligned::<i32>(py, w.rows() + 1)?;
    let indptr = offsets.as_slice_mut()?;
    done(py, sparsefmt::dense_row_counts(w, zero, &mut indptr[1..]))?;
    let mut total = 0;
    for end in &mut *indptr {
        total += *end;
        *end = total;
    }
    let mut columns = aligned::<i32>(py, total as usize)?;
    let mut items = aligned::<T::Carrier>(py, total as usize * (size_of::<T>() / size_of::<T::Carrier>()))?;
    let (indices, slots) = (columns.as_slice_mut()?, T::items_mut(items.as_slice_mut()?));
    done(py, sparsefmt::dense_to_csr(w, zero, indptr, indices, slots))?;
    Ok((read_only(offsets), read_only(columns), read_only(items)))
}

/// Counts the nonzero items in blocks spread over `w`.
#[pyfunction]
pub fn dense_sample(w: &Bound<'_, PyAny>, zero: u64, block: (usize, usize), counts: &Bound<'_, PyAny>) -> PyResult<()> {
    let block = done(w.py(), Block::new(block.0, block.1))?;
    let mut counts = output::<i64>("counts", counts)?;
    by_width!(matrix("w", w)?.1, T => {
        let (py, w) = (w.py(), In::<T>::new("w", w, 2)?);
        let (matrix, counts) = (w.matrix()?, counts.as_slice_mut()?);
        crate::exit::detached(py, || sparsefmt::dense_sample(matrix, zero, block, counts));
        Ok(())
    })
}

/// Zeroes `out` and puts every slot in its place.
#[pyfunction]
pub fn csr_to_dense(
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (shape, size) = matrix("out", out)?;
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => detached!(
        out.py(), read: [indptr: I, indices: I, slots: T], write: [out: T],
        sparsefmt::csr_to_dense(Csr::new(indptr, indices, shape)?, slots, MatrixMut::new("out", out, shape.0, shape.1)?)
    )))
}

/// Returns what is wrong with csr first, and where.
#[pyfunction]
pub fn csr_check(indptr: &Bound<'_, PyAny>, indices: &Bound<'_, PyAny>, cols: usize) -> PyResult<(u8, usize)> {
    by_index!(index_size("indptr", indptr)?, I => detached!(
        indptr.py(), read: [indptr: I, indices: I], write: [],
        sparsefmt::csr_check(indptr, indices, cols).map(finding)
    ))
}
