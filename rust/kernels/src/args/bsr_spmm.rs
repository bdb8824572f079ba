//! Arguments of products of a row of blocks, and their signatures.

use crate::args::strided::Strided;

/// Blocks that stand side by side, and lie one behind the other.
#[derive(Clone, Copy, Debug)]
pub struct Blocks<'a> {
    /// Their items, row by row.
    pub items: &'a [f32],
    /// Items of a block, at least one.
    pub area: usize,
    /// Columns of a block.
    pub across: usize,
    /// Columns of a block that count.
    pub depth: usize,
    /// Rows of a block that count.
    pub rows: usize,
    /// The first column of each.
    pub starts: &'a [usize],
}

pub(crate) type BlockRow = unsafe fn(&Blocks<'_>, &Strided<'_>, &mut [f32], usize);
