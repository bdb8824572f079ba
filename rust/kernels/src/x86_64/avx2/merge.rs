//! Merging, tile by tile.

use super::compress::{load_256, pack_u32, store_256};
use super::merge_straight::{AHEAD, LINE, Pair, SIDE, straight, wide};
use super::merge_voted::{border, voted};
use crate::prefetch::prefetch_line;
use std::arch::x86_64::{
    _mm256_add_epi32, _mm256_and_si256, _mm256_andnot_si256, _mm256_castps_si256, _mm256_castsi256_ps,
    _mm256_cmpgt_epi32, _mm256_loadu_ps, _mm256_min_epi32, _mm256_movemask_epi8, _mm256_movemask_ps,
    _mm256_packs_epi16, _mm256_packs_epi32, _mm256_permute2x128_si256, _mm256_set1_epi32, _mm256_setzero_si256,
    _mm256_sub_ps,
};

crate::x86_64::compiled_merge::compiled_merge!("avx2", between, between_bf16, straight, voted);

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

/// See [`crate::Kernels::merge_between_bf16`].
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(crate) fn between_bf16(base: &[u16], items: &[u16], low: i32, high: i32, keys: &mut [u32]) -> (usize, usize) {
    let (magnitude, nan) = (_mm256_set1_epi32(plain::MAGNITUDE as i32), _mm256_set1_epi32(plain::NAN as i32));
    let least = _mm256_set1_epi32(border(low.saturating_sub(1)));
    let most = _mm256_set1_epi32(border(high.saturating_sub(1)));
    let (mut below, mut found) = (_mm256_setzero_si256(), 0);
    for (i, (base, items)) in base.as_chunks::<SIDE>().0.iter().zip(items.as_chunks::<SIDE>().0).enumerate() {
        if i % LINE == 0 {
            prefetch_line(base, AHEAD * SIDE);
            prefetch_line(items, AHEAD * SIDE);
        }
        let (anchor, x) = (wide(load_256(base)), wide(load_256(items)));
        let x = Pair(_mm256_sub_ps(x.0, anchor.0), _mm256_sub_ps(x.1, anchor.1));
        let first = _mm256_and_si256(_mm256_castps_si256(x.0), magnitude);
        let second = _mm256_and_si256(_mm256_castps_si256(x.1), magnitude);
        let above = (_mm256_cmpgt_epi32(first, most), _mm256_cmpgt_epi32(second, most));
        below = _mm256_add_epi32(below, _mm256_add_epi32(above.0, above.1));
        let first_within = _mm256_andnot_si256(above.0, _mm256_cmpgt_epi32(first, least));
        let second_within = _mm256_andnot_si256(above.1, _mm256_cmpgt_epi32(second, least));
        let within = _mm256_packs_epi16(_mm256_packs_epi32(first_within, second_within), _mm256_setzero_si256());
        let within = _mm256_movemask_epi8(within);
        if within != 0 {
            // A byte each: the first eight in the lower half, the others in the upper one.
            let (first, second) = (_mm256_min_epi32(first, nan), _mm256_min_epi32(second, nan));
            let fronts = (_mm256_permute2x128_si256::<0x20>(first, second), within as u8);
            let backs = (_mm256_permute2x128_si256::<0x31>(first, second), (within >> 16) as u8);
            for (eight, within) in [fronts, backs] {
                // There is always room for eight: no more than one is wanted of each element before.
                if let Some(room) = keys[found..].first_chunk_mut() {
                    let mut all = [0; 8];
                    store_256(&mut all, eight);
                    pack_u32(&all, within, room);
                    found += within.count_ones() as usize;
                }
            }
        }
    }
    let mut lanes = [0i32; 8];
    store_256(&mut lanes, below);
    let above: i64 = lanes.iter().map(|&lane| -i64::from(lane)).sum();
    (above as usize, found)
}
