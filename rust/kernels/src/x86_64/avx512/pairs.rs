//! Products of bfloat16 with AVX512-BF16 (Cooper Lake, Zen 4 and later): two values and two rows at once.

use super::product::{load, store};
use crate::product::{PAIRED, Pairs};
use crate::scalar::product::places;
use std::arch::x86_64::{
    __m512, __m512bh, __m512i, _mm512_add_ps, _mm512_dpbf16_ps, _mm512_loadu_si512, _mm512_set1_epi32,
    _mm512_setzero_ps,
};

/// The same bits as bfloat16.
#[inline]
fn brains(bits: __m512i) -> __m512bh {
    // SAFETY: both are 64 bytes that may hold anything.
    unsafe { std::mem::transmute(bits) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_pairs(items: &[u32; 16]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(items.as_ptr().cast()) }
}

/// Adds the products of one pair.
#[inline]
#[target_feature(enable = "avx512f,avx512bf16")]
fn add(low: u16, high: u16, x: &[u32; 64], sums: &mut [__m512; 4]) {
    let pair = brains(_mm512_set1_epi32(i32::from(low) | i32::from(high) << 16));
    for (sum, x) in sums.iter_mut().zip(x.as_chunks::<16>().0) {
        *sum = _mm512_dpbf16_ps(*sum, pair, brains(load_pairs(x)));
    }
}

/// See [`crate::Kernels::add_pairs`]. Two sums by turns, so that an addition waits for the last but one.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512bf16,bmi1,bmi2,popcnt")]
pub(crate) fn add_pairs(codes: &[u8; 8], values: &[u16; 2 * PAIRED], x: &Pairs, sums: &mut [f32; 64]) {
    let mut all = [[_mm512_setzero_ps(); 4]; 2];
    for (all, sums) in all[0].iter_mut().zip(sums.as_chunks::<16>().0) {
        *all = load(sums);
    }
    let places = places(codes);
    let [even, odd] = &mut all;
    for (places, fours) in places.as_chunks::<2>().0.iter().zip(values.as_chunks::<4>().0) {
        add(fours[0], fours[1], &x.0[usize::from(places[0])], even);
        add(fours[2], fours[3], &x.0[usize::from(places[1])], odd);
    }
    let [even, odd] = all;
    for ((sums, even), odd) in sums.as_chunks_mut::<16>().0.iter_mut().zip(even).zip(odd) {
        store(sums, _mm512_add_ps(even, odd));
    }
}
