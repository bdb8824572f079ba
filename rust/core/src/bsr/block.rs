//! Blocks, and a borrowed structure of them.

use crate::csr::span;
use crate::{Error, Index, Result};
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

/// A borrowed structure of blocks and their items.
///
/// # Invariants
/// None is relied on: every use of `indptr` and `indices` is checked.
#[derive(Clone, Copy, Debug)]
pub struct Bsr<'a, T, I> {
    /// The slice for the block rows at hand: absolute positions in `indices`, one more than block rows.
    pub indptr: &'a [I],
    /// Block columns.
    pub indices: &'a [I],
    /// The items of the blocks.
    pub blocks: &'a [T],
    /// The shape of a block.
    pub block: Block,
}

impl<'a, T, I: Index> Bsr<'a, T, I> {
    pub(super) fn block_rows(&self) -> usize {
        self.indptr.len().saturating_sub(1)
    }

    /// The blocks that the block rows at hand may name.
    pub(super) fn span(&self) -> Result<Range<usize>> {
        span(self.indptr, self.indices.len().min(self.blocks.len() / self.block.area()))
    }

    /// Column and items of every block in a block row. Positions in errors count from the start of `span`.
    pub(super) fn blocks_of(
        &self,
        block_row: usize,
        span: &Range<usize>,
        across: usize,
    ) -> Result<impl Iterator<Item = Result<(usize, &'a [T])>> + use<'a, T, I>> {
        let falls = Error::Offsets { name: "indptr", at: block_row };
        let low = self.indptr[block_row].below(span.end + 1).ok_or(falls.clone())?;
        let high = self.indptr[block_row + 1].below(span.end + 1).ok_or(falls.clone())?;
        if low < span.start || low > high {
            return Err(falls);
        }
        let (first, area) = (span.start, self.block.area());
        let blocks = self.blocks[low * area..high * area].chunks_exact(area);
        Ok(self.indices[low..high].iter().zip(blocks).enumerate().map(move |(i, (index, block))| {
            let error = || Error::Index { at: low - first + i, got: index.to_i64(), bound: across };
            Ok((index.below(across).ok_or_else(error)?, block))
        }))
    }
}
