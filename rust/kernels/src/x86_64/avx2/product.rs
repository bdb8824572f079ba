//! Products for AVX2 with FMA: one column by its own kernels, the rest by the portable loops, compiled for it.

use crate::args::nm24_bf16::{NM24_BF16_GROUPS, Nm24Bf16Rows, Nm24Bf16Table, Pairs};
use crate::args::nm24_gemv::Nm24GemvTable;
use crate::args::product::{Chunk, Table};
use crate::args::strided::Strided;
use crate::scalar::csr as portable;
use crate::scalar::nm24_bf16;
use crate::scalar::product as plain;
use crate::x86_64::avx2::{bitmask_dot, bsr_spmm, csr, nm24_gemv};

pub(crate) const TABLE: Table = Table {
    dot_f32: bitmask_dot::dot_f32,
    dot_f16: Some(bitmask_dot::dot_f16),
    dot_bf16: Some(bitmask_dot::dot_bf16),
    dot_codes: Some([bitmask_dot::dot_bytes, bitmask_dot::dot_nibbles]),
    fours: Some(Nm24GemvTable {
        nm24_dot_f32: nm24_gemv::nm24_dot_f32,
        nm24_dot_f16: nm24_gemv::nm24_dot_f16,
        nm24_dot_bf16: nm24_gemv::nm24_dot_bf16,
        codes: [nm24_gemv::fours_bytes, nm24_gemv::fours_nibbles],
        integers: [nm24_gemv::integers_of_bytes, nm24_gemv::integers_of_nibbles],
    }),
    dot_integers: [bitmask_dot::integers_of_bytes, bitmask_dot::integers_of_nibbles],
    dots_4,
    dots_8,
    dots_16,
    pairs: PAIRS,
    csr_dot_i32,
    csr_dot_i64,
    csr_row_i32,
    csr_row_i64,
    csr_spmm_i32: csr::csr_spmm_table(),
    csr_spmm_i64: csr::csr_spmm_table(),
    bsr_spmm_row: bsr_spmm::bsr_spmm_row,
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

pub(crate) const PAIRS: Nm24Bf16Table =
    Nm24Bf16Table { pack: nm24_bf16_pack, add: nm24_bf16_add, are_finite: bf16_all_finite };

/// See [`crate::Kernels::nm24_bf16_pack`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn nm24_bf16_pack(rows: &[[u16; 64]; 4 * NM24_BF16_GROUPS], pairs: &mut Pairs) {
    nm24_bf16::pack(rows, pairs);
}

/// See [`crate::Kernels::nm24_bf16_add`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn nm24_bf16_add(w: &Nm24Bf16Rows<'_>, x: &Pairs, sums: &mut [f32], place: (usize, usize), first: bool) {
    nm24_bf16::add(w, x, sums, place, first);
}

/// See [`crate::Kernels::bf16_all_finite`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn bf16_all_finite(items: &[u16]) -> bool {
    nm24_bf16::are_finite(items)
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

/// See [`crate::Kernels::all_finite`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn all_finite(items: &[f32]) -> bool {
    plain::all_finite(items)
}
