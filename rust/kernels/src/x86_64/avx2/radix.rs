//! Words of mixed radix of any N:M, four at once: a word to each lane of 64 bits, as float64, in which all sums are exact.

use super::compress::store_256;
use crate::args::radix::{Lanes, RadixTable};
use crate::scalar::radix::{blocks, field, put};
use std::arch::x86_64::{
    __m256d, __m256i, _mm256_add_pd, _mm256_and_si256, _mm256_castpd_si256, _mm256_castsi256_pd, _mm256_floor_pd,
    _mm256_fmadd_pd, _mm256_mul_pd, _mm256_or_si256, _mm256_set_epi64x, _mm256_set1_epi64x, _mm256_set1_pd,
    _mm256_setzero_pd, _mm256_sub_pd,
};

/// 2^52: added to a float64 that is smaller, it leaves the integer in the lowest bits.
pub(super) const UNIT: f64 = (1u64 << 52) as f64;

/// `a & b`, integers below 2^52, as float64.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn numbers(a: __m256i, b: __m256i, unit: __m256d) -> __m256d {
    let bits = _mm256_or_si256(_mm256_and_si256(a, b), _mm256_castpd_si256(unit));
    _mm256_sub_pd(_mm256_castsi256_pd(bits), unit)
}

/// Integers below 2^52 of float64, of which bits of `mask` are kept.
#[inline]
#[target_feature(enable = "avx2")]
fn integers(numbers: __m256d, mask: u64, unit: __m256d) -> __m256i {
    let above = _mm256_castpd_si256(_mm256_add_pd(numbers, unit));
    _mm256_and_si256(above, _mm256_set1_epi64x(mask as i64))
}

/// Four fields of a block from field `i` on, and any bits above them.
#[inline]
#[target_feature(enable = "avx2")]
fn fields(from: &Lanes, block: &[u8], i: usize) -> __m256i {
    let [a, b, c, d] = std::array::from_fn(|lane| field(from, block, i + lane) as i64);
    _mm256_set_epi64x(d, c, b, a)
}

/// See [`crate::Kernels::radix_pack`].
#[target_feature(enable = "avx2,fma")]
pub(crate) fn pack(table: &RadixTable, codes: &[u8], words: &mut [u8]) {
    let (from, to, unit) = (&table.strings, &table.words, _mm256_set1_pd(UNIT));
    for (codes, words) in blocks(from, codes).zip(words.chunks_exact_mut(to.bits)) {
        let mut room = [0; 8];
        for (half, room) in room.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let (strings, mut sums) = (fields(from, codes, 4 * half), _mm256_setzero_pd());
            for digit in &table.digits[..table.groups] {
                let code = numbers(strings, _mm256_set1_epi64x(digit.mask as i64), unit);
                sums = _mm256_fmadd_pd(code, _mm256_set1_pd(digit.weight), sums);
            }
            store_256(room, integers(sums, to.mask, unit));
        }
        put(&room, to.bits, words);
    }
}

/// See [`crate::Kernels::radix_unpack`].
///
/// Quotients are `floor((word + 1/2) / C^i)`, which is as far from an integer as a half of `1 / C^i`: farther than the
/// rounding of the inverse and of the product takes it.
#[target_feature(enable = "avx2,fma")]
pub(crate) fn unpack(table: &RadixTable, words: &[u8], codes: &mut [u8]) {
    let (from, to, unit) = (&table.words, &table.strings, _mm256_set1_pd(UNIT));
    let (mask, half_one) = (_mm256_set1_epi64x(from.mask as i64), _mm256_set1_pd(0.5));
    for (words, codes) in blocks(from, words).zip(codes.chunks_exact_mut(to.bits)) {
        let mut room = [0; 8];
        for (half, room) in room.as_chunks_mut::<4>().0.iter_mut().enumerate() {
            let word = numbers(fields(from, words, 4 * half), mask, unit);
            let (half_above, mut strings) = (_mm256_add_pd(word, half_one), word);
            for digit in &table.digits[..table.groups] {
                let quotient = _mm256_floor_pd(_mm256_mul_pd(half_above, _mm256_set1_pd(digit.inverse)));
                strings = _mm256_fmadd_pd(quotient, _mm256_set1_pd(digit.gain), strings);
            }
            store_256(room, integers(strings, to.mask, unit));
        }
        put(&room, to.bits, codes);
    }
}
