//! Values of codes in groups: those of 4 bits come from the two bytes of tables in registers.

use super::{columns, group_rows};
use crate::args::group_values::{Planes, Table};
use crate::scalar::group_values as plain;
use std::arch::x86_64::{
    __m128i, _mm_and_si128, _mm_loadl_epi64, _mm_loadu_si128, _mm_set1_epi8, _mm_shuffle_epi8, _mm_srli_epi16,
    _mm_storeu_si128, _mm_unpackhi_epi8, _mm_unpacklo_epi8,
};

pub(crate) const TABLE: Table = Table {
    nibble_groups,
    grid_values,
    run_bytes,
    run_nibbles,
    columns: Some([columns::f16, columns::bf16]),
    groups: Some(group_rows::TABLE),
};

#[inline]
#[target_feature(enable = "avx2")]
fn load(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 readable bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(room: &mut [u16; 8], items: __m128i) {
    // SAFETY: 16 writable bytes; the store needs no alignment.
    unsafe { _mm_storeu_si128(room.as_mut_ptr().cast(), items) }
}

/// See [`crate::Kernels::nibble_groups_u16`].
#[target_feature(enable = "avx2")]
fn nibble_groups(pairs: &[u8], which: &[u8], tables: &[Planes; 256], out: &mut [u16]) {
    let group = pairs.len() / which.len().max(1);
    if group == 0 || !group.is_multiple_of(8) {
        return plain::nibble_groups(pairs, which, tables, out);
    }
    let nibble = _mm_set1_epi8(15);
    for ((pairs, &which), out) in pairs.chunks(group).zip(which).zip(out.chunks_mut(2 * group)) {
        let [low, high] = tables[usize::from(which)].as_chunks::<16>().0 else { continue };
        let (low, high) = (load(low), load(high));
        for (pairs, out) in pairs.as_chunks::<8>().0.iter().zip(out.as_chunks_mut::<16>().0) {
            // SAFETY: 8 readable bytes; the load needs no alignment.
            let pairs = unsafe { _mm_loadl_epi64(pairs.as_ptr().cast()) };
            let (even, odd) = (_mm_and_si128(pairs, nibble), _mm_and_si128(_mm_srli_epi16::<4>(pairs), nibble));
            let codes = _mm_unpacklo_epi8(even, odd);
            let (first, second) = (_mm_shuffle_epi8(low, codes), _mm_shuffle_epi8(high, codes));
            let [start, end] = out.as_chunks_mut::<8>().0 else { continue };
            store(start, _mm_unpacklo_epi8(first, second));
            store(end, _mm_unpackhi_epi8(first, second));
        }
    }
}

/// See [`crate::Kernels::grid_values_f32`].
#[target_feature(enable = "avx2")]
fn grid_values(codes: &[u8], point: &[f32], scale: &[f32], out: &mut [f32]) {
    plain::grid_values(codes, point, scale, out);
}

/// See [`crate::Kernels::run_bytes_f32`].
#[target_feature(enable = "avx2")]
fn run_bytes(codes: &[u8], how: (u8, f32, f32), out: &mut [f32]) {
    plain::run_bytes(codes, how, out);
}

/// See [`crate::Kernels::run_nibbles_f32`].
#[target_feature(enable = "avx2")]
fn run_nibbles(pairs: &[u8], how: (u8, f32, f32), out: &mut [f32]) {
    plain::run_nibbles(pairs, how, out);
}
