//! Symmetric codes of csr and bitmask to dense rows: codes are spread over the columns, and all columns decoded. What
//! has no slot has code 0.

use crate::affine::grid::Grid;
use crate::affine::groups::Grouped;
use crate::affine::runs::at_groups;
use crate::csr::scatter;
use crate::views::offsets::out_of_range;
use crate::views::{BitRows, Csr};
use crate::{Error, Index, Item, MatrixMut, Result, TILE, par};
use sparsefmt_kernels::Kernels;
use std::ops::Range;

/// Codes of 4 or 8 bits, of all slots.
#[derive(Clone, Copy, Debug)]
pub struct Stored<'a> {
    values: &'a [u8],
    bits: usize,
    /// Columns per scale.
    group: usize,
    grid: Grid<'a>,
}

impl<'a> Stored<'a> {
    /// Views codes of `bits` bits, with a scale of `grid`, which may have one row or one entry in it, for every `group`
    /// columns.
    ///
    /// # Errors
    /// `bits` is neither 4 nor 8.
    pub fn new(values: &'a [u8], bits: u32, group: usize, grid: Grid<'a>) -> Result<Self> {
        match bits {
            4 | 8 => Ok(Self { values, bits: bits as usize, group, grid }),
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

/// Decodes rows of slots. `slots` tells those of a row; `spread` fills a row with the codes of its slots, and zeros
/// elsewhere.
fn decode<K: Grouped>(
    stored: Stored<'_>,
    mut out: MatrixMut<'_, K::Item>,
    slots: impl Fn(usize) -> Result<Range<usize>> + Sync + Send,
    spread: impl Fn(usize, Range<usize>, &[u8], &mut [u8]) -> Result<()> + Sync + Send,
) -> Result<()>
where
    K::Item: Item,
{
    let (rows, cols, grid) = (out.rows(), out.cols(), stored.grid);
    grid.fits(rows, cols, stored.group)?;
    let group = stored.group.min(cols.max(1));
    let stream = out.is_streamed();
    let ranges = par::cut(rows, 1, 2 * size_of_val(out.items_mut()));
    let outs = out.split(&ranges);
    par::run(ranges.into_iter().zip(outs).collect(), |(rows, mut out)| {
        let (mut scale, mut room, mut codes) = (Vec::new(), Vec::new(), vec![0; cols]);
        let mut buffer = [K::Item::default(); TILE];
        Kernels::nontemporal(stream, |streamed| {
            for (at, row) in rows.enumerate() {
                let slots = slots(row)?;
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

/// The inverse of [`super::bits_encode`]: fills `out`.
///
/// # Errors
/// As there.
pub fn bits_decode<K: Grouped, I: Index>(
    bits: BitRows<'_, I>,
    stored: Stored<'_>,
    out: MatrixMut<'_, K::Item>,
) -> Result<()>
where
    K::Item: Item,
{
    out.check_shape("out", (bits.rows(), bits.cols()))?;
    bits.check_slots(stored.len())?;
    let slots = |row| bits.slots(row);
    decode::<K>(stored, out, slots, |row, slots, codes, dense| {
        let set = u8::expand(codes, bits.row(row), dense, false);
        if set == slots.len() { Ok(()) } else { Err(bits.wrong(row)) }
    })
}

/// The inverse of [`super::csr_encode`]: fills `out`.
///
/// # Errors
/// As there; an index is out of range.
pub fn csr_decode<K: Grouped, I: Index>(csr: Csr<'_, I>, stored: Stored<'_>, out: MatrixMut<'_, K::Item>) -> Result<()>
where
    K::Item: Item,
{
    out.check_shape("out", (csr.rows(), csr.cols()))?;
    csr.check_slots(stored.len())?;
    let (cols, place) = (csr.cols(), csr.place());
    let slots = |row| csr.slots(row);
    decode::<K>(stored, out, slots, |_, slots, codes, dense| {
        dense.fill(0);
        let found = &csr.indices()[slots.clone()];
        scatter(found, codes, dense).map_err(|(i, index)| out_of_range(slots.start + i - place.start, index, cols))
    })
}
