//! Items moved by a mask, eight at a time: the places of the set bits of each byte come from a table, and a shuffle by
//! them packs the items; a second table spreads them again. `pext` and `pdep` would need no table for bytes, but take
//! up to some hundred cycles on Zen 1 and 2.
//!
//! Whole groups of eight are stored. What is stored too much lands in `dst` behind the items at hand, where the next
//! ones overwrite it.

use crate::scalar;
use crate::x86_64::Plain;
use std::arch::x86_64::{
    __m128i, __m256i, _mm_cvtsi128_si64, _mm_loadl_epi64, _mm_loadu_si128, _mm_setzero_si128, _mm_shuffle_epi8,
    _mm_storeu_si128, _mm_stream_si128, _mm256_add_epi32, _mm256_andnot_si256, _mm256_cvtepi8_epi32,
    _mm256_loadu_si256, _mm256_permutevar8x32_epi32, _mm256_set1_epi32, _mm256_srai_epi32, _mm256_storeu_si256,
};

/// The places of the set bits of each byte, in ascending order, then zeros.
static PLACES: [[u8; 8]; 256] = {
    let mut table = [[0; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut place, mut count) = (0, 0);
        while place < 8 {
            if byte >> place & 1 == 1 {
                table[byte][count] = place as u8;
                count += 1;
            }
            place += 1;
        }
        byte += 1;
    }
    table
};

/// For each bit of each byte the number of set bits before it, or -1 where it is not set.
pub(super) static RANKS: [[u8; 8]; 256] = {
    let mut table = [[0xFF; 8]; 256];
    let mut byte = 0;
    while byte < 256 {
        let (mut place, mut count) = (0, 0);
        while place < 8 {
            if byte >> place & 1 == 1 {
                table[byte][place] = count;
                count += 1;
            }
            place += 1;
        }
        byte += 1;
    }
    table
};

/// A row of a table in the lower half of a register.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn row(bytes: &[u8; 8]) -> __m128i {
    // SAFETY: `bytes` is 8 readable bytes; the load takes no more and needs no alignment.
    unsafe { _mm_loadl_epi64(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_128<T: Plain, const N: usize>(block: &[T; N]) -> __m128i {
    const { assert!(size_of::<[T; N]>() == 16) };
    // SAFETY: `block` is 16 readable bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_128<T: Plain, const N: usize>(block: &mut [T; N], value: __m128i) {
    const { assert!(size_of::<[T; N]>() == 16) };
    // SAFETY: `block` is 16 writable bytes, and any bytes make items of `T`; the store needs no alignment.
    unsafe { _mm_storeu_si128(block.as_mut_ptr().cast(), value) }
}

/// Stores a register past the caches where the block is aligned.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn put<T: Plain, const N: usize>(block: &mut [T; N], value: __m128i) {
    const { assert!(size_of::<[T; N]>() == 16) };
    if block.as_ptr().addr().is_multiple_of(16) {
        // SAFETY: `block` is 16 writable bytes, as in `store_128`, and starts at a multiple of 16.
        unsafe { _mm_stream_si128(block.as_mut_ptr().cast(), value) }
    } else {
        store_128(block, value);
    }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load_256<T: Plain, const N: usize>(block: &[T; N]) -> __m256i {
    const { assert!(size_of::<[T; N]>() == 32) };
    // SAFETY: `block` is 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(block.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn store_256<T: Plain, const N: usize>(block: &mut [T; N], value: __m256i) {
    const { assert!(size_of::<[T; N]>() == 32) };
    // SAFETY: `block` is 32 writable bytes, and any bytes make items of `T`; the store needs no alignment.
    unsafe { _mm256_storeu_si256(block.as_mut_ptr().cast(), value) }
}

#[inline]
#[target_feature(enable = "avx2")]
fn shuffled(items: &[u8; 8], places: &[u8; 8]) -> [u8; 8] {
    _mm_cvtsi128_si64(_mm_shuffle_epi8(row(items), row(places))).to_le_bytes()
}

#[inline]
#[target_feature(enable = "avx2")]
fn pack_u8(items: &[u8; 8], byte: u8, out: &mut [u8; 8]) {
    *out = shuffled(items, &PLACES[usize::from(byte)]);
}

#[inline]
#[target_feature(enable = "avx2")]
fn spread_u8(items: &[u8; 8], byte: u8, out: &mut [u8; 8]) {
    *out = shuffled(items, &RANKS[usize::from(byte)]);
}

/// Rows of places of 16-bit items as places of their bytes; a negative one stays negative in both, which shuffles in a
/// zero.
const fn byte_places(table: &[[u8; 8]; 256]) -> [[u8; 16]; 256] {
    let mut bytes = [[0; 16]; 256];
    let mut i = 0;
    while i < 256 * 8 {
        let place = table[i / 8][i % 8];
        let none = place & 0x80;
        bytes[i / 8][i % 8 * 2] = place.wrapping_mul(2) | none;
        bytes[i / 8][i % 8 * 2 + 1] = place.wrapping_mul(2).wrapping_add(1) | none;
        i += 1;
    }
    bytes
}

static BYTE_PLACES: [[u8; 16]; 256] = byte_places(&PLACES);
pub(super) static BYTE_RANKS: [[u8; 16]; 256] = byte_places(&RANKS);

#[inline]
#[target_feature(enable = "avx2")]
fn pack_u16(items: &[u16; 8], byte: u8, out: &mut [u16; 8]) {
    store_128(out, _mm_shuffle_epi8(load_128(items), load_128(&BYTE_PLACES[usize::from(byte)])));
}

#[inline]
#[target_feature(enable = "avx2")]
fn spread_u16(items: &[u16; 8], byte: u8, out: &mut [u16; 8]) {
    store_128(out, _mm_shuffle_epi8(load_128(items), load_128(&BYTE_RANKS[usize::from(byte)])));
}

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn pack_u32(items: &[u32; 8], byte: u8, out: &mut [u32; 8]) {
    let places = _mm256_cvtepi8_epi32(row(&PLACES[usize::from(byte)]));
    store_256(out, _mm256_permutevar8x32_epi32(load_256(items), places));
}

#[inline]
#[target_feature(enable = "avx2")]
fn spread_u32(items: &[u32; 8], byte: u8, out: &mut [u32; 8]) {
    let ranks = _mm256_cvtepi8_epi32(row(&RANKS[usize::from(byte)]));
    let spread = _mm256_permutevar8x32_epi32(load_256(items), ranks);
    store_256(out, _mm256_andnot_si256(_mm256_srai_epi32::<31>(ranks), spread));
}

/// Set bits in 64 columns that are faster one by one than by the table.
const FEW: u32 = 8;

/// Calls `visit` with the place of each set bit.
#[inline(always)]
fn each(mut word: u64, mut visit: impl FnMut(usize)) {
    while word != 0 {
        visit(word.trailing_zeros() as usize);
        word &= word - 1;
    }
}

macro_rules! items {
    ($t:ty, $compress:ident, $pack:ident, $expand:ident, $spread:ident) => {
        /// See [`crate::Kernels::compress_u16`].
        #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $compress(src: &[$t], bits: &[u8], dst: &mut [$t]) -> usize {
            let (blocks, tail) = src.as_chunks::<64>();
            let (bits, tail_bits) = bits.split_at(8 * blocks.len());
            let mut written = 0;
            for (block, bytes) in blocks.iter().zip(bits.as_chunks::<8>().0) {
                let word = u64::from_le_bytes(*bytes);
                let room = dst.get_mut(written..).unwrap_or_default();
                if word.count_ones() <= FEW || room.len() < 64 {
                    let mut room = room.iter_mut();
                    each(word, |at| {
                        if let Some(to) = room.next() {
                            *to = block[at];
                        }
                    });
                } else {
                    let mut within = 0;
                    for (group, &byte) in block.as_chunks().0.iter().zip(bytes) {
                        if let Some(room) = room.get_mut(within..).and_then(|room| room.first_chunk_mut()) {
                            $pack(group, byte, room);
                        }
                        within += byte.count_ones() as usize;
                    }
                }
                written += word.count_ones() as usize;
            }
            written + scalar::compress::compress(tail, tail_bits, dst.get_mut(written..).unwrap_or_default())
        }

        /// See [`crate::Kernels::expand_u16`].
        #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $expand(src: &[$t], bits: &[u8], dst: &mut [$t], stream: bool) -> usize {
            #[inline]
            #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
            fn run<const STREAM: bool>(src: &[$t], bits: &[u8], dst: &mut [$t]) -> usize {
                let (blocks, tail) = dst.as_chunks_mut::<64>();
                let (bits, tail_bits) = bits.split_at(8 * blocks.len());
                let (mut read, mut line) = (0, [0; 64]);
                for (block, bytes) in blocks.iter_mut().zip(bits.as_chunks::<8>().0) {
                    let word = u64::from_le_bytes(*bytes);
                    let left = src.get(read..).unwrap_or_default();
                    let made = if STREAM { &mut line } else { &mut *block };
                    if word.count_ones() <= FEW || left.len() < 64 {
                        let mut items = left.iter();
                        made.fill(0);
                        each(word, |at| {
                            if let Some(&item) = items.next() {
                                made[at] = item;
                            }
                        });
                    } else {
                        let mut within = 0;
                        for (group, &byte) in made.as_chunks_mut().0.iter_mut().zip(bytes) {
                            if let Some(items) = left.get(within..).and_then(|left| left.first_chunk()) {
                                $spread(items, byte, group);
                            }
                            within += byte.count_ones() as usize;
                        }
                    }
                    if STREAM {
                        let registers = block.as_chunks_mut::<{ 16 / size_of::<$t>() }>().0;
                        for (to, from) in registers.iter_mut().zip(line.as_chunks::<{ 16 / size_of::<$t>() }>().0) {
                            put(to, load_128(from));
                        }
                    }
                    read += word.count_ones() as usize;
                }
                read + scalar::compress::expand(src.get(read..).unwrap_or_default(), tail_bits, tail, false)
            }
            if stream { run::<true>(src, bits, dst) } else { run::<false>(src, bits, dst) }
        }
    };
}

items!(u8, compress_u8, pack_u8, expand_u8, spread_u8);
items!(u16, compress_u16, pack_u16, expand_u16, spread_u16);
items!(u32, compress_u32, pack_u32, expand_u32, spread_u32);

macro_rules! drain {
    ($name:ident, $t:ty) => {
        /// See [`crate::Kernels::drain_u16`].
        #[target_feature(enable = "avx2")]
        pub(crate) fn $name(buffer: &mut [$t], dst: &mut [$t]) {
            // Up to the first aligned register; the caller sees to it that both are equally long.
            let head = dst.as_ptr().align_offset(16).min(dst.len()).min(buffer.len());
            let ((front, dst), (first, buffer)) = (dst.split_at_mut(head), buffer.split_at_mut(head));
            scalar::compress::drain(first, front);
            let (rooms, rest) = dst.as_chunks_mut::<{ 16 / size_of::<$t>() }>();
            let (blocks, last) = buffer.as_chunks_mut::<{ 16 / size_of::<$t>() }>();
            for (room, block) in rooms.iter_mut().zip(blocks) {
                put(room, load_128(block));
                store_128(block, _mm_setzero_si128());
            }
            scalar::compress::drain(last, rest);
        }
    };
}

drain!(drain_u8, u8);
drain!(drain_u16, u16);
drain!(drain_u32, u32);
drain!(drain_u64, u64);
drain!(drain_pair, [u64; 2]);

/// See [`crate::Kernels::positions_i32`].
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(crate) fn positions_i32(bits: &[u8], first: i32, dst: &mut [i32]) -> usize {
    let (words, tail) = bits.as_chunks::<8>();
    let mut written = 0;
    for (at, bytes) in words.iter().enumerate() {
        let word = u64::from_le_bytes(*bytes);
        let first = first.wrapping_add((64 * at) as i32);
        let room = dst.get_mut(written..).unwrap_or_default();
        if word.count_ones() <= FEW || room.len() < 64 {
            let mut room = room.iter_mut();
            each(word, |at| {
                if let Some(to) = room.next() {
                    *to = first.wrapping_add(at as i32);
                }
            });
        } else {
            let mut within = 0;
            for (i, &byte) in bytes.iter().enumerate() {
                let places = _mm256_cvtepi8_epi32(row(&PLACES[usize::from(byte)]));
                if let Some(room) = room.get_mut(within..).and_then(<[i32]>::first_chunk_mut::<8>) {
                    store_256(room, _mm256_add_epi32(places, _mm256_set1_epi32(first.wrapping_add(8 * i as i32))));
                }
                within += byte.count_ones() as usize;
            }
        }
        written += word.count_ones() as usize;
    }
    let first = first.wrapping_add((64 * words.len()) as i32);
    written + scalar::compress::positions_i32(tail, first, dst.get_mut(written..).unwrap_or_default())
}

/// See [`crate::Kernels::count_bits`]. The portable loop, with the instruction that counts.
#[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
pub(crate) fn count_bits(bits: &[u8]) -> usize {
    scalar::compress::count_bits(bits)
}
