//! What prepares tiles and adds them up: mostly loops that the compiler turns into registers of 16 items.

use super::registers::store;
use crate::args::amx_gemm::{BlockSums, Extent, PairTile, TILE_DEPTH, TILE_WIDTH, Table};
use crate::scalar::amx_gemm as plain;
use std::arch::x86_64::{
    __m512, __m512i, _mm512_add_epi32, _mm512_and_si512, _mm512_castps_si512, _mm512_castsi512_ps,
    _mm512_castsi512_si256, _mm512_cvtph_ps, _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_mask_blend_epi16,
    _mm512_maskz_expand_epi16, _mm512_maskz_loadu_epi16, _mm512_max_epu16, _mm512_permutexvar_epi16, _mm512_set1_epi16,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_srli_epi32, _mm512_sub_ps,
};

pub(crate) const TABLE: Table = Table { extent, extent_bf16, cut_part, split_f16, pair_rows, add_sums };

/// The lanes with even numbers, then those with odd ones.
static EVEN_ODD: [u16; 32] = {
    let mut lanes = [0; 32];
    let mut i = 0;
    while i < 32 {
        lanes[i / 2 + 16 * (i % 2)] = i as u16;
        i += 1;
    }
    lanes
};

/// See [`crate::Kernels::extent`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn extent(items: &[f32]) -> Extent {
    plain::extent(items)
}

/// See [`crate::Kernels::extent_bf16`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn extent_bf16(items: &[u16]) -> Extent {
    plain::extent_bf16(items)
}

/// See [`crate::Kernels::cut_part`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn cut_part(items: &mut [f32], part: &mut [u16]) -> bool {
    plain::cut_part(items, part)
}

/// The nearest numbers of bfloat16, in the upper halves of lanes, and what is left of `items`.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2")]
fn cut(items: __m512) -> (__m512i, __m512i) {
    let nearest = _mm512_add_epi32(_mm512_castps_si512(items), _mm512_set1_epi32(0x8000));
    let part = _mm512_castsi512_ps(_mm512_and_si512(nearest, _mm512_set1_epi32(0xFFFF_0000u32 as i32)));
    (nearest, _mm512_castps_si512(_mm512_sub_ps(items, part)))
}

/// The upper halves of lanes: those of `even` go to lanes with even numbers, those of `odd` to the others.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2")]
fn interleave(even: __m512i, odd: __m512i) -> __m512i {
    _mm512_mask_blend_epi16(0xAAAA_AAAA, _mm512_srli_epi32::<16>(even), odd)
}

/// See [`crate::Kernels::split_f16`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")]
fn split_f16(items: &[u16], bits: &[u8], high: &mut [u16], low: &mut [u16]) -> u16 {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    let even_odd = unsafe { _mm512_loadu_si512(EVEN_ODD.as_ptr().cast()) };
    let (mut left, mut most) = (items, _mm512_setzero_si512());
    let outs = high.as_chunks_mut::<32>().0.iter_mut().zip(low.as_chunks_mut::<32>().0);
    for (bits, (high, low)) in bits.as_chunks().0.iter().zip(outs) {
        let bits = u32::from_le_bytes(*bits);
        let halves = if let Some(items) = left.first_chunk::<32>() {
            // SAFETY: 64 readable bytes; the load needs no alignment.
            unsafe { _mm512_loadu_si512(items.as_ptr().cast()) }
        } else {
            // SAFETY: lanes behind the last item are not read.
            unsafe { _mm512_maskz_loadu_epi16((1 << left.len()) - 1, left.as_ptr().cast()) }
        };
        left = left.get(bits.count_ones() as usize..).unwrap_or_default();
        let halves = _mm512_maskz_expand_epi16(bits, halves);
        most = _mm512_max_epu16(most, _mm512_and_si512(halves, _mm512_set1_epi16(0x7FFF)));
        let halves = _mm512_permutexvar_epi16(even_odd, halves);
        let even = cut(_mm512_cvtph_ps(_mm512_castsi512_si256(halves)));
        let odd = cut(_mm512_cvtph_ps(_mm512_extracti64x4_epi64::<1>(halves)));
        let parts = (interleave(even.0, odd.0), interleave(even.1, odd.1));
        store(high, parts.0);
        store(low, parts.1);
    }
    let mut found = [0u16; 32];
    store(&mut found, most);
    found.into_iter().max().unwrap_or_default()
}

/// See [`crate::Kernels::pair_rows`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn pair_rows(rows: &[[u16; TILE_WIDTH]; TILE_DEPTH], tile: &mut PairTile) {
    plain::pair_rows(rows, tile)
}

/// See [`crate::Kernels::add_sums`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn add_sums(block: &BlockSums, sums: (&mut [f32], usize), shape: (usize, usize), first: bool) {
    plain::add_sums(block, sums, shape, first)
}
