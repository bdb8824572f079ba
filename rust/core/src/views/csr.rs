//! Compressed sparse rows.

use super::offsets::{fits, slots_at, span};
use crate::item::bound;
use crate::{Error, Index, Result, par};
use std::ops::Range;

/// A borrowed CSR structure, or a block of its rows.
///
/// ```text
/// indptr   [ 0     2  2        5 ]      row r holds slots indptr[r]..indptr[r + 1]
/// indices  [ 0  3 |  | 1  2  7 ]        the column of each slot
/// ```
///
/// # Invariants
/// Checked by [`Csr::new`], relied on by every method: `indptr` has `rows + 1` entries, of which the last is not below
/// the first, and both are positions in `indices`.
/// Not relied on, checked where used: entries between never fall; every index is in `0..cols`.
#[derive(Clone, Copy, Debug)]
pub struct Csr<'a, I> {
    indptr: &'a [I],
    indices: &'a [I],
    cols: usize,
    first: usize,
    end: usize,
}

impl<'a, I: Index> Csr<'a, I> {
    /// Views `indptr`, absolute positions in `indices`, as the rows of `shape`.
    ///
    /// # Errors
    /// `indptr` does not have an entry more than there are rows, or its ends are no range of `indices`.
    pub fn new(indptr: &'a [I], indices: &'a [I], shape: (usize, usize)) -> Result<Self> {
        fits("indptr", indptr.len(), shape.0.saturating_add(1))?;
        Self::of_cols(indptr, indices, shape.1)
    }

    /// As [`Csr::new`], of as many rows as `indptr` tells.
    ///
    /// # Errors
    /// `indptr` is empty, or its ends are no range of `indices`.
    pub fn of_cols(indptr: &'a [I], indices: &'a [I], cols: usize) -> Result<Self> {
        let Range { start: first, end } = span(indptr, indices.len())?;
        Ok(Self { indptr, indices, cols: bound(cols), first, end })
    }

    /// Consecutive rows.
    ///
    /// # Errors
    /// Their offsets are no range of the indices.
    pub(crate) fn range(&self, rows: Range<usize>) -> Result<Self> {
        Self::of_cols(&self.indptr[rows.start..=rows.end], self.indices, self.cols)
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// The number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// The offsets of rows.
    pub(crate) fn indptr(&self) -> &'a [I] {
        self.indptr
    }

    /// The columns of slots.
    pub(crate) fn indices(&self) -> &'a [I] {
        self.indices
    }

    /// The slots of all rows.
    pub(crate) fn place(&self) -> Range<usize> {
        self.first..self.end
    }

    /// Checks that each slot has one of `slots` values.
    pub(crate) fn check_slots(&self, slots: usize) -> Result<()> {
        if self.end <= slots { Ok(()) } else { Err(Error::Offsets { name: "indptr", at: self.rows() }) }
    }

    /// The slots of a row, inside of [`Csr::place`].
    #[inline]
    pub(crate) fn slots(&self, row: usize) -> Result<Range<usize>> {
        slots_at(self.indptr, row, &self.place())
    }

    /// The error for the index of slot `at`, which is out of range.
    #[cold]
    pub(crate) fn wrong(&self, at: usize) -> Error {
        Error::Index { at, got: self.indices[at].to_i64(), bound: self.cols }
    }

    /// Ranges of rows with about equal numbers of slots; see [`par::cut_by`].
    pub(crate) fn cut(&self, step: usize, work: usize) -> Vec<Range<usize>> {
        par::cut_by(self.indptr, step, work)
    }
}
