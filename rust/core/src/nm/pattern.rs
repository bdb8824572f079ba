//! N of M.

use crate::{Error, Result, TILE};

/// N of M: how many items are kept of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    pub(super) n: usize,
    pub(super) m: usize,
    pub(super) count: u32,
    pub(super) bits: u32,
}

impl Pattern {
    /// Any `1 <= n <= m <= 32`.
    ///
    /// # Errors
    /// Other values.
    pub fn new(n: usize, m: usize) -> Result<Self> {
        match (n, m) {
            (_, 0 | 33..) => Err(Error::Parameter { name: "m", got: m }),
            _ if (1..=m).contains(&n) => {
                let count = binomial(m, n) as u32;
                Ok(Self { n, m, count, bits: u32::BITS - (count - 1).leading_zeros() })
            }
            _ => Err(Error::Parameter { name: "n", got: n }),
        }
    }

    /// How many items are kept.
    #[must_use]
    pub fn n(self) -> usize {
        self.n
    }

    /// Of how many.
    #[must_use]
    pub fn m(self) -> usize {
        self.m
    }

    /// The number of codes, C(m, n).
    #[must_use]
    pub fn count(self) -> u32 {
        self.count
    }

    /// Bits per code: `ceil(log2(count))`.
    #[must_use]
    pub fn bits(self) -> u32 {
        self.bits
    }

    /// Groups that are worked on at once: a multiple of 8, so that the codes of a tile start on a byte.
    pub(crate) fn tile(self) -> usize {
        TILE / self.m / 8 * 8
    }
}

/// C(p, k).
pub(crate) fn binomial(p: usize, k: usize) -> usize {
    (0..k).fold(1, |value, i| value * p.saturating_sub(i) / (i + 1))
}
