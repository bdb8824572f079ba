//! Table codes, 16 lanes at a time; the division is IEEE's.
//!
//! Loops of integers only are the portable ones, compiled for wider registers.

use super::registers::{lanes, load_f32};
use crate::args::affine::Table;
use crate::scalar::affine as plain;
use std::arch::x86_64::{
    __m128i, _CMP_ORD_Q, _CMP_UNORD_Q, _MM_FROUND_NO_EXC, _MM_FROUND_TO_NEAREST_INT, _mm_add_epi8, _mm_loadu_si128,
    _mm_storeu_si128, _mm256_loadu_si256, _mm256_mask_storeu_epi16, _mm256_maskz_loadu_epi16, _mm256_storeu_si256,
    _mm512_add_ps, _mm512_castps_si512, _mm512_cmp_ps_mask, _mm512_cvtepi32_epi8, _mm512_cvtepi32_ps,
    _mm512_cvtepu8_epi32, _mm512_cvtph_ps, _mm512_cvtps_ph, _mm512_div_ps, _mm512_mask_storeu_ps,
    _mm512_maskz_loadu_ps, _mm512_maskz_mov_ps, _mm512_max_ps, _mm512_min_ps, _mm512_mul_ps, _mm512_reduce_max_ps,
    _mm512_reduce_min_ps, _mm512_set1_ps, _mm512_setzero_ps, _mm512_storeu_ps, _mm512_sub_epi32,
};

#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn load_bytes(items: &[u8; 16]) -> __m128i {
    // SAFETY: 16 readable bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(items.as_ptr().cast()) }
}

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
///
/// Of two zeros, and where the first operand is NaN, minimum and maximum give the second: the running one, so that
/// zeros stay +0.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn extremes(x: &[f32], group: usize, low: &mut [f32], high: &mut [f32]) {
    for ((x, low), high) in x.chunks(group).zip(low).zip(high) {
        let (mut least, mut most, mut bad) = (_mm512_setzero_ps(), _mm512_setzero_ps(), 0);
        let (blocks, tail) = x.as_chunks::<16>();
        for block in blocks {
            let items = load_f32(block);
            least = _mm512_min_ps(items, least);
            most = _mm512_max_ps(items, most);
            bad |= _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(items, items);
        }
        if !tail.is_empty() {
            // SAFETY: lanes behind the tail are not read, and are 0.
            let items = unsafe { _mm512_maskz_loadu_ps(lanes(tail.len()), tail.as_ptr()) };
            least = _mm512_min_ps(items, least);
            most = _mm512_max_ps(items, most);
            bad |= _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(items, items);
        }
        let found = (_mm512_reduce_min_ps(least), _mm512_reduce_max_ps(most));
        (*low, *high) = if bad == 0 { found } else { (f32::NAN, f32::NAN) };
    }
}

/// See [`crate::Kernels::quantize_f32`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn quantize(x: &[f32], scale: &[f32], low: &[f32], span: f32, codes: &mut [u8]) {
    let (wide, rounder) = (_mm512_set1_ps(span), _mm512_set1_ps(plain::ROUNDER));
    let (blocks, x) = x.as_chunks::<16>();
    let (scales, scale) = scale.as_chunks::<16>();
    let (lows, low) = low.as_chunks::<16>();
    let (outs, codes) = codes.as_chunks_mut::<16>();
    for (((block, scale), low), out) in blocks.iter().zip(scales).zip(lows).zip(outs) {
        let step = _mm512_div_ps(load_f32(block), load_f32(scale));
        let low = load_f32(low);
        let known = _mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_ORD_Q>(step, step), step);
        let within = _mm512_min_ps(_mm512_max_ps(known, low), _mm512_add_ps(low, wide));
        let bytes = _mm512_cvtepi32_epi8(_mm512_castps_si512(_mm512_add_ps(within, rounder)));
        // SAFETY: `out` is 16 writable bytes; the store needs no alignment.
        unsafe { _mm_storeu_si128(out.as_mut_ptr().cast(), bytes) };
    }
    plain::quantize(x, scale, low, span, codes);
}

/// See [`crate::Kernels::dequantize_f32`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn dequantize(codes: &[u8], zero_point: &[u8], scale: &[f32], limits: (f32, f32), out: &mut [f32]) {
    let (least, most) = (_mm512_set1_ps(limits.0), _mm512_set1_ps(limits.1));
    let (blocks, codes) = codes.as_chunks::<16>();
    let (points, zero_point) = zero_point.as_chunks::<16>();
    let (scales, scale) = scale.as_chunks::<16>();
    let (outs, rest) = out.as_chunks_mut::<16>();
    for (((block, point), scale), out) in blocks.iter().zip(points).zip(scales).zip(outs) {
        let point = load_bytes(point);
        let code = _mm512_cvtepu8_epi32(_mm_add_epi8(load_bytes(block), point));
        let step = _mm512_cvtepi32_ps(_mm512_sub_epi32(code, _mm512_cvtepu8_epi32(point)));
        let x = _mm512_mul_ps(step, load_f32(scale));
        let known = _mm512_cmp_ps_mask::<_CMP_ORD_Q>(x, x);
        let within = _mm512_maskz_mov_ps(known, _mm512_min_ps(_mm512_max_ps(x, least), most));
        // SAFETY: `out` is 16 writable items of 4 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), within) };
    }
    plain::dequantize(codes, zero_point, scale, limits, rest);
}

/// See [`crate::Kernels::widen_f16`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn widen_f16(src: &[u16], dst: &mut [f32]) {
    let (blocks, tail) = src.as_chunks::<16>();
    let (outs, rest) = dst.as_chunks_mut::<16>();
    for (block, out) in blocks.iter().zip(outs) {
        // SAFETY: `block` is 16 readable items of 2 bytes; the load needs no alignment.
        let halves = unsafe { _mm256_loadu_si256(block.as_ptr().cast()) };
        let items = _mm512_cvtph_ps(halves);
        // SAFETY: `out` is 16 writable items of 4 bytes; the store needs no alignment.
        unsafe { _mm512_storeu_ps(out.as_mut_ptr(), items) };
    }
    let lanes = lanes(tail.len().min(rest.len()));
    // SAFETY: lanes behind the last item are not read.
    let halves = unsafe { _mm256_maskz_loadu_epi16(lanes, tail.as_ptr().cast()) };
    let items = _mm512_cvtph_ps(halves);
    // SAFETY: lanes behind the last item are not written.
    unsafe { _mm512_mask_storeu_ps(rest.as_mut_ptr(), lanes, items) };
}

/// See [`crate::Kernels::narrow_f16`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn narrow_f16(src: &[f32], dst: &mut [u16]) {
    const NEAREST: i32 = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    let (blocks, tail) = src.as_chunks::<16>();
    let (outs, rest) = dst.as_chunks_mut::<16>();
    for (block, out) in blocks.iter().zip(outs) {
        let halves = _mm512_cvtps_ph::<NEAREST>(load_f32(block));
        // SAFETY: `out` is 16 writable items of 2 bytes; the store needs no alignment.
        unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), halves) };
    }
    let lanes = lanes(tail.len().min(rest.len()));
    // SAFETY: lanes behind the last item are not read.
    let items = unsafe { _mm512_maskz_loadu_ps(lanes, tail.as_ptr()) };
    let halves = _mm512_cvtps_ph::<NEAREST>(items);
    // SAFETY: lanes behind the last item are not written.
    unsafe { _mm256_mask_storeu_epi16(rest.as_mut_ptr().cast(), lanes, halves) };
}

/// See [`crate::Kernels::widen_bf16`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn widen_bf16(src: &[u16], dst: &mut [f32]) {
    plain::widen_bf16(src, dst);
}

/// See [`crate::Kernels::narrow_bf16`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn narrow_bf16(src: &[f32], dst: &mut [u16]) {
    plain::narrow_bf16(src, dst);
}

/// See [`crate::Kernels::pack_nibbles`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn pack_nibbles(codes: &[u8], bytes: &mut [u8]) {
    plain::pack_nibbles(codes, bytes);
}

/// See [`crate::Kernels::unpack_nibbles`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn unpack_nibbles(bytes: &[u8], codes: &mut [u8]) {
    plain::unpack_nibbles(bytes, codes);
}
