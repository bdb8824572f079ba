//! The part of the table that multiplies 2:4 with one column, two rows at a time.

use crate::Kernels;

/// A row of 2:4: what stands in these slices behind its end, counted by the columns of `x`, is there to be loaded only.
#[derive(Clone, Copy, Debug)]
pub struct Nm24Row<'a, T> {
    /// 3 bits for each group.
    pub codes: &'a [u8],
    /// 2 values for each group; two nibbles to a byte.
    pub values: &'a [T],
    /// Of codes, the scale of every 64 columns.
    pub scale: &'a [f32],
}

pub(crate) type Nm24Dot<T, X> = unsafe fn(&[Nm24Row<'_, T>; 2], &[X]) -> Option<[f32; 2]>;

/// Functions for rows of 2:4.
#[derive(Clone, Copy)]
pub(crate) struct Nm24GemvTable {
    pub(crate) nm24_dot_f32: Nm24Dot<f32, f32>,
    pub(crate) nm24_dot_f16: Nm24Dot<u16, f32>,
    pub(crate) nm24_dot_bf16: Nm24Dot<u16, f32>,
    /// int8 and int4.
    pub(crate) codes: [Nm24Dot<u8, f32>; 2],
    pub(crate) integers: [Nm24Dot<u8, u8>; 2],
}

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
