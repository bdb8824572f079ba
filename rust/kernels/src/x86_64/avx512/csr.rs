//! Products of compressed rows with some columns, which are a register or two of each row of the right factor.

use super::registers::{load_f32, load_opaque, store_f32};
use crate::args::csr_spmm::CsrSpmmTable;
use crate::prefetch::prefetch_ahead;
use crate::scalar::csr::{self as plain, AHEAD};
use crate::scalar::product::Index;
use crate::x86_64::avx2;
use std::arch::x86_64::{
    __m512, __m512i, _mm512_add_ps, _mm512_cmpge_epu32_mask, _mm512_cmpgt_epu32_mask, _mm512_fmadd_ps,
    _mm512_i32gather_ps, _mm512_mask_blend_ps, _mm512_permutex2var_ps, _mm512_reduce_add_ps, _mm512_set1_epi32,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_sub_epi32, _mm512_test_epi32_mask,
};

/// The items of `x` at 16 places, if these are at most 63 behind the first one: 64 items are loaded and chosen from, which
/// takes a third of the time of gathering.
#[inline]
#[target_feature(enable = "avx512f")]
fn near(first: i32, places: __m512i, x: &[f32]) -> Option<__m512> {
    let room = x.get(first.row()..)?.first_chunk::<64>()?;
    let places = _mm512_sub_epi32(places, _mm512_set1_epi32(first));
    if _mm512_cmpgt_epu32_mask(places, _mm512_set1_epi32(63)) != 0 {
        return None;
    }
    let [a, b, c, d] = room.as_chunks::<16>().0 else { return None };
    let (low, high) = (
        _mm512_permutex2var_ps(load_f32(a), places, load_f32(b)),
        _mm512_permutex2var_ps(load_f32(c), places, load_f32(d)),
    );
    Some(_mm512_mask_blend_ps(_mm512_test_epi32_mask(places, _mm512_set1_epi32(32)), low, high))
}

/// See [`crate::Kernels::csr_dot_i32`]: 16 items of `x` are gathered, once all of their indices are found in range.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,bmi1,bmi2,popcnt")]
pub(crate) fn dot(indices: &[i32], values: &[f32], x: &[f32]) -> Result<f32, usize> {
    if x.len() > i32::MAX as usize {
        return plain::dot::<i32, true>(indices, values, x);
    }
    let bound = _mm512_set1_epi32(x.len() as i32);
    let (blocks, tail) = indices.as_chunks::<16>();
    let (parts, rest) = values.as_chunks::<16>();
    let mut sums = [_mm512_setzero_ps(); 2];
    for (at, (block, part)) in blocks.iter().zip(parts).enumerate() {
        prefetch_ahead(block, AHEAD);
        prefetch_ahead(part, AHEAD);
        let places = load_opaque(block);
        if block[15].wrapping_sub(block[0]) < 64
            && let Some(items) = near(block[0], places, x)
        {
            sums[at % 2] = _mm512_fmadd_ps(load_f32(part), items, sums[at % 2]);
            continue;
        }
        let wrong = _mm512_cmpge_epu32_mask(places, bound);
        if wrong != 0 {
            return Err(16 * at + wrong.trailing_zeros() as usize);
        }
        // SAFETY: all of these lanes are below the number of items.
        let items = unsafe { _mm512_i32gather_ps::<4>(places, x.as_ptr()) };
        sums[at % 2] = _mm512_fmadd_ps(load_f32(part), items, sums[at % 2]);
    }
    let sum = _mm512_reduce_add_ps(_mm512_add_ps(sums[0], sums[1]));
    let last = plain::dot::<i32, true>(tail, rest, x).map_err(|at| 16 * blocks.len() + at)?;
    Ok(sum + last)
}

/// Adds `value` times `row` to `sums`.
#[inline]
#[target_feature(enable = "avx512f")]
fn add<const W: usize, const V: usize>(value: f32, row: &[f32; W], sums: &mut [__m512; V]) {
    let value = _mm512_set1_ps(value);
    for (sum, row) in sums.iter_mut().zip(row.as_chunks::<16>().0) {
        *sum = _mm512_fmadd_ps(value, load_f32(row), *sum);
    }
}

/// See [`crate::Kernels::csr_spmm_32_i32`]; `V` registers hold `W` columns. 4 sums by turns, so that additions need not
/// wait for each other.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,bmi1,bmi2,popcnt")]
fn wide<I: Index, const W: usize, const V: usize>(
    indices: &[I],
    values: &[f32],
    x: &[[f32; W]],
    sums: &mut [f32; W],
    more: bool,
) -> Result<(), usize> {
    let mut all = [[_mm512_setzero_ps(); V]; 4];
    // To load zeros would be to wait until they are written.
    if more {
        for (all, sums) in all[0].iter_mut().zip(sums.as_chunks::<16>().0) {
            *all = load_f32(sums);
        }
    }
    let (fours, rest) = indices.as_chunks::<4>();
    let (parts, last) = values.as_chunks::<4>();
    for (at, (indices, values)) in fours.iter().zip(parts).enumerate() {
        for i in 0..4 {
            add(values[i], x.get(indices[i].row()).ok_or(4 * at + i)?, &mut all[i]);
        }
    }
    for (at, (index, &value)) in rest.iter().zip(last).enumerate() {
        add(value, x.get(index.row()).ok_or(4 * fours.len() + at)?, &mut all[at % 4]);
    }
    let [a, b, c, d] = all;
    for (q, sums) in sums.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        store_f32(sums, _mm512_add_ps(_mm512_add_ps(a[q], b[q]), _mm512_add_ps(c[q], d[q])));
    }
    Ok(())
}

/// All of them; 8 columns are half a register.
pub(crate) const fn csr_spmm_table<I: Index>() -> CsrSpmmTable<I> {
    CsrSpmmTable { wide_16: wide::<I, 16, 1>, wide_32: wide::<I, 32, 2>, ..avx2::csr::csr_spmm_table() }
}
