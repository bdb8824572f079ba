//! Offsets: where the slots of each row stand; what is read of them is checked where it is read.

use crate::{Error, Index, Result};
use std::ops::Range;

/// The slots of the rows of `offsets`, as a range inside `0..len`.
pub(crate) fn span<I: Index>(offsets: &[I], len: usize) -> Result<Range<usize>> {
    let (Some(first), Some(last)) = (offsets.first(), offsets.last()) else {
        return Err(Error::Length { name: "indptr", got: 0, want: 1 });
    };
    match (first.below(len + 1), last.below(len + 1)) {
        (Some(first), Some(last)) if first <= last => Ok(first..last),
        _ => Err(Error::Offsets { name: "indptr", at: offsets.len() - 1 }),
    }
}

/// The error for an index that is not in `0..bound`.
#[cold]
pub(crate) fn out_of_range<I: Index>(at: usize, got: I, bound: usize) -> Error {
    Error::Index { at, got: got.to_i64(), bound }
}

/// Checks a length.
pub(crate) fn fits(name: &'static str, got: usize, want: usize) -> Result<()> {
    if got == want { Ok(()) } else { Err(Error::Length { name, got, want }) }
}

/// Where the slots of `row` are, as a range inside `place`.
#[inline]
pub(crate) fn slots_at<I: Index>(indptr: &[I], row: usize, place: &Range<usize>) -> Result<Range<usize>> {
    match (indptr[row].below(place.end + 1), indptr[row + 1].below(place.end + 1)) {
        (Some(low), Some(high)) if place.start <= low && low <= high => Ok(low..high),
        _ => Err(Error::Offsets { name: "indptr", at: row }),
    }
}

/// The number of slots in `row`.
pub(crate) fn slots_of<I: Index>(indptr: &[I], row: usize) -> Result<usize> {
    let (low, high) = (indptr[row].to_i64(), indptr[row + 1].to_i64());
    high.checked_sub(low)
        .and_then(|count| usize::try_from(count).ok())
        .ok_or(Error::Offsets { name: "indptr", at: row })
}

/// The numbers of slots in consecutive ranges of rows, whose sum is `total`.
pub(crate) fn lengths<I: Index>(indptr: &[I], ranges: &[Range<usize>], total: usize) -> Result<Vec<usize>> {
    let mut sum = 0;
    let mut lengths = Vec::with_capacity(ranges.len());
    for range in ranges {
        let length = usize::try_from(indptr[range.end].to_i64().wrapping_sub(indptr[range.start].to_i64()))
            .map_err(|_| Error::Offsets { name: "indptr", at: range.start })?;
        sum += length;
        if sum > total {
            return Err(Error::Offsets { name: "indptr", at: range.start });
        }
        lengths.push(length);
    }
    Ok(lengths)
}
