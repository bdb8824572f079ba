//! Affine codes, on runs of float32 or float64 that stay in the first-level cache, and the way there from 16 bits.
//!
//! Written so that the compiler vectorises them for whatever instruction set they are inlined into.

use half::bf16;
use std::ops::{Add, Div, Mul};

/// float32 or float64.
pub(crate) trait Float:
    Copy + Default + PartialOrd + From<i16> + Add<Output = Self> + Div<Output = Self> + Mul<Output = Self>
{
    /// Not a number.
    const NAN: Self;
    /// Large enough that a sum with a small number is rounded to an integer, to even on ties, and holds its low byte.
    const ROUNDER: Self;
    /// The lowest byte of its bits.
    fn low_byte(self) -> u8;
}

impl Float for f32 {
    const NAN: Self = Self::NAN;
    const ROUNDER: Self = 12_582_912.0; // 1.5 * 2^23
    #[inline(always)]
    fn low_byte(self) -> u8 {
        self.to_bits() as u8
    }
}

impl Float for f64 {
    const NAN: Self = Self::NAN;
    const ROUNDER: Self = 6_755_399_441_055_744.0; // 1.5 * 2^52
    #[inline(always)]
    fn low_byte(self) -> u8 {
        self.to_bits() as u8
    }
}

/// `b` where it is smaller, else `a`; one instruction, unlike `f32::min`, which looks at NaN.
#[inline(always)]
fn least<T: Float>(a: T, b: T) -> T {
    if b < a { b } else { a }
}

/// `b` where it is larger, else `a`.
#[inline(always)]
fn most<T: Float>(a: T, b: T) -> T {
    if b > a { b } else { a }
}

/// [`Float::ROUNDER`] of float32.
#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
pub(crate) const ROUNDER: f32 = <f32 as Float>::ROUNDER;

const LANES: usize = 32;

/// See [`crate::Kernels::extremes_f32`].
#[inline(always)]
pub(crate) fn extremes<T: Float>(x: &[T], group: usize, low: &mut [T], high: &mut [T]) {
    for ((x, low), high) in x.chunks(group).zip(low).zip(high) {
        let (mut least_of, mut most_of, mut bad) = ([T::default(); LANES], [T::default(); LANES], [0u8; LANES]);
        let (blocks, tail) = x.as_chunks::<LANES>();
        for block in blocks {
            for i in 0..LANES {
                least_of[i] = least(least_of[i], block[i]);
                most_of[i] = most(most_of[i], block[i]);
                bad[i] |= u8::from(block[i].partial_cmp(&block[i]).is_none());
            }
        }
        let mut any = bad.iter().fold(0, |any, bad| any | bad);
        let (mut a, mut b) = (T::default(), T::default());
        if !blocks.is_empty() {
            let mut half = LANES / 2;
            while half > 0 {
                for i in 0..half {
                    least_of[i] = least(least_of[i], least_of[i + half]);
                    most_of[i] = most(most_of[i], most_of[i + half]);
                }
                half /= 2;
            }
            (a, b) = (least_of[0], most_of[0]);
        }
        for &x in tail {
            (a, b) = (least(a, x), most(b, x));
            any |= u8::from(x.partial_cmp(&x).is_none());
        }
        (*low, *high) = if any == 0 { (a, b) } else { (T::NAN, T::NAN) };
    }
}

/// See [`crate::Kernels::quantize_f32`].
#[inline(always)]
pub(crate) fn quantize<T: Float>(x: &[T], scale: &[T], low: &[T], span: T, codes: &mut [u8]) {
    for (((code, &x), &scale), &low) in codes.iter_mut().zip(x).zip(scale).zip(low) {
        let step = x / scale;
        let known = step.partial_cmp(&step).is_some();
        let step = if known { step } else { T::default() };
        *code = (least(most(low, step), low + span) + T::ROUNDER).low_byte();
    }
}

/// See [`crate::Kernels::dequantize_f32`].
#[inline(always)]
pub(crate) fn dequantize<T: Float>(codes: &[u8], zero_point: &[u8], scale: &[T], limits: (T, T), out: &mut [T]) {
    for (((out, &code), &zero_point), &scale) in out.iter_mut().zip(codes).zip(zero_point).zip(scale) {
        let step = i16::from(code.wrapping_add(zero_point)) - i16::from(zero_point);
        let x = T::from(step) * scale;
        let known = x.partial_cmp(&x).is_some();
        *out = if known { least(most(limits.0, x), limits.1) } else { T::default() };
    }
}

/// A float16 as float32, without a branch: what holds for other numbers is chosen among what all cases would give.
#[inline(always)]
pub(crate) fn wide(half: u16) -> f32 {
    // Exponents have their biases 15 and 127.
    const BIAS: i32 = (127 - 15) << 23;
    const LEAST: i32 = (127 - 14) << 23; // 2^-14, the least normal float16
    const INFINITY: i32 = 0x7C00 << 13;
    let (magnitude, sign) = (i32::from(half & 0x7FFF) << 13, u32::from(half & 0x8000) << 16);
    // A subnormal is the fraction of a number in 2^-14..2^-13, less 2^-14.
    let subnormal = (f32::from_bits((magnitude + LEAST) as u32) - f32::from_bits(LEAST as u32)).to_bits() as i32;
    let normal = if magnitude < 1 << 23 { subnormal } else { magnitude + BIAS };
    let quiet = if magnitude > INFINITY { 1 << 22 } else { 0 };
    let special = (magnitude + 2 * BIAS) | quiet;
    let bits = if magnitude >= INFINITY { special } else { normal };
    f32::from_bits(bits as u32 | sign)
}

/// The nearest float16, ties to even, as [`wide`].
#[inline(always)]
pub(crate) fn narrow(x: f32) -> u16 {
    const BIAS: i32 = (127 - 15) << 23;
    const LEAST: i32 = (127 - 14) << 23;
    const BEYOND: i32 = (127 + 16) << 23; // 2^16
    const INFINITY: i32 = 0xFF << 23;
    // So large that a sum with it has the last place that a subnormal float16 has.
    const COARSE: i32 = (127 - 14 + 13) << 23;
    let (magnitude, sign) = (x.to_bits() as i32 & i32::MAX, (x.to_bits() >> 16) as u16 & 0x8000);
    let coarse = f32::from_bits(magnitude as u32) + f32::from_bits(COARSE as u32);
    let subnormal = (coarse.to_bits() as i32).wrapping_sub(COARSE);
    let rounded = magnitude.wrapping_sub(BIAS).wrapping_add(0xFFF + (magnitude >> 13 & 1)) >> 13;
    let finite = if magnitude < LEAST { subnormal } else { rounded };
    let fraction = 0x200 | (magnitude >> 13 & 0x3FF);
    let special = 0x7C00 | if magnitude > INFINITY { fraction } else { 0 };
    (if magnitude >= BEYOND { special } else { finite }) as u16 | sign
}

/// See [`crate::Kernels::widen_f16`].
#[inline(always)]
pub(crate) fn widen_f16(src: &[u16], dst: &mut [f32]) {
    dst.iter_mut().zip(src).for_each(|(dst, &src)| *dst = wide(src));
}

/// See [`crate::Kernels::narrow_f16`].
#[inline(always)]
pub(crate) fn narrow_f16(src: &[f32], dst: &mut [u16]) {
    dst.iter_mut().zip(src).for_each(|(dst, &src)| *dst = narrow(src));
}

/// See [`crate::Kernels::widen_bf16`].
#[inline(always)]
pub(crate) fn widen_bf16(src: &[u16], dst: &mut [f32]) {
    dst.iter_mut().zip(src).for_each(|(dst, &src)| *dst = f32::from_bits(u32::from(src) << 16));
}

/// See [`crate::Kernels::narrow_bf16`].
#[inline(always)]
pub(crate) fn narrow_bf16(src: &[f32], dst: &mut [u16]) {
    dst.iter_mut().zip(src).for_each(|(dst, &src)| *dst = narrow_brain(src));
}

/// The nearest bfloat16, ties to even.
#[inline(always)]
pub(crate) fn narrow_brain(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = (bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16) as u16;
    if x.is_nan() { bf16::NAN.to_bits() } else { rounded }
}

/// See [`crate::Kernels::pack_nibbles`].
#[inline(always)]
pub(crate) fn pack_nibbles(codes: &[u8], bytes: &mut [u8]) {
    let (pairs, tail) = codes.as_chunks::<2>();
    for (byte, pair) in bytes.iter_mut().zip(pairs) {
        let pair = u16::from_le_bytes(*pair);
        *byte = (pair & 15 | pair >> 4 & 0xF0) as u8;
    }
    if let ([code], Some(byte)) = (tail, bytes.last_mut()) {
        *byte = code & 15;
    }
}

/// See [`crate::Kernels::unpack_nibbles`].
#[inline(always)]
pub(crate) fn unpack_nibbles(bytes: &[u8], codes: &mut [u8]) {
    let (pairs, tail) = codes.as_chunks_mut::<2>();
    for (&byte, pair) in bytes.iter().zip(&mut *pairs) {
        // Bit 3 of a nibble is its sign: 8 is added to make it unsigned, and taken away from each byte.
        let wide = u16::from(byte & 15) | u16::from(byte & 0xF0) << 4;
        *pair = ((wide ^ 0x0808 | 0x8080).wrapping_sub(0x0808) ^ 0x8080).to_le_bytes();
    }
    if let ([code], Some(byte)) = (tail, bytes.last()) {
        *code = ((byte & 15) ^ 8).wrapping_sub(8);
    }
}
