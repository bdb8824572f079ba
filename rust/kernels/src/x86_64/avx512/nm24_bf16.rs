//! Products of bfloat16 with AVX512-BF16 (Cooper Lake, Zen 4 and later): two values and two rows at once.

use super::registers::Columns;
use crate::args::nm24_bf16::{NM24_BF16_GROUPS, Nm24Bf16Rows, Nm24Bf16Table, Pairs};
use crate::prefetch::{prefetch_ahead, prefetch_line};
use crate::scalar::nm24_bf16::{self as plain, ROWS};
use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_permutex2var_epi16,
    _mm512_set1_epi32, _mm512_setzero_ps, _mm512_storeu_si512,
};

pub(crate) const TABLE: Nm24Bf16Table = Nm24Bf16Table { pack, add, are_finite };

/// The lanes of 16 pairs, from the lower and from the upper half of two rows of 32 items.
static PAIR_LANES: [[u16; 32]; 2] = {
    let mut lanes = [[0; 32]; 2];
    let mut i = 0;
    while i < 32 {
        lanes[i / 16][2 * (i % 16)] = i as u16;
        lanes[i / 16][2 * (i % 16) + 1] = 32 + i as u16;
        i += 1;
    }
    lanes
};

/// The same bits as bfloat16.
#[inline]
fn bf16_lanes(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes that may hold anything.
    unsafe { std::mem::transmute(bits) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_shorts(items: &[u16; 32]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(items.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_pairs(items: &[u32; 16]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(items.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn store_pairs(items: &mut [u32; 16], value: __m512i) {
    // SAFETY: 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(items.as_mut_ptr().cast(), value) }
}

/// See [`crate::Kernels::nm24_bf16_pack`].
#[target_feature(enable = "avx512f,avx512bw")]
fn pack(rows: &[[u16; 64]; 4 * NM24_BF16_GROUPS], pairs: &mut Pairs) {
    let lanes = [load_shorts(&PAIR_LANES[0]), load_shorts(&PAIR_LANES[1])];
    for (rows, pairs) in rows.as_chunks::<4>().0.iter().zip(pairs.0.as_chunks_mut::<6>().0) {
        for half in 0..2 {
            let rows: [_; 4] = std::array::from_fn(|i| load_shorts(&rows[i].as_chunks().0[half]));
            for (pair, (low, high)) in pairs.iter_mut().zip(ROWS) {
                let pair = &mut pair.as_chunks_mut::<16>().0[2 * half..];
                store_pairs(&mut pair[0], _mm512_permutex2var_epi16(rows[low], lanes[0], rows[high]));
                store_pairs(&mut pair[1], _mm512_permutex2var_epi16(rows[low], lanes[1], rows[high]));
            }
        }
    }
}

/// Adds the products of one pair.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn add_pair<const V: usize>(pair: &[u16; 2], x: &[u32; 64], sums: &mut [__m512; V]) {
    let pair = bf16_lanes(_mm512_set1_epi32(i32::from(pair[0]) | i32::from(pair[1]) << 16));
    for (sum, x) in sums.iter_mut().zip(x.as_chunks::<16>().0) {
        *sum = _mm512_dpbf16_ps(*sum, pair, bf16_lanes(load_pairs(x)));
    }
}

/// The rows for `V` registers of columns, the last one in part. Two sums by turns, so that an addition waits for the last
/// but one.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,bmi1,bmi2,popcnt")]
fn rows<const V: usize>(
    w: &Nm24Bf16Rows<'_>,
    x: &Pairs,
    sums: &mut [f32],
    (stride, width): (usize, usize),
    first: bool,
) {
    let columns = Columns::new(width);
    let (code_stride, value_stride) = w.strides;
    for row in 0..w.rows {
        let Some(codes) = w.codes[row * code_stride..].first_chunk() else { return };
        let Some(values) = w.values[row * value_stride..].first_chunk::<{ 2 * NM24_BF16_GROUPS }>() else { return };
        prefetch_line(w.values, (row + 4) * value_stride);
        prefetch_ahead(w.to_come.1, row * value_stride);
        prefetch_ahead(w.to_come.0, row * code_stride);
        let sums = &mut sums[row * stride..][..width];
        let mut all = [[_mm512_setzero_ps(); V]; 2];
        if !first {
            for (q, sum) in all[0].iter_mut().enumerate() {
                *sum = columns.load(sums, q, V);
            }
        }
        let word = u64::from_le_bytes(*codes);
        let [even, odd] = &mut all;
        macro_rules! pairs {
            ($($group:literal)*) => {$(
                let place = 6 * $group + (word >> (3 * $group)) as usize % 8;
                let pair = [values[2 * $group], values[2 * $group + 1]];
                add_pair(&pair, &x.0[place], if $group % 2 == 0 { &mut *even } else { &mut *odd });
            )*};
        }
        pairs!(0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15);
        for q in 0..V {
            columns.store(sums, q, V, _mm512_add_ps(even[q], odd[q]));
        }
    }
}

/// See [`crate::Kernels::nm24_bf16_add`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,bmi1,bmi2,popcnt")]
fn add(w: &Nm24Bf16Rows<'_>, x: &Pairs, sums: &mut [f32], place: (usize, usize), first: bool) {
    match place.1 {
        0..=16 => rows::<1>(w, x, sums, place, first),
        17..=32 => rows::<2>(w, x, sums, place, first),
        33..=48 => rows::<3>(w, x, sums, place, first),
        _ => rows::<4>(w, x, sums, place, first),
    }
}

/// See [`crate::Kernels::bf16_all_finite`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn are_finite(items: &[u16]) -> bool {
    plain::are_finite(items)
}
