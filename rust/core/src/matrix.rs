//! Rows of equal length, one behind the other.

use crate::{Error, Result};
use std::ops::Range;

/// A borrowed matrix, row-major without gaps.
///
/// # Invariants
/// Checked by [`Matrix::new`], relied on by every method: there are `rows * cols` items.
#[derive(Clone, Copy, Debug)]
pub struct Matrix<'a, T> {
    items: &'a [T],
    rows: usize,
    cols: usize,
}

impl<'a, T> Matrix<'a, T> {
    /// Views `items` as `rows` rows of `cols`.
    ///
    /// # Errors
    /// There are not `rows * cols` items.
    pub fn new(name: &'static str, items: &'a [T], rows: usize, cols: usize) -> Result<Self> {
        check(name, items.len(), rows, cols)?;
        Ok(Self { items, rows, cols })
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// All items.
    #[must_use]
    pub fn items(&self) -> &'a [T] {
        self.items
    }

    /// Checks rows and columns.
    pub(crate) fn check_shape(&self, name: &'static str, shape: (usize, usize)) -> Result<()> {
        check_shape(name, (self.rows, self.cols), shape)
    }

    /// The items of one row.
    pub(crate) fn row(&self, row: usize) -> &'a [T] {
        &self.items[row * self.cols..][..self.cols]
    }

    /// Consecutive rows.
    pub(crate) fn range(&self, rows: Range<usize>) -> Self {
        let items = &self.items[rows.start * self.cols..rows.end * self.cols];
        Self { items, rows: rows.len(), cols: self.cols }
    }
}

/// A borrowed matrix to write, row-major without gaps; invariants as [`Matrix`].
#[derive(Debug)]
pub struct MatrixMut<'a, T> {
    items: &'a mut [T],
    rows: usize,
    cols: usize,
}

impl<'a, T> MatrixMut<'a, T> {
    /// Views `items` as `rows` rows of `cols`.
    ///
    /// # Errors
    /// There are not `rows * cols` items.
    pub fn new(name: &'static str, items: &'a mut [T], rows: usize, cols: usize) -> Result<Self> {
        check(name, items.len(), rows, cols)?;
        Ok(Self { items, rows, cols })
    }

    /// The number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The number of columns.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Checks rows and columns.
    pub(crate) fn check_shape(&self, name: &'static str, shape: (usize, usize)) -> Result<()> {
        check_shape(name, (self.rows, self.cols), shape)
    }

    /// Whether it is so large that it is written past the caches: it would push out everything, itself included.
    pub(crate) fn is_streamed(&self) -> bool {
        size_of_val(self.items) >= crate::caches::streamed_from()
    }

    /// All items.
    pub(crate) fn items_mut(&mut self) -> &mut [T] {
        self.items
    }

    /// The items of one row.
    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [T] {
        &mut self.items[row * self.cols..][..self.cols]
    }

    /// The items of consecutive rows.
    pub(crate) fn rows_mut(&mut self, rows: Range<usize>) -> &mut [T] {
        &mut self.items[rows.start * self.cols..rows.end * self.cols]
    }

    /// Splits off the rows of consecutive ranges that begin at 0.
    pub(crate) fn split(self, ranges: &[Range<usize>]) -> Vec<Self> {
        let Self { items, cols, .. } = self;
        let pieces = crate::par::split_mut(items, ranges.iter().map(|rows| rows.len() * cols));
        pieces.into_iter().zip(ranges).map(|(items, rows)| Self { items, rows: rows.len(), cols }).collect()
    }
}

fn check(name: &'static str, len: usize, rows: usize, cols: usize) -> Result<()> {
    match rows.checked_mul(cols) {
        Some(want) if want == len => Ok(()),
        want => Err(Error::Length { name, got: len, want: want.unwrap_or(usize::MAX) }),
    }
}

fn check_shape(name: &'static str, got: (usize, usize), want: (usize, usize)) -> Result<()> {
    match (got.0 == want.0, got.1 == want.1) {
        (true, true) => Ok(()),
        (false, _) => Err(Error::Length { name, got: got.0, want: want.0 }),
        _ => Err(Error::Length { name, got: got.1, want: want.1 }),
    }
}
