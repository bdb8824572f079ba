//! The part of the table that looks 16-bit items up by codes.

use crate::args::lookup::Table;
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table { bytes: scalar::lookup::bytes, nibbles: scalar::lookup::nibbles };

impl Kernels {
    /// `out[i] = table[codes[i]]`.
    ///
    /// # Panics
    /// Lengths differ.
    pub fn lookup_u16(&self, codes: &[u8], table: &[u16; 256], out: &mut [u16]) {
        assert_eq!(codes.len(), out.len(), "codes");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.lookup.bytes)(codes, table, out) }
    }

    /// The same for two codes per byte, the first one low.
    ///
    /// # Panics
    /// `pairs` are not `ceil(out.len() / 2)`.
    pub fn lookup_nibbles_u16(&self, pairs: &[u8], table: &[u16; 16], out: &mut [u16]) {
        assert_eq!(pairs.len(), out.len().div_ceil(2), "bytes of nibbles");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.lookup.nibbles)(pairs, table, out) }
    }
}
