//! Values of codes in words along the columns, whose groups may come in any order.

use crate::affine::Number;
use crate::nm::Slot;
use crate::room::filled;
use crate::{Error, Item, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Kernels, SixteenRows};
use std::ops::Range;

/// Columns of words of a cache line: the rows that a kernel makes at once.
const LINE: usize = 16;

/// Cache lines of a row of words that are read together, because every row is on a page of its own.
const LINES: usize = 4;
const WIDE: usize = LINE * LINES;

/// Rows of words that are worked on at once: what they become stays in the first-level cache.
const TALL: usize = 64;

/// Products up to here stay finite when they are rounded to float16, or to bfloat16 and float32.
fn is_safe([point, scale]: &SixteenRows, most: f32) -> bool {
    point.iter().zip(scale).all(|(point, scale)| scale.abs() * (point.abs() + 256.0) <= most)
}

/// Writes `(code - point) * scale`, in float32 and rounded once to the dtype; all NaN are one. `words` have a row for
/// every eight columns of `out` and a column for each of its rows, codes of 4 bits, low ones first; `scale` and `point`
/// have a row for each group, and `at` names the group of every column.
///
/// # Errors
/// Shapes do not fit, or a column has a group that is not there.
pub fn word_columns_decode<K: Number<Compute = f32>>(
    words: Matrix<'_, u32>,
    scale: Matrix<'_, f32>,
    point: Matrix<'_, f32>,
    at: &[i32],
    out: MatrixMut<'_, K::Item>,
) -> Result<()>
where
    K::Item: Slot,
{
    let (rows, cols, groups) = (words.cols(), words.rows().saturating_mul(8), scale.rows());
    out.check_shape("out", (rows, cols))?;
    scale.check_shape("scale", (groups, rows))?;
    point.check_shape("point", (groups, rows))?;
    if at.len() != cols {
        return Err(Error::Length { name: "at", got: at.len(), want: cols });
    }
    if let Some(i) = at.iter().position(|&group| usize::try_from(group).map_or(true, |g| g >= groups)) {
        return Err(Error::Index { at: i, got: i64::from(at[i]), bound: groups });
    }
    let ranges = par::cut(rows, WIDE, rows.saturating_mul(cols) * size_of::<K::Item>());
    let stream = out.is_streamed();
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, out)| {
        part::<K>(words, [point, scale], at, range, out, stream)
    })
}

/// The rows of a range.
fn part<K: Number<Compute = f32>>(
    words: Matrix<'_, u32>,
    grid: [Matrix<'_, f32>; 2],
    at: &[i32],
    range: Range<usize>,
    mut out: MatrixMut<'_, K::Item>,
    stream: bool,
) -> Result<()>
where
    K::Item: Slot,
{
    let most = if K::LIMITS.1 < 1e38 { K::LIMITS.1 } else { 1e38 };
    let groups = grid[0].rows();
    let mut grids = [(); LINES].map(|()| Vec::new());
    for lines in &mut grids {
        *lines = filled([[0.0; LINE]; 2], groups)?;
    }
    let (mut tiles, mut made) = ([[[0; LINE]; TALL]; LINES], [K::Item::default(); 8 * TALL * LINE]);
    Kernels::nontemporal(stream, |streamed| {
        for left in range.clone().step_by(WIDE) {
            let firsts = (left..range.end).step_by(LINE).take(LINES);
            for (first, lines) in firsts.clone().zip(&mut grids) {
                take_groups(grid, first, lines);
            }
            let safe = grids.iter().flatten().all(|rows| is_safe(rows, most));
            for (i, at) in at.chunks(8 * TALL).enumerate() {
                let (tall, made) = (at.len() / 8, &mut made[..LINE * at.len()]);
                for row in 0..tall {
                    let words = words.row(i * TALL + row);
                    tiles
                        .iter_mut()
                        .enumerate()
                        .for_each(|(line, tile)| put(words, left + LINE * line, &mut tile[row]));
                }
                for (first, (tile, lines)) in firsts.clone().zip(tiles.iter().zip(&grids)) {
                    if !(safe && K::word_columns(&tile[..tall], at, lines, made)) {
                        one_by_one::<K>(&tile[..tall], at, lines, made);
                    }
                    for (row, made) in (first..range.end).zip(made.chunks_mut(at.len())) {
                        let to = &mut out.row_mut(row - range.start)[8 * i * TALL..][..at.len()];
                        if stream { K::Item::drain(streamed, made, to) } else { to.copy_from_slice(made) }
                    }
                }
            }
        }
    });
    Ok(())
}

/// The zero points and scales of sixteen rows from `first` on.
fn take_groups([point, scale]: [Matrix<'_, f32>; 2], first: usize, groups: &mut [SixteenRows]) {
    for (group, [points, scales]) in groups.iter_mut().enumerate() {
        put(point.row(group), first, points);
        put(scale.row(group), first, scales);
    }
}

/// Items of sixteen rows from a place on; those behind the end are zeros.
#[inline]
fn put<T: Copy + Default>(items: &[T], from: usize, rows: &mut [T; LINE]) {
    let items = items.get(from..).unwrap_or_default();
    match items.first_chunk() {
        Some(all) => *rows = *all,
        None => {
            *rows = [T::default(); LINE];
            rows[..items.len()].copy_from_slice(items);
        }
    }
}

fn one_by_one<K: Number<Compute = f32>>(words: &[[u32; LINE]], at: &[i32], grid: &[SixteenRows], out: &mut [K::Item]) {
    let mut x = [0.0; 8 * TALL];
    for (row, out) in out.chunks_mut(at.len()).enumerate() {
        for (i, (x, &group)) in x.iter_mut().zip(at).enumerate() {
            let [point, scale] = &grid[group as usize];
            let code = words[i / 8][row] >> (i % 8 * 4) & 15;
            let product = (code as f32 - point[row]) * scale[row];
            *x = if product.is_nan() { f32::NAN } else { product };
        }
        K::narrow(&x[..out.len()], out);
    }
}
