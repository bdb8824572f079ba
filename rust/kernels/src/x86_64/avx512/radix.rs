//! Words of mixed radix of any N:M, eight at once: a word to each lane of 64 bits, as float64, in which all sums are exact.
//! Byte permutations bring fields of bits that begin anywhere into lanes and back.

use super::registers::load;
use crate::args::radix::{Lanes, RadixTable};
use std::arch::x86_64::{
    __m512d, __m512i, _MM_FROUND_NO_EXC, _MM_FROUND_TO_ZERO, _mm512_add_pd, _mm512_and_si512, _mm512_castpd_si512,
    _mm512_castsi512_pd, _mm512_fmadd_pd, _mm512_fmadd_round_pd, _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8,
    _mm512_maskz_permutexvar_epi8, _mm512_or_si512, _mm512_permutexvar_epi8, _mm512_set1_epi64, _mm512_set1_pd,
    _mm512_setzero_pd, _mm512_sllv_epi64, _mm512_srlv_epi64, _mm512_sub_pd, _mm512_ternarylogic_epi64,
};

/// 2^52: added to a float64 that is smaller, it leaves the integer in the lowest bits.
pub(super) const UNIT: f64 = (1u64 << 52) as f64;

/// Loads up to 63 bytes, and zeros behind them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
pub(super) fn load_part(bytes: &[u8]) -> __m512i {
    let mask = 1u64.wrapping_shl(bytes.len() as u32).wrapping_sub(1);
    // SAFETY: the mask reads bytes of `bytes` only, for any length; the load needs no alignment.
    unsafe { _mm512_maskz_loadu_epi8(mask, bytes.as_ptr().cast()) }
}

/// Stores fields side by side, `out.len()` bytes, up to 63. They are in lanes, and zeros above them.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(super) fn store_lanes(out: &mut [u8], to: &Lanes, lanes: __m512i) {
    let lanes = _mm512_sllv_epi64(lanes, load(&to.start));
    let even = _mm512_maskz_permutexvar_epi8(to.even.0, load(&to.even.1), lanes);
    let odd = _mm512_maskz_permutexvar_epi8(to.odd.0, load(&to.odd.1), lanes);
    let (packed, mask) = (_mm512_or_si512(even, odd), 1u64.wrapping_shl(out.len() as u32).wrapping_sub(1));
    // SAFETY: the mask writes bytes of `out` only, for any length; the store needs no alignment.
    unsafe { _mm512_mask_storeu_epi8(out.as_mut_ptr().cast(), mask, packed) };
}

/// `a & b | unit`, as float64, less `unit`: integers below 2^52.
#[inline]
#[target_feature(enable = "avx512f")]
fn numbers(a: __m512i, b: __m512i, unit: __m512d) -> __m512d {
    const AND_OR: i32 = 0b1111_1000; // unit | a & b
    let bits = _mm512_ternarylogic_epi64::<AND_OR>(_mm512_castpd_si512(unit), a, b);
    _mm512_sub_pd(_mm512_castsi512_pd(bits), unit)
}

/// Integers below 2^52 of float64, of which bits of `mask` are kept.
#[inline]
#[target_feature(enable = "avx512f")]
fn integers(numbers: __m512d, mask: u64, unit: __m512d) -> __m512i {
    let above = _mm512_castpd_si512(_mm512_add_pd(numbers, unit));
    _mm512_and_si512(above, _mm512_set1_epi64(mask as i64))
}

/// See [`crate::Kernels::radix_pack`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(crate) fn pack(table: &RadixTable, codes: &[u8], words: &mut [u8]) {
    let (from, to, unit) = (&table.strings, &table.words, _mm512_set1_pd(UNIT));
    let (spread, shift) = (load(&from.spread), load(&from.shift));
    for (codes, words) in codes.chunks_exact(from.bits).zip(words.chunks_exact_mut(to.bits)) {
        let strings = _mm512_srlv_epi64(_mm512_permutexvar_epi8(spread, load_part(codes)), shift);
        let mut sums = _mm512_setzero_pd();
        for digit in &table.digits[..table.groups] {
            let code = numbers(strings, _mm512_set1_epi64(digit.mask as i64), unit);
            sums = _mm512_fmadd_pd(code, _mm512_set1_pd(digit.weight), sums);
        }
        store_lanes(words, to, integers(sums, to.mask, unit));
    }
}

/// See [`crate::Kernels::radix_unpack`].
///
/// Quotients are `floor((word + 1/2) / C^i)`, which is as far from an integer as a half of `1 / C^i`: farther than the
/// rounding of the inverse takes it.
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(crate) fn unpack(table: &RadixTable, words: &[u8], codes: &mut [u8]) {
    const DOWN: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
    let (from, to, unit) = (&table.words, &table.strings, _mm512_set1_pd(UNIT));
    let (spread, shift, mask) = (load(&from.spread), load(&from.shift), _mm512_set1_epi64(from.mask as i64));
    for (words, codes) in words.chunks_exact(from.bits).zip(codes.chunks_exact_mut(to.bits)) {
        let lanes = _mm512_srlv_epi64(_mm512_permutexvar_epi8(spread, load_part(words)), shift);
        let word = numbers(lanes, mask, unit);
        let (half_above, mut strings) = (_mm512_add_pd(word, _mm512_set1_pd(0.5)), word);
        for digit in &table.digits[..table.groups] {
            let above = _mm512_fmadd_round_pd::<DOWN>(half_above, _mm512_set1_pd(digit.inverse), unit);
            strings = _mm512_fmadd_pd(_mm512_sub_pd(above, unit), _mm512_set1_pd(digit.gain), strings);
        }
        store_lanes(codes, to, integers(strings, to.mask, unit));
    }
}
