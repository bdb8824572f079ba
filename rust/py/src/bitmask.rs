//! One bit per element: kernels of `sparsefmt.kernels.rowwise`.

use crate::arrays::{by_index, by_width, detached, finding, index_size, matrix};
use pyo3::prelude::*;
use sparsefmt::{BitRows, Csr, Matrix, MatrixMut};

/// Writes one bit per item and counts them per row.
#[pyfunction]
pub fn dense_to_bits(
    w: &Bound<'_, PyAny>,
    zero: u64,
    bits: &Bound<'_, PyAny>,
    counts: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (shape, size) = matrix("w", w)?;
    let ((rows, stride), _) = matrix("bits", bits)?;
    by_width!(size, T => by_index!(index_size("counts", counts)?, I => detached!(
        w.py(), read: [w: T], write: [bits: u8, counts: I],
        {
            let bits = MatrixMut::new("bits", bits, rows, stride)?;
            sparsefmt::dense_to_bits(Matrix::new("w", w, shape.0, shape.1)?, zero, bits, counts)
        }
    )))
}

/// Writes bits and offsets, and the nonzero items if there is room for all; returns their number.
#[pyfunction]
pub fn dense_to_bits_within(
    w: &Bound<'_, PyAny>,
    zero: u64,
    bits: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
) -> PyResult<usize> {
    let (shape, size) = matrix("w", w)?;
    let ((rows, stride), _) = matrix("bits", bits)?;
    by_width!(size, T => by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        w.py(), read: [w: T], write: [bits: u8, row_offsets: I, slots: T],
        {
            let bits = MatrixMut::new("bits", bits, rows, stride)?;
            sparsefmt::dense_to_bits_within(Matrix::new("w", w, shape.0, shape.1)?, zero, bits, row_offsets, slots)
        }
    )))
}

/// Copies the items whose bit is set.
#[pyfunction]
pub fn bits_gather(
    w: &Bound<'_, PyAny>,
    bits: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (shape, size) = matrix("w", w)?;
    let ((rows, stride), _) = matrix("bits", bits)?;
    by_width!(size, T => by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        w.py(), read: [w: T, bits: u8, row_offsets: I], write: [slots: T],
        {
            let bits = BitRows::new(Matrix::new("bits", bits, rows, stride)?, row_offsets, shape.1)?;
            sparsefmt::bits_gather(Matrix::new("w", w, shape.0, shape.1)?, bits, slots)
        }
    )))
}

/// Zeroes `out` and spreads the slots of each row over its set bits.
#[pyfunction]
pub fn bits_to_dense(
    bits: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    slots: &Bound<'_, PyAny>,
    out: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let (shape, size) = matrix("out", out)?;
    let ((rows, stride), _) = matrix("bits", bits)?;
    by_width!(size, T => by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        out.py(), read: [bits: u8, row_offsets: I, slots: T], write: [out: T],
        {
            let bits = BitRows::new(Matrix::new("bits", bits, rows, stride)?, row_offsets, shape.1)?;
            sparsefmt::bits_to_dense(bits, slots, MatrixMut::new("out", out, shape.0, shape.1)?)
        }
    )))
}

/// Sets the bit of every slot and clears all others.
#[pyfunction]
pub fn csr_to_bits(
    indptr: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
    cols: usize,
    bits: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let ((rows, stride), _) = matrix("bits", bits)?;
    by_index!(index_size("indptr", indptr)?, I => detached!(
        bits.py(), read: [indptr: I, indices: I], write: [bits: u8],
        sparsefmt::csr_to_bits(Csr::new(indptr, indices, (rows, cols))?, MatrixMut::new("bits", bits, rows, stride)?)
    ))
}

/// Writes the column of every set bit.
#[pyfunction]
pub fn bits_to_indices(
    bits: &Bound<'_, PyAny>,
    row_offsets: &Bound<'_, PyAny>,
    indices: &Bound<'_, PyAny>,
) -> PyResult<()> {
    let ((rows, stride), _) = matrix("bits", bits)?;
    by_index!(index_size("indices", indices)?, I => detached!(
        bits.py(), read: [bits: u8, row_offsets: I], write: [indices: I],
        {
            let bits = Matrix::new("bits", bits, rows, stride)?;
            sparsefmt::bits_to_indices(BitRows::new(bits, row_offsets, stride.saturating_mul(8))?, indices)
        }
    ))
}

/// Returns what is wrong with a bitmask first, and where.
#[pyfunction]
pub fn bits_check(bits: &Bound<'_, PyAny>, row_offsets: &Bound<'_, PyAny>, cols: usize) -> PyResult<(u8, usize)> {
    let ((rows, stride), _) = matrix("bits", bits)?;
    by_index!(index_size("row_offsets", row_offsets)?, I => detached!(
        bits.py(), read: [bits: u8, row_offsets: I], write: [],
        sparsefmt::bits_check(Matrix::new("bits", bits, rows, stride)?, row_offsets, cols).map(finding)
    ))
}
