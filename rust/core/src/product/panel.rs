//! Many columns: up to 64 at a time, [`DEPTH`] rows of `x` at a time, which stay in the first-level cache.

use super::masked::Masked;
use super::values::Values;
use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{DEPTH, DepthBits, Kernels, Panel};
use std::ops::Range;

/// Bytes of bits that a thread unpacks at once.
const BIT_BYTES: usize = 1 << 20;

/// The kernel for panels of some width.
trait Wide<const W: usize> {
    fn add(&self, bits: &DepthBits, values: &[f32], sums: &mut [f32; W]);
}

macro_rules! wide {
    ($w:literal, $panel:ident) => {
        impl Wide<$w> for Panel<$w> {
            #[inline]
            fn add(&self, bits: &DepthBits, values: &[f32], sums: &mut [f32; $w]) {
                Kernels::active().$panel(bits, values, self, sums);
            }
        }
    };
}
wide!(8, panel_8);
wide!(16, panel_16);
wide!(32, panel_32);
wide!(64, panel_64);

/// Some rows with their bits: those of the first [`DEPTH`] columns for all rows, then those of the next.
struct Rows<'a, M> {
    w: &'a M,
    values: &'a Values<'a>,
    range: Range<usize>,
    bits: Vec<DepthBits>,
}

/// Rows whose values are asked for before they are used.
const AHEAD: usize = 6;

/// `out = w @ x`.
pub(super) fn run(w: &impl Masked, values: &Values<'_>, x: &Matrix<'_, f32>, out: MatrixMut<'_, f32>) -> Result<()> {
    let (rows, cols) = w.shape();
    let blocks = cols.div_ceil(DEPTH);
    // Each range packs all of `x` again: one for each thread.
    let work = (w.nbytes() + values.nbytes()).saturating_mul(x.cols());
    let ranges = par::joined(par::cut(rows, 1, work));
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let most = (BIT_BYTES / (blocks * size_of::<DepthBits>())).max(1);
        let (mut at, k) = (range.start, out.cols());
        let mut line = vec![0; blocks * size_of::<DepthBits>() + 8];
        for sums in out.items_mut().chunks_mut(most * k) {
            let range = at..at + sums.len() / k;
            at = range.end;
            let mut bits = vec![[0; DEPTH / 8]; range.len() * blocks];
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
            all_columns(&Rows { w, values, range, bits }, x, sums)?;
        }
        Ok(())
    })
}

fn all_columns<M: Masked>(rows: &Rows<'_, M>, x: &Matrix<'_, f32>, sums: &mut [f32]) -> Result<()> {
    let k = x.cols();
    let mut first = 0;
    while first < k {
        first += match k - first {
            1..=8 => columns::<8, M>(rows, x, first, sums)?,
            9..=16 => columns::<16, M>(rows, x, first, sums)?,
            17..=32 => columns::<32, M>(rows, x, first, sums)?,
            _ => columns::<64, M>(rows, x, first, sums)?,
        };
    }
    Ok(())
}

/// The next `W` columns from `first` on, or what is left.
fn columns<const W: usize, M: Masked>(
    rows: &Rows<'_, M>,
    x: &Matrix<'_, f32>,
    first: usize,
    sums: &mut [f32],
) -> Result<usize>
where
    Panel<W>: Wide<W>,
{
    let k = x.cols();
    let width = W.min(k - first);
    let mut panel = vec![Panel::<W>::ZERO];
    let panel = &mut panel[0];
    let mut cursors = Vec::with_capacity(rows.range.len());
    for row in rows.range.clone() {
        cursors.push(rows.w.slots(row)?.start);
    }
    for (block, x) in x.items().chunks(DEPTH * k).enumerate() {
        for (to, from) in panel.0.iter_mut().zip(x.chunks_exact(k)) {
            to[..width].copy_from_slice(&from[first..first + width]);
        }
        let bits = &rows.bits[block * cursors.len()..][..cursors.len()];
        for (at, bits) in bits.iter().enumerate() {
            if let Some(&to_come) = cursors.get(at + AHEAD) {
                rows.values.prefetch(to_come);
            }
            let sums = &mut sums[at * k + first..][..width];
            cursors[at] += add::<W, M>(rows, at, block, bits, cursors[at], panel, sums)?;
        }
    }
    for (row, cursor) in rows.range.clone().zip(cursors) {
        if cursor > rows.w.slots(row)?.end {
            return Err(Error::Offsets { name: "row_offsets", at: row });
        }
    }
    Ok(width)
}

/// Adds what [`DEPTH`] columns of a row give; how many slots there are.
#[inline]
fn add<const W: usize, M: Masked>(
    rows: &Rows<'_, M>,
    at: usize,
    block: usize,
    bits: &DepthBits,
    slot: usize,
    panel: &Panel<W>,
    sums: &mut [f32],
) -> Result<usize>
where
    Panel<W>: Wide<W>,
{
    let count = u128::from_le_bytes(*bits).count_ones() as usize;
    let mut values = [0.0; DEPTH];
    let values = &mut values[..count];
    let row = rows.range.start + at;
    rows.values.widen(row, slot, values)?;
    rows.values.scale_bits(row, block * DEPTH, bits, values);
    if let Ok(sums) = <&mut [f32; W]>::try_from(&mut *sums) {
        if block == 0 {
            sums.fill(0.0);
        }
        panel.add(bits, values, sums);
        return Ok(count);
    }
    let mut room = [0.0; W];
    if block > 0 {
        room[..sums.len()].copy_from_slice(sums);
    }
    panel.add(bits, values, &mut room);
    sums.copy_from_slice(&room[..sums.len()]);
    Ok(count)
}
