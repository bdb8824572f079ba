//! 2 of 4 of 16-bit items without a step in memory, 64 items at a time: four registers of items become two of slots,
//! and 64-bit words of their masks become codes.

use crate::args::topk::Order;
use crate::scalar::nm24_pack::{complete, thirds, two};
use std::arch::x86_64::{
    __m256i, _mm256_abs_epi16, _mm256_and_si256, _mm256_andnot_si256, _mm256_cmpeq_epi16, _mm256_loadu_si256,
    _mm256_max_epu16, _mm256_min_epu16, _mm256_movemask_epi8, _mm256_packs_epi16, _mm256_permute4x64_epi64,
    _mm256_set_epi64x, _mm256_set1_epi16, _mm256_setr_epi8, _mm256_setr_epi16, _mm256_setzero_si256,
    _mm256_shuffle_epi8, _mm256_shuffle_epi32, _mm256_storeu_si256, _mm256_unpacklo_epi64,
};

/// How items rank.
#[derive(Clone, Copy)]
struct Rank {
    signed: bool,
    value: __m256i,
    top: __m256i,
}

/// For each byte of mask with two bits in either half, where the bytes of its four items are.
const BYTES: [u64; 256] = {
    let mut table = [0; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut place, mut shift) = (0, 0);
        while place < 8 && shift < 64 {
            if byte >> place & 1 == 1 {
                table[byte] |= ((2 * place) | ((2 * place + 1) << 8)) << shift;
                shift += 16;
            }
            place += 1;
        }
        byte += 1;
    }
    table
};

#[inline]
#[target_feature(enable = "avx2")]
fn load(items: &[u16; 16]) -> __m256i {
    // SAFETY: `items` is 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(items.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn store(room: &mut [u16; 16], items: __m256i) {
    // SAFETY: `room` is 32 writable bytes; the store needs no alignment.
    unsafe { _mm256_storeu_si256(room.as_mut_ptr().cast(), items) }
}

/// A bit for each lane of four registers, each of which has all bits set or none.
#[inline]
#[target_feature(enable = "avx2")]
fn bits(lanes: [__m256i; 4]) -> u64 {
    let half = |low, high| {
        let packed = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high));
        u64::from(_mm256_movemask_epi8(packed) as u32)
    };
    half(lanes[0], lanes[1]) | half(lanes[2], lanes[3]) << 32
}

/// The keys of items, and the second largest of their group.
#[inline]
#[target_feature(enable = "avx2")]
fn seconds(items: __m256i, rank: Rank) -> (__m256i, __m256i) {
    let neighbours = _mm256_setr_epi8(
        2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13, 2, 3, 0, 1, 6, 7, 4, 5, 10, 11, 8, 9, 14, 15, 12, 13,
    );
    let value = if rank.signed { _mm256_abs_epi16(items) } else { items };
    let keys = _mm256_min_epu16(_mm256_and_si256(value, rank.value), rank.top);
    let rivals = _mm256_shuffle_epi8(keys, neighbours);
    let (larger, smaller) = (_mm256_max_epu16(keys, rivals), _mm256_min_epu16(keys, rivals));
    let other_larger = _mm256_shuffle_epi32::<0b10_11_00_01>(larger);
    let other_smaller = _mm256_shuffle_epi32::<0b10_11_00_01>(smaller);
    let both = _mm256_max_epu16(smaller, other_smaller);
    (keys, _mm256_max_epu16(_mm256_min_epu16(larger, other_larger), both))
}

/// The two largest items of every group, of equal ones the first.
#[inline]
#[target_feature(enable = "avx2,popcnt")]
fn chosen(items: [__m256i; 4], rank: Rank) -> u64 {
    let (mut least, mut most) = ([_mm256_setzero_si256(); 4], [_mm256_setzero_si256(); 4]);
    for i in 0..4 {
        let (keys, second) = seconds(items[i], rank);
        let larger = _mm256_max_epu16(keys, second);
        (least[i], most[i]) = (_mm256_cmpeq_epi16(larger, keys), _mm256_cmpeq_epi16(larger, second));
    }
    let least = bits(least);
    if least.count_ones() == 32 {
        return least;
    }
    let above = !bits(most);
    two(above, least & !above)
}

/// See [`crate::Kernels::nm24_pack`].
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(crate) fn pack(items: &[u16], order: Option<Order<u16>>, zero: u16, codes: &mut [u8], slots: &mut [u16]) -> bool {
    let (zeros, none) = (_mm256_set1_epi16(zero as i16), _mm256_setzero_si256());
    let rank = order.map(|order| Rank {
        signed: order.signed,
        value: _mm256_set1_epi16(order.mask as i16),
        top: _mm256_set1_epi16(order.top as i16),
    });
    let lanes = _mm256_setr_epi16(1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 8192, 16384, i16::MIN);
    let mut over = 0;
    let rooms = codes.as_chunks_mut::<6>().0.iter_mut().zip(slots.as_chunks_mut::<32>().0);
    for (block, (codes, slots)) in items.as_chunks::<64>().0.iter().zip(rooms) {
        let [a, b, c, d] = block.as_chunks::<16>().0 else { continue };
        let items = [load(a), load(b), load(c), load(d)];
        let mut keep = !bits(items.map(|items| _mm256_cmpeq_epi16(_mm256_and_si256(items, zeros), none)));
        if let Some(rank) = rank {
            keep &= chosen(items, rank);
        }
        let groups = complete(keep);
        over |= groups.over;
        codes.copy_from_slice(&thirds(groups.code).to_le_bytes()[..6]);
        let (full, kept) = (groups.full.to_le_bytes(), keep == groups.full);
        let mut packed = items;
        for (i, packed) in packed.iter_mut().enumerate() {
            if !kept {
                let keep = _mm256_set1_epi16((keep >> (16 * i)) as i16);
                *packed = _mm256_andnot_si256(_mm256_cmpeq_epi16(_mm256_and_si256(keep, lanes), none), *packed);
            }
            let [low, high] = [full[2 * i], full[2 * i + 1]].map(|byte| BYTES[usize::from(byte)] as i64);
            *packed = _mm256_shuffle_epi8(*packed, _mm256_set_epi64x(0, high, 0, low));
        }
        let [low, high] = slots.as_chunks_mut::<16>().0 else { continue };
        let pair = |a, b| _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_unpacklo_epi64(a, b));
        store(low, pair(packed[0], packed[1]));
        store(high, pair(packed[2], packed[3]));
    }
    over != 0
}
