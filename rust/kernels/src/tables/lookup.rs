//! The part of the table that looks 16-bit items up by codes.

use crate::args::lookup::{FloatTable, Table};
use crate::args::nontemporal::NonTemporal;
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table { bytes: scalar::lookup::bytes, nibbles: scalar::lookup::nibbles, floats: None };

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

    /// What `float_values_u16` takes instead of a table; None where the table is another one, or look-ups are as fast.
    pub fn float_table(&self, table: &[u16; 256]) -> Option<FloatTable> {
        self.lookup.floats.and_then(|_| FloatTable::find(table))
    }

    /// The entries of the table that a `FloatTable` was made of, by codes. False: there is no function for it, and
    /// nothing was written. With `stream` it writes past the caches where it can.
    ///
    /// # Panics
    /// Lengths differ.
    pub fn float_values_u16(&self, codes: &[u8], table: &FloatTable, out: &mut [u16], stream: bool) -> bool {
        assert_eq!(codes.len(), out.len(), "codes");
        let Some(floats) = self.lookup.floats else { return false };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above; what is
        // written past the caches is waited for before `nontemporal` returns.
        Self::nontemporal(stream, |_| unsafe { floats(codes, table, out, stream) });
        true
    }
}

impl NonTemporal {
    /// See the method of [`Kernels`] of the same name.
    ///
    /// # Panics
    /// As there.
    pub fn float_values_u16(&self, codes: &[u8], table: &FloatTable, out: &mut [u16]) -> bool {
        assert_eq!(codes.len(), out.len(), "codes");
        let Some(floats) = Kernels::active().lookup.floats else { return false };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above; what is
        // written past the caches is waited for before `nontemporal` returns.
        unsafe { floats(codes, table, out, self.stream) };
        true
    }
}
