//! Kernels of `sparsefmt.kernels.marlin24`.

use crate::borrow::{In, Out, done};
use pyo3::prelude::*;

/// Codes in rows of outputs.
#[pyfunction]
pub fn marlin24_codes(words: &Bound<'_, PyAny>, bits: usize, out: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, words, mut out) = (words.py(), In::<u32>::new("words", words, 2)?, Out::<u8>::new("out", out, 2)?);
    let (words, out) = (words.matrix()?, out.matrix()?);
    done(py, crate::exit::detached(py, || sparsefmt::marlin24_codes(words, bits, out)))
}

/// Codes of positions; gives 1 where some are none.
#[pyfunction]
pub fn marlin24_meta(units: &Bound<'_, PyAny>, codes: &Bound<'_, PyAny>) -> PyResult<usize> {
    let (py, units, mut codes) = (units.py(), In::<u16>::new("units", units, 1)?, Out::<u8>::new("codes", codes, 2)?);
    let (units, codes) = (units.items()?, codes.matrix()?);
    Ok(usize::from(!done(py, crate::exit::detached(py, || sparsefmt::marlin24_meta(units, codes)))?))
}
