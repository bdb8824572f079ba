//! A few columns: values are spread over a register of columns of the matrix, once for all columns of `x`.

use super::masked_rows::Masked;
use super::panel::{AHEAD, blocks_of, shared, stride};
use super::values::Values;
use crate::{Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Chunk, Kernels};
use std::ops::Range;

/// The most columns that this is the faster way for.
pub(super) const MOST: usize = 8;

/// The kernel for some number of columns.
trait Few<const J: usize> {
    fn add(values: &[f32], bits: &[u8], x: &[Self], sums: &mut [f32; J])
    where
        Self: Sized;
}

macro_rules! few {
    ($j:literal, $dots:ident) => {
        impl Few<$j> for Chunk<$j> {
            #[inline]
            fn add(values: &[f32], bits: &[u8], x: &[Self], sums: &mut [f32; $j]) {
                Kernels::active().$dots(values, bits, x, sums);
            }
        }
    };
}
few!(4, dots_4);
few!(8, dots_8);
few!(16, dots_16);

/// `out = w @ x` for at most [`MOST`] columns, `8 N` columns of the matrix at a time: those of `x` stay in the first-level
/// cache.
pub(super) fn run(w: &impl Masked, values: &Values<'_>, x: &Matrix<'_, f32>, out: MatrixMut<'_, f32>) -> Result<()> {
    match x.cols() {
        0..=4 => columns::<4, 64>(w, values, x, out),
        5..=8 => columns::<8, 64>(w, values, x, out),
        _ => columns::<16, 32>(w, values, x, out),
    }
}

fn columns<const J: usize, const N: usize>(
    w: &impl Masked,
    values: &Values<'_>,
    x: &Matrix<'_, f32>,
    out: MatrixMut<'_, f32>,
) -> Result<()>
where
    Chunk<J>: Few<J>,
{
    let (rows, k) = (w.shape().0, x.cols());
    let ranges = shared(par::cut(rows, 1, (w.nbytes() + values.nbytes()).saturating_mul(k)));
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, f32>)| {
        let (mut chunks, mut room) = (vec![Chunk::<J>::ZERO; N / 2], vec![0.0; 8 * N + 16]);
        blocks_of::<N>(w, range, usize::MAX, k, out.items_mut(), |rows, bits, sums| {
            let mut cursors = rows.clone().map(|row| Ok(w.slots(row)?.start)).collect::<Result<Vec<_>>>()?;
            sums.fill(0.0);
            for (block, x) in x.items().chunks(8 * N * k).enumerate() {
                chunks.fill(Chunk::ZERO);
                for (at, x) in x.chunks_exact(k).enumerate() {
                    for (column, &x) in chunks[at / 16].0.iter_mut().zip(x) {
                        column[at % 16] = x;
                    }
                }
                let bits = &bits[block * stride(cursors.len())..][..cursors.len()];
                for (at, (bits, sums)) in bits.iter().zip(sums.chunks_mut(k)).enumerate() {
                    let count = bits.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word).count_ones() as usize);
                    let count = count.sum::<usize>();
                    if let Some(&to_come) = cursors.get(at + AHEAD) {
                        values.prefetch(to_come, count);
                    }
                    let row = rows.start + at;
                    values.widen(row, cursors[at], &mut room[..count])?;
                    values.scale_bits(row, block * 8 * N, bits, &mut room[..count]);
                    cursors[at] += count;
                    let mut some = [0.0; J];
                    // There to be loaded, not to be used.
                    room[count..count + 16].fill(0.0);
                    <Chunk<J>>::add(&room[..count + 16], bits, &chunks, &mut some);
                    sums.iter_mut().zip(some).for_each(|(sum, more)| *sum += more);
                }
            }
            super::panel::check_cursors(w, rows, &cursors)
        })
    })
}
