//! Sorting coordinates by row, then column.
//!
//! A key is the row, then the column, in as few bits as the shape needs. Slots are first dealt out to buckets by the
//! leading bits of their keys, straight into the outputs; then each bucket, which fits the second-level cache, is
//! sorted by the bits that are left. Each task deals out a range of the slots, into rooms of its own in each bucket.

use crate::count::{OWN_COUNTS, count_own, tiles};
use crate::item::Word;
use crate::item::bound;
use crate::radix::{digits, low, radix};
use crate::stop::Stop;
use crate::triplets::Pairs;
use crate::views::offsets::out_of_range;
use crate::{Error, Index, Result, par};
use sparsefmt_kernels::prefetch;
use std::cell::Cell;
use std::ops::Range;

/// Slots of an average bucket.
const BUCKET: u32 = 12;

/// Leading bits at most: the offsets of as many buckets are 512 KiB.
const LEADING: u32 = 16;

/// Slots between two looks for a stop.
const PART: usize = 1 << 16;

/// Slots of a room after which lines of memory are asked for that will be written next: a line of numbers of 32 bits.
const STEP: usize = 16;

/// How many slots ahead: what these begin is a line further, wherever in its line the room begins.
const AHEAD: usize = 2 * STEP - 1;

/// How keys are made and cut into bits for the bucket and bits for the order in it.
#[derive(Clone, Copy)]
pub(crate) struct Plan {
    shape: (usize, usize),
    col_bits: u32,
    /// The bits that order a bucket.
    low_bits: u32,
    buckets: usize,
    /// Whether slots of a row come with ascending columns.
    ascending: bool,
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
        Some(Self { shape: (rows, cols), col_bits, low_bits, buckets, ascending: false })
    }

    /// For slots that come with ascending columns in each row: these need not be sorted by column.
    pub(crate) fn with_ascending_columns(self) -> Self {
        Self { ascending: true, ..self }
    }

    #[inline]
    fn key<I: Index>(&self, row: I, col: I) -> Option<u64> {
        let (row, col) = (row.below(self.shape.0)?, col.below(self.shape.1)?);
        Some((row as u64) << self.col_bits | col as u64)
    }

    /// Whether a bucket holds whole rows, of which there are few.
    fn has_few_rows(&self) -> bool {
        self.low_bits >= self.col_bits && self.shape.0 <= OWN_COUNTS
    }

    /// The slots of each bucket, by those of each row.
    fn sums<I: Index>(&self, rows: &[I]) -> Vec<usize> {
        let sum = |rows: &[I]| rows.iter().map(|count| count.to_i64() as usize).sum();
        let mut sums: Vec<usize> = rows.chunks(1 << (self.low_bits - self.col_bits)).map(sum).collect();
        sums.resize(self.buckets, 0);
        sums
    }

    #[cold]
    fn misplaced<I: Index>(&self, at: usize, row: I, col: I) -> Error {
        match row.below(self.shape.0) {
            None => out_of_range(at, row, self.shape.0),
            Some(_) => out_of_range(at, col, self.shape.1),
        }
    }
}

/// Ranges of slots, one per thread, and how many of each go to each bucket.
pub(crate) struct Shares<I> {
    ranges: Vec<Range<usize>>,
    buckets: Vec<Vec<usize>>,
    /// How many of each are in each row, where rows are few.
    rows: Option<Vec<Vec<I>>>,
}

impl<I: Index> Shares<I> {
    /// Writes to `counts` how many slots each row has, if that is known.
    pub(crate) fn row_counts(&self, counts: &mut [I]) -> bool {
        let Some(rows) = &self.rows else { return false };
        counts.fill(I::default());
        for own in rows {
            for (count, own) in counts.iter_mut().zip(own) {
                *count = I::cut((count.to_i64() + own.to_i64()) as usize);
            }
        }
        true
    }
}

/// Slots in any order.
pub(crate) struct Unsorted<'a, P, S> {
    pub(crate) pairs: P,
    pub(crate) len: usize,
    /// The slot at a position.
    pub(crate) slot: S,
    pub(crate) stop: &'a Stop<'a>,
}

impl<P, S> Unsorted<'_, P, S> {
    /// Calls `take` with the position, the row and the column of each slot of `range`, unless stopped.
    fn each<I: Index>(&self, range: Range<usize>, mut take: impl FnMut(usize, I, I) -> Result<()>) -> Result<()>
    where
        P: Pairs<I>,
    {
        tiles(range, PART).try_for_each(|part| {
            self.stop.check()?;
            self.pairs.each(part, &mut take)
        })
    }

    /// Counts the slots of `range` in each bucket.
    fn counts<I: Index>(&self, plan: &Plan, range: Range<usize>) -> Result<Vec<usize>>
    where
        P: Pairs<I>,
    {
        let mut counts = vec![0; plan.buckets];
        self.each(range, |at, r, c| {
            let Some(key) = plan.key(r, c) else { return Err(plan.misplaced(at, r, c)) };
            counts[(key >> plan.low_bits) as usize] += 1;
            Ok(())
        })?;
        Ok(counts)
    }

    /// Shares the slots out.
    ///
    /// # Errors
    /// A row or column is out of range, or the work is stopped.
    pub(crate) fn shares<I: Index>(&self, plan: &Plan) -> Result<Shares<I>>
    where
        P: Pairs<I> + Sync,
        S: Sync,
    {
        let (pairs, ranges) = (&self.pairs, par::joined(par::cut(self.len, 1, self.work())));
        if plan.has_few_rows() {
            let rows = par::map(ranges.clone(), |range| count_own(pairs.rows(), range, plan.shape.0));
            let rows = rows.into_iter().collect::<Result<Vec<_>>>()?;
            let buckets = rows.iter().map(|own| plan.sums(own)).collect();
            return Ok(Shares { ranges, buckets, rows: Some(rows) });
        }
        let buckets = par::map(ranges.clone(), |range| self.counts(plan, range));
        Ok(Shares { ranges, buckets: buckets.into_iter().collect::<Result<_>>()?, rows: None })
    }

    fn work(&self) -> usize {
        self.len.saturating_mul(16)
    }

    /// Writes the columns and slots in order; slots in one place stay in order. Asks `check` about
    /// every row, and where it has slots now.
    ///
    /// # Errors
    /// A row or column is out of range, they change meanwhile, `check` says no, or the work is stopped.
    pub(crate) fn sort<I: Index, T: Word + Send + Sync, K: Index>(
        &self,
        plan: &Plan,
        shares: Shares<I>,
        cols: &mut [K],
        slots: &mut [T],
        check: impl Fn(usize, Range<usize>) -> bool + Sync + Send,
    ) -> Result<()>
    where
        P: Pairs<I>,
        S: Fn(usize) -> T + Sync + Send,
    {
        let Shares { ranges, buckets: counts, .. } = shares;
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
        let ranges = par::cut_by(&ends, 1, self.work());
        let lengths = || ranges.iter().map(|range| (ends[range.end] - ends[range.start]) as usize);
        let outs = par::split_mut(cols, lengths()).into_iter().zip(par::split_mut(slots, lengths()));
        par::run(ranges.iter().cloned().zip(outs).collect(), |(range, (mut cols, mut slots))| {
            let mut sorter = Sorter::default();
            for bucket in range {
                self.stop.check()?;
                let length = (ends[bucket + 1] - ends[bucket]) as usize;
                let (Some(own), Some(own_slots)) = (cols.split_off_mut(..length), slots.split_off_mut(..length)) else {
                    return Err(Error::Changed);
                };
                let first = ends[bucket] as usize;
                let fine = sorter
                    .sort(plan, bucket as u64, own, own_slots, |row, at| check(row, first + at.start..first + at.end));
                if !fine {
                    return Err(Error::Changed);
                }
            }
            Ok(())
        })
    }

    /// Deals out the slots of `range`, one room per bucket; `cols` takes what is left of their keys.
    fn deal<I: Index, T, K: Index>(&self, plan: &Plan, range: Range<usize>, rooms: &mut [Room<'_, K, T>]) -> Result<()>
    where
        P: Pairs<I>,
        S: Fn(usize) -> T,
    {
        let mask = low(plan.low_bits);
        self.each(range, |at, r, c| {
            let Some(key) = plan.key(r, c) else { return Err(plan.misplaced(at, r, c)) };
            let room = rooms.get_mut((key >> plan.low_bits) as usize).ok_or(Error::Changed)?;
            room.put(K::cut((key & mask) as usize), (self.slot)(at))
        })?;
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

impl<K, T> Room<'_, K, T> {
    #[inline(always)]
    fn put(&mut self, to_col: K, to_slot: T) -> Result<()> {
        let at = self.next;
        let (Some(col), Some(slot)) = (self.cols.get_mut(at), self.slots.get_mut(at)) else {
            return Err(Error::Changed);
        };
        (*col, *slot) = (to_col, to_slot);
        self.next += 1;
        // Stores are done one after the other: all would wait for one whose line is not there.
        if at.is_multiple_of(STEP) {
            prefetch(self.cols, at + AHEAD);
            prefetch(self.slots, at + AHEAD);
        }
        Ok(())
    }
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

impl<T: Word> Sorter<T> {
    /// Sorts a bucket; `cols` comes with the lower bits of the keys and gets the columns. Asks `check` about every row,
    /// and where in the bucket it has slots; returns whether it never said no.
    fn sort<K: Index>(
        &mut self,
        plan: &Plan,
        bucket: u64,
        cols: &mut [K],
        slots: &mut [T],
        check: impl Fn(usize, Range<usize>) -> bool,
    ) -> bool {
        let place_bits = bits_below(slots.len());
        let (above, mask, col_bits) = (bucket << plan.low_bits, low(plan.low_bits), plan.col_bits);
        let row_of = |key: u64| ((above | key) >> col_bits) as usize;
        let col_of = |key: u64| K::cut(((above | key) & low(col_bits)) as usize);
        // Bits that are in order already need not be sorted by.
        let sorted = if plan.ascending { col_bits.min(plan.low_bits) } else { 0 };
        let len = cols.len().min(slots.len());
        let (cols, slots) = (&mut cols[..len], &mut slots[..len]);
        let fine = Cell::new(true);
        let ask = |row: usize, at: Range<usize>| fine.set(fine.get() & check(row, at));
        // Where a digit is the row, all slots of a row are asked about at once.
        let by_row = sorted == col_bits && digits(plan.low_bits - sorted, len) == 1;
        let starts = |digit: u64, at: Range<usize>| {
            if by_row {
                ask(row_of(digit << sorted), at)
            }
        };
        self.items.clear();
        if T::FITS && plan.low_bits <= 32 {
            let items = cols.iter().zip(&*slots);
            let item = |(key, slot): (&K, &T)| (key.to_i64() as u64 & mask) << 32 | u64::from(slot.to_word());
            self.items.extend(items.map(item));
            radix(&mut self.items, &mut self.other, 32 + sorted..32 + plan.low_bits, starts, |item, to| {
                if !by_row {
                    ask(row_of(item >> 32), to..to + 1);
                }
                (cols[to], slots[to]) = (col_of(item >> 32), T::from_word(item as u32));
            });
            return fine.get();
        }
        self.slots.clear();
        self.slots.extend_from_slice(slots);
        let from = &self.slots[..];
        if plan.low_bits + place_bits > 64 {
            let items = cols.iter().enumerate();
            let mut items: Vec<_> = items.map(|(place, key)| (key.to_i64() as u64 & mask, place)).collect();
            items.sort_unstable();
            for (to, (key, place)) in items.into_iter().enumerate() {
                ask(row_of(key), to..to + 1);
                (cols[to], slots[to]) = (col_of(key), from[place]);
            }
            return fine.get();
        }
        // The key, then the place in the bucket, where the slot is found.
        let items = cols.iter().enumerate();
        self.items.extend(items.map(|(place, key)| (key.to_i64() as u64 & mask) << place_bits | place as u64));
        let bits = place_bits + sorted..place_bits + plan.low_bits;
        radix(&mut self.items, &mut self.other, bits, starts, |item, to| {
            let key = item >> place_bits;
            if !by_row {
                ask(row_of(key), to..to + 1);
            }
            (cols[to], slots[to]) = (col_of(key), from[(item & low(place_bits)) as usize]);
        });
        fine.get()
    }
}
