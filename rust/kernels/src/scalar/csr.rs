//! Products of compressed rows, written so that they can be inlined into whatever instruction set.

use super::product::{Index, fma};
use crate::args::csr_spmm::CsrSpmmTable;
use crate::prefetch::prefetch_ahead;

/// Slots that are prefetched before they are used, as prefetchers do not look so far.
pub(crate) const AHEAD: usize = 1024;

/// See [`crate::Kernels::csr_dot_i32`].
#[inline(always)]
pub(crate) fn dot<I: Index, const F: bool>(indices: &[I], values: &[f32], x: &[f32]) -> Result<f32, usize> {
    let mut sums = [0.0f32; 8];
    let (blocks, tail) = indices.as_chunks::<8>();
    let (parts, rest) = values.as_chunks::<8>();
    for (at, (block, part)) in blocks.iter().zip(parts).enumerate() {
        prefetch_ahead(block, AHEAD);
        prefetch_ahead(part, AHEAD);
        for i in 0..8 {
            let Some(&x) = x.get(block[i].row()) else { return Err(8 * at + i) };
            sums[i] = fma::<F>(part[i], x, sums[i]);
        }
    }
    for (i, (index, &value)) in tail.iter().zip(rest).enumerate() {
        let Some(&x) = x.get(index.row()) else { return Err(8 * blocks.len() + i) };
        sums[i % 8] = fma::<F>(value, x, sums[i % 8]);
    }
    Ok(sums.iter().sum())
}

/// See [`crate::Kernels::csr_spmm_32_i32`]. `C` sums by turns, so that additions need not wait for each other.
#[inline(always)]
pub(crate) fn wide<I: Index, const W: usize, const C: usize, const F: bool>(
    indices: &[I],
    values: &[f32],
    x: &[[f32; W]],
    sums: &mut [f32; W],
    more: bool,
) -> Result<(), usize> {
    let mut all = [[0.0; W]; C];
    if more {
        all[0] = *sums;
    }
    for (turn, (indices, values)) in indices.chunks(C).zip(values.chunks(C)).enumerate() {
        for (i, ((index, &value), all)) in indices.iter().zip(values).zip(&mut all).enumerate() {
            let row = x.get(index.row()).ok_or(turn * C + i)?;
            all.iter_mut().zip(row).for_each(|(sum, &x)| *sum = fma::<F>(value, x, *sum));
        }
    }
    let [first, others @ ..] = &all[..] else { return Ok(()) };
    *sums = *first;
    for other in others {
        sums.iter_mut().zip(other).for_each(|(sum, &other)| *sum += other);
    }
    Ok(())
}

/// The portable functions.
pub(crate) const fn csr_spmm_table<I: Index>() -> CsrSpmmTable<I> {
    CsrSpmmTable { wide_8: wide::<I, 8, 4, false>, wide_16: wide::<I, 16, 2, false>, wide_32: wide::<I, 32, 1, false> }
}
