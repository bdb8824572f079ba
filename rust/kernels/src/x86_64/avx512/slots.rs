//! Packing items by a bit mask: a masked load, then one `vpcompress` per register.
//!
//! Compresses in a register and stores the whole register: straight to memory it is microcoded on Zen 4. What is stored
//! too much lands in `dst` behind the items at hand, where the next ones overwrite it.

use crate::scalar;
use std::arch::x86_64::{
    _mm512_maskz_compress_epi8, _mm512_maskz_compress_epi16, _mm512_maskz_compress_epi32, _mm512_maskz_compress_epi64,
    _mm512_maskz_loadu_epi8, _mm512_maskz_loadu_epi16, _mm512_maskz_loadu_epi32, _mm512_maskz_loadu_epi64,
    _mm512_storeu_si512,
};

macro_rules! slots {
    ($name:ident, $keep:ident, $t:ty, $lanes:literal, $mask:ty, $load:ident, $compress:ident) => {
        /// See [`crate::Kernels::keep_slots_u16`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $keep(src: &[$t], bits: &[u8], dst: &mut [$t]) {
            const BYTES: usize = $lanes / 8;
            let (blocks, tail) = src.as_chunks::<$lanes>();
            let (rooms, tail_room) = dst.as_chunks_mut::<$lanes>();
            let (bits, tail_bits) = bits.split_at(blocks.len() * BYTES);
            for ((block, room), bits) in blocks.iter().zip(rooms).zip(bits.as_chunks::<BYTES>().0) {
                // SAFETY: `block` is 64 readable bytes; the load needs no alignment.
                let items = unsafe { $load(<$mask>::from_le_bytes(*bits), block.as_ptr().cast()) };
                // SAFETY: `room` is 64 writable bytes; the store needs no alignment.
                unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), items) };
            }
            scalar::slots::keep_slots(tail, tail_bits, tail_room);
        }

        /// See [`crate::Kernels::pack_slots_u16`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(src: &[$t], keep: &[u8], full: &[u8], dst: &mut [$t]) -> usize {
            const BYTES: usize = $lanes / 8;
            let (blocks, tail) = src.as_chunks::<$lanes>();
            let (keep, keep_tail) = keep.split_at(blocks.len() * BYTES);
            let (full, full_tail) = full.split_at(blocks.len() * BYTES);
            let masks = keep.as_chunks::<BYTES>().0.iter().zip(full.as_chunks::<BYTES>().0);
            let mut count = 0;
            for (block, (keep, full)) in blocks.iter().zip(masks) {
                let full = <$mask>::from_le_bytes(*full);
                // SAFETY: `block` is 64 readable bytes; the load needs no alignment.
                let items = unsafe { $load(<$mask>::from_le_bytes(*keep), block.as_ptr().cast()) };
                let packed = $compress(full, items);
                let room = dst.get_mut(count..).unwrap_or_default();
                count += full.count_ones() as usize;
                if let Some(room) = room.first_chunk_mut::<$lanes>() {
                    // SAFETY: `room` is 64 writable bytes; the store needs no alignment.
                    unsafe { _mm512_storeu_si512(room.as_mut_ptr().cast(), packed) };
                } else {
                    let mut last = [0; $lanes];
                    // SAFETY: `last` is 64 writable bytes; the store needs no alignment.
                    unsafe { _mm512_storeu_si512(last.as_mut_ptr().cast(), packed) };
                    room.copy_from_slice(&last[..room.len()]);
                }
            }
            count + scalar::slots::pack_slots(tail, keep_tail, full_tail, dst.get_mut(count..).unwrap_or_default())
        }
    };
}

slots!(pack_slots_u8, keep_slots_u8, u8, 64, u64, _mm512_maskz_loadu_epi8, _mm512_maskz_compress_epi8);
slots!(pack_slots_u16, keep_slots_u16, u16, 32, u32, _mm512_maskz_loadu_epi16, _mm512_maskz_compress_epi16);
slots!(pack_slots_u32, keep_slots_u32, u32, 16, u16, _mm512_maskz_loadu_epi32, _mm512_maskz_compress_epi32);
slots!(pack_slots_u64, keep_slots_u64, u64, 8, u8, _mm512_maskz_loadu_epi64, _mm512_maskz_compress_epi64);
