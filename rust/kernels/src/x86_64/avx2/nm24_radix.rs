//! Words of mixed radix of 2 of 4 to codes, four at once: a word to each lane of 64 bits. They are halved level by level,
//! in lanes that are halved with them.

use super::compress::store_256;
use super::radix::{UNIT, fields, numbers};
use crate::args::nm24_radix::{CODES, SIXES_4, SIXES_8, SIXES_16, STRING, WORD_LANES, WORDS};
use crate::scalar::radix::put;
use std::arch::x86_64::{
    __m256d, __m256i, _CMP_LT_OQ, _mm256_add_epi16, _mm256_add_epi32, _mm256_add_pd, _mm256_and_pd, _mm256_and_si256,
    _mm256_andnot_si256, _mm256_blend_epi32, _mm256_castpd_si256, _mm256_cmp_pd, _mm256_cvtepi32_ps,
    _mm256_cvttps_epi32, _mm256_floor_pd, _mm256_fmadd_ps, _mm256_fnmadd_pd, _mm256_madd_epi16, _mm256_mul_pd,
    _mm256_mulhi_epu16, _mm256_mullo_epi32, _mm256_or_si256, _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_epi64x,
    _mm256_set1_pd, _mm256_set1_ps, _mm256_slli_epi16, _mm256_slli_epi64, _mm256_srli_epi16, _mm256_srli_epi64,
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

/// The strings of 12 bits of values of four groups, in 16 bits each. With `q(i) = floor(value / 6^i)`, the codes are
/// `q(i) - 6 q(i + 1)`, so the string is `value + 2 q(1) + 16 q(2) + 128 q(3)`.
#[inline]
#[target_feature(enable = "avx2")]
fn strings_of_four(values: __m256i) -> __m256i {
    // In the upper 16 bits of products; inverses are above 1/6, 1/36 and 8/216 by so little that all below 6^4 are right.
    let one = _mm256_mulhi_epu16(values, _mm256_set1_epi16(10923));
    let two = _mm256_mulhi_epu16(values, _mm256_set1_epi16(1821));
    let three = _mm256_mulhi_epu16(_mm256_srli_epi16::<3>(values), _mm256_set1_epi16(2428));
    let upper = _mm256_add_epi16(two, _mm256_slli_epi16::<3>(three));
    let all = _mm256_add_epi16(one, _mm256_slli_epi16::<3>(upper));
    _mm256_add_epi16(values, _mm256_slli_epi16::<1>(all))
}

/// The strings of four words.
#[inline]
#[target_feature(enable = "avx2,fma")]
fn strings(words: __m256i) -> __m256i {
    let unit = _mm256_set1_pd(UNIT);
    let word = numbers(words, _mm256_set1_epi64x(WORD_LANES.mask as i64), unit);
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

/// See [`crate::Kernels::nm24_radix_unpack`].
#[target_feature(enable = "avx2,fma")]
pub(crate) fn unpack(words: &[u8], codes: &mut [u8]) {
    for (words, codes) in words.as_chunks::<WORDS>().0.iter().zip(codes.as_chunks_mut::<CODES>().0) {
        let mut room = [0; 8];
        for (half, room) in room.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            store_256(room, strings(fields(&WORD_LANES, words, 4 * half)));
        }
        put(&room, STRING, codes);
    }
}
