//! Table codes: the portable loops, compiled for wider registers, and conversions of float16 by F16C.

use crate::args::affine::Table;
use crate::scalar::affine as plain;
use std::arch::x86_64::{
    _MM_FROUND_TO_NEAREST_INT, _mm_loadu_si128, _mm_storeu_si128, _mm256_cvtph_ps, _mm256_cvtps_ph, _mm256_loadu_ps,
    _mm256_storeu_ps,
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

/// See [`crate::Kernels::extremes_f32`].
#[target_feature(enable = "avx2,f16c")]
fn extremes(x: &[f32], group: usize, low: &mut [f32], high: &mut [f32]) {
    plain::extremes(x, group, low, high);
}

/// See [`crate::Kernels::quantize_f32`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn quantize(x: &[f32], scale: &[f32], low: &[f32], span: f32, codes: &mut [u8]) {
    plain::quantize(x, scale, low, span, codes);
}

/// See [`crate::Kernels::dequantize_f32`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn dequantize(codes: &[u8], zero_point: &[u8], scale: &[f32], limits: (f32, f32), out: &mut [f32]) {
    plain::dequantize(codes, zero_point, scale, limits, out);
}

/// See [`crate::Kernels::widen_f16`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn widen_f16(src: &[u16], dst: &mut [f32]) {
    let (blocks, tail) = src.as_chunks::<8>();
    let (outs, rest) = dst.as_chunks_mut::<8>();
    for (block, out) in blocks.iter().zip(outs) {
        // SAFETY: `block` is 8 readable items of 2 bytes; the load needs no alignment.
        let halves = unsafe { _mm_loadu_si128(block.as_ptr().cast()) };
        let items = _mm256_cvtph_ps(halves);
        // SAFETY: `out` is 8 writable items of 4 bytes; the store needs no alignment.
        unsafe { _mm256_storeu_ps(out.as_mut_ptr(), items) };
    }
    plain::widen_f16(tail, rest);
}

/// See [`crate::Kernels::narrow_f16`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn narrow_f16(src: &[f32], dst: &mut [u16]) {
    let (blocks, tail) = src.as_chunks::<8>();
    let (outs, rest) = dst.as_chunks_mut::<8>();
    for (block, out) in blocks.iter().zip(outs) {
        // SAFETY: `block` is 8 readable items of 4 bytes; the load needs no alignment.
        let items = unsafe { _mm256_loadu_ps(block.as_ptr()) };
        let halves = _mm256_cvtps_ph::<{ _MM_FROUND_TO_NEAREST_INT }>(items);
        // SAFETY: `out` is 8 writable items of 2 bytes; the store needs no alignment.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), halves) };
    }
    plain::narrow_f16(tail, rest);
}

/// See [`crate::Kernels::widen_bf16`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn widen_bf16(src: &[u16], dst: &mut [f32]) {
    plain::widen_bf16(src, dst);
}

/// See [`crate::Kernels::narrow_bf16`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn narrow_bf16(src: &[f32], dst: &mut [u16]) {
    plain::narrow_bf16(src, dst);
}

/// See [`crate::Kernels::pack_nibbles`].
#[target_feature(enable = "avx2,f16c")]
fn pack_nibbles(codes: &[u8], bytes: &mut [u8]) {
    plain::pack_nibbles(codes, bytes);
}

/// See [`crate::Kernels::unpack_nibbles`].
#[target_feature(enable = "avx2,f16c")]
pub(super) fn unpack_nibbles(bytes: &[u8], codes: &mut [u8]) {
    plain::unpack_nibbles(bytes, codes);
}
