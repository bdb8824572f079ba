//! Products with one column, straight from packed values: mask registers put them where they belong.
//!
//! A run of 64 values is loaded whole where there are so many; the end is left to the portable loops.

use super::product::load;
use crate::scalar::product as plain;
use half::{bf16, f16};
use std::arch::x86_64::{
    __m256i, __m512, __m512i, _mm256_loadu_si256, _mm512_add_ps, _mm512_castsi512_ps, _mm512_castsi512_si128,
    _mm512_cvtepi8_epi32, _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_cvtph_ps, _mm512_extracti32x4_epi32,
    _mm512_fmadd_ps, _mm512_loadu_si512, _mm512_maskz_expand_epi8, _mm512_maskz_expand_ps, _mm512_reduce_add_ps,
    _mm512_set1_ps, _mm512_setzero_ps, _mm512_slli_epi32,
};

#[inline]
#[target_feature(enable = "avx512f")]
fn load_halves(items: &[u16; 16]) -> __m256i {
    // SAFETY: 16 readable items of 2 bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(items.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_bytes(items: &[u8; 64]) -> __m512i {
    // SAFETY: 64 readable bytes; the load needs no alignment.
    unsafe { _mm512_loadu_si512(items.as_ptr().cast()) }
}

/// The bits of 64 columns.
#[inline]
fn word(bits: &[u8; 8]) -> (u64, [u16; 4], [usize; 4]) {
    let word = u64::from_le_bytes(*bits);
    let masks: [u16; 4] = std::array::from_fn(|q| (word >> (16 * q)) as u16);
    // How many come before each 16: at most 48.
    let before = std::array::from_fn(|q| (word & ((1 << (16 * q)) - 1)).count_ones() as usize);
    (word, masks, before)
}

#[inline]
#[target_feature(enable = "avx512f")]
fn total(sums: [__m512; 4]) -> f32 {
    let [a, b, c, d] = sums;
    _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d)))
}

macro_rules! dot {
    ($name:ident, $t:ty, $load:expr, $wide:expr) => {
        /// See [`crate::Kernels::dot_f32`].
        #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx2,fma,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(values: &[$t], bits: &[u8], x: &[f32]) -> (f32, usize) {
            let (mut sums, mut used, mut done) = ([_mm512_setzero_ps(); 4], 0, 0);
            for (x, bits) in x.as_chunks::<64>().0.iter().zip(bits.as_chunks::<8>().0) {
                let Some(room) = values.get(used..).and_then(|rest| rest.first_chunk::<64>()) else { break };
                let (word, masks, before) = word(bits);
                for (q, x) in x.as_chunks::<16>().0.iter().enumerate() {
                    if let Some(part) = room[before[q]..].first_chunk::<16>() {
                        sums[q] = _mm512_fmadd_ps(_mm512_maskz_expand_ps(masks[q], $load(part)), load(x), sums[q]);
                    }
                }
                used += word.count_ones() as usize;
                done += 64;
            }
            let mut sum = total(sums);
            let mut room = [0.0; 64];
            for (x, bits) in x[done..].chunks(64).zip(bits[done / 8..].chunks(8)) {
                let rest = values.get(used..).unwrap_or_default();
                let room = &mut room[..rest.len().min(64)];
                room.iter_mut().zip(rest).for_each(|(wide, &value)| *wide = $wide(value));
                let (more, count) = plain::dot_f32::<true>(room, bits, x);
                sum += more;
                used += count;
            }
            (sum, used)
        }
    };
}

dot!(dot_f32, f32, |part| load(part), |value: f32| value);
dot!(dot_f16, u16, |part| _mm512_cvtph_ps(load_halves(part)), |value| f16::from_bits(value).to_f32());
dot!(
    dot_bf16,
    u16,
    |part| _mm512_castsi512_ps(_mm512_slli_epi32::<16>(_mm512_cvtepu16_epi32(load_halves(part)))),
    |value| bf16::from_bits(value).to_f32()
);

/// See [`crate::Kernels::dot_codes`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi2,avx2,fma,bmi1,bmi2,popcnt")]
pub(crate) fn dot_codes(codes: &[u8], bits: &[u8], x: &[f32], scale: &[f32], group: usize) -> (f32, usize) {
    let (mut all, mut sum, mut used) = (_mm512_setzero_ps(), 0.0, 0);
    for ((x, bits), &scale) in x.chunks(group).zip(bits.chunks(group / 8)).zip(scale) {
        let (mut sums, mut done) = ([_mm512_setzero_ps(); 4], 0);
        for (x, bits) in x.as_chunks::<64>().0.iter().zip(bits.as_chunks::<8>().0) {
            let Some(room) = codes.get(used..).and_then(|rest| rest.first_chunk::<64>()) else { break };
            let mask = u64::from_le_bytes(*bits);
            let spread = _mm512_maskz_expand_epi8(mask, load_bytes(room));
            let parts = [
                _mm512_castsi512_si128(spread),
                _mm512_extracti32x4_epi32::<1>(spread),
                _mm512_extracti32x4_epi32::<2>(spread),
                _mm512_extracti32x4_epi32::<3>(spread),
            ];
            for (q, x) in x.as_chunks::<16>().0.iter().enumerate() {
                sums[q] = _mm512_fmadd_ps(_mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(parts[q])), load(x), sums[q]);
            }
            used += mask.count_ones() as usize;
            done += 64;
        }
        let [a, b, c, d] = sums;
        let sums = _mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d));
        all = _mm512_fmadd_ps(sums, _mm512_set1_ps(scale), all);
        let mut room = [0.0; 64];
        for (x, bits) in x[done..].chunks(64).zip(bits[done / 8..].chunks(8)) {
            let rest = codes.get(used..).unwrap_or_default();
            let room = &mut room[..rest.len().min(64)];
            room.iter_mut().zip(rest).for_each(|(wide, &code)| *wide = f32::from(code as i8));
            let (more, count) = plain::dot_f32::<true>(room, bits, x);
            sum += more * scale;
            used += count;
        }
    }
    (sum + _mm512_reduce_add_ps(all), used)
}
