//! Encoding in one reading: tasks count a piece of the input while it comes into the second-level cache, learn from the
//! task before where their output begins, and fill from the cache.

use crate::bsr::Block;
use crate::csr::take_items;
use crate::views::offsets::fits;
use crate::{Error, Index, Item, Matrix, Result, TILE, par};
use std::ops::Range;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// Bytes of input per task: they stay in the second-level cache between counting and filling.
const PIECE: usize = 1 << 18;

/// Looks at the turn before a waiting thread lets others have its CPU.
const SPINS: u32 = 1 << 10;

/// Something that tasks take from, one after the other.
pub(crate) struct Turns<S> {
    turn: AtomicUsize,
    shared: Mutex<S>,
}

/// The turn of a task, which passes on when this is dropped. Tasks must be started in order: then the first that is
/// not done is never waiting, and nobody waits for ever.
pub(crate) struct Turn<'a, S> {
    turns: &'a Turns<S>,
    at: usize,
}

impl<S> Turns<S> {
    pub(crate) fn new(shared: S) -> Self {
        Self { turn: AtomicUsize::new(0), shared: Mutex::new(shared) }
    }

    /// The turn of task `at`; there must be one for each task.
    pub(crate) fn of(&self, at: usize) -> Turn<'_, S> {
        Turn { turns: self, at }
    }

    /// What is left when all had their turn.
    pub(crate) fn done(self) -> S {
        self.shared.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S> Turn<'_, S> {
    /// Waits for those before, takes, and lets the next one take.
    pub(crate) fn take<R>(self, take: impl FnOnce(&mut S) -> R) -> R {
        self.wait();
        take(&mut self.turns.shared.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn wait(&self) {
        let mut spins = 0;
        while self.turns.turn.load(Ordering::Acquire) != self.at {
            if spins < SPINS {
                spins += 1;
                std::hint::spin_loop();
            } else {
                std::thread::yield_now();
            }
        }
    }
}

impl<S> Drop for Turn<'_, S> {
    fn drop(&mut self) {
        self.wait();
        self.turns.turn.store(self.at + 1, Ordering::Release);
    }
}

/// Where the output of a task begins, and its indices and slots, if there is room for them.
type Part<'a, T, I> = (usize, Option<(&'a mut [I], &'a mut [T])>);

/// Room for indices and slots, of which tasks take their parts from the front.
pub(crate) struct Room<'a, T, I> {
    indices: &'a mut [I],
    slots: &'a mut [T],
    /// Slots per index.
    per: usize,
    /// What all tasks asked for so far.
    pub(crate) asked: usize,
}

impl<'a, T, I> Room<'a, T, I> {
    pub(crate) fn new(indices: &'a mut [I], slots: &'a mut [T], per: usize) -> Self {
        Self { indices, slots, per, asked: 0 }
    }

    /// Where the next `count` begin, and their part, if there is room.
    pub(crate) fn take(&mut self, count: usize) -> Part<'a, T, I> {
        let start = self.asked;
        self.asked += count;
        let slots =
            count.checked_mul(self.per).filter(|&slots| slots <= self.slots.len() && count <= self.indices.len());
        let part =
            slots.and_then(|slots| Some((self.indices.split_off_mut(..count)?, self.slots.split_off_mut(..slots)?)));
        if part.is_none() {
            (self.indices, self.slots) = (&mut [], &mut []);
        }
        (start, part)
    }
}

/// Ranges of as many lines of `bytes` as make a piece.
pub(crate) fn pieces(lines: usize, bytes: usize) -> Vec<Range<usize>> {
    let per = (PIECE / bytes.max(1)).max(1);
    (0..lines).step_by(per).map(|start| start..lines.min(start + per)).collect()
}

/// Writes the offsets of all rows into `indptr`, and the columns and items of the nonzero items of `w`, row by row, if
/// there is room for all; else the two hold anything. Returns the number of nonzero items.
///
/// # Errors
/// `indptr` does not have an entry more than there are rows.
pub fn dense_to_csr_within<T: Item, I: Index>(
    w: Matrix<'_, T>,
    zero: u64,
    indptr: &mut [I],
    indices: &mut [I],
    slots: &mut [T],
) -> Result<usize> {
    let Some((first, ends)) = indptr.split_first_mut() else {
        return Err(Error::Length { name: "indptr", got: 0, want: 1 });
    };
    *first = I::default();
    fits("indptr", ends.len(), w.rows())?;
    let cols = w.cols();
    let ranges = pieces(ends.len(), cols * size_of::<T>());
    let ends = par::split_mut(ends, ranges.iter().map(ExactSizeIterator::len));
    let turns = Turns::new(Room::new(indices, slots, 1));
    let row_bytes = cols.div_ceil(8);
    par::map(
        ranges.into_iter().zip(ends).enumerate().collect(),
        |(at, (rows, ends)): (_, (Range<usize>, &mut [I]))| {
            let turn = turns.of(at);
            let mut bits = vec![0; rows.len() * row_bytes];
            let mut count = 0;
            for (i, end) in ends.iter_mut().enumerate() {
                let row = w.row(rows.start + i);
                count += T::nonzero_bits(row, T::mask(zero), &mut bits[i * row_bytes..][..row_bytes]);
                *end = I::cut(count);
            }
            let (start, part) = turn.take(|room| room.take(count));
            let (indices, slots) = part.unwrap_or_default();
            let mut written = 0;
            for (i, end) in ends.iter_mut().enumerate() {
                let row = w.row(rows.start + i);
                let tiles = row.chunks(TILE).zip(bits[i * row_bytes..][..row_bytes].chunks(TILE / 8)).enumerate();
                for (tile, (items, bits)) in tiles {
                    let (Some(indices), Some(slots)) = (indices.get_mut(written..), slots.get_mut(written..)) else {
                        break;
                    };
                    written += take_items(items, bits, tile * TILE, indices, slots);
                }
                *end = I::cut((end.to_i64() as usize).wrapping_add(start));
            }
        },
    );
    Ok(turns.done().asked)
}

/// Counts the nonzero items in as many blocks of `w` as there are `counts`, spread evenly: block `i * G mod 2^64`,
/// scaled from 2^64 to the number of blocks, where G is 2^64 over the golden ratio.
pub fn dense_sample<T: Item, I: Index>(w: Matrix<'_, T>, zero: u64, block: Block, counts: &mut [I]) {
    const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
    let across = w.cols().div_ceil(block.c);
    let blocks = w.rows().div_ceil(block.r) as u128 * across as u128;
    let work = counts.len() * block.r.min(w.rows()) * block.c.min(w.cols()) * size_of::<T>();
    let ranges = par::cut(counts.len(), 1, work);
    let outs = par::split_mut(counts, ranges.iter().map(ExactSizeIterator::len));
    par::map(ranges.into_iter().zip(outs).collect(), |(range, counts): (Range<usize>, &mut [I])| {
        let mut bits = [0; TILE / 8];
        for (i, count) in range.zip(counts) {
            let at = ((u128::from((i as u64).wrapping_mul(GOLDEN)) * blocks) >> 64) as usize;
            let (row, col) = (at / across.max(1) * block.r, at % across.max(1) * block.c);
            let width = block.c.min(w.cols().saturating_sub(col));
            let rows = row..row.saturating_add(block.r).min(w.rows());
            let tiles = rows.flat_map(|row| w.row(row)[col..][..width].chunks(TILE));
            let found = tiles.map(|tile| T::nonzero_bits(tile, T::mask(zero), &mut bits[..tile.len().div_ceil(8)]));
            *count = I::cut(found.sum());
        }
    });
}
