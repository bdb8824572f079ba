//! The part of the table that turns masks of groups into codes and back, where groups fill bytes, with its length
//! assertions.

use crate::{Kernels, scalar};

/// What a byte of mask, a unit of one or more groups, means. A unit has a code of `width` bits: those of its groups,
/// one behind the other.
#[derive(Clone, Debug)]
pub struct NmCodeTable {
    pub(crate) full: [u8; 256],
    pub(crate) code: [u8; 256],
    pub(crate) mask: [u8; 128],
    pub(crate) width: u32,
    /// For each of 64 codes: the first byte of the 8 it is cut from and its number in them, and where it starts there.
    pub(crate) eights: [u8; 64],
    pub(crate) shifts: [u8; 64],
    /// For each byte of 64 packed codes: its place when 8 codes are packed into each 8 bytes.
    pub(crate) bytes: [u8; 64],
}

impl NmCodeTable {
    /// `full` is the completed form of each mask; `code` its code, or has the highest bit set where a group holds too
    /// much; `mask` is the completed mask of each code, or 0 where it is none.
    ///
    /// # Panics
    /// `width` is above 7.
    #[must_use]
    pub fn new(full: [u8; 256], code: [u8; 256], mask: [u8; 128], width: u32) -> Self {
        assert!(width <= 7, "a code of {width} bits");
        let bits = width as usize;
        let eights = std::array::from_fn(|i| (i / 8 * bits + i % 8) as u8);
        let shifts = std::array::from_fn(|i| (i % 8 * bits) as u8);
        let bytes = std::array::from_fn(|i| i.checked_div(bits).map_or(0, |eight| (eight * 8 + i % bits) as u8 % 64));
        Self { full, code, mask, width, eights, shifts, bytes }
    }
}

type Pack = unsafe fn(&[u8], &NmCodeTable, &mut [u8], &mut [u8]) -> bool;
type Unpack = unsafe fn(&[u8], &NmCodeTable, &mut [u8]) -> bool;

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Units {
    pack_nm_codes: Pack,
    unpack_nm_codes: Unpack,
}

pub(crate) const SCALAR: Units = Units {
    pack_nm_codes: scalar::nm_code_table::pack_nm_codes,
    unpack_nm_codes: scalar::nm_code_table::unpack_nm_codes,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Units = Units {
    pack_nm_codes: crate::x86_64::avx2::nm_code_table::pack_nm_codes,
    unpack_nm_codes: crate::x86_64::avx2::nm_code_table::unpack_nm_codes,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Units = Units {
    pack_nm_codes: crate::x86_64::avx512::nm_code_table::pack_nm_codes,
    unpack_nm_codes: crate::x86_64::avx512::nm_code_table::unpack_nm_codes,
};

impl Kernels {
    /// Completes the masks in `keep` into `full`, and writes their codes one behind the other, LSB first. Tells whether
    /// a group holds too much; what is written is of no use then.
    ///
    /// # Panics
    /// `keep` is no multiple of 8 long, `full` is not as long, or `codes` does not hold `width` bits per byte of it.
    #[must_use]
    pub fn pack_nm_codes(&self, keep: &[u8], table: &NmCodeTable, full: &mut [u8], codes: &mut [u8]) -> bool {
        assert!(keep.len().is_multiple_of(8), "units come in eights");
        assert_eq!(full.len(), keep.len(), "bytes of full");
        assert_eq!(codes.len(), keep.len() / 8 * table.width as usize, "bytes of codes");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.units.pack_nm_codes)(keep, table, full, codes) }
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
        unsafe { (self.units.unpack_nm_codes)(codes, table, bits) }
    }
}
