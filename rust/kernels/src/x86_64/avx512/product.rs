//! Products with many columns: 16 of them to a register, a step per stored value and none for zeros.

use super::registers::{Columns, load_f32, store_f32};
use crate::args::nm24_gemv::Nm24GemvTable;
use crate::args::product::Table;
use crate::args::strided::Strided;
use crate::scalar::product::{self as plain, Index};
use crate::x86_64::avx2;
use crate::x86_64::avx512::{bitmask_dot, bsr_spmm, csr, nm24_gemv};
use std::arch::x86_64::{__m512, _mm512_fmadd_ps, _mm512_set1_ps, _mm512_setzero_ps};

pub(crate) const TABLE: Table = Table {
    dot_f32: bitmask_dot::dot_f32,
    dot_f16: Some(bitmask_dot::dot_f16),
    dot_bf16: Some(bitmask_dot::dot_bf16),
    dot_codes: Some([bitmask_dot::dot_bytes, bitmask_dot::dot_nibbles]),
    dot_integers: [bitmask_dot::integers_of_bytes, bitmask_dot::integers_of_nibbles],
    fours: Some(Nm24GemvTable {
        nm24_dot_f32: nm24_gemv::nm24_dot_f32,
        nm24_dot_f16: nm24_gemv::nm24_dot_f16,
        nm24_dot_bf16: nm24_gemv::nm24_dot_bf16,
        codes: [nm24_gemv::fours_bytes, nm24_gemv::fours_nibbles],
        integers: [nm24_gemv::integers_of_bytes, nm24_gemv::integers_of_nibbles],
    }),
    dots_4: bitmask_dot::dots_4,
    dots_8: bitmask_dot::dots_8,
    dots_16: bitmask_dot::dots_16,
    pairs: avx2::product::PAIRS,
    csr_dot_i32: csr::dot,
    csr_dot_i64: avx2::product::csr_dot_i64,
    csr_row_i32,
    csr_row_i64,
    csr_spmm_i32: csr::csr_spmm_table(),
    csr_spmm_i64: csr::csr_spmm_table(),
    bsr_spmm_row: bsr_spmm::bsr_spmm_row,
    all_finite,
};

/// Adds `value` times `row` to `sums`.
#[inline]
#[target_feature(enable = "avx512f")]
fn add<const V: usize>(value: f32, row: &[f32], sums: &mut [__m512; V]) {
    let value = _mm512_set1_ps(value);
    for (sum, row) in sums.iter_mut().zip(row.as_chunks::<16>().0) {
        *sum = _mm512_fmadd_ps(value, load_f32(row), *sum);
    }
}

/// A row of `V` registers, the last one in part.
#[inline]
#[target_feature(enable = "avx512f")]
fn csr_part<I: Index, const V: usize>(
    indices: &[I],
    values: &[f32],
    x: &Strided<'_>,
    sums: &mut [f32],
) -> Result<(), usize> {
    let columns = Columns::new(x.width);
    let mut all: [__m512; V] = [_mm512_setzero_ps(); V];
    for (q, all) in all.iter_mut().enumerate() {
        *all = columns.load(sums, q, V);
    }
    for (i, (index, &value)) in indices.iter().zip(values).enumerate() {
        if index.row() >= x.rows {
            return Err(i);
        }
        let row = &x.items[index.row() * x.stride + x.first..][..x.width];
        let value = _mm512_set1_ps(value);
        for (q, all) in all.iter_mut().enumerate() {
            *all = _mm512_fmadd_ps(value, columns.load(row, q, V), *all);
        }
    }
    for (q, all) in all.iter().enumerate() {
        columns.store(sums, q, V, *all);
    }
    Ok(())
}

/// A row of `V` whole registers.
#[inline]
#[target_feature(enable = "avx512f")]
fn csr_whole<I: Index, const V: usize>(
    indices: &[I],
    values: &[f32],
    x: &Strided<'_>,
    sums: &mut [f32],
) -> Result<(), usize> {
    let mut all = [_mm512_setzero_ps(); V];
    for (all, sums) in all.iter_mut().zip(sums.as_chunks::<16>().0) {
        *all = load_f32(sums);
    }
    for (i, (index, &value)) in indices.iter().zip(values).enumerate() {
        if index.row() >= x.rows {
            return Err(i);
        }
        let row = x.items[index.row() * x.stride + x.first..].as_chunks::<16>().0;
        let Some(row) = row.first_chunk::<V>() else { return Err(i) };
        add(value, row.as_flattened(), &mut all);
    }
    for (all, sums) in all.iter().zip(sums.as_chunks_mut::<16>().0) {
        store_f32(sums, *all);
    }
    Ok(())
}

macro_rules! csr {
    ($row:ident, $i:ty) => {
        /// See [`crate::Kernels::csr_row_i32`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,bmi1,bmi2,popcnt")]
        fn $row(indices: &[$i], values: &[f32], x: &Strided<'_>, sums: &mut [f32]) -> Result<(), usize> {
            match x.width {
                0 => plain::csr_row::<$i, true>(indices, values, x, sums),
                1..=16 => csr_part::<$i, 1>(indices, values, x, sums),
                32 => csr_whole::<$i, 2>(indices, values, x, sums),
                17..=31 => csr_part::<$i, 2>(indices, values, x, sums),
                33..=48 => csr_part::<$i, 3>(indices, values, x, sums),
                49..64 => csr_part::<$i, 4>(indices, values, x, sums),
                _ => csr_whole::<$i, 4>(indices, values, x, sums),
            }
        }
    };
}
csr!(csr_row_i32, i32);
csr!(csr_row_i64, i64);

/// See [`crate::Kernels::all_finite`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn all_finite(items: &[f32]) -> bool {
    plain::all_finite(items)
}
