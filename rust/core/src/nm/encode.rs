//! Dense and other sources to N:M.

use super::codes::{Codes, Over};
use super::coding::{Coding, Plain, room_for};
use super::layout::{Layout, NO_BITS};
use super::pattern::Pattern;
use super::prune::Ranked;
use super::slots::Slot;
use crate::{Matrix, MatrixMut, Result, TILE, par};
use sparsefmt_kernels::{Kernels, Order};
use std::ops::Range;

/// Groups that hold more than n nonzeros.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overfull {
    /// How many there are.
    pub groups: usize,
    /// The row of the first one.
    pub row: usize,
    /// The first one, counted in its row.
    pub group: usize,
    /// The nonzeros in the first one.
    pub nonzeros: usize,
}

/// Where the items of a row of a matrix come from; each thread has its own.
pub(super) trait Source<T> {
    /// Called before the first tile of a row.
    fn start(&mut self, _row: usize) -> Result<()> {
        Ok(())
    }

    /// The items of a tile; sets the bits of those to be kept in `keep`, a bit per item.
    fn tile(&mut self, row: usize, cols: Range<usize>, keep: &mut [u8]) -> Result<&[T]>;

    /// Packs a tile as 2 of 4 in one go: `false` if there is no kernel for it, or a group is overfull; codes and slots
    /// are unspecified then.
    fn nm24_pack(&mut self, _row: usize, _cols: Range<usize>, _codes: &mut [u8], _slots: &mut [T]) -> bool {
        false
    }
}

struct Dense<'a, T> {
    w: Matrix<'a, T>,
    zero: T,
}

impl<T: Slot> Source<T> for Dense<'_, T> {
    fn tile(&mut self, row: usize, cols: Range<usize>, keep: &mut [u8]) -> Result<&[T]> {
        let items = &self.w.row(row)[cols];
        T::nonzero_bits(items, self.zero, keep);
        Ok(items)
    }

    fn nm24_pack(&mut self, row: usize, cols: Range<usize>, codes: &mut [u8], slots: &mut [T]) -> bool {
        T::nm24_pack(&self.w.row(row)[cols], None, self.zero, codes, slots)
    }
}

struct Pruned<'a, T> {
    w: Matrix<'a, T>,
    zero: T,
    order: Order<T>,
    pattern: Pattern,
}

impl<T: Ranked> Source<T> for Pruned<'_, T> {
    fn tile(&mut self, row: usize, cols: Range<usize>, keep: &mut [u8]) -> Result<&[T]> {
        let items = &self.w.row(row)[cols];
        let mut top = NO_BITS;
        T::topk_bits(items, self.order, self.pattern, &mut top[..keep.len()]);
        T::nonzero_bits(items, self.zero, keep);
        keep.iter_mut().zip(&top).for_each(|(keep, top)| *keep &= top);
        Ok(items)
    }

    fn nm24_pack(&mut self, row: usize, cols: Range<usize>, codes: &mut [u8], slots: &mut [T]) -> bool {
        T::nm24_pack(&self.w.row(row)[cols], Some(self.order), self.zero, codes, slots)
    }
}

/// Packs the nonzero items of `w`. `codes` and `slots` have a row for each of its rows, long enough or longer, and are
/// completed by zeros. They are unspecified if some groups are overfull.
///
/// # Errors
/// `codes` or `slots` has the wrong shape.
pub fn encode<T: Slot>(
    w: Matrix<'_, T>,
    zero: u64,
    pattern: Pattern,
    codes: MatrixMut<'_, u8>,
    slots: MatrixMut<'_, T>,
) -> Result<Option<Overfull>> {
    pack_rows(pattern, (w.rows(), w.cols()), codes, slots, || Dense { w, zero: T::mask(zero) })
}

/// [`encode`], with a row of codes stored as `coding` says for every one of `w`.
///
/// # Errors
/// `slots` has the wrong shape.
pub(crate) fn encode_stored<T: Slot>(
    w: Matrix<'_, T>,
    zero: u64,
    pattern: Pattern,
    coding: &impl Coding,
    stored: MatrixMut<'_, u8>,
    slots: MatrixMut<'_, T>,
) -> Result<Option<Overfull>> {
    let layout = Layout::new(pattern, w.cols())?;
    store_rows(&layout, w.rows(), coding, stored, slots, || Dense { w, zero: T::mask(zero) })
}

/// Packs the n items of largest magnitude of every group, less those that are zero.
///
/// # Errors
/// As [`encode`].
pub fn prune_encode<T: Ranked>(
    w: Matrix<'_, T>,
    zero: u64,
    order: Order<T>,
    pattern: Pattern,
    codes: MatrixMut<'_, u8>,
    slots: MatrixMut<'_, T>,
) -> Result<()> {
    let source = || Pruned { w, zero: T::mask(zero), order, pattern };
    pack_rows(pattern, (w.rows(), w.cols()), codes, slots, source).map(drop)
}

/// [`prune_encode`], with a row of codes stored as `coding` says for every one of `w`.
///
/// # Errors
/// `slots` has the wrong shape.
pub(crate) fn prune_encode_stored<T: Ranked>(
    w: Matrix<'_, T>,
    zero: u64,
    order: Order<T>,
    pattern: Pattern,
    coding: &impl Coding,
    stored: MatrixMut<'_, u8>,
    slots: MatrixMut<'_, T>,
) -> Result<()> {
    let layout = Layout::new(pattern, w.cols())?;
    let source = || Pruned { w, zero: T::mask(zero), order, pattern };
    store_rows(&layout, w.rows(), coding, stored, slots, source).map(drop)
}

/// Packs one row, or a part of one that starts with a group whose code starts on a byte; tells whether no group is
/// overfull. With `order`: the n items of largest magnitude of every group. `codes` and `slots` are completed by zeros.
///
/// # Errors
/// `codes` or `slots` is too short.
pub(crate) fn encode_row<T: Ranked>(
    items: &[T],
    zero: u64,
    order: Option<Order<T>>,
    pattern: Pattern,
    codes: &mut [u8],
    slots: &mut [T],
) -> Result<bool> {
    let (layout, table) = (Layout::new(pattern, items.len())?, Codes::of(pattern));
    layout.check(1, (1, codes.len()), (1, slots.len()))?;
    let zero = T::mask(zero);
    let w = Matrix::new("w", items, 1, items.len())?;
    let over = match order {
        Some(order) => pack_row(&layout, table, 0, &mut Pruned { w, zero, order, pattern }, codes, slots)?,
        None => pack_row(&layout, table, 0, &mut Dense { w, zero }, codes, slots)?,
    };
    Ok(over.is_none())
}

/// Packs the items that `source` gives for every row.
pub(super) fn pack_rows<T: Slot, S: Source<T>>(
    pattern: Pattern,
    (rows, cols): (usize, usize),
    codes: MatrixMut<'_, u8>,
    slots: MatrixMut<'_, T>,
    source: impl Fn() -> S + Sync + Send,
) -> Result<Option<Overfull>> {
    let layout = Layout::new(pattern, cols)?;
    layout.check_codes(rows, (codes.rows(), codes.cols()))?;
    store_rows(&layout, rows, &Plain, codes, slots, source)
}

/// Packs the items that `source` gives for every row. `stored` has a row for each, of the length that `coding` needs.
fn store_rows<T: Slot, S: Source<T>>(
    layout: &Layout,
    rows: usize,
    coding: &impl Coding,
    mut stored: MatrixMut<'_, u8>,
    mut slots: MatrixMut<'_, T>,
    source: impl Fn() -> S + Sync + Send,
) -> Result<Option<Overfull>> {
    layout.check_slots(rows, (slots.rows(), slots.cols()))?;
    if layout.cols == 0 {
        stored.items_mut().fill(0);
        slots.items_mut().fill(T::default());
        return Ok(None);
    }
    let table = Codes::of(layout.pattern);
    let ranges = par::cut(rows, 1, rows.saturating_mul(layout.cols).saturating_mul(size_of::<T>()));
    let outs: Vec<_> = stored.split(&ranges).into_iter().zip(slots.split(&ranges)).collect();
    let tasks = ranges.into_iter().zip(outs).collect();
    let found = par::map(tasks, |(rows, (mut stored, mut slots)): (Range<usize>, _)| {
        let (mut source, mut room) = (source(), room_for(coding)?);
        let mut overfull: Option<Overfull> = None;
        for (at, row) in rows.enumerate() {
            source.start(row)?;
            let over = coding.store(stored.row_mut(at), &mut room, |codes| {
                pack_row(layout, table, row, &mut source, codes, slots.row_mut(at))
            })?;
            if let Some(Over { count, group, nonzeros }) = over {
                let first = Overfull { groups: 0, row, group, nonzeros: nonzeros as usize };
                overfull.get_or_insert(first).groups += count;
            }
        }
        Ok(overfull)
    });
    let mut overfull: Option<Overfull> = None;
    for piece in found {
        if let Some(piece) = piece? {
            match &mut overfull {
                None => overfull = Some(piece),
                Some(first) => first.groups += piece.groups,
            }
        }
    }
    Ok(overfull)
}

fn pack_row<T: Slot>(
    layout: &Layout,
    table: &Codes,
    row: usize,
    source: &mut impl Source<T>,
    codes: &mut [u8],
    slots: &mut [T],
) -> Result<Option<Over>> {
    let Pattern { n, m, .. } = layout.pattern;
    let (codes, code_padding) = codes.split_at_mut(layout.code_bytes);
    let (slots, slot_padding) = slots.split_at_mut(layout.slots);
    code_padding.fill(0);
    slot_padding.fill(T::default());
    let mut over: Option<Over> = None;
    let (mut keep, mut full) = (NO_BITS, NO_BITS);
    for tile in layout.tiles() {
        let columns = tile.start..tile.start + tile.cols;
        if (n, m) == (2, 4) && tile.cols.is_multiple_of(Kernels::FOURS) {
            let (codes, slots) =
                (&mut codes[tile.code..][..tile.cols / 32 * 3], &mut slots[tile.slot..][..tile.cols / 2]);
            if source.nm24_pack(row, columns.clone(), codes, slots) {
                continue;
            }
        }
        let (bits, behind) = keep.split_at_mut(tile.cols.div_ceil(8));
        let items = source.tile(row, columns, bits)?;
        if tile.groups < layout.pattern.tile() {
            behind.fill(0); // of the tile before
        }
        let end = (tile.code + (tile.groups * layout.pattern.bits() as usize).div_ceil(8)).min(codes.len());
        if let Some(found) = table.pack(&keep, tile.groups, &mut full, &mut codes[tile.code..end]) {
            let first = Over { count: 0, group: tile.first + found.group, ..found };
            over.get_or_insert(first).count += found.count;
        } else if over.is_none() {
            let slots = &mut slots[tile.slot..];
            let bytes = (tile.groups * m).div_ceil(8);
            if tile.cols == tile.groups * m {
                T::pack(items, &keep[..bytes], &full[..bytes], slots);
            } else {
                let mut completed = [T::default(); TILE];
                completed[..tile.cols].copy_from_slice(items);
                T::pack(&completed[..tile.groups * m], &keep[..bytes], &full[..bytes], slots);
            }
        }
    }
    Ok(over)
}
