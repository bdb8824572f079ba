//! The part of the table that multiplies 2:4 with one column, two rows at a time.

use crate::args::nm24_gemv::Nm24Row;
use crate::tables::kernels::Kernels;

macro_rules! fours {
    ($name:ident, $t:ty) => {
        /// The products of two rows of 2:4 with `x`. None where nothing beats bits for that, or where a code names no
        /// pair.
        #[must_use]
        pub fn $name(&self, rows: &[Nm24Row<'_, $t>; 2], x: &[f32]) -> Option<[f32; 2]> {
            // SAFETY: `for_isa` hands out a table only when the CPU has its features.
            self.product.fours.and_then(|fours| unsafe { (fours.$name)(rows, x) })
        }
    };
}

impl Kernels {
    fours!(nm24_dot_f32, f32);
    fours!(nm24_dot_f16, u16);
    fours!(nm24_dot_bf16, u16);

    /// The same for signed codes of `width` bits, 8 or 4, each row with its scales; columns without one count nothing.
    #[must_use]
    pub fn nm24_dot_codes(&self, rows: &[Nm24Row<'_, u8>; 2], width: usize, x: &[f32]) -> Option<[f32; 2]> {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        self.product.fours.and_then(|fours| unsafe { (fours.codes[usize::from(width == 4)])(rows, x) })
    }

    /// The same in integers: `x` is `x - 128` in bytes; sums of 4 products are exact.
    #[must_use]
    pub fn nm24_dot_integers(&self, rows: &[Nm24Row<'_, u8>; 2], width: usize, x: &[u8]) -> Option<[f32; 2]> {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        self.product.fours.and_then(|fours| unsafe { (fours.integers[usize::from(width == 4)])(rows, x) })
    }
}
