//! Products of 2:4 with one column: the code of a group picks the items of `x` that its two values meet.
//!
//! 8 columns at a time, which are 2 groups and 4 values, and two rows at a time, for which `x` is loaded once: a table
//! gives `tbl` the bytes that the codes of two groups pick. Wrong codes pick nothing, and are found at the end.

use super::affine::widen_lanes_bf16;
use super::bitmask_dot::{add_products, add_products_dotprod, centred, floats as floats_of, total, upper_halves};
use super::registers::{load_f32, load_half_u8, load_u8, load_u16, load_u32, widen};
use crate::args::nm24_gemv::Nm24Row;
use crate::scalar::nm24_steps::{CODES, COLS, Room, Steps};
use std::arch::aarch64::{
    float32x4_t, int8x16_t, uint8x16x2_t, vcvtq_f32_s32, vdupq_n_f32, vdupq_n_s32, vdupq_n_u8, vfmaq_f32, vfmaq_n_f32,
    vget_low_s8, vmaxvq_u8, vmulq_n_f32, vorrq_u8, vqtbl2q_u8, vreinterpret_s8_u8, vreinterpretq_f32_u8,
    vreinterpretq_s8_u8, vreinterpretq_u8_f32, vreinterpretq_u8_s8, vreinterpretq_u8_u32,
};

/// What a code that names no pair has for a place.
const WRONG: u8 = 0x80;

/// The two places of a code.
const PAIRS: [[u8; 2]; 8] = [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3], [WRONG; 2], [WRONG; 2]];

/// The places of the four values of two groups in them, for their codes, from place `first` on; `width` bytes each.
const fn places<const B: usize>(first: u8, width: u8) -> [[u8; B]; 64] {
    let (mut table, mut i) = ([[0; B]; 64], 0);
    while i < 64 {
        let (low, high) = (PAIRS[i % 8], PAIRS[i / 8]);
        let (pair, mut byte) = ([low[0], low[1], high[0], high[1]], 0);
        while byte < B {
            let at = byte / width as usize;
            let start = first + if at < 2 { 0 } else { 4 };
            table[i][byte] = if pair[at] == WRONG { WRONG } else { (start + pair[at]) * width + byte as u8 % width };
            byte += 1;
        }
        i += 1;
    }
    table
}

/// Of float32.
static SINGLES: [[u8; 16]; 64] = places(0, 4);

/// Of bytes, in each 8 of 32 columns.
static BYTES: [[[u8; 4]; 64]; 4] = [places(0, 1), places(8, 1), places(16, 1), places(24, 1)];

/// The codes of 64 of the columns of a step, 3 bits each from the lowest on; what is above them is to be ignored.
#[inline]
fn word(codes: &[u8; CODES], half: usize) -> u64 {
    let eight = codes[4 * half..].first_chunk().copied().unwrap_or_default();
    u64::from_le_bytes(eight) >> (16 * half)
}

macro_rules! dot {
    (
        $(#[$doc:meta])* $name:ident, $features:literal, $t:ty, $x:ty, $n:literal, $unit:literal,
        |$steps:ident, $at:ident, $wrong:ident, $sums:ident| $add:expr
    ) => {
        $(#[$doc])*
        #[target_feature(enable = $features)]
        pub(crate) fn $name(rows: &[Nm24Row<'_, $t>; 2], x: &[$x]) -> Option<[f32; 2]> {
            /// Adds steps to the sums; tells whether all codes are right.
            #[inline(never)]
            #[target_feature(enable = $features)]
            fn add($steps: Steps<'_, $t, $x, $n>, sums: &mut [[float32x4_t; 4]; 2]) -> bool {
                let (mut $sums, mut $wrong) = (*sums, vdupq_n_u8(0));
                let $steps = $steps.first(usize::MAX);
                for $at in 0..$steps.x.len() {
                    $add
                }
                *sums = $sums;
                vmaxvq_u8($wrong) < WRONG
            }

            let mut sums = [[vdupq_n_f32(0.0); 4]; 2];
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
        |$steps:ident, $at:ident, $row:ident, $block:ident| $values:expr
    ) => {
        dot!($(#[$doc])* $name, "neon", $t, f32, $n, $unit, |$steps, $at, wrong, sums| {
            for half in 0..2 {
                let words = [word(&$steps.codes[0][$at], half), word(&$steps.codes[1][$at], half)];
                for quarter in 0..4 {
                    let $block = 4 * half + quarter;
                    let x: &[[f32; 4]] = $steps.x[$at].as_chunks::<16>().0[$block].as_chunks().0;
                    let [a, b, c, d] = [0, 1, 2, 3].map(|at| vreinterpretq_u8_f32(load_f32(&x[at])));
                    let groups = [uint8x16x2_t(a, b), uint8x16x2_t(c, d)];
                    for $row in 0..2 {
                        let values: [float32x4_t; 2] = $values;
                        for pair in 0..2 {
                            let code = words[$row] >> (12 * quarter + 6 * pair) & 63;
                            let places = load_u8(&SINGLES[code as usize]);
                            wrong = vorrq_u8(wrong, places);
                            let picked = vreinterpretq_f32_u8(vqtbl2q_u8(groups[pair], places));
                            let sum = &mut sums[$row][quarter % 2 * 2 + pair];
                            *sum = vfmaq_f32(*sum, values[pair], picked);
                        }
                    }
                }
            }
        });
    };
}

floats!(
    /// See [`crate::Kernels::nm24_dot_f32`].
    nm24_dot_f32, f32, 64, 1.0,
    |steps, at, row, block| [0, 1].map(|part| load_f32(&steps.values[row][at].as_chunks().0[2 * block + part]))
);

floats!(
    /// See [`crate::Kernels::nm24_dot_f16`].
    nm24_dot_f16, u16, 64, 1.0,
    |steps, at, row, block| widen(load_u16(&steps.values[row][at].as_chunks().0[block]))
);

floats!(
    /// See [`crate::Kernels::nm24_dot_bf16`].
    nm24_dot_bf16, u16, 64, 1.0,
    |steps, at, row, block| widen_lanes_bf16(load_u16(&steps.values[row][at].as_chunks().0[block]))
);

floats!(
    /// See [`crate::Kernels::nm24_dot_codes`].
    fours_bytes, u8, 64, 1.0,
    |steps, at, row, block| {
        let codes = vreinterpret_s8_u8(load_half_u8(&steps.values[row][at].as_chunks().0[block]));
        floats_of(codes).map(|codes| vmulq_n_f32(codes, steps.scale[row][at][block / 4]))
    }
);

floats!(
    /// See [`crate::Kernels::nm24_dot_codes`].
    fours_nibbles, u8, 32, 16.0,
    |steps, at, row, block| {
        let four = u32::from_le_bytes(steps.values[row][at].as_chunks().0[block]);
        let codes = vget_low_s8(upper_halves(four.into()));
        floats_of(codes).map(|codes| vmulq_n_f32(codes, steps.scale[row][at][block / 4]))
    }
);

macro_rules! integers {
    (
        $(#[$doc:meta])* $name:ident, $features:literal, $products:ident, $n:literal, $unit:literal, $codes:ident
    ) => {
        dot!($(#[$doc])* $name, $features, u8, u8, $n, $unit, |steps, at, wrong, sums| {
            for half in 0..2 {
                let words = [word(&steps.codes[0][at], half), word(&steps.codes[1][at], half)];
                let mut whole = [vdupq_n_s32(0); 2];
                for part in 0..2 {
                    let x: &[[u8; 16]] = steps.x[at].as_chunks::<32>().0[2 * half + part].as_chunks().0;
                    let [a, b] = [0, 1].map(|at| vreinterpretq_u8_s8(centred(&x[at])));
                    for row in 0..2 {
                        let code = |at: usize| (words[row] >> (24 * part + 6 * at) & 63) as usize;
                        let places = [0, 1, 2, 3].map(|at| u32::from_le_bytes(BYTES[at][code(at)]));
                        let places = vreinterpretq_u8_u32(load_u32(&places));
                        wrong = vorrq_u8(wrong, places);
                        let picked = vreinterpretq_s8_u8(vqtbl2q_u8(uint8x16x2_t(a, b), places));
                        let codes: int8x16_t = $codes(&steps.values[row][at].as_chunks().0[2 * half + part]);
                        whole[row] = $products(whole[row], picked, codes);
                    }
                }
                for row in 0..2 {
                    let sum = vcvtq_f32_s32(whole[row]);
                    sums[row][half] = vfmaq_n_f32(sums[row][half], sum, steps.scale[row][at][half]);
                }
            }
        });
    };
}

#[inline]
#[target_feature(enable = "neon")]
fn bytes(codes: &[u8; 16]) -> int8x16_t {
    vreinterpretq_s8_u8(load_u8(codes))
}

#[inline]
#[target_feature(enable = "neon")]
fn nibbles(pairs: &[u8; 8]) -> int8x16_t {
    upper_halves(u64::from_le_bytes(*pairs))
}

integers!(
    /// See [`crate::Kernels::nm24_dot_integers`].
    integers_of_bytes, "neon", add_products, 64, 1.0, bytes
);
integers!(
    /// See [`crate::Kernels::nm24_dot_integers`].
    integers_of_nibbles, "neon", add_products, 32, 16.0, nibbles
);
integers!(
    /// See [`crate::Kernels::nm24_dot_integers`].
    integers_of_bytes_dotprod, "neon,dotprod", add_products_dotprod, 64, 1.0, bytes
);
integers!(
    /// See [`crate::Kernels::nm24_dot_integers`].
    integers_of_nibbles_dotprod, "neon,dotprod", add_products_dotprod, 32, 16.0, nibbles
);
