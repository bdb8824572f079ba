//! Kernels of `sparsefmt.kernels.clustered`.

use crate::arrays::{by_width, index_size};
use crate::borrow::{In, Out, done};
use pyo3::prelude::*;
use sparsefmt::Nearest;
use sparsefmt::nm::{NmRows, Pattern};

type Any<'a, 'py> = &'a Bound<'py, PyAny>;

/// Packs as N:M with codes into a codebook; returns 1 if that cannot be done, 2 if a slot is zero, 3 for both.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn nm_nearest_encode(
    w: Any<'_, '_>,
    zero: u64,
    prune: usize,
    dtype: &str,
    n: usize,
    m: usize,
    limits: Any<'_, '_>,
    names: Any<'_, '_>,
    bits: usize,
    codes: Any<'_, '_>,
    values: Any<'_, '_>,
) -> PyResult<usize> {
    let py = w.py();
    let pattern = done(py, Pattern::new(n, m))?;
    let (w, limits) = (In::<u16>::new("w", w, 2)?, In::<u16>::new("limits", limits, 1)?);
    let names = In::<u8>::new("names", names, 1)?;
    let (mut codes, mut values) = (Out::<u8>::new("codes", codes, 2)?, Out::<u8>::new("values", values, 2)?);
    let (w, limits, names) = (w.matrix()?, limits.items()?, names.items()?);
    let (codes, values) = (codes.matrix()?, values.matrix()?);
    let book = Nearest { dtype, limits, names, bits };
    let found =
        crate::exit::detached(py, || sparsefmt::nm_nearest_encode(w, zero, prune != 0, pattern, book, codes, values));
    let found = done(py, found)?;
    Ok(usize::from(found.bad) + 2 * usize::from(found.zero))
}

/// The inverse: looks the codes of slots up.
#[pyfunction]
pub fn nm_lut_decode(
    codes: Any<'_, '_>,
    values: Any<'_, '_>,
    n: usize,
    m: usize,
    bits: usize,
    table: Any<'_, '_>,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let py = codes.py();
    let pattern = done(py, Pattern::new(n, m))?;
    let (codes, values) = (In::<u8>::new("codes", codes, 2)?, In::<u8>::new("values", values, 2)?);
    let (codes, values) = (codes.matrix()?, values.matrix()?);
    by_width!(index_size("out", out)?, T => {
        let (table, mut out) = (In::<T>::new("table", table, 2)?, Out::<T>::new("out", out, 2)?);
        let codes = done(py, NmRows::new(codes, pattern, (out.shape[0], out.shape[1])))?;
        let (table, out) = (table.items()?, out.matrix()?);
        done(py, crate::exit::detached(py, || sparsefmt::nm_lut_decode(codes, values, bits, table, out)))
    })
}
