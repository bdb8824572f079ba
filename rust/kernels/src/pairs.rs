//! The part of the table that multiplies 2:4 of bfloat16 by bfloat16, a pair of values and a pair of rows at once.

use crate::{Kernels, scalar::pairs as plain};

/// Groups of 2:4 of a row that a call of [`Kernels::add_pairs`] works on.
pub const PAIRED: usize = 16;

/// 64 columns of a block of bfloat16: for each group of 4 rows its 6 pairs of rows, in the order of the codes of 2:4, one
/// row of a pair in the lower half of each item. As many as a byte can name; the first `6 * PAIRED` are in use.
#[derive(Clone, Debug)]
#[repr(align(64))]
pub struct Pairs(pub [[u32; 64]; 256]);

impl Pairs {
    /// All zeros.
    pub const ZERO: Self = Self([[0; 64]; 256]);
}

/// Rows of [`PAIRED`] groups of 2:4.
#[derive(Clone, Copy, Debug)]
pub struct PairRows<'a> {
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

impl PairRows<'_> {
    /// Whether `last + len` items are there, for the last of the rows.
    fn fits(&self, items: usize, stride: usize, len: usize) -> bool {
        let last = self.rows.checked_sub(1).map(|last| last.checked_mul(stride).and_then(|at| at.checked_add(len)));
        last.is_none_or(|end| end.is_some_and(|end| end <= items))
    }
}

pub(crate) type Pack = unsafe fn(&[[u16; 64]; 4 * PAIRED], &mut Pairs);
pub(crate) type Add = unsafe fn(&PairRows<'_>, &Pairs, &mut [f32], (usize, usize), bool);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct PairTable {
    pub(crate) pack: Pack,
    pub(crate) add: Add,
    pub(crate) are_finite: unsafe fn(&[u16]) -> bool,
}

pub(crate) const SCALAR: PairTable = PairTable { pack: plain::pack, add: plain::add, are_finite: plain::are_finite };

impl Kernels {
    /// Whether [`Kernels::add_pairs`] multiplies two pairs at once.
    #[must_use]
    pub fn pairs_are_fast(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            self.isa() >= crate::Isa::Avx512 && is_x86_feature_detected!("avx512bf16")
        }
        #[cfg(not(target_arch = "x86_64"))]
        false
    }

    /// The table for products of pairs.
    fn pairs(&self) -> PairTable {
        #[cfg(target_arch = "x86_64")]
        if self.pairs_are_fast() {
            return crate::x86_64::avx512::pairs::TABLE;
        }
        self.product.pairs
    }

    /// Brings together the pairs of rows.
    pub fn pack_pairs(&self, rows: &[[u16; 64]; 4 * PAIRED], pairs: &mut Pairs) {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.pairs().pack)(rows, pairs) }
    }

    /// Adds the products of the rows with `x` to as many rows of `sums`, which start `stride` items apart and of which
    /// the first `width` are written; `first` tells that these hold nothing yet. A code that names no pair takes some
    /// other row. Where it is fast, subnormal numbers count as zeros.
    ///
    /// # Panics
    /// Rows stick out of their arrays; `width` is not 1 to 64.
    pub fn add_pairs(
        &self,
        w: &PairRows<'_>,
        x: &Pairs,
        sums: &mut [f32],
        (stride, width): (usize, usize),
        first: bool,
    ) {
        assert!((1..=64).contains(&width) && w.fits(sums.len(), stride, width), "rows of sums");
        assert!(w.fits(w.codes.len(), w.strides.0, 8), "rows of codes");
        assert!(w.fits(w.values.len(), w.strides.1, 2 * PAIRED), "rows of values");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.pairs().add)(w, x, sums, (stride, width), first) }
    }

    /// Whether no item of bfloat16 is NaN or infinite.
    #[must_use]
    pub fn brains_are_finite(&self, items: &[u16]) -> bool {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.pairs().are_finite)(items) }
    }
}
