//! Values of codes of 4 bits that stand in words along the columns, of eight rows at once, twice: a column has one group,
//! and so a register of zero points and one of scales.

use super::compress::{load_256, store_128};
use super::rounding::{round_bf16, round_f16};
use crate::args::group_values::SixteenRows;
use std::arch::x86_64::{
    __m128i, __m256, _mm_setzero_si128, _mm_unpackhi_epi16, _mm_unpackhi_epi32, _mm_unpackhi_epi64, _mm_unpacklo_epi16,
    _mm_unpacklo_epi32, _mm_unpacklo_epi64, _mm256_and_si256, _mm256_cvtepi32_ps, _mm256_loadu_ps, _mm256_mul_ps,
    _mm256_set1_epi32, _mm256_srli_epi32, _mm256_sub_ps,
};

#[inline]
#[target_feature(enable = "avx2")]
fn load(items: &[f32; 8]) -> __m256 {
    // SAFETY: 8 readable items of 4 bytes; the load needs no alignment.
    unsafe { _mm256_loadu_ps(items.as_ptr()) }
}

/// Eight columns of eight items of 16 bits as rows.
#[inline]
#[target_feature(enable = "avx2")]
fn turned(c: [__m128i; 8]) -> [__m128i; 8] {
    let low = |a, b| _mm_unpacklo_epi16(a, b);
    let high = |a, b| _mm_unpackhi_epi16(a, b);
    let pairs = [low(c[0], c[1]), low(c[2], c[3]), low(c[4], c[5]), low(c[6], c[7])];
    let later = [high(c[0], c[1]), high(c[2], c[3]), high(c[4], c[5]), high(c[6], c[7])];
    let mut rows = [_mm_setzero_si128(); 8];
    for (half, [a, b, c, d]) in [pairs, later].into_iter().enumerate() {
        let (first, second) = (_mm_unpacklo_epi32(a, b), _mm_unpacklo_epi32(c, d));
        let (third, fourth) = (_mm_unpackhi_epi32(a, b), _mm_unpackhi_epi32(c, d));
        rows[4 * half] = _mm_unpacklo_epi64(first, second);
        rows[4 * half + 1] = _mm_unpackhi_epi64(first, second);
        rows[4 * half + 2] = _mm_unpacklo_epi64(third, fourth);
        rows[4 * half + 3] = _mm_unpackhi_epi64(third, fourth);
    }
    rows
}

/// The eight items of one half.
#[inline(always)]
fn half<T, const N: usize>(items: &[T; N], half: usize) -> Option<&[T; 8]> {
    items.as_chunks().0.get(half)
}

macro_rules! columns {
    ($name:ident, $round:ident) => {
        /// See [`crate::Kernels::word_columns_f16`].
        #[target_feature(enable = "avx2,f16c")]
        pub(super) fn $name(words: &[[u32; 16]], at: &[i32], groups: &[SixteenRows], out: &mut [u16]) -> bool {
            let (stride, nibble) = (8 * words.len(), _mm256_set1_epi32(15));
            for (i, (words, at)) in words.iter().zip(at.as_chunks::<8>().0).enumerate() {
                for eight in 0..2 {
                    let Some(words) = half(words, eight) else { return false };
                    let mut word = load_256(words);
                    let mut columns = [_mm_setzero_si128(); 8];
                    for (column, &group) in columns.iter_mut().zip(at) {
                        let Some([point, scale]) = groups.get(group as usize) else { return false };
                        let (Some(point), Some(scale)) = (half(point, eight), half(scale, eight)) else { return false };
                        let codes = _mm256_cvtepi32_ps(_mm256_and_si256(word, nibble));
                        *column = $round(_mm256_mul_ps(_mm256_sub_ps(codes, load(point)), load(scale)));
                        word = _mm256_srli_epi32::<4>(word);
                    }
                    for (row, items) in turned(columns).into_iter().enumerate() {
                        let room = out.get_mut((8 * eight + row) * stride + 8 * i..);
                        if let Some(room) = room.and_then(<[u16]>::first_chunk_mut::<8>) {
                            store_128(room, items);
                        }
                    }
                }
            }
            true
        }
    };
}

columns!(f16, round_f16);
columns!(bf16, round_bf16);
