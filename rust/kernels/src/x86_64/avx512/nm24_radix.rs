//! Words of mixed radix of 2 of 4, eight at once: a word to each lane of 64 bits. Byte permutations bring strings of bits
//! that begin anywhere into lanes and back; pairs of codes are looked up, and multiplications join and part the rest.

use super::radix::{UNIT, load_part, store_lanes};
use super::registers::load;
use crate::args::nm24_radix::{CODE_LANES, CODES, SIXES_4, SIXES_8, SIXES_16, WORD_LANES, WORDS};
use std::arch::x86_64::{
    __m512d, __m512i, _MM_FROUND_NO_EXC, _MM_FROUND_TO_ZERO, _mm512_add_epi16, _mm512_add_epi32, _mm512_add_epi64,
    _mm512_and_si512, _mm512_andnot_si512, _mm512_castpd_si512, _mm512_castsi512_pd, _mm512_cvtepi32_ps,
    _mm512_cvttps_epi32, _mm512_fmadd_ps, _mm512_fmadd_round_pd, _mm512_madd_epi16, _mm512_maddubs_epi16,
    _mm512_mul_epu32, _mm512_mulhi_epu16, _mm512_mullo_epi16, _mm512_mullo_epi32, _mm512_multishift_epi64_epi8,
    _mm512_or_si512, _mm512_permutexvar_epi8, _mm512_permutexvar_epi64, _mm512_set1_epi16, _mm512_set1_epi32,
    _mm512_set1_epi64, _mm512_set1_pd, _mm512_set1_ps, _mm512_slli_epi64, _mm512_srli_epi64, _mm512_srlv_epi64,
    _mm512_sub_epi64, _mm512_sub_pd,
};

/// Where pairs of codes stand in the strings of lanes.
static PAIRS: [u8; 64] = {
    let (mut table, mut i) = ([0; 64], 0);
    while i < 64 {
        table[i] = CODE_LANES.shift[i / 8] as u8 + 6 * (i % 8) as u8;
        i += 1;
    }
    table
};
/// Where the last code stands.
static LAST: [u64; 8] = {
    let (mut table, mut i) = (CODE_LANES.shift, 0);
    while i < 8 {
        table[i] += 48;
        i += 1;
    }
    table
};
/// The value of every pair of codes, and the pair of every value.
const VALUES: [u8; 64] = {
    let (mut table, mut i) = ([0; 64], 0);
    while i < 64 {
        table[i] = (i % 8 + i / 8 * 6) as u8;
        i += 1;
    }
    table
};
const CODES_OF: [u8; 64] = {
    let (mut table, mut i) = ([0; 64], 0);
    while i < 36 {
        table[i] = ((i % 6) | ((i / 6) << 3)) as u8;
        i += 1;
    }
    table
};
/// What the last code adds to a word.
const SIXTEENS: [u64; 8] = {
    let (mut table, mut i) = ([0; 8], 0);
    while i < 8 {
        table[i] = i as u64 * SIXES_16;
        i += 1;
    }
    table
};
/// The last code, modulo 6, where it stands in a string.
const LAST_CODES: [u64; 8] = {
    let (mut table, mut i) = ([0; 8], 0);
    while i < 8 {
        table[i] = (i as u64 % 6) << 48;
        i += 1;
    }
    table
};

/// See [`crate::Kernels::nm24_radix_pack`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(crate) fn pack(codes: &[u8], words: &mut [u8]) {
    let (spread, cuts, last) = (load(&CODE_LANES.spread), load(&PAIRS), load(&LAST));
    let (values, sixteens) = (load(&VALUES), load(&SIXTEENS));
    let (pairs, fours) = (_mm512_set1_epi16(1 | 36 << 8), _mm512_set1_epi32(1 | (SIXES_4 as i32) << 16));
    let (eights, low) = (_mm512_set1_epi64(SIXES_8 as i64), _mm512_set1_epi64(u32::MAX.into()));
    for (codes, words) in codes.as_chunks::<CODES>().0.iter().zip(words.as_chunks_mut::<WORDS>().0) {
        let lanes = _mm512_permutexvar_epi8(spread, load_part(codes));
        let of_two = _mm512_permutexvar_epi8(_mm512_multishift_epi64_epi8(cuts, lanes), values);
        let of_eight = _mm512_madd_epi16(_mm512_maddubs_epi16(of_two, pairs), fours);
        let high = _mm512_mul_epu32(_mm512_srli_epi64::<32>(of_eight), eights);
        let of_sixteen = _mm512_add_epi64(_mm512_and_si512(of_eight, low), high);
        let last = _mm512_permutexvar_epi64(_mm512_srlv_epi64(lanes, last), sixteens);
        store_lanes(words, &WORD_LANES, _mm512_add_epi64(of_sixteen, last));
    }
}

/// `floor((value + 1/2) * inverse)` in the lowest 32 bits of lanes, for values below 2^44. The quotients of such are never
/// as near to an integer as the rounding of `inverse` takes them.
#[inline]
#[target_feature(enable = "avx512f")]
fn quotient(values: __m512i, inverse: __m512d) -> __m512i {
    let unit = _mm512_set1_pd(UNIT);
    let above = _mm512_castsi512_pd(_mm512_or_si512(values, _mm512_castpd_si512(unit)));
    let halves = _mm512_sub_pd(above, _mm512_set1_pd(UNIT - 0.5));
    const DOWN: i32 = _MM_FROUND_TO_ZERO | _MM_FROUND_NO_EXC;
    _mm512_castpd_si512(_mm512_fmadd_round_pd::<DOWN>(halves, inverse, unit))
}

/// See [`crate::Kernels::nm24_radix_unpack`].
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
pub(crate) fn unpack(words: &[u8], codes: &mut [u8]) {
    let (spread, shifts) = (load(&WORD_LANES.spread), load(&WORD_LANES.shift));
    let (sixteens, last_codes, codes_of) = (load(&SIXTEENS), load(&LAST_CODES), load(&CODES_OF));
    let word_bits = _mm512_set1_epi64(WORD_LANES.mask as i64);
    let by_sixteen = _mm512_set1_pd(1.0 / SIXES_16 as f64);
    let (by_eight, eights) = (_mm512_set1_pd(1.0 / SIXES_8 as f64), _mm512_set1_epi64(SIXES_8 as i64));
    let (by_four, half) = (_mm512_set1_ps(1.0 / SIXES_4 as f32), _mm512_set1_ps(0.5 / SIXES_4 as f32));
    let (four_up, by_two, two_up) =
        (_mm512_set1_epi32((1 << 16) - SIXES_4 as i32), _mm512_set1_epi16(1821), _mm512_set1_epi16(256 - 36));
    let (pairs, fours) = (_mm512_set1_epi16(1 | 64 << 8), _mm512_set1_epi32(1 | 4096 << 16));
    let low = _mm512_set1_epi64(u32::MAX.into());
    for (words, codes) in words.as_chunks::<WORDS>().0.iter().zip(codes.as_chunks_mut::<CODES>().0) {
        let lanes = _mm512_srlv_epi64(_mm512_permutexvar_epi8(spread, load_part(words)), shifts);
        let word = _mm512_and_si512(lanes, word_bits);
        let last = quotient(word, by_sixteen);
        let of_sixteen = _mm512_sub_epi64(word, _mm512_permutexvar_epi64(last, sixteens));
        let high = quotient(of_sixteen, by_eight);
        let rest = _mm512_sub_epi64(of_sixteen, _mm512_mul_epu32(high, eights));
        let of_eight = _mm512_or_si512(rest, _mm512_slli_epi64::<32>(high));
        // Below 2^21, as float32: as exact as the quotients above.
        let high = _mm512_cvttps_epi32(_mm512_fmadd_ps(_mm512_cvtepi32_ps(of_eight), by_four, half));
        let of_four = _mm512_add_epi32(of_eight, _mm512_mullo_epi32(high, four_up));
        // 1821 / 2^16 is above 1 / 36 by so little that it is right below 2^11.
        let high = _mm512_mulhi_epu16(of_four, by_two);
        let of_two = _mm512_add_epi16(of_four, _mm512_mullo_epi16(high, two_up));
        let codes_of = _mm512_permutexvar_epi8(of_two, codes_of);
        let joined = _mm512_madd_epi16(_mm512_maddubs_epi16(codes_of, pairs), fours);
        let upper = _mm512_srli_epi64::<8>(_mm512_andnot_si512(low, joined));
        let string = _mm512_or_si512(_mm512_and_si512(joined, low), upper);
        store_lanes(codes, &CODE_LANES, _mm512_or_si512(string, _mm512_permutexvar_epi64(last, last_codes)));
    }
}
