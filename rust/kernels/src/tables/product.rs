//! The part of the table that multiplies: sums of products of stored values with the rows of a matrix of float32.

use crate::args::product::{Chunk, Table};
use crate::args::strided::Strided;
use crate::scalar::{self, product as plain};
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table {
    dot_f32: plain::dot_f32::<false>,
    dot_f16: None,
    dot_bf16: None,
    dot_codes: None,
    dot_integers: [plain::dot_integers::<8>, plain::dot_integers::<4>],
    fours: None,
    dots_4: plain::dots::<4, false>,
    dots_8: plain::dots::<8, false>,
    dots_16: plain::dots::<16, false>,
    pairs: crate::tables::nm24_bf16::SCALAR,
    csr_dot_i32: scalar::csr::dot::<i32, false>,
    csr_dot_i64: scalar::csr::dot::<i64, false>,
    csr_row_i32: plain::csr_row::<i32, false>,
    csr_row_i64: plain::csr_row::<i64, false>,
    csr_spmm_i32: scalar::csr::csr_spmm_table(),
    csr_spmm_i64: scalar::csr::csr_spmm_table(),
    bsr_spmm_row: crate::tables::bsr_spmm::SCALAR,
    all_finite: plain::all_finite,
};

macro_rules! dots {
    ($name:ident, $j:literal) => {
        /// Adds to each of `sums` the products of `values`, one for each set bit, with a column of `x` at these bits.
        /// Bits without a value count nothing.
        ///
        /// # Panics
        /// There are not 2 bytes of bits for each chunk.
        pub fn $name(&self, values: &[f32], bits: &[u8], x: &[Chunk<$j>], sums: &mut [f32; $j]) {
            assert_eq!(bits.len(), 2 * x.len(), "bytes of bits");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.product.$name)(values, bits, x, sums) }
        }
    };
}

macro_rules! csr {
    ($dot:ident, $row:ident, $i:ty) => {
        /// The sum of `values[i] * x[indices[i]]`.
        ///
        /// # Errors
        /// The position of an index that is out of range.
        ///
        /// # Panics
        /// There are not as many values as indices.
        pub fn $dot(&self, indices: &[$i], values: &[f32], x: &[f32]) -> Result<f32, usize> {
            assert_eq!(values.len(), indices.len(), "values");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.product.$dot)(indices, values, x) }
        }

        /// Adds `values[i]` times row `indices[i]` of `x` to `sums`.
        ///
        /// # Errors
        /// The position of an index that is out of range; `sums` then hold anything.
        ///
        /// # Panics
        /// There are not as many values as indices, or as many sums as columns of `x`, or rows stick out.
        pub fn $row(&self, indices: &[$i], values: &[f32], x: &Strided<'_>, sums: &mut [f32]) -> Result<(), usize> {
            assert_eq!(values.len(), indices.len(), "values");
            assert!(x.is_inside() && sums.len() == x.width, "columns");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.product.$row)(indices, values, x, sums) }
        }
    };
}

impl Kernels {
    /// The sum of the products of `values` with the items of `x` whose bit (LSB first) is set, in order; and the number
    /// of set bits. Those behind the last item do not count, nor do those for which there is no value.
    ///
    /// # Panics
    /// `bits` is not `ceil(x.len() / 8)` long.
    #[must_use]
    pub fn dot_f32(&self, values: &[f32], bits: &[u8], x: &[f32]) -> (f32, usize) {
        assert_eq!(bits.len(), x.len().div_ceil(8), "bytes of bits");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.product.dot_f32)(values, bits, x) }
    }

    /// The same for float16; none where it is as fast to widen them first.
    ///
    /// # Panics
    /// As [`Kernels::dot_f32`].
    #[must_use]
    pub fn dot_f16(&self, values: &[u16], bits: &[u8], x: &[f32]) -> Option<(f32, usize)> {
        assert_eq!(bits.len(), x.len().div_ceil(8), "bytes of bits");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        self.product.dot_f16.map(|dot| unsafe { dot(values, bits, x) })
    }

    /// The same for bfloat16.
    ///
    /// # Panics
    /// As [`Kernels::dot_f32`].
    #[must_use]
    pub fn dot_bf16(&self, values: &[u16], bits: &[u8], x: &[f32]) -> Option<(f32, usize)> {
        assert_eq!(bits.len(), x.len().div_ceil(8), "bytes of bits");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        self.product.dot_bf16.map(|dot| unsafe { dot(values, bits, x) })
    }

    /// The same for signed codes of 8 or 4 bits in a stream, from code `start` on; the sum of every 64 columns is
    /// multiplied by its item of `scale`. None where it is as fast to decode them first.
    ///
    /// # Panics
    /// As [`Kernels::dot_f32`]; or `width` is neither 8 nor 4, or there is not a scale for each 64 columns.
    #[must_use]
    pub fn dot_codes(
        &self,
        (stream, width, start): (&[u8], usize, usize),
        bits: &[u8],
        x: &[f32],
        scale: &[f32],
    ) -> Option<(f32, usize)> {
        assert_eq!(bits.len(), x.len().div_ceil(8), "bytes of bits");
        assert!(width == 8 || width == 4, "codes of {width} bits");
        assert_eq!(scale.len(), x.len().div_ceil(64), "scales");
        let dot = self.product.dot_codes?[usize::from(width == 4)];
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        Some(unsafe { dot(stream, start, bits, x, scale) })
    }

    /// Like [`Kernels::dot_codes`], in integers: `x` is `x - 128` in bytes; sums of 64 columns are exact.
    ///
    /// # Panics
    /// As [`Kernels::dot_codes`].
    #[must_use]
    pub fn dot_integers(
        &self,
        (stream, width, start): (&[u8], usize, usize),
        bits: &[u8],
        x: &[u8],
        scale: &[f32],
    ) -> (f32, usize) {
        assert_eq!(bits.len(), x.len().div_ceil(8), "bytes of bits");
        assert!(width == 8 || width == 4, "codes of {width} bits");
        assert_eq!(scale.len(), x.len().div_ceil(64), "scales");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.product.dot_integers[usize::from(width == 4)])(stream, start, bits, x, scale) }
    }

    dots!(dots_4, 4);
    dots!(dots_8, 8);
    dots!(dots_16, 16);
    csr!(csr_dot_i32, csr_row_i32, i32);
    csr!(csr_dot_i64, csr_row_i64, i64);

    /// Whether no item is NaN or infinite.
    #[must_use]
    pub fn all_finite(&self, items: &[f32]) -> bool {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.product.all_finite)(items) }
    }
}
