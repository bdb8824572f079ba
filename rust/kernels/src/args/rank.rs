//! Arguments of ranking masks, and their signatures.

/// Binomials for groups of m with n bits: `C(p, k)` for the places p below m and k below 32.
#[derive(Clone, Debug)]
#[cfg_attr(not(target_arch = "x86_64"), expect(dead_code, reason = "what AVX-512 reads"))]
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

pub(crate) type Complete = unsafe fn(&mut [u32], usize, usize) -> bool;
pub(crate) type Words = unsafe fn(&[u32], &RankTable, &mut [u32]);
pub(crate) type Join = unsafe fn(&[u32], &RankTable, &mut [u8]);
pub(crate) type Cut = unsafe fn(&[u8], &RankTable, &mut [u32]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) complete_words: Complete,
    /// Ranking and its inverse, where they beat look-ups: of masks of more than 16 bits, of others.
    pub(crate) rank_words: Option<(Words, Words)>,
    pub(crate) rank_codes: Option<(Join, Cut)>,
}
