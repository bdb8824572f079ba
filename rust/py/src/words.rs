//! Kernels of `sparsefmt.kernels.words`.

use crate::arrays::detached;
use crate::borrow::{In, Out, done};
use pyo3::prelude::*;

/// Transposes words.
#[pyfunction]
pub fn words_turn(words: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, words, mut out) = (words.py(), In::<u32>::new("words", words, 2)?, Out::<u32>::new("out", out, 2)?);
    let (words, out) = (words.matrix()?, out.matrix()?);
    done(py, crate::exit::detached(py, || sparsefmt::words_turn(words, out)))
}

/// Takes codes out of words.
#[pyfunction]
pub fn words_unpack(words: &Bound<'_, PyAny>, bits: usize, across: usize, out: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, words, mut out) = (words.py(), In::<u32>::new("words", words, 2)?, Out::<u8>::new("out", out, 2)?);
    let (words, out) = (words.matrix()?, out.matrix()?);
    done(py, crate::exit::detached(py, || sparsefmt::words_unpack(words, bits, across != 0, out)))
}

/// Turns the codes of AWQ.
#[pyfunction]
pub fn awq_turn(words: &Bound<'_, PyAny>, out: &Bound<'_, PyAny>) -> PyResult<()> {
    let (py, words, mut out) = (words.py(), In::<u32>::new("words", words, 2)?, Out::<u8>::new("out", out, 2)?);
    let (words, out) = (words.matrix()?, out.matrix()?);
    done(py, crate::exit::detached(py, || sparsefmt::awq_turn(words, out)))
}

/// Turns bits of bytes over.
#[pyfunction]
pub fn bytes_flip(items: &Bound<'_, PyAny>, bits: u8, out: &Bound<'_, PyAny>) -> PyResult<()> {
    detached!(items.py(), read: [items: u8], write: [out: u8], sparsefmt::bytes_flip(items, bits, out))
}
