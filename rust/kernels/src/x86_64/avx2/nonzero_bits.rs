//! Nonzero masks: compare with zero, narrow to bytes, collect the sign bits.

use crate::prefetch::{MASKED, prefetch_line};
use crate::scalar;
use std::arch::x86_64::{
    __m256i, _mm256_and_si256, _mm256_castsi256_pd, _mm256_castsi256_ps, _mm256_cmpeq_epi8, _mm256_cmpeq_epi16,
    _mm256_cmpeq_epi32, _mm256_cmpeq_epi64, _mm256_loadu_si256, _mm256_movemask_epi8, _mm256_movemask_pd,
    _mm256_movemask_ps, _mm256_packs_epi16, _mm256_permute4x64_epi64, _mm256_set1_epi8, _mm256_set1_epi16,
    _mm256_set1_epi32, _mm256_set1_epi64x, _mm256_setzero_si256,
};

/// Loads 32 bytes.
#[target_feature(enable = "avx2")]
fn load<T>(block: &[T]) -> __m256i {
    assert!(size_of_val(block) >= 32);
    // SAFETY: `block` is at least 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(block.as_ptr().cast()) }
}

/// Bytes of nonzero bits for 32 items of one byte.
#[target_feature(enable = "avx2")]
fn bits_u8(block: &[u8; 32], mask: __m256i) -> [u8; 4] {
    let zeros = _mm256_cmpeq_epi8(_mm256_and_si256(load(block), mask), _mm256_setzero_si256());
    (!_mm256_movemask_epi8(zeros)).to_le_bytes()
}

/// Bytes of nonzero bits for 32 items of two bytes. `vpacksswb` works in 128-bit halves, so quarters are put right.
#[target_feature(enable = "avx2")]
fn bits_u16(block: &[u16; 32], mask: __m256i) -> [u8; 4] {
    let zero = _mm256_setzero_si256();
    let low = _mm256_cmpeq_epi16(_mm256_and_si256(load(&block[..16]), mask), zero);
    let high = _mm256_cmpeq_epi16(_mm256_and_si256(load(&block[16..]), mask), zero);
    let zeros = _mm256_permute4x64_epi64::<0b11_01_10_00>(_mm256_packs_epi16(low, high));
    (!_mm256_movemask_epi8(zeros)).to_le_bytes()
}

/// The byte of nonzero bits for 8 items of four bytes.
#[target_feature(enable = "avx2")]
fn bits_u32(block: &[u32; 8], mask: __m256i) -> [u8; 1] {
    let zeros = _mm256_cmpeq_epi32(_mm256_and_si256(load(block), mask), _mm256_setzero_si256());
    [!_mm256_movemask_ps(_mm256_castsi256_ps(zeros)) as u8]
}

/// The byte of nonzero bits for 8 items of eight bytes.
#[target_feature(enable = "avx2")]
fn bits_u64(block: &[u64; 8], mask: __m256i) -> [u8; 1] {
    let zero = _mm256_setzero_si256();
    let low = _mm256_cmpeq_epi64(_mm256_and_si256(load(&block[..4]), mask), zero);
    let high = _mm256_cmpeq_epi64(_mm256_and_si256(load(&block[4..]), mask), zero);
    let zeros = _mm256_movemask_pd(_mm256_castsi256_pd(low)) | (_mm256_movemask_pd(_mm256_castsi256_pd(high)) << 4);
    [!zeros as u8]
}

macro_rules! nonzero_bits {
    ($name:ident, $t:ty, $signed:ty, $lanes:literal, $set1:ident, $bits:ident) => {
        /// See [`crate::Kernels::nonzero_bits_u16`].
        #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(src: &[$t], zero: $t, bits: &mut [u8]) -> usize {
            const BYTES: usize = $lanes / 8;
            let mask = $set1(zero as $signed);
            let (blocks, tail) = src.as_chunks::<$lanes>();
            let (head, rest) = bits.split_at_mut(blocks.len() * BYTES);
            let mut count = 0;
            for (block, out) in blocks.iter().zip(head.as_chunks_mut::<BYTES>().0) {
                prefetch_line(block, MASKED / size_of::<$t>());
                *out = $bits(block, mask);
                count += out.iter().map(|byte| byte.count_ones() as usize).sum::<usize>();
            }
            count + scalar::nonzero_bits::nonzero_bits(tail, zero, rest)
        }
    };
}

nonzero_bits!(nonzero_bits_u8, u8, i8, 32, _mm256_set1_epi8, bits_u8);
nonzero_bits!(nonzero_bits_u16, u16, i16, 32, _mm256_set1_epi16, bits_u16);
nonzero_bits!(nonzero_bits_u32, u32, i32, 8, _mm256_set1_epi32, bits_u32);
nonzero_bits!(nonzero_bits_u64, u64, i64, 8, _mm256_set1_epi64x, bits_u64);
