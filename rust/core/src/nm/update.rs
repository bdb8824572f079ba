//! Some groups written anew, and only those.

use super::bits::write_field;
use super::codes::Codes;
use super::encode::Overfull;
use super::layout::Layout;
use super::pattern::Pattern;
use crate::{Error, Item, Matrix, MatrixMut, Result, par};
use std::ops::Range;

/// Groups whose masks are worked on at once.
const AT_ONCE: usize = 128;

/// About the bytes touched for a group: three lines of the cache.
const WORK: usize = 192;

/// Groups of a matrix.
#[derive(Clone, Copy, Debug)]
pub struct Places<'a> {
    rows: &'a [i64],
    groups: &'a [i64],
}

impl<'a> Places<'a> {
    /// The groups `groups[i]` of the rows `rows[i]`.
    ///
    /// # Errors
    /// One has not as many as the other.
    pub fn new(rows: &'a [i64], groups: &'a [i64]) -> Result<Self> {
        if rows.len() != groups.len() {
            return Err(Error::Length { name: "group", got: groups.len(), want: rows.len() });
        }
        Ok(Self { rows, groups })
    }

    fn iter(self, range: Range<usize>) -> impl Iterator<Item = (usize, usize)> + use<'a> {
        let groups = &self.groups[range.clone()];
        self.rows[range].iter().zip(groups).map(|(&row, &group)| (row as usize, group as usize))
    }

    fn check(self, rows: usize, groups: usize) -> Result<()> {
        for (places, bound) in [(self.rows, rows), (self.groups, groups)] {
            let outside = |place: &i64| usize::try_from(*place).map_or(true, |place| place >= bound);
            if let Some(at) = places.iter().position(outside) {
                return Err(Error::Index { at, got: places[at], bound });
            }
        }
        Ok(())
    }

    /// Ranges of about equal length, no row in two of them, and the rows from each one's first to the next one's; a
    /// single one if rows fall.
    fn pieces(self, rows: usize) -> Vec<(Range<usize>, Range<usize>)> {
        let count = self.rows.len();
        let work = if self.rows.is_sorted() { count.saturating_mul(WORK) } else { 0 };
        let ranges = par::cut(count, 1, work);
        let mut pieces: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for range in ranges {
            let (mut start, mut row) = (0, 0);
            if let Some((before, rows_before)) = pieces.last_mut() {
                row = self.rows[range.start] as usize;
                start = self.rows.partition_point(|&r| (r as usize) < row);
                if start <= before.start {
                    before.end = range.end;
                    continue;
                }
                (before.end, rows_before.end) = (start, row);
            }
            pieces.push((start..range.end, row..rows));
        }
        pieces
    }
}

/// Packs some groups of `w` as [`super::encode`] does, and leaves all others; what `keep` has as 0, if it is not empty,
/// is dropped. Nothing is written if some are overfull: how many, and the first one.
///
/// # Errors
/// An array has the wrong shape, or a place is out of range.
pub fn update<T: Item>(
    w: Matrix<'_, T>,
    keep: Matrix<'_, u8>,
    zero: u64,
    pattern: Pattern,
    at: Places<'_>,
    codes: MatrixMut<'_, u8>,
    slots: MatrixMut<'_, T>,
) -> Result<Option<Overfull>> {
    let layout = Layout::new(pattern, w.cols())?;
    layout.check(w.rows(), (codes.rows(), codes.cols()), (slots.rows(), slots.cols()))?;
    if !keep.items().is_empty() && (keep.rows(), keep.cols()) != (w.rows(), w.cols()) {
        return Err(Error::Length { name: "keep", got: keep.items().len(), want: w.items().len() });
    }
    at.check(w.rows(), layout.groups)?;
    let pieces = at.pieces(w.rows());
    let source = Source { w, keep, zero: T::mask(zero), pattern };
    let ranges = pieces.iter().map(|(range, _)| range.clone()).collect();
    let read = par::map(ranges, |range| source.masks(at, range));
    if let Some(overfull) = read
        .iter()
        .filter_map(|(_, over)| *over)
        .reduce(|first, next| Overfull { groups: first.groups + next.groups, ..first })
    {
        return Ok(Some(overfull));
    }
    let rows: Vec<_> = pieces.iter().map(|(_, rows)| rows.clone()).collect();
    let outs = codes.split(&rows).into_iter().zip(slots.split(&rows));
    let tasks = pieces.into_iter().zip(read.into_iter().zip(outs)).collect();
    par::map(tasks, |((range, rows), ((masks, _), (codes, slots))): ((Range<usize>, Range<usize>), _)| {
        source.write(at, range, rows.start, &masks, codes, slots);
    });
    Ok(None)
}

struct Source<'a, T> {
    w: Matrix<'a, T>,
    keep: Matrix<'a, u8>,
    zero: T,
    pattern: Pattern,
}

impl<'a, T: Item> Source<'a, T> {
    /// The items of a group; a ragged one has fewer than m.
    fn items(&self, row: usize, group: usize) -> &'a [T] {
        let items = &self.w.row(row)[group * self.pattern.m..];
        &items[..items.len().min(self.pattern.m)]
    }

    /// What each group keeps, a bit per column, and whether one keeps too many.
    fn masks(&self, at: Places<'_>, range: Range<usize>) -> (Vec<u32>, Option<Overfull>) {
        let Pattern { n, m, .. } = self.pattern;
        let (mut masks, mut overfull) = (Vec::with_capacity(range.len()), None);
        for (row, group) in at.iter(range) {
            let items = self.items(row, group).iter().enumerate();
            let mut mask = items.fold(0, |mask, (i, item)| mask | u32::from(item.is_nonzero(self.zero)) << i);
            if !self.keep.items().is_empty() {
                let keep = self.keep.row(row)[group * m..].iter().take(m).enumerate();
                mask &= keep.fold(0, |mask, (i, &keep)| mask | u32::from(keep != 0) << i);
            }
            let nonzeros = mask.count_ones() as usize;
            if nonzeros > n {
                overfull.get_or_insert(Overfull { groups: 0, row, group, nonzeros }).groups += 1;
            }
            masks.push(mask);
        }
        (masks, overfull)
    }

    /// Writes codes and slots; `first` is their first row.
    fn write(
        &self,
        at: Places<'_>,
        range: Range<usize>,
        first: usize,
        masks: &[u32],
        mut codes: MatrixMut<'_, u8>,
        mut slots: MatrixMut<'_, T>,
    ) {
        let (n, bits) = (self.pattern.n, self.pattern.bits());
        let table = Codes::of(self.pattern);
        let mut places = at.iter(range);
        for kept in masks.chunks(AT_ONCE) {
            let (mut full, mut ranks) = ([0; AT_ONCE], [0; AT_ONCE]);
            let (full, ranks) = (&mut full[..kept.len()], &mut ranks[..kept.len()]);
            full.copy_from_slice(kept);
            table.complete_and_rank(full, ranks);
            for ((&kept, (&full, &rank)), (row, group)) in kept.iter().zip(full.iter().zip(&*ranks)).zip(&mut places) {
                write_field(codes.row_mut(row - first), group * bits as usize, bits, rank);
                let (items, mut rest) = (self.items(row, group), full);
                for to in &mut slots.row_mut(row - first)[group * n..][..n] {
                    let i = rest.trailing_zeros() as usize;
                    rest &= rest.wrapping_sub(1);
                    *to = if kept >> (i % 32) & 1 == 1 { items[i] } else { T::default() };
                }
            }
        }
    }
}
