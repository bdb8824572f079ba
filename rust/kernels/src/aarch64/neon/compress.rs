//! Items moved by a mask, eight at a time: for each byte of bits a table tells `tbl` where the bytes of its items are.
//! What `tbl` finds outside its items is zero, which spreads them without a mask. Items of 8 bytes go by halves of a byte.
//!
//! Whole groups are stored. What is stored too much lands in `dst` behind the items at hand, where the next ones
//! overwrite it, or where there is no room, in a place of its own that is copied from.

use super::registers::{
    load_half_u8, load_u8, load_u16, load_u32, load_u64, store_half_u8, store_s32, store_u16, store_u32, store_u64,
};
use crate::scalar::bit_positions::{PLACES, Word};
use crate::scalar::compress as plain;
use std::arch::aarch64::{
    uint8x16x2_t, vaddlvq_u8, vaddq_s32, vaddq_u8, vand_u8, vcnt_u8, vcntq_u8, vcombine_u8, vdup_n_u8, vdupq_n_s32,
    vget_high_u16, vget_lane_u64, vget_low_u16, vmovl_u8, vmovl_u16, vqtbl1_u8, vqtbl1q_u8, vqtbl2q_u8,
    vreinterpret_u64_u8, vreinterpretq_s32_u32, vreinterpretq_u8_u16, vreinterpretq_u8_u32, vreinterpretq_u8_u64,
    vreinterpretq_u16_u8, vreinterpretq_u32_u8, vreinterpretq_u64_u8,
};

/// Where `tbl` finds nothing.
const NONE: u8 = 0xFF;

/// For each mask, where the bytes of the items whose bit is set are, of `width` bytes each, in ascending order.
const fn gathered<const B: usize, const R: usize>(width: usize) -> [[u8; B]; R] {
    let (mut table, mut mask) = ([[NONE; B]; R], 0);
    while mask < R {
        let (mut place, mut at) = (0, 0);
        while place < B / width {
            let mut byte = 0;
            while mask >> place & 1 == 1 && byte < width {
                table[mask][at] = (place * width + byte) as u8;
                at += 1;
                byte += 1;
            }
            place += 1;
        }
        mask += 1;
    }
    table
}

/// For each mask, which bytes go to the items whose bit is set; none to the others.
const fn spread<const B: usize, const R: usize>(width: usize) -> [[u8; B]; R] {
    let (mut table, mut mask) = ([[NONE; B]; R], 0);
    while mask < R {
        let (mut place, mut at) = (0, 0);
        while place < B / width {
            let mut byte = 0;
            while mask >> place & 1 == 1 && byte < width {
                table[mask][place * width + byte] = at as u8;
                at += 1;
                byte += 1;
            }
            place += 1;
        }
        mask += 1;
    }
    table
}

static GATHER_U8: [[u8; 8]; 256] = gathered(1);
static GATHER_U16: [[u8; 16]; 256] = gathered(2);
static GATHER_U32: [[u8; 32]; 256] = gathered(4);
static GATHER_U64: [[u8; 32]; 16] = gathered(8);
pub(super) static SPREAD_U8: [[u8; 8]; 256] = spread(1);
pub(super) static SPREAD_U16: [[u8; 16]; 256] = spread(2);
pub(super) static SPREAD_U32: [[u8; 32]; 256] = spread(4);
static SPREAD_U64: [[u8; 32]; 16] = spread(8);

#[inline]
#[target_feature(enable = "neon")]
fn move_u8(items: &[u8; 8], table: &[[u8; 8]; 256], byte: u8, out: &mut [u8; 8]) {
    let items = vcombine_u8(load_half_u8(items), vdup_n_u8(0));
    store_half_u8(out, vqtbl1_u8(items, load_half_u8(&table[usize::from(byte)])));
}

#[inline]
#[target_feature(enable = "neon")]
fn move_u16(items: &[u16; 8], table: &[[u8; 16]; 256], byte: u8, out: &mut [u16; 8]) {
    let moved = vqtbl1q_u8(vreinterpretq_u8_u16(load_u16(items)), load_u8(&table[usize::from(byte)]));
    store_u16(out, vreinterpretq_u16_u8(moved));
}

#[inline]
#[target_feature(enable = "neon")]
fn move_u32(items: &[u32; 8], table: &[[u8; 32]; 256], byte: u8, out: &mut [u32; 8]) {
    let (items, places) = (items.as_chunks::<4>().0, table[usize::from(byte)].as_chunks::<16>().0);
    let both = uint8x16x2_t(vreinterpretq_u8_u32(load_u32(&items[0])), vreinterpretq_u8_u32(load_u32(&items[1])));
    // Both before either is stored: loads and stores go in pairs.
    let moved = [0, 1].map(|at| vreinterpretq_u32_u8(vqtbl2q_u8(both, load_u8(&places[at]))));
    out.as_chunks_mut().0.iter_mut().zip(moved).for_each(|(out, moved)| store_u32(out, moved));
}

/// Four items, for half a byte.
#[inline]
#[target_feature(enable = "neon")]
fn move_u64(items: &[u64; 4], table: &[[u8; 32]; 16], nibble: u8, out: &mut [u64; 4]) {
    let (items, places) = (items.as_chunks::<2>().0, table[usize::from(nibble & 15)].as_chunks::<16>().0);
    let both = uint8x16x2_t(vreinterpretq_u8_u64(load_u64(&items[0])), vreinterpretq_u8_u64(load_u64(&items[1])));
    let moved = [0, 1].map(|at| vreinterpretq_u64_u8(vqtbl2q_u8(both, load_u8(&places[at]))));
    out.as_chunks_mut().0.iter_mut().zip(moved).for_each(|(out, moved)| store_u64(out, moved));
}

/// Bits counted by one instruction.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn word(bytes: [u8; 8]) -> Word {
    Word::counted(bytes, vget_lane_u64::<0>(vreinterpret_u64_u8(vcnt_u8(load_half_u8(&bytes)))))
}

/// The same, in halves of bytes: calls `visit` with each, its number, and the bits that are set before it.
#[inline]
#[target_feature(enable = "neon")]
fn each_half(word: Word, mut visit: impl FnMut(usize, u8, usize)) {
    let low = vcnt_u8(vand_u8(load_half_u8(&word.bytes), vdup_n_u8(15)));
    let low = vget_lane_u64::<0>(vreinterpret_u64_u8(low));
    word.each(|i, byte, before| {
        visit(2 * i, byte & 15, before);
        visit(2 * i + 1, byte >> 4, before + ((low >> (8 * i)) as usize & 7));
    });
}

/// Items for 64 columns from any of them on, and those that are moved with them.
const ROOM: usize = 72;

macro_rules! eights {
    ($gather:ident, $scatter:ident, $t:ty, $move:ident, $gathered:ident, $spread:ident) => {
        #[inline]
        #[target_feature(enable = "neon")]
        fn $gather(word: Word, block: &[$t; 64], room: &mut [$t; ROOM]) {
            word.each(|i, byte, before| {
                if let Some(room) = room[before..].first_chunk_mut() {
                    $move(&block.as_chunks().0[i], &$gathered, byte, room);
                }
            });
        }

        #[inline]
        #[target_feature(enable = "neon")]
        fn $scatter(word: Word, items: &[$t; ROOM], block: &mut [$t; 64]) {
            word.each(|i, byte, before| {
                if let Some(items) = items[before..].first_chunk() {
                    $move(items, &$spread, byte, &mut block.as_chunks_mut().0[i]);
                }
            });
        }
    };
}

eights!(gather_u8, scatter_u8, u8, move_u8, GATHER_U8, SPREAD_U8);
eights!(gather_u16, scatter_u16, u16, move_u16, GATHER_U16, SPREAD_U16);
eights!(gather_u32, scatter_u32, u32, move_u32, GATHER_U32, SPREAD_U32);

#[inline]
#[target_feature(enable = "neon")]
fn gather_u64(word: Word, block: &[u64; 64], room: &mut [u64; ROOM]) {
    each_half(word, |at, nibble, before| {
        if let Some(room) = room[before..].first_chunk_mut() {
            move_u64(&block.as_chunks().0[at], &GATHER_U64, nibble, room);
        }
    });
}

#[inline]
#[target_feature(enable = "neon")]
fn scatter_u64(word: Word, items: &[u64; ROOM], block: &mut [u64; 64]) {
    each_half(word, |at, nibble, before| {
        if let Some(items) = items[before..].first_chunk() {
            move_u64(items, &SPREAD_U64, nibble, &mut block.as_chunks_mut().0[at]);
        }
    });
}

macro_rules! items {
    ($t:ty, $compress:ident, $gather:ident, $expand:ident, $scatter:ident) => {
        /// See [`crate::Kernels::compress_u16`].
        #[target_feature(enable = "neon")]
        pub(crate) fn $compress(src: &[$t], bits: &[u8], dst: &mut [$t]) -> usize {
            let (blocks, tail) = src.as_chunks::<64>();
            let (bits, tail_bits) = bits.split_at(8 * blocks.len());
            let mut written = 0;
            for (block, bytes) in blocks.iter().zip(bits.as_chunks::<8>().0) {
                let (room, word) = (dst.get_mut(written..).unwrap_or_default(), word(*bytes));
                match room.first_chunk_mut() {
                    _ if word.count <= plain::FEW => _ = plain::compress_each(block, bytes, room),
                    Some(room) => $gather(word, block, room),
                    None => {
                        let mut all = [0; ROOM];
                        $gather(word, block, &mut all);
                        let count = word.count.min(room.len());
                        room[..count].copy_from_slice(&all[..count]);
                    }
                }
                written += word.count;
            }
            written + plain::compress_each(tail, tail_bits, dst.get_mut(written..).unwrap_or_default())
        }

        /// See [`crate::Kernels::expand_u16`].
        #[target_feature(enable = "neon")]
        pub(crate) fn $expand(src: &[$t], bits: &[u8], dst: &mut [$t], _stream: bool) -> usize {
            let (blocks, tail) = dst.as_chunks_mut::<64>();
            let (bits, tail_bits) = bits.split_at(8 * blocks.len());
            let mut read = 0;
            for (block, bytes) in blocks.iter_mut().zip(bits.as_chunks::<8>().0) {
                let (left, word) = (src.get(read..).unwrap_or_default(), word(*bytes));
                match left.first_chunk() {
                    _ if word.count <= plain::FEW => _ = plain::expand_each(left, bytes, block),
                    Some(items) => $scatter(word, items, block),
                    None => {
                        let mut all = [0; ROOM];
                        let count = word.count.min(left.len());
                        all[..count].copy_from_slice(&left[..count]);
                        $scatter(word, &all, block);
                    }
                }
                read += word.count;
            }
            read + plain::expand_each(src.get(read..).unwrap_or_default(), tail_bits, tail)
        }
    };
}

items!(u8, compress_u8, gather_u8, expand_u8, scatter_u8);
items!(u16, compress_u16, gather_u16, expand_u16, scatter_u16);
items!(u32, compress_u32, gather_u32, expand_u32, scatter_u32);
items!(u64, compress_u64, gather_u64, expand_u64, scatter_u64);

/// Writes `first` plus the place of each set bit of a word.
#[inline]
#[target_feature(enable = "neon")]
fn word_positions(word: Word, first: i32, room: &mut [i32; ROOM]) {
    word.each(|i, byte, before| {
        let places = vmovl_u8(load_half_u8(&PLACES[usize::from(byte)]));
        let first = vdupq_n_s32(first.wrapping_add(8 * i as i32));
        let halves = [vmovl_u16(vget_low_u16(places)), vmovl_u16(vget_high_u16(places))];
        if let Some(room) = room[before..].first_chunk_mut::<8>() {
            for (room, half) in room.as_chunks_mut::<4>().0.iter_mut().zip(halves) {
                store_s32(room, vaddq_s32(vreinterpretq_s32_u32(half), first));
            }
        }
    });
}

/// See [`crate::Kernels::positions_i32`].
#[target_feature(enable = "neon")]
pub(crate) fn positions_i32(bits: &[u8], first: i32, dst: &mut [i32]) -> usize {
    let (words, tail) = bits.as_chunks::<8>();
    let mut written = 0;
    for (at, bytes) in words.iter().enumerate() {
        let (room, word) = (dst.get_mut(written..).unwrap_or_default(), word(*bytes));
        let first = first.wrapping_add((64 * at) as i32);
        match room.first_chunk_mut() {
            _ if word.count <= plain::FEW => _ = plain::positions_i32(bytes, first, room),
            Some(room) => word_positions(word, first, room),
            None => {
                let mut all = [0; ROOM];
                word_positions(word, first, &mut all);
                let count = word.count.min(room.len());
                room[..count].copy_from_slice(&all[..count]);
            }
        }
        written += word.count;
    }
    let first = first.wrapping_add((64 * words.len()) as i32);
    written + plain::positions_i32(tail, first, dst.get_mut(written..).unwrap_or_default())
}

/// See [`crate::Kernels::count_bits`].
#[target_feature(enable = "neon")]
pub(crate) fn count_bits(bits: &[u8]) -> usize {
    let (blocks, tail) = bits.as_chunks::<64>();
    let mut count = 0;
    for block in blocks {
        let [a, b, c, d] = [0, 1, 2, 3].map(|at| vcntq_u8(load_u8(&block.as_chunks().0[at])));
        count += usize::from(vaddlvq_u8(vaddq_u8(vaddq_u8(a, b), vaddq_u8(c, d))));
    }
    count + plain::count_bits(tail)
}
