//! The entries of small codebooks: a search by halving for 32 items at once, with all limits in one register.

use super::registers::load;
use crate::args::nearest_centroid::{Entries, Keys, Table};
use crate::scalar;
use std::arch::x86_64::{
    _mm256_storeu_si256, _mm512_add_epi16, _mm512_and_si512, _mm512_cmpeq_epi16_mask, _mm512_cmpgt_epu16_mask,
    _mm512_cvtepi16_epi8, _mm512_mask_add_epi16, _mm512_permutexvar_epi16, _mm512_set1_epi16, _mm512_setzero_si512,
    _mm512_srai_epi16, _mm512_xor_si512,
};

pub(crate) const TABLE: Table = Table { nearest, searched: true };

/// See [`crate::Kernels::nearest_centroid_u16`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn nearest(src: &[u16], keys: Keys, entries: &Entries, codes: &mut [u8]) -> bool {
    let (limits, names) = (load(&entries.limits), load(&entries.codes.map(u16::from)));
    let (negative, flip) = (_mm512_set1_epi16(keys.flip_negative as i16), _mm512_set1_epi16(keys.flip as i16));
    let infinity = _mm512_set1_epi16(keys.infinity as i16);
    let first = (entries.count.min(31) + 1).next_power_of_two() as i16 / 2;
    let (blocks, tail) = src.as_chunks::<32>();
    let (rooms, rest) = codes.as_chunks_mut::<32>();
    let mut odd = 0;
    for (block, room) in blocks.iter().zip(rooms) {
        let items = load(block);
        odd |= _mm512_cmpeq_epi16_mask(_mm512_and_si512(items, infinity), infinity);
        let sign = _mm512_and_si512(_mm512_srai_epi16::<15>(items), negative);
        let key = _mm512_xor_si512(_mm512_xor_si512(items, sign), flip);
        let (mut above, mut step) = (_mm512_setzero_si512(), first);
        while step > 0 {
            let limit = _mm512_permutexvar_epi16(_mm512_add_epi16(above, _mm512_set1_epi16(step - 1)), limits);
            let larger = _mm512_cmpgt_epu16_mask(key, limit);
            above = _mm512_mask_add_epi16(above, larger, above, _mm512_set1_epi16(step));
            step /= 2;
        }
        let bytes = _mm512_cvtepi16_epi8(_mm512_permutexvar_epi16(above, names));
        // SAFETY: `room` is 32 writable bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(room.as_mut_ptr().cast(), bytes) };
    }
    let last = scalar::nearest_centroid::nearest(tail, keys, entries, rest);
    (keys.infinity != 0 && odd != 0) || last
}
