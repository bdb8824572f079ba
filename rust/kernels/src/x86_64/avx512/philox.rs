//! Random numbers from counters: eight of them in a register, a word in 64 bits, as the multiplication takes it.

use super::registers::store;
use crate::args::philox::{MULTIPLIERS, ROUNDS, RUN, Table, WEYL};
use std::arch::x86_64::{
    __m512i, _mm512_add_epi64, _mm512_mask_blend_epi32, _mm512_mul_epu32, _mm512_permutex2var_epi64, _mm512_set_epi64,
    _mm512_set1_epi64, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_xor_si512,
};

pub(crate) const TABLE: Table = Table { words, apart: None };

/// Words of a register of counters.
const WORDS: usize = 32;

/// See [`crate::Kernels::philox_words`].
///
/// Products take the lower halves alone, so that what stands above them need not be cleared.
#[target_feature(enable = "avx512f")]
fn words(seed: u64, stream: u64, first: u64, out: &mut [[u32; RUN]]) {
    let (m0, m1) = (_mm512_set1_epi64(MULTIPLIERS[0] as i64), _mm512_set1_epi64(MULTIPLIERS[1] as i64));
    let steps = _mm512_set_epi64(7, 6, 5, 4, 3, 2, 1, 0);
    let (front, back) = (_mm512_set_epi64(11, 3, 10, 2, 9, 1, 8, 0), _mm512_set_epi64(15, 7, 14, 6, 13, 5, 12, 4));
    for (at, out) in out.as_flattened_mut().as_chunks_mut::<WORDS>().0.iter_mut().enumerate() {
        let at = first.wrapping_add((at * WORDS / 4) as u64);
        let mut a = _mm512_add_epi64(_mm512_set1_epi64(at as i64), steps);
        let mut b = _mm512_srli_epi64::<32>(a);
        let mut c = _mm512_set1_epi64(stream as i64);
        let mut d = _mm512_set1_epi64((stream >> 32) as i64);
        let (mut k0, mut k1) = (seed as u32, (seed >> 32) as u32);
        for _ in 0..ROUNDS {
            let keys = (_mm512_set1_epi64(i64::from(k0)), _mm512_set1_epi64(i64::from(k1)));
            let (left, right) = (_mm512_mul_epu32(a, m0), _mm512_mul_epu32(c, m1));
            a = _mm512_xor_si512(_mm512_xor_si512(b, keys.0), _mm512_srli_epi64::<32>(right));
            c = _mm512_xor_si512(_mm512_xor_si512(d, keys.1), _mm512_srli_epi64::<32>(left));
            b = right;
            d = left;
            k0 = k0.wrapping_add(WEYL[0]);
            k1 = k1.wrapping_add(WEYL[1]);
        }
        let (ab, cd) = (joined(a, b), joined(c, d));
        let (halves, _) = out.as_chunks_mut::<16>();
        for (half, order) in halves.iter_mut().zip([front, back]) {
            store(half, _mm512_permutex2var_epi64(ab, order, cd));
        }
    }
}

/// The lower halves of both, those of `a` first.
#[inline]
#[target_feature(enable = "avx512f")]
fn joined(a: __m512i, b: __m512i) -> __m512i {
    _mm512_mask_blend_epi32(0xAAAA, a, _mm512_slli_epi64::<32>(b))
}
