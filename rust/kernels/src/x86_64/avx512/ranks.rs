//! Ranks of masks, 32 or 16 at once: place by place, `C(p, k)` is looked up in a register by the number k of bits so
//! far (or still to come).

use crate::ranks::RankTable;
use crate::scalar;
use std::arch::x86_64::{
    __m512i, _mm512_and_si512, _mm512_andnot_si512, _mm512_castsi256_si512, _mm512_castsi512_si256,
    _mm512_cmpgt_epi32_mask, _mm512_cmplt_epi32_mask, _mm512_cmplt_epu16_mask, _mm512_cmplt_epu32_mask,
    _mm512_cvtepu16_epi32, _mm512_cvtusepi32_epi16, _mm512_extracti64x4_epi64, _mm512_inserti64x4, _mm512_loadu_si512,
    _mm512_mask_add_epi16, _mm512_mask_add_epi32, _mm512_mask_or_epi32, _mm512_maskz_mov_epi16, _mm512_maskz_mov_epi32,
    _mm512_min_epu16, _mm512_min_epu32, _mm512_permutex2var_epi32, _mm512_permutexvar_epi16, _mm512_popcnt_epi32,
    _mm512_set1_epi16, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_srai_epi16, _mm512_srai_epi32,
    _mm512_storeu_si512, _mm512_sub_epi16, _mm512_sub_epi32, _mm512_ternarylogic_epi64, _mm512_test_epi16_mask,
    _mm512_test_epi32_mask,
};

/// Loads a whole register.
#[inline]
#[target_feature(enable = "avx512f")]
fn load(words: &[u32; 16]) -> __m512i {
    // SAFETY: `words` is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// Loads a whole register.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_short(words: &[u16; 32]) -> __m512i {
    // SAFETY: `words` is 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }
}

/// Stores a whole register.
#[inline]
#[target_feature(enable = "avx512f")]
fn store(words: &mut [u32; 16], value: __m512i) {
    // SAFETY: `words` is 64 writable bytes; the store needs no alignment.
    unsafe { _mm512_storeu_si512(words.as_mut_ptr().cast(), value) }
}

/// Registers that are worked on at once, because each waits for its own last step.
const AT_ONCE: usize = 4;

/// `a | (!b & c)`.
const KEEP_OR_ANDNOT: i32 = 0xF2;

/// See [`crate::Kernels::complete_words`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn complete_words(masks: &mut [u32], n: usize, m: usize) -> bool {
    let (want, last) = (_mm512_set1_epi32(n as i32), _mm512_set1_epi32(scalar::ranks::last(n, m) as i32));
    let (pieces, tail) = masks.as_chunks_mut::<16>();
    let mut over = 0;
    for piece in pieces {
        let mut masks = load(piece);
        over |= _mm512_cmpgt_epi32_mask(_mm512_popcnt_epi32(masks), want);
        let mut short = _mm512_cmplt_epi32_mask(_mm512_popcnt_epi32(masks), want);
        if short != 0 {
            let mut free = _mm512_andnot_si512(masks, last);
            while short != 0 {
                let rest = _mm512_and_si512(free, _mm512_sub_epi32(free, _mm512_set1_epi32(1)));
                masks = _mm512_mask_or_epi32(masks, short, masks, _mm512_andnot_si512(rest, free));
                free = rest;
                short = _mm512_cmplt_epi32_mask(_mm512_popcnt_epi32(masks), want);
            }
            store(piece, masks);
        }
    }
    scalar::ranks::complete_words(tail, n, m) | (over != 0)
}

/// The low halves of 32 words, the largest half for larger words.
#[inline]
#[target_feature(enable = "avx512f")]
fn narrow(words: &[u32; 32]) -> __m512i {
    let [low, high] = words.as_chunks::<16>().0 else { return _mm512_setzero_si512() };
    let low = _mm512_castsi256_si512(_mm512_cvtusepi32_epi16(load(low)));
    _mm512_inserti64x4::<1>(low, _mm512_cvtusepi32_epi16(load(high)))
}

/// Writes 32 halves as words.
#[inline]
#[target_feature(enable = "avx512f")]
fn widen(words: &mut [u32; 32], value: __m512i) {
    let [low, high] = words.as_chunks_mut::<16>().0 else { return };
    store(low, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(value)));
    store(high, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(value)));
}

#[target_feature(enable = "avx512f,avx512bw")]
fn rank_short(words: &[u32; 32 * AT_ONCE], table: &RankTable, codes: &mut [u32; 32 * AT_ONCE]) {
    let one = _mm512_set1_epi16(1);
    let (mut masks, mut code, mut count) =
        ([_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE]);
    for (masks, words) in masks.iter_mut().zip(words.as_chunks().0) {
        *masks = narrow(words);
    }
    for (p, row) in table.short.iter().enumerate() {
        let (row, place) = (load_short(row), _mm512_set1_epi16(1 << p));
        for i in 0..AT_ONCE {
            let set = _mm512_test_epi16_mask(masks[i], place);
            count[i] = _mm512_mask_add_epi16(count[i], set, count[i], one);
            code[i] = _mm512_mask_add_epi16(code[i], set, code[i], _mm512_permutexvar_epi16(count[i], row));
        }
    }
    for (codes, &code) in codes.as_chunks_mut().0.iter_mut().zip(&code) {
        widen(codes, code);
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn rank_long(words: &[u32; 16 * AT_ONCE], table: &RankTable, codes: &mut [u32; 16 * AT_ONCE]) {
    let one = _mm512_set1_epi32(1);
    let (mut masks, mut code, mut count) =
        ([_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE]);
    for (masks, words) in masks.iter_mut().zip(words.as_chunks().0) {
        *masks = load(words);
    }
    for (p, row) in table.long.iter().enumerate() {
        let [low, high] = row.as_chunks::<16>().0 else { break };
        let (low, high, place) = (load(low), load(high), _mm512_set1_epi32(1 << p));
        for i in 0..AT_ONCE {
            let set = _mm512_test_epi32_mask(masks[i], place);
            count[i] = _mm512_mask_add_epi32(count[i], set, count[i], one);
            code[i] = _mm512_mask_add_epi32(code[i], set, code[i], _mm512_permutex2var_epi32(low, count[i], high));
        }
    }
    for (codes, &code) in codes.as_chunks_mut().0.iter_mut().zip(&code) {
        store(codes, code);
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn unrank_short(codes: &[u32; 32 * AT_ONCE], table: &RankTable, words: &mut [u32; 32 * AT_ONCE]) {
    let (one, bound) = (_mm512_set1_epi16(1), _mm512_set1_epi16(table.count as i16));
    let (mut good, mut masks, mut rest) =
        ([0; AT_ONCE], [_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE]);
    let mut left = [_mm512_set1_epi16(table.n as i16); AT_ONCE];
    for (i, codes) in codes.as_chunks().0.iter().enumerate() {
        rest[i] = narrow(codes);
        good[i] = _mm512_cmplt_epu16_mask(rest[i], bound);
    }
    for (p, row) in table.short.iter().enumerate().rev() {
        let (row, place) = (load_short(row), _mm512_set1_epi16(1 << p));
        for i in 0..AT_ONCE {
            let less = _mm512_sub_epi16(rest[i], _mm512_permutexvar_epi16(left[i], row));
            let unset = _mm512_srai_epi16::<15>(less);
            masks[i] = _mm512_ternarylogic_epi64::<KEEP_OR_ANDNOT>(masks[i], unset, place);
            rest[i] = _mm512_min_epu16(rest[i], less);
            left[i] = _mm512_sub_epi16(_mm512_sub_epi16(left[i], one), unset);
        }
    }
    for (i, words) in words.as_chunks_mut().0.iter_mut().enumerate() {
        widen(words, _mm512_maskz_mov_epi16(good[i], masks[i]));
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn unrank_long(codes: &[u32; 16 * AT_ONCE], table: &RankTable, words: &mut [u32; 16 * AT_ONCE]) {
    let (one, bound) = (_mm512_set1_epi32(1), _mm512_set1_epi32(table.count as i32));
    let (mut good, mut masks, mut rest) =
        ([0; AT_ONCE], [_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE]);
    let mut left = [_mm512_set1_epi32(table.n as i32); AT_ONCE];
    for (i, codes) in codes.as_chunks().0.iter().enumerate() {
        rest[i] = load(codes);
        good[i] = _mm512_cmplt_epu32_mask(rest[i], bound);
    }
    for (p, row) in table.long.iter().enumerate().rev() {
        let [low, high] = row.as_chunks::<16>().0 else { break };
        let (low, high, place) = (load(low), load(high), _mm512_set1_epi32(1 << p));
        for i in 0..AT_ONCE {
            let less = _mm512_sub_epi32(rest[i], _mm512_permutex2var_epi32(low, left[i], high));
            let unset = _mm512_srai_epi32::<31>(less);
            masks[i] = _mm512_ternarylogic_epi64::<KEEP_OR_ANDNOT>(masks[i], unset, place);
            rest[i] = _mm512_min_epu32(rest[i], less);
            left[i] = _mm512_sub_epi32(_mm512_sub_epi32(left[i], one), unset);
        }
    }
    for (i, words) in words.as_chunks_mut().0.iter_mut().enumerate() {
        store(words, _mm512_maskz_mov_epi32(good[i], masks[i]));
    }
}

/// Calls `work` with pieces of `src` and `dst`, the last one completed by zeros.
macro_rules! in_pieces {
    ($src:expr, $table:expr, $dst:expr, $work:ident, $length:expr) => {{
        let (pieces, tail) = $src.as_chunks::<{ $length }>();
        let (rooms, tail_room) = $dst.as_chunks_mut::<{ $length }>();
        for (piece, room) in pieces.iter().zip(rooms) {
            $work(piece, $table, room);
        }
        if !tail.is_empty() {
            let (mut piece, mut room) = ([0; $length], [0; $length]);
            piece[..tail.len()].copy_from_slice(tail);
            $work(&piece, $table, &mut room);
            tail_room.copy_from_slice(&room[..tail_room.len()]);
        }
    }};
}

/// See [`crate::Kernels::rank_words`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn rank_words(masks: &[u32], table: &RankTable, codes: &mut [u32]) {
    if table.m <= 16 {
        in_pieces!(masks, table, codes, rank_short, 32 * AT_ONCE);
    } else {
        in_pieces!(masks, table, codes, rank_long, 16 * AT_ONCE);
    }
}

/// See [`crate::Kernels::unrank_words`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn unrank_words(codes: &[u32], table: &RankTable, masks: &mut [u32]) {
    if table.m <= 16 {
        in_pieces!(codes, table, masks, unrank_short, 32 * AT_ONCE);
    } else {
        in_pieces!(codes, table, masks, unrank_long, 16 * AT_ONCE);
    }
}
