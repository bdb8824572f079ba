//! Products of compressed rows: with one column, indices are compared eight at a time; with more, by the portable loops
//! with fused multiplications.

use super::registers::load_u32;
use crate::args::csr_spmm::CsrSpmmTable;
use crate::scalar::csr as plain;
use crate::scalar::product::Index;
use std::arch::aarch64::{vcgeq_u32, vdupq_n_u32, vmaxvq_u32, vorrq_u32};

/// See [`crate::Kernels::csr_dot_i32`].
#[target_feature(enable = "neon")]
pub(crate) fn csr_dot_i32(indices: &[i32], values: &[f32], x: &[f32]) -> Result<f32, usize> {
    // A negative index, as an unsigned one, is at least 2^31.
    let end = vdupq_n_u32(x.len().min(1 << 31) as u32);
    let mut sums = [0.0f32; 8];
    let ((blocks, tail), (parts, rest)) = (indices.as_chunks::<8>(), values.as_chunks::<8>());
    for (at, (block, part)) in blocks.iter().zip(parts).enumerate() {
        let places = block.map(|index| index as u32);
        let [low, high] = [0, 1].map(|half| vcgeq_u32(load_u32(&places.as_chunks().0[half]), end));
        if vmaxvq_u32(vorrq_u32(low, high)) != 0 {
            return plain::dot::<i32, true>(block, part, x).map_err(|i| 8 * at + i);
        }
        for i in 0..8 {
            // SAFETY: all 8 indices are less than `x.len()`, as compared above.
            let x = unsafe { x.get_unchecked(places[i] as usize) };
            sums[i] = part[i].mul_add(*x, sums[i]);
        }
    }
    let more = plain::dot::<i32, true>(tail, rest, x).map_err(|i| 8 * blocks.len() + i)?;
    Ok(sums.iter().sum::<f32>() + more)
}

/// See [`crate::Kernels::csr_spmm_32_i32`].
#[target_feature(enable = "neon")]
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
