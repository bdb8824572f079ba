//! Products with one column, straight from packed values, 8 columns at a time: a table tells for each byte of bits
//! which value goes where.
//!
//! A run of values is loaded whole where there are so many; the end is left to the portable loops.

use super::compress::{BYTE_RANKS, RANKS, load_128, load_256, row};
use crate::scalar::product::{self as plain, codes_left};
use half::{bf16, f16};
use std::arch::x86_64::{
    __m128i, __m256, _MM_HINT_T0, _mm_add_ps, _mm_add_ss, _mm_and_si128, _mm_cvtsi64_si128, _mm_cvtss_f32,
    _mm_movehl_ps, _mm_prefetch, _mm_set1_epi8, _mm_shuffle_epi8, _mm_shuffle_ps, _mm_slli_epi16, _mm_unpacklo_epi8,
    _mm_unpacklo_epi64, _mm256_add_epi32, _mm256_add_ps, _mm256_andnot_si256, _mm256_castps256_ps128,
    _mm256_castsi256_ps, _mm256_cvtepi8_epi16, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps, _mm256_cvtepu8_epi16,
    _mm256_cvtepu16_epi32, _mm256_cvtph_ps, _mm256_extractf128_ps, _mm256_fmadd_ps, _mm256_loadu_ps, _mm256_madd_epi16,
    _mm256_permutevar8x32_epi32, _mm256_set1_epi16, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256,
    _mm256_slli_epi32, _mm256_srai_epi32, _mm256_sub_epi16,
};

#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn load(items: &[f32; 8]) -> __m256 {
    // SAFETY: 8 readable items of 4 bytes; the load needs no alignment.
    unsafe { _mm256_loadu_ps(items.as_ptr()) }
}

/// The sum of all lanes.
#[inline]
#[target_feature(enable = "avx2")]
pub(super) fn total(sums: [__m256; 4]) -> f32 {
    let [a, b, c, d] = sums;
    let all = _mm256_add_ps(_mm256_add_ps(a, b), _mm256_add_ps(c, d));
    let four = _mm_add_ps(_mm256_castps256_ps128(all), _mm256_extractf128_ps::<1>(all));
    let two = _mm_add_ps(four, _mm_movehl_ps(four, four));
    _mm_cvtss_f32(_mm_add_ss(two, _mm_shuffle_ps::<1>(two, two)))
}

/// Bytes that values are prefetched before they are used: the prefetchers of the CPU do not look so far.
const AHEAD: usize = 2048;

/// Asks for values to come.
#[inline]
pub(crate) fn ahead<T, const N: usize>(room: &[T; N]) {
    let to_come = room.as_ptr().cast::<i8>().wrapping_add(AHEAD);
    // SAFETY: a prefetch accesses nothing, whatever the address.
    unsafe { _mm_prefetch::<_MM_HINT_T0>(to_come) };
}

/// The portable loop over what is left, values widened by `wide`.
///
/// Apart, so that its working space costs the whole blocks nothing.
#[cold]
#[inline(never)]
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
pub(crate) fn rest<T: Copy>(values: &[T], bits: &[u8], x: &[f32], wide: impl Fn(T) -> f32) -> (f32, usize) {
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
#[target_feature(enable = "avx2")]
fn singles(part: &[f32; 8], byte: u8) -> __m256 {
    let ranks = _mm256_cvtepi8_epi32(row(&RANKS[usize::from(byte)]));
    let spread = _mm256_permutevar8x32_epi32(load_256(&part.map(f32::to_bits)), ranks);
    _mm256_castsi256_ps(_mm256_andnot_si256(_mm256_srai_epi32::<31>(ranks), spread))
}

#[inline]
#[target_feature(enable = "avx2")]
fn shorts(part: &[u16; 8], byte: u8) -> __m128i {
    _mm_shuffle_epi8(load_128(part), load_128(&BYTE_RANKS[usize::from(byte)]))
}

/// The same for float16.
#[inline]
#[target_feature(enable = "avx2,f16c")]
fn halves(part: &[u16; 8], byte: u8) -> __m256 {
    _mm256_cvtph_ps(shorts(part, byte))
}

/// The same for bfloat16.
#[inline]
#[target_feature(enable = "avx2")]
fn bf16_lanes(part: &[u16; 8], byte: u8) -> __m256 {
    _mm256_castsi256_ps(_mm256_slli_epi32::<16>(_mm256_cvtepu16_epi32(shorts(part, byte))))
}

macro_rules! dot {
    ($name:ident, $t:ty, $spread:ident, $wide:expr) => {
        /// See [`crate::Kernels::dot_f32`].
        #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(values: &[$t], bits: &[u8], x: &[f32]) -> (f32, usize) {
            let (mut sums, mut used, mut done) = ([_mm256_setzero_ps(); 4], 0, 0);
            for (x, bits) in x.as_chunks::<32>().0.iter().zip(bits.as_chunks::<4>().0) {
                let Some(room) = values.get(used..).and_then(|rest| rest.first_chunk::<32>()) else { break };
                ahead(room);
                let word = u32::from_le_bytes(*bits);
                for (q, x) in x.as_chunks::<8>().0.iter().enumerate() {
                    // At most 24 values come before.
                    let before = (word & ((1 << (8 * q)) - 1)).count_ones() as usize;
                    if let Some(part) = room[before..].first_chunk::<8>() {
                        sums[q] = _mm256_fmadd_ps($spread(part, bits[q]), load(x), sums[q]);
                    }
                }
                used += word.count_ones() as usize;
                done += 32;
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

/// Bytes that hold 64 codes from any one on, and those behind that are loaded with them.
type Room = [u8; 72];

/// Codes of a byte, 8 from code `at` on, where their bits are.
#[inline]
#[target_feature(enable = "avx2")]
fn bytes_at(room: &Room, at: usize, byte: u8) -> __m128i {
    let codes = room.get(at..).and_then(|rest| rest.first_chunk::<8>()).copied().unwrap_or_default();
    _mm_shuffle_epi8(row(&codes), row(&RANKS[usize::from(byte)]))
}

/// Codes of half a byte, 16 times each.
#[inline]
#[target_feature(enable = "avx2")]
fn nibbles_at(room: &Room, at: usize, byte: u8) -> __m128i {
    let bytes = room.get(at / 2..).and_then(|rest| rest.first_chunk::<8>()).copied().unwrap_or_default();
    let pairs = _mm_cvtsi64_si128((u64::from_le_bytes(bytes) >> (at % 2 * 4)) as i64);
    let upper = _mm_set1_epi8(-16);
    let codes = _mm_unpacklo_epi8(_mm_and_si128(_mm_slli_epi16::<4>(pairs), upper), _mm_and_si128(pairs, upper));
    _mm_shuffle_epi8(codes, row(&RANKS[usize::from(byte)]))
}

macro_rules! codes {
    ($floats:ident, $integers:ident, $fetch:ident, $bits:literal, $unit:literal) => {
        /// See [`crate::Kernels::dot_codes`].
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        pub(crate) fn $floats(stream: &[u8], start: usize, bits: &[u8], x: &[f32], scale: &[f32]) -> (f32, usize) {
            let (mut all, mut used, mut done) = ([_mm256_setzero_ps(); 4], 0, 0);
            for ((x, bits), &scale) in x.as_chunks::<64>().0.iter().zip(bits.as_chunks::<8>().0).zip(scale) {
                let at = start + used;
                let Some(room) = stream.get(at * $bits / 8..).and_then(|rest| rest.first_chunk()) else { break };
                ahead(room);
                let (word, first) = (u64::from_le_bytes(*bits), at * $bits % 8 / 4);
                let mut sums = [_mm256_setzero_ps(); 4];
                for (q, x) in x.as_chunks::<8>().0.iter().enumerate() {
                    let before = (word & ((1 << (8 * q)) - 1)).count_ones() as usize;
                    let codes = _mm256_cvtepi8_epi32($fetch(room, first + before, bits[q]));
                    sums[q % 4] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(codes), load(x), sums[q % 4]);
                }
                let scale = _mm256_set1_ps(scale);
                for (all, sum) in all.iter_mut().zip(sums) {
                    *all = _mm256_fmadd_ps(sum, scale, *all);
                }
                used += word.count_ones() as usize;
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

        /// See [`crate::Kernels::dot_integers`].
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        pub(crate) fn $integers(stream: &[u8], start: usize, bits: &[u8], x: &[u8], scale: &[f32]) -> (f32, usize) {
            let (mut all, mut used, mut done) = (_mm256_setzero_ps(), 0, 0);
            for ((x, bits), &scale) in x.as_chunks::<64>().0.iter().zip(bits.as_chunks::<8>().0).zip(scale) {
                let at = start + used;
                let Some(room) = stream.get(at * $bits / 8..).and_then(|rest| rest.first_chunk()) else { break };
                ahead(room);
                let (word, first) = (u64::from_le_bytes(*bits), at * $bits % 8 / 4);
                let mut sum = _mm256_setzero_si256();
                for (q, x) in x.as_chunks::<16>().0.iter().enumerate() {
                    let before = |q: usize| (word & ((1 << (8 * q)) - 1)).count_ones() as usize;
                    let low = $fetch(room, first + before(2 * q), bits[2 * q]);
                    let high = $fetch(room, first + before(2 * q + 1), bits[2 * q + 1]);
                    let codes = _mm256_cvtepi8_epi16(_mm_unpacklo_epi64(low, high));
                    let x = _mm256_sub_epi16(_mm256_cvtepu8_epi16(load_128(x)), _mm256_set1_epi16(128));
                    sum = _mm256_add_epi32(sum, _mm256_madd_epi16(codes, x));
                }
                all = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), _mm256_set1_ps(scale), all);
                used += word.count_ones() as usize;
                done += 64;
            }
            let zero = _mm256_setzero_ps();
            let sum = total([all, zero, zero, zero]) / $unit;
            if done == x.len() {
                return (sum, used);
            }
            let (bits, x, scale) = (&bits[done / 8..], &x[done..], &scale[done / 64..]);
            let (more, count) = integers_left::<$bits>(stream, start + used, bits, x, scale);
            (sum + more, used + count)
        }
    };
}

codes!(dot_bytes, integers_of_bytes, bytes_at, 8, 1.0);
codes!(dot_nibbles, integers_of_nibbles, nibbles_at, 4, 16.0);

#[cold]
#[inline(never)]
pub(crate) fn integers_left<const B: usize>(
    stream: &[u8],
    start: usize,
    bits: &[u8],
    x: &[u8],
    scale: &[f32],
) -> (f32, usize) {
    plain::dot_integers::<B>(stream, start, bits, x, scale)
}
