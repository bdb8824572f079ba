//! The n largest of every group of 4, 8, 16 or 32 items of 2 bytes, as in [`crate::x86_64::avx512::select`]: sixteen
//! groups at a time, each in a lane of its own. A group of 32 comes in two registers, which are its two halves.

use crate::args::topk::Order;
use crate::scalar;
use crate::x86_64::sorting_networks::networks;
use std::arch::x86_64::{
    __m256i, _mm256_abs_epi16, _mm256_and_si256, _mm256_blend_epi16, _mm256_blend_epi32, _mm256_cmpeq_epi16,
    _mm256_loadu_si256, _mm256_max_epu16, _mm256_min_epu16, _mm256_movemask_epi8, _mm256_packs_epi16,
    _mm256_permute2x128_si256, _mm256_permute4x64_epi64, _mm256_set1_epi16, _mm256_setzero_si256, _mm256_slli_epi32,
    _mm256_slli_epi64, _mm256_srli_epi32, _mm256_srli_epi64, _mm256_storeu_si256, _mm256_unpackhi_epi64,
    _mm256_unpacklo_epi64,
};

networks!(__m256i, "avx2", _mm256_max_epu16, _mm256_min_epu16, _mm256_setzero_si256(), _mm256_set1_epi16(-1));

#[inline]
#[target_feature(enable = "avx2")]
fn load(block: &[u16; 16]) -> __m256i {
    // SAFETY: `block` is 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(block.as_ptr().cast()) }
}

/// Exchanges the lanes of `a` whose number has the bit with those of `b` that have not.
#[inline]
#[target_feature(enable = "avx2")]
fn swap(a: __m256i, b: __m256i, bit: usize) -> (__m256i, __m256i) {
    match bit {
        0 => (
            _mm256_blend_epi16::<0xAA>(a, _mm256_slli_epi32::<16>(b)),
            _mm256_blend_epi16::<0xAA>(_mm256_srli_epi32::<16>(a), b),
        ),
        1 => (
            _mm256_blend_epi32::<0xAA>(a, _mm256_slli_epi64::<32>(b)),
            _mm256_blend_epi32::<0xAA>(_mm256_srli_epi64::<32>(a), b),
        ),
        2 => (_mm256_unpacklo_epi64(a, b), _mm256_unpackhi_epi64(a, b)),
        _ => (_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x31>(a, b)),
    }
}

/// A bit per lane: where `a` is `b`.
#[inline]
#[target_feature(enable = "avx2")]
fn equal(a: __m256i, b: __m256i) -> u32 {
    let packed = _mm256_packs_epi16(_mm256_cmpeq_epi16(a, b), _mm256_setzero_si256());
    _mm256_movemask_epi8(_mm256_permute4x64_epi64::<0b11_01_10_00>(packed)) as u32 & 0xFFFF
}

/// Adds to the items that are `larger` the first of the `equal` ones, until each group of `m` lanes has `n`.
#[inline]
#[target_feature(enable = "bmi1,popcnt")]
fn complete(larger: u32, equal: u32, n: usize, m: usize) -> u32 {
    let mut both = larger;
    for at in (0..32).step_by(m) {
        let group = (u32::MAX >> (32 - m)) << at;
        let want = n as u32 - (larger & group).count_ones().min(n as u32);
        both |= lowest(equal & group, want);
    }
    both
}

/// The lowest `count` set bits. `pdep` would take one step, but some hundred cycles on Zen 1 and 2; mostly all are taken.
#[inline]
#[target_feature(enable = "bmi1,popcnt")]
fn lowest(bits: u32, count: u32) -> u32 {
    let mut above = bits;
    if bits.count_ones() > count {
        for _ in 0..count {
            above &= above - 1;
        }
        return bits ^ above;
    }
    bits
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn block<const M: usize>(items: &[[u16; 16]; M], order: Order<u16>, n: usize, bits: &mut [[u8; 2]; M]) {
    let (value, top) = (_mm256_set1_epi16(order.mask as i16), _mm256_set1_epi16(order.top as i16));
    let mut keys = [_mm256_setzero_si256(); M];
    for (key, items) in keys.iter_mut().zip(items) {
        let items = if order.signed { _mm256_abs_epi16(load(items)) } else { load(items) };
        *key = _mm256_min_epu16(_mm256_and_si256(items, value), top);
    }
    let mut v = keys;
    if M == 32 {
        for i in 0..16 {
            (v[i], v[i + 16]) = (keys[2 * i], keys[2 * i + 1]);
        }
    }
    for bit in 0..M.min(16).ilog2() as usize {
        for i in (0..M).filter(|i| i >> bit & 1 == 0) {
            (v[i], v[i | 1 << bit]) = swap(v[i], v[i | 1 << bit], bit);
        }
    }
    sort_halves(&mut v);
    let nth = nth(&v, n);
    let mut limits = [0u16; 16];
    // SAFETY: `limits` is 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(limits.as_mut_ptr().cast(), nth) };
    for (i, (keys, bits)) in keys.as_chunks::<2>().0.iter().zip(bits.as_chunks_mut::<2>().0).enumerate() {
        let (mut least, mut larger) = (0, 0);
        for (half, &keys) in keys.iter().enumerate() {
            let register = 2 * i + half;
            let of = |lane: usize| if M == 32 { limits[i] } else { limits[lane / M * M + register] };
            let limit = load(&std::array::from_fn(of));
            least |= equal(_mm256_max_epu16(keys, limit), keys) << (16 * half);
            larger |= (equal(_mm256_max_epu16(keys, limit), limit) ^ 0xFFFF) << (16 * half);
        }
        if least.count_ones() as usize != 32 / M * n {
            least = complete(larger, least & !larger, n, M);
        }
        *bits.as_flattened_mut().first_chunk_mut().unwrap_or(&mut [0; 4]) = least.to_le_bytes();
    }
}

#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
fn all<const M: usize>(items: &[u16], order: Order<u16>, n: usize, bits: &mut [u8]) {
    let (blocks, _) = items.as_chunks::<16>().0.as_chunks::<M>();
    let rest = &items[blocks.len() * M * 16..];
    let (outs, last) = bits.split_at_mut(blocks.len() * M * 2);
    for (items, bits) in blocks.iter().zip(outs.as_chunks_mut().0.as_chunks_mut().0) {
        block::<M>(items, order, n, bits);
    }
    scalar::topk::topk_bits(rest, order, (n, M), last);
}

/// See [`crate::Kernels::topk_bits_u16`].
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(crate) fn topk_bits_u16(items: &[u16], order: Order<u16>, (n, m): (usize, usize), bits: &mut [u8]) {
    match m {
        4 => all::<4>(items, order, n.min(m), bits),
        8 => all::<8>(items, order, n.min(m), bits),
        16 => all::<16>(items, order, n.min(m), bits),
        32 => all::<32>(items, order, n.min(m), bits),
        _ => scalar::topk::topk_bits(items, order, (n, m), bits),
    }
}

macro_rules! compiled {
    ($name:ident, $t:ty) => {
        /// See [`crate::Kernels::topk_bits_u16`]. The portable code, whose loops over groups become wide registers here.
        #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(items: &[$t], order: Order<$t>, n_of_m: (usize, usize), bits: &mut [u8]) {
            scalar::topk::topk_bits(items, order, n_of_m, bits);
        }
    };
}

compiled!(topk_bits_u8, u8);
compiled!(topk_bits_u32, u32);
compiled!(topk_bits_u64, u64);
