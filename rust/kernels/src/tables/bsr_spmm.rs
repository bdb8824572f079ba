//! The part of the table that multiplies a row of blocks.

use crate::args::bsr_spmm::{BlockRow, Blocks};
use crate::args::strided::Strided;
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: BlockRow = scalar::bsr_spmm::bsr_spmm_row::<false>;

impl Kernels {
    /// Adds the products of all blocks with the rows of `x` that belong to their columns to the rows of `sums`, which
    /// start `stride` items apart.
    ///
    /// # Panics
    /// There are not `area` items for each block; rows stick out of a block, blocks out of `x`, or rows out of `sums`.
    pub fn bsr_spmm_row(&self, w: &Blocks<'_>, x: &Strided<'_>, sums: &mut [f32], stride: usize) {
        assert!(w.area > 0 && w.starts.len().checked_mul(w.area) == Some(w.items.len()), "items of blocks");
        let rows = w.rows.checked_mul(w.across);
        assert!(w.depth <= w.across && rows.is_some_and(|items| items <= w.area), "rows of a block");
        let last = x.rows.checked_sub(w.depth);
        assert!(x.is_inside() && w.starts.iter().all(|&start| Some(start) <= last), "columns of blocks");
        let end = w.rows.checked_sub(1).map_or(Some(0), |last| last.checked_mul(stride)?.checked_add(x.width));
        assert!(end.is_some_and(|end| end <= sums.len()), "rows of sums");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; all was asserted above.
        unsafe { (self.product.bsr_spmm_row)(w, x, sums, stride) }
    }
}
