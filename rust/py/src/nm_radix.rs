//! Kernels of `sparsefmt.kernels.nm_radix`.

use crate::borrow::{In, Out, done};
use pyo3::prelude::*;
use sparsefmt::nm::Pattern;
use sparsefmt::nm_radix::{self, Finding};

type Any<'a, 'py> = &'a Bound<'py, PyAny>;

/// Writes words from codes.
#[pyfunction]
pub fn nm_radix_pack(
    codes: Any<'_, '_>,
    n: usize,
    m: usize,
    groups: usize,
    per: usize,
    words: Any<'_, '_>,
) -> PyResult<()> {
    let py = codes.py();
    let pattern = done(py, Pattern::new(n, m))?;
    let (codes, mut words) = (In::<u8>::new("codes", codes, 2)?, Out::<u8>::new("words", words, 2)?);
    let (codes, words) = (codes.matrix()?, words.matrix()?);
    done(py, crate::exit::detached(py, || nm_radix::pack(codes, pattern, groups, per, words)))
}

/// Writes codes from words.
#[pyfunction]
pub fn nm_radix_unpack(
    words: Any<'_, '_>,
    n: usize,
    m: usize,
    groups: usize,
    per: usize,
    codes: Any<'_, '_>,
) -> PyResult<()> {
    let py = words.py();
    let pattern = done(py, Pattern::new(n, m))?;
    let (words, mut codes) = (In::<u8>::new("words", words, 2)?, Out::<u8>::new("codes", codes, 2)?);
    let (words, codes) = (words.matrix()?, codes.matrix()?);
    done(py, crate::exit::detached(py, || nm_radix::unpack(words, pattern, groups, per, codes)))
}

/// What is wrong with words, the row, and the word.
#[pyfunction]
pub fn nm_radix_check(
    words: Any<'_, '_>,
    n: usize,
    m: usize,
    groups: usize,
    per: usize,
) -> PyResult<(usize, usize, usize)> {
    let py = words.py();
    let pattern = done(py, Pattern::new(n, m))?;
    let words = In::<u8>::new("words", words, 2)?;
    let words = words.matrix()?;
    let found = done(py, crate::exit::detached(py, || nm_radix::check(words, pattern, groups, per)))?;
    Ok(match found {
        None => (0, 0, 0),
        Some(Finding::Word { row, word }) => (1, row, word),
        Some(Finding::Padding { row }) => (2, row, 0),
    })
}
