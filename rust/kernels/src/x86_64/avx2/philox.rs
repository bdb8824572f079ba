//! Random numbers from counters: eight of them in pairs of registers, a word in 64 bits, as the multiplication takes it.

use super::compress::store_256;
use crate::args::philox::{MULTIPLIERS, ROUNDS, RUN, Table, WEYL};
use crate::scalar::philox as plain;
use std::arch::x86_64::{
    __m256i, _mm_storeu_si128, _mm256_add_epi64, _mm256_blend_epi32, _mm256_castsi256_si128, _mm256_extracti128_si256,
    _mm256_mul_epu32, _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_shuffle_epi32, _mm256_slli_epi64,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

pub(crate) const TABLE: Table = Table { words, apart: Some(apart) };

/// Counters of a register, and words of two registers of counters.
const SIDE: usize = 4;
const WORDS: usize = 8 * SIDE;
/// Rounds that are simpler than others, since most words of counters are the same.
const FIRST: usize = 3;

/// See [`crate::Kernels::philox_words`].
#[target_feature(enable = "avx2")]
fn words(seed: u64, stream: u64, first: u64, out: &mut [[u32; RUN]]) {
    filled::<false>(seed, stream, first, out);
}

/// See [`crate::Kernels::philox_words_apart`].
#[target_feature(enable = "avx2")]
fn apart(seed: u64, stream: u64, first: u64, out: &mut [[u32; RUN]]) {
    filled::<true>(seed, stream, first, out);
}

/// Both halves of a product of 32 bits.
const fn product(a: u32, multiplier: u64) -> (u32, u32) {
    let product = a as u64 * multiplier;
    ((product >> 32) as u32, product as u32)
}

#[inline]
#[target_feature(enable = "avx2")]
fn all(word: u32) -> __m256i {
    _mm256_set1_epi64x(i64::from(word))
}

/// Products take the lower halves alone, so that what stands above them need not be cleared.
#[inline]
#[target_feature(enable = "avx2")]
fn filled<const APART: bool>(seed: u64, stream: u64, first: u64, out: &mut [[u32; RUN]]) {
    let last = first.wrapping_add((out.len() * RUN / 4) as u64).wrapping_sub(1);
    if first >> 32 != last >> 32 {
        plain::words(seed, stream, first, out);
        if APART {
            out.as_flattened_mut().as_chunks_mut().0.iter_mut().for_each(plain::swap);
        }
        return;
    }
    let (mut keys, mut k0, mut k1) = ([(0, 0); ROUNDS], seed as u32, (seed >> 32) as u32);
    for keys in &mut keys {
        *keys = (k0, k1);
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    // What the first rounds make of the three words that all counters share.
    let (right, below) = product(stream as u32, MULTIPLIERS[1]);
    let (left, low) = product(right ^ (first >> 32) as u32 ^ keys[0].0, MULTIPLIERS[0]);
    let (c1, a2) = (all((stream >> 32) as u32 ^ keys[0].1), all(below ^ keys[1].0));
    let (c2, k3, c3) = (all(left ^ keys[1].1), all(keys[2].0), all(low ^ keys[2].1));
    let keys: [_; ROUNDS] = std::array::from_fn(|i| (all(keys[i].0), all(keys[i].1)));
    let (m0, m1) = (_mm256_set1_epi64x(MULTIPLIERS[0] as i64), _mm256_set1_epi64x(MULTIPLIERS[1] as i64));
    for (at, out) in out.as_flattened_mut().as_chunks_mut::<WORDS>().0.iter_mut().enumerate() {
        let at = first.wrapping_add((at * WORDS / 4) as u64);
        let at = _mm256_add_epi64(_mm256_set1_epi64x(at as i64), _mm256_set_epi64x(3, 2, 1, 0));
        let at = [at, _mm256_add_epi64(at, _mm256_set1_epi64x(SIDE as i64))];
        let (mut a, mut b, mut c, mut d) = (at, at, at, at);
        for i in 0..2 {
            let counted = _mm256_mul_epu32(at[i], m0);
            let right = _mm256_mul_epu32(_mm256_xor_si256(upper(counted), c1), m1);
            let (left, second) = (_mm256_xor_si256(upper(right), a2), _mm256_xor_si256(counted, c2));
            let (left, third) = (_mm256_mul_epu32(left, m0), _mm256_mul_epu32(second, m1));
            a[i] = _mm256_xor_si256(_mm256_xor_si256(right, k3), upper(third));
            b[i] = third;
            c[i] = _mm256_xor_si256(upper(left), c3);
            d[i] = left;
        }
        for &(k0, k1) in &keys[FIRST..] {
            for i in 0..2 {
                let (left, right) = (_mm256_mul_epu32(a[i], m0), _mm256_mul_epu32(c[i], m1));
                a[i] = _mm256_xor_si256(_mm256_xor_si256(b[i], k0), upper(right));
                c[i] = _mm256_xor_si256(_mm256_xor_si256(d[i], k1), upper(left));
                b[i] = right;
                d[i] = left;
            }
        }
        for (i, half) in out.as_chunks_mut::<{ WORDS / 2 }>().0.iter_mut().enumerate() {
            store::<APART>(half, joined(a[i], b[i]), joined(c[i], d[i]));
        }
    }
}

/// The upper half of each product where the lower was; a shuffle, which more units do than a shift.
#[inline]
#[target_feature(enable = "avx2")]
fn upper(product: __m256i) -> __m256i {
    _mm256_shuffle_epi32::<0b11_11_01_01>(product)
}

/// The lower halves of both, those of `a` first.
#[inline]
#[target_feature(enable = "avx2")]
fn joined(a: __m256i, b: __m256i) -> __m256i {
    _mm256_blend_epi32::<0b1010_1010>(a, _mm256_slli_epi64::<32>(b))
}

/// Writes the words of four counters, whose first and last two words each are given; `APART`: those of the first and the
/// third, then those of the others.
#[inline]
#[target_feature(enable = "avx2")]
fn store<const APART: bool>(out: &mut [u32; WORDS / 2], ab: __m256i, cd: __m256i) {
    let (even, odd) = (_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    if APART {
        let (front, back) = out.split_at_mut(WORDS / 4);
        let rooms = (front.first_chunk_mut::<8>(), back.first_chunk_mut::<8>());
        if let (Some(front), Some(back)) = rooms {
            store_256(front, even);
            store_256(back, odd);
        }
        return;
    }
    let halves = [
        _mm256_castsi256_si128(even),
        _mm256_castsi256_si128(odd),
        _mm256_extracti128_si256::<1>(even),
        _mm256_extracti128_si256::<1>(odd),
    ];
    for (four, half) in out.as_chunks_mut::<4>().0.iter_mut().zip(halves) {
        // SAFETY: `four` is 4 writable words; the store needs no alignment.
        unsafe { _mm_storeu_si128(four.as_mut_ptr().cast(), half) };
    }
}
