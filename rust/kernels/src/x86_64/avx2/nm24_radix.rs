//! Words of mixed radix of 2 of 4 to codes, four at once: a word to each lane of 64 bits. They are halved level by level,
//! in lanes that are halved with them.

use super::compress::{load_128, load_256, store_128};
use super::radix::{UNIT, numbers};
use crate::args::nm24_radix::{BITS, CODES, SIXES_4, SIXES_8, SIXES_16, STRING, WORDS};
use std::arch::asm;
use std::arch::x86_64::{
    __m128i, __m256d, __m256i, _CMP_LT_OQ, _mm_alignr_epi8, _mm_bslli_si128, _mm_bsrli_si128, _mm_or_si128,
    _mm256_add_epi16, _mm256_add_epi32, _mm256_add_pd, _mm256_and_pd, _mm256_and_si256, _mm256_andnot_si256,
    _mm256_blend_epi32, _mm256_castpd_si256, _mm256_castsi256_si128, _mm256_cmp_pd, _mm256_cvtepi32_ps,
    _mm256_cvttps_epi32, _mm256_extracti128_si256, _mm256_floor_pd, _mm256_fmadd_ps, _mm256_fnmadd_pd,
    _mm256_madd_epi16, _mm256_mul_pd, _mm256_mulhi_epu16, _mm256_mullo_epi32, _mm256_or_si256, _mm256_set_epi64x,
    _mm256_set_m128i, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_set1_pd, _mm256_set1_ps,
    _mm256_shuffle_epi8, _mm256_shuffle_epi32, _mm256_slli_epi16, _mm256_slli_epi64, _mm256_sllv_epi64,
    _mm256_srli_epi16, _mm256_srli_epi64, _mm256_srlv_epi64,
};

/// `floor((value + 1/2) / count)` and the remainder, for values below 2^44. The quotients of such are never as near to an
/// integer as rounding takes them.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn divide(values: __m256d, count: u64) -> (__m256d, __m256d) {
    let above = _mm256_add_pd(values, _mm256_set1_pd(0.5));
    let quotient = _mm256_floor_pd(_mm256_mul_pd(above, _mm256_set1_pd(1.0 / count as f64)));
    (quotient, _mm256_fnmadd_pd(quotient, _mm256_set1_pd(count as f64), values))
}

/// The upper 16 bits of products.
///
/// The empty assembly keeps the compiler from joining the multiplication with shifts behind it, which takes four
/// instructions on 32 bits for one on 16.
#[inline]
#[target_feature(enable = "avx2")]
fn upper_product(values: __m256i, by: i16) -> __m256i {
    let mut upper = _mm256_mulhi_epu16(values, _mm256_set1_epi16(by));
    // SAFETY: it does nothing.
    unsafe { asm!("/* {0} */", inout(ymm_reg) upper, options(pure, nomem, nostack, preserves_flags)) };
    upper
}

/// The strings of 12 bits of values of four groups, in 16 bits each. With `q(i) = floor(value / 6^i)`, the codes are
/// `q(i) - 6 q(i + 1)`, so the string is `value + 2 q(1) + 16 q(2) + 128 q(3)`.
#[inline]
#[target_feature(enable = "avx2")]
fn strings_of_four(values: __m256i) -> __m256i {
    // Inverses in 2^-16 are above 1/6, 1/36 and 8/216 by so little that all below 6^4 are right.
    let (one, two) = (upper_product(values, 10923), upper_product(values, 1821));
    let three = upper_product(_mm256_srli_epi16::<3>(values), 2428);
    let upper = _mm256_add_epi16(two, _mm256_slli_epi16::<3>(three));
    let all = _mm256_add_epi16(one, _mm256_slli_epi16::<3>(upper));
    _mm256_add_epi16(values, _mm256_slli_epi16::<1>(all))
}

/// The strings of four words.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn strings(words: __m256i) -> __m256i {
    let unit = _mm256_set1_pd(UNIT);
    let word = numbers(words, _mm256_set1_epi64x((1 << BITS) - 1), unit);
    let (last, of_sixteen) = divide(word, SIXES_16);
    let (high, rest) = divide(of_sixteen, SIXES_8);
    let [high, rest] = [high, rest].map(|eight| _mm256_castpd_si256(_mm256_add_pd(eight, unit)));
    let of_eight = _mm256_blend_epi32::<0b1010_1010>(rest, _mm256_slli_epi64::<32>(high));
    // Below 2^21, as float32: as exact as the quotients above.
    let (by_four, half) = (_mm256_set1_ps(1.0 / SIXES_4 as f32), _mm256_set1_ps(0.5 / SIXES_4 as f32));
    let high = _mm256_cvttps_epi32(_mm256_fmadd_ps(_mm256_cvtepi32_ps(of_eight), by_four, half));
    let four_up = _mm256_set1_epi32((1 << 16) - SIXES_4 as i32);
    let of_four = _mm256_add_epi32(of_eight, _mm256_mullo_epi32(high, four_up));
    let joined = _mm256_madd_epi16(strings_of_four(of_four), _mm256_set1_epi32(1 | 4096 << 16));
    let low = _mm256_set1_epi64x(u32::MAX.into());
    let upper = _mm256_srli_epi64::<8>(_mm256_andnot_si256(low, joined));
    let sixteen = _mm256_or_si256(_mm256_and_si256(joined, low), upper);
    // A last code of 6 becomes 0: 2^44 is below 7 6^16.
    let last = _mm256_and_pd(last, _mm256_cmp_pd::<_CMP_LT_OQ>(last, _mm256_set1_pd(6.0)));
    let last = _mm256_slli_epi64::<48>(_mm256_castpd_si256(_mm256_add_pd(last, unit)));
    _mm256_or_si256(sixteen, last)
}

/// Which bytes of 16 hold each of two words, where the first begins with a byte, and where it begins five bytes later.
const PAIRS: [u8; 32] = [
    0, 1, 2, 3, 4, 5, 6, 7, 5, 6, 7, 8, 9, 10, 11, 12, // 0
    5, 6, 7, 8, 9, 10, 11, 12, 10, 11, 12, 13, 14, 15, 128, 128, // 5
];

/// Four words of 22 bytes, each in its lane, and bits above them.
#[inline]
#[target_feature(enable = "avx2")]
fn lanes(bytes: &[u8; BITS / 2]) -> __m256i {
    let [low, high] = [0, 6].map(|at| load_128(bytes[at..].first_chunk::<16>().unwrap_or(&[0; 16])));
    let bytes = _mm256_shuffle_epi8(_mm256_set_m128i(high, low), load_256(&PAIRS));
    _mm256_srlv_epi64(bytes, _mm256_set_epi64x(4, 0, 4, 0))
}

/// Two and two strings side by side, from bits `low` and `high` on of 16 bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn joined(strings: __m256i, low: i64, high: i64) -> [__m128i; 2] {
    const REST: i64 = 64 - STRING as i64;
    let strings = _mm256_sllv_epi64(strings, _mm256_set_epi64x(high, high, low, low));
    let swapped = _mm256_shuffle_epi32::<0b0100_1110>(strings);
    let lower = _mm256_sllv_epi64(swapped, _mm256_set_epi64x(64, STRING as i64, 64, STRING as i64));
    let upper = _mm256_srlv_epi64(strings, _mm256_set_epi64x(REST, 0, REST, 0));
    let both = _mm256_or_si256(lower, upper);
    [_mm256_castsi256_si128(both), _mm256_extracti128_si256::<1>(both)]
}

/// Stores eight strings side by side: pairs of them begin at the bits 0, 102, 204 and 306, and share a byte with the next.
#[inline]
#[target_feature(enable = "avx2")]
fn store_strings(codes: &mut [u8; CODES], [first, last]: [__m256i; 2]) {
    let ([a, b], [c, d]) = (joined(first, 0, 6), joined(last, 4, 2));
    let b = _mm_or_si128(b, _mm_bsrli_si128::<12>(a));
    let c = _mm_or_si128(c, _mm_bsrli_si128::<13>(b));
    let d = _mm_or_si128(d, _mm_bsrli_si128::<13>(c));
    // The last 13 bytes, behind three that are already there.
    let end = _mm_alignr_epi8::<13>(d, _mm_bslli_si128::<3>(c));
    for (at, bytes) in [(0, a), (12, b), (25, c), (35, end)] {
        if let Some(to) = codes[at..].first_chunk_mut::<16>() {
            store_128(to, bytes);
        }
    }
}

/// See [`crate::Kernels::nm24_radix_unpack`].
#[target_feature(enable = "avx2,fma")]
pub(crate) fn unpack(words: &[u8], codes: &mut [u8]) {
    let halves = words.as_chunks::<{ WORDS / 2 }>().0.as_chunks::<2>().0;
    for ([first, last], codes) in halves.iter().zip(codes.as_chunks_mut::<CODES>().0) {
        store_strings(codes, [strings(lanes(first)), strings(lanes(last))]);
    }
}
