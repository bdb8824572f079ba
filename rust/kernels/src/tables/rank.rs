//! The part of the table that ranks masks by counting: for instruction sets that do it for many masks at once.

use crate::args::rank::{RankTable, Table};
use crate::scalar;
use crate::tables::kernels::Kernels;

pub(crate) const SCALAR: Table =
    Table { complete_words: scalar::rank32::complete_words, rank_words: None, rank_codes: None };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table =
    Table { complete_words: crate::x86_64::avx2::rank32::complete_words, rank_words: None, rank_codes: None };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table = Table {
    complete_words: crate::x86_64::avx512::rank32::complete_words,
    rank_words: Some((crate::x86_64::avx512::rank32::rank_words, crate::x86_64::avx512::rank32::unrank_words)),
    rank_codes: Some((crate::x86_64::avx512::rank16::rank_codes, crate::x86_64::avx512::rank16::unrank_codes)),
};

impl Kernels {
    /// Adds the lowest free places among the last `n` of `m` to each mask until it has n bits. Tells whether one has
    /// more; that one stays as it is.
    ///
    /// # Panics
    /// Not `1 <= n <= m <= 32`.
    #[must_use]
    pub fn complete_words(&self, masks: &mut [u32], (n, m): (usize, usize)) -> bool {
        assert!((1..=m).contains(&n) && m <= 32, "{n} of {m}");
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { (self.rank.complete_words)(masks, n, m) }
    }

    /// Writes the rank of each of `masks`, which have n bits below m, among all such masks in ascending order. Other
    /// masks have unspecified ranks. Returns false, and writes nothing, where look-ups one by one are as fast, m is up
    /// to 16, or n is 32.
    ///
    /// # Panics
    /// `codes` is not as long as `masks`.
    #[must_use]
    pub fn rank_words(&self, masks: &[u32], table: &RankTable, codes: &mut [u32]) -> bool {
        assert_eq!(codes.len(), masks.len(), "ranks");
        let Some((rank, _)) = self.rank.rank_words.filter(|_| table.n < 32 && table.m > 16) else { return false };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { rank(masks, table, codes) };
        true
    }

    /// The inverse of [`Kernels::rank_words`]. What is no rank, because it is not below `C(m, n)`, becomes 0.
    ///
    /// # Panics
    /// `masks` is not as long as `codes`.
    #[must_use]
    pub fn unrank_words(&self, codes: &[u32], table: &RankTable, masks: &mut [u32]) -> bool {
        assert_eq!(codes.len(), masks.len(), "masks");
        let Some((_, unrank)) = self.rank.rank_words.filter(|_| table.n < 32 && table.m > 16) else { return false };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { unrank(codes, table, masks) };
        true
    }

    /// Like [`Kernels::rank_words`] for m up to 16; writes the ranks one behind the other, LSB first, and zeros behind
    /// the last one. Returns false, and writes nothing, where look-ups are as fast, m is above 16, or ranks have no
    /// bits.
    ///
    /// # Panics
    /// `codes` does not hold as many ranks as there are `masks`.
    #[must_use]
    pub fn rank_codes(&self, masks: &[u32], table: &RankTable, codes: &mut [u8]) -> bool {
        assert_eq!(codes.len(), (masks.len() * table.width).div_ceil(8), "bytes of ranks");
        let Some((rank, _)) = self.rank.rank_codes.filter(|_| table.m <= 16 && table.width > 0) else { return false };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { rank(masks, table, codes) };
        true
    }

    /// The inverse of [`Kernels::rank_codes`]. What is no rank, because it is not below `C(m, n)`, becomes 0.
    ///
    /// # Panics
    /// `codes` does not hold as many ranks as there are `masks`.
    #[must_use]
    pub fn unrank_codes(&self, codes: &[u8], table: &RankTable, masks: &mut [u32]) -> bool {
        assert_eq!(codes.len(), (masks.len() * table.width).div_ceil(8), "bytes of ranks");
        let Some((_, unrank)) = self.rank.rank_codes.filter(|_| table.m <= 16 && table.width > 0) else {
            return false;
        };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { unrank(codes, table, masks) };
        true
    }
}
