//! Float16 and bfloat16 in groups that share a scale, by way of float32 in the first-level cache.

use super::{affine, lookup};

/// Items that are worked on at once.
const RUN: usize = 64;

/// The largest finite value.
pub(crate) const MAX_F16: f32 = 65504.0;
/// The same for bfloat16.
pub(crate) const MAX_BF16: f32 = f32::from_bits(0x7F7F_0000);

/// See [`crate::Kernels::magnitudes_u16`].
#[inline(always)]
pub(crate) fn magnitudes_u16(src: &[u16], group: usize, out: &mut [u16]) {
    for (src, out) in src.chunks(group).zip(out) {
        *out = src.iter().fold(0, |most, &item| most.max(item & 0x7FFF));
    }
}

/// Quantises by way of `widen` (to float32) and `quantize` (see [`crate::Kernels::quantize_f32`]); scales are widened
/// by `half`.
#[inline(always)]
pub(crate) fn quantize(
    (src, group, scale, most): (&[u16], usize, &[u16], f32),
    codes: &mut [u8],
    half: impl Fn(&[u16], &mut [f32]),
    widen: impl Fn(&[u16], &mut [f32]),
    quantize: impl Fn(&[f32], &[f32], &[f32], f32, &mut [u8]),
) {
    let (mut x, low) = ([0.0; RUN], [-most; RUN]);
    for ((src, scale), codes) in src.chunks(group).zip(scale).zip(codes.chunks_mut(group)) {
        let mut one = [0.0];
        half(&[*scale], &mut one);
        let scale = [one[0]; RUN];
        for (src, codes) in src.chunks(RUN).zip(codes.chunks_mut(RUN)) {
            let len = src.len();
            widen(src, &mut x[..len]);
            quantize(&x[..len], &scale[..len], &low[..len], 2.0 * most, codes);
        }
    }
}

/// The value of a signed code, at most `most` in magnitude.
#[inline(always)]
fn value(code: u8, scale: f32, most: f32) -> f32 {
    let x = f32::from(code as i8) * scale;
    let x = if x.is_nan() { 0.0 } else { x };
    let x = if x < -most { -most } else { x };
    if x > most { most } else { x }
}

/// Codes of one scale from which on it is shorter to find the values of all codes first.
const MANY: usize = 1024;

/// Turns codes into values, which `narrow` rounds.
#[inline(always)]
fn dequantize((codes, group, scale, most): (&[u8], usize, &[f32], f32), out: &mut [u16], narrow: impl Fn(f32) -> u16) {
    for ((codes, &scale), out) in codes.chunks(group).zip(scale).zip(out.chunks_mut(group)) {
        if codes.len() < MANY {
            out.iter_mut().zip(codes).for_each(|(out, &code)| *out = narrow(value(code, scale, most)));
        } else {
            let mut table = [0; 256];
            table.iter_mut().enumerate().for_each(|(code, out)| *out = narrow(value(code as u8, scale, most)));
            lookup::bytes(codes, &table, out);
        }
    }
}

/// All codes of 4 bits in a byte each, in the order of their bits.
const NIBBLES: [u8; 16] = [0, 1, 2, 3, 4, 5, 6, 7, 248, 249, 250, 251, 252, 253, 254, 255];

/// Looks codes of 4 bits up by `lookup` (see [`crate::Kernels::lookup_nibbles_u16`]) among the values of all of them,
/// which `dequantize` finds; groups start with a byte.
#[inline(always)]
pub(crate) fn nibbles(
    (bytes, group, scale): (&[u8], usize, &[f32]),
    out: &mut [u16],
    dequantize: impl Fn(&[u8; 16], f32, &mut [u16; 16]),
    lookup: impl Fn(&[u8], &[u16; 16], &mut [u16]),
) {
    let mut at = 0;
    for (&scale, out) in scale.iter().zip(out.chunks_mut(group)) {
        let (mut table, len) = ([0; 16], out.len().div_ceil(2));
        dequantize(&NIBBLES, scale, &mut table);
        lookup(&bytes[at..at + len], &table, out);
        at += len;
    }
}

macro_rules! halves {
    ($quantize:ident, $dequantize:ident, $nibbles:ident, $widen:path, $narrow:path, $most:expr) => {
        pub(crate) fn $quantize(src: &[u16], group: usize, scale: &[u16], most: f32, codes: &mut [u8]) {
            quantize((src, group, scale, most), codes, affine::widen_f16, $widen, affine::quantize);
        }
        pub(crate) fn $dequantize(codes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            dequantize((codes, group, scale, $most), out, $narrow);
        }
        pub(crate) fn $nibbles(bytes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            let all = |codes: &[u8; 16], scale: f32, out: &mut [u16; 16]| $dequantize(codes, 16, &[scale], out);
            nibbles((bytes, group, scale), out, all, lookup::nibbles);
        }
    };
}

halves!(quantize_f16, dequantize_f16, nibbles_to_f16, affine::widen_f16, affine::narrow, MAX_F16);
halves!(quantize_bf16, dequantize_bf16, nibbles_to_bf16, affine::widen_bf16, affine::narrow_brain, MAX_BF16);
