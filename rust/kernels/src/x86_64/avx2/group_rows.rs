//! Values of codes in groups, from codes to items of 16 or 32 bits in registers. Codes of 4 bits of items of 16 bits find
//! their two bytes in two tables of the group, which never leave registers either.

use super::compress::{load_128, put, store_128};
use super::rounding::{round_bf16, round_f16};
use crate::args::group_values::{GroupTable, Groups};
use crate::scalar::affine as floats;
use crate::scalar::group_values as plain;
use crate::scalar::quantize_f16::{MAX_BF16, MAX_F16};
use crate::x86_64::Plain;
use std::arch::x86_64::{
    __m128i, __m256, _mm_and_si128, _mm_loadl_epi64, _mm_packus_epi16, _mm_set1_epi8, _mm_set1_epi16, _mm_shuffle_epi8,
    _mm_srli_epi16, _mm_srli_si128, _mm_sub_epi8, _mm_unpackhi_epi8, _mm_unpacklo_epi8, _mm_xor_si128,
    _mm256_castps_si256, _mm256_castsi256_si128, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi32,
    _mm256_extracti128_si256, _mm256_mul_ps, _mm256_set1_ps, _mm256_setr_ps, _mm256_sub_ps,
};

pub(crate) const TABLE: GroupTable = GroupTable { f16, bf16, f32 };

/// Products up to here stay finite when they are rounded to bfloat16 or float32.
const SAFE: f32 = 1e38;

/// Stores eight items, past the caches where `STREAM` says so and they are aligned.
#[inline]
#[target_feature(enable = "avx2")]
fn store<const STREAM: bool, T: Plain, const N: usize>(room: &mut [T; N], items: __m128i) {
    if STREAM { put(room, items) } else { store_128(room, items) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn load_half(bytes: &[u8; 8]) -> __m128i {
    // SAFETY: 8 readable bytes; the load takes no more and needs no alignment.
    unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
}

/// The values of 16 codes: their low bytes, and their high ones.
#[derive(Clone, Copy)]
pub(super) struct Sixteen {
    low: __m128i,
    high: __m128i,
}

impl Sixteen {
    /// Of items of 16 bits, eight and eight.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn new(first: __m128i, second: __m128i) -> Self {
        let byte = _mm_set1_epi16(0xFF);
        Self {
            low: _mm_packus_epi16(_mm_and_si128(first, byte), _mm_and_si128(second, byte)),
            high: _mm_packus_epi16(_mm_srli_epi16::<8>(first), _mm_srli_epi16::<8>(second)),
        }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn put<const STREAM: bool>(self, codes: __m128i, out: &mut [u16; 16]) {
        let (low, high) = (_mm_shuffle_epi8(self.low, codes), _mm_shuffle_epi8(self.high, codes));
        let [front, back] = out.as_chunks_mut::<8>().0 else { return };
        store::<STREAM, _, 8>(front, _mm_unpacklo_epi8(low, high));
        store::<STREAM, _, 8>(back, _mm_unpackhi_epi8(low, high));
    }

    /// Looks up two codes a byte; the number of items that were written, all but fewer than 16.
    #[inline]
    #[target_feature(enable = "avx2")]
    pub(super) fn look_up<const STREAM: bool>(self, pairs: &[u8], out: &mut [u16]) -> usize {
        let nibble = _mm_set1_epi8(15);
        let (rooms, rest) = out.as_chunks_mut::<32>();
        for (block, room) in pairs.as_chunks::<16>().0.iter().zip(&mut *rooms) {
            let pairs = load_128(block);
            let (even, odd) = (_mm_and_si128(pairs, nibble), _mm_and_si128(_mm_srli_epi16::<4>(pairs), nibble));
            let [front, back] = room.as_chunks_mut::<16>().0 else { continue };
            self.put::<STREAM>(_mm_unpacklo_epi8(even, odd), front);
            self.put::<STREAM>(_mm_unpackhi_epi8(even, odd), back);
        }
        let done = 32 * rooms.len();
        match (pairs.get(done / 2..).and_then(|pairs| pairs.first_chunk()), rest.first_chunk_mut()) {
            (Some(pairs), Some(room)) => {
                let pairs = load_half(pairs);
                let (even, odd) = (_mm_and_si128(pairs, nibble), _mm_and_si128(_mm_srli_epi16::<4>(pairs), nibble));
                self.put::<STREAM>(_mm_unpacklo_epi8(even, odd), room);
                done + 16
            }
            _ => done,
        }
    }
}

/// The products of eight codes.
#[inline]
#[target_feature(enable = "avx2")]
fn products<const SIGNED: bool>(codes: __m128i, point: __m256, scale: __m256) -> __m256 {
    let codes = if SIGNED { _mm256_cvtepi8_epi32(codes) } else { _mm256_cvtepu8_epi32(codes) };
    _mm256_mul_ps(_mm256_sub_ps(_mm256_cvtepi32_ps(codes), point), scale)
}

/// Codes of 4 bits as signed bytes.
#[inline]
#[target_feature(enable = "avx2")]
fn extended(codes: __m128i) -> __m128i {
    let sign = _mm_set1_epi8(8);
    _mm_sub_epi8(_mm_xor_si128(codes, sign), sign)
}

/// Calls `run` with every group whose products are `most` at most, and finds those of others, and what it leaves, one by
/// one; none is beyond `limit` where they are to be finite.
#[inline(always)]
fn each<T>(
    codes: &[u8],
    Groups { bits, signed, group, point, scale, finite }: Groups<'_>,
    out: &mut [T],
    (most, limit): (f32, f32),
    run: impl Fn(&[u8], (f32, f32), &mut [T]) -> usize,
    narrow: impl Fn(f32) -> T,
) {
    let bytes = if bits == 8 { group } else { group / 2 };
    for (((codes, out), &point), &scale) in codes.chunks(bytes).zip(out.chunks_mut(group)).zip(point).zip(scale) {
        let done = if scale.abs() * (point.abs() + 256.0) <= most { run(codes, (point, scale), out) } else { 0 };
        if let Some(rest) = out.get_mut(done..).filter(|rest| !rest.is_empty()) {
            let codes = &codes[if bits == 8 { done } else { done / 2 }..];
            plain::group((codes, bits, signed), (point, scale), (finite, limit), rest, &narrow);
        }
    }
}

/// Calls [`each`] with the loop for these groups: the one of bytes or of pairs, through the caches or past them.
macro_rules! chosen {
    ($bytes:ident, $nibbles:ident, $codes:ident, $of:ident, $out:ident, $limits:ident, $end:ident, $stream:ident) => {
        match ($of.bits, $of.signed, $stream) {
            (8, false, false) => chosen!(@ $bytes, false, false, $codes, $of, $out, $limits, $end),
            (8, false, true) => chosen!(@ $bytes, true, false, $codes, $of, $out, $limits, $end),
            (8, true, false) => chosen!(@ $bytes, false, true, $codes, $of, $out, $limits, $end),
            (8, true, true) => chosen!(@ $bytes, true, true, $codes, $of, $out, $limits, $end),
            (_, false, false) => chosen!(@ $nibbles, false, false, $codes, $of, $out, $limits, $end),
            (_, false, true) => chosen!(@ $nibbles, true, false, $codes, $of, $out, $limits, $end),
            (_, true, false) => chosen!(@ $nibbles, false, true, $codes, $of, $out, $limits, $end),
            (_, true, true) => chosen!(@ $nibbles, true, true, $codes, $of, $out, $limits, $end),
        }
    };
    (@ $run:ident, $stream:tt, $signed:tt, $codes:ident, $groups:ident, $out:ident, $limits:ident, $narrow:ident) => {
        each($codes, $groups, $out, $limits, |codes, how, out| $run::<$stream, $signed>(codes, how, out), $narrow)
    };
}

macro_rules! halves {
    ($name:ident, $round:ident, $narrow:path, $most:expr, $limit:expr) => {
        /// See [`crate::Kernels::group_rows_f16`].
        #[target_feature(enable = "avx2,f16c")]
        fn $name(codes: &[u8], groups: Groups<'_>, out: &mut [u16], stream: bool) {
            #[inline]
            #[target_feature(enable = "avx2,f16c")]
            fn bytes<const STREAM: bool, const SIGNED: bool>(
                codes: &[u8],
                (point, scale): (f32, f32),
                out: &mut [u16],
            ) -> usize {
                let (point, scale) = (_mm256_set1_ps(point), _mm256_set1_ps(scale));
                let rooms = out.as_chunks_mut::<8>().0;
                for (codes, room) in codes.as_chunks::<8>().0.iter().zip(&mut *rooms) {
                    store::<STREAM, _, 8>(room, $round(products::<SIGNED>(load_half(codes), point, scale)));
                }
                8 * rooms.len()
            }
            #[inline]
            #[target_feature(enable = "avx2,f16c")]
            fn nibbles<const STREAM: bool, const SIGNED: bool>(
                pairs: &[u8],
                (point, scale): (f32, f32),
                out: &mut [u16],
            ) -> usize {
                let (point, scale) = (_mm256_set1_ps(point), _mm256_set1_ps(scale));
                let first = _mm256_setr_ps(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0);
                let second = if SIGNED {
                    _mm256_setr_ps(-8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0)
                } else {
                    _mm256_setr_ps(8.0, 9.0, 10.0, 11.0, 12.0, 13.0, 14.0, 15.0)
                };
                let value = |codes: __m256| $round(_mm256_mul_ps(_mm256_sub_ps(codes, point), scale));
                Sixteen::new(value(first), value(second)).look_up::<STREAM>(pairs, out)
            }
            let (limits, narrow) = (($most, $limit), $narrow);
            chosen!(bytes, nibbles, codes, groups, out, limits, narrow, stream)
        }
    };
}

halves!(f16, round_f16, floats::narrow, MAX_F16, MAX_F16);
halves!(bf16, round_bf16, floats::narrow_brain, SAFE, MAX_BF16);

#[inline]
#[target_feature(enable = "avx2")]
fn put_eight<const STREAM: bool>(room: &mut [u32; 8], x: __m256) {
    let bits = _mm256_castps_si256(x);
    let [front, back] = room.as_chunks_mut::<4>().0 else { return };
    store::<STREAM, _, 4>(front, _mm256_castsi256_si128(bits));
    store::<STREAM, _, 4>(back, _mm256_extracti128_si256::<1>(bits));
}

#[inline]
#[target_feature(enable = "avx2")]
fn bytes_f32<const STREAM: bool, const SIGNED: bool>(
    codes: &[u8],
    (point, scale): (f32, f32),
    out: &mut [u32],
) -> usize {
    let (point, scale) = (_mm256_set1_ps(point), _mm256_set1_ps(scale));
    let rooms = out.as_chunks_mut::<8>().0;
    for (codes, room) in codes.as_chunks::<8>().0.iter().zip(&mut *rooms) {
        put_eight::<STREAM>(room, products::<SIGNED>(load_half(codes), point, scale));
    }
    8 * rooms.len()
}

#[inline]
#[target_feature(enable = "avx2")]
fn nibbles_f32<const STREAM: bool, const SIGNED: bool>(
    pairs: &[u8],
    (point, scale): (f32, f32),
    out: &mut [u32],
) -> usize {
    let (point, scale) = (_mm256_set1_ps(point), _mm256_set1_ps(scale));
    let (nibble, rooms) = (_mm_set1_epi8(15), out.as_chunks_mut::<16>().0);
    for (pairs, room) in pairs.as_chunks::<8>().0.iter().zip(&mut *rooms) {
        let pairs = load_half(pairs);
        let (even, odd) = (_mm_and_si128(pairs, nibble), _mm_and_si128(_mm_srli_epi16::<4>(pairs), nibble));
        let codes = _mm_unpacklo_epi8(even, odd);
        let codes = if SIGNED { extended(codes) } else { codes };
        let [front, back] = room.as_chunks_mut::<8>().0 else { continue };
        put_eight::<STREAM>(front, products::<SIGNED>(codes, point, scale));
        put_eight::<STREAM>(back, products::<SIGNED>(_mm_srli_si128::<8>(codes), point, scale));
    }
    16 * rooms.len()
}

/// See [`crate::Kernels::group_rows_f32`].
#[target_feature(enable = "avx2")]
fn f32(codes: &[u8], groups: Groups<'_>, out: &mut [u32], stream: bool) {
    let (limits, narrow) = ((SAFE, f32::MAX), f32::to_bits);
    chosen!(bytes_f32, nibbles_f32, codes, groups, out, limits, narrow, stream)
}
