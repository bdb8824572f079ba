//! Kernels of `sparsefmt.kernels.affine_rows`.

use crate::affine::{Any, Grids, GridsMut, by_single};
use crate::arrays::{by_index, index_size};
use crate::borrow::{In, Out, done};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sparsefmt::affine::Number;
use sparsefmt::affine_rows::{self, Coded, Stored};
use sparsefmt::nm::{NmRows, Pattern, Ranked};
use sparsefmt::{BitRows, Csr};

/// Codes the items whose bit is set; returns 1 if that cannot be done.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn bits_affine_encode(
    w: Any<'_, '_>,
    bits: Any<'_, '_>,
    row_offsets: Any<'_, '_>,
    dtype: &str,
    group: usize,
    width: u32,
    scale: Any<'_, '_>,
    values: Any<'_, '_>,
) -> PyResult<usize> {
    let py = w.py();
    by_single!(dtype, K => by_index!(index_size("row_offsets", row_offsets)?, I => {
        let (w, keep) = (In::<<K as Number>::Item>::new("w", w, 2)?, In::<u8>::new("bits", bits, 2)?);
        let row_offsets = In::<I>::new("row_offsets", row_offsets, 1)?;
        let (mut scale, mut values) = (GridsMut::new(scale)?, Out::<u8>::new("values", values, 1)?);
        let (w, keep, row_offsets) = (w.matrix()?, keep.matrix()?, row_offsets.items()?);
        let (scale, values) = (scale.grid()?, values.items()?);
        let keep = done(py, BitRows::new(keep, row_offsets, w.cols()))?;
        let made = crate::exit::detached(py, || affine_rows::bits_encode::<K, I>(w, keep, Coded { group, bits: width, scale, values }));
        Ok(usize::from(!done(py, made)?))
    }))
}

/// Writes the columns and codes of nonzero items; returns 1 if that cannot be done.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn csr_affine_encode(
    w: Any<'_, '_>,
    zero: u64,
    indptr: Any<'_, '_>,
    dtype: &str,
    group: usize,
    width: u32,
    indices: Any<'_, '_>,
    scale: Any<'_, '_>,
    values: Any<'_, '_>,
) -> PyResult<usize> {
    let py = w.py();
    by_single!(dtype, K => by_index!(index_size("indptr", indptr)?, I => {
        let (w, indptr) = (In::<<K as Number>::Item>::new("w", w, 2)?, In::<I>::new("indptr", indptr, 1)?);
        let (mut indices, mut scale) = (Out::<I>::new("indices", indices, 1)?, GridsMut::new(scale)?);
        let mut values = Out::<u8>::new("values", values, 1)?;
        let (w, indptr, indices) = (w.matrix()?, indptr.items()?, indices.items()?);
        let (scale, values) = (scale.grid()?, values.items()?);
        let coded = Coded { group, bits: width, scale, values };
        let made = crate::exit::detached(py, || affine_rows::csr_encode::<K, I>(w, zero, indptr, indices, coded));
        Ok(usize::from(!done(py, made)?))
    }))
}

/// The inverse of `bits_affine_encode`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn bits_affine_decode(
    bits: Any<'_, '_>,
    row_offsets: Any<'_, '_>,
    values: Any<'_, '_>,
    group: usize,
    width: u32,
    scale: Any<'_, '_>,
    dtype: &str,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let py = bits.py();
    let (grids, keep) = (Grids::new(scale, None)?, In::<u8>::new("bits", bits, 2)?);
    let (grid, keep, values) = (grids.grid()?, keep.matrix()?, In::<u8>::new("values", values, 1)?);
    let stored = done(py, Stored::new(values.items()?, width, group, grid))?;
    by_single!(dtype, K => by_index!(index_size("row_offsets", row_offsets)?, I => {
        let row_offsets = In::<I>::new("row_offsets", row_offsets, 1)?;
        let mut out = Out::<<K as Number>::Item>::new("out", out, 2)?;
        let (row_offsets, out) = (row_offsets.items()?, out.matrix()?);
        let keep = done(py, BitRows::new(keep, row_offsets, out.cols()))?;
        done(py, crate::exit::detached(py, || affine_rows::bits_decode::<K, I>(keep, stored, out)))
    }))
}

/// The inverse of `csr_affine_encode`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn csr_affine_decode(
    indptr: Any<'_, '_>,
    indices: Any<'_, '_>,
    values: Any<'_, '_>,
    group: usize,
    width: u32,
    scale: Any<'_, '_>,
    dtype: &str,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let py = indptr.py();
    let (grids, values) = (Grids::new(scale, None)?, In::<u8>::new("values", values, 1)?);
    let stored = done(py, Stored::new(values.items()?, width, group, grids.grid()?))?;
    by_single!(dtype, K => by_index!(index_size("indptr", indptr)?, I => {
        let (indptr, indices) = (In::<I>::new("indptr", indptr, 1)?, In::<I>::new("indices", indices, 1)?);
        let mut out = Out::<<K as Number>::Item>::new("out", out, 2)?;
        let (indptr, indices, out) = (indptr.items()?, indices.items()?, out.matrix()?);
        let csr = done(py, Csr::new(indptr, indices, (out.rows(), out.cols())))?;
        done(py, crate::exit::detached(py, || affine_rows::csr_decode::<K, I>(csr, stored, out)))
    }))
}

/// Packs as N:M with symmetric codes; returns 1 if that cannot be done.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn nm_affine_encode(
    w: Any<'_, '_>,
    zero: u64,
    prune: usize,
    dtype: &str,
    n: usize,
    m: usize,
    group: usize,
    bits: u32,
    codes: Any<'_, '_>,
    scale: Any<'_, '_>,
    values: Any<'_, '_>,
) -> PyResult<usize> {
    let py = w.py();
    let pattern = done(py, Pattern::new(n, m))?;
    by_single!(dtype, K => {
        let w = In::<<K as Number>::Item>::new("w", w, 2)?;
        let (mut codes, mut values) = (Out::<u8>::new("codes", codes, 2)?, Out::<u8>::new("values", values, 2)?);
        let (w, codes, values) = (w.matrix()?, codes.matrix()?, values.matrix()?);
        let order = if prune == 0 { None } else { <K as Number>::Item::order(dtype) };
        let mut scale = GridsMut::new(scale)?;
        let scale = scale.grid()?;
        let coded = Coded { group, bits, scale, values };
        let made = crate::exit::detached(py, || affine_rows::nm_encode::<K>(w, zero, order, pattern, codes, coded));
        Ok(usize::from(!done(py, made)?))
    })
}

/// The inverse of `nm_affine_encode`.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn nm_affine_decode(
    codes: Any<'_, '_>,
    values: Any<'_, '_>,
    n: usize,
    m: usize,
    group: usize,
    bits: u32,
    scale: Any<'_, '_>,
    dtype: &str,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let py = codes.py();
    let pattern = done(py, Pattern::new(n, m))?;
    let grids = Grids::new(scale, None)?;
    let grid = grids.grid()?;
    let (codes, values) = (In::<u8>::new("codes", codes, 2)?, In::<u8>::new("values", values, 2)?);
    let (codes, values) = (codes.matrix()?, values.matrix()?);
    by_single!(dtype, K => {
        let mut out = Out::<<K as Number>::Item>::new("out", out, 2)?;
        let codes = done(py, NmRows::new(codes, pattern, (out.shape[0], out.shape[1])))?;
        let out = out.matrix()?;
        done(py, crate::exit::detached(py, || affine_rows::nm_decode::<K>(codes, values, (group, bits), grid, out)))
    })
}
