//! Packing items by a bit mask: compressed, after what is not kept became zero.

use super::compress;
use super::registers::{WEIGHTS, load_u8, load_u16, load_u32, load_u64, store_u8, store_u16, store_u32, store_u64};
use crate::scalar;
use std::arch::aarch64::{
    vandq_u8, vandq_u16, vandq_u32, vandq_u64, vcombine_u8, vdup_n_u8, vdupq_n_u16, vdupq_n_u32, vdupq_n_u64, vtstq_u8,
    vtstq_u16, vtstq_u32, vtstq_u64,
};

/// Items that are packed at once.
const TILE: usize = 512;

static LANES_U16: [u16; 8] = [1, 2, 4, 8, 16, 32, 64, 128];
static LANES_U32: [[u32; 4]; 2] = [[1, 2, 4, 8], [16, 32, 64, 128]];
static LANES_U64: [[u64; 2]; 4] = [[1, 2], [4, 8], [16, 32], [64, 128]];

#[inline]
#[target_feature(enable = "neon")]
fn keep_u8(items: &[u8; 16], bytes: [u8; 2], room: &mut [u8; 16]) {
    let bytes = vcombine_u8(vdup_n_u8(bytes[0]), vdup_n_u8(bytes[1]));
    store_u8(room, vandq_u8(load_u8(items), vtstq_u8(bytes, load_u8(&WEIGHTS))));
}

#[inline]
#[target_feature(enable = "neon")]
fn keep_u16(items: &[u16; 8], [byte]: [u8; 1], room: &mut [u16; 8]) {
    store_u16(room, vandq_u16(load_u16(items), vtstq_u16(vdupq_n_u16(byte.into()), load_u16(&LANES_U16))));
}

#[inline]
#[target_feature(enable = "neon")]
fn keep_u32(items: &[u32; 8], [byte]: [u8; 1], room: &mut [u32; 8]) {
    let all = room.as_chunks_mut::<4>().0.iter_mut().zip(items.as_chunks::<4>().0).zip(&LANES_U32);
    for ((room, items), lanes) in all {
        store_u32(room, vandq_u32(load_u32(items), vtstq_u32(vdupq_n_u32(byte.into()), load_u32(lanes))));
    }
}

#[inline]
#[target_feature(enable = "neon")]
fn keep_u64(items: &[u64; 8], [byte]: [u8; 1], room: &mut [u64; 8]) {
    let all = room.as_chunks_mut::<2>().0.iter_mut().zip(items.as_chunks::<2>().0).zip(&LANES_U64);
    for ((room, items), lanes) in all {
        store_u64(room, vandq_u64(load_u64(items), vtstq_u64(vdupq_n_u64(byte.into()), load_u64(lanes))));
    }
}

macro_rules! slots {
    ($pack:ident, $keep:ident, $t:ty, $compress:ident, $step:ident, $lanes:literal) => {
        /// See [`crate::Kernels::pack_slots_u16`].
        #[target_feature(enable = "neon")]
        pub(crate) fn $pack(src: &[$t], keep: &[u8], full: &[u8], dst: &mut [$t]) -> usize {
            let mut count = 0;
            let masks = keep.chunks(TILE / 8).zip(full.chunks(TILE / 8));
            for (items, (keep, full)) in src.chunks(TILE).zip(masks) {
                let room = dst.get_mut(count..).unwrap_or_default();
                if keep == full {
                    count += compress::$compress(items, full, room);
                } else {
                    let mut kept = [0; TILE];
                    $keep(items, keep, &mut kept[..items.len()]);
                    count += compress::$compress(&kept[..items.len()], full, room);
                }
            }
            count
        }

        /// See [`crate::Kernels::keep_slots_u16`].
        #[target_feature(enable = "neon")]
        pub(crate) fn $keep(src: &[$t], bits: &[u8], dst: &mut [$t]) {
            let (blocks, tail) = src.as_chunks::<$lanes>();
            let (rooms, rest) = dst.as_chunks_mut::<$lanes>();
            let (bits, last) = bits.split_at(blocks.len() * $lanes / 8);
            for ((items, room), &bytes) in blocks.iter().zip(rooms).zip(bits.as_chunks::<{ $lanes / 8 }>().0) {
                $step(items, bytes, room);
            }
            scalar::slots::keep_slots(tail, last, rest);
        }
    };
}

slots!(pack_slots_u8, keep_slots_u8, u8, compress_u8, keep_u8, 16);
slots!(pack_slots_u16, keep_slots_u16, u16, compress_u16, keep_u16, 8);
slots!(pack_slots_u32, keep_slots_u32, u32, compress_u32, keep_u32, 8);
slots!(pack_slots_u64, keep_slots_u64, u64, compress_u64, keep_u64, 8);
