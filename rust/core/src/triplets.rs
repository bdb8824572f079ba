//! Where rows and columns of slots come from.

use crate::views::{Coo, Csr};
use crate::{Error, Index, Result};
use std::ops::Range;

/// The row and the column of slots in any order.
pub(crate) trait Pairs<I>: Sync {
    /// Calls `take` with the position, the row and the column of each slot of `range`.
    fn each(&self, range: Range<usize>, take: impl FnMut(usize, I, I) -> Result<()>) -> Result<()>;

    /// The row of each slot.
    fn rows(&self) -> &[I];
}

impl<I: Index> Pairs<I> for Coo<'_, I> {
    #[inline]
    fn each(&self, range: Range<usize>, mut take: impl FnMut(usize, I, I) -> Result<()>) -> Result<()> {
        for (at, (&r, &c)) in range.clone().zip(self.row()[range.clone()].iter().zip(&self.col()[range])) {
            take(at, r, c)?;
        }
        Ok(())
    }

    fn rows(&self) -> &[I] {
        self.row()
    }
}

/// Csr, whose columns count as rows and whose rows as columns.
pub(crate) struct Transposed<'a, I>(pub(crate) Csr<'a, I>);

impl<I: Index> Pairs<I> for Transposed<'_, I> {
    #[inline]
    fn each(&self, range: Range<usize>, mut take: impl FnMut(usize, I, I) -> Result<()>) -> Result<()> {
        let first = self.0.indptr().partition_point(|offset| offset.to_i64() <= range.start as i64).saturating_sub(1);
        let mut next = range.start;
        for row in first..self.0.rows() {
            if next >= range.end {
                break;
            }
            let at = self.0.slots(row)?;
            let at = at.start.max(next)..at.end.min(range.end);
            for (at, &col) in at.clone().zip(self.0.indices().get(at.clone()).unwrap_or_default()) {
                take(at, col, I::cut(row))?;
            }
            next = at.end.max(next);
        }
        if next == range.end { Ok(()) } else { Err(Error::Offsets { name: "indptr", at: first }) }
    }

    fn rows(&self) -> &[I] {
        self.0.indices()
    }
}
