//! Rows that are a bit for every column and the slots of the set ones: nm, bitmask, csr, dense.

use crate::nm::NmRows;
use crate::views::{BitRows, Csr};
use crate::{Index, Result};
use sparsefmt_kernels::prefetch_near;
use std::ops::Range;

/// Rows of bits with their slots.
pub(super) trait Masked: Sync {
    /// Rows and columns.
    fn shape(&self) -> (usize, usize);
    /// Writes the bits of a row; there is room for `ceil(cols / 8)` bytes and 8 more.
    fn bits(&self, row: usize, bits: &mut [u8]) -> Result<()>;
    /// The slots of a row.
    fn slots(&self, row: usize) -> Result<Range<usize>>;
    /// Bytes of structure in all.
    fn nbytes(&self) -> usize;
    /// Where it is 2:4, the codes of a row and all that follow.
    fn fours(&self, _row: usize) -> Option<&[u8]> {
        None
    }
}

pub(super) struct Nm<'a> {
    pub(super) rows: NmRows<'a>,
    pub(super) stride: usize,
}

impl Masked for Nm<'_> {
    fn shape(&self) -> (usize, usize) {
        self.rows.shape()
    }
    fn bits(&self, row: usize, bits: &mut [u8]) -> Result<()> {
        if let Some(to_come) = self.rows.fours(row + 4) {
            prefetch_near(to_come, 0, self.rows.nbytes() / self.rows.shape().0);
        }
        self.rows.fill(row, bits)
    }
    fn slots(&self, row: usize) -> Result<Range<usize>> {
        let first = row.saturating_mul(self.stride);
        Ok(first..first.saturating_add(self.rows.slots()))
    }
    fn nbytes(&self) -> usize {
        self.rows.nbytes()
    }
    fn fours(&self, row: usize) -> Option<&[u8]> {
        self.rows.fours(row)
    }
}

impl<I: Index> Masked for BitRows<'_, I> {
    fn shape(&self) -> (usize, usize) {
        (self.rows(), self.cols())
    }
    fn bits(&self, row: usize, bits: &mut [u8]) -> Result<()> {
        let from = self.row(row);
        bits[..from.len()].copy_from_slice(from);
        Ok(())
    }
    fn slots(&self, row: usize) -> Result<Range<usize>> {
        self.slots(row)
    }
    fn nbytes(&self) -> usize {
        self.bytes().len()
    }
}

/// Rows of ascending indices, as bits.
impl<I: Index> Masked for Csr<'_, I> {
    fn shape(&self) -> (usize, usize) {
        (self.rows(), self.cols())
    }
    fn bits(&self, row: usize, bits: &mut [u8]) -> Result<()> {
        bits.fill(0);
        let slots = self.slots(row)?;
        for (at, index) in slots.clone().zip(&self.indices()[slots]) {
            let column = index.below(self.cols()).ok_or_else(|| self.wrong(at))?;
            bits[column / 8] |= 1 << (column % 8);
        }
        Ok(())
    }
    fn slots(&self, row: usize) -> Result<Range<usize>> {
        self.slots(row)
    }
    fn nbytes(&self) -> usize {
        size_of_val(self.indices())
    }
}

pub(super) struct Dense {
    pub(super) shape: (usize, usize),
}

impl Masked for Dense {
    fn shape(&self) -> (usize, usize) {
        self.shape
    }
    fn bits(&self, _row: usize, bits: &mut [u8]) -> Result<()> {
        bits.fill(0xFF);
        Ok(())
    }
    fn slots(&self, row: usize) -> Result<Range<usize>> {
        Ok(row * self.shape.1..(row + 1) * self.shape.1)
    }
    fn nbytes(&self) -> usize {
        0
    }
}
