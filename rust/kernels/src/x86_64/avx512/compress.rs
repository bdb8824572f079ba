//! Items moved by a mask: one `vpcompress` or `vpexpand` per register.
//!
//! Both work from register to register, with plain loads and stores of whole registers: straight from and to memory
//! they are microcoded on Zen 4. What is stored too much lands in `dst` behind the items at hand, where the next ones
//! overwrite it.

use super::registers::{load, store};
use crate::scalar::compress::first;
use crate::x86_64::Plain;
use std::arch::x86_64::{
    __m512i, _mm_loadl_epi64, _mm_loadu_si128, _mm512_add_epi32, _mm512_add_epi64, _mm512_cvtepu8_epi32,
    _mm512_cvtepu8_epi64, _mm512_maskz_compress_epi8, _mm512_maskz_compress_epi16, _mm512_maskz_compress_epi32,
    _mm512_maskz_compress_epi64, _mm512_maskz_expand_epi8, _mm512_maskz_expand_epi16, _mm512_maskz_expand_epi32,
    _mm512_maskz_expand_epi64, _mm512_set1_epi32, _mm512_set1_epi64, _mm512_setzero_si512, _mm512_stream_si512,
};

/// Stores a whole register, past the caches where `STREAM` says so and the block is aligned.
#[inline]
#[target_feature(enable = "avx512f")]
fn put<const STREAM: bool, T: Plain, const N: usize>(block: &mut [T; N], value: __m512i) {
    if STREAM && block.as_ptr().addr().is_multiple_of(64) {
        // SAFETY: `block` is 64 writable bytes, as in `store`, and starts at a multiple of 64.
        unsafe { _mm512_stream_si512(block.as_mut_ptr().cast(), value) }
    } else {
        store(block, value);
    }
}

/// What is left of `dst`: nothing, if more was written than it holds.
#[inline]
fn rest<T>(dst: &mut [T], written: usize) -> &mut [T] {
    dst.get_mut(written..).unwrap_or(&mut [])
}

/// The 64 bits from byte `at` on; those behind the end are not set.
#[inline]
fn window(bits: &[u8], at: usize) -> u64 {
    let rest = bits.get(at..).unwrap_or(&[]);
    u64::from_le_bytes(rest.first_chunk().copied().unwrap_or_else(|| {
        let mut last = [0; 8];
        last[..rest.len()].copy_from_slice(rest);
        last
    }))
}

macro_rules! items {
    ($t:ty, $lanes:literal, $mask:ty, $compress:ident, $vpcompress:ident, $expand:ident, $vpexpand:ident) => {
        /// See [`crate::Kernels::compress_u16`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $compress(src: &[$t], bits: &[u8], dst: &mut [$t]) -> usize {
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")]
            fn step(block: &[$t; $lanes], mask: $mask, room: &mut [$t]) -> usize {
                let count = mask.count_ones() as usize;
                let packed = $vpcompress(mask, load(block));
                if let Some(room) = room.first_chunk_mut() {
                    store::<$t, $lanes>(room, packed);
                } else {
                    let mut last = [0; $lanes];
                    store(&mut last, packed);
                    room.copy_from_slice(&last[..room.len()]);
                }
                count
            }
            let (words, tail) = src.as_chunks::<64>();
            let (bits, tail_bits) = bits.split_at(words.len() * 8);
            let mut written = 0;
            for (items, word) in words.iter().zip(bits.as_chunks::<8>().0) {
                if *word != [0; 8] {
                    for (block, mask) in items.as_chunks().0.iter().zip(word.as_chunks().0) {
                        written += step(block, <$mask>::from_le_bytes(*mask), rest(dst, written));
                    }
                }
            }
            for (items, bytes) in tail.chunks($lanes).zip(tail_bits.chunks($lanes / 8)) {
                let (mut block, mut mask) = ([0; $lanes], [0; $lanes / 8]);
                block[..items.len()].copy_from_slice(items);
                mask[..bytes.len()].copy_from_slice(bytes);
                let mask = <$mask>::from_le_bytes(mask) & first(items.len()) as $mask;
                written += step(&block, mask, rest(dst, written));
            }
            written
        }

        /// See [`crate::Kernels::expand_u16`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $expand(src: &[$t], bits: &[u8], dst: &mut [$t], stream: bool) -> usize {
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2")]
            fn step(src: &[$t], mask: $mask) -> __m512i {
                let items = if let Some(block) = src.first_chunk::<$lanes>() {
                    load(block)
                } else {
                    let mut last = [0; $lanes];
                    last[..src.len()].copy_from_slice(src);
                    load(&last)
                };
                $vpexpand(mask, items)
            }
            /// Fills less than a register.
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,popcnt")]
            fn part(src: &[$t], mask: u64, part: &mut [$t]) -> usize {
                let (mut block, mask) = ([0; $lanes], (mask & first(part.len())) as $mask);
                store(&mut block, step(src, mask));
                part.copy_from_slice(&block[..part.len()]);
                mask.count_ones() as usize
            }
            #[inline]
            #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
            fn run<const STREAM: bool>(src: &[$t], bits: &[u8], dst: &mut [$t]) -> usize {
                // What is written past the caches starts at a multiple of 64 bytes: blocks of 64 masks need whole bytes.
                let head = dst.as_ptr().align_offset(64);
                let cut = STREAM && head < dst.len() && ($lanes < 64 || head % 8 == 0);
                let head = if cut { head } else { 0 };
                let (start, dst) = dst.split_at_mut(head);
                let mut read = if head == 0 { 0 } else { part(src, window(bits, 0), start) };
                let (bits, shift) = (&bits[head / 8..], head % 8);
                let (blocks, tail) = dst.as_chunks_mut::<$lanes>();
                for (i, block) in blocks.iter_mut().enumerate() {
                    let mask = (window(bits, i * ($lanes / 8)) >> shift) as $mask;
                    put::<STREAM, _, _>(block, step(src.get(read..).unwrap_or(&[]), mask));
                    read += mask.count_ones() as usize;
                }
                if !tail.is_empty() {
                    let mask = window(bits, blocks.len() * ($lanes / 8)) >> shift;
                    read += part(src.get(read..).unwrap_or(&[]), mask, tail);
                }
                read
            }
            if stream { run::<true>(src, bits, dst) } else { run::<false>(src, bits, dst) }
        }
    };
}

items!(u8, 64, u64, compress_u8, _mm512_maskz_compress_epi8, expand_u8, _mm512_maskz_expand_epi8);
items!(u16, 32, u32, compress_u16, _mm512_maskz_compress_epi16, expand_u16, _mm512_maskz_expand_epi16);
items!(u32, 16, u16, compress_u32, _mm512_maskz_compress_epi32, expand_u32, _mm512_maskz_expand_epi32);
items!(u64, 8, u8, compress_u64, _mm512_maskz_compress_epi64, expand_u64, _mm512_maskz_expand_epi64);

/// 0, 1 .. 63.
const IOTA: [u8; 64] = {
    let mut iota = [0; 64];
    let mut i = 0;
    while i < 64 {
        iota[i] = i as u8;
        i += 1;
    }
    iota
};

/// The places of the set bits of `word` in ascending order, in the first `word.count_ones()` bytes.
#[inline]
#[target_feature(enable = "avx512f,avx512vbmi2")]
fn places(word: u64) -> [u8; 64] {
    let mut places = [0; 64];
    store(&mut places, _mm512_maskz_compress_epi8(word, load(&IOTA)));
    places
}

macro_rules! positions {
    ($name:ident, $i:ty, $lanes:literal, $set1:ident, $add:ident, $widen:ident) => {
        /// See [`crate::Kernels::positions_i32`]. The places within 64 columns come in bytes, then they are widened.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(bits: &[u8], first: $i, dst: &mut [$i]) -> usize {
            let (words, end) = bits.as_chunks::<8>();
            let mut last = [0; 8];
            last[..end.len()].copy_from_slice(end);
            let mut written = 0;
            let mut start = first;
            // Words are left out by fours: whether one of few bits is empty could not be predicted.
            for some in words.chunks(4).chain([&[last][..]]) {
                if some.iter().all(|word| *word == [0; 8]) {
                    start = start.wrapping_add((64 * some.len()) as $i);
                    continue;
                }
                for word in some {
                    let word = u64::from_le_bytes(*word);
                    let first = $set1(start);
                    start = start.wrapping_add(64);
                    let mut left = word.count_ones() as usize;
                    for part in places(word).as_chunks::<$lanes>().0 {
                        let wide = $add(first, $widen(part));
                        let room = rest(dst, written);
                        let count = left.min($lanes);
                        if let Some(room) = room.first_chunk_mut() {
                            store::<$i, $lanes>(room, wide);
                        } else {
                            let mut last = [0; $lanes];
                            store(&mut last, wide);
                            room.copy_from_slice(&last[..room.len()]);
                        }
                        written += count;
                        left -= count;
                        if left == 0 {
                            break;
                        }
                    }
                }
            }
            written
        }
    };
}

/// Sixteen bytes to as many lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn widen_16(bytes: &[u8; 16]) -> __m512i {
    // SAFETY: `bytes` is 16 readable bytes; the load needs no alignment.
    _mm512_cvtepu8_epi32(unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) })
}

/// Eight bytes to as many lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn widen_8(bytes: &[u8; 8]) -> __m512i {
    // SAFETY: `bytes` is 8 readable bytes; the load takes no more and needs no alignment.
    _mm512_cvtepu8_epi64(unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) })
}

positions!(positions_i32, i32, 16, _mm512_set1_epi32, _mm512_add_epi32, widen_16);
positions!(positions_i64, i64, 8, _mm512_set1_epi64, _mm512_add_epi64, widen_8);

macro_rules! drain {
    ($name:ident, $t:ty, $lanes:literal) => {
        /// See [`crate::Kernels::drain_u16`].
        #[target_feature(enable = "avx512f")]
        pub(crate) fn $name(buffer: &mut [$t], dst: &mut [$t]) {
            let head = dst.as_ptr().cast::<u8>().align_offset(64).div_ceil(size_of::<$t>()).min(dst.len());
            let (buffer_head, buffer) = buffer.split_at_mut(head);
            let (dst_head, dst) = dst.split_at_mut(head);
            let (buffer, buffer_tail) = buffer.as_chunks_mut::<$lanes>();
            let (dst, dst_tail) = dst.as_chunks_mut::<$lanes>();
            for (block, dst) in buffer.iter_mut().zip(dst) {
                put::<true, _, _>(dst, load(block));
                store(block, _mm512_setzero_si512());
            }
            for (buffer, dst) in [(buffer_head, dst_head), (buffer_tail, dst_tail)] {
                dst.copy_from_slice(buffer);
                buffer.fill(<$t>::default());
            }
        }
    };
}

drain!(drain_u8, u8, 64);
drain!(drain_u16, u16, 32);
drain!(drain_u32, u32, 16);
drain!(drain_u64, u64, 8);
drain!(drain_pair, [u64; 2], 4);
