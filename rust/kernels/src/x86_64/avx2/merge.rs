//! Merging, tile by tile.

use super::compress::{pack_u32, store_256};
use super::merge_straight::straight;
use std::arch::x86_64::{
    _mm256_and_si256, _mm256_andnot_si256, _mm256_castps_si256, _mm256_castsi256_ps, _mm256_cmpgt_epi32,
    _mm256_loadu_ps, _mm256_min_epi32, _mm256_movemask_ps, _mm256_set1_epi32,
};

crate::x86_64::compiled_merge::compiled_merge!("avx2", between, straight);

/// See [`crate::Kernels::merge_between`].
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(crate) fn between(delta: &[f32], low: i32, high: i32, keys: &mut [u32]) -> (usize, usize) {
    let (magnitude, nan) = (_mm256_set1_epi32(plain::MAGNITUDE as i32), _mm256_set1_epi32(plain::NAN as i32));
    let least = _mm256_set1_epi32(low.saturating_sub(1));
    let most = _mm256_set1_epi32(high.saturating_sub(1));
    let (blocks, tail) = delta.as_chunks::<8>();
    let (mut total, mut found) = (0, 0);
    for block in blocks {
        // SAFETY: `block` is 8 readable items of 4 bytes; the load needs no alignment.
        let bits = _mm256_castps_si256(unsafe { _mm256_loadu_ps(block.as_ptr()) });
        let key = _mm256_min_epi32(_mm256_and_si256(bits, magnitude), nan);
        let (reach, above) = (_mm256_cmpgt_epi32(key, least), _mm256_cmpgt_epi32(key, most));
        let within = _mm256_movemask_ps(_mm256_castsi256_ps(_mm256_andnot_si256(above, reach))) as u8;
        total += _mm256_movemask_ps(_mm256_castsi256_ps(above)).count_ones() as usize;
        // There is always room for eight: no more than one is wanted of each element before.
        if within != 0
            && let Some(room) = keys[found..].first_chunk_mut()
        {
            let mut all = [0; 8];
            store_256(&mut all, key);
            pack_u32(&all, within, room);
            found += within.count_ones() as usize;
        }
    }
    let (over, more) = plain::between(tail, low, high, &mut keys[found..]);
    (total + over, found + more)
}
