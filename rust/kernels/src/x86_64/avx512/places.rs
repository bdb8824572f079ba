//! Bits from places: 64 columns at a time, from the indices of up to four registers.

use std::arch::x86_64::{
    __m128i, __m512i, _mm_cvtsi128_si64, _mm_or_si128, _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi32,
    _mm256_castsi256_si128, _mm256_extracti128_si256, _mm256_or_si256, _mm512_castsi512_si256, _mm512_cmplt_epi32_mask,
    _mm512_cmplt_epu32_mask, _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_or_si512, _mm512_set1_epi32,
    _mm512_setzero_si512, _mm512_sllv_epi32, _mm512_sub_epi32,
};

#[inline]
#[target_feature(enable = "avx512f")]
fn load(indices: &[i32; 16]) -> __m512i {
    // SAFETY: `indices` is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(indices.as_ptr().cast()) }
}

/// Whether each index is larger than the one before, and all lie in `0..bound`.
#[inline]
#[target_feature(enable = "avx512f")]
fn ascend(indices: &[i32], bound: usize) -> bool {
    let (Some(&first), Some(&last)) = (indices.first(), indices.last()) else { return true };
    let mut fine = first >= 0 && usize::try_from(last).is_ok_and(|last| last < bound);
    let (lower, lower_tail) = indices[..indices.len() - 1].as_chunks::<16>();
    let (upper, upper_tail) = indices[1..].as_chunks::<16>();
    for (lower, upper) in lower.iter().zip(upper) {
        fine &= _mm512_cmplt_epi32_mask(load(lower), load(upper)) == u16::MAX;
    }
    fine && lower_tail.iter().zip(upper_tail).all(|(lower, upper)| lower < upper)
}

/// All lanes of a register joined by or.
#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn quarter(lanes: __m512i) -> __m128i {
    let half = _mm256_or_si256(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64::<1>(lanes));
    _mm_or_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
}

/// The bits of 64 columns from `base` on, and how many of the ascending indices are below their end.
#[inline]
#[target_feature(enable = "avx512f,avx2,popcnt")]
fn word(indices: &[i32; 64], base: i32) -> (u64, usize) {
    let (one, base) = (_mm512_set1_epi32(1), _mm512_set1_epi32(base));
    let (end, half) = (_mm512_set1_epi32(64), _mm512_set1_epi32(32));
    let (mut low, mut high) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let mut count = 0;
    for (i, part) in indices.as_chunks::<16>().0.iter().enumerate() {
        // Three parts hold all but the densest 64 columns: without a branch for each.
        if i == 3 && count < 48 {
            break;
        }
        let places = _mm512_sub_epi32(load(part), base);
        count += _mm512_cmplt_epu32_mask(places, end).count_ones() as usize;
        // A shift by 32 or more, and one by less than 0, gives 0.
        low = _mm512_or_si512(low, _mm512_sllv_epi32(one, places));
        high = _mm512_or_si512(high, _mm512_sllv_epi32(one, _mm512_sub_epi32(places, half)));
    }
    let (low, high) = (quarter(low), quarter(high));
    let both = _mm_or_si128(_mm_unpacklo_epi32(low, high), _mm_unpackhi_epi32(low, high));
    let both = _mm_or_si128(both, _mm_unpackhi_epi64(both, both));
    (_mm_cvtsi128_si64(both) as u64, count)
}

/// See [`crate::Kernels::bits_of_i32`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn bits_of_i32(indices: &[i32], bits: &mut [u8]) -> bool {
    if !ascend(indices, bits.len().saturating_mul(8)) {
        return false;
    }
    let mut read = 0;
    for (at, bytes) in bits.chunks_mut(8).enumerate() {
        let left = indices.get(read..).unwrap_or_default();
        let base = 64 * at as i64;
        let found = if let (Some(some), Ok(base)) = (left.first_chunk(), i32::try_from(base)) {
            let (found, count) = word(some, base);
            read += count;
            found
        } else {
            let inside = left.iter().map(|&index| i64::from(index) - base).take_while(|&place| place < 64);
            inside.fold(0, |found, place| {
                read += 1;
                found | 1 << (place & 63)
            })
        };
        bytes.copy_from_slice(&found.to_le_bytes()[..bytes.len()]);
    }
    true
}
