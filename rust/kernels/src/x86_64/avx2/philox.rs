//! Random numbers from counters: eight of them in pairs of registers, a word in 64 bits, as the multiplication takes it.

use crate::args::philox::{MULTIPLIERS, ROUNDS, RUN, Table, WEYL};
use std::arch::x86_64::{
    __m256i, _mm256_add_epi64, _mm256_blend_epi32, _mm256_mul_epu32, _mm256_permute2x128_si256, _mm256_set_epi64x,
    _mm256_set1_epi64x, _mm256_shuffle_epi32, _mm256_slli_epi64, _mm256_srli_epi64, _mm256_storeu_si256,
    _mm256_unpackhi_epi64, _mm256_unpacklo_epi64, _mm256_xor_si256,
};

pub(crate) const TABLE: Table = Table { words };

/// Counters of a register, and words of two registers of counters.
const SIDE: usize = 4;
const WORDS: usize = 8 * SIDE;

/// See [`crate::Kernels::philox_words`].
///
/// Products take the lower halves alone, so that what stands above them need not be cleared.
#[target_feature(enable = "avx2")]
fn words(seed: u64, stream: u64, first: u64, out: &mut [[u32; RUN]]) {
    let (m0, m1) = (_mm256_set1_epi64x(MULTIPLIERS[0] as i64), _mm256_set1_epi64x(MULTIPLIERS[1] as i64));
    let mut keys = [(m0, m1); ROUNDS];
    let (mut k0, mut k1) = (seed as u32, (seed >> 32) as u32);
    for keys in &mut keys {
        *keys = (_mm256_set1_epi64x(i64::from(k0)), _mm256_set1_epi64x(i64::from(k1)));
        k0 = k0.wrapping_add(WEYL[0]);
        k1 = k1.wrapping_add(WEYL[1]);
    }
    for (at, out) in out.as_flattened_mut().as_chunks_mut::<WORDS>().0.iter_mut().enumerate() {
        let at = first.wrapping_add((at * WORDS / 4) as u64);
        let at = _mm256_add_epi64(_mm256_set1_epi64x(at as i64), _mm256_set_epi64x(3, 2, 1, 0));
        let mut a = [at, _mm256_add_epi64(at, _mm256_set1_epi64x(SIDE as i64))];
        let mut b = [_mm256_srli_epi64::<32>(a[0]), _mm256_srli_epi64::<32>(a[1])];
        let mut c = [_mm256_set1_epi64x(stream as i64); 2];
        let mut d = [_mm256_set1_epi64x((stream >> 32) as i64); 2];
        for &(k0, k1) in &keys {
            for i in 0..2 {
                let (left, right) = (_mm256_mul_epu32(a[i], m0), _mm256_mul_epu32(c[i], m1));
                a[i] = _mm256_xor_si256(_mm256_xor_si256(b[i], k0), upper(right));
                c[i] = _mm256_xor_si256(_mm256_xor_si256(d[i], k1), upper(left));
                b[i] = right;
                d[i] = left;
            }
        }
        for (i, half) in out.as_chunks_mut::<{ WORDS / 2 }>().0.iter_mut().enumerate() {
            store(half, joined(a[i], b[i]), joined(c[i], d[i]));
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

/// Writes the words of four counters, whose first and last two words each are given.
#[inline]
#[target_feature(enable = "avx2")]
fn store(out: &mut [u32; WORDS / 2], ab: __m256i, cd: __m256i) {
    let (even, odd) = (_mm256_unpacklo_epi64(ab, cd), _mm256_unpackhi_epi64(ab, cd));
    let (low, high) = (_mm256_permute2x128_si256::<0x20>(even, odd), _mm256_permute2x128_si256::<0x31>(even, odd));
    let (front, back) = out.split_at_mut(WORDS / 4);
    // SAFETY: `front` is 8 writable words; the store needs no alignment.
    unsafe { _mm256_storeu_si256(front.as_mut_ptr().cast(), low) };
    // SAFETY: `back` is 8 writable words; the store needs no alignment.
    unsafe { _mm256_storeu_si256(back.as_mut_ptr().cast(), high) };
}
