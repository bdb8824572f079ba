//! The part of the table that multiplies 2:4 of bfloat16 by bfloat16, a pair of values and a pair of rows at once.

use crate::{Kernels, scalar::nm24_bf16 as plain};

/// Groups of 2:4 of a row that a call of [`Kernels::nm24_bf16_add`] works on.
pub const NM24_BF16_GROUPS: usize = 16;

/// 64 columns of a block of bfloat16: for each group of 4 rows its 6 pairs of rows, in the order of the codes of 2:4, one
/// row of a pair in the lower half of each item. As many as a byte can name; the first `6 * NM24_BF16_GROUPS` are in use.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Pairs(pub [[u32; 64]; 256]);

impl Pairs {
    /// All zeros.
    pub const ZERO: Self = Self([[0; 64]; 256]);
}

/// Rows of [`NM24_BF16_GROUPS`] groups of 2:4.
#[derive(Clone, Copy, Debug)]
pub struct Nm24Bf16Rows<'a> {
    /// Codes in the first 6 of 8 bytes; those of the next row are `strides.0` bytes behind.
    pub codes: &'a [u8],
    /// Two values for each group; those of the next row are `strides.1` items behind.
    pub values: &'a [u16],
    /// From one row to the next.
    pub strides: (usize, usize),
    /// How many rows.
    pub rows: usize,
    /// Codes and values, with the same strides, that are going to be worked on later.
    pub to_come: (&'a [u8], &'a [u16]),
}

impl Nm24Bf16Rows<'_> {
    /// Whether `last + len` items are there, for the last of the rows.
    fn fits(&self, items: usize, stride: usize, len: usize) -> bool {
        let last = self.rows.checked_sub(1).map(|last| last.checked_mul(stride).and_then(|at| at.checked_add(len)));
        last.is_none_or(|end| end.is_some_and(|end| end <= items))
    }
}

pub(crate) type Pack = unsafe fn(&[[u16; 64]; 4 * NM24_BF16_GROUPS], &mut Pairs);
pub(crate) type Add = unsafe fn(&Nm24Bf16Rows<'_>, &Pairs, &mut [f32], (usize, usize), bool);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Nm24Bf16Table {
    pub(crate) pack: Pack,
    pub(crate) add: Add,
    pub(crate) are_finite: unsafe fn(&[u16]) -> bool,
}

pub(crate) const SCALAR: Nm24Bf16Table =
    Nm24Bf16Table { pack: plain::pack, add: plain::add, are_finite: plain::are_finite };

impl Kernels {
    /// Whether [`Kernels::nm24_bf16_add`] multiplies two pairs at once.
    #[must_use]
    pub fn nm24_bf16_is_fast(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            self.isa() >= crate::Isa::Avx512 && is_x86_feature_detected!("avx512bf16")
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// The table for products of pairs.
    fn pairs(&self) -> Nm24Bf16Table {
        #[cfg(target_arch = "x86_64")]
        if self.nm24_bf16_is_fast() {
            return crate::x86_64::avx512::nm24_bf16::TABLE;
        }
        self.product.pairs
    }

    /// Brings together the pairs of rows.
    pub fn nm24_bf16_pack(&self, rows: &[[u16; 64]; 4 * NM24_BF16_GROUPS], pairs: &mut Pairs) {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.pairs().pack)(rows, pairs) }
    }

    /// Adds the products of the rows with `x` to as many rows of `sums`, which start `stride` items apart and of which
    /// the first `width` are written; `first` tells that these hold nothing yet. A code that names no pair takes some
    /// other row. Where it is fast, subnormal numbers count as zeros.
    ///
    /// # Panics
    /// Rows stick out of their arrays; `width` is not 1 to 64.
    pub fn nm24_bf16_add(
        &self,
        w: &Nm24Bf16Rows<'_>,
        x: &Pairs,
        sums: &mut [f32],
        (stride, width): (usize, usize),
        first: bool,
    ) {
        assert!((1..=64).contains(&width) && w.fits(sums.len(), stride, width), "rows of sums");
        assert!(w.fits(w.codes.len(), w.strides.0, 8), "rows of codes");
        assert!(w.fits(w.values.len(), w.strides.1, 2 * NM24_BF16_GROUPS), "rows of values");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.pairs().add)(w, x, sums, (stride, width), first) }
    }

    /// Whether no item of bfloat16 is NaN or infinite.
    #[must_use]
    pub fn bf16_all_finite(&self, items: &[u16]) -> bool {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.pairs().are_finite)(items) }
    }
}
