//! The part of the table that ranks masks by counting: for instruction sets that do it for many masks at once.

use crate::{Kernels, scalar};

/// Binomials for groups of m with n bits: `C(p, k)` for the places p below m and k below 32.
#[derive(Clone, Debug)]
pub struct RankTable {
    pub(crate) n: usize,
    pub(crate) m: usize,
    pub(crate) count: u32,
    /// For m up to 16.
    pub(crate) short: Vec<[u16; 32]>,
    pub(crate) long: Vec<[u32; 32]>,
}

impl RankTable {
    /// The table for n of m.
    ///
    /// # Panics
    /// Not `1 <= n <= m <= 32`.
    #[must_use]
    pub fn new(n: usize, m: usize) -> Self {
        assert!((1..=m).contains(&n) && m <= 32, "{n} of {m}");
        let mut rows = vec![[0u64; 33]; m + 1];
        for p in 0..=m {
            rows[p][0] = 1;
            for k in 1..=p.min(32) {
                rows[p][k] = rows[p - 1][k - 1] + rows[p - 1][k];
            }
        }
        let count = rows[m][n] as u32;
        let short = rows[..m.min(16)].iter().map(|row| std::array::from_fn(|k| row[k] as u16)).collect();
        let long = rows[..m].iter().map(|row| std::array::from_fn(|k| row[k] as u32)).collect();
        Self { n, m, count, short, long }
    }
}

type Complete = unsafe fn(&mut [u32], usize, usize) -> bool;
type Words = unsafe fn(&[u32], &RankTable, &mut [u32]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Ranks {
    complete_words: Complete,
    /// Ranking and its inverse, where they beat look-ups.
    rank_words: Option<(Words, Words)>,
}

pub(crate) const SCALAR: Ranks = Ranks { complete_words: scalar::ranks::complete_words, rank_words: None };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Ranks = Ranks { complete_words: crate::x86_64::avx2::ranks::complete_words, rank_words: None };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Ranks = Ranks {
    complete_words: crate::x86_64::avx512::ranks::complete_words,
    rank_words: Some((crate::x86_64::avx512::ranks::rank_words, crate::x86_64::avx512::ranks::unrank_words)),
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
        unsafe { (self.ranks.complete_words)(masks, n, m) }
    }

    /// Writes the rank of each of `masks`, which have n bits below m, among all such masks in ascending order. Other
    /// masks give ranks of no use. Gives false, and writes nothing, where look-ups one by one are as fast, or n is 32.
    ///
    /// # Panics
    /// `codes` is not as long as `masks`.
    #[must_use]
    pub fn rank_words(&self, masks: &[u32], table: &RankTable, codes: &mut [u32]) -> bool {
        assert_eq!(codes.len(), masks.len(), "ranks");
        let Some((rank, _)) = self.ranks.rank_words.filter(|_| table.n < 32) else { return false };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { rank(masks, table, codes) };
        true
    }

    /// The inverse of [`Kernels::rank_words`]. What is no rank, because it is not below `C(m, n)`, gives 0.
    ///
    /// # Panics
    /// `masks` is not as long as `codes`.
    #[must_use]
    pub fn unrank_words(&self, codes: &[u32], table: &RankTable, masks: &mut [u32]) -> bool {
        assert_eq!(codes.len(), masks.len(), "masks");
        let Some((_, unrank)) = self.ranks.rank_words.filter(|_| table.n < 32) else { return false };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { unrank(codes, table, masks) };
        true
    }
}
