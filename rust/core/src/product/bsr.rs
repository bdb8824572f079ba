//! Blocks.

use super::check;
use super::values::{Slots, Values};
use crate::bsr::Block;
use crate::csr::span;
use crate::{Error, Index, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Blocks, Kernels, Strided};
use std::ops::Range;

/// Columns of `x` at a time.
const WIDTH: usize = 64;

/// The most items of a block that are decoded.
const MOST: usize = 1 << 16;

/// Items that are decoded at once, if they make more than one block.
const RUN: usize = 1 << 12;

/// Blocks that are multiplied at once.
const BLOCKS: usize = 256;

/// `out = w @ x` for blocks; `indptr` and `indices` count blocks.
///
/// # Errors
/// `indptr` falls or points outside; an index is out of range; arrays of the wrong shape; a block of more than 2^16
/// items that are no float32.
pub fn bsr_matmul<I: Index>(
    (indptr, indices): (&[I], &[I]),
    block: Block,
    values: &Values<'_>,
    x: Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    let (rows, cols, k, area) = (out.rows(), x.rows(), x.cols(), block.r * block.c);
    check(&x, &out, (rows, cols))?;
    values.check(rows, cols)?;
    if indptr.len() != rows.div_ceil(block.r) + 1 {
        return Err(Error::Length { name: "indptr", got: indptr.len(), want: rows.div_ceil(block.r) + 1 });
    }
    let is_single = matches!(values.slots, Slots::Single(_));
    if !is_single && area > MOST {
        return Err(Error::Parameter { name: "items of a block", got: area });
    }
    let place = span(indptr, indices.len().min(values.len() / area))?;
    if k == 0 {
        return Ok(());
    }
    let work = place.len().saturating_mul(area).saturating_mul(4 * k);
    let ranges = par::cut_by(indptr, 1, work);
    let lines: Vec<_> = ranges.iter().map(|r| r.start * block.r..(r.end * block.r).min(rows)).collect();
    let outs = out.split(&lines);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let most = if is_single { BLOCKS } else { (RUN / area).clamp(1, BLOCKS) };
        let mut room = vec![0.0; if is_single { 0 } else { most * area }];
        let mut starts = [0; BLOCKS];
        let first = range.start;
        let sums = out.items_mut();
        sums.fill(0.0);
        for line in range {
            let from = (line - first) * block.r * k;
            let end = sums.len().min(from + block.r * k);
            let sums = &mut sums[from..end];
            let mut blocks = crate::csr::slots_at(indptr, line, &place)?;
            while !blocks.is_empty() {
                let mut count = 0;
                for at in blocks.clone().take(most) {
                    let wrong = || Error::Index { at, got: indices[at].to_i64(), bound: cols.div_ceil(block.c) };
                    let start = indices[at].below(cols.div_ceil(block.c)).ok_or_else(wrong)? * block.c;
                    // One that sticks out goes alone.
                    if start + block.c > cols && count > 0 {
                        break;
                    }
                    starts[count] = start;
                    count += 1;
                    if start + block.c > cols {
                        break;
                    }
                }
                let run = blocks.start..blocks.start + count;
                let items = match values.slots {
                    Slots::Single(items) => &items[run.start * area..run.end * area],
                    _ => {
                        let room = &mut room[..count * area];
                        decode(values, block, (line * block.r, sums.len() / k), run.start, &starts, room)?;
                        &*room
                    }
                };
                multiply(items, block, &starts[..count], &x, sums);
                blocks.start = run.end;
            }
        }
        Ok(())
    })
}

/// Decodes blocks that stand side by side, from block `number` on: the first rows of each, as far as they count.
fn decode(
    values: &Values<'_>,
    block: Block,
    (first, rows): (usize, usize),
    number: usize,
    starts: &[usize],
    room: &mut [f32],
) -> Result<()> {
    let area = block.r * block.c;
    if let Slots::Book(_, _, [_, _, ..]) = values.slots {
        for (i, room) in room.chunks_mut(area).enumerate() {
            for (row, room) in room.chunks_mut(block.c).enumerate().take(rows) {
                values.widen(first + row, (number + i) * area + row * block.c, room)?;
            }
        }
        return Ok(());
    }
    values.widen(first, number * area, room)?;
    if let Some(scales) = values.scales {
        for row in 0..rows {
            let each = starts.iter().zip(room.chunks_mut(area)).map(|(&start, items)| {
                let items = &mut items[row * block.c..][..block.c];
                (start, items)
            });
            scales.apply_runs(first + row, each);
        }
    }
    Ok(())
}

/// Adds the products of blocks to the sums of their rows; one that sticks out comes alone.
fn multiply(items: &[f32], block: Block, starts: &[usize], x: &Matrix<'_, f32>, sums: &mut [f32]) {
    let (k, rows, area) = (x.cols(), sums.len() / x.cols(), block.r * block.c);
    let depth = starts.first().map_or(0, |start| block.c.min(x.rows() - start));
    let w = Blocks { items, area, across: block.c, depth, rows, starts };
    for first in (0..k).step_by(WIDTH) {
        let x = Strided { items: x.items(), rows: x.rows(), stride: k, first, width: WIDTH.min(k - first) };
        Kernels::active().block_row(&w, &x, &mut sums[first..], k);
    }
}
