//! Table codes: 16 items at a time, and float16 by the instructions that convert it.

use super::registers::{
    load_f32, load_pairs_u8, load_u8, load_u16, lowest_bytes, narrow, store_f32, store_pairs_u8, store_u8, store_u16,
    widen,
};
use crate::args::affine::Table;
use crate::scalar::affine::{self as plain, ROUNDER};
use std::arch::aarch64::{
    float32x4_t, int16x8_t, uint8x16x2_t, uint16x8_t, vaddhn_u32, vaddq_f32, vaddq_u8, vaddq_u32, vandq_u32, vbslq_u16,
    vceqq_f32, vcombine_u16, vcvtq_f32_s32, vdivq_f32, vdupq_n_f32, vdupq_n_u16, vdupq_n_u32, vget_high_s16,
    vget_high_u8, vget_low_s16, vget_low_u8, vget_low_u16, vmaxq_f32, vmaxvq_f32, vminq_f32, vminvq_f32, vmovl_s16,
    vmovn_u32, vmulq_f32, vreinterpretq_f32_u32, vreinterpretq_s8_u8, vreinterpretq_s16_u16, vreinterpretq_u8_s8,
    vreinterpretq_u32_f32, vshll_high_n_u16, vshll_n_u16, vshlq_n_u8, vshrq_n_s8, vshrq_n_u32, vsliq_n_u8, vsubl_u8,
};

pub(crate) const TABLE: Table = Table {
    extremes,
    quantize,
    dequantize,
    widen_f16,
    narrow_f16,
    widen_bf16,
    narrow_bf16,
    pack_nibbles,
    unpack_nibbles,
};

/// See [`crate::Kernels::extremes_f32`]. A NaN stays in the extremes that it reaches; +0 is added as -0 is below +0 here.
#[target_feature(enable = "neon")]
fn extremes(x: &[f32], group: usize, low: &mut [f32], high: &mut [f32]) {
    for ((x, low), high) in x.chunks(group).zip(low).zip(high) {
        let (mut least, mut most) = ([vdupq_n_f32(0.0); 4], [vdupq_n_f32(0.0); 4]);
        let (blocks, tail) = x.as_chunks::<16>();
        for block in blocks {
            for (i, items) in block.as_chunks::<4>().0.iter().enumerate() {
                let items = load_f32(items);
                least[i] = vminq_f32(least[i], items);
                most[i] = vmaxq_f32(most[i], items);
            }
        }
        let [a, b, c, d] = least;
        let mut a = vminvq_f32(vminq_f32(vminq_f32(a, b), vminq_f32(c, d)));
        let [e, f, g, h] = most;
        let mut e = vmaxvq_f32(vmaxq_f32(vmaxq_f32(e, f), vmaxq_f32(g, h)));
        for &x in tail {
            let x = vdupq_n_f32(x);
            a = vminvq_f32(vminq_f32(vdupq_n_f32(a), x));
            e = vmaxvq_f32(vmaxq_f32(vdupq_n_f32(e), x));
        }
        (*low, *high) = if a.is_nan() { (f32::NAN, f32::NAN) } else { (a + 0.0, e + 0.0) };
    }
}

/// Zero where a lane is NaN.
#[inline]
#[target_feature(enable = "neon")]
fn known(x: float32x4_t) -> float32x4_t {
    vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(x), vceqq_f32(x, x)))
}

/// See [`crate::Kernels::quantize_f32`].
#[target_feature(enable = "neon")]
fn quantize(x: &[f32], scale: &[f32], low: &[f32], span: f32, codes: &mut [u8]) {
    let (blocks, x_tail) = x.as_chunks::<16>();
    let ((scales, scale_tail), (lows, low_tail)) = (scale.as_chunks::<16>(), low.as_chunks::<16>());
    let (rooms, rest) = codes.as_chunks_mut::<16>();
    let (span_lanes, rounder) = (vdupq_n_f32(span), vdupq_n_f32(ROUNDER));
    for (((x, scale), low), room) in blocks.iter().zip(scales).zip(lows).zip(rooms) {
        let sums = [0, 1, 2, 3].map(|at| {
            let [x, scale, low] = [x, scale, low].map(|items| load_f32(&items.as_chunks().0[at]));
            let step = vmaxq_f32(known(vdivq_f32(x, scale)), low);
            vreinterpretq_u32_f32(vaddq_f32(vminq_f32(step, vaddq_f32(low, span_lanes)), rounder))
        });
        store_u8(room, lowest_bytes(sums));
    }
    plain::quantize(x_tail, scale_tail, low_tail, span, rest);
}

/// Four lanes of 16 bits as float32.
#[inline]
#[target_feature(enable = "neon")]
fn floats(steps: int16x8_t) -> [float32x4_t; 2] {
    [vcvtq_f32_s32(vmovl_s16(vget_low_s16(steps))), vcvtq_f32_s32(vmovl_s16(vget_high_s16(steps)))]
}

/// See [`crate::Kernels::dequantize_f32`].
#[target_feature(enable = "neon")]
fn dequantize(codes: &[u8], zero_point: &[u8], scale: &[f32], limits: (f32, f32), out: &mut [f32]) {
    let ((blocks, tail), (points, point_tail)) = (codes.as_chunks::<16>(), zero_point.as_chunks::<16>());
    let (scales, scale_tail) = scale.as_chunks::<16>();
    let (rooms, rest) = out.as_chunks_mut::<16>();
    let (least, most) = (vdupq_n_f32(limits.0), vdupq_n_f32(limits.1));
    for (((codes, points), scale), room) in blocks.iter().zip(points).zip(scales).zip(rooms) {
        let points = load_u8(points);
        let sums = vaddq_u8(load_u8(codes), points);
        let [a, b] = floats(vreinterpretq_s16_u16(vsubl_u8(vget_low_u8(sums), vget_low_u8(points))));
        let [c, d] = floats(vreinterpretq_s16_u16(vsubl_u8(vget_high_u8(sums), vget_high_u8(points))));
        for (at, step) in [a, b, c, d].into_iter().enumerate() {
            let x = known(vmulq_f32(step, load_f32(&scale.as_chunks().0[at])));
            store_f32(&mut room.as_chunks_mut().0[at], vminq_f32(vmaxq_f32(x, least), most));
        }
    }
    plain::dequantize(tail, point_tail, scale_tail, limits, rest);
}

/// See [`crate::Kernels::widen_f16`].
#[target_feature(enable = "neon")]
pub(super) fn widen_f16(src: &[u16], dst: &mut [f32]) {
    let ((blocks, tail), (rooms, rest)) = (src.as_chunks::<8>(), dst.as_chunks_mut::<8>());
    for (block, room) in blocks.iter().zip(rooms) {
        let wide = widen(load_u16(block));
        room.as_chunks_mut().0.iter_mut().zip(wide).for_each(|(room, wide)| store_f32(room, wide));
    }
    plain::widen_f16(tail, rest);
}

/// See [`crate::Kernels::narrow_f16`].
#[target_feature(enable = "neon")]
fn narrow_f16(src: &[f32], dst: &mut [u16]) {
    let ((blocks, tail), (rooms, rest)) = (src.as_chunks::<8>(), dst.as_chunks_mut::<8>());
    for (block, room) in blocks.iter().zip(rooms) {
        store_u16(room, narrow([0, 1].map(|at| load_f32(&block.as_chunks().0[at]))));
    }
    plain::narrow_f16(tail, rest);
}

/// Eight bfloat16 as float32.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn widen_lanes_bf16(items: uint16x8_t) -> [float32x4_t; 2] {
    [vshll_n_u16::<16>(vget_low_u16(items)), vshll_high_n_u16::<16>(items)].map(|wide| vreinterpretq_f32_u32(wide))
}

/// See [`crate::Kernels::widen_bf16`].
#[target_feature(enable = "neon")]
pub(super) fn widen_bf16(src: &[u16], dst: &mut [f32]) {
    let ((blocks, tail), (rooms, rest)) = (src.as_chunks::<8>(), dst.as_chunks_mut::<8>());
    for (block, room) in blocks.iter().zip(rooms) {
        let wide = widen_lanes_bf16(load_u16(block));
        room.as_chunks_mut().0.iter_mut().zip(wide).for_each(|(room, wide)| store_f32(room, wide));
    }
    plain::widen_bf16(tail, rest);
}

/// The nearest bfloat16 of finite numbers, ties to even.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn narrow_lanes_bf16(x: [float32x4_t; 2]) -> uint16x8_t {
    let [low, high] = x.map(|x| {
        let bits = vreinterpretq_u32_f32(x);
        let odd = vandq_u32(vshrq_n_u32::<16>(bits), vdupq_n_u32(1));
        vaddhn_u32(vaddq_u32(bits, odd), vdupq_n_u32(0x7FFF))
    });
    vcombine_u16(low, high)
}

/// See [`crate::Kernels::narrow_bf16`].
#[target_feature(enable = "neon")]
fn narrow_bf16(src: &[f32], dst: &mut [u16]) {
    let ((blocks, tail), (rooms, rest)) = (src.as_chunks::<8>(), dst.as_chunks_mut::<8>());
    for (block, room) in blocks.iter().zip(rooms) {
        let x = [0, 1].map(|at| load_f32(&block.as_chunks().0[at]));
        let [low, high] = x.map(|x| vmovn_u32(vceqq_f32(x, x)));
        let numbers = vcombine_u16(low, high);
        store_u16(room, vbslq_u16(numbers, narrow_lanes_bf16(x), vdupq_n_u16(0x7FC0)));
    }
    plain::narrow_bf16(tail, rest);
}

/// See [`crate::Kernels::pack_nibbles`].
#[target_feature(enable = "neon")]
fn pack_nibbles(codes: &[u8], bytes: &mut [u8]) {
    let (blocks, tail) = codes.as_chunks::<32>();
    let (head, rest) = bytes.split_at_mut(16 * blocks.len());
    for (block, room) in blocks.iter().zip(head.as_chunks_mut::<16>().0) {
        let uint8x16x2_t(even, odd) = load_pairs_u8(block);
        store_u8(room, vsliq_n_u8::<4>(even, odd));
    }
    plain::pack_nibbles(tail, rest);
}

/// See [`crate::Kernels::unpack_nibbles`].
#[target_feature(enable = "neon")]
fn unpack_nibbles(bytes: &[u8], codes: &mut [u8]) {
    let (rooms, rest) = codes.as_chunks_mut::<32>();
    let (head, tail) = bytes.split_at(16 * rooms.len());
    let shifted = |pairs| vreinterpretq_u8_s8(vshrq_n_s8::<4>(vreinterpretq_s8_u8(pairs)));
    for (block, room) in head.as_chunks::<16>().0.iter().zip(rooms) {
        let pairs = load_u8(block);
        store_pairs_u8(room, uint8x16x2_t(shifted(vshlq_n_u8::<4>(pairs)), shifted(pairs)));
    }
    plain::unpack_nibbles(tail, rest);
}
