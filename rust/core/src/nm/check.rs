//! What arrays from outside may have wrong.

use super::codes::Codes;
use super::layout::{Layout, NO_BITS};
use super::pattern::Pattern;
use super::rows::NmRows;
use super::slots::Slot;
use crate::{Item, Matrix, Result, par};
use std::ops::Range;

/// What is wrong first. Codes are looked for in all rows first, then padding, then slots beyond the last column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A code that names no mask.
    Code {
        /// The row.
        row: usize,
        /// The group in the row.
        group: usize,
        /// What stands there.
        code: u32,
    },
    /// A row with a bit behind the last code, or an item behind the last slot, that is not zero.
    Padding {
        /// The row.
        row: usize,
    },
    /// A slot beyond the last column that is not zero.
    Beyond {
        /// The row.
        row: usize,
        /// The slot in the row.
        slot: usize,
    },
}

/// Looks for what the arrays of N:M must not hold; slots without columns are not looked at.
///
/// # Errors
/// They have the wrong shape.
pub fn check<T: Item + Slot>(nm: NmRows<'_>, slots: Matrix<'_, T>) -> Result<Option<Finding>> {
    let looked = slots.cols() > 0;
    if looked {
        nm.check_slots(&slots)?;
    }
    if nm.nbytes() == 0 && slots.items().is_empty() {
        return Ok(None);
    }
    let (layout, table) = (nm.layout(), nm.table());
    let ranges = par::cut(nm.shape().0, 1, nm.nbytes().saturating_mul(8));
    let found = par::map(ranges, |rows: Range<usize>| {
        let (mut padding, mut beyond) = (None, None);
        for row in rows {
            let (codes, slots) = (nm.row(row), if looked { slots.row(row) } else { &[] });
            if let Err((group, code)) = check_codes(layout, table, codes) {
                return [Some(Finding::Code { row, group, code }), padding, beyond];
            }
            if dirty(layout, codes, slots) {
                padding = padding.or(Some(Finding::Padding { row }));
            }
            if let Some(slot) = if looked { first_beyond(layout, table, codes, slots) } else { None } {
                beyond = beyond.or(Some(Finding::Beyond { row, slot }));
            }
        }
        [None, padding, beyond]
    });
    Ok((0..3).find_map(|kind| found.iter().find_map(|piece| piece[kind])))
}

/// The group and value of the first that is no code.
pub(super) fn check_codes(layout: &Layout, table: &Codes, codes: &[u8]) -> std::result::Result<(), (usize, u32)> {
    if layout.pattern.count().is_power_of_two() {
        return Ok(()); // every field of this width is a code
    }
    for tile in layout.tiles() {
        table.check(&codes[tile.code..], tile.groups).map_err(|(group, code)| (tile.first + group, code))?;
    }
    Ok(())
}

fn dirty<T: Item>(layout: &Layout, codes: &[u8], slots: &[T]) -> bool {
    let used = layout.groups * layout.pattern.bits() as usize % 8;
    let last = if used == 0 { 0 } else { codes[layout.code_bytes - 1] >> used };
    last != 0
        || codes[layout.code_bytes..].iter().any(|&byte| byte != 0)
        || slots.get(layout.slots..).unwrap_or_default().iter().any(|&item| item.is_nonzero(T::mask(u64::MAX)))
}

/// The slots in the last group of a row whose code is good that lie beyond the last column and are not zero.
pub(super) fn beyond<'a, T: Item>(
    layout: &Layout,
    table: &Codes,
    codes: &[u8],
    slots: &'a [T],
) -> impl Iterator<Item = usize> + use<'a, T> {
    let Pattern { n, m, .. } = layout.pattern;
    let ragged = layout.cols % m;
    let mut inside = n;
    let group = layout.groups.saturating_sub(1);
    if ragged != 0 {
        let mut mask = NO_BITS;
        // The codes of 8 groups start on a byte; at most 256 columns fit into `mask`.
        let first = group / 8 * 8;
        let bytes = &codes[first / 8 * layout.pattern.bits() as usize..];
        if table.unpack(bytes, group - first + 1, &mut mask).is_ok() {
            let mask = super::bits::field(&mask, (group - first) * m, m as u32);
            inside = (mask & ((1 << ragged) - 1)).count_ones() as usize;
        }
    }
    let start = group * n;
    let slots = if ragged == 0 { &[] } else { &slots[start..start + n] };
    (inside..slots.len()).filter(move |&i| slots[i].is_nonzero(T::mask(u64::MAX))).map(move |i| start + i)
}

fn first_beyond<T: Item>(layout: &Layout, table: &Codes, codes: &[u8], slots: &[T]) -> Option<usize> {
    beyond(layout, table, codes, slots).next()
}
