//! Float16 and bfloat16 in groups that share a scale, by way of float32 in the first-level cache.

use super::affine;

/// Items that are worked on at once.
const RUN: usize = 64;

/// The largest finite value.
pub(crate) const MOST_F16: f32 = 65504.0;
/// The same for bfloat16.
pub(crate) const MOST_BF16: f32 = f32::from_bits(0x7F7F_0000);

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

/// Turns codes into values by way of `dequantize` (see [`crate::Kernels::dequantize_f32`]) and `narrow`.
#[inline(always)]
pub(crate) fn dequantize(
    (codes, group, scale, most): (&[u8], usize, &[f32], f32),
    out: &mut [u16],
    dequantize: impl Fn(&[u8], &[u8], &[f32], (f32, f32), &mut [f32]),
    narrow: impl Fn(&[f32], &mut [u16]),
) {
    let mut x = [0.0; RUN];
    for ((codes, &scale), out) in codes.chunks(group).zip(scale).zip(out.chunks_mut(group)) {
        let scale = [scale; RUN];
        for (codes, out) in codes.chunks(RUN).zip(out.chunks_mut(RUN)) {
            let len = codes.len();
            // Signed codes are those with a zero point in the middle.
            dequantize(codes, &[128; RUN][..len], &scale[..len], (-most, most), &mut x[..len]);
            narrow(&x[..len], out);
        }
    }
}

/// Like [`dequantize`], by way of `unpack` (see [`crate::Kernels::unpack_nibbles`]); groups start with a byte.
#[inline(always)]
pub(crate) fn nibbles(
    (bytes, group, scale): (&[u8], usize, &[f32]),
    out: &mut [u16],
    unpack: impl Fn(&[u8], &mut [u8]),
    dequantize: impl Fn(&[u8], f32, &mut [u16]),
) {
    let mut codes = [0; RUN];
    let mut at = 0;
    for (&scale, out) in scale.iter().zip(out.chunks_mut(group)) {
        for out in out.chunks_mut(RUN) {
            let (codes, len) = (&mut codes[..out.len()], out.len().div_ceil(2));
            unpack(&bytes[at..at + len], codes);
            dequantize(codes, scale, out);
            at += len;
        }
    }
}

macro_rules! halves {
    ($quantize:ident, $dequantize:ident, $nibbles:ident, $widen:path, $narrow:path, $most:expr) => {
        pub(crate) fn $quantize(src: &[u16], group: usize, scale: &[u16], most: f32, codes: &mut [u8]) {
            quantize((src, group, scale, most), codes, affine::widen_f16, $widen, affine::quantize);
        }
        pub(crate) fn $dequantize(codes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            dequantize((codes, group, scale, $most), out, affine::dequantize, $narrow);
        }
        pub(crate) fn $nibbles(bytes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            let one = |codes: &[u8], scale: f32, out: &mut [u16]| $dequantize(codes, RUN, &[scale], out);
            nibbles((bytes, group, scale), out, affine::unpack_nibbles, one);
        }
    };
}

halves!(quantize_f16, dequantize_f16, nibbles_to_f16, affine::widen_f16, affine::narrow_f16, MOST_F16);
halves!(quantize_bf16, dequantize_bf16, nibbles_to_bf16, affine::widen_bf16, affine::narrow_bf16, MOST_BF16);
