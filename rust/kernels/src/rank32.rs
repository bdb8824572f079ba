//! The part of the table that ranks masks by counting: for instruction sets that do it for many masks at once.

use crate::{Kernels, scalar};

/// Binomials for groups of m with n bits: `C(p, k)` for the places p below m and k below 32.
#[derive(Clone, Debug)]
pub struct RankTable {
    pub(crate) n: usize,
    pub(crate) m: usize,
    pub(crate) count: u32,
    /// Bits of a code.
    pub(crate) width: usize,
    /// For each byte of codes that stand one behind the other: its place where each 16 bytes hold 8 of up to 14 bits.
    pub(crate) joined: [u8; 64],
    /// For each byte of 32 such codes in 2 bytes each: where the 8 bytes that 4 of them are cut from have their like, and
    /// the bit that it starts at in those.
    pub(crate) cut: ([u8; 64], [u8; 64]),
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
        let width = (u32::BITS - (count - 1).leading_zeros()) as usize;
        let joined = std::array::from_fn(|i| i.checked_div(width).map_or(0, |lane| (16 * lane + i % width) as u8 % 64));
        let first = |i: usize| i / 8 * 4 * width;
        let bytes = std::array::from_fn(|i| (first(i) / 8 + i % 8) as u8 % 64);
        let shifts = std::array::from_fn(|i| (first(i) % 8 + i % 8 / 2 * width + i % 2 * 8) as u8 % 64);
        Self { n, m, count, width, joined, cut: (bytes, shifts), short, long }
    }
}

type Complete = unsafe fn(&mut [u32], usize, usize) -> bool;
type Words = unsafe fn(&[u32], &RankTable, &mut [u32]);
type Join = unsafe fn(&[u32], &RankTable, &mut [u8]);
type Cut = unsafe fn(&[u8], &RankTable, &mut [u32]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Ranks {
    complete_words: Complete,
    /// Ranking and its inverse, where they beat look-ups: of masks of more than 16 bits, of others.
    rank_words: Option<(Words, Words)>,
    rank_codes: Option<(Join, Cut)>,
}

pub(crate) const SCALAR: Ranks =
    Ranks { complete_words: scalar::rank32::complete_words, rank_words: None, rank_codes: None };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Ranks =
    Ranks { complete_words: crate::x86_64::avx2::rank32::complete_words, rank_words: None, rank_codes: None };

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Ranks = Ranks {
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
        unsafe { (self.ranks.complete_words)(masks, n, m) }
    }

    /// Writes the rank of each of `masks`, which have n bits below m, among all such masks in ascending order. Other
    /// masks give ranks of no use. Gives false, and writes nothing, where look-ups one by one are as fast, m is up to 16,
    /// or n is 32.
    ///
    /// # Panics
    /// `codes` is not as long as `masks`.
    #[must_use]
    pub fn rank_words(&self, masks: &[u32], table: &RankTable, codes: &mut [u32]) -> bool {
        assert_eq!(codes.len(), masks.len(), "ranks");
        let Some((rank, _)) = self.ranks.rank_words.filter(|_| table.n < 32 && table.m > 16) else { return false };
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
        let Some((_, unrank)) = self.ranks.rank_words.filter(|_| table.n < 32 && table.m > 16) else { return false };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { unrank(codes, table, masks) };
        true
    }

    /// Like [`Kernels::rank_words`] for m up to 16; writes the ranks one behind the other, LSB first, and zeros behind the
    /// last one. Gives false, and writes nothing, where look-ups are as fast, m is above 16, or ranks have no bits.
    ///
    /// # Panics
    /// `codes` does not hold as many ranks as there are `masks`.
    #[must_use]
    pub fn rank_codes(&self, masks: &[u32], table: &RankTable, codes: &mut [u8]) -> bool {
        assert_eq!(codes.len(), (masks.len() * table.width).div_ceil(8), "bytes of ranks");
        let Some((rank, _)) = self.ranks.rank_codes.filter(|_| table.m <= 16 && table.width > 0) else { return false };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { rank(masks, table, codes) };
        true
    }

    /// The inverse of [`Kernels::rank_codes`]. What is no rank, because it is not below `C(m, n)`, gives 0.
    ///
    /// # Panics
    /// `codes` does not hold as many ranks as there are `masks`.
    #[must_use]
    pub fn unrank_codes(&self, codes: &[u8], table: &RankTable, masks: &mut [u32]) -> bool {
        assert_eq!(codes.len(), (masks.len() * table.width).div_ceil(8), "bytes of ranks");
        let Some((_, unrank)) = self.ranks.rank_codes.filter(|_| table.m <= 16 && table.width > 0) else {
            return false;
        };
        // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
        unsafe { unrank(codes, table, masks) };
        true
    }
}
