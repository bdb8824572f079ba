//! Products of a row of blocks: sums stay in registers from block to block.

use super::registers::lanes;
use crate::args::bsr_spmm::Blocks;
use crate::args::strided::Strided;
use crate::prefetch::prefetch_ahead;
use crate::scalar::csr::AHEAD;
use std::arch::x86_64::{
    __m512, _mm512_fmadd_ps, _mm512_mask_storeu_ps, _mm512_maskz_loadu_ps, _mm512_reduce_add_ps, _mm512_set1_ps,
    _mm512_setzero_ps,
};

/// The first items in `lanes`.
///
/// # Safety
/// `items` has one for every lane.
#[inline]
#[target_feature(enable = "avx512f")]
unsafe fn load(items: &[f32], lanes: u16) -> __m512 {
    debug_assert!(items.len() >= lanes.count_ones() as usize);
    // SAFETY: as above; other lanes are not read.
    unsafe { _mm512_maskz_loadu_ps(lanes, items.as_ptr()) }
}

/// One column: `R` rows of all blocks, from `row` on. Returns `R`.
#[inline]
#[target_feature(enable = "avx512f")]
fn column<const R: usize>(w: &Blocks<'_>, row: usize, x: &[f32], sums: &mut [f32], stride: usize) -> usize {
    let mut all = [_mm512_setzero_ps(); R];
    let (whole, rest) = (w.depth / 16 * 16, lanes(w.depth % 16));
    for (items, &start) in w.items.chunks_exact(w.area).zip(w.starts) {
        prefetch_ahead(items, AHEAD);
        let items = &items[row * w.across..][..R * w.across];
        let mut rows: [&[f32]; R] = [&[]; R];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = &items[r * w.across..][..w.depth];
        }
        let x = &x[start..][..w.depth];
        for at in (0..whole).step_by(16) {
            // SAFETY: `x` and the rows have 16 items from `at` on.
            let part = unsafe { load(&x[at..], u16::MAX) };
            for (all, row) in all.iter_mut().zip(&rows) {
                // SAFETY: the same.
                *all = _mm512_fmadd_ps(unsafe { load(&row[at..], u16::MAX) }, part, *all);
            }
        }
        if rest != 0 {
            // SAFETY: `x` and the rows have as many items behind `whole`.
            let part = unsafe { load(&x[whole..], rest) };
            for (all, row) in all.iter_mut().zip(&rows) {
                // SAFETY: the same.
                *all = _mm512_fmadd_ps(unsafe { load(&row[whole..], rest) }, part, *all);
            }
        }
    }
    for (r, &all) in all.iter().enumerate() {
        sums[r * stride] += _mm512_reduce_add_ps(all);
    }
    R
}

/// `R` rows of all blocks, from `row` on, and `V` registers of columns. Returns `R`.
#[inline]
#[target_feature(enable = "avx512f")]
fn tile<const R: usize, const V: usize>(
    w: &Blocks<'_>,
    row: usize,
    x: &Strided<'_>,
    sums: &mut [f32],
    stride: usize,
) -> usize {
    let mut masks = [0; V];
    for (q, mask) in masks.iter_mut().enumerate() {
        *mask = lanes(x.width.saturating_sub(16 * q));
    }
    let mut all = [[_mm512_setzero_ps(); V]; R];
    for (r, all) in all.iter_mut().enumerate() {
        let sums = &sums[r * stride..][..x.width];
        for (q, all) in all.iter_mut().enumerate() {
            // SAFETY: `masks[q]` has lanes for those of `width` columns that are not before `16 * q`.
            *all = unsafe { load(&sums[16 * q..], masks[q]) };
        }
    }
    for (items, &start) in w.items.chunks_exact(w.area).zip(w.starts) {
        prefetch_ahead(items, AHEAD);
        let items = &items[row * w.across..][..R * w.across];
        let mut rows: [&[f32]; R] = [&[]; R];
        for (r, row) in rows.iter_mut().enumerate() {
            *row = &items[r * w.across..][..w.depth];
        }
        let x_rows = &x.items[start * x.stride + x.first..];
        for at in 0..w.depth {
            let columns = &x_rows[at * x.stride..][..x.width];
            let mut parts = [_mm512_setzero_ps(); V];
            for (q, part) in parts.iter_mut().enumerate() {
                // SAFETY: as above.
                *part = unsafe { load(&columns[16 * q..], masks[q]) };
            }
            for (all, row) in all.iter_mut().zip(&rows) {
                let value = _mm512_set1_ps(row[at]);
                for (all, &part) in all.iter_mut().zip(&parts) {
                    *all = _mm512_fmadd_ps(value, part, *all);
                }
            }
        }
    }
    for (r, all) in all.iter().enumerate() {
        let sums = &mut sums[r * stride..][..x.width];
        for (q, &all) in all.iter().enumerate() {
            let part = &mut sums[16 * q..];
            // SAFETY: as above; other lanes are not written.
            unsafe { _mm512_mask_storeu_ps(part.as_mut_ptr(), masks[q], all) };
        }
    }
    R
}

/// See [`crate::Kernels::bsr_spmm_row`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,bmi1,bmi2,popcnt")]
pub(crate) fn bsr_spmm_row(w: &Blocks<'_>, x: &Strided<'_>, sums: &mut [f32], stride: usize) {
    if x.width == 0 {
        return;
    }
    let one = (x.stride == 1 && x.width == 1).then(|| &x.items[x.first..]);
    let mut row = 0;
    while row < w.rows {
        let sums = &mut sums[row * stride..];
        row += match (one, x.width.div_ceil(16), w.rows - row) {
            (Some(x), _, 16..) => column::<16>(w, row, x, sums, stride),
            (Some(x), _, 8..) => column::<8>(w, row, x, sums, stride),
            (Some(x), _, 4..) => column::<4>(w, row, x, sums, stride),
            (Some(x), _, 2..) => column::<2>(w, row, x, sums, stride),
            (Some(x), ..) => column::<1>(w, row, x, sums, stride),
            (_, 1, 16..) => tile::<16, 1>(w, row, x, sums, stride),
            (_, 1, 8..) => tile::<8, 1>(w, row, x, sums, stride),
            (_, 1, 4..) => tile::<4, 1>(w, row, x, sums, stride),
            (_, 1, 2..) => tile::<2, 1>(w, row, x, sums, stride),
            (_, 1, _) => tile::<1, 1>(w, row, x, sums, stride),
            (_, 2, 8..) => tile::<8, 2>(w, row, x, sums, stride),
            (_, 2, 4..) => tile::<4, 2>(w, row, x, sums, stride),
            (_, 2, 2..) => tile::<2, 2>(w, row, x, sums, stride),
            (_, 2, _) => tile::<1, 2>(w, row, x, sums, stride),
            (_, 3, 4..) => tile::<4, 3>(w, row, x, sums, stride),
            (_, 3, 2..) => tile::<2, 3>(w, row, x, sums, stride),
            (_, 3, _) => tile::<1, 3>(w, row, x, sums, stride),
            (_, _, 4..) => tile::<4, 4>(w, row, x, sums, stride),
            (_, _, 2..) => tile::<2, 4>(w, row, x, sums, stride),
            _ => tile::<1, 4>(w, row, x, sums, stride),
        };
    }
}
