//! Products of a row of blocks, written so that they can be inlined into whatever instruction set.

use super::product::fma;
use crate::args::bsr_spmm::Blocks;
use crate::args::strided::Strided;

/// See [`crate::Kernels::bsr_spmm_row`].
#[inline(always)]
pub(crate) fn bsr_spmm_row<const F: bool>(w: &Blocks<'_>, x: &Strided<'_>, sums: &mut [f32], stride: usize) {
    for (items, &start) in w.items.chunks_exact(w.area).zip(w.starts) {
        for row in 0..w.rows {
            let sums = &mut sums[row * stride..][..x.width];
            for (at, &value) in items[row * w.across..][..w.depth].iter().enumerate() {
                let columns = &x.items[(start + at) * x.stride + x.first..][..x.width];
                sums.iter_mut().zip(columns).for_each(|(sum, &x)| *sum = fma::<F>(value, x, *sum));
            }
        }
    }
}
