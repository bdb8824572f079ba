//! N of M: every run of m columns, a group, stores n slots and one code that says where they stand.
//!
//! Rows are worked off in tiles of about [`TILE`] columns, in whole groups, that stay in the first-level cache, in the
//! language of bits: a bit per column says what is kept, [`codes::Codes`] turns these masks into codes and back, and
//! items are packed and unpacked by them.

mod bits;
mod check;
mod coded;
mod codes;
mod convert;
mod encode;
mod prune;
mod rows;
mod slots;

pub use check::{Finding, check};
pub(crate) use coded::decode_row;
pub use convert::{decode, from_csr, row_counts, to_csr};
pub(crate) use encode::encode_row;
pub use encode::{Overfull, encode, prune_encode};
pub use prune::{Ranked, prune, select};
pub(crate) use rows::RowBits;
pub use slots::Slot;

pub use sparsefmt_kernels::Order;

use crate::{Error, Result, TILE};

/// Room for a bit per column of a tile; fields are read 8 bytes at a time.
type Bits = [u8; TILE / 8 + 8];

const NO_BITS: Bits = [0; TILE / 8 + 8];

/// N of M: how many items are kept of how many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pattern {
    n: usize,
    m: usize,
    count: u32,
    bits: u32,
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
                let count = codes::binomial(m, n) as u32;
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

/// What a row of `cols` columns holds.
#[derive(Clone, Copy, Debug)]
struct Layout {
    pattern: Pattern,
    cols: usize,
    groups: usize,
    /// Bytes that hold codes.
    code_bytes: usize,
    /// Items that are slots.
    slots: usize,
}

impl Layout {
    fn new(pattern: Pattern, cols: usize) -> Result<Self> {
        let groups = cols.div_ceil(pattern.m);
        let bits = groups.checked_mul(pattern.bits() as usize);
        let slots = groups.checked_mul(pattern.n);
        match (bits, slots) {
            (Some(bits), Some(slots)) => Ok(Self { pattern, cols, groups, code_bytes: bits.div_ceil(8), slots }),
            _ => Err(Error::Parameter { name: "cols", got: cols }),
        }
    }

    /// Checks (rows, columns) of the codes and slots of `rows` rows.
    fn check(&self, rows: usize, codes: (usize, usize), slots: (usize, usize)) -> Result<()> {
        let wants = [("codes", codes, self.code_bytes), ("slots", slots, self.slots)];
        for (name, (got_rows, got), want) in wants {
            if got_rows != rows {
                return Err(Error::Length { name, got: got_rows, want: rows });
            }
            if got < want {
                return Err(Error::Length { name, got, want });
            }
        }
        Ok(())
    }

    /// The tiles of a row.
    fn tiles(&self) -> impl Iterator<Item = Tile> + use<> {
        let Self { pattern, cols, groups, .. } = *self;
        (0..groups).step_by(pattern.tile()).map(move |first| {
            let groups = pattern.tile().min(groups - first);
            let start = first * pattern.m;
            let cols = (groups * pattern.m).min(cols - start);
            Tile { first, groups, start, cols, code: first / 8 * pattern.bits() as usize, slot: first * pattern.n }
        })
    }
}

/// Consecutive groups of a row.
#[derive(Clone, Copy, Debug)]
struct Tile {
    /// The first group.
    first: usize,
    groups: usize,
    /// The first column.
    start: usize,
    /// Columns that are not virtual.
    cols: usize,
    /// The first byte of codes.
    code: usize,
    /// The first slot.
    slot: usize,
}
