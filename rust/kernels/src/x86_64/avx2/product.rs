//! Products for AVX2 with FMA: one column by its own kernels, the rest by the portable loops, compiled for it.

use crate::blocks::Blocks;
use crate::fours::Fours;
use crate::pairs::{PAIRED, PairRows, PairTable, Pairs};
use crate::product::{Chunk, Product, Strided};
use crate::scalar::blocks;
use crate::scalar::csr as portable;
use crate::scalar::pairs;
use crate::scalar::product as plain;
use crate::x86_64::avx2::{csr, dots, fours};

pub(crate) const TABLE: Product = Product {
    dot_f32: dots::dot_f32,
    dot_f16: Some(dots::dot_f16),
    dot_bf16: Some(dots::dot_bf16),
    dot_codes: Some([dots::dot_bytes, dots::dot_nibbles]),
    fours: Some(Fours {
        fours_f32: fours::fours_f32,
        fours_f16: fours::fours_f16,
        fours_bf16: fours::fours_bf16,
        codes: [fours::fours_bytes, fours::fours_nibbles],
        integers: [fours::integers_of_bytes, fours::integers_of_nibbles],
    }),
    dot_integers: [dots::integers_of_bytes, dots::integers_of_nibbles],
    dots_4,
    dots_8,
    dots_16,
    pairs: PAIRS,
    csr_dot_i32,
    csr_dot_i64,
    csr_row_i32,
    csr_row_i64,
    wide_i32: csr::wides(),
    wide_i64: csr::wides(),
    block_row,
    all_finite,
};

macro_rules! dots {
    ($name:ident, $j:literal) => {
        /// See [`crate::Kernels::dots_8`].
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        fn $name(values: &[f32], bits: &[u8], x: &[Chunk<$j>], sums: &mut [f32; $j]) {
            plain::dots::<$j, true>(values, bits, x, sums);
        }
    };
}
dots!(dots_4, 4);
dots!(dots_8, 8);
dots!(dots_16, 16);

pub(crate) const PAIRS: PairTable = PairTable { pack: pack_pairs, add: add_pairs, are_finite: brains_are_finite };

/// See [`crate::Kernels::pack_pairs`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn pack_pairs(rows: &[[u16; 64]; 4 * PAIRED], pairs: &mut Pairs) {
    pairs::pack(rows, pairs);
}

/// See [`crate::Kernels::add_pairs`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn add_pairs(w: &PairRows<'_>, x: &Pairs, sums: &mut [f32], place: (usize, usize), first: bool) {
    pairs::add(w, x, sums, place, first);
}

/// See [`crate::Kernels::brains_are_finite`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn brains_are_finite(items: &[u16]) -> bool {
    pairs::are_finite(items)
}

macro_rules! csr {
    ($dot:ident, $row:ident, $i:ty) => {
        /// See [`crate::Kernels::csr_dot_i32`].
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        pub(crate) fn $dot(indices: &[$i], values: &[f32], x: &[f32]) -> Result<f32, usize> {
            portable::dot::<$i, true>(indices, values, x)
        }

        /// See [`crate::Kernels::csr_row_i32`].
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        fn $row(indices: &[$i], values: &[f32], x: &Strided<'_>, sums: &mut [f32]) -> Result<(), usize> {
            plain::csr_row::<$i, true>(indices, values, x, sums)
        }
    };
}
csr!(csr_dot_i32, csr_row_i32, i32);
csr!(csr_dot_i64, csr_row_i64, i64);

/// See [`crate::Kernels::block_row`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn block_row(w: &Blocks<'_>, x: &Strided<'_>, sums: &mut [f32], stride: usize) {
    blocks::block_row::<true>(w, x, sums, stride);
}

/// See [`crate::Kernels::all_finite`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn all_finite(items: &[f32]) -> bool {
    plain::all_finite(items)
}
