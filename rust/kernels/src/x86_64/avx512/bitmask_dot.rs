//! Products with one column, straight from packed values: mask registers put them where they belong.
//!
//! A run of 64 values is loaded whole where there are so many; the end is left to the portable loops.

use super::registers::{load_f32, load_opaque};
use crate::args::product::Chunk;
use crate::scalar::product as plain;
use crate::scalar::product::codes_left;
use crate::x86_64::avx2::bitmask_dot::{ahead, integers_left, rest};
use half::{bf16, f16};
use std::arch::asm;
use std::arch::x86_64::{
    __m512, __m512i, _mm512_add_ps, _mm512_and_si512, _mm512_castsi512_ps, _mm512_castsi512_si256, _mm512_cvtepi32_ps,
    _mm512_cvtepu16_epi32, _mm512_cvtph_ps, _mm512_dpbusd_epi32, _mm512_extracti64x4_epi64, _mm512_fmadd_ps,
    _mm512_maskz_expand_epi8, _mm512_maskz_expand_epi16, _mm512_maskz_expand_ps, _mm512_mul_ps,
    _mm512_multishift_epi64_epi8, _mm512_permutexvar_epi8, _mm512_reduce_add_ps, _mm512_set1_epi8, _mm512_set1_ps,
    _mm512_setzero_ps, _mm512_setzero_si512, _mm512_slli_epi32, _mm512_sub_epi32,
};

#[inline]
#[target_feature(enable = "avx512f")]
fn joined(sums: [__m512; 4]) -> __m512 {
    let [a, b, c, d] = sums;
    _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d))
}

macro_rules! dot {
    ($name:ident, $t:ty, $lanes:literal, $mask:ty, $add:ident, $wide:expr) => {
        /// See [`crate::Kernels::dot_f32`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,fma,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(values: &[$t], bits: &[u8], x: &[f32]) -> (f32, usize) {
            let (mut sums, mut used, mut done) = ([_mm512_setzero_ps(); 4], 0, 0);
            for (x, bits) in x.as_chunks::<64>().0.iter().zip(bits.as_chunks::<8>().0) {
                let Some(room) = values.get(used..).and_then(|rest| rest.first_chunk::<64>()) else { break };
                ahead(room);
                let word = u64::from_le_bytes(*bits);
                for (q, x) in x.as_chunks::<$lanes>().0.iter().enumerate() {
                    // At most 64 - lanes values come before.
                    let before = (word & ((1 << ($lanes * q)) - 1)).count_ones() as usize;
                    if let Some(part) = room[before..].first_chunk::<$lanes>() {
                        $add(part, (word >> ($lanes * q)) as $mask, x, q, &mut sums);
                    }
                }
                used += word.count_ones() as usize;
                done += 64;
            }
            let sum = _mm512_reduce_add_ps(joined(sums));
            if done == x.len() {
                return (sum, used);
            }
            let left = values.get(used..).unwrap_or_default();
            let (more, count) = rest(left, &bits[done / 8..], &x[done..], $wide);
            (sum + more, used + count)
        }
    };
}

/// Adds 16 columns to sum number `q`.
#[inline]
#[target_feature(enable = "avx512f")]
fn add_singles(part: &[f32; 16], mask: u16, x: &[f32; 16], q: usize, sums: &mut [__m512; 4]) {
    let spread = _mm512_maskz_expand_ps(mask, _mm512_castsi512_ps(load_opaque(part)));
    sums[q] = _mm512_fmadd_ps(spread, load_f32(x), sums[q]);
}

/// Adds 32 columns to the sums from number 2q on.
#[inline]
#[target_feature(enable = "avx512f,avx512vbmi2")]
fn add_halves(part: &[u16; 32], mask: u32, x: &[f32; 32], q: usize, sums: &mut [__m512; 4]) {
    let spread = _mm512_maskz_expand_epi16(mask, load_opaque(part));
    let [low, high] = x.as_chunks::<16>().0 else { return };
    sums[2 * q] = _mm512_fmadd_ps(_mm512_cvtph_ps(_mm512_castsi512_si256(spread)), load_f32(low), sums[2 * q]);
    let upper = _mm512_cvtph_ps(_mm512_extracti64x4_epi64::<1>(spread));
    sums[2 * q + 1] = _mm512_fmadd_ps(upper, load_f32(high), sums[2 * q + 1]);
}

/// The same for bfloat16.
#[inline]
#[target_feature(enable = "avx512f,avx512vbmi2")]
fn add_bf16(part: &[u16; 32], mask: u32, x: &[f32; 32], q: usize, sums: &mut [__m512; 4]) {
    let spread = _mm512_maskz_expand_epi16(mask, load_opaque(part));
    let [low, high] = x.as_chunks::<16>().0 else { return };
    let wide = |part| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(part)));
    sums[2 * q] = _mm512_fmadd_ps(wide(_mm512_castsi512_si256(spread)), load_f32(low), sums[2 * q]);
    sums[2 * q + 1] = _mm512_fmadd_ps(wide(_mm512_extracti64x4_epi64::<1>(spread)), load_f32(high), sums[2 * q + 1]);
}

dot!(dot_f32, f32, 16, u16, add_singles, |value: f32| value);
dot!(dot_f16, u16, 32, u32, add_halves, |value| f16::from_bits(value).to_f32());
dot!(dot_bf16, u16, 32, u32, add_bf16, |value| bf16::from_bits(value).to_f32());

macro_rules! dots {
    ($name:ident, $j:literal) => {
        /// See [`crate::Kernels::dots_8`]: values are spread once for all columns.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,fma,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(values: &[f32], bits: &[u8], x: &[Chunk<$j>], sums: &mut [f32; $j]) {
            let (mut all, mut used, mut done) = ([_mm512_setzero_ps(); $j], 0, 0);
            for (chunk, bits) in x.iter().zip(bits.as_chunks::<2>().0) {
                let Some(room) = values.get(used..).and_then(|rest| rest.first_chunk::<16>()) else { break };
                let mask = u16::from_le_bytes(*bits);
                let spread = _mm512_maskz_expand_ps(mask, _mm512_castsi512_ps(load_opaque(room)));
                for (all, x) in all.iter_mut().zip(&chunk.0) {
                    *all = _mm512_fmadd_ps(spread, load_f32(x), *all);
                }
                used += mask.count_ones() as usize;
                done += 1;
            }
            for (sum, &all) in sums.iter_mut().zip(&all) {
                *sum += _mm512_reduce_add_ps(all);
            }
            if done < x.len() {
                dots_left(values.get(used..).unwrap_or_default(), &bits[2 * done..], &x[done..], sums);
            }
        }
    };
}

/// What is left, where a whole register of values is no more.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn dots_left<const J: usize>(values: &[f32], bits: &[u8], x: &[Chunk<J>], sums: &mut [f32; J]) {
    plain::dots::<J, true>(values, bits, x, sums);
}

dots!(dots_4, 4);
dots!(dots_8, 8);
dots!(dots_16, 16);

/// Byte `16 q + i` for the top of lane i, which makes it 2^24 times a signed code.
static TOPS: [[u8; 64]; 4] = {
    let mut tops = [[0; 64]; 4];
    let mut i = 0;
    while i < 64 {
        tops[i / 16][i % 16 * 4 + 3] = i as u8;
        i += 1;
    }
    tops
};

/// The top byte of each lane of 32 bits.
const TOP: u64 = 0x8888_8888_8888_8888;

/// Bytes `4 j ..` for each lane j of 64 bits, which hold 8 nibbles from the first or the second one on.
static FOURS: [u8; 64] = {
    let mut fours = [0; 64];
    let mut i = 0;
    while i < 64 {
        fours[i] = (i / 8 * 4 + i % 8) as u8;
        i += 1;
    }
    fours
};

/// Where byte k is cut from such a lane, so that its upper half is nibble k, or k + 1.
static NIBBLES: [[u8; 64]; 2] = {
    let mut starts = [[0; 64]; 2];
    let mut i = 0;
    while i < 64 {
        starts[0][i] = (i % 8 * 4 + 60) as u8 % 64;
        starts[1][i] = (i % 8 * 4) as u8;
        i += 1;
    }
    starts
};

/// 64 codes of a byte from code `at` on, if so many bytes are there.
#[inline]
#[target_feature(enable = "avx512f")]
fn bytes_at(stream: &[u8], at: usize, _fours: __m512i) -> Option<__m512i> {
    let room = stream.get(at..)?.first_chunk::<64>()?;
    ahead(room);
    Some(load_opaque(room))
}

/// 64 codes of half a byte from code `at` on, 16 times each, if 64 bytes are there.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn nibbles_at(stream: &[u8], at: usize, fours: __m512i) -> Option<__m512i> {
    let room = stream.get(at / 2..)?.first_chunk::<64>()?;
    ahead(room);
    let lanes = _mm512_permutexvar_epi8(fours, load_opaque(room));
    let cut = _mm512_multishift_epi64_epi8(load_opaque(&NIBBLES[at % 2]), lanes);
    Some(_mm512_and_si512(cut, _mm512_set1_epi8(-16)))
}

/// Byte `places[i]` of `bytes` on top of each lane i of 32 bits, over zeros.
///
/// Assembly, because the compiler makes two instructions of it.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi")]
fn tops(places: __m512i, bytes: __m512i) -> __m512i {
    let made;
    // SAFETY: it works on registers only.
    unsafe {
        asm!(
            "vpermb {made} {{{top}}}{{z}}, {places}, {bytes}",
            made = out(zmm_reg) made,
            top = in(kreg) TOP,
            places = in(zmm_reg) places,
            bytes = in(zmm_reg) bytes,
            options(pure, nomem, nostack, preserves_flags)
        );
    }
    made
}

macro_rules! dot_codes {
    ($name:ident, $fetch:ident, $bits:literal, $unit:literal) => {
        /// See [`crate::Kernels::dot_codes`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx2,fma,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(stream: &[u8], start: usize, bits: &[u8], x: &[f32], scale: &[f32]) -> (f32, usize) {
            let (mut low, mut high, mut used, mut done) = (_mm512_setzero_ps(), _mm512_setzero_ps(), 0, 0);
            let fours = load_opaque(&FOURS);
            let places = [load_opaque(&TOPS[0]), load_opaque(&TOPS[1]), load_opaque(&TOPS[2]), load_opaque(&TOPS[3])];
            for ((x, bits), &scale) in x.as_chunks::<64>().0.iter().zip(bits.as_chunks::<8>().0).zip(scale) {
                let Some(codes) = $fetch(stream, start + used, fours) else { break };
                let mask = u64::from_le_bytes(*bits);
                let spread = _mm512_maskz_expand_epi8(mask, codes);
                let part = |q: usize| _mm512_cvtepi32_ps(tops(places[q], spread));
                let [a, b, c, d] = x.as_chunks::<16>().0 else { break };
                let left = _mm512_fmadd_ps(part(1), load_f32(b), _mm512_mul_ps(part(0), load_f32(a)));
                let right = _mm512_fmadd_ps(part(3), load_f32(d), _mm512_mul_ps(part(2), load_f32(c)));
                let scale = _mm512_set1_ps(scale);
                low = _mm512_fmadd_ps(left, scale, low);
                high = _mm512_fmadd_ps(right, scale, high);
                used += mask.count_ones() as usize;
                done += 64;
            }
            let sum = _mm512_reduce_add_ps(_mm512_add_ps(low, high)) / $unit;
            if done == x.len() {
                return (sum, used);
            }
            let (bits, x, scale) = (&bits[done / 8..], &x[done..], &scale[done / 64..]);
            let (more, count) = codes_left::<$bits>(stream, start + used, bits, x, scale);
            (sum + more, used + count)
        }
    };
}

dot_codes!(dot_bytes, bytes_at, 8, 16_777_216.0);
dot_codes!(dot_nibbles, nibbles_at, 4, 268_435_456.0);

macro_rules! dot_integers {
    ($name:ident, $fetch:ident, $bits:literal, $unit:literal) => {
        /// See [`crate::Kernels::dot_integers`]. Both factors of `vpdpbusd` are bytes, the first without a sign: 128 is
        /// added to it, and 128 times the codes taken away.
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx512vnni,avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(stream: &[u8], start: usize, bits: &[u8], x: &[u8], scale: &[f32]) -> (f32, usize) {
            let (mut all, mut used, mut done) = (_mm512_setzero_ps(), 0, 0);
            let (shift, fours) = (_mm512_set1_epi8(-128), load_opaque(&FOURS));
            for ((x, bits), &scale) in x.as_chunks::<64>().0.iter().zip(bits.as_chunks::<8>().0).zip(scale) {
                let Some(codes) = $fetch(stream, start + used, fours) else { break };
                let mask = u64::from_le_bytes(*bits);
                let spread = _mm512_maskz_expand_epi8(mask, codes);
                let product = _mm512_dpbusd_epi32(_mm512_setzero_si512(), load_opaque(x), spread);
                let shifted = _mm512_dpbusd_epi32(_mm512_setzero_si512(), shift, spread);
                let sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(product, shifted));
                all = _mm512_fmadd_ps(sum, _mm512_set1_ps(scale), all);
                used += mask.count_ones() as usize;
                done += 64;
            }
            let sum = _mm512_reduce_add_ps(all) / $unit;
            if done == x.len() {
                return (sum, used);
            }
            let (bits, x, scale) = (&bits[done / 8..], &x[done..], &scale[done / 64..]);
            let (more, count) = integers_left::<$bits>(stream, start + used, bits, x, scale);
            (sum + more, used + count)
        }
    };
}

dot_integers!(integers_of_bytes, bytes_at, 8, 1.0);
dot_integers!(integers_of_nibbles, nibbles_at, 4, 16.0);
