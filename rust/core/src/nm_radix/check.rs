//! What words from outside may have wrong.

use super::layout::Layout;
use crate::bits::field;
use crate::nm::Pattern;
use crate::{Matrix, Result, par};

/// What is wrong first: words are looked for in all rows first, then padding.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Finding {
    /// A word that is not below C^held.
    Word {
        /// The row.
        row: usize,
        /// The word in the row.
        word: usize,
    },
    /// A row with a bit behind its last word.
    Padding {
        /// The row.
        row: usize,
    },
}

/// Looks for what words must not hold.
///
/// # Errors
/// As [`super::pack`].
pub fn check(words: Matrix<'_, u8>, pattern: Pattern, groups: usize, per: usize) -> Result<Option<Finding>> {
    let layout = Layout::new(pattern, groups, per)?;
    layout.check(pattern, (words.rows(), words.cols()), None)?;
    if words.items().is_empty() {
        return Ok(None); // of rows without bytes there may be as many as anybody says
    }
    let (count, end) = (u128::from(pattern.count()), layout.row_bits().unwrap_or(0));
    let bound = |held: usize| count.checked_pow(held as u32).unwrap_or(u128::MAX);
    let (whole, tail) = (bound(per), bound(groups % per));
    let ranges = par::cut(words.rows(), 1, words.items().len().saturating_mul(4));
    let found = par::map(ranges, |rows| {
        let mut padding = None;
        for row in rows {
            let bytes = words.row(row);
            for (first, held, at, bits) in layout.words() {
                if field(bytes, at, bits) >= if held == per { whole } else { tail } {
                    return [Some(Finding::Word { row, word: first / per }), padding];
                }
            }
            let behind = bytes.get(end / 8).is_some_and(|&byte| byte >> (end % 8) != 0);
            let further = bytes.get(end / 8 + 1..).is_some_and(|rest| rest.iter().any(|&byte| byte != 0));
            if behind || further {
                padding = padding.or(Some(Finding::Padding { row }));
            }
        }
        [None, padding]
    });
    Ok((0..2).find_map(|kind| found.iter().find_map(|piece| piece[kind])))
}
