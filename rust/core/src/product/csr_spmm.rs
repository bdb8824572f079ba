//! Compressed rows times some columns, of which each thread packs those it works on: no more than stay in its
//! second-level cache.

use super::csr_rows::{RUN, Rows};
use crate::{Index, Matrix, MatrixMut, Result, par};
use std::ops::Range;

/// Bytes of some columns of `x` that a thread packs.
const MOST_PACKED: usize = 3 << 19;

/// Rows of the result that are cut in columns, so that a thread works on all of them.
const MOST_ROWS: usize = 1 << 15;

/// The kernel for some number of columns.
trait Wide<I>: Sized {
    const ZERO: Self;
    fn add(&mut self, indices: &[I], values: &[f32], x: &[Self], more: bool) -> std::result::Result<(), usize>;
}

macro_rules! wide {
    ($w:literal, $add:ident) => {
        impl<I: Index> Wide<I> for [f32; $w] {
            const ZERO: Self = [0.0; $w];
            #[inline]
            fn add(&mut self, indices: &[I], values: &[f32], x: &[Self], more: bool) -> std::result::Result<(), usize> {
                I::$add((indices, values), x, self, more)
            }
        }
    };
}
wide!(8, add_8);
wide!(16, add_16);
wide!(32, add_32);

/// Columns at a time.
pub(super) fn width(k: usize) -> usize {
    match k {
        0..=8 => 8,
        9..=16 => 16,
        _ => 32,
    }
}

/// Whether so many columns of so many rows are not too many to pack.
pub(super) fn takes(k: usize, rows: usize) -> bool {
    fits(rows, width(k))
}

/// Whether `width` columns of so many rows are not too many to pack.
pub(super) fn fits(rows: usize, width: usize) -> bool {
    rows.saturating_mul(4 * width) <= MOST_PACKED
}

/// `out = w @ x`.
pub(super) fn run<I: Index>(
    w: &Rows<'_, I>,
    ranges: Vec<Range<usize>>,
    x: &Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()> {
    match width(x.cols()) {
        8 => columns::<I, 8>(w, ranges, x, out),
        16 => columns::<I, 16>(w, ranges, x, out),
        _ => columns::<I, 32>(w, ranges, x, out),
    }
}

fn columns<I: Index, const W: usize>(
    w: &Rows<'_, I>,
    ranges: Vec<Range<usize>>,
    x: &Matrix<'_, f32>,
    mut out: MatrixMut<'_, f32>,
) -> Result<()>
where
    [f32; W]: Wide<I>,
{
    let (k, rows, threads) = (x.cols(), out.rows(), par::threads());
    if ranges.len() > 1 && k.div_ceil(W).is_multiple_of(threads) && rows <= MOST_ROWS {
        // Each thread takes some columns of all rows: it packs what no other one needs.
        for first in (0..k).step_by(threads * W) {
            let mut pieces: Vec<_> = (0..threads).map(|_| Vec::with_capacity(rows)).collect();
            for row in out.items_mut().chunks_mut(k) {
                for (piece, row) in pieces.iter_mut().zip(row[first..].chunks_mut(W)) {
                    piece.push(row);
                }
            }
            par::run(pieces.into_iter().enumerate().collect(), |(i, piece): (usize, Vec<&mut [f32]>)| {
                some::<I, W>(w, 0..rows, &mut Vec::new(), (x, first + i * W), piece)
            })?;
        }
        return Ok(());
    }
    let ranges = par::joined(ranges);
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let mut packed = Vec::new();
        (0..k).step_by(W).try_for_each(|first| {
            let pieces = out.items_mut().chunks_mut(k).map(|row| &mut row[first..k.min(first + W)]);
            some::<I, W>(w, range.clone(), &mut packed, (x, first), pieces)
        })
    })
}

/// Packs `W` columns of all rows of `x`, from column `first` on; those that are missing become zeros. Returns
/// where they begin: at a line.
pub(super) fn gather<const W: usize>(x: &Matrix<'_, f32>, first: usize, packed: &mut Vec<f32>) -> usize {
    packed.clear();
    packed.reserve(x.rows() * W + 16);
    let start = packed.as_ptr().align_offset(64).min(16);
    packed.resize(start, 0.0);
    for row in x.items().chunks(x.cols()) {
        let row = &row[first..];
        match row.first_chunk::<W>() {
            Some(row) => packed.extend_from_slice(row),
            None => {
                packed.extend_from_slice(row);
                packed.resize(packed.len() + W - row.len(), 0.0);
            }
        }
    }
    start
}

/// Up to `W` columns of some rows, from column `first` of `x` on.
fn some<'a, I: Index, const W: usize>(
    w: &Rows<'_, I>,
    rows: Range<usize>,
    packed: &mut Vec<f32>,
    (x, first): (&Matrix<'_, f32>, usize),
    pieces: impl IntoIterator<Item = &'a mut [f32]>,
) -> Result<()>
where
    [f32; W]: Wide<I>,
{
    let mut room = [0.0; RUN];
    let start = gather::<W>(x, first, packed);
    let (packed, _) = packed[start..].as_chunks::<W>();
    let mut sum = |row, sums: &mut [f32; W]| {
        let mut more = false;
        w.each_run(row, &mut room, |indices, values| {
            sums.add(indices, values, packed, std::mem::replace(&mut more, true))
        })?;
        if !more {
            sums.fill(0.0);
        }
        Ok(())
    };
    for (row, piece) in rows.zip(pieces) {
        if let Ok(sums) = <&mut [f32; W]>::try_from(&mut *piece) {
            sum(row, sums)?;
            continue;
        }
        let mut sums = <[f32; W]>::ZERO;
        sum(row, &mut sums)?;
        piece.copy_from_slice(&sums[..piece.len()]);
    }
    Ok(())
}
