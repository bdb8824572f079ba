//! Dense rows to symmetric codes of the stored slots only: for csr and bitmask.
//!
//! All columns of a row are coded, and the codes are gathered by a bit per column: groups of columns have one length,
//! groups of slots have not, and zeros change no scale.

use super::coded::Coded;
use crate::affine::grid::Scale;
use crate::affine::groups::{self, Grouped};
use crate::affine::runs::{at_groups, check_length};
use crate::affine::scales::{ScaleMut, make_scales};
use crate::views::BitRows;
use crate::views::offsets::{lengths, slots_of, span};
use crate::{Error, Index, Item, Matrix, MatrixMut, Result, TILE, par};
use sparsefmt_kernels::Kernels;
use std::ops::Range;

/// Groups whose scales are made at once.
const GROUPS: usize = 64;

/// Codes of slots that follow each other, into bytes that begin at the first slot with an even number.
struct Codes<'a> {
    bits: usize,
    /// The number of the next slot.
    at: usize,
    /// The number of the first byte.
    first: usize,
    out: &'a mut [u8],
    /// The code of a first slot that is the second of a byte.
    carry: Option<u8>,
}

impl<'a> Codes<'a> {
    fn new(bits: usize, at: usize, out: &'a mut [u8]) -> Self {
        Self { bits, at, first: (at * bits).div_ceil(8), out, carry: None }
    }

    /// Adds the codes whose bit is set; `room` is as long as `codes`.
    fn gather(&mut self, codes: &[u8], bits: &[u8], room: &mut [u8]) -> Result<()> {
        if self.bits == 8 {
            self.at += u8::compress(codes, bits, self.out.get_mut(self.at - self.first..).unwrap_or_default());
            return Ok(());
        }
        let count = u8::compress(codes, bits, room);
        let mut codes = &room[..count];
        if let (1, [code, rest @ ..]) = (self.at % 2, codes) {
            match (self.at / 2).checked_sub(self.first) {
                Some(place) => *self.out.get_mut(place).ok_or(Error::Changed)? |= code << 4,
                None => self.carry = Some(*code),
            }
            self.at += 1;
            codes = rest;
        }
        let start = self.at / 2 - self.first.min(self.at / 2);
        let out = self.out.get_mut(start..start + codes.len().div_ceil(2)).ok_or(Error::Changed)?;
        Kernels::active().pack_nibbles(codes, out);
        self.at += codes.len();
        Ok(())
    }
}

/// Scales of some rows.
enum Rows<'a> {
    F16(MatrixMut<'a, u16>),
    F32(MatrixMut<'a, f32>),
}

impl Rows<'_> {
    /// Makes the scales of a row and returns them; none if one is not finite.
    fn fill<K: Grouped>(&mut self, row: usize, items: &[K::Item], group: usize, most: f32) -> Option<Scale<'_>> {
        let mut span = [0.0; GROUPS];
        let parts = items.chunks(group.saturating_mul(GROUPS)).enumerate();
        for (at, items) in parts {
            let span = &mut span[..items.len().div_ceil(group)];
            K::spans(items, group, span);
            let place = at * GROUPS..at * GROUPS + span.len();
            match self {
                Self::F16(scale) => make_scales(span, most, Some(&mut scale.row_mut(row)[place]), None)?,
                Self::F32(scale) => make_scales(span, most, None, Some(&mut scale.row_mut(row)[place]))?,
            };
        }
        Some(match self {
            Self::F16(scale) => Scale::F16(scale.row_mut(row)),
            Self::F32(scale) => Scale::F32(scale.row_mut(row)),
        })
    }
}

fn rows_of<'a>(scale: ScaleMut<'a>, ranges: &[Range<usize>], shape: (usize, usize)) -> Result<Vec<Rows<'a>>> {
    let got = match &scale {
        ScaleMut::F16(scale) => (scale.rows(), scale.cols()),
        ScaleMut::F32(scale) => (scale.rows(), scale.cols()),
    };
    check_length("rows of scale", got.0, shape.0)?;
    check_length("columns of scale", got.1, shape.1)?;
    Ok(match scale {
        ScaleMut::F16(scale) => scale.split(ranges).into_iter().map(Rows::F16).collect(),
        ScaleMut::F32(scale) => scale.split(ranges).into_iter().map(Rows::F32).collect(),
    })
}

/// Codes the slots of `offsets`, absolute places in `values`. `tile` writes the bits of some columns of a row, with
/// what its task has. Returns false where a value is not finite, or a scale is beyond its dtype or too small for it.
fn encode<K: Grouped, I: Index, X: Send>(
    w: Matrix<'_, K::Item>,
    offsets: &[I],
    to: Coded<'_, &mut [u8]>,
    own: impl FnOnce(&[usize]) -> Vec<X>,
    tile: impl Fn(&mut X, usize, Range<usize>, &mut [u8]) -> Result<()> + Sync + Send,
) -> Result<bool> {
    let Coded { group, bits, scale, values } = to;
    let (rows, cols) = (w.rows(), w.cols());
    let per = usize::try_from(bits).unwrap_or(0);
    if per != 4 && per != 8 {
        return Err(Error::Parameter { name: "bits", got: per });
    }
    check_length("offsets", offsets.len(), rows + 1)?;
    let group = group.min(cols.max(1));
    let ranges = par::cut(rows, 1, 2 * size_of_val(w.items()));
    let scales = rows_of(scale, &ranges, (rows, crate::affine::runs::group_count(cols, group)?))?;
    let place = span(offsets, values.len() * 8 / per)?;
    let counts = lengths(offsets, &ranges, place.len())?;
    let byte = |slot: usize| (slot * per).div_ceil(8);
    let mut next = place.start;
    let starts = counts.iter().map(|count| {
        next += count;
        next - count
    });
    let starts: Vec<usize> = starts.collect();
    let sizes = starts.iter().zip(&counts).map(|(start, count)| byte(start + count) - byte(*start));
    let outs = par::split_mut(&mut values[byte(place.start)..], sizes);
    let codes = starts.iter().zip(outs).map(|(&start, out)| Codes::new(per, start, out));
    let tasks = ranges.into_iter().zip(scales).zip(codes.zip(own(&counts))).collect();
    let most = if per == 8 { 127.0 } else { 7.0 };
    let done = par::map(tasks, |((rows, mut scales), (mut codes, mut own)): ((Range<usize>, Rows<'_>), _)| {
        let (mut made, mut room, mut keep) = ([0; TILE], [0; TILE], [0; TILE / 8]);
        for (at, row) in rows.enumerate() {
            let (items, end) = (w.row(row), codes.at + slots_of(offsets, row)?);
            let Some(scale) = scales.fill::<K>(at, items, group, most) else { return Ok((false, None)) };
            for start in (0..cols).step_by(TILE) {
                let columns = start..cols.min(start + TILE);
                let keep = &mut keep[..columns.len().div_ceil(8)];
                tile(&mut own, row, columns.clone(), keep)?;
                let made = &mut made[..columns.len()];
                for part in at_groups(columns, group) {
                    let scale = scale.part(part.start / group..(part.end - 1) / group + 1);
                    let made = &mut made[part.start - start..part.end - start];
                    groups::quantize::<K>(&items[part], group, scale, most, made);
                }
                codes.gather(made, keep, &mut room[..made.len()])?;
            }
            if codes.at != end {
                return Err(Error::Changed);
            }
        }
        Ok((true, codes.carry))
    });
    let mut good = true;
    for (start, done) in starts.into_iter().zip(done) {
        let (whole, carry) = done?;
        good &= whole;
        if let Some(code) = carry {
            values[start / 2] = (values[start / 2] & 15) | code << 4;
        }
    }
    Ok(good)
}

/// Writes the symmetric codes of the items of `w` whose bit is set. The offsets of `keep` are absolute places of
/// codes: one of 4 bits that stands second in its byte leaves the first as it is.
///
/// Returns false where a value is not finite, or a scale is beyond its dtype or too small for it; what was written is
/// unspecified then.
///
/// # Errors
/// Shapes do not fit, offsets do not agree with the bits; the group is 0; codes have neither 4 nor 8 bits.
pub fn bits_encode<K: Grouped, I: Index>(
    w: Matrix<'_, K::Item>,
    keep: BitRows<'_, I>,
    to: Coded<'_, &mut [u8]>,
) -> Result<bool> {
    w.check_shape("w", (keep.rows(), keep.cols()))?;
    let own = |counts: &[usize]| vec![(); counts.len()];
    encode::<K, I, ()>(w, keep.row_offsets(), to, own, |(), row, columns, out| {
        let start = columns.start / 8;
        out.copy_from_slice(&keep.row(row)[start..start + out.len()]);
        Ok(())
    })
}

/// The same for csr: writes the columns of nonzero items too, with `indptr` for both.
///
/// # Errors
/// As [`bits_encode`].
pub fn csr_encode<K: Grouped, I: Index>(
    w: Matrix<'_, K::Item>,
    zero: u64,
    indptr: &[I],
    indices: &mut [I],
    to: Coded<'_, &mut [u8]>,
) -> Result<bool>
where
    K::Item: Item,
{
    let place = span(indptr, indices.len())?;
    let indices = &mut indices[place];
    encode::<K, I, &mut [I]>(
        w,
        indptr,
        to,
        move |counts| par::split_mut(indices, counts.iter().copied()),
        |indices, row, columns, out| {
            let count = K::Item::nonzero_bits(&w.row(row)[columns.clone()], K::Item::mask(zero), out);
            I::positions(out, columns.start, indices);
            *indices = std::mem::take(indices).get_mut(count..).ok_or(Error::Changed)?;
            Ok(())
        },
    )
}
