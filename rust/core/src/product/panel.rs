//! Many columns: up to 128 at a time, [`DEPTH`] rows of `x` at a time, which stay in the first-level cache.

use super::masked::Masked;
use super::values::{Slots, Values};
use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{DEPTH, DepthBits, Kernels, Panel, PanelPlaces, PanelRows, PanelValues};
use std::ops::Range;

/// Bytes of bits that a thread unpacks at once.
const BIT_BYTES: usize = 1 << 19;

/// Rows whose values are decoded at once, where no kernel reads them as they are stored.
const DECODED: usize = 16;

/// Some rows with their bits: those of the first [`DEPTH`] columns for all rows, then those of the next.
struct Rows<'a, M> {
    w: &'a M,
    values: &'a Values<'a>,
    range: Range<usize>,
    bits: &'a [DepthBits],
}

/// Working space of a thread.
pub(super) struct Room {
    pub(super) panel: Panel,
    values: [f32; DECODED * DEPTH],
}

impl Room {
    pub(super) fn new() -> Box<Self> {
        Box::new(Self { panel: Panel::ZERO, values: [0.0; DECODED * DEPTH] })
    }

    /// Brings together up to [`DEPTH`] rows of `k` items: as many columns as a panel has, from `first` on, or what is
    /// left; gives their number.
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
        Slots::Single(items) => Some(PanelValues::Single(items)),
        Slots::Half(items) => Some(PanelValues::Half(items)),
        Slots::Brain(items) => Some(PanelValues::Brain(items)),
        _ => None,
    }
}

/// Rows whose values are asked for before they are used.
pub(super) const AHEAD: usize = 6;

/// `out = w @ x`.
pub(super) fn run(w: &impl Masked, values: &Values<'_>, x: &Matrix<'_, f32>, out: MatrixMut<'_, f32>) -> Result<()> {
    let rows = w.shape().0;
    let work = (w.nbytes() + values.nbytes()).saturating_mul(x.cols());
    let ranges = shared(par::cut(rows, 1, work));
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let mut room = Room::new();
        blocks_of::<{ DEPTH / 8 }>(w, range, x.cols(), out.items_mut(), |range, bits, sums| {
            let (rows, mut first) = (Rows { w, values, range, bits }, 0);
            while first < x.cols() {
                first += columns(&rows, x, first, sums, &mut room)?;
            }
            Ok(())
        })
    })
}

/// Ranges of rows, each of which brings all of `x` together again: one for each thread where that would take long beside
/// the rest, else more, so that a slow thread does less.
pub(super) fn shared(ranges: Vec<Range<usize>>) -> Vec<Range<usize>> {
    let rows = ranges.last().map_or(0, |last| last.end);
    if rows >= 256 * ranges.len() { ranges } else { par::joined(ranges) }
}

/// Calls `work` with some rows, their bits and their sums at a time. Bits come as those of the first `8 N` columns for
/// all of these rows, then those of the next.
pub(super) fn blocks_of<const N: usize>(
    w: &impl Masked,
    range: Range<usize>,
    k: usize,
    sums: &mut [f32],
    mut work: impl FnMut(Range<usize>, &[[u8; N]], &mut [f32]) -> Result<()>,
) -> Result<()> {
    let cols = w.shape().1;
    let blocks = cols.div_ceil(8 * N);
    let most = (BIT_BYTES / (blocks * N)).max(1);
    // As many at a time, and an odd number: bits of one row, a block of all rows apart, must not share lines of the cache.
    let most = range.len().div_ceil(range.len().div_ceil(most).max(1)) | 1;
    let mut at = range.start;
    let mut line = vec![0; blocks * N + 8];
    for sums in sums.chunks_mut(most * k) {
        let range = at..at + sums.len() / k;
        at = range.end;
        let mut bits = vec![[0; N]; range.len() * blocks];
        for (i, row) in range.clone().enumerate() {
            w.bits(row, &mut line)?;
            if let Some((last, rest)) = line[cols / 8..].split_first_mut() {
                *last &= (1u16 << (cols % 8)).wrapping_sub(1) as u8;
                rest.fill(0);
            }
            for (bits, part) in bits.iter_mut().skip(i).step_by(range.len()).zip(line.as_chunks().0) {
                *bits = *part;
            }
        }
        work(range, &bits, sums)?;
    }
    Ok(())
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

/// As many columns as a panel has, from `first` on, or what is left; gives their number.
fn columns<M: Masked>(
    rows: &Rows<'_, M>,
    x: &Matrix<'_, f32>,
    first: usize,
    sums: &mut [f32],
    room: &mut Room,
) -> Result<usize> {
    let (k, mut width) = (x.cols(), 0);
    let mut cursors = Vec::with_capacity(rows.range.len());
    for row in rows.range.clone() {
        cursors.push(rows.w.slots(row)?.start);
    }
    let sums = &mut sums[first..];
    for (block, x) in x.items().chunks(DEPTH * k).enumerate() {
        width = room.pack(x, k, first);
        let bits = &rows.bits[block * cursors.len()..][..cursors.len()];
        if let Some(values) = stored(rows.values) {
            let places = PanelPlaces::Bits(bits);
            let w = PanelRows { places, values, stride: k, width, first: block == 0 };
            Kernels::active().add_panel(&w, &mut cursors, &room.panel, sums);
        } else {
            decoded(rows, (block, bits), &mut cursors, (sums, k, width), room)?;
        }
    }
    check_cursors(rows.w, rows.range.clone(), &cursors)?;
    Ok(width)
}

/// Adds what [`DEPTH`] columns of all rows give, after decoding their values.
fn decoded<M: Masked>(
    rows: &Rows<'_, M>,
    (block, bits): (usize, &[DepthBits]),
    cursors: &mut [usize],
    (sums, k, width): (&mut [f32], usize, usize),
    room: &mut Room,
) -> Result<()> {
    for (start, bits) in (0..).step_by(DECODED).zip(bits.chunks(DECODED)) {
        let (mut places, mut end) = ([0; DECODED], 0);
        for ((row, bits), place) in (start..).zip(bits).zip(&mut places) {
            let count = u64::from_le_bytes(*bits).count_ones() as usize;
            if let Some(&to_come) = cursors.get(row + AHEAD) {
                rows.values.prefetch(to_come, count);
            }
            let values = &mut room.values[end..end + count];
            rows.values.widen(rows.range.start + row, cursors[row], values)?;
            rows.values.scale_bits(rows.range.start + row, block * DEPTH, bits, values);
            cursors[row] += count;
            (*place, end) = (end, end + count);
        }
        let w = PanelRows {
            places: PanelPlaces::Bits(bits),
            values: PanelValues::Single(&room.values),
            stride: k,
            width,
            first: block == 0,
        };
        Kernels::active().add_panel(&w, &mut places[..bits.len()], &room.panel, &mut sums[start * k..]);
    }
    Ok(())
}
