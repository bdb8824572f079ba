//! Ranks of masks of more than 16 bits, 16 at once: place by place, `C(p, k)` is looked up in two registers by the number
//! k of bits so far (or still to come).

use super::registers::{load, store};
use crate::args::rank::RankTable;
use crate::scalar;
use std::arch::x86_64::{
    _mm512_and_si512, _mm512_andnot_si512, _mm512_cmpgt_epi32_mask, _mm512_cmplt_epi32_mask, _mm512_cmplt_epu32_mask,
    _mm512_mask_add_epi32, _mm512_mask_or_epi32, _mm512_maskz_mov_epi32, _mm512_min_epu32, _mm512_permutex2var_epi32,
    _mm512_popcnt_epi32, _mm512_set1_epi32, _mm512_setzero_si512, _mm512_srai_epi32, _mm512_sub_epi32,
    _mm512_ternarylogic_epi64, _mm512_test_epi32_mask,
};

/// Registers that are worked on at once, because each waits for its own last step.
pub(super) const AT_ONCE: usize = 4;

/// `a | (!b & c)`.
pub(super) const KEEP_OR_ANDNOT: i32 = 0xF2;

/// See [`crate::Kernels::complete_words`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vpopcntdq,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn complete_words(masks: &mut [u32], n: usize, m: usize) -> bool {
    let (want, last) = (_mm512_set1_epi32(n as i32), _mm512_set1_epi32(scalar::rank32::last(n, m) as i32));
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
    scalar::rank32::complete_words(tail, n, m) | (over != 0)
}

#[target_feature(enable = "avx512f,avx512bw")]
fn rank_long(words: &[u32; 16 * AT_ONCE], table: &RankTable, codes: &mut [u32; 16 * AT_ONCE]) {
    let one = _mm512_set1_epi32(1);
    let (mut masks, mut code, mut count) =
        ([_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE]);
    for (masks, words) in masks.iter_mut().zip(words.as_chunks::<16>().0) {
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
    for (codes, &code) in codes.as_chunks_mut::<16>().0.iter_mut().zip(&code) {
        store(codes, code);
    }
}

#[target_feature(enable = "avx512f,avx512bw")]
fn unrank_long(codes: &[u32; 16 * AT_ONCE], table: &RankTable, words: &mut [u32; 16 * AT_ONCE]) {
    let (one, bound) = (_mm512_set1_epi32(1), _mm512_set1_epi32(table.count as i32));
    let (mut good, mut masks, mut rest) =
        ([0; AT_ONCE], [_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE]);
    let mut left = [_mm512_set1_epi32(table.n as i32); AT_ONCE];
    for (i, codes) in codes.as_chunks::<16>().0.iter().enumerate() {
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
    for (i, words) in words.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        store(words, _mm512_maskz_mov_epi32(good[i], masks[i]));
    }
}

/// Calls `work` with pieces of `src` and `dst`, the last one completed by zeros.
macro_rules! in_pieces {
    ($src:expr, $table:expr, $dst:expr, $work:ident) => {{
        let (pieces, tail) = $src.as_chunks::<{ 16 * AT_ONCE }>();
        let (rooms, tail_room) = $dst.as_chunks_mut::<{ 16 * AT_ONCE }>();
        for (piece, room) in pieces.iter().zip(rooms) {
            $work(piece, $table, room);
        }
        if !tail.is_empty() {
            let (mut piece, mut room) = ([0; 16 * AT_ONCE], [0; 16 * AT_ONCE]);
            piece[..tail.len()].copy_from_slice(tail);
            $work(&piece, $table, &mut room);
            tail_room.copy_from_slice(&room[..tail_room.len()]);
        }
    }};
}

/// See [`crate::Kernels::rank_words`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn rank_words(masks: &[u32], table: &RankTable, codes: &mut [u32]) {
    in_pieces!(masks, table, codes, rank_long);
}

/// See [`crate::Kernels::unrank_words`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn unrank_words(codes: &[u32], table: &RankTable, masks: &mut [u32]) {
    in_pieces!(codes, table, masks, unrank_long);
}
