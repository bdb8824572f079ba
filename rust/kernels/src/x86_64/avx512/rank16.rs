//! Ranks of masks of up to 16 bits, 32 at once, as in [`super::ranks`]; from and to codes that stand one behind the other.

use super::rank32::{AT_ONCE, KEEP_OR_ANDNOT};
use super::registers::{load, store};
use crate::args::rank::RankTable;
use std::arch::x86_64::{
    __m512i, _mm_cvtsi32_si128, _mm512_and_si512, _mm512_andnot_si512, _mm512_bsrli_epi128, _mm512_castsi256_si512,
    _mm512_castsi512_si256, _mm512_cmplt_epu16_mask, _mm512_cvtepi32_epi16, _mm512_cvtepu16_epi32,
    _mm512_extracti64x4_epi64, _mm512_inserti64x4, _mm512_loadu_si512, _mm512_madd_epi16, _mm512_mask_add_epi16,
    _mm512_mask_storeu_epi8, _mm512_maskz_loadu_epi8, _mm512_maskz_mov_epi16, _mm512_min_epu16,
    _mm512_multishift_epi64_epi8, _mm512_or_si512, _mm512_permutexvar_epi8, _mm512_permutexvar_epi16,
    _mm512_set1_epi16, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_sll_epi64, _mm512_srai_epi16,
    _mm512_srl_epi64, _mm512_sub_epi16, _mm512_ternarylogic_epi64, _mm512_test_epi16_mask, _mm512_unpacklo_epi64,
};

/// Loads 32 halves or 64 bytes.
#[inline]
#[target_feature(enable = "avx512f")]
fn load_row<T: Copy, const N: usize>(items: &[T; N]) -> __m512i {
    const { assert!(size_of::<T>() * N == 64) };
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(items.as_ptr().cast()) }
}

/// Bytes that 32 codes take: all lowest bits of a mask of bytes.
#[inline]
fn used(width: usize) -> u64 {
    (1 << (4 * width)) - 1
}

/// 32 codes of up to 14 bits, joined by twos, fours and eights, which fill whole bytes.
struct Joiner {
    pairs: __m512i,
    bytes: __m512i,
    width: usize,
}

impl Joiner {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(table: &RankTable) -> Self {
        let pairs = _mm512_set1_epi32(1 | 1 << (16 + table.width));
        Self { pairs, bytes: load_row(&table.joined), width: table.width }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn store(&self, code: __m512i, room: &mut [u8]) {
        let shift = |bits: usize| _mm_cvtsi32_si128(bits as i32);
        let pairs = _mm512_madd_epi16(code, self.pairs);
        let low = _mm512_set1_epi64(u32::MAX.into());
        let upper = _mm512_srl_epi64(_mm512_andnot_si512(low, pairs), shift(32 - 2 * self.width));
        let fours = _mm512_or_si512(_mm512_and_si512(pairs, low), upper);
        let second = _mm512_bsrli_epi128::<8>(fours);
        let front = _mm512_or_si512(fours, _mm512_sll_epi64(second, shift(4 * self.width)));
        let back = _mm512_srl_epi64(second, shift(64 - 4 * self.width));
        let packed = _mm512_permutexvar_epi8(self.bytes, _mm512_unpacklo_epi64(front, back));
        let room = &mut room[..4 * self.width];
        // SAFETY: the mask writes the bytes of `room`, at most 56; the store needs no alignment.
        unsafe { _mm512_mask_storeu_epi8(room.as_mut_ptr().cast(), used(self.width), packed) };
    }
}

/// The same back.
struct Cutter {
    bytes: __m512i,
    shifts: __m512i,
    field: __m512i,
    width: usize,
}

impl Cutter {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(table: &RankTable) -> Self {
        let field = _mm512_set1_epi16((1 << table.width) - 1);
        Self { bytes: load_row(&table.cut.0), shifts: load_row(&table.cut.1), field, width: table.width }
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
    fn load(&self, codes: &[u8]) -> __m512i {
        let codes = &codes[..4 * self.width];
        // SAFETY: the mask reads the bytes of `codes`, at most 56; the load needs no alignment.
        let packed = unsafe { _mm512_maskz_loadu_epi8(used(self.width), codes.as_ptr().cast()) };
        let fields = _mm512_multishift_epi64_epi8(self.shifts, _mm512_permutexvar_epi8(self.bytes, packed));
        _mm512_and_si512(fields, self.field)
    }
}

/// The low halves of 32 words.
#[inline]
#[target_feature(enable = "avx512f")]
fn narrow(words: &[u32; 32]) -> __m512i {
    let [low, high] = words.as_chunks::<16>().0 else { return _mm512_setzero_si512() };
    let low = _mm512_castsi256_si512(_mm512_cvtepi32_epi16(load(low)));
    _mm512_inserti64x4::<1>(low, _mm512_cvtepi32_epi16(load(high)))
}

/// Writes 32 halves as words.
#[inline]
#[target_feature(enable = "avx512f")]
fn widen(words: &mut [u32; 32], value: __m512i) {
    let [low, high] = words.as_chunks_mut::<16>().0 else { return };
    store(low, _mm512_cvtepu16_epi32(_mm512_castsi512_si256(value)));
    store(high, _mm512_cvtepu16_epi32(_mm512_extracti64x4_epi64::<1>(value)));
}

/// Masks that are worked on at once.
const PIECE: usize = 32 * AT_ONCE;

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn rank(words: &[u32; PIECE], table: &RankTable, joiner: &Joiner, codes: &mut [u8]) {
    let one = _mm512_set1_epi16(1);
    let (mut masks, mut code, mut count) =
        ([_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE]);
    for (masks, words) in masks.iter_mut().zip(words.as_chunks().0) {
        *masks = narrow(words);
    }
    for (p, row) in table.short.iter().enumerate() {
        let (row, place) = (load_row(row), _mm512_set1_epi16(1 << p));
        for i in 0..AT_ONCE {
            let set = _mm512_test_epi16_mask(masks[i], place);
            count[i] = _mm512_mask_add_epi16(count[i], set, count[i], one);
            code[i] = _mm512_mask_add_epi16(code[i], set, code[i], _mm512_permutexvar_epi16(count[i], row));
        }
    }
    for (i, &code) in code.iter().enumerate() {
        // What is no code, of a mask with too many bits, must not reach into others.
        let code = _mm512_and_si512(code, _mm512_set1_epi16((1 << table.width) - 1));
        joiner.store(code, &mut codes[4 * table.width * i..]);
    }
}

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn unrank(codes: &[u8], table: &RankTable, cutter: &Cutter, words: &mut [u32; PIECE]) {
    let (one, bound) = (_mm512_set1_epi16(1), _mm512_set1_epi16(table.count as i16));
    let (mut good, mut masks, mut rest) =
        ([0; AT_ONCE], [_mm512_setzero_si512(); AT_ONCE], [_mm512_setzero_si512(); AT_ONCE]);
    let mut left = [_mm512_set1_epi16(table.n as i16); AT_ONCE];
    for i in 0..AT_ONCE {
        rest[i] = cutter.load(&codes[4 * table.width * i..]);
        good[i] = _mm512_cmplt_epu16_mask(rest[i], bound);
    }
    for (p, row) in table.short.iter().enumerate().rev() {
        let (row, place) = (load_row(row), _mm512_set1_epi16(1 << p));
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

/// See [`crate::Kernels::rank_codes`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn rank_codes(masks: &[u32], table: &RankTable, codes: &mut [u8]) {
    let joiner = Joiner::new(table);
    let (pieces, tail) = masks.as_chunks::<PIECE>();
    let bytes = PIECE / 8 * table.width;
    for (piece, codes) in pieces.iter().zip(codes.chunks_exact_mut(bytes)) {
        rank(piece, table, &joiner, codes);
    }
    if !tail.is_empty() {
        let (mut piece, mut room) = ([0; PIECE], [0; PIECE * 2]);
        piece[..tail.len()].copy_from_slice(tail);
        rank(&piece, table, &joiner, &mut room);
        let codes = &mut codes[pieces.len() * bytes..];
        codes.copy_from_slice(&room[..codes.len()]);
    }
}

/// See [`crate::Kernels::unrank_codes`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
pub(crate) fn unrank_codes(codes: &[u8], table: &RankTable, masks: &mut [u32]) {
    let cutter = Cutter::new(table);
    let (pieces, tail) = masks.as_chunks_mut::<PIECE>();
    let bytes = PIECE / 8 * table.width;
    let left = &codes[pieces.len() * bytes..];
    for (piece, codes) in pieces.iter_mut().zip(codes.chunks_exact(bytes)) {
        unrank(codes, table, &cutter, piece);
    }
    if !tail.is_empty() {
        let (mut piece, mut room) = ([0; PIECE], [0; PIECE * 2]);
        room[..left.len()].copy_from_slice(left);
        unrank(&room, table, &cutter, &mut piece);
        tail.copy_from_slice(&piece[..tail.len()]);
    }
}
