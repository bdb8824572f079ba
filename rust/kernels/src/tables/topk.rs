//! The part of the table that finds the n largest of every group, with its length assertions.

use crate::args::topk::{Order, Table};
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table {
    topk_bits_u8: scalar::topk::topk_bits::<u8>,
    topk_bits_u16: scalar::topk::topk_bits::<u16>,
    topk_bits_u32: scalar::topk::topk_bits::<u32>,
    topk_bits_u64: scalar::topk::topk_bits::<u64>,
};

#[cfg(target_arch = "aarch64")]
pub(crate) const NEON: Table = Table {
    topk_bits_u8: crate::aarch64::neon::topk::topk_bits_u8,
    topk_bits_u16: crate::aarch64::neon::topk::topk_bits_u16,
    topk_bits_u32: crate::aarch64::neon::topk::topk_bits_u32,
    ..SCALAR
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table = Table {
    topk_bits_u8: crate::x86_64::avx2::topk::topk_bits_u8,
    topk_bits_u16: crate::x86_64::avx2::topk::topk_bits_u16,
    topk_bits_u32: crate::x86_64::avx2::topk::topk_bits_u32,
    topk_bits_u64: crate::x86_64::avx2::topk::topk_bits_u64,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table = Table {
    topk_bits_u8: crate::x86_64::avx512::topk::topk_bits_u8,
    topk_bits_u16: crate::x86_64::avx512::topk::topk_bits_u16,
    topk_bits_u32: crate::x86_64::avx512::topk::topk_bits_u32,
    topk_bits_u64: crate::x86_64::avx512::topk::topk_bits_u64,
};

macro_rules! topk_bits {
    ($name:ident, $t:ty) => {
        /// Writes a bit per item, LSB first: set for the `n` largest keys of every run of `m` items; equal keys: the
        /// lower position. The last run may be shorter. The last byte is completed by zeros.
        ///
        /// # Panics
        /// `bits` is not `ceil(items.len() / 8)` long, or m is not in 1..=32.
        pub fn $name(&self, items: &[$t], order: Order<$t>, (n, m): (usize, usize), bits: &mut [u8]) {
            assert_eq!(bits.len(), items.len().div_ceil(8), "bytes of bits");
            assert!((1..=32).contains(&m), "runs of {m}");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.topk.$name)(items, order, (n, m), bits) }
        }
    };
}

impl Kernels {
    topk_bits!(topk_bits_u8, u8);
    topk_bits!(topk_bits_u16, u16);
    topk_bits!(topk_bits_u32, u32);
    topk_bits!(topk_bits_u64, u64);
}
