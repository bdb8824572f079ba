//! Float16 and bfloat16 in groups that share a scale, 16 items at a time, in registers both ways.

use super::affine::{narrow_lanes_bf16, widen_lanes_bf16};
use super::lookup;
use super::registers::{load_u8, load_u16, narrow, store_u8, store_u16, widen, widen_half};
use crate::args::quantize_f16::Table;
use crate::scalar::quantize_f16 as plain;
use std::arch::aarch64::{
    float32x4_t, vandq_u16, vcombine_s8, vcombine_s16, vcvtnq_s32_f32, vcvtq_f32_s32, vdivq_f32, vdup_n_u16,
    vdupq_n_f32, vdupq_n_s8, vdupq_n_u16, vget_high_s8, vget_high_s16, vget_low_s8, vget_low_s16, vgetq_lane_f32,
    vmaxq_s8, vmaxq_u16, vmaxvq_u16, vminq_s8, vmovl_s8, vmovl_s16, vmulq_f32, vqmovn_s16, vqmovn_s32,
    vreinterpretq_s8_u8, vreinterpretq_u8_s8,
};

pub(crate) const TABLE: Table = Table {
    magnitudes_u16,
    quantize_f16,
    quantize_bf16,
    dequantize_f16,
    dequantize_bf16,
    nibbles_to_f16,
    nibbles_to_bf16,
};

/// See [`crate::Kernels::magnitudes_u16`].
#[target_feature(enable = "neon")]
fn magnitudes_u16(src: &[u16], group: usize, out: &mut [u16]) {
    for (src, out) in src.chunks(group).zip(out) {
        let (blocks, tail) = src.as_chunks::<16>();
        let (mut most, mask) = ([vdupq_n_u16(0); 2], vdupq_n_u16(0x7FFF));
        for block in blocks {
            for (most, items) in most.iter_mut().zip(block.as_chunks().0) {
                *most = vmaxq_u16(*most, vandq_u16(load_u16(items), mask));
            }
        }
        let most = vmaxvq_u16(vmaxq_u16(most[0], most[1]));
        *out = tail.iter().fold(most, |most, &item| most.max(item & 0x7FFF));
    }
}

/// 16 values over their scale, to the nearest integers (ties to even; NaN is 0) of at most `most`.
#[inline]
#[target_feature(enable = "neon")]
fn codes(x: [[float32x4_t; 2]; 2], scale: float32x4_t, most: i8, room: &mut [u8; 16]) {
    let [low, high] = x.map(|x| {
        let [a, b] = x.map(|x| vqmovn_s32(vcvtnq_s32_f32(vdivq_f32(x, scale))));
        vqmovn_s16(vcombine_s16(a, b))
    });
    let codes = vmaxq_s8(vminq_s8(vcombine_s8(low, high), vdupq_n_s8(most)), vdupq_n_s8(-most));
    store_u8(room, vreinterpretq_u8_s8(codes));
}

/// 16 codes as float32.
#[inline]
#[target_feature(enable = "neon")]
fn floats(codes: &[u8; 16]) -> [[float32x4_t; 2]; 2] {
    let codes = vreinterpretq_s8_u8(load_u8(codes));
    [vmovl_s8(vget_low_s8(codes)), vmovl_s8(vget_high_s8(codes))]
        .map(|half| [vget_low_s16(half), vget_high_s16(half)].map(|steps| vcvtq_f32_s32(vmovl_s16(steps))))
}

macro_rules! halves {
    ($quantize:ident, $dequantize:ident, $nibbles:ident, $widen:ident, $round:ident, $most:expr) => {
        /// See [`crate::Kernels::quantize_f16`].
        #[target_feature(enable = "neon")]
        fn $quantize(src: &[u16], group: usize, scale: &[u16], most: f32, out: &mut [u8]) {
            let whole = most as i8;
            if f32::from(whole) != most {
                // Rounding before the limits is the same where these are integers.
                return plain::$quantize(src, group, scale, most, out);
            }
            for ((src, scale), out) in src.chunks(group).zip(scale.chunks(1)).zip(out.chunks_mut(group)) {
                let factor = vdupq_n_f32(vgetq_lane_f32::<0>(widen_half(vdup_n_u16(scale[0]))));
                let ((blocks, tail), (rooms, rest)) = (src.as_chunks::<16>(), out.as_chunks_mut::<16>());
                for (block, room) in blocks.iter().zip(rooms) {
                    codes([0, 1].map(|at| $widen(load_u16(&block.as_chunks().0[at]))), factor, whole, room);
                }
                if !tail.is_empty() {
                    plain::$quantize(tail, tail.len(), scale, most, rest);
                }
            }
        }

        /// See [`crate::Kernels::dequantize_f16`].
        #[target_feature(enable = "neon")]
        fn $dequantize(codes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            for ((codes, scale), out) in codes.chunks(group).zip(scale.chunks(1)).zip(out.chunks_mut(group)) {
                if scale[0].is_nan() || scale[0].abs() > $most / 128.0 {
                    // Some product may be no finite number.
                    plain::$dequantize(codes, codes.len(), scale, out);
                    continue;
                }
                let factor = vdupq_n_f32(scale[0]);
                let ((blocks, tail), (rooms, rest)) = (codes.as_chunks::<16>(), out.as_chunks_mut::<16>());
                for (block, room) in blocks.iter().zip(rooms) {
                    for (room, x) in room.as_chunks_mut().0.iter_mut().zip(floats(block)) {
                        store_u16(room, $round(x.map(|x| vmulq_f32(x, factor))));
                    }
                }
                if !tail.is_empty() {
                    plain::$dequantize(tail, tail.len(), scale, rest);
                }
            }
        }

        /// See [`crate::Kernels::nibbles_to_f16`].
        #[target_feature(enable = "neon")]
        fn $nibbles(bytes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            plain::nibbles(
                (bytes, group, scale),
                out,
                |codes, scale, out| $dequantize(codes, 16, &[scale], out),
                |bytes, table, out| lookup::nibbles(bytes, table, out),
            );
        }
    };
}

halves!(quantize_f16, dequantize_f16, nibbles_to_f16, widen, narrow, plain::MAX_F16);
halves!(quantize_bf16, dequantize_bf16, nibbles_to_bf16, widen_lanes_bf16, narrow_lanes_bf16, plain::MAX_BF16);
