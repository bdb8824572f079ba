//! Products of compressed rows: the portable loops with AVX2 and FMA.

use crate::args::csr_spmm::CsrSpmmTable;
use crate::scalar::csr as plain;
use crate::scalar::product::Index;

/// See [`crate::Kernels::csr_spmm_32_i32`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn wide<I: Index, const W: usize, const C: usize>(
    indices: &[I],
    values: &[f32],
    x: &[[f32; W]],
    sums: &mut [f32; W],
    more: bool,
) -> Result<(), usize> {
    plain::wide::<I, W, C, true>(indices, values, x, sums, more)
}

/// All of them.
pub(crate) const fn csr_spmm_table<I: Index>() -> CsrSpmmTable<I> {
    CsrSpmmTable { wide_8: wide::<I, 8, 4>, wide_16: wide::<I, 16, 2>, wide_32: wide::<I, 32, 1> }
}
