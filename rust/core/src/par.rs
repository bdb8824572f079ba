//! Work for threads: rows cut into pieces of about equal work, outputs split into disjoint slices.

use crate::error::Result;
use crate::room::reserved;
use sparsefmt_pool::each;
pub use sparsefmt_pool::{MAX_THREADS, UnknownCount, from_env, join, set_alone, set_threads, threads};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Work (about: bytes touched) below which a thread costs more than it brings.
const SMALL: usize = 1 << 17;

/// Cuts `0..rows` into ranges of about equal length, whose inner borders are multiples of `step`: one range if the
/// whole `work` is small, else a few per thread.
#[must_use]
pub fn cut(rows: usize, step: usize, work: usize) -> Vec<Range<usize>> {
    cut_at(rows, step, work, |share, pieces| rows / pieces * share + (rows % pieces) * share / pieces)
}

/// Like [`cut`], with about equal numbers of slots in each range: `offsets` has `rows + 1` entries that never fall.
#[must_use]
pub fn cut_by<I: crate::Index>(offsets: &[I], step: usize, work: usize) -> Vec<Range<usize>> {
    let rows = offsets.len().saturating_sub(1);
    let (first, last) = match offsets {
        [first, .., last] => (first.to_i64(), last.to_i64()),
        _ => (0, 0),
    };
    cut_at(rows, step, work, |share, pieces| {
        let target = first.saturating_add((last.saturating_sub(first) / pieces as i64).saturating_mul(share as i64));
        // Half by slots and half by rows, so that many empty rows are spread too.
        (offsets.partition_point(|o| o.to_i64() < target).min(rows) + rows / pieces * share) / 2
    })
}

/// Neighbours joined, so that there is at most one range per thread: for work that goes over all input in each range.
#[must_use]
pub fn joined(ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let most = ranges.len().div_ceil(threads()).max(1);
    ranges.chunks(most).map(|some| some[0].start..some[some.len() - 1].end).collect()
}

fn cut_at(rows: usize, step: usize, work: usize, border: impl Fn(usize, usize) -> usize) -> Vec<Range<usize>> {
    if rows == 0 {
        return Vec::new();
    }
    let pieces = if work < SMALL { 1 } else { (threads() * 4).min(work / (SMALL / 2)).max(1) };
    let mut borders = vec![0];
    for share in 1..pieces {
        let at = border(share, pieces) / step * step;
        if borders.last().is_some_and(|&last| at > last) && at < rows {
            borders.push(at);
        }
    }
    borders.push(rows);
    borders.windows(2).map(|pair| pair[0]..pair[1]).collect()
}

/// Splits off consecutive pieces of the given lengths; pieces beyond the end come out short or empty.
pub fn split_mut<T>(mut slice: &mut [T], lengths: impl IntoIterator<Item = usize>) -> Vec<&mut [T]> {
    let mut pieces = Vec::new();
    for length in lengths {
        let (head, tail) = slice.split_at_mut(length.min(slice.len()));
        pieces.push(head);
        slice = tail;
    }
    pieces
}

/// A task, and what became of it.
struct Cell<T, R>(Option<T>, Option<R>);

/// Runs `work` on every task, on several threads if there is more than one, and gives the results in order.
pub fn map<T: Send, R: Send>(tasks: Vec<T>, work: impl Fn(T) -> R + Sync + Send) -> Vec<R> {
    let cells: Vec<_> = tasks.into_iter().map(|task| Mutex::new(Cell(Some(task), None))).collect();
    each(cells.len(), &|i| {
        let mut cell = cells[i].lock().unwrap_or_else(PoisonError::into_inner);
        cell.1 = cell.0.take().map(&work);
    });
    cells.into_iter().filter_map(|cell| cell.into_inner().unwrap_or_else(PoisonError::into_inner).1).collect()
}

/// Like [`map`], for work without a result; the error of the first failing task in order, whatever the timing.
///
/// # Errors
/// What `work` gives; no memory for that many tasks.
pub fn run<T: Send>(tasks: Vec<T>, work: impl Fn(T) -> Result<()> + Sync + Send) -> Result<()> {
    let mut cells = reserved(tasks.len())?;
    cells.extend(tasks.into_iter().map(|task| Mutex::new(Cell(Some(task), None))));
    each(cells.len(), &|i| {
        let mut cell = cells[i].lock().unwrap_or_else(PoisonError::into_inner);
        cell.1 = cell.0.take().map(&work);
    });
    let ends = cells.into_iter().filter_map(|cell| cell.into_inner().unwrap_or_else(PoisonError::into_inner).1);
    ends.collect()
}

/// Pieces of `items`, one per thread, or one if there are few.
pub fn shares<T>(items: &[T]) -> std::slice::Chunks<'_, T> {
    let pieces = if size_of_val(items) < SMALL { 1 } else { threads() };
    items.chunks(items.len().div_ceil(pieces).next_multiple_of(64))
}
