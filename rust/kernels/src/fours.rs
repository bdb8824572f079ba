//! The part of the table that multiplies 2:4 with one column, two rows at a time.

use crate::Kernels;

/// A row of 2:4: what stands in these slices behind its end, counted by the columns of `x`, is there to be loaded only.
#[derive(Clone, Copy, Debug)]
pub struct FourRow<'a, T> {
    /// 3 bits for each group.
    pub codes: &'a [u8],
    /// 2 values for each group; two nibbles to a byte.
    pub values: &'a [T],
    /// Of codes, the scale of every 64 columns.
    pub scale: &'a [f32],
}

pub(crate) type DotFours<T, X> = unsafe fn(&[FourRow<'_, T>; 2], &[X]) -> Option<[f32; 2]>;

/// Functions for rows of 2:4.
#[derive(Clone, Copy)]
pub(crate) struct Fours {
    pub(crate) fours_f32: DotFours<f32, f32>,
    pub(crate) fours_f16: DotFours<u16, f32>,
    pub(crate) fours_bf16: DotFours<u16, f32>,
    /// int8 and int4.
    pub(crate) codes: [DotFours<u8, f32>; 2],
    pub(crate) integers: [DotFours<u8, u8>; 2],
}

macro_rules! fours {
    ($name:ident, $t:ty) => {
        /// The products of two rows of 2:4 with `x`. None where nothing beats bits for that, or where a code names no
        /// pair.
        #[must_use]
        pub fn $name(&self, rows: &[FourRow<'_, $t>; 2], x: &[f32]) -> Option<[f32; 2]> {
            // SAFETY: `for_isa` hands out a table only when the CPU has its features.
            self.product.fours.and_then(|fours| unsafe { (fours.$name)(rows, x) })
        }
    };
}

impl Kernels {
    fours!(fours_f32, f32);
    fours!(fours_f16, u16);
    fours!(fours_bf16, u16);

    /// The same for signed codes of `width` bits, 8 or 4, each row with its scales; columns without one count nothing.
    #[must_use]
    pub fn fours_codes(&self, rows: &[FourRow<'_, u8>; 2], width: usize, x: &[f32]) -> Option<[f32; 2]> {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        self.product.fours.and_then(|fours| unsafe { (fours.codes[usize::from(width == 4)])(rows, x) })
    }

    /// The same in integers: `x` is `x - 128` in bytes; sums of 4 products are exact.
    #[must_use]
    pub fn fours_integers(&self, rows: &[FourRow<'_, u8>; 2], width: usize, x: &[u8]) -> Option<[f32; 2]> {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        self.product.fours.and_then(|fours| unsafe { (fours.integers[usize::from(width == 4)])(rows, x) })
    }
}
