//! Values of codes of 4 bits that stand in words along the columns, of sixteen rows at once: a column has one group, and
//! so a register of zero points and one of scales.

use super::registers::{load, load_f32, store};
use crate::args::group_values::{SixteenRows, Table};
use crate::x86_64::avx2;
use std::arch::x86_64::{
    __m256i, __m512, __m512i, _MM_FROUND_TO_NEAREST_INT, _mm512_add_epi32, _mm512_and_si512, _mm512_castps_si512,
    _mm512_cvtepi32_epi16, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_cvtps_ph, _mm512_mul_ps, _mm512_or_si512,
    _mm512_set1_epi32, _mm512_setzero_si512, _mm512_shuffle_i32x4, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_sub_ps,
    _mm512_unpackhi_epi32, _mm512_unpackhi_epi64, _mm512_unpacklo_epi32, _mm512_unpacklo_epi64,
};

pub(crate) const TABLE: Table = Table { columns: Some([f16, bf16]), ..avx2::group_values::TABLE };

/// Ties to even.
#[inline]
#[target_feature(enable = "avx512f")]
fn round_f16(x: __m512) -> __m256i {
    _mm512_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT }>(x)
}

/// Ties to even; finite numbers only.
#[inline]
#[target_feature(enable = "avx512f")]
fn round_bf16(x: __m512) -> __m256i {
    let bits = _mm512_castps_si512(x);
    let odd = _mm512_and_si512(_mm512_srli_epi32::<16>(bits), _mm512_set1_epi32(1));
    let up = _mm512_add_epi32(odd, _mm512_set1_epi32(0x7FFF));
    _mm512_cvtepi32_epi16(_mm512_srli_epi32::<16>(_mm512_add_epi32(bits, up)))
}

/// Four pairs of columns, of 32 bits in each of sixteen rows, as rows: item `i` has rows `i`, `i + 4`, `i + 8`, `i + 12`.
#[inline]
#[target_feature(enable = "avx512f")]
fn turned([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (first, second) = (_mm512_unpacklo_epi32(a, b), _mm512_unpacklo_epi32(c, d));
    let (third, fourth) = (_mm512_unpackhi_epi32(a, b), _mm512_unpackhi_epi32(c, d));
    [
        _mm512_unpacklo_epi64(first, second),
        _mm512_unpackhi_epi64(first, second),
        _mm512_unpacklo_epi64(third, fourth),
        _mm512_unpackhi_epi64(third, fourth),
    ]
}

/// Items of [`turned`] of four words: item `i` is row `i * 4 + first` of all of them.
#[inline]
#[target_feature(enable = "avx512f")]
fn joined([a, b, c, d]: [__m512i; 4]) -> [__m512i; 4] {
    let (first, second) = (_mm512_shuffle_i32x4::<0x44>(a, b), _mm512_shuffle_i32x4::<0x44>(c, d));
    let (third, fourth) = (_mm512_shuffle_i32x4::<0xEE>(a, b), _mm512_shuffle_i32x4::<0xEE>(c, d));
    [
        _mm512_shuffle_i32x4::<0x88>(first, second),
        _mm512_shuffle_i32x4::<0xDD>(first, second),
        _mm512_shuffle_i32x4::<0x88>(third, fourth),
        _mm512_shuffle_i32x4::<0xDD>(third, fourth),
    ]
}

macro_rules! columns {
    ($name:ident, $round:ident) => {
        /// See [`crate::Kernels::word_columns_f16`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
        fn $name(words: &[[u32; 16]], at: &[i32], groups: &[SixteenRows], out: &mut [u16]) -> bool {
            /// The items of one word of each row, see [`turned`]; None: a group is not there.
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl")]
            fn one(words: &[u32; 16], at: &[i32; 8], groups: &[SixteenRows]) -> Option<[__m512i; 4]> {
                let (mut word, nibble) = (load(words), _mm512_set1_epi32(15));
                let mut pairs = [_mm512_setzero_si512(); 4];
                for (pair, at) in pairs.iter_mut().zip(at.as_chunks::<2>().0) {
                    let mut both = [_mm512_setzero_si512(); 2];
                    for (column, &group) in both.iter_mut().zip(at) {
                        let [point, scale] = groups.get(group as usize)?;
                        let codes = _mm512_cvtepi32_ps(_mm512_and_si512(word, nibble));
                        let products = _mm512_mul_ps(_mm512_sub_ps(codes, load_f32(point)), load_f32(scale));
                        *column = _mm512_cvtepu16_epi32($round(products));
                        word = _mm512_srli_epi32::<4>(word);
                    }
                    *pair = _mm512_or_si512(both[0], _mm512_slli_epi32::<16>(both[1]));
                }
                Some(turned(pairs))
            }
            let (stride, at) = (8 * words.len(), at.as_chunks::<8>().0);
            let ((fours, rest), whole) = (words.as_chunks::<4>(), words.len() / 4);
            for (i, (words, at)) in fours.iter().zip(at.as_chunks::<4>().0).enumerate() {
                let mut made = [[_mm512_setzero_si512(); 4]; 4];
                for (made, (word, at)) in made.iter_mut().zip(words.iter().zip(at)) {
                    let Some(four) = one(word, at, groups) else { return false };
                    *made = four;
                }
                for first in 0..4 {
                    for (fourth, items) in joined(made.map(|four| four[first])).into_iter().enumerate() {
                        let room = out.get_mut((4 * fourth + first) * stride + 32 * i..);
                        if let Some(room) = room.and_then(<[u16]>::first_chunk_mut::<32>) {
                            store(room, items);
                        }
                    }
                }
            }
            for (i, (word, at)) in rest.iter().zip(&at[4 * whole..]).enumerate() {
                let Some(four) = one(word, at, groups) else { return false };
                for (first, rows) in four.into_iter().enumerate() {
                    let (mut each, zero) = ([0; 32], _mm512_setzero_si512());
                    for (fourth, items) in joined([rows, zero, zero, zero]).into_iter().enumerate() {
                        store(&mut each, items);
                        let at = (4 * fourth + first) * stride + 8 * (4 * whole + i);
                        out[at..at + 8].copy_from_slice(&each[..8]);
                    }
                }
            }
            true
        }
    };
}

columns!(f16, round_f16);
columns!(bf16, round_bf16);
