//! Products for AVX2 with FMA: the portable loops, compiled for it.

use crate::product::{DepthBits, Panel, Product, Strided};
use crate::scalar::product as plain;

pub(crate) const TABLE: Product = Product {
    dot_f32,
    dot_f16: None,
    dot_bf16: None,
    dot_codes: None,
    panel_8,
    panel_16,
    panel_32,
    panel_64,
    csr_dot_i32,
    csr_dot_i64,
    csr_row_i32,
    csr_row_i64,
    block,
    all_finite,
};

/// See [`crate::Kernels::dot_f32`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn dot_f32(values: &[f32], bits: &[u8], x: &[f32]) -> (f32, usize) {
    plain::dot_f32::<true>(values, bits, x)
}

macro_rules! panel {
    ($name:ident, $w:literal) => {
        /// See [`crate::Kernels::panel_64`].
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        fn $name(bits: &DepthBits, values: &[f32], x: &Panel<$w>, sums: &mut [f32; $w]) {
            plain::panel::<$w, true>(bits, values, x, sums);
        }
    };
}
panel!(panel_8, 8);
panel!(panel_16, 16);
panel!(panel_32, 32);
panel!(panel_64, 64);

macro_rules! csr {
    ($dot:ident, $row:ident, $i:ty) => {
        /// See [`crate::Kernels::csr_dot_i32`].
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        pub(crate) fn $dot(indices: &[$i], values: &[f32], x: &[f32]) -> Result<f32, usize> {
            plain::csr_dot::<$i, true>(indices, values, x)
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

/// See [`crate::Kernels::block`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn block(block: &[f32], rows: usize, x: &Strided<'_>, sums: &mut [f32], stride: usize) {
    plain::block::<true>(block, rows, x, sums, stride);
}

/// See [`crate::Kernels::all_finite`].
#[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
fn all_finite(items: &[f32]) -> bool {
    plain::all_finite(items)
}
