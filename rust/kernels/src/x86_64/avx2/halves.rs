//! Float16 and bfloat16 in groups that share a scale: the portable loops around the kernels for float32.

use super::affine;
use crate::halves::Halves;
use crate::scalar::halves as plain;

pub(crate) const TABLE: Halves = Halves {
    magnitudes_u16,
    quantize_f16,
    quantize_bf16,
    dequantize_f16,
    dequantize_bf16,
    nibbles_to_f16,
    nibbles_to_bf16,
};

/// See [`crate::Kernels::magnitudes_u16`].
#[target_feature(enable = "avx2,f16c")]
fn magnitudes_u16(src: &[u16], group: usize, out: &mut [u16]) {
    plain::magnitudes_u16(src, group, out);
}

macro_rules! halves {
    ($quantize:ident, $dequantize:ident, $nibbles:ident, $widen:ident, $narrow:ident, $most:expr) => {
        /// See [`crate::Kernels::quantize_f16`].
        #[target_feature(enable = "avx2,f16c")]
        fn $quantize(src: &[u16], group: usize, scale: &[u16], most: f32, codes: &mut [u8]) {
            plain::quantize(
                (src, group, scale, most),
                codes,
                |src, dst| affine::widen_f16(src, dst),
                |src, dst| affine::$widen(src, dst),
                |x, scale, low, span, codes| affine::quantize(x, scale, low, span, codes),
            );
        }

        /// See [`crate::Kernels::dequantize_f16`].
        #[target_feature(enable = "avx2,f16c")]
        fn $dequantize(codes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            plain::dequantize(
                (codes, group, scale, $most),
                out,
                |codes, point, scale, limits, x| affine::dequantize(codes, point, scale, limits, x),
                |x, out| affine::$narrow(x, out),
            );
        }

        /// See [`crate::Kernels::nibbles_to_f16`].
        #[target_feature(enable = "avx2,f16c")]
        fn $nibbles(bytes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            plain::nibbles(
                (bytes, group, scale),
                out,
                |bytes, codes| affine::unpack_nibbles(bytes, codes),
                |codes, scale, out| $dequantize(codes, codes.len().max(1), &[scale], out),
            );
        }
    };
}

halves!(quantize_f16, dequantize_f16, nibbles_to_f16, widen_f16, narrow_f16, plain::MOST_F16);
halves!(quantize_bf16, dequantize_bf16, nibbles_to_bf16, widen_bf16, narrow_bf16, plain::MOST_BF16);
