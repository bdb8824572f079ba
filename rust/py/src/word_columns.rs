//! Kernels of `sparsefmt.kernels.word_columns`.

use crate::affine::Any;
use crate::borrow::{In, Out, done};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use sparsefmt::affine::{BFloat16, Float16};

/// Values of codes in words along the columns.
#[pyfunction]
pub fn word_columns_decode(
    words: Any<'_, '_>,
    scale: Any<'_, '_>,
    point: Any<'_, '_>,
    at: Any<'_, '_>,
    dtype: &str,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let py = words.py();
    let (words, at) = (In::<u32>::new("words", words, 2)?, In::<i32>::new("at", at, 1)?);
    let (scale, point) = (In::<f32>::new("scale", scale, 2)?, In::<f32>::new("point", point, 2)?);
    let (words, scale, point, at) = (words.matrix()?, scale.matrix()?, point.matrix()?, at.items()?);
    let mut out = Out::<u16>::new("out", out, 2)?;
    let out = out.matrix()?;
    let decode = match dtype {
        "float16" => sparsefmt::word_columns_decode::<Float16>,
        "bfloat16" => sparsefmt::word_columns_decode::<BFloat16>,
        _ => return Err(PyValueError::new_err(format!("dtype: got {dtype}, want float16 or bfloat16"))),
    };
    done(py, crate::exit::detached(py, || decode(words, scale, point, at, out)))
}
