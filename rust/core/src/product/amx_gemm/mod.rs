//! More than 16 columns where the CPU multiplies tiles of bfloat16 (AMX): `w` is decoded a block of 32 rows at a time,
//! as the parts of its values, and multiplied with all columns of `x`, whose parts were packed before.
//!
//! A value is the exact sum of its parts. Products of parts are exact too, and rounding happens in sums alone, as long
//! as nothing is subnormal or overflows. That is looked after: numbers beyond what `Limits` allow, NaN and infinities
//! fall back to another way. What is left out, products of the smallest parts, is at most eps(float32) of each product.

mod parts;
mod rows;
#[cfg(test)]
mod tests;
mod work;

use super::masked_rows::Masked;
use super::values::Values;
use crate::{MatrixMut, Result, par};
use parts::Parts;
use rows::DecodedRows;
use sparsefmt_kernels::{
    BlockSums, Extent, Kernels, LeftRows, PairTile, TILE_DEPTH, TILE_ROWS, TILE_WIDTH, TileSession, TileUnit,
};
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};
pub(super) use work::Right;
use work::Work;

/// Columns of `x` that are packed together.
const MOST_WIDTH: usize = 256;

/// Bytes of packed `x`, which stay in the second-level cache of each core (2 MiB where there are tiles).
pub(super) const PACKED_BYTES: usize = 1 << 20;

/// Rows of `x` that are packed at a time, and what the rows that are packed together are a multiple of.
const SPAN: usize = 512;

/// Columns of a block.
const BLOCK: usize = 2 * TILE_WIDTH;

/// `out = w @ x`, if that is the way to go; returns false, and leaves `out` unspecified, if not.
pub(super) fn run(w: &impl Masked, values: &Values<'_>, x: Right<'_>, out: &mut MatrixMut<'_, f32>) -> Result<bool> {
    match Kernels::active().tiles() {
        Some(unit) => run_on(unit, w, values, x, out),
        None => Ok(false),
    }
}

/// Columns of `x` for which a tile is better than registers.
const MIN_COLS: usize = TILE_WIDTH + 1;

/// Whether tiles multiply so many rows, columns and slots by `k` columns, on a CPU that has them.
pub(super) fn takes(shape: (usize, usize), slots: usize, k: usize) -> bool {
    Kernels::active().tiles().is_some() && fits(shape, slots, k)
}

/// The same, wherever.
fn fits((rows, cols): (usize, usize), slots: usize, k: usize) -> bool {
    // Where most of `w` is zeros, kernels that leave them out have less to do.
    k >= MIN_COLS && rows >= TILE_WIDTH && cols > 0 && slots >= rows.saturating_mul(cols) / 4
}

/// Products of parts that are not left out.
pub(super) fn products(left: usize, right: usize) -> usize {
    (0..left).map(|p| (0..right).filter(|q| p + q <= 2).count()).sum()
}

fn run_on(
    unit: TileUnit,
    w: &impl Masked,
    values: &Values<'_>,
    x: Right<'_>,
    out: &mut MatrixMut<'_, f32>,
) -> Result<bool> {
    let ((rows, cols), k) = (w.shape(), out.cols());
    if rows == 0 || !fits((rows, cols), w.slots(rows - 1)?.end.saturating_sub(w.slots(0)?.start), k) {
        return Ok(false);
    }
    let parts = match x {
        Right::Bf16(_) => Some(Parts { left: 1, right: 1, limits: None }),
        Right::F32(x) => {
            let ranges = par::cut(x.items().len(), 64, size_of_val(x.items()) / 4);
            let found = par::map(ranges, |range| Kernels::active().extent(&x.items()[range]));
            Parts::new(values, found.into_iter().fold(Extent::NONE, Extent::and), cols)
        }
    };
    let Some(parts) = parts else { return Ok(false) };
    let work = Work { unit, w, values, x, parts, beyond: AtomicBool::new(false) };
    let mut room = Vec::new();
    for first in (0..k).step_by(MOST_WIDTH) {
        let columns = first..k.min(first + MOST_WIDTH);
        let per_row = columns.len().next_multiple_of(TILE_WIDTH) * parts.right * 2;
        let pieces = cols.div_ceil((PACKED_BYTES / per_row / SPAN * SPAN).max(SPAN));
        let depth = cols.div_ceil(pieces).next_multiple_of(SPAN);
        for start in (0..cols).step_by(depth) {
            let depth = start..cols.min(start + depth);
            work.pack(&mut room, columns.clone(), depth.clone());
            work.multiply(&room, columns.clone(), depth, out)?;
            if work.beyond.load(Ordering::Relaxed) {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// The tiles that stand side by side for some columns of `x`.
fn tiles_across(columns: &Range<usize>) -> usize {
    columns.len().div_ceil(TILE_WIDTH)
}

impl<M: Masked> Work<'_, M> {
    /// Packs rows of `x`: for every two tiles of columns, or the last one, all steps; for each its parts.
    fn pack(&self, room: &mut Vec<PairTile>, columns: Range<usize>, depth: Range<usize>) {
        let steps = depth.len().div_ceil(TILE_DEPTH);
        room.resize(steps * self.parts.right * tiles_across(&columns), PairTile::ZERO);
        let mut tasks = Vec::new();
        let mut rest = &mut room[..];
        for first in columns.clone().step_by(BLOCK) {
            let block = first..columns.end.min(first + BLOCK);
            let per_step = self.parts.right * tiles_across(&block);
            let (here, behind) = std::mem::take(&mut rest).split_at_mut(steps * per_step);
            rest = behind;
            let spans = here.chunks_mut(SPAN / TILE_DEPTH * per_step).zip(depth.clone().step_by(SPAN));
            tasks.extend(spans.map(|(tiles, start)| (tiles, block.clone(), start..depth.end)));
        }
        par::map(tasks, |(tiles, block, rows)| {
            let per_step = self.parts.right * tiles_across(&block);
            for (step, start) in tiles.chunks_mut(per_step).zip(rows.clone().step_by(TILE_DEPTH)) {
                self.pack_step(step, block.clone(), start..rows.end.min(start + TILE_DEPTH));
            }
        });
    }

    fn pack_step(&self, tiles: &mut [PairTile], block: Range<usize>, rows: Range<usize>) {
        let across = tiles_across(&block);
        for (at, first) in block.clone().step_by(TILE_WIDTH).enumerate() {
            let columns = first..block.end.min(first + TILE_WIDTH);
            let mut halves = [[0; TILE_WIDTH]; TILE_DEPTH];
            match self.x {
                Right::Bf16(x) => {
                    for (to, row) in halves.iter_mut().zip(rows.clone()) {
                        to[..columns.len()].copy_from_slice(&x.row(row)[columns.clone()]);
                    }
                    Kernels::active().pair_rows(&halves, &mut tiles[at]);
                }
                Right::F32(x) => {
                    let mut wide = [[0.0; TILE_WIDTH]; TILE_DEPTH];
                    for (to, row) in wide.iter_mut().zip(rows.clone()) {
                        to[..columns.len()].copy_from_slice(&x.row(row)[columns.clone()]);
                    }
                    let mut left = false;
                    for part in tiles.chunks_mut(across) {
                        left = Kernels::active().cut_part(wide.as_flattened_mut(), halves.as_flattened_mut());
                        Kernels::active().pair_rows(&halves, &mut part[at]);
                    }
                    self.note(left);
                }
            }
        }
    }

    /// Adds to all rows of `out` what some columns of `w` give with packed rows of `x`.
    fn multiply(
        &self,
        packed: &[PairTile],
        columns: Range<usize>,
        depth: Range<usize>,
        out: &mut MatrixMut<'_, f32>,
    ) -> Result<()> {
        let k = out.cols();
        let nbytes = (self.w.nbytes() + self.values.nbytes()) / self.w.shape().1.max(1) * depth.len();
        let ranges = par::cut(out.rows(), TILE_ROWS, nbytes.saturating_mul(columns.len()));
        let outs = par::split_mut(out.items_mut(), ranges.iter().map(|rows| rows.len() * k));
        par::run(ranges.into_iter().zip(outs).collect(), |(range, out): (Range<usize>, &mut [f32])| {
            let mut session = self.unit.begin();
            let (mut left, mut room) = (Box::new(LeftRows::new(self.parts.left)), BlockSums::ZERO);
            let starts = range.clone().step_by(TILE_ROWS);
            for (start, sums) in starts.zip(out.chunks_mut(TILE_ROWS * k)) {
                if self.beyond.load(Ordering::Relaxed) {
                    break;
                }
                let mut rows = DecodedRows::new(self, start..start + sums.len() / k, &depth)?;
                for piece in depth.clone().step_by(left.depth()) {
                    let piece = piece..depth.end.min(piece + left.depth());
                    rows.decode(piece.clone(), &mut left)?;
                    let steps = piece.start - depth.start..piece.end - depth.start;
                    let steps = steps.start / TILE_DEPTH..steps.end.div_ceil(TILE_DEPTH);
                    let place = Place { columns: &columns, room: &mut room, sums, k, first: piece.start == 0 };
                    self.add(&mut session, &left, packed, (steps, depth.len().div_ceil(TILE_DEPTH)), place);
                }
                rows.check(depth.end)?;
            }
            Ok(())
        })
    }

    /// Adds a decoded piece times all columns.
    fn add(
        &self,
        session: &mut TileSession,
        left: &LeftRows,
        packed: &[PairTile],
        (steps, all_steps): (Range<usize>, usize),
        Place { columns, room, sums, k, first }: Place<'_>,
    ) {
        let right = self.parts.right;
        let rows = sums.len() / k;
        for (at, start) in columns.clone().step_by(BLOCK).enumerate() {
            let block = start..columns.end.min(start + BLOCK);
            let across = tiles_across(&block);
            // All blocks before this one have two tiles across.
            let tiles = &packed[(2 * at * all_steps + steps.start * across) * right..][..steps.len() * right * across];
            let tiles = (tiles, right, steps.len());
            // Sums of a piece are added to those before it, not value by value: so fewer roundings are of large sums.
            session.multiply(left, tiles, room);
            Kernels::active().add_sums(room, (&mut sums[start..], k), (rows, block.len()), first);
        }
    }
}

/// Where sums go: by way of a room of 32 columns to rows of `k` items, of which some columns count.
struct Place<'a> {
    columns: &'a Range<usize>,
    room: &'a mut BlockSums,
    sums: &'a mut [f32],
    k: usize,
    /// Whether they hold nothing yet.
    first: bool,
}
