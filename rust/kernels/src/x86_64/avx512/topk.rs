//! The n largest of every group: as many whole groups as fit into a register are compared with themselves, rotated
//! within the groups by 1, 2 .. m - 1 places. A rival beats an item if its key is larger, or equal and its place lower;
//! it is lower where the rotation went round the end of the group.

use super::topk_network;
use crate::args::topk::Order;
use crate::scalar;
use crate::scalar::topk::BitWriter;
use std::arch::x86_64::{
    __m512i, _mm512_abs_epi8, _mm512_abs_epi16, _mm512_abs_epi32, _mm512_abs_epi64, _mm512_and_si512,
    _mm512_castsi512_si256, _mm512_cmpge_epu8_mask, _mm512_cmpge_epu16_mask, _mm512_cmpge_epu32_mask,
    _mm512_cmpge_epu64_mask, _mm512_cmplt_epu8_mask, _mm512_cmplt_epu16_mask, _mm512_cmplt_epu32_mask,
    _mm512_cmplt_epu64_mask, _mm512_cvtepu8_epi16, _mm512_extracti64x4_epi64, _mm512_loadu_si512, _mm512_mask_add_epi8,
    _mm512_mask_add_epi16, _mm512_mask_add_epi32, _mm512_mask_add_epi64, _mm512_mask_cmpge_epu8_mask,
    _mm512_mask_cmpge_epu16_mask, _mm512_mask_cmpge_epu32_mask, _mm512_mask_cmpge_epu64_mask,
    _mm512_mask_cmpgt_epu8_mask, _mm512_mask_cmpgt_epu16_mask, _mm512_mask_cmpgt_epu32_mask,
    _mm512_mask_cmpgt_epu64_mask, _mm512_maskz_loadu_epi8, _mm512_maskz_loadu_epi16, _mm512_maskz_loadu_epi32,
    _mm512_maskz_loadu_epi64, _mm512_max_epu8, _mm512_max_epu16, _mm512_max_epu32, _mm512_max_epu64, _mm512_min_epu8,
    _mm512_min_epu16, _mm512_min_epu32, _mm512_min_epu64, _mm512_or_si512, _mm512_permutex_epi64,
    _mm512_permutexvar_epi8, _mm512_permutexvar_epi16, _mm512_permutexvar_epi32, _mm512_permutexvar_epi64,
    _mm512_rol_epi32, _mm512_rol_epi64, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_setzero_si512, _mm512_shuffle_epi32, _mm512_slli_epi16, _mm512_srli_epi16,
};

/// The places of the rivals for every rotation of groups of `m`: place `i` after `r` rotations by one more.
const fn rotated<const LANES: usize>(m: usize, r: usize) -> [u64; LANES] {
    let (mut places, mut i) = ([0; LANES], 0);
    while i < LANES {
        places[i] = (i / m * m + (i + r) % m) as u64;
        i += 1;
    }
    places
}

/// The lanes in which rotating groups of `m` by `r` goes round the end.
const fn rounded(lanes: usize, m: usize, r: usize) -> u64 {
    let (mut mask, mut i) = (0, 0);
    while i < lanes {
        if i % m + r >= m {
            mask |= 1 << i;
        }
        i += 1;
    }
    mask
}

/// 2 of 4 bytes. Many bytes are equal, so each is widened and gets its place as the last bits: no two tie.
#[inline]
#[target_feature(enable = "avx512f,avx512bw")]
fn two_of_four_bytes(keys: __m512i) -> u64 {
    let places = _mm512_set1_epi64(0x0000_0001_0002_0003);
    let half = |bytes| {
        let keys = _mm512_or_si512(_mm512_slli_epi16::<2>(_mm512_cvtepu8_epi16(bytes)), places);
        let rivals = _mm512_rol_epi32::<16>(keys);
        let (larger, smaller) = (_mm512_max_epu16(keys, rivals), _mm512_min_epu16(keys, rivals));
        let (other_larger, other_smaller) = (_mm512_rol_epi64::<32>(larger), _mm512_rol_epi64::<32>(smaller));
        let least = _mm512_min_epu16(larger, other_larger);
        u64::from(_mm512_cmpge_epu16_mask(keys, _mm512_max_epu16(least, _mm512_max_epu16(smaller, other_smaller))))
    };
    half(_mm512_castsi512_si256(keys)) | (half(_mm512_extracti64x4_epi64::<1>(keys)) << 32)
}

macro_rules! topk_bits {
    (
        $name:ident, $select:ident, $t:ty, $signed:ty, $lanes:literal, $mask:ty, $set1:ident, $load:ident, $abs:ident, $min:ident,
        $permute:ident, $gt:ident, $ge:ident, $add:ident, $lt:ident, $max:ident, $least:ident, $neighbours:expr,
        $halves:expr
    ) => {
        /// See [`crate::Kernels::topk_bits_u16`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(items: &[$t], order: Order<$t>, (n, m): (usize, usize), bits: &mut [u8]) {
            /// Rotations of groups of `M`, a divisor of the number of lanes.
            struct Rotations<const M: usize>;

            impl<const M: usize> Rotations<M> {
                const PLACES: [[$t; $lanes]; M] = {
                    let (mut places, mut r) = ([[0; $lanes]; M], 0);
                    while r < M {
                        let (row, mut i) = (rotated::<$lanes>(M, r), 0);
                        while i < $lanes {
                            places[r][i] = row[i] as $t;
                            i += 1;
                        }
                        r += 1;
                    }
                    places
                };
                const ROUND: [$mask; M] = {
                    let (mut masks, mut r) = ([0; M], 0);
                    while r < M {
                        masks[r] = rounded($lanes, M, r) as $mask;
                        r += 1;
                    }
                    masks
                };
            }

            #[inline]
            #[target_feature(enable = "avx512f")]
            fn whole(block: &[$t; $lanes]) -> __m512i {
                // SAFETY: `block` is 64 readable bytes; the load needs no alignment.
                unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
            }

            /// The first items of a register, zeros behind them.
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw")]
            fn part(block: &[$t]) -> __m512i {
                let given = if block.is_empty() { 0 } else { <$mask>::MAX >> ($lanes - block.len().min($lanes)) };
                // SAFETY: the mask reads items of `block`; the load needs no alignment.
                unsafe { $load(given, block.as_ptr().cast()) }
            }

            /// How items rank, and how many are chosen.
            #[derive(Clone, Copy)]
            struct Rank {
                signed: bool,
                value: __m512i,
                top: __m512i,
                most: __m512i,
            }

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw")]
            fn keys(items: __m512i, rank: Rank) -> __m512i {
                let value = if rank.signed { $abs(items) } else { items };
                $min(_mm512_and_si512(value, rank.value), rank.top)
            }

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
            fn step(beaten: __m512i, keys: __m512i, places: __m512i, round: $mask) -> __m512i {
                let rivals = $permute(places, keys);
                let beats = $gt(!round, rivals, keys) | $ge(round, rivals, keys);
                $add(beaten, beats, beaten, $set1(1))
            }

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
            fn chosen<const M: usize>(items: __m512i, rank: Rank) -> $mask {
                let keys = keys(items, rank);
                let mut beaten = _mm512_setzero_si512();
                for r in 1..M {
                    beaten = step(beaten, keys, whole(&Rotations::<M>::PLACES[r]), Rotations::<M>::ROUND[r]);
                }
                $lt(beaten, rank.most)
            }

            /// 2 of 4 without counting rivals: what is not below the second largest key, if that is two each.
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,popcnt")]
            fn nm24_pack(items: __m512i, rank: Rank) -> $mask {
                let keys = keys(items, rank);
                if size_of::<$t>() == 1 {
                    return two_of_four_bytes(keys) as $mask;
                }
                let (neighbours, halves) = ($neighbours, $halves);
                let rivals = neighbours(keys);
                let (larger, smaller) = ($max(keys, rivals), $min(keys, rivals));
                let (other_larger, other_smaller) = (halves(larger), halves(smaller));
                let second = $max($min(larger, other_larger), $max(smaller, other_smaller));
                let mask = $least(keys, second);
                if mask.count_ones() == $lanes / 2 { mask } else { chosen::<4>(items, rank) }
            }

            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vbmi,popcnt")]
            fn choose<const M: usize, const TWO: bool>(items: __m512i, rank: Rank) -> $mask {
                if TWO { nm24_pack(items, rank) } else { chosen::<M>(items, rank) }
            }

            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
            fn aligned<const M: usize, const TWO: bool>(items: &[$t], rank: Rank, bits: &mut [u8]) {
                let (blocks, tail) = items.as_chunks::<$lanes>();
                let (bits, tail_bits) = bits.split_at_mut(blocks.len() * ($lanes / 8));
                for (block, bits) in blocks.iter().zip(bits.as_chunks_mut().0) {
                    *bits = choose::<M, TWO>(whole(block), rank).to_le_bytes();
                }
                if !tail.is_empty() {
                    let given = <$mask>::MAX >> ($lanes - tail.len());
                    let last = (chosen::<M>(part(tail), rank) & given).to_le_bytes();
                    tail_bits.copy_from_slice(&last[..tail_bits.len()]);
                }
            }

            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
            fn any(items: &[$t], m: usize, rank: Rank, bits: &mut [u8]) {
                let next = whole(&rotated::<$lanes>(m, 1).map(|place| place as $t));
                let last = rounded($lanes, m, 1) as $mask;
                let (mut places, mut round) = ([next; 32], [last; 32]);
                for r in 1..m {
                    places[r] = $permute(next, places[r - 1]);
                    round[r] = round[r - 1] | (round[r - 1] >> 1);
                }
                let mut writer = BitWriter::new(bits);
                for block in items.chunks($lanes / m * m) {
                    let keys = keys(part(block), rank);
                    let mut beaten = _mm512_setzero_si512();
                    for (&places, &round) in places.iter().zip(&round).take(m - 1) {
                        beaten = step(beaten, keys, places, round);
                    }
                    let given = <$mask>::MAX >> ($lanes - block.len());
                    writer.put(u64::from($lt(beaten, rank.most) & given), block.len());
                }
                writer.finish();
            }

            let (value, top) = ($set1(order.mask as $signed), $set1(order.top as $signed));
            let rank = Rank { signed: order.signed, value, top, most: $set1(n as $signed) };
            match m {
                2 => aligned::<2, false>(items, rank, bits),
                4 if n == 2 => aligned::<4, true>(items, rank, bits),
                4 | 8 | 16 | 32 if m <= $lanes => topk_network::$select(items, order, (n, m), bits),
                _ if m <= $lanes => any(items, m, rank, bits),
                _ => scalar::topk::topk_bits(items, order, (n, m), bits),
            }
        }
    };
}

topk_bits!(
    topk_bits_u8,
    select_bits_u8,
    u8,
    i8,
    64,
    u64,
    _mm512_set1_epi8,
    _mm512_maskz_loadu_epi8,
    _mm512_abs_epi8,
    _mm512_min_epu8,
    _mm512_permutexvar_epi8,
    _mm512_mask_cmpgt_epu8_mask,
    _mm512_mask_cmpge_epu8_mask,
    _mm512_mask_add_epi8,
    _mm512_cmplt_epu8_mask,
    _mm512_max_epu8,
    _mm512_cmpge_epu8_mask,
    |a| _mm512_or_si512(_mm512_slli_epi16::<8>(a), _mm512_srli_epi16::<8>(a)),
    |a| _mm512_rol_epi32::<16>(a)
);
topk_bits!(
    topk_bits_u16,
    select_bits_u16,
    u16,
    i16,
    32,
    u32,
    _mm512_set1_epi16,
    _mm512_maskz_loadu_epi16,
    _mm512_abs_epi16,
    _mm512_min_epu16,
    _mm512_permutexvar_epi16,
    _mm512_mask_cmpgt_epu16_mask,
    _mm512_mask_cmpge_epu16_mask,
    _mm512_mask_add_epi16,
    _mm512_cmplt_epu16_mask,
    _mm512_max_epu16,
    _mm512_cmpge_epu16_mask,
    |a| _mm512_rol_epi32::<16>(a),
    |a| _mm512_rol_epi64::<32>(a)
);
topk_bits!(
    topk_bits_u32,
    select_bits_u32,
    u32,
    i32,
    16,
    u16,
    _mm512_set1_epi32,
    _mm512_maskz_loadu_epi32,
    _mm512_abs_epi32,
    _mm512_min_epu32,
    _mm512_permutexvar_epi32,
    _mm512_mask_cmpgt_epu32_mask,
    _mm512_mask_cmpge_epu32_mask,
    _mm512_mask_add_epi32,
    _mm512_cmplt_epu32_mask,
    _mm512_max_epu32,
    _mm512_cmpge_epu32_mask,
    |a| _mm512_rol_epi64::<32>(a),
    |a| _mm512_shuffle_epi32::<0b01_00_11_10>(a)
);
topk_bits!(
    topk_bits_u64,
    select_bits_u64,
    u64,
    i64,
    8,
    u8,
    _mm512_set1_epi64,
    _mm512_maskz_loadu_epi64,
    _mm512_abs_epi64,
    _mm512_min_epu64,
    _mm512_permutexvar_epi64,
    _mm512_mask_cmpgt_epu64_mask,
    _mm512_mask_cmpge_epu64_mask,
    _mm512_mask_add_epi64,
    _mm512_cmplt_epu64_mask,
    _mm512_max_epu64,
    _mm512_cmpge_epu64_mask,
    |a| _mm512_permutex_epi64::<0b10_11_00_01>(a),
    |a| _mm512_permutex_epi64::<0b01_00_11_10>(a)
);
