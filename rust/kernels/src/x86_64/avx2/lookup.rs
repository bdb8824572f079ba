//! Look-ups of 16-bit items by codes of 4 bits, and by the mantissas of 8-bit floats: their two bytes come from two tables
//! in registers.

use super::compress::{load_128, put, store_128};
use crate::args::lookup::{FloatTable, Table};
use crate::scalar::lookup as plain;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_add_epi16, _mm_and_si128, _mm_cmpeq_epi8, _mm_cvtsi32_si128, _mm_loadu_si128,
    _mm_movemask_epi8, _mm_or_si128, _mm_packus_epi16, _mm_set1_epi8, _mm_set1_epi16, _mm_setzero_si128,
    _mm_shuffle_epi8, _mm_srl_epi16, _mm_srli_epi16, _mm_unpackhi_epi8, _mm_unpacklo_epi8, _mm_xor_si128,
    _mm256_broadcastsi128_si256, _mm256_permute2x128_si256, _mm256_set_m128i, _mm256_shuffle_epi8, _mm256_storeu_si256,
    _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};

pub(crate) const TABLE: Table = Table { bytes: plain::bytes, nibbles, floats: Some(floats) };

#[inline]
#[target_feature(enable = "avx2")]
fn store(room: &mut [u16; 16], items: __m256i) {
    // SAFETY: 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(room.as_mut_ptr().cast(), items) }
}

/// See [`crate::Kernels::lookup_nibbles_u16`].
#[target_feature(enable = "avx2")]
pub(super) fn nibbles(pairs: &[u8], table: &[u16; 16], out: &mut [u16]) {
    let [low, high] = [&table[..8], &table[8..]].map(|half| {
        // SAFETY: 16 readable bytes; the load needs no alignment.
        unsafe { _mm_loadu_si128(half.as_ptr().cast()) }
    });
    let byte = _mm_set1_epi16(0xFF);
    let first = _mm_packus_epi16(_mm_and_si128(low, byte), _mm_and_si128(high, byte));
    let second = _mm_packus_epi16(_mm_srli_epi16::<8>(low), _mm_srli_epi16::<8>(high));
    let (first, second) = (_mm256_broadcastsi128_si256(first), _mm256_broadcastsi128_si256(second));
    let nibble = _mm_set1_epi8(15);
    let (rooms, rest) = out.as_chunks_mut::<32>();
    let (blocks, _) = pairs.as_chunks::<16>();
    let tail = &pairs[rooms.len() * 16..];
    for (block, room) in blocks.iter().zip(rooms) {
        // SAFETY: 16 readable bytes; the load needs no alignment.
        let pairs = unsafe { _mm_loadu_si128(block.as_ptr().cast()) };
        let (even, odd) = (_mm_and_si128(pairs, nibble), _mm_and_si128(_mm_srli_epi16::<4>(pairs), nibble));
        // In order, 16 codes in each half.
        let codes = _mm256_set_m128i(_mm_unpackhi_epi8(even, odd), _mm_unpacklo_epi8(even, odd));
        let (low, high) = (_mm256_shuffle_epi8(first, codes), _mm256_shuffle_epi8(second, codes));
        let (front, back) = (_mm256_unpacklo_epi8(low, high), _mm256_unpackhi_epi8(low, high));
        let [start, end] = room.as_chunks_mut::<16>().0 else { continue };
        store(start, _mm256_permute2x128_si256::<0x20>(front, back));
        store(end, _mm256_permute2x128_si256::<0x31>(front, back));
    }
    plain::nibbles(tail, table, rest);
}

/// See [`crate::Kernels::float_values_u16`].
#[target_feature(enable = "avx2")]
fn floats(codes: &[u8], table: &FloatTable, out: &mut [u16], stream: bool) {
    if stream { float_values::<true>(codes, table, out) } else { float_values::<false>(codes, table, out) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn float_values<const STREAM: bool>(codes: &[u8], table: &FloatTable, out: &mut [u16]) {
    let [normal, small] = table.values.as_chunks::<8>().0 else { return };
    let (normal, small, byte) = (load_128(normal), load_128(small), _mm_set1_epi16(0xFF));
    let low = _mm_packus_epi16(_mm_and_si128(normal, byte), _mm_and_si128(small, byte));
    let high = _mm_packus_epi16(_mm_srli_epi16::<8>(normal), _mm_srli_epi16::<8>(small));
    // A code in the upper half of an item has its exponent at bit 11.
    let shift = _mm_cvtsi32_si128(11 - table.shift as i32);
    let (mantissa, exponent, eight) = (_mm_set1_epi8(7), _mm_set1_epi8(0x78), _mm_set1_epi8(8));
    let (magnitude, zero) = (_mm_set1_epi8(0x7F), _mm_setzero_si128());
    let (exponents, sign) = (_mm_set1_epi16(0x7800), _mm_set1_epi16(i16::MIN));
    let whole = |value: __m128i, code: __m128i| {
        let value = _mm_add_epi16(value, _mm_srl_epi16(_mm_and_si128(code, exponents), shift));
        _mm_xor_si128(value, _mm_and_si128(code, sign))
    };
    let (rooms, rest) = out.as_chunks_mut::<16>();
    let (blocks, tail) = codes.as_chunks::<16>();
    for (block, room) in blocks.iter().zip(rooms) {
        let codes = load_128(block);
        if _mm_movemask_epi8(_mm_cmpeq_epi8(_mm_and_si128(codes, magnitude), magnitude)) != 0 {
            room.iter_mut().zip(block).for_each(|(out, &code)| *out = table.value(code));
            continue;
        }
        let subnormal = _mm_and_si128(_mm_cmpeq_epi8(_mm_and_si128(codes, exponent), zero), eight);
        let at = _mm_or_si128(_mm_and_si128(codes, mantissa), subnormal);
        let (low, high) = (_mm_shuffle_epi8(low, at), _mm_shuffle_epi8(high, at));
        let front = whole(_mm_unpacklo_epi8(low, high), _mm_unpacklo_epi8(zero, codes));
        let back = whole(_mm_unpackhi_epi8(low, high), _mm_unpackhi_epi8(zero, codes));
        let [start, end] = room.as_chunks_mut::<8>().0 else { continue };
        if STREAM {
            put(start, front);
            put(end, back);
        } else {
            store_128(start, front);
            store_128(end, back);
        }
    }
    rest.iter_mut().zip(tail).for_each(|(out, &code)| *out = table.value(code));
}
