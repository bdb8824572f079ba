//! The part of the table that turns masks of groups into codes and back, where groups fill bytes, with its length
//! assertions.

use crate::args::nm_code_table::{NmCodeTable, Table};
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table {
    pack_nm_codes: scalar::nm_code_table::pack_nm_codes,
    unpack_nm_codes: scalar::nm_code_table::unpack_nm_codes,
};

#[cfg(target_arch = "aarch64")]
pub(crate) const NEON: Table = Table {
    pack_nm_codes: crate::aarch64::neon::nm_code_table::pack_nm_codes,
    unpack_nm_codes: crate::aarch64::neon::nm_code_table::unpack_nm_codes,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table = Table {
    pack_nm_codes: crate::x86_64::avx2::nm_code_table::pack_nm_codes,
    unpack_nm_codes: crate::x86_64::avx2::nm_code_table::unpack_nm_codes,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table = Table {
    pack_nm_codes: crate::x86_64::avx512::nm_code_table::pack_nm_codes,
    unpack_nm_codes: crate::x86_64::avx512::nm_code_table::unpack_nm_codes,
};

impl Kernels {
    /// Completes the masks in `keep` into `full`, and writes their codes one behind the other, LSB first. Tells whether
    /// a group holds too much; what is written is unspecified then.
    ///
    /// # Panics
    /// `keep` is no multiple of 8 long, `full` is not as long, or `codes` does not hold `width` bits per byte of it.
    #[must_use]
    pub fn pack_nm_codes(&self, keep: &[u8], table: &NmCodeTable, full: &mut [u8], codes: &mut [u8]) -> bool {
        assert!(keep.len().is_multiple_of(8), "units come in eights");
        assert_eq!(full.len(), keep.len(), "bytes of full");
        assert_eq!(codes.len(), keep.len() / 8 * table.width as usize, "bytes of codes");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.nm_code_table.pack_nm_codes)(keep, table, full, codes) }
    }

    /// Writes the masks of codes that stand one behind the other. Tells whether one of them is none.
    ///
    /// # Panics
    /// `bits` is no multiple of 8 long, or `codes` does not hold `width` bits per byte of it.
    #[must_use]
    pub fn unpack_nm_codes(&self, codes: &[u8], table: &NmCodeTable, bits: &mut [u8]) -> bool {
        assert!(bits.len().is_multiple_of(8), "units come in eights");
        assert_eq!(codes.len(), bits.len() / 8 * table.width as usize, "bytes of codes");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.nm_code_table.unpack_nm_codes)(codes, table, bits) }
    }
}
