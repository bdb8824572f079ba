//! Float16 and bfloat16 in groups that share a scale: the portable loops around the kernels for float32 on the way to
//! codes, registers on the way back.

use super::affine;
use super::group_rows::Sixteen;
use super::rounding::{round_bf16, round_f16};
use crate::args::quantize_f16::Table;
use crate::scalar::quantize_f16 as plain;
use std::arch::x86_64::{
    __m256, _mm_loadl_epi64, _mm_storeu_si128, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_mul_ps, _mm256_set1_ps,
    _mm256_setr_ps,
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
#[target_feature(enable = "avx2,f16c")]
fn magnitudes_u16(src: &[u16], group: usize, out: &mut [u16]) {
    plain::magnitudes_u16(src, group, out);
}

macro_rules! halves {
    ($quantize:ident, $dequantize:ident, $nibbles:ident, $widen:ident, $round:ident, $plain:ident, $plain_nibbles:ident, $most:expr) => {
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
            for ((codes, scale), out) in codes.chunks(group).zip(scale.chunks(1)).zip(out.chunks_mut(group)) {
                if scale[0].is_nan() || scale[0].abs() > $most / 128.0 {
                    // Some product may be no finite number.
                    plain::$plain(codes, codes.len(), scale, out);
                    continue;
                }
                let factor = _mm256_set1_ps(scale[0]);
                let (blocks, tail) = codes.as_chunks::<8>();
                let (rooms, rest) = out.as_chunks_mut::<8>();
                for (block, room) in blocks.iter().zip(rooms) {
                    // SAFETY: 8 readable bytes; the load takes no more and needs no alignment.
                    let codes = unsafe { _mm_loadl_epi64(block.as_ptr().cast()) };
                    let halves = $round(_mm256_mul_ps(_mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(codes)), factor));
                    // SAFETY: room for 8 items of 2 bytes; the store needs no alignment.
                    unsafe { _mm_storeu_si128(room.as_mut_ptr().cast(), halves) };
                }
                if !tail.is_empty() {
                    plain::$plain(tail, tail.len(), scale, rest);
                }
            }
        }

        /// See [`crate::Kernels::nibbles_to_f16`].
        #[target_feature(enable = "avx2,f16c")]
        fn $nibbles(bytes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            let positive = _mm256_setr_ps(0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0);
            let negative = _mm256_setr_ps(-8.0, -7.0, -6.0, -5.0, -4.0, -3.0, -2.0, -1.0);
            let mut at = 0;
            for (&scale, out) in scale.iter().zip(out.chunks_mut(group)) {
                let bytes = &bytes[at..at + out.len().div_ceil(2)];
                at += bytes.len();
                let done = if scale.abs() <= $most / 128.0 {
                    let factor = _mm256_set1_ps(scale);
                    let value = |codes: __m256| $round(_mm256_mul_ps(codes, factor));
                    Sixteen::new(value(positive), value(negative)).look_up::<false>(bytes, out)
                } else {
                    0 // some product may be no finite number
                };
                if done < out.len() {
                    plain::$plain_nibbles(&bytes[done / 2..], group, &[scale], &mut out[done..]);
                }
            }
        }
    };
}

halves!(
    quantize_f16,
    dequantize_f16,
    nibbles_to_f16,
    widen_f16,
    round_f16,
    dequantize_f16,
    nibbles_to_f16,
    plain::MAX_F16
);
halves!(
    quantize_bf16,
    dequantize_bf16,
    nibbles_to_bf16,
    widen_bf16,
    round_bf16,
    dequantize_bf16,
    nibbles_to_bf16,
    plain::MAX_BF16
);
