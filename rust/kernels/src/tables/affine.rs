//! The part of the table for affine codes, with its length assertions.

use crate::args::affine::Table;
use crate::scalar::affine as plain;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table {
    extremes: plain::extremes,
    quantize: plain::quantize,
    dequantize: plain::dequantize,
    widen_f16: plain::widen_f16,
    narrow_f16: plain::narrow_f16,
    widen_bf16: plain::widen_bf16,
    narrow_bf16: plain::narrow_bf16,
    pack_nibbles: plain::pack_nibbles,
    unpack_nibbles: plain::unpack_nibbles,
};

fn check_groups(len: usize, group: usize, low: usize, high: usize) {
    assert!(group > 0, "columns of a group");
    assert!(low == len.div_ceil(group) && high == low, "{low} and {high} groups for {len} items");
}

macro_rules! moves {
    ($(#[$doc:meta])* $name:ident, $src:ty, $dst:ty) => {
        $(#[$doc])*
        ///
        /// # Panics
        /// Lengths differ.
        pub fn $name(&self, src: &[$src], dst: &mut [$dst]) {
            assert_eq!(dst.len(), src.len(), "items");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.affine.$name)(src, dst) }
        }
    };
}

impl Kernels {
    /// The least and the largest item, and 0, of every `group` items of `x` (the last group may be short) into `low`
    /// and `high`. Zeros are +0; a group that holds NaN gives NaN for both.
    ///
    /// # Panics
    /// `group` is 0, or `low` or `high` has not one item per group.
    pub fn extremes_f32(&self, x: &[f32], group: usize, low: &mut [f32], high: &mut [f32]) {
        check_groups(x.len(), group, low.len(), high.len());
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.affine.extremes)(x, group, low, high) }
    }

    /// The same in float64, portable.
    ///
    /// # Panics
    /// As [`Kernels::extremes_f32`].
    pub fn extremes_f64(&self, x: &[f64], group: usize, low: &mut [f64], high: &mut [f64]) {
        check_groups(x.len(), group, low.len(), high.len());
        plain::extremes(x, group, low, high);
    }

    /// `x / scale`, rounded to an integer (ties to even), at least `low` and at most `low + span`, modulo 256. NaN
    /// counts as 0. Bounds beyond 2^20 give any code.
    ///
    /// # Panics
    /// Lengths differ.
    pub fn quantize_f32(&self, x: &[f32], scale: &[f32], low: &[f32], span: f32, codes: &mut [u8]) {
        assert!([x, scale, low].iter().all(|a| a.len() == codes.len()), "items");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.affine.quantize)(x, scale, low, span, codes) }
    }

    /// The same in float64, portable.
    ///
    /// # Panics
    /// As [`Kernels::quantize_f32`].
    pub fn quantize_f64(&self, x: &[f64], scale: &[f64], low: &[f64], span: f64, codes: &mut [u8]) {
        assert!([x, scale, low].iter().all(|a| a.len() == codes.len()), "items");
        plain::quantize(x, scale, low, span, codes);
    }

    /// `((code + zero_point) mod 256 - zero_point) * scale` within `limits`; NaN becomes 0.
    ///
    /// # Panics
    /// Lengths differ.
    pub fn dequantize_f32(&self, codes: &[u8], zero_point: &[u8], scale: &[f32], limits: (f32, f32), out: &mut [f32]) {
        assert!([codes.len(), zero_point.len(), scale.len()].iter().all(|&len| len == out.len()), "items");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.affine.dequantize)(codes, zero_point, scale, limits, out) }
    }

    /// The same in float64, portable.
    ///
    /// # Panics
    /// As [`Kernels::dequantize_f32`].
    pub fn dequantize_f64(&self, codes: &[u8], zero_point: &[u8], scale: &[f64], limits: (f64, f64), out: &mut [f64]) {
        assert!([codes.len(), zero_point.len(), scale.len()].iter().all(|&len| len == out.len()), "items");
        plain::dequantize(codes, zero_point, scale, limits, out);
    }

    moves!(
        /// The bits of float16 as float32; a NaN stays one, with other bits perhaps.
        widen_f16, u16, f32
    );
    moves!(
        /// float32 rounded to float16 (ties to even), as bits; a NaN stays one, with other bits perhaps.
        narrow_f16, f32, u16
    );
    moves!(
        /// The bits of bfloat16 as float32.
        widen_bf16, u16, f32
    );
    moves!(
        /// float32 rounded to bfloat16 (ties to even), as bits; NaN becomes 0x7FC0.
        narrow_bf16, f32, u16
    );

    /// The low four bits of two codes per byte, the first one low; an odd last code is completed by zeros.
    ///
    /// # Panics
    /// `bytes` is not `ceil(codes.len() / 2)` long.
    pub fn pack_nibbles(&self, codes: &[u8], bytes: &mut [u8]) {
        assert_eq!(bytes.len(), codes.len().div_ceil(2), "bytes of nibbles");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.affine.pack_nibbles)(codes, bytes) }
    }

    /// The inverse of [`Kernels::pack_nibbles`]; nibbles are two's complement.
    ///
    /// # Panics
    /// As [`Kernels::pack_nibbles`].
    pub fn unpack_nibbles(&self, bytes: &[u8], codes: &mut [u8]) {
        assert_eq!(bytes.len(), codes.len().div_ceil(2), "bytes of nibbles");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.affine.unpack_nibbles)(bytes, codes) }
    }
}
