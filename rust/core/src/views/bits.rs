//! A bit per element.

use super::offsets::{fits, slots_at, span};
use crate::{Error, Index, Matrix, Result};
use std::ops::Range;

/// Borrowed rows of bits, LSB first, each of which starts on a byte and may be longer than it needs to be.
///
/// ```text
/// bits         [ 0b1000_1001 | 0b0000_0000 | 0b0100_0110 ]    bit c of row r: column c of row r has a slot
/// row_offsets  [ 0             3             3             6 ]
/// ```
///
/// # Invariants
/// Checked by [`BitRows::new`], relied on by every method: a row has a bit for every column; `row_offsets` has an entry
/// more than there are rows, of which the last is not below the first.
/// Not relied on, checked where used: entries between never fall, and agree with the number of set bits.
#[derive(Clone, Copy, Debug)]
pub struct BitRows<'a, I> {
    bits: Matrix<'a, u8>,
    row_offsets: &'a [I],
    cols: usize,
    first: usize,
    end: usize,
}

impl<'a, I: Index> BitRows<'a, I> {
    /// Views rows of bytes that hold a bit for each of `cols` columns; `row_offsets` are absolute positions of slots.
    ///
    /// # Errors
    /// The rows are too short; `row_offsets` does not have an entry more than there are rows, or falls.
    pub fn new(bits: Matrix<'a, u8>, row_offsets: &'a [I], cols: usize) -> Result<Self> {
        fits("row_offsets", row_offsets.len(), bits.rows().saturating_add(1))?;
        check_row(bits.cols(), cols)?;
        let wrong = Error::Offsets { name: "row_offsets", at: bits.rows() };
        let Range { start: first, end } = span(row_offsets, i64::MAX as usize - 1).map_err(|_| wrong)?;
        Ok(Self { bits, row_offsets, cols, first, end })
    }

    /// Consecutive rows.
    ///
    /// # Errors
    /// Their offsets fall.
    pub(crate) fn range(&self, rows: Range<usize>) -> Result<Self> {
        Self::new(self.bits.range(rows.clone()), &self.row_offsets[rows.start..=rows.end], self.cols)
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.bits.rows()
    }

    /// The number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All bytes.
    pub(crate) fn bytes(&self) -> &'a [u8] {
        self.bits.items()
    }

    /// The bits of a row, without what is behind the byte of its last column.
    pub(crate) fn row(&self, row: usize) -> &'a [u8] {
        &self.bits.row(row)[..self.cols.div_ceil(8)]
    }

    /// The offsets of rows.
    pub(crate) fn row_offsets(&self) -> &'a [I] {
        self.row_offsets
    }

    /// The slots of all rows.
    pub(crate) fn place(&self) -> Range<usize> {
        self.first..self.end
    }

    /// Checks that each slot has one of `slots` values.
    pub(crate) fn check_slots(&self, slots: usize) -> Result<()> {
        if self.end <= slots { Ok(()) } else { Err(Error::Offsets { name: "row_offsets", at: self.rows() }) }
    }

    /// The slots of a row, inside of [`BitRows::place`].
    #[inline]
    pub(crate) fn slots(&self, row: usize) -> Result<Range<usize>> {
        slots_at(self.row_offsets, row, &self.place()).map_err(|_| self.wrong(row))
    }

    /// The error for a row whose offsets fall, or do not agree with its bits.
    #[cold]
    pub(crate) fn wrong(&self, row: usize) -> Error {
        Error::Offsets { name: "row_offsets", at: row }
    }
}

/// Checks that rows of `stride` bytes hold a bit for every column.
pub(crate) fn check_row(stride: usize, cols: usize) -> Result<()> {
    let want = cols.div_ceil(8);
    if stride >= want { Ok(()) } else { Err(Error::Length { name: "a row of bits", got: stride, want }) }
}
