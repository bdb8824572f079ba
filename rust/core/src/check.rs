//! Checks of arrays from outside: what is wrong first, and where.

use crate::item::bound;
use crate::views::Coo;
use crate::views::offsets::{fits, slots_of};
use crate::{Error, Index, Kernels, Matrix, Result, par};
use std::ops::Range;

/// What is wrong. The numbers are those of `sparsefmt.kernels.checks`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The first offset is not 0.
    Start = 1,
    /// An offset is below the one before it.
    Falls,
    /// The last offset is not the number of slots.
    End,
    /// A column is out of range.
    Range,
    /// A slot does not come after the one before it.
    Order,
    /// A row is out of range.
    RowRange,
    /// A bit beyond the last column is set.
    Padding,
    /// A row has another number of set bits than the offsets tell.
    Count,
}

/// The first fault and its position, if there is one.
pub type Finding = Option<(Fault, usize)>;

/// Slots that are looked at together; only where something is wrong are they looked at one by one.
const CHUNK: usize = 1024;

/// The first position of each kind of fault in one piece of the work, most important kind first.
type Firsts<const N: usize> = [Option<usize>; N];

/// The most important kind of fault, and there the first position.
pub(crate) fn choose<const N: usize>(kinds: [Fault; N], found: Vec<Result<Firsts<N>>>) -> Result<Finding> {
    let found = found.into_iter().collect::<Result<Vec<_>>>()?;
    let first = |kind: usize| found.iter().find_map(|firsts| firsts[kind]);
    Ok(kinds.into_iter().enumerate().find_map(|(kind, fault)| first(kind).map(|at| (fault, at))))
}

fn ends<I: Index>(name: &'static str, offsets: &[I]) -> Result<(I, I)> {
    match offsets {
        [only] => Ok((*only, *only)),
        [first, .., last] => Ok((*first, *last)),
        [] => Err(Error::Length { name, got: 0, want: 1 }),
    }
}

/// Looks for `Start`, `Falls` (at a row), `End`, `Range` (at a slot), `Order` (at a slot), in this order.
///
/// # Errors
/// `indptr` is empty, or changes meanwhile.
pub fn csr_check<I: Index>(indptr: &[I], indices: &[I], cols: usize) -> Result<Finding> {
    let (first, last) = ends("indptr", indptr)?;
    let cols = bound(cols);
    if first != I::default() {
        return Ok(Some((Fault::Start, 0)));
    }
    let falls = par::map(par::cut(indptr.len() - 1, 1, size_of_val(indptr)), |rows| {
        let at = indptr[rows.start..=rows.end].windows(2).position(|pair| pair[1] < pair[0]);
        at.map(|at| rows.start + at)
    });
    if let Some(at) = falls.into_iter().find_map(|at| at) {
        return Ok(Some((Fault::Falls, at)));
    }
    if last.to_i64() != indices.len() as i64 {
        return Ok(Some((Fault::End, 0)));
    }
    let ranges = par::cut_by(indptr, 1, size_of_val(indices) + size_of_val(indptr));
    let found = par::map(ranges, |rows| {
        let mut order = None;
        let mut at = usize::try_from(indptr[rows.start].to_i64()).map_err(|_| Error::Changed)?;
        for row in rows {
            let end = at.checked_add(slots_of(indptr, row)?).ok_or(Error::Changed)?;
            let slots = indices.get(at..end).ok_or(Error::Changed)?;
            let range = row_faults(slots, cols, at, &mut order);
            if range.is_some() {
                return Ok([range, order]);
            }
            at = end;
        }
        Ok([None, order])
    });
    choose([Fault::Range, Fault::Order], found)
}

/// The first index of a row that is out of range; the first that does not ascend goes to `order`, if nothing is there.
/// The row begins at slot `start`.
fn row_faults<I: Index>(row: &[I], cols: usize, start: usize, order: &mut Option<usize>) -> Option<usize> {
    let [first, .., last] = row else {
        return row.first().filter(|only| only.below(cols).is_none()).map(|_| start);
    };
    let ascends = row.iter().zip(&row[1..]).fold(true, |ok, (a, b)| ok & (a < b));
    if ascends && first.below(cols).is_some() && last.below(cols).is_some() {
        return None;
    }
    *order = order.or_else(|| row.windows(2).position(|pair| pair[1] <= pair[0]).map(|at| start + at + 1));
    row.iter().position(|index| index.below(cols).is_none()).map(|at| start + at)
}

/// Looks for `RowRange`, `Range` (of a column), `Order`, in this order, each at a slot.
///
/// # Errors
/// The slots change meanwhile.
pub fn coo_check<I: Index>(coo: Coo<'_, I>) -> Result<Finding> {
    let (row, col) = (coo.row(), coo.col());
    let (rows, cols) = (bound(coo.shape().0), bound(coo.shape().1));
    let found = par::map(par::cut(row.len(), 1, 2 * size_of_val(row)), |range| {
        let mut firsts = [None; 3];
        for start in range.clone().step_by(CHUNK) {
            let chunk = start..(start + CHUNK).min(range.end);
            coo_faults(row, col, chunk, (rows, cols), &mut firsts);
        }
        Ok(firsts)
    });
    choose([Fault::RowRange, Fault::Range, Fault::Order], found)
}

fn coo_faults<I: Index>(row: &[I], col: &[I], chunk: Range<usize>, shape: (usize, usize), firsts: &mut Firsts<3>) {
    let before = chunk.start.saturating_sub(1)..chunk.end - 1;
    let after = before.start + 1..chunk.end;
    let key = |range: Range<usize>| row[range.clone()].iter().zip(&col[range]);
    let in_range = key(chunk.clone())
        .fold(true, |ok, (row, col)| ok & row.below(shape.0).is_some() & col.below(shape.1).is_some());
    // Unsorted input is out of order everywhere: only the first place is looked for.
    let ascends = firsts[2].is_some()
        || key(before.clone())
            .zip(key(after.clone()))
            .fold(true, |ok, (a, b)| ok & ((a.0 < b.0) | ((a.0 == b.0) & (a.1 < b.1))));
    if in_range & ascends {
        return;
    }
    let first = |at: Option<usize>, start: usize| at.map(|at| at + start);
    let faults = [
        first(row[chunk.clone()].iter().position(|row| row.below(shape.0).is_none()), chunk.start),
        first(col[chunk.clone()].iter().position(|col| col.below(shape.1).is_none()), chunk.start),
        first(key(before).zip(key(after.clone())).position(|(a, b)| b <= a), after.start),
    ];
    for (first, fault) in firsts.iter_mut().zip(faults) {
        *first = first.or(fault);
    }
}

/// Looks for `Start`, `Count` (at a row), `Padding` (at a row), in this order.
///
/// # Errors
/// `row_offsets` does not have an entry more than there are rows of bits.
pub fn bits_check<I: Index>(bits: Matrix<'_, u8>, row_offsets: &[I], cols: usize) -> Result<Finding> {
    let (first, _) = ends("row_offsets", row_offsets)?;
    let rows = bits.rows();
    fits("row_offsets", row_offsets.len() - 1, rows)?;
    if first != I::default() {
        return Ok(Some((Fault::Start, 0)));
    }
    let found = par::map(par::cut(rows, 1, bits.items().len() + size_of_val(row_offsets)), |range| {
        let mut firsts = [None; 2];
        let kernels = Kernels::active();
        for row in range {
            let bits = bits.row(row);
            let count = kernels.count_bits(bits);
            if slots_of(row_offsets, row).ok() != Some(count) {
                firsts[0] = firsts[0].or(Some(row));
            }
            if is_padded(bits, cols) {
                firsts[1] = firsts[1].or(Some(row));
            }
        }
        Ok(firsts)
    });
    choose([Fault::Count, Fault::Padding], found)
}

/// Whether a bit at or beyond `cols` is set.
fn is_padded(row: &[u8], cols: usize) -> bool {
    let Some((last, rest)) = row.get(cols / 8..).and_then(<[u8]>::split_first) else { return false };
    last >> (cols % 8) != 0 || rest.iter().any(|&byte| byte != 0)
}
