//! Runs, rows and groups of items.

use crate::{Error, Result};
use std::ops::Range;

/// Items that are worked on at once.
pub(crate) const RUN: usize = 512;

pub(crate) fn check_length(name: &'static str, got: usize, want: usize) -> Result<()> {
    if got == want { Ok(()) } else { Err(Error::Length { name, got, want }) }
}

/// Groups of a row.
pub(crate) fn group_count(cols: usize, group: usize) -> Result<usize> {
    if group == 0 { Err(Error::Parameter { name: "group", got: 0 }) } else { Ok(cols.div_ceil(group)) }
}

/// Cuts a range of places in rows of `n` into the parts that lie in one row each.
pub(crate) fn by_row(range: Range<usize>, n: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let row = at.checked_div(n)?;
        let part = at..range.end.min((row + 1) * n);
        at = part.end;
        (!part.is_empty()).then_some((row, part.start - row * n..part.end - row * n))
    })
}

/// Cuts a range into runs.
pub(crate) fn runs(range: Range<usize>, run: usize) -> impl Iterator<Item = Range<usize>> {
    let end = range.end;
    range.step_by(run).map(move |start| start..end.min(start + run))
}

/// Cuts a range of columns so that only the first part may begin inside a group; no other part is cut.
pub(crate) fn at_groups(range: Range<usize>, group: usize) -> impl Iterator<Item = Range<usize>> {
    let next = range.end.min(range.start.checked_next_multiple_of(group).unwrap_or(usize::MAX));
    [range.start..next, next..range.end].into_iter().filter(|part| !part.is_empty())
}

/// Takes the first `len` items off `rest`.
pub(crate) fn take<'a, T>(rest: &mut &'a mut [T], len: usize) -> &'a mut [T] {
    let (head, tail) = std::mem::take(rest).split_at_mut(len);
    *rest = tail;
    head
}
