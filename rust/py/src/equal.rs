//! Kernels of `sparsefmt.kernels.equal`.

use crate::arrays::{by_index, by_width, detached, index_size, matrix};
use crate::borrow::done;
use pyo3::prelude::*;
use sparsefmt::nm::{NmRows, Pattern};
use sparsefmt::{BitRows, Csr, Matrix};

/// Whether rows of N:M are `want`.
#[pyfunction]
pub fn nm_equal(
    codes: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
    n: usize,
    m: usize,
    want: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let (shape, size) = matrix("want", want)?;
    let ((rows, stride), _) = matrix("codes", codes)?;
    let ((slot_rows, slot_cols), _) = matrix("slots", slots)?;
    let pattern = done(want.py(), Pattern::new(n, m))?;
    by_width!(size, T => detached!(want.py(), read: [codes: u8, slots: T, want: T], write: [], {
        let nm = NmRows::new(Matrix::new("codes", codes, rows, stride)?, pattern, shape)?;
        let slots = Matrix::new("slots", slots, slot_rows, slot_cols)?;
        sparsefmt::nm_equal(nm, slots, Matrix::new("want", want, shape.0, shape.1)?)
    }))
}

/// Whether the slots of rows at their set bits are `want`.
#[pyfunction]
pub fn bits_equal(
    bits: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
    want: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let (shape, size) = matrix("want", want)?;
    let ((rows, stride), _) = matrix("bits", bits)?;
    by_width!(size, T => by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        want.py(), read: [bits: u8, row_offsets: I, slots: T, want: T], write: [],
        {
            let bits = BitRows::new(Matrix::new("bits", bits, rows, stride)?, row_offsets, shape.1)?;
            sparsefmt::bits_equal(bits, slots, Matrix::new("want", want, shape.0, shape.1)?)
        }
    )))
}

/// Whether rows of csr are `want`.
#[pyfunction]
pub fn csr_equal(
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
    want: &Bound<'_, PyAny>,
) -> PyResult<bool> {
    let (shape, size) = matrix("want", want)?;
    by_width!(size, T => by_index!(index_size("indptr", indptr)?, I => detached!(
        want.py(), read: [indptr: I, indices: I, slots: T, want: T], write: [],
        sparsefmt::csr_equal(Csr::new(indptr, indices, shape)?, slots, Matrix::new("want", want, shape.0, shape.1)?)
    )))
}
