//! Items to their columns: the indices of 64 columns, in up to four registers, make a mask, by which items are
//! expanded.

use super::registers::load;
use crate::prefetch::prefetch_ahead;
use crate::scalar::compress::place;
use crate::x86_64::Plain;
use std::arch::x86_64::{
    __m128i, __m512i, _mm_cvtsi128_si64, _mm_or_si128, _mm_unpackhi_epi64, _mm256_castsi256_si128,
    _mm256_extracti128_si256, _mm256_or_si256, _mm512_castsi512_si256, _mm512_cmplt_epi32_mask,
    _mm512_cmplt_epu32_mask, _mm512_extracti64x4_epi64, _mm512_maskz_expand_epi8, _mm512_maskz_expand_epi16,
    _mm512_maskz_expand_epi32, _mm512_maskz_expand_epi64, _mm512_or_si512, _mm512_set1_epi32, _mm512_setzero_si512,
    _mm512_sllv_epi32, _mm512_storeu_si512, _mm512_stream_si512, _mm512_sub_epi32, _mm512_unpackhi_epi32,
    _mm512_unpacklo_epi32,
};

/// Slots that are prefetched before they are used: prefetchers stop at the end of a page, rows of slots go on.
const AHEAD: usize = 512;

/// The quarters of a register joined by or.
#[inline]
#[target_feature(enable = "avx512f,avx2")]
fn quarter(lanes: __m512i) -> __m128i {
    let half = _mm256_or_si256(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64::<1>(lanes));
    _mm_or_si128(_mm256_castsi256_si128(half), _mm256_extracti128_si256::<1>(half))
}

/// The bits of 64 columns from `base` on, how many of the indices are theirs, and whether those and the next ascend.
///
/// Generic so that each caller has a copy of its own, which is inlined.
#[inline]
#[target_feature(enable = "avx512f,avx2,popcnt")]
fn word<T, const STREAM: bool>(some: &[i32; 65], base: i32) -> (u64, usize, bool) {
    let (one, base) = (_mm512_set1_epi32(1), _mm512_set1_epi32(base));
    let (end, half) = (_mm512_set1_epi32(64), _mm512_set1_epi32(32));
    let (mut low, mut high) = (_mm512_setzero_si512(), _mm512_setzero_si512());
    let (parts, next) = (some.as_chunks::<16>().0, some[1..].as_chunks::<16>().0);
    let (mut count, mut ascend) = (0, u16::MAX);
    for (i, (part, next)) in parts.iter().zip(next).enumerate() {
        // Three parts hold all but the densest 64 columns: without a branch for each.
        if i == 3 && count < 48 {
            break;
        }
        let part = load(part);
        ascend &= _mm512_cmplt_epi32_mask(part, load(next));
        let places = _mm512_sub_epi32(part, base);
        count += _mm512_cmplt_epu32_mask(places, end).count_ones() as usize;
        // A shift by 32 or more, and one by less than 0, results in 0.
        low = _mm512_or_si512(low, _mm512_sllv_epi32(one, places));
        high = _mm512_or_si512(high, _mm512_sllv_epi32(one, _mm512_sub_epi32(places, half)));
    }
    let both = quarter(_mm512_or_si512(_mm512_unpacklo_epi32(low, high), _mm512_unpackhi_epi32(low, high)));
    let bits = _mm_cvtsi128_si64(_mm_or_si128(both, _mm_unpackhi_epi64(both, both)));
    (bits as u64, count, ascend == u16::MAX)
}

/// Stores registers side by side, past the caches where `STREAM` says so and the first one is aligned.
#[inline]
#[target_feature(enable = "avx512f")]
fn put<const STREAM: bool, T: Plain, const P: usize>(columns: &mut [T; 64], parts: [__m512i; P]) {
    const { assert!(size_of::<[T; 64]>() == 64 * P) };
    let start: *mut __m512i = columns.as_mut_ptr().cast();
    let aligned = start.addr().is_multiple_of(64);
    for (i, part) in parts.into_iter().enumerate() {
        let to = start.wrapping_add(i);
        if STREAM && aligned {
            // SAFETY: inside of `columns`, `P` registers of which any bytes make items, and at a multiple of 64.
            unsafe { _mm512_stream_si512(to, part) }
        } else {
            // SAFETY: inside of `columns`, as above; the store needs no alignment.
            unsafe { _mm512_storeu_si512(to, part) }
        }
    }
}

/// Scatters the items of `indices` in `base..base + columns.len()`; how many there are, if they ascend.
///
/// Each index is read twice, and may have been changed between.
fn few<T: Copy + Default>(indices: &[i32], src: &[T], base: usize, columns: &mut [T]) -> Option<usize> {
    let base = base as i64;
    let count = indices.iter().take_while(|&&index| i64::from(index) - base < columns.len() as i64).count();
    columns.fill(T::default());
    let mut next = 0;
    for (&index, &item) in indices[..count].iter().zip(src) {
        let at = usize::try_from(i64::from(index) - base).ok().filter(|&at| at >= next)?;
        *columns.get_mut(at)? = item;
        next = at + 1;
    }
    Some(count)
}

macro_rules! place {
    ($name:ident, $t:ty, $lanes:literal, $mask:ty, $vpexpand:ident) => {
        /// See [`crate::Kernels::scatter_u32`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(indices: &[i32], src: &[$t], dst: &mut [$t], stream: bool) -> bool {
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
            fn run<const STREAM: bool>(indices: &[i32], src: &[$t], dst: &mut [$t]) -> Option<usize> {
                // What is written past the caches starts at a multiple of 64 bytes.
                let head = if STREAM { dst.as_ptr().align_offset(64).min(dst.len()) } else { 0 };
                let (start, mut dst) = dst.split_at_mut(head);
                let mut read = few(indices, src, 0, start)?;
                let (mut base, mut fine) = (head, true);
                while let (Some(columns), Some(some), Some(items)) = (
                    dst.first_chunk_mut::<64>(),
                    indices.get(read..).and_then(<[_]>::first_chunk),
                    src.get(read..).and_then(<[_]>::first_chunk::<65>),
                ) {
                    prefetch_ahead(some, AHEAD);
                    prefetch_ahead(some, AHEAD + 16);
                    for at in (0..32).step_by($lanes) {
                        prefetch_ahead(items, AHEAD + at);
                    }
                    let (bits, count, ascend) = word::<$t, STREAM>(some, base as i32);
                    fine &= ascend;
                    let (mut bits, mut at) = (bits, 0);
                    let mut parts = [_mm512_setzero_si512(); 64 / $lanes];
                    for part in &mut parts {
                        let mask = bits as $mask;
                        *part = $vpexpand(mask, load::<_, $lanes>(items.get(at..)?.first_chunk()?));
                        at += mask.count_ones() as usize;
                        bits = bits.unbounded_shr($lanes);
                    }
                    put::<STREAM, _, _>(columns, parts);
                    (read, base, dst) = (read + count, base + 64, &mut dst[64..]);
                }
                for columns in dst.chunks_mut(64) {
                    read += few(&indices[read..], &src[read..], base, columns)?;
                    base += 64;
                }
                fine.then_some(read)
            }
            if i32::try_from(dst.len()).is_err() {
                return place(indices, src, dst, stream);
            }
            let read = if stream { run::<true>(indices, src, dst) } else { run::<false>(indices, src, dst) };
            read == Some(indices.len())
        }
    };
}

place!(scatter_u8, u8, 64, u64, _mm512_maskz_expand_epi8);
place!(scatter_u16, u16, 32, u32, _mm512_maskz_expand_epi16);
place!(scatter_u32, u32, 16, u16, _mm512_maskz_expand_epi32);
place!(scatter_u64, u64, 8, u8, _mm512_maskz_expand_epi64);
