//! The part of the table that multiplies compressed rows, where there are many slots for each item of the right factor.

use crate::args::csr_spmm::CsrRow;
use crate::tables::kernels::Kernels;

macro_rules! wide {
    ($name:ident, $table:ident, $wide:ident, $i:ty, $w:literal) => {
        /// Sums of `values[i]` times `x[indices[i]]`, and of what `sums` hold if there are `more`.
        ///
        /// # Errors
        /// The position of an index that is out of range; `sums` then hold anything.
        ///
        /// # Panics
        /// There are not as many values as indices.
        pub fn $name(
            &self,
            (indices, values): CsrRow<'_, $i>,
            x: &[[f32; $w]],
            sums: &mut [f32; $w],
            more: bool,
        ) -> Result<(), usize> {
            assert_eq!(values.len(), indices.len(), "values");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.product.$table.$wide)(indices, values, x, sums, more) }
        }
    };
}

impl Kernels {
    wide!(csr_spmm_8_i32, csr_spmm_i32, wide_8, i32, 8);
    wide!(csr_spmm_16_i32, csr_spmm_i32, wide_16, i32, 16);
    wide!(csr_spmm_32_i32, csr_spmm_i32, wide_32, i32, 32);
    wide!(csr_spmm_8_i64, csr_spmm_i64, wide_8, i64, 8);
    wide!(csr_spmm_16_i64, csr_spmm_i64, wide_16, i64, 16);
    wide!(csr_spmm_32_i64, csr_spmm_i64, wide_32, i64, 32);
}
