//! Many columns: up to 128 at a time, [`DEPTH`] rows of `x` at a time, which stay in the first-level cache.

use super::masked_rows::Masked;
use super::values::{Slots, Values};
use crate::room::{filled, refill};
use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{DEPTH, DepthBits, Kernels, Panel, PanelPositions, PanelRows, PanelValues};
use std::ops::Range;

/// Bytes of bits that a thread unpacks at once.
const BIT_BYTES: usize = 1 << 19;

/// Columns of rows whose values are decoded at once, where no kernel reads them as they are stored: these stay in the
/// second-level cache.
const DECODED: usize = 1 << 18;

/// Bytes of working space of a thread: a panel of `x`, bits and decoded values.
pub(super) const ROOM_BYTES: usize = size_of::<Panel>() + BIT_BYTES + 4 * DECODED;

/// Some rows with their bits: those of the first [`DEPTH`] columns for all rows, then those of the next.
struct Rows<'a> {
    bits: &'a [DepthBits],
    values: PanelValues<'a>,
    /// Where the values of each row start.
    starts: &'a [usize],
}

/// Working space of a thread.
pub(super) struct Room {
    pub(super) panel: Panel,
}

impl Room {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self { panel: Panel::ZERO })
    }

    /// Packs up to [`DEPTH`] rows of `k` items: as many columns as a panel has, from `first` on, or what is
    /// left; returns their number.
    pub(super) fn pack(&mut self, x: &[f32], k: usize, first: usize) -> usize {
        let pitch = Kernels::active().panel_width(k - first);
        let width = pitch.min(k - first);
        for (to, from) in self.panel.0.chunks_exact_mut(pitch).zip(x.chunks_exact(k)) {
            to[..width].copy_from_slice(&from[first..first + width]);
        }
        width
    }
}

/// The values, if kernels read them as they are stored.
pub(super) fn stored<'a>(values: &Values<'a>) -> Option<PanelValues<'a>> {
    match values.slots {
        Slots::F32(items) => Some(PanelValues::F32(items)),
        Slots::F16(items) => Some(PanelValues::F16(items)),
        Slots::Bf16(items) => Some(PanelValues::Bf16(items)),
        _ => None,
    }
}

/// Rows whose values are prefetched before they are used.
pub(super) const AHEAD: usize = 6;

/// `out = w @ x`.
pub(super) fn run(w: &impl Masked, values: &Values<'_>, x: &Matrix<'_, f32>, out: MatrixMut<'_, f32>) -> Result<()> {
    let rows = w.shape().0;
    let work = (w.nbytes() + values.nbytes()).saturating_mul(x.cols());
    let ranges = shared(par::cut(rows, 1, work));
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let (mut room, mut decoded, mut starts) = (Room::new(), Vec::new(), Vec::new());
        let most = if stored(values).is_some() { usize::MAX } else { (DECODED / w.shape().1).max(16) };
        blocks_of::<{ DEPTH / 8 }>(w, range, most, x.cols(), out.items_mut(), |range, bits, sums| {
            let direct = stored(values);
            if direct.is_some() {
                starts.clear();
                for row in range.clone() {
                    starts.push(w.slots(row)?.start);
                }
            } else {
                decode(w, values, range.clone(), &mut decoded, &mut starts)?;
            }
            let rows = Rows { bits, values: direct.unwrap_or(PanelValues::F32(&decoded)), starts: &starts };
            let mut first = 0;
            while first < x.cols() {
                let (width, cursors) = columns(&rows, x, first, sums, &mut room);
                if direct.is_some() {
                    check_cursors(w, range.clone(), &cursors)?;
                }
                first += width;
            }
            Ok(())
        })
    })
}

/// Ranges of rows, each of which brings all of `x` together again: one for each thread where that would take long
/// beside the rest, else more, so that a slow thread does less.
pub(super) fn shared(ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let rows = ranges.last().map_or(0, |last| last.end);
    if rows >= 256 * ranges.len() { ranges } else { par::joined(ranges) }
}

/// Calls `work` with some rows, `most` at most, their bits and their sums at a time. Bits come as those of the first
/// `8 N` columns for all of these rows, then those of the next.
pub(super) fn blocks_of<const N: usize>(
    w: &impl Masked,
    range: Range<usize>,
    most: usize,
    k: usize,
    sums: &mut [f32],
    mut work: impl FnMut(Range<usize>, &[[u8; N]], &mut [f32]) -> Result<()>,
) -> Result<()> {
    let cols = w.shape().1;
    let blocks = cols.div_ceil(8 * N);
    let most = (BIT_BYTES / (blocks * N)).clamp(1, most);
    let most = range.len().div_ceil(range.len().div_ceil(most).max(1));
    let mut at = range.start;
    let mut line = filled(0, blocks * N + 8)?;
    for sums in sums.chunks_mut(most * k) {
        let range = at..at + sums.len() / k;
        at = range.end;
        let mut bits = filled([0; N], stride(range.len()) * blocks)?;
        for (i, row) in range.clone().enumerate() {
            w.bits(row, &mut line)?;
            clear_behind(&mut line, cols);
            for (bits, part) in bits.iter_mut().skip(i).step_by(stride(range.len())).zip(line.as_chunks().0) {
                *bits = *part;
            }
        }
        work(range, &bits, sums)?;
    }
    Ok(())
}

/// From the bits of some rows for a block of columns to those for the next: not by multiples of 4 KiB, which would all
/// want the same few places in the first-level cache.
pub(super) fn stride(rows: usize) -> usize {
    rows | 8
}

/// Checks that bits did not lead beyond the slots of their row.
pub(super) fn check_cursors(w: &impl Masked, rows: Range<usize>, cursors: &[usize]) -> Result<()> {
    for (row, &cursor) in rows.zip(cursors) {
        if cursor > w.slots(row)?.end {
            return Err(Error::Offsets { name: "row_offsets", at: row });
        }
    }
    Ok(())
}

/// As many columns as a panel has, from `first` on, or what is left; returns their number, and where the values of
/// each row end.
fn columns(
    rows: &Rows<'_>,
    x: &Matrix<'_, f32>,
    first: usize,
    sums: &mut [f32],
    room: &mut Room,
) -> (usize, Vec<usize>) {
    let (k, mut width, mut cursors) = (x.cols(), 0, rows.starts.to_vec());
    for (block, x) in x.items().chunks(DEPTH * k).enumerate() {
        width = room.pack(x, k, first);
        let places = PanelPositions::Bits(&rows.bits[block * stride(cursors.len())..][..cursors.len()]);
        let w = PanelRows { places, values: rows.values, stride: k, width, first: block == 0 };
        Kernels::active().add_panel(&w, &mut cursors, &room.panel, &mut sums[first..]);
    }
    (width, cursors)
}

/// Writes the values of some rows, one behind the other, and where each row starts.
fn decode(
    w: &impl Masked,
    values: &Values<'_>,
    rows: Range<usize>,
    decoded: &mut Vec<f32>,
    starts: &mut Vec<usize>,
) -> Result<()> {
    let cols = w.shape().1;
    let mut line = vec![0; cols.div_ceil(8) + 8];
    decoded.clear();
    starts.clear();
    for row in rows {
        w.bits(row, &mut line)?;
        clear_behind(&mut line, cols);
        let (slots, bits) = (w.slots(row)?, &line[..cols.div_ceil(8)]);
        let count = bits.iter().map(|byte| byte.count_ones() as usize).sum::<usize>();
        if count > slots.len() {
            return Err(Error::Offsets { name: "row_offsets", at: row });
        }
        let start = decoded.len();
        refill(decoded, 0.0, start + count)?;
        values.prefetch(slots.end, count);
        values.widen(row, slots.start, &mut decoded[start..])?;
        values.scale_bits(row, 0, bits, &mut decoded[start..]);
        starts.push(start);
    }
    Ok(())
}

/// Clears the bits behind the last column.
fn clear_behind(line: &mut [u8], cols: usize) {
    if let Some((last, rest)) = line[cols / 8..].split_first_mut() {
        *last &= (1u16 << (cols % 8)).wrapping_sub(1) as u8;
        rest.fill(0);
    }
}
