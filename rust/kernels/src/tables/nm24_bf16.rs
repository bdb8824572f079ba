//! The part of the table that multiplies 2:4 of bfloat16 by bfloat16, a pair of values and a pair of rows at once.

use crate::args::nm24_bf16::{NM24_BF16_GROUPS, Nm24Bf16Rows, Nm24Bf16Table, Pairs};
use crate::scalar::nm24_bf16 as plain;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Nm24Bf16Table =
    Nm24Bf16Table { pack: plain::pack, add: plain::add, are_finite: plain::are_finite };

impl Kernels {
    /// Whether [`Kernels::nm24_bf16_add`] multiplies two pairs at once.
    #[must_use]
    pub fn nm24_bf16_is_fast(&self) -> bool {
        #[cfg(target_arch = "x86_64")]
        {
            self.isa() >= crate::tables::isa::Isa::Avx512 && is_x86_feature_detected!("avx512bf16")
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
