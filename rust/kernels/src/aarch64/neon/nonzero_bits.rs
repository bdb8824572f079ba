//! Nonzero masks: `cmtst` finds the lanes, which are narrowed to bytes and summed to bits, 64 items at a time.

use super::registers::{bits, load_u8, load_u16, load_u32, load_u64, low_bytes, lowest_bytes};
use crate::scalar;
use std::arch::aarch64::{
    uint8x16_t, vdupq_n_u8, vdupq_n_u16, vdupq_n_u32, vdupq_n_u64, vreinterpretq_u32_u64, vtstq_u8, vtstq_u16,
    vtstq_u32, vtstq_u64, vuzp1q_u32,
};

/// Nonzero lanes of 16 items of one byte.
#[inline]
#[target_feature(enable = "neon")]
fn lanes_u8(items: &[u8; 16], zero: u8) -> uint8x16_t {
    vtstq_u8(load_u8(items), vdupq_n_u8(zero))
}

/// The same of two bytes.
#[inline]
#[target_feature(enable = "neon")]
fn lanes_u16(items: &[u16; 16], zero: u16) -> uint8x16_t {
    let half = |at: usize| vtstq_u16(load_u16(&items.as_chunks().0[at]), vdupq_n_u16(zero));
    low_bytes(half(0), half(1))
}

/// The same of four bytes.
#[inline]
#[target_feature(enable = "neon")]
fn lanes_u32(items: &[u32; 16], zero: u32) -> uint8x16_t {
    lowest_bytes([0, 1, 2, 3].map(|at| vtstq_u32(load_u32(&items.as_chunks().0[at]), vdupq_n_u32(zero))))
}

/// The same of eight bytes.
#[inline]
#[target_feature(enable = "neon")]
fn lanes_u64(items: &[u64; 16], zero: u64) -> uint8x16_t {
    let part = |at: usize| vreinterpretq_u32_u64(vtstq_u64(load_u64(&items.as_chunks().0[at]), vdupq_n_u64(zero)));
    lowest_bytes([0, 1, 2, 3].map(|at| vuzp1q_u32(part(2 * at), part(2 * at + 1))))
}

macro_rules! nonzero_bits {
    ($name:ident, $t:ty, $lanes:ident) => {
        /// See [`crate::Kernels::nonzero_bits_u16`].
        #[target_feature(enable = "neon")]
        pub(crate) fn $name(src: &[$t], zero: $t, out: &mut [u8]) -> usize {
            let (blocks, tail) = src.as_chunks::<64>();
            let (head, rest) = out.split_at_mut(8 * blocks.len());
            let mut count = 0;
            for (block, out) in blocks.iter().zip(head.as_chunks_mut::<8>().0) {
                let word = bits([0, 1, 2, 3].map(|at| $lanes(&block.as_chunks().0[at], zero)));
                *out = word.to_le_bytes();
                count += word.count_ones() as usize;
            }
            count + scalar::nonzero_bits::nonzero_bits(tail, zero, rest)
        }
    };
}

nonzero_bits!(nonzero_bits_u8, u8, lanes_u8);
nonzero_bits!(nonzero_bits_u16, u16, lanes_u16);
nonzero_bits!(nonzero_bits_u32, u32, lanes_u32);
nonzero_bits!(nonzero_bits_u64, u64, lanes_u64);
