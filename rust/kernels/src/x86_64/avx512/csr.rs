//! Products of compressed rows with some columns, which are a register or two of each row of the right factor.

use super::product::{load, store};
use crate::csr::Wides;
use crate::scalar::product::Index;
use crate::x86_64::avx2;
use std::arch::x86_64::{__m512, _mm512_add_ps, _mm512_fmadd_ps, _mm512_set1_ps, _mm512_setzero_ps};

/// Adds `value` times `row` to `sums`.
#[inline]
#[target_feature(enable = "avx512f")]
fn add<const W: usize, const V: usize>(value: f32, row: &[f32; W], sums: &mut [__m512; V]) {
    let value = _mm512_set1_ps(value);
    for (sum, row) in sums.iter_mut().zip(row.as_chunks::<16>().0) {
        *sum = _mm512_fmadd_ps(value, load(row), *sum);
    }
}

/// See [`crate::Kernels::csr_wide_32_i32`]; `V` registers hold `W` columns. 4 sums by turns, so that additions need not
/// wait for each other.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,bmi1,bmi2,popcnt")]
fn wide<I: Index, const W: usize, const V: usize>(
    indices: &[I],
    values: &[f32],
    x: &[[f32; W]],
    sums: &mut [f32; W],
) -> Result<(), usize> {
    let mut all = [[_mm512_setzero_ps(); V]; 4];
    for (all, sums) in all[0].iter_mut().zip(sums.as_chunks::<16>().0) {
        *all = load(sums);
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
        store(sums, _mm512_add_ps(_mm512_add_ps(a[q], b[q]), _mm512_add_ps(c[q], d[q])));
    }
    Ok(())
}

/// All of them; 8 columns are half a register.
pub(crate) const fn wides<I: Index>() -> Wides<I> {
    Wides { wide_16: wide::<I, 16, 1>, wide_32: wide::<I, 32, 2>, ..avx2::csr::wides() }
}
