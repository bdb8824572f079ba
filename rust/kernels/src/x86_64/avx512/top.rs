//! The n largest of every group: as many whole groups as fit into a register are compared with themselves, rotated
//! within the groups by 1, 2 .. m - 1 places. A rival beats an item if its key is larger, or equal and its place lower;
//! it is lower where the rotation went round the end of the group.

use crate::scalar;
use crate::scalar::top::BitWriter;
use crate::top::Order;
use std::arch::x86_64::{
    __m512i, _mm512_abs_epi8, _mm512_abs_epi16, _mm512_abs_epi32, _mm512_abs_epi64, _mm512_and_si512,
    _mm512_cmplt_epu8_mask, _mm512_cmplt_epu16_mask, _mm512_cmplt_epu32_mask, _mm512_cmplt_epu64_mask,
    _mm512_loadu_si512, _mm512_mask_add_epi8, _mm512_mask_add_epi16, _mm512_mask_add_epi32, _mm512_mask_add_epi64,
    _mm512_mask_cmpge_epu8_mask, _mm512_mask_cmpge_epu16_mask, _mm512_mask_cmpge_epu32_mask,
    _mm512_mask_cmpge_epu64_mask, _mm512_mask_cmpgt_epu8_mask, _mm512_mask_cmpgt_epu16_mask,
    _mm512_mask_cmpgt_epu32_mask, _mm512_mask_cmpgt_epu64_mask, _mm512_maskz_loadu_epi8, _mm512_maskz_loadu_epi16,
    _mm512_maskz_loadu_epi32, _mm512_maskz_loadu_epi64, _mm512_min_epu8, _mm512_min_epu16, _mm512_min_epu32,
    _mm512_min_epu64, _mm512_permutexvar_epi8, _mm512_permutexvar_epi16, _mm512_permutexvar_epi32,
    _mm512_permutexvar_epi64, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_setzero_si512,
};

macro_rules! top_bits {
    (
        $name:ident, $t:ty, $signed:ty, $lanes:literal, $mask:ty, $set1:ident, $load:ident, $abs:ident, $min:ident,
        $permute:ident, $gt:ident, $ge:ident, $add:ident, $lt:ident
    ) => {
        /// See [`crate::Kernels::top_bits_u16`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(items: &[$t], order: Order<$t>, (n, m): (usize, usize), bits: &mut [u8]) {
            if m > $lanes {
                return scalar::top::top_bits(items, order, (n, m), bits);
            }
            let places: [$t; $lanes] = std::array::from_fn(|i| (i / m * m + (i + 1) % m) as $t);
            // SAFETY: `places` is 64 readable bytes; the load needs no alignment.
            let next = unsafe { _mm512_loadu_si512(places.as_ptr().cast()) };
            let last = (0..$lanes).fold(0, |mask: $mask, i| mask | (<$mask>::from(i % m == m - 1) << i));
            let (mut rotations, mut round) = ([next; 32], [last; 32]);
            for r in 1..m - 1 {
                rotations[r] = $permute(next, rotations[r - 1]);
                round[r] = round[r - 1] | (round[r - 1] >> 1);
            }
            let (value, top) = ($set1(order.mask as $signed), $set1(order.top as $signed));
            let (one, most) = ($set1(1), $set1(n as $signed));
            let mut writer = BitWriter::new(bits);
            for block in items.chunks($lanes / m * m) {
                let given = <$mask>::MAX >> ($lanes - block.len());
                // SAFETY: the mask reads the items of `block`; the load needs no alignment.
                let items = unsafe { $load(given, block.as_ptr().cast()) };
                let keys = if order.signed { $abs(items) } else { items };
                let keys = $min(_mm512_and_si512(keys, value), top);
                let mut beaten: __m512i = _mm512_setzero_si512();
                for (&rotation, &round) in rotations.iter().zip(&round).take(m - 1) {
                    let rivals = $permute(rotation, keys);
                    let beats = $gt(!round, rivals, keys) | $ge(round, rivals, keys);
                    beaten = $add(beaten, beats, beaten, one);
                }
                writer.put(u64::from($lt(beaten, most) & given), block.len());
            }
            writer.finish();
        }
    };
}

top_bits!(
    top_bits_u8,
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
    _mm512_cmplt_epu8_mask
);
top_bits!(
    top_bits_u16,
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
    _mm512_cmplt_epu16_mask
);
top_bits!(
    top_bits_u32,
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
    _mm512_cmplt_epu32_mask
);
top_bits!(
    top_bits_u64,
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
    _mm512_cmplt_epu64_mask
);
