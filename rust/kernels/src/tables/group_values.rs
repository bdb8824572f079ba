//! The part of the table for values of codes in groups, with its length assertions.

use crate::args::group_values::{Planes, Table};
use crate::scalar::group_values as plain;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table {
    nibble_groups: plain::nibble_groups,
    grid_values: plain::grid_values,
    run_bytes: plain::run_bytes,
    run_nibbles: plain::run_nibbles,
};

impl Kernels {
    /// Entries of `tables[which]` by codes of 4 bits, two a byte, the first one low; every entry of `which` is for an
    /// equal share of `pairs`.
    ///
    /// # Panics
    /// `pairs` cannot be shared out, or `out` has not two items for each.
    pub fn nibble_groups_u16(&self, pairs: &[u8], which: &[u8], tables: &[Planes; 256], out: &mut [u16]) {
        assert!(pairs.is_empty() || (!which.is_empty() && pairs.len().is_multiple_of(which.len())), "groups");
        assert_eq!(out.len(), 2 * pairs.len(), "values");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.group_values.nibble_groups)(pairs, which, tables, out) }
    }

    /// `(code - point) * scale`; all NaN are the one of [`f32::NAN`].
    ///
    /// # Panics
    /// Lengths differ.
    pub fn grid_values_f32(&self, codes: &[u8], point: &[f32], scale: &[f32], out: &mut [f32]) {
        assert!([codes.len(), point.len(), scale.len()].iter().all(|&len| len == out.len()), "items");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.group_values.grid_values)(codes, point, scale, out) }
    }

    /// `((code ^ flip) - point) * scale` for all codes alike.
    ///
    /// # Panics
    /// Lengths differ.
    pub fn run_bytes_f32(&self, codes: &[u8], how: (u8, f32, f32), out: &mut [f32]) {
        assert_eq!(codes.len(), out.len(), "codes");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.group_values.run_bytes)(codes, how, out) }
    }

    /// The same for two codes per byte, the first one low; `flip` is below 16.
    ///
    /// # Panics
    /// `pairs` are not `ceil(out.len() / 2)`.
    pub fn run_nibbles_f32(&self, pairs: &[u8], how: (u8, f32, f32), out: &mut [f32]) {
        assert_eq!(pairs.len(), out.len().div_ceil(2), "bytes of nibbles");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.group_values.run_nibbles)(pairs, how, out) }
    }
}
