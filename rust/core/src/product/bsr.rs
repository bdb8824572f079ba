//! Blocks.

use super::csr_spmm;
use super::plan::{self, BSR_COLS as WIDTH, Way};
use super::shapes::check;
use super::values::{Slots, Values};
use crate::bsr::{Block, Blocks, row_ranges};
use crate::{Error, Index, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Blocks as BlockRun, Kernels, Strided};
use std::ops::Range;

/// Items that are decoded at once, if they make more than one block.
const RUN: usize = 1 << 12;

/// Blocks that are multiplied at once.
const BLOCKS: usize = 256;

/// Blocks with their values.
struct Rows<'a, I> {
    blocks: Blocks<'a, I>,
    values: &'a Values<'a>,
}

/// `out = w @ x` for blocks.
///
/// # Errors
/// Offsets fall or point outside; an index is out of range; arrays of the wrong shape; a block of more than 2^16
/// items that are no float32.
pub fn bsr_matmul<I: Index>(
    w: Blocks<'_, I>,
    values: &Values<'_>,
    x: Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    let ((rows, cols), block, k) = (w.shape(), w.block(), x.cols());
    let area = block.area();
    check(&x, &out, (rows, cols))?;
    values.check(rows, cols)?;
    let is_f32 = matches!(values.slots, Slots::F32(_));
    if !plan::takes_blocks(area, is_f32) {
        return Err(Error::Parameter { name: "items of a block", got: area });
    }
    w.check_slots(values.len())?;
    if k == 0 {
        return Ok(());
    }
    let blocks = w.place().len();
    let mut ranges = par::cut_by(w.indptr(), 1, blocks.saturating_mul(area).saturating_mul(4 * k));
    let way = plan::bsr_way(cols, blocks, block.c, k, is_f32);
    plan::took(way);
    let packs = way == Way::BsrSpmm;
    if packs {
        ranges = par::joined(ranges);
    }
    let w = Rows { blocks: w, values };
    let outs = out.split(&row_ranges(block, &ranges, rows));
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let mut room = vec![0.0; if is_f32 { 0 } else { w.most() * area }];
        let sums = out.items_mut();
        sums.fill(0.0);
        if !packs {
            let x = Strided { items: x.items(), rows: cols, stride: k, first: 0, width: k };
            return w.add(range, &x, sums, k, &mut room);
        }
        let mut packed = Vec::new();
        for first in (0..k).step_by(WIDTH) {
            let width = WIDTH.min(k - first);
            let (start, stride) = match width {
                0..=16 => (csr_spmm::gather::<16>(&x, first, &mut packed), 16),
                17..=32 => (csr_spmm::gather::<32>(&x, first, &mut packed), 32),
                _ => (csr_spmm::gather::<WIDTH>(&x, first, &mut packed), WIDTH),
            };
            let x = Strided { items: &packed[start..], rows: cols, stride, first: 0, width };
            w.add(range.clone(), &x, &mut sums[first..], k, &mut room)?;
        }
        Ok(())
    })
}

impl<I: Index> Rows<'_, I> {
    /// Blocks that are multiplied at once.
    fn most(&self) -> usize {
        match self.values.slots {
            Slots::F32(_) => BLOCKS,
            _ => (RUN / self.blocks.block().area()).clamp(1, BLOCKS),
        }
    }

    /// Adds the product of some rows of blocks to `sums`, whose rows start `stride` items apart.
    fn add(
        &self,
        range: Range<usize>,
        x: &Strided<'_>,
        sums: &mut [f32],
        stride: usize,
        room: &mut [f32],
    ) -> Result<()> {
        let (block, cols, most) = (self.blocks.block(), self.blocks.shape().1, self.most());
        let area = block.area();
        let mut starts = [0; BLOCKS];
        let first = range.start;
        for line in range {
            let sums = &mut sums[(line - first) * block.r * stride..];
            let lines = self.blocks.rows(line);
            let mut blocks = self.blocks.blocks(line)?;
            while !blocks.is_empty() {
                let mut found = 0;
                for at in blocks.clone().take(most) {
                    let start = self.blocks.column(at)? * block.c;
                    // One that sticks out goes alone.
                    let is_inside = start + block.c <= cols;
                    if is_inside || found == 0 {
                        starts[found] = start;
                        found += 1;
                    }
                    if !is_inside {
                        break;
                    }
                }
                let (starts, run) = (&starts[..found], blocks.start..blocks.start + found);
                let items = match self.values.slots {
                    Slots::F32(items) => &items[run.start * area..run.end * area],
                    _ => {
                        let room = &mut room[..found * area];
                        decode(self.values, block, &lines, run.start, starts, room)?;
                        &*room
                    }
                };
                let depth = starts.first().map_or(0, |start| block.c.min(cols - start));
                let w = BlockRun { items, area, across: block.c, depth, rows: lines.len(), starts };
                for at in (0..x.width).step_by(WIDTH) {
                    let x = Strided { first: x.first + at, width: WIDTH.min(x.width - at), ..*x };
                    Kernels::active().bsr_spmm_row(&w, &x, &mut sums[at..], stride);
                }
                blocks.start = run.end;
            }
        }
        Ok(())
    }
}

/// Decodes blocks that stand side by side, from block `number` on: `rows` of the matrix, which may be fewer than theirs.
fn decode(
    values: &Values<'_>,
    block: Block,
    rows: &Range<usize>,
    number: usize,
    starts: &[usize],
    room: &mut [f32],
) -> Result<()> {
    let area = block.area();
    if let Slots::Book(_, _, [_, _, ..]) = values.slots {
        for (i, room) in room.chunks_mut(area).enumerate() {
            for ((at, room), row) in room.chunks_mut(block.c).enumerate().zip(rows.clone()) {
                values.widen(row, (number + i) * area + at * block.c, room)?;
            }
        }
        return Ok(());
    }
    values.widen(rows.start, number * area, room)?;
    if let Some(scales) = values.scales {
        for (at, row) in rows.clone().enumerate() {
            let parts = room.chunks_mut(area).map(|items| &mut items[at * block.c..][..block.c]);
            scales.apply_runs(row, starts.iter().copied().zip(parts));
        }
    }
    Ok(())
}
