//! Products of compressed rows: with one column, indices are compared eight at a time; with more, sums stay in registers.

use super::registers::{load_f32, load_u32, store_f32};
use crate::args::csr_spmm::CsrSpmmTable;
use crate::scalar::csr as plain;
use crate::scalar::product::Index;
use std::arch::aarch64::{
    float32x4_t, vaddq_f32, vcgeq_u32, vdupq_n_f32, vdupq_n_u32, vfmaq_n_f32, vmaxvq_u32, vorrq_u32,
};

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

macro_rules! wide {
    ($name:ident, $w:literal, $registers:literal, $turns:literal) => {
        /// See [`crate::Kernels::csr_spmm_32_i32`]. Sums by turns, so that additions need not wait for each other.
        #[target_feature(enable = "neon")]
        fn $name<I: Index>(
            indices: &[I],
            values: &[f32],
            x: &[[f32; $w]],
            sums: &mut [f32; $w],
            more: bool,
        ) -> Result<(), usize> {
            let mut all = [[vdupq_n_f32(0.0); $registers]; $turns];
            let ((blocks, tail), (parts, rest)) = (indices.as_chunks::<$turns>(), values.as_chunks::<$turns>());
            for (at, (block, part)) in blocks.iter().zip(parts).enumerate() {
                for turn in 0..$turns {
                    let row = x.get(block[turn].row()).ok_or($turns * at + turn)?;
                    add(&mut all[turn], part[turn], row);
                }
            }
            for (i, (index, &value)) in tail.iter().zip(rest).enumerate() {
                let row = x.get(index.row()).ok_or($turns * blocks.len() + i)?;
                add(&mut all[0], value, row);
            }
            for (register, sums) in sums.as_chunks_mut::<4>().0.iter_mut().enumerate() {
                let mut sum = if more { load_f32(sums) } else { vdupq_n_f32(0.0) };
                for turn in &all {
                    sum = vaddq_f32(sum, turn[register]);
                }
                store_f32(sums, sum);
            }
            Ok(())
        }
    };
}

/// Adds the products of a value with a row.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn add<const R: usize>(sums: &mut [float32x4_t; R], value: f32, row: &[f32]) {
    for (sum, x) in sums.iter_mut().zip(row.as_chunks().0) {
        *sum = vfmaq_n_f32(*sum, load_f32(x), value);
    }
}

wide!(wide_8, 8, 2, 4);
wide!(wide_16, 16, 4, 2);
wide!(wide_32, 32, 8, 1);

/// All of them.
pub(crate) const fn csr_spmm_table<I: Index>() -> CsrSpmmTable<I> {
    CsrSpmmTable { wide_8: wide_8::<I>, wide_16: wide_16::<I>, wide_32: wide_32::<I> }
}
