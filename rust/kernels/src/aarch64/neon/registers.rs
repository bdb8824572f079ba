//! Registers: loads and stores of arrays that fill them, conversions of float16, and bits of lanes.

use std::arch::aarch64::{
    float32x4_t, int32x4_t, uint8x8_t, uint8x16_t, uint8x16x2_t, uint8x16x4_t, uint16x4_t, uint16x8_t, uint16x8x2_t,
    uint16x8x4_t, uint32x4_t, uint32x4x4_t, uint64x2_t, vandq_u8, vgetq_lane_u64, vld1_u8, vld1q_f32, vld1q_u8,
    vld1q_u16, vld1q_u32, vld1q_u64, vld2q_u8, vld4q_u8, vld4q_u16, vld4q_u32, vpaddq_u8, vreinterpretq_u8_u16,
    vreinterpretq_u16_u32, vreinterpretq_u64_u8, vst1_u8, vst1q_f32, vst1q_s32, vst1q_u8, vst1q_u16, vst1q_u32,
    vst1q_u64, vst2q_u8, vst2q_u16, vst4q_u8, vuzp1q_u8, vuzp1q_u16,
};
use std::arch::asm;

macro_rules! load {
    ($name:ident, $t:ty, $n:literal, $vector:ty, $load:ident) => {
        #[inline]
        #[target_feature(enable = "neon")]
        pub(super) fn $name(block: &[$t; $n]) -> $vector {
            const { assert!(size_of::<[$t; $n]>() == size_of::<$vector>()) };
            // SAFETY: `block` is as many readable bytes as the register has; the load needs the alignment of an item.
            unsafe { $load(block.as_ptr()) }
        }
    };
}

macro_rules! store {
    ($name:ident, $t:ty, $n:literal, $vector:ty, $store:ident) => {
        #[inline]
        #[target_feature(enable = "neon")]
        pub(super) fn $name(room: &mut [$t; $n], items: $vector) {
            const { assert!(size_of::<[$t; $n]>() == size_of::<$vector>()) };
            // SAFETY: `room` is as many writable bytes as the register has; the store needs the alignment of an item.
            unsafe { $store(room.as_mut_ptr(), items) }
        }
    };
}

load!(load_u8, u8, 16, uint8x16_t, vld1q_u8);
load!(load_u16, u16, 8, uint16x8_t, vld1q_u16);
load!(load_u32, u32, 4, uint32x4_t, vld1q_u32);
load!(load_u64, u64, 2, uint64x2_t, vld1q_u64);
load!(load_f32, f32, 4, float32x4_t, vld1q_f32);
load!(load_half_u8, u8, 8, uint8x8_t, vld1_u8);
// Item 2i + r is lane i of register r; below, item 4i + r.
load!(load_pairs_u8, u8, 32, uint8x16x2_t, vld2q_u8);
load!(load_fours_u8, u8, 64, uint8x16x4_t, vld4q_u8);
load!(load_fours_u16, u16, 32, uint16x8x4_t, vld4q_u16);
load!(load_fours_u32, u32, 16, uint32x4x4_t, vld4q_u32);
store!(store_u8, u8, 16, uint8x16_t, vst1q_u8);
store!(store_u16, u16, 8, uint16x8_t, vst1q_u16);
store!(store_u32, u32, 4, uint32x4_t, vst1q_u32);
store!(store_u64, u64, 2, uint64x2_t, vst1q_u64);
store!(store_s32, i32, 4, int32x4_t, vst1q_s32);
store!(store_f32, f32, 4, float32x4_t, vst1q_f32);
store!(store_half_u8, u8, 8, uint8x8_t, vst1_u8);
store!(store_pairs_u8, u8, 32, uint8x16x2_t, vst2q_u8);
store!(store_pairs_u16, u16, 16, uint16x8x2_t, vst2q_u16);

/// Byte `r` of each 4 from register `r`.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn store_fours(room: &mut [u16; 32], bytes: uint8x16x4_t) {
    // SAFETY: `room` is 64 writable bytes; the store needs the alignment of a byte.
    unsafe { vst4q_u8(room.as_mut_ptr().cast(), bytes) }
}

/// 64 bytes in four registers, for look-ups.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn table(bytes: &[u8; 64]) -> uint8x16x4_t {
    let part = |at: usize| load_u8(&bytes.as_chunks().0[at]);
    uint8x16x4_t(part(0), part(1), part(2), part(3))
}

/// Four float16 as float32.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn widen_half(items: uint16x4_t) -> float32x4_t {
    let wide: float32x4_t;
    // SAFETY: an instruction of NEON from one register to another.
    unsafe { asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) wide, in(vreg) items, options(pure, nomem, nostack)) };
    wide
}

/// Eight float16 as float32.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn widen(items: uint16x8_t) -> [float32x4_t; 2] {
    let (low, high): (float32x4_t, float32x4_t);
    // SAFETY: an instruction of NEON from one register to another.
    unsafe { asm!("fcvtl {0:v}.4s, {1:v}.4h", out(vreg) low, in(vreg) items, options(pure, nomem, nostack)) };
    // SAFETY: as above.
    unsafe { asm!("fcvtl2 {0:v}.4s, {1:v}.8h", out(vreg) high, in(vreg) items, options(pure, nomem, nostack)) };
    [low, high]
}

/// The nearest float16, ties to even.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn narrow([low, high]: [float32x4_t; 2]) -> uint16x8_t {
    let mut halves: uint16x8_t;
    // SAFETY: an instruction of NEON from one register to another.
    unsafe { asm!("fcvtn {0:v}.4h, {1:v}.4s", out(vreg) halves, in(vreg) low, options(pure, nomem, nostack)) };
    // SAFETY: as above; the lower half of the register stays.
    unsafe { asm!("fcvtn2 {0:v}.8h, {1:v}.4s", inout(vreg) halves, in(vreg) high, options(pure, nomem, nostack)) };
    halves
}

/// 16 lanes of bytes: the lowest of twice as wide ones.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn low_bytes(low: uint16x8_t, high: uint16x8_t) -> uint8x16_t {
    vuzp1q_u8(vreinterpretq_u8_u16(low), vreinterpretq_u8_u16(high))
}

/// The same of four times as wide ones.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn lowest_bytes([a, b, c, d]: [uint32x4_t; 4]) -> uint8x16_t {
    let half = |low, high| vuzp1q_u16(vreinterpretq_u16_u32(low), vreinterpretq_u16_u32(high));
    low_bytes(half(a, b), half(c, d))
}

/// A bit for each lane of a byte, 8 times 2.
pub(super) const WEIGHTS: [u8; 16] = [1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128];

/// A bit for each of 64 lanes, each of which has all bits set or none.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn bits(lanes: [uint8x16_t; 4]) -> u64 {
    let weights = load_u8(&WEIGHTS);
    let [a, b, c, d] = lanes.map(|lanes| vandq_u8(lanes, weights));
    let fours = vpaddq_u8(vpaddq_u8(a, b), vpaddq_u8(c, d));
    vgetq_lane_u64::<0>(vreinterpretq_u64_u8(vpaddq_u8(fours, fours)))
}
