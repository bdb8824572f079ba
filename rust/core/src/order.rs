//! Sorting coordinates by row, then column.
//!
//! A key is the row, then the column, in as few bits as the shape needs. Slots are first dealt out to buckets by the
//! leading bits of their keys, straight into the outputs; then each bucket, which fits the second-level cache, is
//! sorted by the bits that are left. Each task owns consecutive buckets, so its part of the outputs is one slice.

use crate::coo::bound;
use crate::csr::out_of_range;
use crate::{Error, Index, Result, par};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

/// Slots of an average bucket.
const BUCKET: u32 = 12;

/// Leading bits at most: the offsets of as many buckets are 512 KiB.
const LEADING: u32 = 16;

/// Slots that are looked at together.
const CHUNK: usize = 1024;

/// How keys are made and cut into bits for the bucket and bits for the order in it.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    shape: (usize, usize),
    col_bits: u32,
    /// The bits that order a bucket.
    low_bits: u32,
    buckets: usize,
}

#[inline]
fn bits_below(bound: usize) -> u32 {
    usize::BITS - bound.saturating_sub(1).leading_zeros()
}

impl Plan {
    /// For `n` slots, with at most `most` bits for the order in a bucket; `None` where that takes too many buckets.
    pub(crate) fn new(shape: (usize, usize), n: usize, most: u32) -> Option<Self> {
        let (rows, cols) = (bound(shape.0), bound(shape.1));
        let (row_bits, col_bits) = (bits_below(rows), bits_below(cols));
        let bits = row_bits + col_bits;
        let wanted = n.max(1).ilog2().saturating_sub(BUCKET).min(LEADING);
        let leading = wanted.max(bits.saturating_sub(most)).min(bits);
        let low_bits = bits - leading;
        if leading > LEADING || bits > 63 {
            return None;
        }
        let buckets = match low_bits.checked_sub(col_bits) {
            Some(row_low) => (rows.saturating_sub(1) >> row_low) + 1,
            None => 1 << leading,
        };
        Some(Self { shape: (rows, cols), col_bits, low_bits, buckets })
    }

    /// The number of rows in a bucket, if buckets hold whole rows.
    pub(crate) fn rows_per_bucket(&self) -> Option<usize> {
        self.low_bits.checked_sub(self.col_bits).map(|bits| 1 << bits)
    }

    /// The number of buckets.
    pub(crate) fn buckets(&self) -> usize {
        self.buckets
    }

    #[inline]
    fn key<I: Index>(&self, row: I, col: I) -> Option<u64> {
        let (row, col) = (row.below(self.shape.0)?, col.below(self.shape.1)?);
        Some((row as u64) << self.col_bits | col as u64)
    }

    /// Counts the slots of each bucket and gives where it starts, and the end.
    pub(crate) fn offsets<I: Index>(&self, row: &[I], col: &[I]) -> Result<Vec<usize>> {
        let offsets = Mutex::new(vec![0; self.buckets + 1]);
        let ranges = par::joined(par::cut(row.len(), 1, 2 * size_of_val(row)));
        par::run(ranges, |range| {
            let mut own = vec![0usize; self.buckets];
            for (at, (&r, &c)) in range.clone().zip(row[range.clone()].iter().zip(&col[range])) {
                let Some(key) = self.key(r, c) else { return Err(self.misplaced(at, r, c)) };
                own[(key >> self.low_bits) as usize] += 1;
            }
            let mut offsets = offsets.lock().unwrap_or_else(PoisonError::into_inner);
            for (sum, own) in offsets[1..].iter_mut().zip(own) {
                *sum += own;
            }
            Ok(())
        })?;
        let mut offsets = offsets.into_inner().unwrap_or_else(PoisonError::into_inner);
        for bucket in 0..self.buckets {
            offsets[bucket + 1] += offsets[bucket];
        }
        Ok(offsets)
    }

    #[cold]
    fn misplaced<I: Index>(&self, at: usize, row: I, col: I) -> Error {
        match row.below(self.shape.0) {
            None => out_of_range(at, row, self.shape.0),
            Some(_) => out_of_range(at, col, self.shape.1),
        }
    }
}

/// Slots in any order.
pub(crate) struct Unsorted<'a, I, S> {
    pub(crate) row: &'a [I],
    pub(crate) col: &'a [I],
    /// The slot at a position.
    pub(crate) slot: S,
}

impl<I: Index, S> Unsorted<'_, I, S> {
    /// Writes the columns and slots in order; slots in one place stay in order. `offsets` say where buckets start.
    ///
    /// # Errors
    /// A row or column is out of range, or `offsets` does not agree with them.
    pub(crate) fn sort<T: Copy + Send + Sync, K: Index>(
        &self,
        plan: &Plan,
        offsets: &[usize],
        cols: &mut [K],
        slots: &mut [T],
    ) -> Result<()>
    where
        S: Fn(usize) -> T + Sync + Send,
    {
        let as_index: Vec<i64> = offsets.iter().map(|&at| at as i64).collect();
        let ranges = par::joined(par::cut_by(&as_index, 1, 4 * size_of_val(slots)));
        let lengths = || ranges.iter().map(|range| offsets[range.end].saturating_sub(offsets[range.start]));
        let cols = par::split_mut(cols, lengths());
        let slots = par::split_mut(slots, lengths());
        let tasks = ranges.iter().cloned().zip(cols.into_iter().zip(slots)).collect();
        par::run(tasks, |(range, (cols, slots))| {
            let offsets = &offsets[range.start..=range.end];
            self.deal(plan, range.clone(), offsets, cols, slots)?;
            let mut sorter = Sorter::default();
            for (bucket, at) in range.zip(offsets.windows(2)) {
                let at = at[0].wrapping_sub(offsets[0])..at[1].wrapping_sub(offsets[0]);
                let (Some(cols), Some(slots)) = (cols.get_mut(at.clone()), slots.get_mut(at)) else {
                    return Err(Error::Changed);
                };
                sorter.sort(plan, bucket as u64, cols, slots);
            }
            Ok(())
        })
    }

    /// Deals out the slots that belong to the buckets of `range`; `cols` takes the rest of their keys.
    fn deal<T, K: Index>(
        &self,
        plan: &Plan,
        range: Range<usize>,
        offsets: &[usize],
        cols: &mut [K],
        slots: &mut [T],
    ) -> Result<()>
    where
        S: Fn(usize) -> T,
    {
        let mut next: Vec<usize> = offsets[..range.len()].iter().map(|at| at.wrapping_sub(offsets[0])).collect();
        let len = cols.len().min(slots.len());
        let (cols, slots) = (&mut cols[..len], &mut slots[..len]);
        let mut found = [(0u64, 0usize); CHUNK];
        for (chunk, (row, col)) in self.row.chunks(CHUNK).zip(self.col.chunks(CHUNK)).enumerate() {
            // Those of other tasks are overwritten, without a branch that would be guessed wrong half of the time.
            let mut count = 0;
            for (i, (&r, &c)) in row.iter().zip(col).enumerate() {
                let Some(key) = plan.key(r, c) else { return Err(plan.misplaced(chunk * CHUNK + i, r, c)) };
                found[count % CHUNK] = (key, chunk * CHUNK + i);
                count += usize::from(range.contains(&((key >> plan.low_bits) as usize)));
            }
            for &(key, at) in &found[..count] {
                let next = &mut next[(key >> plan.low_bits) as usize - range.start];
                let to = *next;
                if to >= len {
                    return Err(Error::Changed);
                }
                *next = to + 1;
                cols[to] = K::cut((key & low(plan.low_bits)) as usize);
                slots[to] = (self.slot)(at);
            }
        }
        let ends = offsets[1..].iter().map(|at| at.wrapping_sub(offsets[0]));
        if next.into_iter().eq(ends) { Ok(()) } else { Err(Error::Changed) }
    }
}

/// The lowest `bits`, at most 63.
#[inline]
fn low(bits: u32) -> u64 {
    (1 << bits) - 1
}

/// Memory for one bucket.
struct Sorter<T> {
    items: Vec<u64>,
    other: Vec<u64>,
    slots: Vec<T>,
}

impl<T> Default for Sorter<T> {
    fn default() -> Self {
        Self { items: Vec::new(), other: Vec::new(), slots: Vec::new() }
    }
}

impl<T: Copy> Sorter<T> {
    /// Sorts a bucket; `cols` comes with the lower bits of the keys and gets the columns.
    fn sort<K: Index>(&mut self, plan: &Plan, bucket: u64, cols: &mut [K], slots: &mut [T]) {
        let place_bits = bits_below(slots.len());
        let mask = low(plan.low_bits);
        let col_of = |key: u64| K::cut(((bucket << plan.low_bits | key) & low(plan.col_bits)) as usize);
        self.slots.clear();
        self.slots.extend_from_slice(slots);
        if plan.low_bits + place_bits > 64 {
            let items = cols.iter().enumerate();
            let mut items: Vec<_> = items.map(|(place, key)| (key.to_i64() as u64 & mask, place)).collect();
            items.sort_unstable();
            for ((key, place), (col, slot)) in items.into_iter().zip(cols.iter_mut().zip(slots)) {
                (*col, *slot) = (col_of(key), self.slots[place]);
            }
            return;
        }
        // The key, then the place in the bucket: no two are equal, and equal keys keep their order.
        let items = cols.iter().enumerate();
        self.items.clear();
        self.items.extend(items.map(|(place, key)| (key.to_i64() as u64 & mask) << place_bits | place as u64));
        if self.items.len() < 256 || u32::try_from(self.items.len()).is_err() {
            self.items.sort_unstable();
        } else {
            self.radix(plan.low_bits, place_bits);
        }
        for (&item, (col, slot)) in self.items.iter().zip(cols.iter_mut().zip(slots)) {
            (*col, *slot) = (col_of(item >> place_bits), self.slots[(item & low(place_bits)) as usize]);
        }
    }

    /// Sorts the items by `bits` bits from bit `shift` on, least significant digit first.
    fn radix(&mut self, bits: u32, shift: u32) {
        const DIGIT: u32 = 11;
        let passes = bits.div_ceil(DIGIT);
        let width = if passes == 0 { 0 } else { bits.div_ceil(passes) };
        self.other.resize(self.items.len(), 0);
        for pass in 0..passes {
            let shift = shift + pass * width;
            let digit = |item: u64| (item >> shift & low(width)) as usize & ((1 << DIGIT) - 1);
            let mut next = [0u32; 1 << DIGIT];
            for &item in &self.items {
                next[digit(item)] += 1;
            }
            let mut sum = 0;
            for next in &mut next[..1 << width] {
                sum += std::mem::replace(next, sum);
            }
            for &item in &self.items {
                let next = &mut next[digit(item)];
                self.other[*next as usize] = item;
                *next += 1;
            }
            std::mem::swap(&mut self.items, &mut self.other);
        }
    }
}
