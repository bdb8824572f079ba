//! Products of 2:4 with one column: the code of a group picks the items of `x` that its two values meet.
//!
//! 16 columns at a time, which are 4 groups and 8 values, and two rows at a time, for which `x` is loaded once. A group
//! of `x` fills half a register, within which AVX2 permutes: a table gives the places for the codes of two groups.

use super::bitmask_dot::{load, total};
use super::compress::{load_128, load_256, row as row_of_8};
use crate::args::nm24_gemv::Nm24Row;
use crate::scalar::nm24_steps::{CODES, COLS, Room, Steps, ahead, to_next};
use std::arch::x86_64::{
    __m128i, __m256, __m256i, _mm_and_si128, _mm_cvtsi64_si128, _mm_movemask_epi8, _mm_or_si128, _mm_set1_epi8,
    _mm_setzero_si128, _mm_shuffle_epi8, _mm_slli_epi16, _mm_unpacklo_epi8, _mm_unpacklo_epi64, _mm256_add_epi32,
    _mm256_blend_ps, _mm256_castsi256_ps, _mm256_cvtepi8_epi16, _mm256_cvtepi8_epi32, _mm256_cvtepi32_ps,
    _mm256_cvtepu8_epi16, _mm256_cvtepu16_epi32, _mm256_cvtph_ps, _mm256_fmadd_ps, _mm256_madd_epi16,
    _mm256_movemask_ps, _mm256_mul_ps, _mm256_or_si256, _mm256_permute2f128_ps, _mm256_permutevar_ps, _mm256_set_m128i,
    _mm256_set1_epi16, _mm256_set1_epi32, _mm256_set1_ps, _mm256_setzero_ps, _mm256_setzero_si256, _mm256_slli_epi32,
    _mm256_sllv_epi32, _mm256_srai_epi32, _mm256_sub_epi16,
};

/// What a code that names no pair has for a place.
const WRONG: u32 = 1 << 31;

/// The two places of a code.
const PAIRS: [[u32; 2]; 8] = [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3], [WRONG; 2], [WRONG; 2]];

/// The places of the values of two groups within theirs, for their codes.
static PLACES: [[u32; 4]; 64] = {
    let (mut table, mut i) = ([[0; 4]; 64], 0);
    while i < 64 {
        let (first, second) = (PAIRS[i % 8], PAIRS[i / 8]);
        table[i] = [first[0], first[1], second[0], second[1]];
        i += 1;
    }
    table
};

/// The same in bytes, places within both groups; the highest bit of a byte tells of a wrong code.
static BYTES: [u32; 64] = {
    const fn byte(place: u32, first: u32) -> u32 {
        (place >> 24) | ((place & 3) + first)
    }
    let (mut table, mut i) = ([0; 64], 0);
    while i < 64 {
        let [a, b, c, d] = PLACES[i];
        table[i] = byte(a, 0) | byte(b, 0) << 8 | byte(c, 4) << 16 | byte(d, 4) << 24;
        i += 1;
    }
    table
};

/// How far left each of 8 nibbles goes to be the highest of its lane.
static LEFT: [u32; 8] = [28, 24, 20, 16, 12, 8, 4, 0];

/// The codes of 64 of the columns of a step, 3 bits each from the lowest on; what is above them is to be ignored.
#[inline]
fn word(codes: &[u8; CODES], half: usize) -> u64 {
    let eight = codes[4 * half..].first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(eight) >> (16 * half)
}

/// Groups of 4 items of `x`: the first and the third, and the second and the fourth.
#[inline]
#[target_feature(enable = "avx2")]
fn groups(x: &[f32; 16]) -> [__m256; 2] {
    let [low, high] = x.as_chunks::<8>().0 else { return [_mm256_setzero_ps(); 2] };
    let (low, high) = (load(low), load(high));
    [_mm256_permute2f128_ps::<0x20>(low, high), _mm256_permute2f128_ps::<0x31>(low, high)]
}

/// The places of 8 values, for the 4 codes in the lowest bits.
#[inline]
#[target_feature(enable = "avx2")]
fn places(codes: u64) -> __m256i {
    let [low, high] = [codes % 64, codes / 64 % 64].map(|both| load_128(&PLACES[both as usize]));
    _mm256_set_m128i(high, low)
}

/// The items of `x` that go with 8 values.
#[inline]
#[target_feature(enable = "avx2")]
fn picked([odd, even]: [__m256; 2], places: __m256i) -> __m256 {
    _mm256_blend_ps::<0b1100_1100>(_mm256_permutevar_ps(odd, places), _mm256_permutevar_ps(even, places))
}

macro_rules! dot {
    (
        $(#[$doc:meta])* $name:ident, $t:ty, $x:ty, $n:literal, $unit:literal, $none:expr, $is_wrong:expr,
        |$steps:ident, $at:ident, $wrong:ident, $sums:ident| $add:expr
    ) => {
        $(#[$doc])*
        #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(rows: &[Nm24Row<'_, $t>; 2], x: &[$x]) -> Option<[f32; 2]> {
            /// Adds steps to the sums; tells whether all codes are right.
            #[inline(never)]
            #[target_feature(enable = "avx2,fma,f16c,bmi1,bmi2,popcnt")]
            fn add($steps: Steps<'_, $t, $x, $n>, sums: &mut [[__m256; 4]; 2]) -> bool {
                let (mut $sums, mut $wrong) = (*sums, $none);
                let $steps = $steps.first(usize::MAX);
                let far = (to_next($steps.codes), to_next($steps.values));
                for $at in 0..$steps.x.len() {
                    for row in 0..2 {
                        ahead(&$steps.codes[row][$at], far.0 * CODES);
                        ahead(&$steps.values[row][$at], far.1 * $n);
                    }
                    $add
                }
                *sums = $sums;
                $is_wrong($wrong) == 0
            }

            let mut sums = [[_mm256_setzero_ps(); 4]; 2];
            let steps = Steps::new(rows, x);
            if !add(steps, &mut sums) {
                return None;
            }
            for at in steps.x.len()..x.len().div_ceil(COLS) {
                if !add(Room::new(rows, x, at).steps(), &mut sums) {
                    return None;
                }
            }
            Some(sums.map(|sums| total(sums) / $unit))
        }
    };
}

macro_rules! floats {
    (
        $(#[$doc:meta])* $name:ident, $t:ty, $n:literal, $unit:literal,
        |$steps:ident, $at:ident, $row:ident, $block:ident| $value:expr
    ) => {
        dot!(
            $(#[$doc])* $name, $t, f32, $n, $unit, _mm256_setzero_si256(),
            |wrong| _mm256_movemask_ps(_mm256_castsi256_ps(wrong)),
            |$steps, $at, wrong, sums| {
                for half in 0..2 {
                    let words = [word(&$steps.codes[0][$at], half), word(&$steps.codes[1][$at], half)];
                    for quarter in 0..4 {
                        let $block = 4 * half + quarter;
                        let x = groups(&$steps.x[$at].as_chunks().0[$block]);
                        for $row in 0..2 {
                            let places = places(words[$row] >> (12 * quarter));
                            wrong = _mm256_or_si256(wrong, places);
                            sums[$row][quarter] = _mm256_fmadd_ps($value, picked(x, places), sums[$row][quarter]);
                        }
                    }
                }
            }
        );
    };
}

floats!(
    /// See [`crate::Kernels::nm24_dot_f32`].
    nm24_dot_f32, f32, 64, 1.0,
    |steps, at, row, block| load(&steps.values[row][at].as_chunks().0[block])
);

floats!(
    /// See [`crate::Kernels::nm24_dot_f16`].
    nm24_dot_f16, u16, 64, 1.0,
    |steps, at, row, block| _mm256_cvtph_ps(load_128(&steps.values[row][at].as_chunks::<8>().0[block]))
);

floats!(
    /// See [`crate::Kernels::nm24_dot_bf16`].
    nm24_dot_bf16, u16, 64, 1.0,
    |steps, at, row, block| {
        let value = _mm256_cvtepu16_epi32(load_128(&steps.values[row][at].as_chunks::<8>().0[block]));
        _mm256_castsi256_ps(_mm256_slli_epi32::<16>(value))
    }
);

floats!(
    /// See [`crate::Kernels::nm24_dot_codes`].
    fours_bytes, u8, 64, 1.0,
    |steps, at, row, block| {
        let value = _mm256_cvtepi8_epi32(row_of_8(&steps.values[row][at].as_chunks().0[block]));
        _mm256_mul_ps(_mm256_cvtepi32_ps(value), _mm256_set1_ps(steps.scale[row][at][block / 4]))
    }
);

floats!(
    /// See [`crate::Kernels::nm24_dot_codes`].
    fours_nibbles, u8, 32, 1.0,
    |steps, at, row, block| {
        let eight = _mm256_set1_epi32(i32::from_le_bytes(steps.values[row][at].as_chunks().0[block]));
        let value = _mm256_srai_epi32::<28>(_mm256_sllv_epi32(eight, load_256(&LEFT)));
        _mm256_mul_ps(_mm256_cvtepi32_ps(value), _mm256_set1_ps(steps.scale[row][at][block / 4]))
    }
);

/// The places of 8 values within 16 bytes, for the 4 codes in the lowest bits.
#[inline]
#[target_feature(enable = "avx2")]
fn byte_places(codes: u64) -> __m128i {
    let [low, high] = [codes % 64, codes / 64 % 64].map(|both| BYTES[both as usize]);
    _mm_cvtsi64_si128((u64::from(low) | u64::from(high + 0x0808_0808) << 32) as i64)
}

/// Adds exact products, `x - 128` times `codes`, of 32 columns.
#[inline]
#[target_feature(enable = "avx2")]
fn add_integers(x: &[u8; 32], places: [__m128i; 2], codes: __m128i, sum: __m256i) -> __m256i {
    let [low, high] = x.as_chunks::<16>().0 else { return sum };
    let x = _mm_unpacklo_epi64(_mm_shuffle_epi8(load_128(low), places[0]), _mm_shuffle_epi8(load_128(high), places[1]));
    let x = _mm256_sub_epi16(_mm256_cvtepu8_epi16(x), _mm256_set1_epi16(128));
    _mm256_add_epi32(sum, _mm256_madd_epi16(x, _mm256_cvtepi8_epi16(codes)))
}

macro_rules! integers {
    (
        $(#[$doc:meta])* $name:ident, $n:literal, $unit:literal,
        |$steps:ident, $at:ident, $row:ident, $part:ident| $codes:expr
    ) => {
        dot!(
            $(#[$doc])* $name, u8, u8, $n, $unit, _mm_setzero_si128(), |wrong| _mm_movemask_epi8(wrong),
            |$steps, $at, wrong, sums| {
                for half in 0..2 {
                    for $row in 0..2 {
                        let word = word(&$steps.codes[$row][$at], half);
                        let mut sum = _mm256_setzero_si256();
                        for part in 0..2 {
                            let places = [byte_places(word >> (24 * part)), byte_places(word >> (24 * part + 12))];
                            wrong = _mm_or_si128(wrong, _mm_or_si128(places[0], places[1]));
                            let $part = 2 * half + part;
                            sum = add_integers(&$steps.x[$at].as_chunks().0[$part], places, $codes, sum);
                        }
                        let scale = _mm256_set1_ps($steps.scale[$row][$at][half]);
                        sums[$row][half] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum), scale, sums[$row][half]);
                    }
                }
            }
        );
    };
}

integers!(
    /// See [`crate::Kernels::nm24_dot_integers`].
    integers_of_bytes, 64, 1.0,
    |steps, at, row, part| load_128(&steps.values[row][at].as_chunks::<16>().0[part])
);

integers!(
    /// See [`crate::Kernels::nm24_dot_integers`]. Nibbles are upper halves of bytes: 16 times the codes.
    integers_of_nibbles, 32, 16.0,
    |steps, at, row, part| {
        let pairs = row_of_8(&steps.values[row][at].as_chunks().0[part]);
        let upper = _mm_set1_epi8(-16);
        _mm_unpacklo_epi8(_mm_and_si128(_mm_slli_epi16::<4>(pairs), upper), _mm_and_si128(pairs, upper))
    }
);
