//! Kernels of `sparsefmt.kernels.grid`.

use crate::affine::{Any, by_single};
use crate::borrow::{In, Out, done};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sparsefmt::affine::Number;
use sparsefmt::grid::Grouped;

/// Values of codes in groups of columns.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn grid_decode(
    codes: Any<'_, '_>,
    bits: usize,
    scale: Any<'_, '_>,
    point: Any<'_, '_>,
    at: Any<'_, '_>,
    dtype: &str,
    finite: usize,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let py = codes.py();
    let (codes, at) = (In::<u8>::new("codes", codes, 2)?, In::<i32>::new("at", at, 1)?);
    let (scale, point) = (In::<f32>::new("scale", scale, 2)?, In::<f32>::new("point", point, 2)?);
    let grid = Grouped { scale: scale.matrix()?, point: point.matrix()?, at: at.items()?, finite: finite != 0 };
    let codes = codes.matrix()?;
    by_single!(dtype, K => {
        let mut out = Out::<<K as Number>::Item>::new("out", out, 2)?;
        let out = out.matrix()?;
        done(py, crate::exit::detached(py, || sparsefmt::grid_decode::<K>(codes, bits, grid, out)))
    })
}
