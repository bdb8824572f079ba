//! The part of the table for float16 and bfloat16 in groups that share a scale, with its length assertions.

use crate::args::quantize_f16::Table;
use crate::scalar::quantize_f16 as plain;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table {
    magnitudes_u16: plain::magnitudes_u16,
    quantize_f16: plain::quantize_f16,
    quantize_bf16: plain::quantize_bf16,
    dequantize_f16: plain::dequantize_f16,
    dequantize_bf16: plain::dequantize_bf16,
    nibbles_to_f16: plain::nibbles_to_f16,
    nibbles_to_bf16: plain::nibbles_to_bf16,
};

fn check(items: usize, group: usize, groups: usize) {
    assert!(group > 0, "items of a group");
    assert_eq!(groups, items.div_ceil(group), "groups of {items} items");
}

macro_rules! quantize {
    ($name:ident, $dtype:literal) => {
        #[doc = concat!("The codes of ", $dtype, " in groups of one float16 scale (its bits) each: `x / scale`, rounded")]
        /// to an integer (ties to even), at least `-most` and at most `most`, two's complement. NaN counts as 0.
        ///
        /// # Panics
        /// `group` is 0, there is not one scale per group, `codes` has another length, or `most` is not in 0..=127.
        pub fn $name(&self, src: &[u16], group: usize, scale: &[u16], most: f32, codes: &mut [u8]) {
            check(src.len(), group, scale.len());
            assert_eq!(codes.len(), src.len(), "codes");
            assert!((0.0..=127.0).contains(&most), "codes up to {most}");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.quantize_f16.$name)(src, group, scale, most, codes) }
        }
    };
}

macro_rules! dequantize {
    ($name:ident, $nibbles:ident, $dtype:literal) => {
        #[doc = concat!("`code * scale` of signed codes in groups of one scale each, as ", $dtype, " within its finite")]
        /// values; NaN becomes 0.
        ///
        /// # Panics
        /// `group` is 0, there is not one scale per group, or `out` has another length than `codes`.
        pub fn $name(&self, codes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            check(out.len(), group, scale.len());
            assert_eq!(codes.len(), out.len(), "codes");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.quantize_f16.$name)(codes, group, scale, out) }
        }

        /// The same of two codes per byte, the first one low.
        ///
        /// # Panics
        /// As before; several groups of an odd number of items; `bytes` is not `ceil(out.len() / 2)` long.
        pub fn $nibbles(&self, bytes: &[u8], group: usize, scale: &[f32], out: &mut [u16]) {
            check(out.len(), group, scale.len());
            assert!(scale.len() <= 1 || group.is_multiple_of(2), "groups start with a byte");
            assert_eq!(bytes.len(), out.len().div_ceil(2), "bytes of codes");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.quantize_f16.$nibbles)(bytes, group, scale, out) }
        }
    };
}

impl Kernels {
    /// The largest of the lower 15 bits, the magnitude of float16 and bfloat16, of every group.
    ///
    /// # Panics
    /// `group` is 0, or `out` has not one item per group.
    pub fn magnitudes_u16(&self, src: &[u16], group: usize, out: &mut [u16]) {
        check(src.len(), group, out.len());
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.quantize_f16.magnitudes_u16)(src, group, out) }
    }

    quantize!(quantize_f16, "float16");
    quantize!(quantize_bf16, "bfloat16");
    dequantize!(dequantize_f16, nibbles_to_f16, "float16");
    dequantize!(dequantize_bf16, nibbles_to_bf16, "bfloat16");
}
