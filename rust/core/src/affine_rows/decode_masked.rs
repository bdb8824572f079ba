//! Symmetric codes of csr and bitmask to dense rows: codes are spread over the columns, and all columns decoded. What
//! has no slot has code 0.

use crate::affine::grid::Grid;
use crate::affine::groups::Grouped;
use crate::affine::runs::{at_groups, check_length};
use crate::csr::{out_of_range, scatter, slots_at, span};
use crate::{Error, Index, Item, Matrix, MatrixMut, Result, TILE, par};
use sparsefmt_kernels::Kernels;
use std::ops::Range;

/// Codes of 4 or 8 bits.
#[derive(Clone, Copy)]
struct Stored<'a> {
    values: &'a [u8],
    bits: usize,
}

impl<'a> Stored<'a> {
    fn new(values: &'a [u8], bits: u32) -> Result<Self> {
        match bits {
            4 | 8 => Ok(Self { values, bits: bits as usize }),
            _ => Err(Error::Parameter { name: "bits", got: bits as usize }),
        }
    }

    fn len(self) -> usize {
        self.values.len() * 8 / self.bits
    }

    /// The codes of some slots, a byte each, by way of `room`.
    fn get<'b>(self, slots: Range<usize>, room: &'b mut Vec<u8>) -> &'b [u8]
    where
        'a: 'b,
    {
        if self.bits == 8 {
            return &self.values[slots];
        }
        let odd = slots.start % 2;
        room.resize(odd + slots.len(), 0);
        Kernels::active().unpack_nibbles(&self.values[slots.start / 2..slots.end.div_ceil(2)], room);
        &room[odd..]
    }
}

/// Decodes rows whose slots are at `offsets`. `spread` fills a row with the codes of its `slots`, and zeros elsewhere.
fn decode<K: Grouped, I: Index>(
    offsets: &[I],
    stored: Stored<'_>,
    group: usize,
    grid: Grid<'_>,
    mut out: MatrixMut<'_, K::Item>,
    spread: impl Fn(usize, Range<usize>, &[u8], &mut [u8]) -> Result<()> + Sync + Send,
) -> Result<()>
where
    K::Item: Item,
{
    let (rows, cols) = (out.rows(), out.cols());
    grid.fits(rows, cols, group)?;
    check_length("offsets", offsets.len(), rows + 1)?;
    let place = span(offsets, stored.len())?;
    let group = group.min(cols.max(1));
    let stream = out.is_streamed();
    let ranges = par::cut(rows, 1, 2 * size_of_val(out.items_mut()));
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, mut out)| {
        let (mut scale, mut room, mut codes) = (Vec::new(), Vec::new(), vec![0; cols]);
        let mut buffer = [K::Item::default(); TILE];
        Kernels::nontemporal(stream, |streamed| {
            for (at, row) in rows.enumerate() {
                let slots = slots_at(offsets, row, &place)?;
                spread(row, slots.clone(), stored.get(slots, &mut room), &mut codes)?;
                grid.row(row, &mut scale);
                let group = if scale.len() == 1 { cols } else { group };
                for (start, out) in (0..cols).step_by(TILE).zip(out.row_mut(at).chunks_mut(TILE)) {
                    let end = start + out.len();
                    let made = if stream { &mut buffer[..out.len()] } else { &mut *out };
                    for part in at_groups(start..end, group) {
                        let scale = &scale[part.start / group..(part.end - 1) / group + 1];
                        K::dequantize(
                            &codes[part.clone()],
                            group,
                            scale,
                            &mut made[part.start - start..part.end - start],
                        );
                    }
                    if stream {
                        K::Item::drain(streamed, &mut buffer[..out.len()], out);
                    }
                }
            }
            Ok(())
        })
    })
}

/// The inverse of [`super::bits_encode`]: fills `out`. `grid` may have one row, or one entry in it.
///
/// # Errors
/// As there.
pub fn bits_decode<K: Grouped, I: Index>(
    keep: Matrix<'_, u8>,
    row_offsets: &[I],
    values: &[u8],
    group: usize,
    bits: u32,
    grid: Grid<'_>,
    out: MatrixMut<'_, K::Item>,
) -> Result<()>
where
    K::Item: Item,
{
    let bytes = out.cols().div_ceil(8);
    check_length("bits", keep.rows(), out.rows())?;
    check_length("a row of bits", keep.cols().min(bytes), bytes)?;
    decode::<K, I>(row_offsets, Stored::new(values, bits)?, group, grid, out, |row, slots, codes, dense| {
        let set = u8::expand(codes, &keep.row(row)[..bytes], dense, false);
        if set == slots.len() { Ok(()) } else { Err(Error::Offsets { name: "row_offsets", at: row }) }
    })
}

/// The inverse of [`super::csr_encode`]: fills `out`.
///
/// # Errors
/// As there; an index is out of range.
pub fn csr_decode<K: Grouped, I: Index>(
    indptr: &[I],
    indices: &[I],
    values: &[u8],
    group: usize,
    bits: u32,
    grid: Grid<'_>,
    out: MatrixMut<'_, K::Item>,
) -> Result<()>
where
    K::Item: Item,
{
    let (cols, place) = (out.cols(), span(indptr, indices.len())?);
    decode::<K, I>(indptr, Stored::new(values, bits)?, group, grid, out, |_, slots, codes, dense| {
        dense.fill(0);
        let found = indices.get(slots.clone()).ok_or(Error::Changed)?;
        scatter(found, codes, dense).map_err(|(i, index)| out_of_range(slots.start + i - place.start, index, cols))
    })
}
