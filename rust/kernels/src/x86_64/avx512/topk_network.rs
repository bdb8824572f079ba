//! The n largest of every group of 4, 8, 16 or 32: as many registers as a group has items are transposed, so that each
//! lane holds one group, and sorting networks find the n-th largest key of all lanes at once. What is larger is chosen,
//! and of what is equal the lowest places.

use crate::args::topk::Order;
use crate::x86_64::sorting_networks::networks;
use std::arch::x86_64::{
    __m512i, _mm512_abs_epi8, _mm512_abs_epi16, _mm512_abs_epi32, _mm512_abs_epi64, _mm512_and_si512,
    _mm512_cmpge_epu8_mask, _mm512_cmpge_epu16_mask, _mm512_cmpge_epu32_mask, _mm512_cmpge_epu64_mask,
    _mm512_cmpgt_epu8_mask, _mm512_cmpgt_epu16_mask, _mm512_cmpgt_epu32_mask, _mm512_cmpgt_epu64_mask,
    _mm512_loadu_si512, _mm512_mask_permutexvar_epi8, _mm512_mask_permutexvar_epi16, _mm512_mask_permutexvar_epi32,
    _mm512_mask_permutexvar_epi64, _mm512_max_epu8, _mm512_max_epu16, _mm512_max_epu32, _mm512_max_epu64,
    _mm512_min_epu8, _mm512_min_epu16, _mm512_min_epu32, _mm512_min_epu64, _mm512_permutexvar_epi8,
    _mm512_permutexvar_epi16, _mm512_permutexvar_epi32, _mm512_permutexvar_epi64, _mm512_set1_epi8, _mm512_set1_epi16,
    _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512, _pdep_u64,
};

macro_rules! select_bits {
    (
        $name:ident, $t:ty, $signed:ty, $lanes:literal, $mask:ty, $set1:ident, $abs:ident, $min:ident, $max:ident,
        $permute:ident, $mask_permute:ident, $ge:ident, $gt:ident
    ) => {
        /// See [`crate::Kernels::topk_bits_u16`]; m is 4, 8, 16 or 32 and not more than the lanes of a register.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(items: &[$t], order: Order<$t>, (n, m): (usize, usize), bits: &mut [u8]) {
            /// The places of lanes that differ in one bit.
            const SWAPPED: [[$t; $lanes]; 6] = {
                let (mut places, mut bit) = ([[0; $lanes]; 6], 0);
                while bit < 6 {
                    let mut i = 0;
                    while i < $lanes {
                        places[bit][i] = (i ^ (1 << bit)) as $t;
                        i += 1;
                    }
                    bit += 1;
                }
                places
            };
            /// The lanes in which that bit is set.
            const SET: [$mask; 6] = {
                let (mut masks, mut i) = ([0; 6], 0);
                while i < 6 * $lanes {
                    masks[i / $lanes] |= (((i % $lanes) >> (i / $lanes) & 1) as $mask) << (i % $lanes);
                    i += 1;
                }
                masks
            };

            #[inline]
            #[target_feature(enable = "avx512f")]
            fn load(block: &[$t; $lanes]) -> __m512i {
                // SAFETY: `block` is 64 readable bytes; the load needs no alignment.
                unsafe { _mm512_loadu_si512(block.as_ptr().cast()) }
            }

            networks!(__m512i, "avx512f,avx512bw", $max, $min, _mm512_setzero_si512(), $set1(-1));

            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
            fn block<const M: usize>(
                items: &[[$t; $lanes]; M],
                order: Order<$t>,
                n: usize,
                bits: &mut [[u8; $lanes / 8]; M],
            ) {
                let (value, top) = ($set1(order.mask as $signed), $set1(order.top as $signed));
                let mut keys = [_mm512_setzero_si512(); M];
                for (key, items) in keys.iter_mut().zip(items) {
                    let items = if order.signed { $abs(load(items)) } else { load(items) };
                    *key = $min(_mm512_and_si512(items, value), top);
                }
                let mut v = keys;
                for bit in 0..M.ilog2() as usize {
                    let (places, set) = (load(&SWAPPED[bit]), SET[bit]);
                    for i in (0..M).filter(|i| i >> bit & 1 == 0) {
                        let (a, b) = (v[i], v[i | 1 << bit]);
                        v[i] = $mask_permute(a, set, places, b);
                        v[i | 1 << bit] = $mask_permute(b, !set, places, a);
                    }
                }
                sort_halves(&mut v);
                let nth = nth(&v, n);
                for (i, (&keys, bits)) in keys.iter().zip(bits).enumerate() {
                    // The lane that has the groups of register i, for each of them.
                    let lanes: [$t; $lanes] = std::array::from_fn(|lane| (lane / M * M + i) as $t);
                    let limit = $permute(load(&lanes), nth);
                    let mut chosen = $ge(keys, limit);
                    if chosen.count_ones() as usize != $lanes / M * n {
                        let larger = u64::from($gt(keys, limit));
                        let equal = u64::from(chosen) & !larger;
                        let mut both = larger;
                        for at in (0..$lanes).step_by(M) {
                            let group = (u64::MAX >> (64 - M)) << at;
                            let want = n as u32 - (larger & group).count_ones().min(n as u32);
                            both |= _pdep_u64((1 << want) - 1, equal & group);
                        }
                        chosen = both as $mask;
                    }
                    *bits = chosen.to_le_bytes();
                }
            }

            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
            fn all<const M: usize>(items: &[$t], order: Order<$t>, n: usize, bits: &mut [u8]) {
                let (blocks, _) = items.as_chunks::<$lanes>().0.as_chunks::<M>();
                let rest = &items[blocks.len() * M * $lanes..];
                let (outs, last) = bits.split_at_mut(blocks.len() * M * $lanes / 8);
                for (items, bits) in blocks.iter().zip(outs.as_chunks_mut().0.as_chunks_mut().0) {
                    block::<M>(items, order, n, bits);
                }
                if !rest.is_empty() {
                    let (mut items, mut bits) = ([[0; $lanes]; M], [[0; $lanes / 8]; M]);
                    items.as_flattened_mut()[..rest.len()].copy_from_slice(rest);
                    block::<M>(&items, order, n, &mut bits);
                    last.copy_from_slice(&bits.as_flattened()[..last.len()]);
                    if let Some(byte) = last.last_mut() {
                        *byte &= u8::MAX >> (rest.len().wrapping_neg() % 8);
                    }
                }
            }

            match m {
                4 => all::<4>(items, order, n.min(m), bits),
                8 => all::<8>(items, order, n.min(m), bits),
                16 => all::<16>(items, order, n.min(m), bits),
                _ => all::<32>(items, order, n.min(m), bits),
            }
        }
    };
}

select_bits!(
    select_bits_u8,
    u8,
    i8,
    64,
    u64,
    _mm512_set1_epi8,
    _mm512_abs_epi8,
    _mm512_min_epu8,
    _mm512_max_epu8,
    _mm512_permutexvar_epi8,
    _mm512_mask_permutexvar_epi8,
    _mm512_cmpge_epu8_mask,
    _mm512_cmpgt_epu8_mask
);
select_bits!(
    select_bits_u16,
    u16,
    i16,
    32,
    u32,
    _mm512_set1_epi16,
    _mm512_abs_epi16,
    _mm512_min_epu16,
    _mm512_max_epu16,
    _mm512_permutexvar_epi16,
    _mm512_mask_permutexvar_epi16,
    _mm512_cmpge_epu16_mask,
    _mm512_cmpgt_epu16_mask
);
select_bits!(
    select_bits_u32,
    u32,
    i32,
    16,
    u16,
    _mm512_set1_epi32,
    _mm512_abs_epi32,
    _mm512_min_epu32,
    _mm512_max_epu32,
    _mm512_permutexvar_epi32,
    _mm512_mask_permutexvar_epi32,
    _mm512_cmpge_epu32_mask,
    _mm512_cmpgt_epu32_mask
);
select_bits!(
    select_bits_u64,
    u64,
    i64,
    8,
    u8,
    _mm512_set1_epi64,
    _mm512_abs_epi64,
    _mm512_min_epu64,
    _mm512_max_epu64,
    _mm512_permutexvar_epi64,
    _mm512_mask_permutexvar_epi64,
    _mm512_cmpge_epu64_mask,
    _mm512_cmpgt_epu64_mask
);
