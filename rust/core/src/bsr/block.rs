//! The shape of a block.

use crate::{Error, Result};
use std::ops::Range;

/// The shape of a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Block {
    /// Rows.
    pub r: usize,
    /// Columns.
    pub c: usize,
}

impl Block {
    /// At least one row and one column, of a number of items that can be counted.
    ///
    /// # Errors
    /// Anything else.
    pub fn new(r: usize, c: usize) -> Result<Self> {
        match (r, c, r.checked_mul(c)) {
            (0, ..) => Err(Error::Parameter { name: "block rows", got: r }),
            (_, 0, _) | (.., None) => Err(Error::Parameter { name: "block columns", got: c }),
            _ => Ok(Self { r, c }),
        }
    }

    pub(crate) fn area(self) -> usize {
        self.r * self.c
    }

    /// Checks the number of block rows of `rows` rows.
    pub(super) fn check_rows(self, name: &'static str, block_rows: usize, rows: usize) -> Result<()> {
        let want = rows.div_ceil(self.r);
        if block_rows == want { Ok(()) } else { Err(Error::Length { name, got: block_rows, want }) }
    }

    /// The rows of a block row.
    pub(crate) fn rows(self, block_row: usize, rows: usize) -> Range<usize> {
        let start = block_row * self.r;
        start..start.saturating_add(self.r).min(rows)
    }
}
