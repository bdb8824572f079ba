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
    let stream = out.is_streamed();
    let most = if K::LIMITS.1 < 1e38 { K::LIMITS.1 } else { 1e38 };
    let ranges = par::cut(rows, WIDE, rows.saturating_mul(cols) * size_of::<K::Item>());
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, K::Item>)| {
        let each = groups.max(1);
        let mut grids = filled([[0.0; LINE]; 2], LINES * groups)?;
        let (mut tiles, mut made) = ([[[0; LINE]; TALL]; LINES], [K::Item::default(); 8 * TALL * LINE]);
        Kernels::nontemporal(stream, |streamed| {
            for left in range.clone().step_by(WIDE) {
                let width = WIDE.min(range.end - left);
                for (line, grid) in grids.chunks_exact_mut(each).enumerate() {
                    for (group, [points, scales]) in grid.iter_mut().enumerate() {
                        put(point.row(group), left + LINE * line, points);
                        put(scale.row(group), left + LINE * line, scales);
                    }
                }
                let safe = grids.iter().all(|rows| is_safe(rows, most));
                for (i, at) in at.chunks(8 * TALL).enumerate() {
                    let (tall, made) = (at.len() / 8, &mut made[..LINE * at.len()]);
                    for row in 0..tall {
                        let words = words.row(i * TALL + row);
                        for (line, tile) in tiles.iter_mut().enumerate() {
                            put(words, left + LINE * line, &mut tile[row]);
                        }
                    }
                    let lines = tiles.iter().zip(grids.chunks_exact(each)).take(width.div_ceil(LINE));
                    for (line, (tile, grid)) in lines.enumerate() {
                        let tile = &tile[..tall];
                        if !(safe && K::word_columns(tile, at, grid, made)) {
                            one_by_one::<K>(tile, at, grid, made);
                        }
                        let first = left - range.start + LINE * line;
                        for (row, made) in made.chunks_mut(at.len()).enumerate().take(width - LINE * line) {
                            let to = &mut out.row_mut(first + row)[8 * i * TALL..][..at.len()];
                            if stream {
                                K::Item::drain(streamed, made, to);
                            } else {
                                to.copy_from_slice(made);
                            }
                        }
                    }
                }
            }
            Ok(())
        })
    })
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
