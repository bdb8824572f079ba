//! A borrowed structure of blocks.

use super::block::Block;
use crate::item::bound;
use crate::views::offsets::{fits, slots_at, span};
use crate::{Error, Index, Result};
use std::ops::Range;

/// A borrowed structure of blocks, or the block rows of a block of rows; see [`super`] for what it looks like in memory.
///
/// # Invariants
/// Checked by [`Blocks::new`], relied on by every method: `indptr` has an entry more than there are block rows, of which
/// the last is not below the first, and both are positions in `indices`.
/// Not relied on, checked where used: entries between never fall; every index is a block column.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a, I> {
    indptr: &'a [I],
    indices: &'a [I],
    block: Block,
    shape: (usize, usize),
    /// Block columns: kept, because a division for every block would cost as much as to copy a row of it.
    across: usize,
    first: usize,
    end: usize,
}

impl<'a, I: Index> Blocks<'a, I> {
    /// Views `indptr`, absolute positions in `indices`, as the block rows of a matrix of `shape`.
    ///
    /// # Errors
    /// `indptr` does not have an entry more than there are block rows, or its ends are no range of `indices`.
    pub fn new(indptr: &'a [I], indices: &'a [I], block: Block, shape: (usize, usize)) -> Result<Self> {
        fits("indptr", indptr.len(), shape.0.div_ceil(block.r).saturating_add(1))?;
        let Range { start: first, end } = span(indptr, indices.len())?;
        let cols = bound(shape.1);
        Ok(Self { indptr, indices, block, shape: (shape.0, cols), across: cols.div_ceil(block.c), first, end })
    }

    /// Rows and columns, not of blocks.
    #[must_use]
    pub fn shape(&self) -> (usize, usize) {
        self.shape
    }

    /// The shape of a block.
    #[must_use]
    pub fn block(&self) -> Block {
        self.block
    }

    /// The number of block rows.
    pub(crate) fn block_rows(&self) -> usize {
        self.indptr.len() - 1
    }

    /// The rows of a block row.
    pub(crate) fn rows(&self, block_row: usize) -> Range<usize> {
        self.block.rows(block_row, self.shape.0)
    }

    /// The offsets of block rows.
    pub(crate) fn indptr(&self) -> &'a [I] {
        self.indptr
    }

    /// The blocks of all block rows.
    pub(crate) fn place(&self) -> Range<usize> {
        self.first..self.end
    }

    /// Checks that each block has its part of `items`.
    pub(crate) fn check_slots(&self, items: usize) -> Result<()> {
        let wrong = Error::Offsets { name: "indptr", at: self.block_rows() };
        if self.end <= items / self.block.area() { Ok(()) } else { Err(wrong) }
    }

    /// The blocks of a block row, inside of [`Blocks::place`].
    #[inline]
    pub(crate) fn blocks(&self, block_row: usize) -> Result<Range<usize>> {
        slots_at(self.indptr, block_row, &self.place())
    }

    /// The block column of block `at`. Its position in an error counts from the first block at hand.
    #[inline]
    pub(crate) fn column(&self, at: usize) -> Result<usize> {
        let (index, bound) = (self.indices[at], self.across);
        index.below(bound).ok_or_else(|| Error::Index { at: at - self.first, got: index.to_i64(), bound })
    }

    /// Column and items of every block in a block row.
    pub(super) fn stored<'b, T>(
        &self,
        block_row: usize,
        items: &'b [T],
    ) -> Result<impl Iterator<Item = Result<(usize, &'b [T])>> + use<'a, 'b, T, I>> {
        let (at, area, bound) = (self.blocks(block_row)?, self.block.area(), self.across);
        let before = at.start - self.first;
        let blocks = items[at.start * area..at.end * area].chunks_exact(area);
        Ok(self.indices[at].iter().zip(blocks).enumerate().map(move |(i, (index, block))| {
            let wrong = || Error::Index { at: before + i, got: index.to_i64(), bound };
            Ok((index.below(bound).ok_or_else(wrong)?, block))
        }))
    }
}
