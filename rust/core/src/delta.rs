//! Steps between two arrays in the order of their values, modulo the width of an item.

use crate::checksum::xxh3_128;
use crate::gap::push_gap;
use crate::gap_columns::each_column_ahead;
use crate::views::offsets::{fits, lengths, slots_at, span};
use crate::{Error, Index, Item, Result, TILE, par};
use std::ops::Range;

/// Items per task of work without rows.
const PIECE: usize = 1 << 16;

/// An item that has a place in the order of values.
pub trait Keyed: Item {
    /// The place: of floats in the order of values, of integers themselves.
    #[must_use]
    fn key<const FLOATS: bool>(self) -> Self;

    /// The inverse of [`Keyed::key`].
    #[must_use]
    fn back<const FLOATS: bool>(self) -> Self;

    /// `self - other` modulo the width.
    #[must_use]
    fn minus(self, other: Self) -> Self;

    /// `self + other` modulo the width.
    #[must_use]
    fn plus(self, other: Self) -> Self;

    /// The item in the first bytes, which need no alignment.
    ///
    /// # Panics
    /// There are too few.
    #[must_use]
    fn load(bytes: &[u8]) -> Self;

    /// Its bytes into the first of `bytes`.
    ///
    /// # Panics
    /// There are too few.
    fn store(self, bytes: &mut [u8]);

    /// Writes which bits of the items differ.
    fn differ(old: &[u8], new: &[u8], bits: &mut [Self]);
}

/// Words for each row: the checksums of its old and of its new bytes, the high word first, and the low words of those
/// of the items that differ, before and after.
pub const ROW_SUMS: usize = 6;

macro_rules! keyed {
    ($t:ty, $signed:ty) => {
        impl Keyed for $t {
            #[inline(always)]
            fn key<const FLOATS: bool>(self) -> Self {
                let sign = (self as $signed >> (Self::BITS - 1)) as Self; // all bits of a negative float, else none
                if FLOATS { self ^ (sign | 1 << (Self::BITS - 1)) } else { self }
            }
            #[inline(always)]
            fn back<const FLOATS: bool>(self) -> Self {
                let sign = (self as $signed >> (Self::BITS - 1)) as Self;
                if FLOATS { self ^ (!sign | 1 << (Self::BITS - 1)) } else { self }
            }
            #[inline(always)]
            fn minus(self, other: Self) -> Self {
                self.wrapping_sub(other)
            }
            #[inline(always)]
            fn plus(self, other: Self) -> Self {
                self.wrapping_add(other)
            }
            #[inline(always)]
            fn load(bytes: &[u8]) -> Self {
                Self::from_ne_bytes(bytes.as_chunks().0[0])
            }
            #[inline(always)]
            fn store(self, bytes: &mut [u8]) {
                bytes.as_chunks_mut().0[0] = self.to_ne_bytes();
            }
            fn differ(old: &[u8], new: &[u8], bits: &mut [Self]) {
                for ((bits, old), new) in bits.iter_mut().zip(old.as_chunks().0).zip(new.as_chunks().0) {
                    *bits = Self::from_ne_bytes(*old) ^ Self::from_ne_bytes(*new);
                }
            }
        }
    };
}
keyed!(u8, i8);
keyed!(u16, i16);
keyed!(u32, i32);
keyed!(u64, i64);

/// Evaluates `$body` with the constant `$name` set to `$floats`.
macro_rules! by_kind {
    ($floats:expr, $name:ident => $body:expr) => {
        if $floats {
            const $name: bool = true;
            $body
        } else {
            const $name: bool = false;
            $body
        }
    };
}

#[inline]
fn steps_of<T: Keyed, const FLOATS: bool>(old: &[T], new: &[T], steps: &mut [T]) {
    for ((step, old), new) in steps.iter_mut().zip(old).zip(new) {
        *step = new.key::<FLOATS>().minus(old.key::<FLOATS>());
    }
}

#[inline]
fn moved<T: Keyed, const FLOATS: bool>(value: T, step: T) -> T {
    value.key::<FLOATS>().plus(step).back::<FLOATS>()
}

/// Pieces of `len` items, by which work without rows is shared.
fn pieces(len: usize) -> Vec<Range<usize>> {
    (0..len).step_by(PIECE).map(|start| start..(start + PIECE).min(len)).collect()
}

/// Writes the step of every item; gives the number of those that are not 0.
///
/// # Errors
/// The arrays do not have one length.
pub fn delta_steps<T: Keyed>(old: &[T], new: &[T], floats: bool, steps: &mut [T]) -> Result<usize> {
    fits("new", new.len(), old.len())?;
    fits("steps", steps.len(), old.len())?;
    let ranges = pieces(old.len());
    let tasks = ranges.into_iter().zip(steps.chunks_mut(PIECE)).collect();
    let counts = par::map(tasks, |(range, steps): (Range<usize>, &mut [T])| {
        by_kind!(floats, FLOATS => steps_of::<T, FLOATS>(&old[range.clone()], &new[range], steps));
        steps.iter().filter(|&&step| step != T::default()).count()
    });
    Ok(counts.into_iter().sum())
}

/// What a task finds in its rows.
#[derive(Default)]
struct Found<T> {
    /// The bytes and the steps up to the end of each row.
    ends: Vec<(usize, usize)>,
    gaps: Vec<u8>,
    steps: Vec<T>,
    /// Of the row at hand: the bytes of the items that differ.
    before: Vec<u8>,
    after: Vec<u8>,
}

/// Writes the steps that are not 0, and the gaps between them, if there is room for all, the offsets of rows of `cols`
/// items, of which the last may be short, and [`ROW_SUMS`] of each row. `old` and `new` are bytes. Gives how many bytes
/// of gaps and how many steps there are. Reads the inputs once.
///
/// # Errors
/// The arrays do not fit together.
pub fn delta_gaps<T: Keyed, I: Index>(
    (old, new): (&[u8], &[u8]),
    floats: bool,
    cols: usize,
    offsets: (&mut [I], &mut [I]),
    sums: &mut [u64],
    gaps: &mut [u8],
    steps: &mut [T],
) -> Result<(usize, usize)> {
    let (byte_offsets, row_offsets) = offsets;
    fits("new", new.len(), old.len())?;
    fits("old", old.len(), old.len() / size_of::<T>() * size_of::<T>())?;
    let length = cols.min(i32::MAX as usize) * size_of::<T>();
    if length == 0 || cols > i32::MAX as usize {
        return Err(Error::Parameter { name: "cols", got: cols });
    }
    let rows = old.len().div_ceil(length);
    fits("row_offsets", row_offsets.len(), rows + 1)?;
    fits("byte_offsets", byte_offsets.len(), rows + 1)?;
    fits("sums", sums.len(), rows * ROW_SUMS)?;
    let ranges = par::cut(rows, 1, 2 * old.len());
    let outs = par::split_mut(sums, ranges.iter().map(|rows| rows.len() * ROW_SUMS));
    let found = par::map(ranges.into_iter().zip(outs).collect(), |(rows, sums): (Range<usize>, &mut [u64])| {
        let span = rows.start * length..old.len().min(rows.end * length);
        let pair = old[span.clone()].chunks(length).zip(new[span].chunks(length));
        let mut found = Found::default();
        for ((old, new), sums) in pair.zip(sums.as_chunks_mut::<ROW_SUMS>().0) {
            by_kind!(floats, FLOATS => row_gaps::<T, FLOATS>(old, new, &mut found));
            let pairs = [xxh3_128(old), xxh3_128(new)];
            *sums = summed(pairs, &found.before, &found.after);
        }
        found
    });
    let (total, count) = found.iter().fold((0, 0), |(b, s), part| (b + part.gaps.len(), s + part.steps.len()));
    let filled = total <= gaps.len() && count <= steps.len();
    (byte_offsets[0], row_offsets[0]) = (I::default(), I::default());
    let (mut row, mut bytes, mut slots) = (0, 0, 0);
    for part in found {
        for (b, s) in part.ends {
            row += 1;
            (byte_offsets[row], row_offsets[row]) = (I::cut(bytes + b), I::cut(slots + s));
        }
        if filled {
            gaps[bytes..][..part.gaps.len()].copy_from_slice(&part.gaps);
            steps[slots..][..part.steps.len()].copy_from_slice(&part.steps);
        }
        (bytes, slots) = (bytes + part.gaps.len(), slots + part.steps.len());
    }
    Ok((total, count))
}

fn summed(whole: [(u64, u64); 2], before: &[u8], after: &[u8]) -> [u64; ROW_SUMS] {
    [whole[0].0, whole[0].1, whole[1].0, whole[1].1, xxh3_128(before).1, xxh3_128(after).1]
}

fn row_gaps<T: Keyed, const FLOATS: bool>(old: &[u8], new: &[u8], found: &mut Found<T>) {
    let (mut tile, mut bits, mut places, mut next) = ([T::default(); TILE], [0u8; TILE / 8], [0i32; TILE], 0);
    let width = size_of::<T>();
    found.before.clear();
    found.after.clear();
    for (i, (old, new)) in old.chunks(TILE * width).zip(new.chunks(TILE * width)).enumerate() {
        let tile = &mut tile[..old.len() / width];
        let bits = &mut bits[..tile.len().div_ceil(8)];
        T::differ(old, new, tile);
        let count = T::nonzero_bits(tile, T::mask(u64::MAX), bits);
        let (steps, kept) = (found.steps.len(), found.before.len());
        found.gaps.reserve(count);
        found.steps.resize(steps + count, T::default());
        found.before.resize(kept + count * width, 0);
        found.after.resize(kept + count * width, 0);
        i32::positions(bits, 0, &mut places);
        let kept = found.before[kept..].chunks_exact_mut(width).zip(found.after[kept..].chunks_exact_mut(width));
        for ((&place, step), (before, after)) in places.iter().zip(&mut found.steps[steps..]).zip(kept) {
            let at = place as usize;
            let (a, b) = (T::load(&old[at * width..]), T::load(&new[at * width..]));
            push_gap(i * TILE + at - next, &mut found.gaps);
            next = i * TILE + at + 1;
            *step = b.key::<FLOATS>().minus(a.key::<FLOATS>());
            a.store(before);
            b.store(after);
        }
    }
    found.ends.push((found.gaps.len(), found.steps.len()));
}

/// Moves every item of `values` by its step.
///
/// # Errors
/// The arrays do not have one length.
pub fn add_steps<T: Keyed>(steps: &[T], floats: bool, values: &mut [T]) -> Result<()> {
    fits("values", values.len(), steps.len())?;
    par::run(steps.chunks(PIECE).zip(values.chunks_mut(PIECE)).collect(), |(steps, values)| {
        by_kind!(floats, FLOATS => {
            for (value, &step) in values.iter_mut().zip(steps) {
                *value = moved::<T, FLOATS>(*value, step);
            }
        });
        Ok(())
    })
}

/// What [`add_gaps`] takes checksums of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Summed {
    /// Nothing.
    Nothing,
    /// The items that move.
    Moved,
    /// These, and all bytes.
    All,
}

/// Moves the items of `values`, bytes in rows of `cols` items, that the gaps name by their steps; first they become
/// those of `base`, unless that is empty. Writes [`ROW_SUMS`] of each row, as far as they are `wanted`.
///
/// # Errors
/// The arrays do not fit together, or a place lies beyond the last item; then some may have moved.
#[expect(clippy::too_many_arguments, reason = "those of its definition")]
pub fn add_gaps<T: Keyed, I: Index>(
    base: &[u8],
    gaps: &[u8],
    (byte_offsets, row_offsets): (&[I], &[I]),
    steps: &[T],
    floats: bool,
    cols: usize,
    wanted: Summed,
    sums: &mut [u64],
    values: &mut [u8],
) -> Result<()> {
    fits("byte_offsets", byte_offsets.len(), row_offsets.len())?;
    let (bytes, slots) = (span(byte_offsets, gaps.len())?, span(row_offsets, steps.len())?);
    fits("steps", steps.len(), slots.len())?;
    fits("sums", sums.len(), (row_offsets.len() - 1) * ROW_SUMS)?;
    if !base.is_empty() {
        fits("base", base.len(), values.len())?;
    }
    let length = cols.saturating_mul(size_of::<T>());
    let far = wanted != Summed::All && base.is_empty(); // else all of a row has just been read
    let work = if far { 0 } else { values.len() };
    let ranges = par::cut_by(row_offsets, 1, work + bytes.len() + size_of_val(steps) + 64 * steps.len());
    lengths(row_offsets, &ranges, slots.len())?;
    let outs = par::split_mut(values, ranges.iter().map(|rows| rows.len().saturating_mul(length)));
    let rows_sums = par::split_mut(sums, ranges.iter().map(|rows| rows.len() * ROW_SUMS));
    par::run(ranges.into_iter().zip(outs.into_iter().zip(rows_sums)).collect(), |(rows, (values, sums))| {
        let first = rows.start;
        let (mut before, mut after) = (Vec::new(), Vec::new());
        for (row, sums) in rows.zip(sums.as_chunks_mut::<ROW_SUMS>().0) {
            let start = (row - first).saturating_mul(length).min(values.len());
            let end = start.saturating_add(length).min(values.len());
            let mut out = &mut values[start..end];
            if !base.is_empty() {
                out.copy_from_slice(&base[row.saturating_mul(length).min(base.len())..][..out.len()]);
            }
            let wrong = |name| Error::Offsets { name, at: row };
            let bytes = &gaps[slots_at(byte_offsets, row, &bytes).map_err(|_| wrong("byte_offsets"))?];
            let steps = &steps[slots_at(row_offsets, row, &slots)?];
            let old = if wanted == Summed::All { xxh3_128(out) } else { (0, 0) };
            let mut at = 0;
            let room = if wanted == Summed::Nothing { 0 } else { size_of_val(steps) };
            before.resize(room, 0);
            after.resize(room, 0);
            by_kind!(floats, FLOATS => each_column_ahead(bytes, size_of::<T>(), &mut out, far, |out, col| {
                let beyond = Error::Index { at, got: col as i64, bound: out.len() / size_of::<T>() };
                let place = col.saturating_mul(size_of::<T>());
                let item = out.get_mut(place..place.saturating_add(size_of::<T>()));
                let (Some(item), Some(&step)) = (item, steps.get(at)) else { return Err(beyond) };
                let old = T::load(item);
                let new = moved::<T, FLOATS>(old, step);
                new.store(item);
                if wanted != Summed::Nothing {
                    let kept = at * size_of::<T>()..(at + 1) * size_of::<T>();
                    old.store(&mut before[kept.clone()]);
                    new.store(&mut after[kept]);
                }
                at += 1;
                Ok(())
            }))?;
            if at != steps.len() {
                return Err(wrong("row_offsets"));
            }
            if wanted != Summed::Nothing {
                let new = if wanted == Summed::All { xxh3_128(out) } else { (0, 0) };
                *sums = summed([old, new], &before, &after);
            }
        }
        Ok(())
    })
}
