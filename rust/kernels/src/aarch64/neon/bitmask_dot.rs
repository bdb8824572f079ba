//! Products with one column, straight from packed values, 64 columns at a time: a table tells for each byte of bits which
//! value goes where.
//!
//! A run of values is loaded whole where there are so many; the end is left to the portable loops.

use super::affine::widen_lanes_bf16;
use super::compress::{SPREAD_U8, SPREAD_U16, SPREAD_U32, word as counted};
use super::registers::{load_f32, load_half_u8, load_u8, load_u16, widen};
use crate::scalar::product::{self as plain, codes_left};
use half::{bf16, f16};
use std::arch::aarch64::{
    float32x4_t, int8x8_t, int8x16_t, int32x4_t, uint8x16x2_t, vaddq_f32, vaddvq_f32, vandq_u8, vcombine_s8,
    vcombine_u8, vcreate_u8, vcvtq_f32_s32, vdup_n_u8, vdupq_n_f32, vdupq_n_s32, vdupq_n_u8, veorq_u8, vfmaq_f32,
    vfmaq_n_f32, vget_high_s16, vget_low_s8, vget_low_s16, vmovl_s8, vmovl_s16, vmull_high_s8, vmull_s8, vpadalq_s16,
    vqtbl1_u8, vqtbl1q_u8, vqtbl2q_u8, vreinterpret_s8_u8, vreinterpretq_f32_u8, vreinterpretq_s8_u8,
    vreinterpretq_u8_f32, vreinterpretq_u8_s8, vreinterpretq_u8_u16, vreinterpretq_u16_u8, vshlq_n_u8, vzip1q_u8,
};
use std::arch::asm;

/// The sum of all lanes.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn total([a, b, c, d]: [float32x4_t; 4]) -> f32 {
    vaddvq_f32(vaddq_f32(vaddq_f32(a, b), vaddq_f32(c, d)))
}

/// Adds the products of 8 values with 8 items of `x`.
#[inline]
#[target_feature(enable = "neon")]
fn add(sums: &mut [float32x4_t], values: [float32x4_t; 2], x: &[f32; 8]) {
    for ((sum, values), x) in sums.iter_mut().zip(values).zip(x.as_chunks().0) {
        *sum = vfmaq_f32(*sum, values, load_f32(x));
    }
}

/// The portable loop over what is left, values widened by `wide`.
///
/// Apart, so that its working space costs the whole blocks nothing.
#[cold]
#[inline(never)]
fn rest<T: Copy>(values: &[T], bits: &[u8], x: &[f32], wide: impl Fn(T) -> f32) -> (f32, usize) {
    let (mut sum, mut used, mut room) = (0.0, 0, [0.0; 64]);
    for (x, bits) in x.chunks(64).zip(bits.chunks(8)) {
        let rest = values.get(used..).unwrap_or_default();
        let room = &mut room[..rest.len().min(64)];
        room.iter_mut().zip(rest).for_each(|(to, &value)| *to = wide(value));
        let (more, count) = plain::dot_f32::<true>(room, bits, x);
        sum += more;
        used += count;
    }
    (sum, used)
}

/// 8 values where their bits are, and zeros between them.
#[inline]
#[target_feature(enable = "neon")]
fn singles(part: &[f32; 8], byte: u8) -> [float32x4_t; 2] {
    let [a, b] = [0, 1].map(|at| vreinterpretq_u8_f32(load_f32(&part.as_chunks().0[at])));
    let places = SPREAD_U32[usize::from(byte)].as_chunks::<16>().0;
    [0, 1].map(|at| vreinterpretq_f32_u8(vqtbl2q_u8(uint8x16x2_t(a, b), load_u8(&places[at]))))
}

/// The same for float16.
#[inline]
#[target_feature(enable = "neon")]
fn halves(part: &[u16; 8], byte: u8) -> [float32x4_t; 2] {
    let items = vqtbl1q_u8(vreinterpretq_u8_u16(load_u16(part)), load_u8(&SPREAD_U16[usize::from(byte)]));
    widen(vreinterpretq_u16_u8(items))
}

/// The same for bfloat16.
#[inline]
#[target_feature(enable = "neon")]
fn bf16_lanes(part: &[u16; 8], byte: u8) -> [float32x4_t; 2] {
    let items = vqtbl1q_u8(vreinterpretq_u8_u16(load_u16(part)), load_u8(&SPREAD_U16[usize::from(byte)]));
    widen_lanes_bf16(vreinterpretq_u16_u8(items))
}

/// Values for 64 columns from any of them on, and those that are loaded with them.
const ROOM: usize = 72;

macro_rules! dot {
    ($name:ident, $t:ty, $spread:ident, $wide:expr) => {
        /// See [`crate::Kernels::dot_f32`].
        #[target_feature(enable = "neon")]
        pub(crate) fn $name(values: &[$t], bits: &[u8], x: &[f32]) -> (f32, usize) {
            let (mut sums, mut used, mut done) = ([vdupq_n_f32(0.0); 4], 0, 0);
            for (x, bits) in x.as_chunks::<64>().0.iter().zip(bits.as_chunks::<8>().0) {
                let Some(room) = values.get(used..).and_then(|rest| rest.first_chunk::<ROOM>()) else { break };
                let word = counted(*bits);
                word.each(|i, byte, before| {
                    if let Some(part) = room[before..].first_chunk::<8>() {
                        add(&mut sums[i % 2 * 2..], $spread(part, byte), &x.as_chunks().0[i]);
                    }
                });
                used += word.count;
                done += 64;
            }
            let sum = total(sums);
            if done == x.len() {
                return (sum, used);
            }
            let left = values.get(used..).unwrap_or_default();
            let (more, count) = rest(left, &bits[done / 8..], &x[done..], $wide);
            (sum + more, used + count)
        }
    };
}

dot!(dot_f32, f32, singles, |value| value);
dot!(dot_f16, u16, halves, |bits| f16::from_bits(bits).to_f32());
dot!(dot_bf16, u16, bf16_lanes, |bits| bf16::from_bits(bits).to_f32());

/// Codes of a byte, 8 from code `at` on, where their bits are.
#[inline]
#[target_feature(enable = "neon")]
fn bytes_at(room: &[u8; ROOM], at: usize, byte: u8) -> int8x8_t {
    let codes = room.get(at..).and_then(|rest| rest.first_chunk::<8>()).unwrap_or(&[0; 8]);
    let codes = vcombine_u8(load_half_u8(codes), vdup_n_u8(0));
    vreinterpret_s8_u8(vqtbl1_u8(codes, load_half_u8(&SPREAD_U8[usize::from(byte)])))
}

/// 16 codes of half a byte, 16 times each.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn upper_halves(pairs: u64) -> int8x16_t {
    let pairs = vcombine_u8(vcreate_u8(pairs), vdup_n_u8(0));
    vreinterpretq_s8_u8(vzip1q_u8(vshlq_n_u8::<4>(pairs), vandq_u8(pairs, vdupq_n_u8(0xF0))))
}

/// Codes of half a byte, 16 times each, as [`bytes_at`].
#[inline]
#[target_feature(enable = "neon")]
fn nibbles_at(room: &[u8; ROOM], at: usize, byte: u8) -> int8x8_t {
    let bytes = room.get(at / 2..).and_then(|rest| rest.first_chunk::<8>()).copied().unwrap_or_default();
    let codes = upper_halves(u64::from_le_bytes(bytes) >> (at % 2 * 4));
    let places = load_half_u8(&SPREAD_U8[usize::from(byte)]);
    vreinterpret_s8_u8(vqtbl1_u8(vreinterpretq_u8_s8(codes), places))
}

/// 8 codes as float32.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn floats(codes: int8x8_t) -> [float32x4_t; 2] {
    let codes = vmovl_s8(codes);
    [vmovl_s16(vget_low_s16(codes)), vmovl_s16(vget_high_s16(codes))].map(|codes| vcvtq_f32_s32(codes))
}

macro_rules! floats_of_codes {
    ($name:ident, $fetch:ident, $bits:literal, $unit:literal) => {
        /// See [`crate::Kernels::dot_codes`].
        #[target_feature(enable = "neon")]
        pub(crate) fn $name(stream: &[u8], start: usize, bits: &[u8], x: &[f32], scale: &[f32]) -> (f32, usize) {
            let (mut all, mut used, mut done) = ([vdupq_n_f32(0.0); 4], 0, 0);
            for ((x, bits), &scale) in x.as_chunks::<64>().0.iter().zip(bits.as_chunks::<8>().0).zip(scale) {
                let at = start + used;
                let Some(room) = stream.get(at * $bits / 8..).and_then(|rest| rest.first_chunk()) else { break };
                let (word, first) = (counted(*bits), at * $bits % 8 / 4);
                let mut sums = [vdupq_n_f32(0.0); 4];
                word.each(|i, byte, before| {
                    let codes = $fetch(room, first + before, byte);
                    add(&mut sums[i % 2 * 2..], floats(codes), &x.as_chunks().0[i]);
                });
                for (all, sum) in all.iter_mut().zip(sums) {
                    *all = vfmaq_n_f32(*all, sum, scale);
                }
                used += word.count;
                done += 64;
            }
            let sum = total(all) / $unit;
            if done == x.len() {
                return (sum, used);
            }
            let (bits, x, scale) = (&bits[done / 8..], &x[done..], &scale[done / 64..]);
            let (more, count) = codes_left::<$bits>(stream, start + used, bits, x, scale);
            (sum + more, used + count)
        }
    };
}

floats_of_codes!(dot_bytes, bytes_at, 8, 1.0);
floats_of_codes!(dot_nibbles, nibbles_at, 4, 16.0);

/// Adds products of 16 bytes, four to a lane.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn add_products(sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    let low = vpadalq_s16(sum, vmull_s8(vget_low_s8(a), vget_low_s8(b)));
    vpadalq_s16(low, vmull_high_s8(a, b))
}

/// The same by one instruction.
#[inline]
#[target_feature(enable = "neon,dotprod")]
pub(super) fn add_products_dotprod(mut sum: int32x4_t, a: int8x16_t, b: int8x16_t) -> int32x4_t {
    // SAFETY: an instruction of dotprod, which this function asks for, from registers to another.
    unsafe {
        asm!("sdot {0:v}.4s, {1:v}.16b, {2:v}.16b", inout(vreg) sum, in(vreg) a, in(vreg) b, options(pure, nomem, nostack));
    };
    sum
}

/// Bytes less 128.
#[inline]
#[target_feature(enable = "neon")]
pub(super) fn centred(x: &[u8; 16]) -> int8x16_t {
    vreinterpretq_s8_u8(veorq_u8(load_u8(x), vdupq_n_u8(0x80)))
}

macro_rules! integers {
    ($name:ident, $features:literal, $add:ident, $fetch:ident, $bits:literal, $unit:literal) => {
        /// See [`crate::Kernels::dot_integers`].
        #[target_feature(enable = $features)]
        pub(crate) fn $name(stream: &[u8], start: usize, bits: &[u8], x: &[u8], scale: &[f32]) -> (f32, usize) {
            let (mut all, mut used, mut done) = (vdupq_n_f32(0.0), 0, 0);
            for ((x, bits), &scale) in x.as_chunks::<64>().0.iter().zip(bits.as_chunks::<8>().0).zip(scale) {
                let at = start + used;
                let Some(room) = stream.get(at * $bits / 8..).and_then(|rest| rest.first_chunk()) else { break };
                let (word, first) = (counted(*bits), at * $bits % 8 / 4);
                let (mut sum, mut low) = (vdupq_n_s32(0), vreinterpret_s8_u8(vdup_n_u8(0)));
                word.each(|i, byte, before| {
                    let codes = $fetch(room, first + before, byte);
                    if i % 2 == 0 {
                        low = codes;
                    } else {
                        sum = $add(sum, vcombine_s8(low, codes), centred(&x.as_chunks().0[i / 2]));
                    }
                });
                all = vfmaq_n_f32(all, vcvtq_f32_s32(sum), scale);
                used += word.count;
                done += 64;
            }
            let sum = vaddvq_f32(all) / $unit;
            if done == x.len() {
                return (sum, used);
            }
            let (bits, x, scale) = (&bits[done / 8..], &x[done..], &scale[done / 64..]);
            let (more, count) = plain::dot_integers::<$bits>(stream, start + used, bits, x, scale);
            (sum + more, used + count)
        }
    };
}

integers!(integers_of_bytes, "neon", add_products, bytes_at, 8, 1.0);
integers!(integers_of_nibbles, "neon", add_products, nibbles_at, 4, 16.0);
integers!(integers_of_bytes_dotprod, "neon,dotprod", add_products_dotprod, bytes_at, 8, 1.0);
integers!(integers_of_nibbles_dotprod, "neon,dotprod", add_products_dotprod, nibbles_at, 4, 16.0);
