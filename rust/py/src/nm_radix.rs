//! Kernels of `sparsefmt.kernels.nm_radix`.

use crate::arrays::{by_number, by_width};
use crate::borrow::{In, Out, done};
use crate::nm::{Report, order, pattern, report, size, unranked};
use pyo3::prelude::*;
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
    let (py, pattern) = (codes.py(), pattern(codes.py(), n, m)?);
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
    let (py, pattern) = (words.py(), pattern(words.py(), n, m)?);
    let (words, mut codes) = (In::<u8>::new("words", words, 2)?, Out::<u8>::new("codes", codes, 2)?);
    let (words, codes) = (words.matrix()?, codes.matrix()?);
    done(py, crate::exit::detached(py, || nm_radix::unpack(words, pattern, groups, per, codes)))
}

/// Packs the nonzero items of `w`, with words instead of codes.
#[pyfunction]
pub fn nm_radix_encode(
    w: Any<'_, '_>,
    zero: u64,
    n: usize,
    m: usize,
    per: usize,
    words: Any<'_, '_>,
    slots: Any<'_, '_>,
) -> PyResult<Report> {
    let (py, pattern) = (w.py(), pattern(w.py(), n, m)?);
    by_width!(size("w", w)?, T => {
        let w = In::<T>::new("w", w, 2)?;
        let (mut words, mut slots) = (Out::<u8>::new("words", words, 2)?, Out::<T>::new("slots", slots, 2)?);
        let (w, words, slots) = (w.matrix()?, words.matrix()?, slots.matrix()?);
        done(py, crate::exit::detached(py, || nm_radix::encode(w, zero, pattern, per, words, slots))).map(report)
    })
}

/// Packs the n items of largest magnitude of every group, less those that are zero, with words instead of codes.
#[pyfunction]
#[expect(clippy::too_many_arguments, reason = "the arguments of the definition")]
pub fn nm_radix_prune_encode(
    w: Any<'_, '_>,
    zero: u64,
    order: &str,
    n: usize,
    m: usize,
    per: usize,
    words: Any<'_, '_>,
    slots: Any<'_, '_>,
) -> PyResult<()> {
    let (py, pattern) = (w.py(), pattern(w.py(), n, m)?);
    by_number!(size("w", w)?, T => {
        let (order, w) = (self::order::<T>(order)?, In::<T>::new("w", w, 2)?);
        let (mut words, mut slots) = (Out::<u8>::new("words", words, 2)?, Out::<T>::new("slots", slots, 2)?);
        let (w, words, slots) = (w.matrix()?, words.matrix()?, slots.matrix()?);
        done(py, crate::exit::detached(py, || nm_radix::prune_encode(w, zero, order, pattern, per, words, slots)))
    }, size => unranked(size))
}

/// Zeroes `out` and puts every slot in the place that words name.
#[pyfunction]
pub fn nm_radix_decode(
    words: Any<'_, '_>,
    slots: Any<'_, '_>,
    n: usize,
    m: usize,
    per: usize,
    out: Any<'_, '_>,
) -> PyResult<()> {
    let (py, pattern) = (words.py(), pattern(words.py(), n, m)?);
    by_width!(size("slots", slots)?, T => {
        let (words, slots) = (In::<u8>::new("words", words, 2)?, In::<T>::new("slots", slots, 2)?);
        let mut out = Out::<T>::new("out", out, 2)?;
        let (words, slots, out) = (words.matrix()?, slots.matrix()?, out.matrix()?);
        done(py, crate::exit::detached(py, || nm_radix::decode(words, pattern, per, slots, out)))
    })
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
    let (py, pattern) = (words.py(), pattern(words.py(), n, m)?);
    let words = In::<u8>::new("words", words, 2)?;
    let words = words.matrix()?;
    let found = done(py, crate::exit::detached(py, || nm_radix::check(words, pattern, groups, per)))?;
    Ok(match found {
        None => (0, 0, 0),
        Some(Finding::Word { row, word }) => (1, row, word),
        Some(Finding::Padding { row }) => (2, row, 0),
    })
}
