//! Coordinates.

use super::offsets::fits;
use crate::Result;

/// Borrowed coordinates: a row and a column per slot, in any order.
///
/// ```text
/// row  [ 0  0  2  2  2 ]
/// col  [ 0  3  1  2  7 ]
/// ```
///
/// # Invariants
/// Checked by [`Coo::new`], relied on by every method: there are as many columns as rows.
/// Not relied on, checked where used: they lie in the shape.
#[derive(Clone, Copy, Debug)]
pub struct Coo<'a, I> {
    row: &'a [I],
    col: &'a [I],
    shape: (usize, usize),
}

impl<'a, I> Coo<'a, I> {
    /// Views a row and a column per slot of a matrix, or of a block of its rows, of `shape`.
    ///
    /// # Errors
    /// They are not of one length.
    pub fn new(row: &'a [I], col: &'a [I], shape: (usize, usize)) -> Result<Self> {
        fits("col", col.len(), row.len())?;
        Ok(Self { row, col, shape })
    }

    /// The number of slots.
    pub(crate) fn len(&self) -> usize {
        self.row.len()
    }

    /// The row of each slot.
    pub(crate) fn row(&self) -> &'a [I] {
        self.row
    }

    /// The column of each slot.
    pub(crate) fn col(&self) -> &'a [I] {
        self.col
    }

    /// Rows and columns.
    pub(crate) fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// Checks that there is an item of `name` per slot.
    pub(crate) fn check_slots(&self, name: &'static str, slots: usize) -> Result<()> {
        fits(name, slots, self.len())
    }
}
