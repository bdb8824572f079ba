//! The part of the table that moves items between columns and slots, with its length assertions.

use crate::args::slots::Table;
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table {
    pack_slots_u8: scalar::slots::pack_slots::<u8>,
    pack_slots_u16: scalar::slots::pack_slots::<u16>,
    pack_slots_u32: scalar::slots::pack_slots::<u32>,
    pack_slots_u64: scalar::slots::pack_slots::<u64>,
    keep_slots_u8: scalar::slots::keep_slots::<u8>,
    keep_slots_u16: scalar::slots::keep_slots::<u16>,
    keep_slots_u32: scalar::slots::keep_slots::<u32>,
    keep_slots_u64: scalar::slots::keep_slots::<u64>,
};

#[cfg(target_arch = "aarch64")]
pub(crate) const NEON: Table = Table {
    pack_slots_u8: crate::aarch64::neon::slots::pack_slots_u8,
    keep_slots_u8: crate::aarch64::neon::slots::keep_slots_u8,
    pack_slots_u16: crate::aarch64::neon::slots::pack_slots_u16,
    keep_slots_u16: crate::aarch64::neon::slots::keep_slots_u16,
    pack_slots_u32: crate::aarch64::neon::slots::pack_slots_u32,
    keep_slots_u32: crate::aarch64::neon::slots::keep_slots_u32,
    pack_slots_u64: crate::aarch64::neon::slots::pack_slots_u64,
    keep_slots_u64: crate::aarch64::neon::slots::keep_slots_u64,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table = Table {
    pack_slots_u8: crate::x86_64::avx2::slots::pack_slots_u8,
    pack_slots_u16: crate::x86_64::avx2::slots::pack_slots_u16,
    pack_slots_u32: crate::x86_64::avx2::slots::pack_slots_u32,
    ..SCALAR
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table = Table {
    pack_slots_u8: crate::x86_64::avx512::slots::pack_slots_u8,
    keep_slots_u8: crate::x86_64::avx512::slots::keep_slots_u8,
    pack_slots_u16: crate::x86_64::avx512::slots::pack_slots_u16,
    keep_slots_u16: crate::x86_64::avx512::slots::keep_slots_u16,
    pack_slots_u32: crate::x86_64::avx512::slots::pack_slots_u32,
    keep_slots_u32: crate::x86_64::avx512::slots::keep_slots_u32,
    pack_slots_u64: crate::x86_64::avx512::slots::pack_slots_u64,
    keep_slots_u64: crate::x86_64::avx512::slots::keep_slots_u64,
};

macro_rules! slots {
    ($pack:ident, $keep:ident, $t:ty) => {
        /// Moves the items of `src` whose bit is set in `full` to `dst`, side by side; those whose bit is not set in
        /// `keep` become zero. Bits are LSB first. What `dst` cannot hold is dropped; returns the number of set bits.
        /// Items of `dst` behind the last one moved are unspecified.
        ///
        /// # Panics
        /// `keep` or `full` is not `ceil(src.len() / 8)` long.
        pub fn $pack(&self, src: &[$t], keep: &[u8], full: &[u8], dst: &mut [$t]) -> usize {
            assert_eq!(keep.len(), src.len().div_ceil(8), "bytes of keep");
            assert_eq!(full.len(), src.len().div_ceil(8), "bytes of full");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.slots.$pack)(src, keep, full, dst) }
        }

        /// Copies `src` to `dst`, with zeros where the bit is not set.
        ///
        /// # Panics
        /// `dst` is not as long as `src`, or `bits` is not `ceil(src.len() / 8)` long.
        pub fn $keep(&self, src: &[$t], bits: &[u8], dst: &mut [$t]) {
            assert_eq!(dst.len(), src.len(), "items of dst");
            assert_eq!(bits.len(), src.len().div_ceil(8), "bytes of bits");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.slots.$keep)(src, bits, dst) }
        }
    };
}

impl Kernels {
    slots!(pack_slots_u8, keep_slots_u8, u8);
    slots!(pack_slots_u16, keep_slots_u16, u16);
    slots!(pack_slots_u32, keep_slots_u32, u32);
    slots!(pack_slots_u64, keep_slots_u64, u64);
}
