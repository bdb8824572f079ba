//! 2 of 4 of 16-bit items without a step in memory: two registers of items become a register of slots, and 64-bit
//! words of their masks become codes.

use crate::args::topk::Order;
use crate::scalar::nm24_pack::{complete, two};
use std::arch::x86_64::{
    __m512i, _MM_HINT_T0, _mm_prefetch, _mm512_abs_epi16, _mm512_and_si512, _mm512_castsi512_si256,
    _mm512_cmpge_epu16_mask, _mm512_cmpgt_epu16_mask, _mm512_inserti64x4, _mm512_loadu_si512,
    _mm512_maskz_compress_epi16, _mm512_maskz_mov_epi16, _mm512_max_epu16, _mm512_min_epu16, _mm512_rol_epi32,
    _mm512_rol_epi64, _mm512_set1_epi16, _mm512_storeu_si512, _mm512_test_epi16_mask, _pext_u64,
};

/// Bytes from an item to the one that is asked for meanwhile: the hardware does not look beyond a page.
const AHEAD: usize = 4096;

/// How items rank.
#[derive(Clone, Copy)]
struct Rank {
    signed: bool,
    value: __m512i,
    top: __m512i,
}

/// The keys of items, and the second largest of their group.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn seconds(items: __m512i, rank: Rank) -> (__m512i, __m512i) {
    let value = if rank.signed { _mm512_abs_epi16(items) } else { items };
    let keys = _mm512_min_epu16(_mm512_and_si512(value, rank.value), rank.top);
    let rivals = _mm512_rol_epi32::<16>(keys);
    let (larger, smaller) = (_mm512_max_epu16(keys, rivals), _mm512_min_epu16(keys, rivals));
    let (other_larger, other_smaller) = (_mm512_rol_epi64::<32>(larger), _mm512_rol_epi64::<32>(smaller));
    let both = _mm512_max_epu16(smaller, other_smaller);
    (keys, _mm512_max_epu16(_mm512_min_epu16(larger, other_larger), both))
}

/// The two largest items of every group, of equal ones the first.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,popcnt")]
fn chosen(low: __m512i, high: __m512i, rank: Rank) -> u64 {
    let ((low, low_second), (high, high_second)) = (seconds(low, rank), seconds(high, rank));
    let least = [_mm512_cmpge_epu16_mask(low, low_second), _mm512_cmpge_epu16_mask(high, high_second)];
    let least = u64::from(least[0]) | u64::from(least[1]) << 32;
    if least.count_ones() == 32 {
        return least;
    }
    let above = [_mm512_cmpgt_epu16_mask(low, low_second), _mm512_cmpgt_epu16_mask(high, high_second)];
    let above = u64::from(above[0]) | u64::from(above[1]) << 32;
    two(above, least & !above)
}

/// See [`crate::Kernels::nm24_pack`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn pack(items: &[u16], order: Option<Order<u16>>, zero: u16, codes: &mut [u8], slots: &mut [u16]) -> bool {
    let zeros = _mm512_set1_epi16(zero as i16);
    let rank = order.map(|order| Rank {
        signed: order.signed,
        value: _mm512_set1_epi16(order.mask as i16),
        top: _mm512_set1_epi16(order.top as i16),
    });
    let mut over = 0;
    let rooms = codes.as_chunks_mut::<6>().0.iter_mut().zip(slots.as_chunks_mut::<32>().0);
    for (block, (codes, slots)) in items.as_chunks::<64>().0.iter().zip(rooms) {
        let ahead = block.as_ptr().cast::<i8>().wrapping_add(AHEAD);
        _mm_prefetch::<_MM_HINT_T0>(ahead);
        _mm_prefetch::<_MM_HINT_T0>(ahead.wrapping_add(64));
        let [low, high] = [&block[..32], &block[32..]].map(|half| {
            // SAFETY: 64 readable bytes; the load needs no alignment.
            unsafe { _mm512_loadu_si512(half.as_ptr().cast()) }
        });
        let nonzero = [low, high].map(|items| u64::from(_mm512_test_epi16_mask(items, zeros)));
        let mut keep = nonzero[0] | nonzero[1] << 32;
        if let Some(rank) = rank {
            keep &= chosen(low, high, rank);
        }
        let groups = complete(keep);
        over |= groups.over;
        codes.copy_from_slice(&_pext_u64(groups.code, 0x7777_7777_7777_7777).to_le_bytes()[..6]);
        let first = _mm512_maskz_compress_epi16(groups.full as u32, _mm512_maskz_mov_epi16(keep as u32, low));
        let (full, keep) = ((groups.full >> 32) as u32, (keep >> 32) as u32);
        let second = _mm512_maskz_compress_epi16(full, _mm512_maskz_mov_epi16(keep, high));
        let both = _mm512_inserti64x4::<1>(first, _mm512_castsi512_si256(second));
        // SAFETY: room for 32 slots of 2 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_si512(slots.as_mut_ptr().cast(), both) };
    }
    over != 0
}
