//! Products of 2:4 with one column: the code of a group picks the items of `x` that its two values meet.
//!
//! 128 columns at a time, which are 32 groups, 12 bytes of codes and 64 values, and two rows at a time, for which `x` is
//! loaded once. Of the codes a byte is made for each value: its place in a block of 32 columns. The bytes of a lane are
//! for the same lane of 4 blocks, so that a shift by whole bytes brings those of a block down.

use super::nm24_permutations::{BY_TURNS, HALF_STARTS, IN_BYTES, IN_HALVES, Order, PLACES, STRAIGHT, TURNS};
use super::registers::{load_f32, load_opaque};
use crate::args::nm24_gemv::Nm24Row;
use crate::scalar::nm24_steps::{CODES, COLS, Room, Steps, ahead, to_next};
use std::arch::x86_64::{
    __m128i, __m256i, __m512, __m512i, _mm_loadu_si128, _mm_maskz_loadu_epi32, _mm256_loadu_si256, _mm512_add_ps,
    _mm512_and_si512, _mm512_broadcast_i64x4, _mm512_castsi128_si512, _mm512_castsi512_ps, _mm512_cvtepi8_epi32,
    _mm512_cvtepi32_ps, _mm512_cvtepu16_epi32, _mm512_cvtph_ps, _mm512_dpbusd_epi32, _mm512_fmadd_ps,
    _mm512_mask_blend_ps, _mm512_movepi8_mask, _mm512_mul_ps, _mm512_multishift_epi64_epi8, _mm512_or_si512,
    _mm512_permutex2var_epi8, _mm512_permutex2var_ps, _mm512_permutexvar_epi8, _mm512_permutexvar_ps,
    _mm512_reduce_add_ps, _mm512_set1_epi8, _mm512_set1_epi64, _mm512_set1_ps, _mm512_setzero_ps, _mm512_setzero_si512,
    _mm512_shuffle_epi8, _mm512_slli_epi32, _mm512_srli_epi32, _mm512_srlv_epi32, _mm512_sub_epi32,
    _mm512_ternarylogic_epi64,
};

/// The numbers that nibbles are.
static NIBBLES: [f32; 16] = [0., 1., 2., 3., 4., 5., 6., 7., -8., -7., -6., -5., -4., -3., -2., -1.];

#[inline]
#[target_feature(enable = "avx512f")]
fn load_16(bytes: &[u8; 16]) -> __m128i {
    // SAFETY: 16 readable bytes; the load needs no alignment.
    unsafe { _mm_loadu_si128(bytes.as_ptr().cast()) }
}

#[inline]
#[target_feature(enable = "avx512f")]
fn load_32<T: Copy, const N: usize>(items: &[T; N]) -> __m256i {
    const { assert!(size_of::<T>() * N == 32) };
    // SAFETY: 32 readable bytes; the load needs no alignment.
    unsafe { _mm256_loadu_si256(items.as_ptr().cast()) }
}

/// An [`Order`] in registers.
struct Picker {
    bytes: __m512i,
    starts: __m512i,
    second: __m512i,
    base: __m512i,
    places: __m512i,
    /// The top bit of any byte tells that something was no code.
    wrong: __m512i,
}

impl Picker {
    #[inline]
    #[target_feature(enable = "avx512f")]
    fn new(order: &Order) -> Self {
        Self {
            bytes: load_opaque(&order.bytes),
            starts: load_opaque(&order.starts),
            second: load_opaque(&order.second),
            base: load_opaque(&order.base),
            places: load_opaque(&PLACES),
            wrong: _mm512_setzero_si512(),
        }
    }

    /// A place for each of 64 values.
    #[inline]
    #[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512vbmi")]
    fn places(&mut self, codes: &[u8; CODES]) -> __m512i {
        // SAFETY: 12 readable bytes are all that the mask lets through; the load needs no alignment.
        let codes = unsafe { _mm_maskz_loadu_epi32(0b0111, codes.as_ptr().cast()) };
        let codes = _mm512_permutexvar_epi8(self.bytes, _mm512_castsi128_si512(codes));
        let codes = _mm512_multishift_epi64_epi8(self.starts, codes);
        // (codes & 7) | second
        let entry = _mm512_ternarylogic_epi64::<0xEA>(codes, _mm512_set1_epi8(7), self.second);
        let places = _mm512_shuffle_epi8(self.places, entry);
        self.wrong = _mm512_or_si512(self.wrong, places);
        _mm512_or_si512(places, self.base)
    }

    #[inline]
    #[target_feature(enable = "avx512f,avx512bw")]
    fn is_right(&self) -> bool {
        _mm512_movepi8_mask(self.wrong) == 0
    }
}

macro_rules! dot {
    (
        $(#[$doc:meta])* $name:ident, $t:ty, $x:ty, $n:literal, $order:ident, $start:expr, $unit:literal,
        |$steps:ident, $at:ident, $row:ident, $picker:ident, $sums:ident, $held:ident| $add:expr
    ) => {
        $(#[$doc])*
        #[target_feature(
            enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx512vnni,avx2,fma,f16c,bmi1,bmi2,popcnt"
        )]
        pub(crate) fn $name(rows: &[Nm24Row<'_, $t>; 2], x: &[$x]) -> Option<[f32; 2]> {
            /// Adds steps to the sums; tells whether all codes are right.
            #[inline(never)]
            #[target_feature(
                enable = "avx512f,avx512bw,avx512vl,avx512vbmi,avx512vbmi2,avx512vnni,avx2,fma,f16c,bmi1,bmi2,popcnt"
            )]
            fn add($steps: Steps<'_, $t, $x, $n>, sums: &mut [[__m512; 4]; 2]) -> bool {
                let mut $picker = Picker::new(&$order);
                let $held = $start;
                let mut all = *sums;
                let $steps = $steps.first(usize::MAX);
                let far = (to_next($steps.codes), to_next($steps.values));
                for $at in 0..$steps.x.len() {
                    for $row in 0..2 {
                        ahead(&$steps.codes[$row][$at], far.0 * CODES);
                        ahead(&$steps.values[$row][$at], far.1 * $n);
                        let $sums = &mut all[$row];
                        $add
                    }
                }
                *sums = all;
                $picker.is_right()
            }

            let mut sums = [[_mm512_setzero_ps(); 4]; 2];
            let steps = Steps::new(rows, x);
            if !add(steps, &mut sums) {
                return None;
            }
            for at in steps.x.len()..x.len().div_ceil(COLS) {
                if !add(Room::new(rows, x, at).steps(), &mut sums) {
                    return None;
                }
            }
            Some(sums.map(|[a, b, c, d]| {
                _mm512_reduce_add_ps(_mm512_add_ps(_mm512_add_ps(a, b), _mm512_add_ps(c, d))) / $unit
            }))
        }
    };
}

/// The items of block `B` of `x` that go with the values of its lanes.
#[inline]
#[target_feature(enable = "avx512f")]
fn picked(x: &[f32; COLS], block: usize, places: __m512i) -> __m512 {
    let [low, high] = [2 * block, 2 * block + 1].map(|at| load_f32(&x.as_chunks::<16>().0[at]));
    _mm512_permutex2var_ps(low, places, high)
}

macro_rules! blocks {
    ($steps:ident, $at:ident, $row:ident, $picker:ident, |$block:ident, $x:ident| $each:expr) => {{
        let places = $picker.places(&$steps.codes[$row][$at]);
        macro_rules! block {
            ($b:literal) => {{
                let ($block, $x) = ($b, picked(&$steps.x[$at], $b, _mm512_srli_epi32::<{ 8 * $b }>(places)));
                $each
            }};
        }
        block!(0);
        block!(1);
        block!(2);
        block!(3);
    }};
}

dot!(
    /// See [`crate::Kernels::nm24_dot_f32`].
    nm24_dot_f32, f32, f32, 64, STRAIGHT, (), 1.0,
    |steps, at, row, picker, sums, _held| blocks!(steps, at, row, picker, |block, x| {
        let value = load_f32(&steps.values[row][at].as_chunks::<16>().0[block]);
        sums[block] = _mm512_fmadd_ps(value, x, sums[block]);
    })
);

dot!(
    /// See [`crate::Kernels::nm24_dot_f16`].
    nm24_dot_f16, u16, f32, 64, STRAIGHT, (), 1.0,
    |steps, at, row, picker, sums, _held| blocks!(steps, at, row, picker, |block, x| {
        let value = _mm512_cvtph_ps(load_32(&steps.values[row][at].as_chunks::<16>().0[block]));
        sums[block] = _mm512_fmadd_ps(value, x, sums[block]);
    })
);

dot!(
    /// See [`crate::Kernels::nm24_dot_bf16`].
    nm24_dot_bf16, u16, f32, 64, STRAIGHT, (), 1.0,
    |steps, at, row, picker, sums, _held| blocks!(steps, at, row, picker, |block, x| {
        let value = _mm512_cvtepu16_epi32(load_32(&steps.values[row][at].as_chunks::<16>().0[block]));
        sums[block] = _mm512_fmadd_ps(_mm512_castsi512_ps(_mm512_slli_epi32::<16>(value)), x, sums[block]);
    })
);

dot!(
    /// See [`crate::Kernels::nm24_dot_codes`].
    fours_bytes, u8, f32, 64, STRAIGHT, (), 1.0,
    |steps, at, row, picker, sums, _held| {
        let scales = steps.scale[row][at];
        blocks!(steps, at, row, picker, |block, x| {
            let value = _mm512_cvtepi32_ps(_mm512_cvtepi8_epi32(load_16(&steps.values[row][at].as_chunks::<16>().0[block])));
            let value = _mm512_mul_ps(value, _mm512_set1_ps(scales[block / 2]));
            sums[block] = _mm512_fmadd_ps(value, x, sums[block]);
        });
    }
);

dot!(
    /// See [`crate::Kernels::nm24_dot_codes`]. Nibbles are looked up among numbers that the scale has multiplied.
    fours_nibbles, u8, f32, 32, BY_TURNS, (load_f32(&NIBBLES), load_opaque(&TURNS)), 1.0,
    |steps, at, row, picker, sums, held| {
        let tables = steps.scale[row][at].map(|scale| _mm512_mul_ps(held.0, _mm512_set1_ps(scale)));
        blocks!(steps, at, row, picker, |block, x| {
            let eight = i64::from_le_bytes(steps.values[row][at].as_chunks::<8>().0[block]);
            let value = _mm512_permutexvar_ps(_mm512_srlv_epi32(_mm512_set1_epi64(eight), held.1), tables[block / 2]);
            sums[block] = _mm512_fmadd_ps(value, x, sums[block]);
        });
    }
);

/// Adds exact sums of 4 products, `x - 128` times `codes`, to the sums: both factors of `vpdpbusd` are bytes, the first
/// without a sign, so 128 is added to it and 128 times the codes taken away. Lanes in `second` have the second scale.
#[inline]
#[target_feature(enable = "avx512f,avx512bw,avx512vbmi,avx512vnni")]
fn add_integers(
    x: &[u8; COLS],
    places: __m512i,
    codes: __m512i,
    scales: [f32; 2],
    second: u16,
    sums: &mut [__m512; 4],
) {
    let [low, high] = x.as_chunks::<64>().0 else { return };
    let x = _mm512_permutex2var_epi8(load_opaque(low), places, load_opaque(high));
    let product = _mm512_dpbusd_epi32(_mm512_setzero_si512(), x, codes);
    let shifted = _mm512_dpbusd_epi32(_mm512_setzero_si512(), _mm512_set1_epi8(-128), codes);
    let sum = _mm512_cvtepi32_ps(_mm512_sub_epi32(product, shifted));
    let scale = _mm512_mask_blend_ps(second, _mm512_set1_ps(scales[0]), _mm512_set1_ps(scales[1]));
    sums[0] = _mm512_fmadd_ps(sum, scale, sums[0]);
}

dot!(
    /// See [`crate::Kernels::nm24_dot_integers`].
    integers_of_bytes, u8, u8, 64, IN_BYTES, (), 1.0,
    |steps, at, row, picker, sums, _held| {
        let places = picker.places(&steps.codes[row][at]);
        add_integers(&steps.x[at], places, load_opaque(&steps.values[row][at]), steps.scale[row][at], 0xFF00, sums);
    }
);

dot!(
    /// See [`crate::Kernels::nm24_dot_integers`]. Nibbles are upper halves of bytes: 16 times the codes.
    integers_of_nibbles, u8, u8, 32, IN_HALVES, load_opaque(&HALF_STARTS), 16.0,
    |steps, at, row, picker, sums, held| {
        let places = picker.places(&steps.codes[row][at]);
        let both = _mm512_broadcast_i64x4(load_32(&steps.values[row][at]));
        let codes = _mm512_and_si512(_mm512_multishift_epi64_epi8(held, both), _mm512_set1_epi8(-16));
        add_integers(&steps.x[at], places, codes, steps.scale[row][at], 0xF0F0, sums);
    }
);
