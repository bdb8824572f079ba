//! Sorting coordinates by row, then column.
//!
//! A key is the row, then the column, in as few bits as the shape needs. Slots are first dealt out to buckets by the
//! leading bits of their keys, straight into the outputs; then each bucket, which fits the second-level cache, is
//! sorted by the bits that are left. Each task deals out a range of the slots, into rooms of its own in each bucket.

use crate::coo::bound;
use crate::csr::out_of_range;
use crate::{Error, Index, Result, par};
use std::ops::Range;

/// Slots of an average bucket.
const BUCKET: u32 = 12;

/// Leading bits at most: the offsets of as many buckets are 512 KiB.
const LEADING: u32 = 16;

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

    #[inline]
    fn key<I: Index>(&self, row: I, col: I) -> Option<u64> {
        let (row, col) = (row.below(self.shape.0)?, col.below(self.shape.1)?);
        Some((row as u64) << self.col_bits | col as u64)
    }

    /// Counts the slots of `range` in each bucket.
    fn counts<I: Index>(&self, row: &[I], col: &[I], range: Range<usize>) -> Result<Vec<usize>> {
        let mut counts = vec![0; self.buckets];
        for (at, (&r, &c)) in range.clone().zip(row[range.clone()].iter().zip(&col[range])) {
            let Some(key) = self.key(r, c) else { return Err(self.misplaced(at, r, c)) };
            counts[(key >> self.low_bits) as usize] += 1;
        }
        Ok(counts)
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
    /// Writes the columns and slots in order; slots in one place stay in order.
    ///
    /// # Errors
    /// A row or column is out of range, or they change meanwhile.
    pub(crate) fn sort<T: Copy + Send + Sync, K: Index>(
        &self,
        plan: &Plan,
        cols: &mut [K],
        slots: &mut [T],
    ) -> Result<()>
    where
        S: Fn(usize) -> T + Sync + Send,
    {
        let work = self.row.len().saturating_mul(4 * size_of::<T>());
        let ranges = par::joined(par::cut(self.row.len(), 1, work));
        let counts = par::map(ranges.clone(), |range| plan.counts(self.row, self.col, range));
        let counts = counts.into_iter().collect::<Result<Vec<_>>>()?;
        // In each bucket the slots of the first range, then those of the second ..: so they stay in order.
        let lengths = || (0..plan.buckets).flat_map(|bucket| counts.iter().map(move |own| own[bucket]));
        let rooms = par::split_mut(&mut *cols, lengths()).into_iter().zip(par::split_mut(&mut *slots, lengths()));
        let mut hands: Vec<Vec<_>> = counts.iter().map(|_| Vec::with_capacity(plan.buckets)).collect();
        for (at, (cols, slots)) in rooms.enumerate() {
            hands[at % counts.len()].push(Room { cols, slots, next: 0 });
        }
        par::run(ranges.into_iter().zip(hands).collect(), |(range, mut hand)| self.deal(plan, range, &mut hand))?;
        let mut ends = vec![0i64];
        for bucket in 0..plan.buckets {
            ends.push(ends[bucket] + counts.iter().map(|own| own[bucket] as i64).sum::<i64>());
        }
        let ranges = par::cut_by(&ends, 1, work);
        let lengths = || ranges.iter().map(|range| (ends[range.end] - ends[range.start]) as usize);
        let outs = par::split_mut(cols, lengths()).into_iter().zip(par::split_mut(slots, lengths()));
        par::run(ranges.iter().cloned().zip(outs).collect(), |(range, (mut cols, mut slots))| {
            let mut sorter = Sorter::default();
            for bucket in range {
                let length = (ends[bucket + 1] - ends[bucket]) as usize;
                let (Some(own), Some(own_slots)) = (cols.split_off_mut(..length), slots.split_off_mut(..length)) else {
                    return Err(Error::Changed);
                };
                sorter.sort(plan, bucket as u64, own, own_slots);
            }
            Ok(())
        })
    }

    /// Deals out the slots of `range`, one room per bucket; `cols` takes what is left of their keys.
    fn deal<T, K: Index>(&self, plan: &Plan, range: Range<usize>, rooms: &mut [Room<'_, K, T>]) -> Result<()>
    where
        S: Fn(usize) -> T,
    {
        let mask = low(plan.low_bits);
        for (at, (&r, &c)) in range.clone().zip(self.row[range.clone()].iter().zip(&self.col[range])) {
            let Some(key) = plan.key(r, c) else { return Err(plan.misplaced(at, r, c)) };
            let room = rooms.get_mut((key >> plan.low_bits) as usize).ok_or(Error::Changed)?;
            let (Some(col), Some(slot)) = (room.cols.get_mut(room.next), room.slots.get_mut(room.next)) else {
                return Err(Error::Changed);
            };
            *col = K::cut((key & mask) as usize);
            *slot = (self.slot)(at);
            room.next += 1;
        }
        let full = rooms.iter().all(|room| room.next == room.cols.len());
        if full { Ok(()) } else { Err(Error::Changed) }
    }
}

/// What one range of slots puts into one bucket.
struct Room<'a, K, T> {
    cols: &'a mut [K],
    slots: &'a mut [T],
    next: usize,
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
