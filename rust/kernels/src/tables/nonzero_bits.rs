//! The part of the table that finds nonzero items.

use crate::args::nonzero_bits::Table;
use crate::scalar;
use crate::tables::kernels::Kernels;
#[cfg(target_arch = "x86_64")]
use crate::x86_64::{avx2, avx512};

pub(crate) const SCALAR: Table = Table {
    nonzero_bits_u8: scalar::nonzero_bits::nonzero_bits::<u8>,
    nonzero_bits_u16: scalar::nonzero_bits::nonzero_bits::<u16>,
    nonzero_bits_u32: scalar::nonzero_bits::nonzero_bits::<u32>,
    nonzero_bits_u64: scalar::nonzero_bits::nonzero_bits::<u64>,
};

#[cfg(target_arch = "aarch64")]
pub(crate) const NEON: Table = Table {
    nonzero_bits_u8: crate::aarch64::neon::nonzero_bits::nonzero_bits_u8,
    nonzero_bits_u16: crate::aarch64::neon::nonzero_bits::nonzero_bits_u16,
    nonzero_bits_u32: crate::aarch64::neon::nonzero_bits::nonzero_bits_u32,
    nonzero_bits_u64: crate::aarch64::neon::nonzero_bits::nonzero_bits_u64,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table = Table {
    nonzero_bits_u8: avx2::nonzero_bits::nonzero_bits_u8,
    nonzero_bits_u16: avx2::nonzero_bits::nonzero_bits_u16,
    nonzero_bits_u32: avx2::nonzero_bits::nonzero_bits_u32,
    nonzero_bits_u64: avx2::nonzero_bits::nonzero_bits_u64,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table = Table {
    nonzero_bits_u8: avx512::nonzero_bits::nonzero_bits_u8,
    nonzero_bits_u16: avx512::nonzero_bits::nonzero_bits_u16,
    nonzero_bits_u32: avx512::nonzero_bits::nonzero_bits_u32,
    nonzero_bits_u64: avx512::nonzero_bits::nonzero_bits_u64,
};

macro_rules! nonzero_bits {
    ($name:ident, $t:ty) => {
        /// Writes one bit per item, LSB first: set where `item & zero != 0`. The last byte is completed by zeros.
        /// Returns the number of set bits.
        ///
        /// # Panics
        /// `bits` is not `ceil(src.len() / 8)` long.
        #[must_use]
        pub fn $name(&self, src: &[$t], zero: $t, bits: &mut [u8]) -> usize {
            assert_eq!(bits.len(), src.len().div_ceil(8), "bytes of bits");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.nonzero_bits.$name)(src, zero, bits) }
        }
    };
}

impl Kernels {
    nonzero_bits!(nonzero_bits_u8, u8);
    nonzero_bits!(nonzero_bits_u16, u16);
    nonzero_bits!(nonzero_bits_u32, u32);
    nonzero_bits!(nonzero_bits_u64, u64);
}
