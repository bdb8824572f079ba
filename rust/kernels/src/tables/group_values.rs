//! The part of the table for values of codes in groups, with its length assertions.

use crate::args::group_values::{Groups, Planes, SixteenRows, Table};
use crate::args::nontemporal::NonTemporal;
use crate::scalar::group_values as plain;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table {
    nibble_groups: plain::nibble_groups,
    grid_values: plain::grid_values,
    run_bytes: plain::run_bytes,
    run_nibbles: plain::run_nibbles,
    columns: None,
    groups: None,
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

fn check(codes: usize, groups: Groups<'_>, items: usize) {
    let Groups { bits, group, point, scale, .. } = groups;
    assert!(group > 0 && (bits == 8 || (bits == 4 && group.is_multiple_of(2))), "{bits} bits in groups of {group}");
    assert_eq!(codes, if bits == 8 { items } else { items.div_ceil(2) }, "bytes of codes");
    assert!([point.len(), scale.len()].iter().all(|&len| len == items.div_ceil(group)), "points and scales of groups");
}

macro_rules! groups {
    ($name:ident, $kind:ident, $t:ty) => {
        impl Kernels {
            /// `(code - point) * scale` of codes in groups, in float32 and rounded once to the dtype; all NaN are one.
            /// False: there is no function for it, and nothing was written. With `stream` it writes past the caches
            /// where it can.
            ///
            /// # Panics
            /// `bits` is neither 4 nor 8; `group` is 0, or with 4 bits odd; not as many points and scales as groups, or
            /// codes as items of `out`.
            pub fn $name(&self, codes: &[u8], groups: Groups<'_>, out: &mut [$t], stream: bool) -> bool {
                check(codes.len(), groups, out.len());
                let Some(table) = self.group_values.groups else { return false };
                Self::nontemporal(stream, |_| {
                    // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted
                    // above; what is written past the caches is waited for before `nontemporal` returns.
                    unsafe { (table.$kind)(codes, groups, out, stream) }
                });
                true
            }
        }

        impl NonTemporal {
            /// See the method of [`Kernels`] of the same name.
            ///
            /// # Panics
            /// As there.
            pub fn $name(&self, codes: &[u8], groups: Groups<'_>, out: &mut [$t]) -> bool {
                check(codes.len(), groups, out.len());
                let Some(table) = Kernels::active().group_values.groups else { return false };
                // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above;
                // what is written past the caches is waited for before `nontemporal` returns.
                unsafe { (table.$kind)(codes, groups, out, self.stream) }
                true
            }
        }
    };
}

groups!(group_rows_f16, f16, u16);
groups!(group_rows_bf16, bf16, u16);
groups!(group_rows_f32, f32, u32);

macro_rules! columns {
    ($name:ident, $which:literal) => {
        impl Kernels {
            /// `(code - point) * scale` of sixteen rows, rounded to 16 bits: of each, word `i` holds columns `8 * i` on,
            /// low bits first, and `at` names the group of every column. Fills the rows of `out`, one behind the other.
            /// Products must be finite. None: there is no function for it; false: a group is not there.
            ///
            /// # Panics
            /// `at` has not eight groups for each word, or `out` not sixteen items for each of these.
            pub fn $name(
                &self,
                words: &[[u32; 16]],
                at: &[i32],
                groups: &[SixteenRows],
                out: &mut [u16],
            ) -> Option<bool> {
                assert_eq!(at.len(), 8 * words.len(), "groups of columns");
                assert_eq!(out.len(), 16 * at.len(), "items");
                // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
                self.group_values.columns.map(|both| unsafe { both[$which](words, at, groups, out) })
            }
        }
    };
}

columns!(word_columns_f16, 0);
columns!(word_columns_bf16, 1);
