//! Look-ups of 16-bit items by codes of 4 bits: their two bytes come from two tables in registers.

use crate::args::lookup::Table;
use crate::scalar::lookup as plain;
use std::arch::x86_64::{
    __m256i, _mm_and_si128, _mm_loadu_si128, _mm_packus_epi16, _mm_set1_epi8, _mm_set1_epi16, _mm_srli_epi16,
    _mm_unpackhi_epi8, _mm_unpacklo_epi8, _mm256_broadcastsi128_si256, _mm256_permute2x128_si256, _mm256_set_m128i,
    _mm256_shuffle_epi8, _mm256_storeu_si256, _mm256_unpackhi_epi8, _mm256_unpacklo_epi8,
};

pub(crate) const TABLE: Table = Table { bytes: plain::bytes, nibbles };

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
