//! Counting indices, by threads with counts of their own.

use crate::room::filled;
use crate::views::offsets::out_of_range;
use crate::{Index, Result, par};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Counts of `count_indices` that a thread keeps for itself: 1 MiB.
pub(crate) const OWN_COUNTS: usize = 1 << 17;

/// Something that counts.
pub(crate) trait Count {
    fn add(&mut self, n: usize);
}

impl Count for usize {
    fn add(&mut self, n: usize) {
        *self += n;
    }
}

impl<I: Index> Count for I {
    fn add(&mut self, n: usize) {
        *self = I::cut((self.to_i64() as usize).wrapping_add(n));
    }
}

/// Adds what one thread counted to what all count.
pub(crate) fn add<I: Index>(counts: &Mutex<&mut [I]>, own: &[I]) {
    let mut counts = counts.lock().unwrap_or_else(PoisonError::into_inner);
    for (count, own) in counts.iter_mut().zip(own) {
        count.add(own.to_i64() as usize);
    }
}

/// `range` in pieces of at most `width`.
pub(crate) fn tiles(range: Range<usize>, width: usize) -> impl Iterator<Item = Range<usize>> {
    range.clone().step_by(width).map(move |start| start..(start + width).min(range.end))
}

/// Counts how often each value occurs in `indices`.
///
/// # Errors
/// An index is not in `0..counts.len()`; `counts` then holds anything.
pub fn count_indices<I: Index>(indices: &[I], counts: &mut [I]) -> Result<()> {
    let bound = counts.len();
    counts.fill(I::default());
    if bound <= OWN_COUNTS {
        let ranges = par::joined(par::cut(indices.len(), 1, size_of_val(indices)));
        let counts = Mutex::new(counts);
        return par::run(ranges, |range| {
            add(&counts, &count_own(indices, range, bound)?);
            Ok(())
        });
    }
    // Too many counts for each thread to have its own: each counts what falls into its part.
    let parts = par::threads();
    let ranges: Vec<_> = tiles(0..bound, bound.div_ceil(parts)).collect();
    let outs = par::split_mut(counts, ranges.iter().map(ExactSizeIterator::len));
    par::run(ranges.into_iter().zip(outs).collect(), |(range, counts)| {
        for (i, &index) in indices.iter().enumerate() {
            match index.below(bound) {
                Some(index) => {
                    if let Some(count) = counts.get_mut(index.wrapping_sub(range.start)) {
                        count.add(1);
                    }
                }
                None => return Err(out_of_range(i, index, bound)),
            }
        }
        Ok(())
    })
}

/// Counts how often each value below `bound` occurs in a range of `indices`.
pub(crate) fn count_own<I: Index>(indices: &[I], range: Range<usize>, bound: usize) -> Result<Vec<I>> {
    let mut own = filled(I::default(), bound)?;
    for (i, &index) in range.clone().zip(&indices[range]) {
        match index.below(bound).and_then(|index| own.get_mut(index)) {
            Some(count) => count.add(1),
            None => return Err(out_of_range(i, index, bound)),
        }
    }
    Ok(own)
}
