//! What a row of N:M holds, tile by tile.

use super::pattern::Pattern;
use crate::{Error, Result, TILE};

/// Room for a bit per column of a tile; fields are read 8 bytes at a time.
pub(super) type Bits = [u8; TILE / 8 + 8];

pub(super) const NO_BITS: Bits = [0; TILE / 8 + 8];

/// What a row of `cols` columns holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Layout {
    pub(super) pattern: Pattern,
    pub(super) cols: usize,
    pub(super) groups: usize,
    /// Bytes that hold codes.
    pub(super) code_bytes: usize,
    /// Items that are slots.
    pub(super) slots: usize,
}

impl Layout {
    pub(super) fn new(pattern: Pattern, cols: usize) -> Result<Self> {
        let groups = cols.div_ceil(pattern.m);
        let bits = groups.checked_mul(pattern.bits() as usize);
        let slots = groups.checked_mul(pattern.n);
        match (bits, slots) {
            (Some(bits), Some(slots)) => Ok(Self { pattern, cols, groups, code_bytes: bits.div_ceil(8), slots }),
            _ => Err(Error::Parameter { name: "cols", got: cols }),
        }
    }

    /// Checks (rows, columns) of the codes and slots of `rows` rows.
    pub(super) fn check(&self, rows: usize, codes: (usize, usize), slots: (usize, usize)) -> Result<()> {
        self.check_codes(rows, codes)?;
        self.check_slots(rows, slots)
    }

    /// Checks (rows, columns) of the codes of `rows` rows.
    pub(super) fn check_codes(&self, rows: usize, codes: (usize, usize)) -> Result<()> {
        check("codes", rows, codes, self.code_bytes)
    }

    /// Checks (rows, columns) of the slots of `rows` rows.
    pub(super) fn check_slots(&self, rows: usize, slots: (usize, usize)) -> Result<()> {
        check("slots", rows, slots, self.slots)
    }

    /// The error for the code of a group that names no mask.
    #[cold]
    pub(super) fn wrong(&self, row: usize, group: usize, got: u32) -> Error {
        Error::Code { row, group, got, bound: self.pattern.count() }
    }

    /// The tiles of a row.
    pub(super) fn tiles(&self) -> impl Iterator<Item = Tile> + use<> {
        let Self { pattern, cols, groups, .. } = *self;
        (0..groups).step_by(pattern.tile()).map(move |first| {
            let groups = pattern.tile().min(groups - first);
            let start = first * pattern.m;
            let cols = (groups * pattern.m).min(cols - start);
            Tile { first, groups, start, cols, code: first / 8 * pattern.bits() as usize, slot: first * pattern.n }
        })
    }
}

/// Checks the number of rows, and that they hold `want` items or more.
fn check(name: &'static str, rows: usize, (got_rows, got): (usize, usize), want: usize) -> Result<()> {
    if got_rows != rows {
        return Err(Error::Length { name, got: got_rows, want: rows });
    }
    if got < want { Err(Error::Length { name, got, want }) } else { Ok(()) }
}

/// Consecutive groups of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Tile {
    /// The first group.
    pub(super) first: usize,
    pub(super) groups: usize,
    /// The first column.
    pub(super) start: usize,
    /// Columns that are not virtual.
    pub(super) cols: usize,
    /// The first byte of codes.
    pub(super) code: usize,
    /// The first slot.
    pub(super) slot: usize,
}
