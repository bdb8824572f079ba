//! Nonzero masks: one `vptestm` per register.

use crate::prefetch::{MASKED, prefetch_line};
use crate::scalar;
use std::arch::x86_64::{
    __m512i, _mm512_loadu_si512, _mm512_set1_epi8, _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_epi64,
    _mm512_test_epi8_mask, _mm512_test_epi16_mask, _mm512_test_epi32_mask, _mm512_test_epi64_mask,
};

macro_rules! nonzero_bits {
    ($name:ident, $t:ty, $signed:ty, $lanes:literal, $set1:ident, $test:ident) => {
        /// See [`crate::Kernels::nonzero_bits_u16`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(src: &[$t], zero: $t, bits: &mut [u8]) -> usize {
            const BYTES: usize = $lanes / 8;
            let mask = $set1(zero as $signed);
            let (blocks, tail) = src.as_chunks::<$lanes>();
            let (head, rest) = bits.split_at_mut(blocks.len() * BYTES);
            let mut count = 0;
            for (block, out) in blocks.iter().zip(head.as_chunks_mut::<BYTES>().0) {
                prefetch_line(block, MASKED / size_of::<$t>());
                // SAFETY: `block` is 64 readable bytes; the load needs no alignment.
                let items: __m512i = unsafe { _mm512_loadu_si512(block.as_ptr().cast()) };
                let found = $test(items, mask);
                count += found.count_ones() as usize;
                *out = found.to_le_bytes();
            }
            count + scalar::nonzero_bits::nonzero_bits(tail, zero, rest)
        }
    };
}

nonzero_bits!(nonzero_bits_u8, u8, i8, 64, _mm512_set1_epi8, _mm512_test_epi8_mask);
nonzero_bits!(nonzero_bits_u16, u16, i16, 32, _mm512_set1_epi16, _mm512_test_epi16_mask);
nonzero_bits!(nonzero_bits_u32, u32, i32, 16, _mm512_set1_epi32, _mm512_test_epi32_mask);
nonzero_bits!(nonzero_bits_u64, u64, i64, 8, _mm512_set1_epi64, _mm512_test_epi64_mask);
