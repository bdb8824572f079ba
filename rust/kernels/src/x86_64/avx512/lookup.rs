//! Look-ups of 16-bit items in tables that stay in registers, 32 at once.

use super::registers::store;
use crate::args::lookup::Table;
use crate::scalar::lookup as plain;
use std::arch::x86_64::{
    __m512i, _mm_loadu_si128, _mm256_loadu_si256, _mm512_and_si512, _mm512_broadcast_i64x4, _mm512_cvtepu8_epi16,
    _mm512_cvtepu8_epi32, _mm512_loadu_si512, _mm512_mask_blend_epi16, _mm512_or_si512, _mm512_permutex2var_epi16,
    _mm512_permutexvar_epi16, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_slli_epi32, _mm512_test_epi16_mask,
};

pub(crate) const TABLE: Table = Table { bytes, nibbles, floats: None };

/// See [`crate::Kernels::lookup_u16`]. Four look-ups of 64 entries each, of which two bits of the code choose one.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn bytes(codes: &[u8], table: &[u16; 256], out: &mut [u16]) {
    let entries: [__m512i; 8] = std::array::from_fn(|i| {
        // SAFETY: 64 readable bytes; the load needs no alignment.
        unsafe { _mm512_loadu_si512(table.as_chunks::<32>().0[i].as_ptr().cast()) }
    });
    let (blocks, tail) = codes.as_chunks::<32>();
    let (rooms, rest) = out.as_chunks_mut::<32>();
    let (second, upper) = (_mm512_set1_epi16(64), _mm512_set1_epi16(128));
    for (block, room) in blocks.iter().zip(rooms) {
        // SAFETY: 32 readable bytes; the load needs no alignment.
        let index = _mm512_cvtepu8_epi16(unsafe { _mm256_loadu_si256(block.as_ptr().cast()) });
        let quarter = |i: usize| _mm512_permutex2var_epi16(entries[2 * i], index, entries[2 * i + 1]);
        let odd = _mm512_test_epi16_mask(index, second);
        let low = _mm512_mask_blend_epi16(odd, quarter(0), quarter(1));
        let high = _mm512_mask_blend_epi16(odd, quarter(2), quarter(3));
        store(room, _mm512_mask_blend_epi16(_mm512_test_epi16_mask(index, upper), low, high));
    }
    plain::bytes(tail, table, rest);
}

/// See [`crate::Kernels::lookup_nibbles_u16`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn nibbles(pairs: &[u8], table: &[u16; 16], out: &mut [u16]) {
    // SAFETY: 32 readable bytes; the load needs no alignment.
    let entries = _mm512_broadcast_i64x4(unsafe { _mm256_loadu_si256(table.as_ptr().cast()) });
    let nibble = _mm512_set1_epi32(0x000F_000F);
    let (rooms, rest) = out.as_chunks_mut::<32>();
    let (blocks, _) = pairs.as_chunks::<16>();
    let tail = &pairs[rooms.len() * 16..];
    for (block, room) in blocks.iter().zip(rooms) {
        // SAFETY: 16 readable bytes; the load needs no alignment.
        let wide = _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(block.as_ptr().cast()) });
        let index = _mm512_and_si512(_mm512_or_si512(wide, _mm512_slli_epi32::<12>(wide)), nibble);
        store(room, _mm512_permutexvar_epi16(index, entries));
    }
    plain::nibbles(tail, table, rest);
}
