//! The part of the table that finds the entries of small codebooks for 16-bit items.

use crate::args::nearest_centroid::{Entries, Keys, Table};
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table = Table { nearest: scalar::nearest_centroid::nearest, searched: false };

impl Kernels {
    /// Whether [`nearest_centroid_u16`](Self::nearest_centroid_u16) takes a few steps for any number of limits, and not one for each.
    #[must_use]
    pub fn nearest_centroid_is_searched(&self) -> bool {
        self.nearest_centroid.searched
    }

    /// Writes the code of the entry of every item. Tells whether one is not finite.
    ///
    /// # Panics
    /// `codes` has another length than `src`.
    #[must_use]
    pub fn nearest_centroid_u16(&self, src: &[u16], keys: Keys, entries: &Entries, codes: &mut [u8]) -> bool {
        assert_eq!(codes.len(), src.len(), "codes");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.nearest_centroid.nearest)(src, keys, entries, codes) }
    }
}
