//! A borrowed N:M structure.

use super::codes::Codes;
use super::layout::Layout;
use super::pattern::Pattern;
use crate::{Error, Matrix, Result};
use std::ops::Range;

/// Borrowed rows of N:M codes; see [`super`] for what a group and its code look like in memory.
///
/// # Invariants
/// Checked by [`NmRows::new`], relied on by every method: a row of bytes holds a code for every group of columns.
/// Not relied on, checked where used: every code names a mask.
#[derive(Clone, Copy)]
pub struct NmRows<'a> {
    codes: Matrix<'a, u8>,
    layout: Layout,
    table: &'static Codes,
}

impl<'a> NmRows<'a> {
    /// Views rows of codes, which may be longer than they need to be, as those of a matrix of `shape`.
    ///
    /// # Errors
    /// There is another number of rows, they are too short, or have more columns than anybody can count.
    pub fn new(codes: Matrix<'a, u8>, pattern: Pattern, shape: (usize, usize)) -> Result<Self> {
        let layout = Layout::new(pattern, shape.1)?;
        layout.check_codes(shape.0, (codes.rows(), codes.cols()))?;
        Ok(Self { codes, layout, table: Codes::of(pattern) })
    }

    /// Rows and columns.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        (self.codes.rows(), self.layout.cols)
    }

    /// Consecutive rows.
    pub(crate) fn range(&self, rows: Range<usize>) -> Self {
        Self { codes: self.codes.range(rows), ..*self }
    }

    /// The pattern.
    #[must_use]
    pub fn pattern(&self) -> Pattern {
        self.layout.pattern
    }

    /// Slots of a row.
    pub(crate) fn slots(&self) -> usize {
        self.layout.slots
    }

    /// Bytes of codes.
    pub(crate) fn nbytes(&self) -> usize {
        self.codes.items().len()
    }

    /// What a row holds.
    pub(super) fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The masks of codes.
    pub(super) fn table(&self) -> &'static Codes {
        self.table
    }

    /// The codes of all rows.
    pub(super) fn codes(&self) -> Matrix<'a, u8> {
        self.codes
    }

    /// The codes of a row.
    pub(crate) fn row(&self, row: usize) -> &'a [u8] {
        self.codes.row(row)
    }

    /// Checks that rows of `stride` slots hold those of a row.
    pub(crate) fn check_stride(&self, stride: usize) -> Result<()> {
        self.layout.check_slots(self.codes.rows(), (self.codes.rows(), stride))
    }

    /// Checks that there is a row of slots for each row, long enough or longer.
    pub(crate) fn check_slots<T>(&self, slots: &Matrix<'_, T>) -> Result<()> {
        self.layout.check_slots(self.codes.rows(), (slots.rows(), slots.cols()))
    }

    /// The error for the code of a group that names no mask.
    #[cold]
    pub(super) fn wrong(&self, row: usize, group: usize, got: u32) -> Error {
        self.layout.wrong(row, group, got)
    }

    /// Of 2:4, the codes of a row and all that follow.
    pub(crate) fn fours(&self, row: usize) -> Option<&'a [u8]> {
        let Pattern { n, m, .. } = self.layout.pattern;
        if (n, m) == (2, 4) { self.codes.items().get(row * self.codes.cols()..) } else { None }
    }

    /// Writes the bits of a row, those of virtual columns too; there is room for them in 4 bytes more than columns need.
    pub(crate) fn fill(&self, row: usize, bits: &mut [u8]) -> Result<()> {
        let codes = self.row(row);
        for tile in self.layout.tiles() {
            let unpacked = self.table.unpack(&codes[tile.code..], tile.groups, &mut bits[tile.start / 8..]);
            unpacked.map_err(|(group, got)| self.wrong(row, tile.first + group, got))?;
        }
        Ok(())
    }
}
