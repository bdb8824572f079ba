//! Codes of 8 and 4 bits whose values, under the scale of a block or group, stand in tables.

use crate::nm::Slot;
use crate::{Error, Matrix, MatrixMut, Result, par};
use sparsefmt_kernels::{Kernels, Planes};
use std::ops::Range;

/// Items of a block from which on its table is looked at as a whole.
const WORTH: usize = 1 << 12;

/// `out[r, c] = tables[block of r and c][codes[r, c]]`: `tables` has a row of 256 for every block of so many rows and
/// columns, those of the first rows of blocks first.
///
/// # Errors
/// A block without rows or columns, or shapes that do not fit.
pub fn blocks_lut<T: Slot>(
    codes: Matrix<'_, u8>,
    tables: Matrix<'_, T>,
    (tall, wide): (usize, usize),
    out: MatrixMut<'_, T>,
) -> Result<()> {
    if tall == 0 || wide == 0 {
        return Err(Error::Parameter { name: "block", got: 0 });
    }
    let (rows, cols) = (codes.rows(), codes.cols());
    out.check_shape("out", (rows, cols))?;
    let across = cols.div_ceil(wide);
    tables.check_shape("tables", (rows.div_ceil(tall).saturating_mul(across), 256))?;
    let (tables, _) = tables.items().as_chunks::<256>();
    let stream = out.is_streamed();
    let ranges = par::cut(rows, 1, rows.saturating_mul(cols) * (1 + size_of::<T>()));
    let outs = out.split(&ranges);
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out): (Range<usize>, MatrixMut<'_, T>)| {
        // Tables are looked at as a whole where that is little beside the look-ups.
        let (worth, mut floats, mut known) = (tall.min(range.len()).saturating_mul(wide) >= WORTH, Vec::new(), None);
        Kernels::nontemporal(stream, |streamed| {
            for row in range.clone() {
                let (codes, out) = (codes.row(row), out.row_mut(row - range.start));
                let tables = &tables[row / tall * across..][..across];
                if worth && known != Some(row / tall) {
                    floats.clear();
                    floats.extend(tables.iter().map(T::float_table));
                    known = Some(row / tall);
                }
                for (block, (codes, out)) in codes.chunks(wide).zip(out.chunks_mut(wide)).enumerate() {
                    let floats = floats.get(block).and_then(Option::as_ref);
                    if !floats.is_some_and(|floats| T::float_values(streamed, codes, floats, out)) {
                        T::look_up(codes, 8, &tables[block], &mut [], out);
                    }
                }
            }
        });
    });
    Ok(())
}

/// `out[r, c] = tables[which[r, c / group]][code of r and c]`: two codes of 4 bits a byte, the first one low; a table of
/// 16 for each of the 256 that `which` may name.
///
/// # Errors
/// `group` is odd or 0, or shapes do not fit.
pub fn nibbles_lut(
    codes: Matrix<'_, u8>,
    which: Matrix<'_, u8>,
    tables: Matrix<'_, u16>,
    group: usize,
    out: MatrixMut<'_, u16>,
) -> Result<()> {
    if group == 0 || !group.is_multiple_of(2) {
        return Err(Error::Parameter { name: "group", got: group });
    }
    let (rows, bytes) = (codes.rows(), codes.cols());
    out.check_shape("out", (rows, bytes.saturating_mul(2)))?;
    which.check_shape("which", (rows, bytes.div_ceil(group / 2)))?;
    tables.check_shape("tables", (256, 16))?;
    let mut planes: Box<[Planes; 256]> = Box::new([[0; 32]; 256]);
    for (planes, values) in planes.iter_mut().zip(tables.items().as_chunks::<16>().0) {
        for (i, value) in values.iter().enumerate() {
            [planes[i], planes[16 + i]] = value.to_le_bytes();
        }
    }
    let whole = bytes / (group / 2);
    let ranges = par::cut(rows, 1, rows.saturating_mul(bytes) * 5);
    let outs = out.split(&ranges);
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out)| {
        for row in range.clone() {
            let (codes, tail) = codes.row(row).split_at(whole * (group / 2));
            let (which, last) = which.row(row).split_at(whole);
            let (out, rest) = out.row_mut(row - range.start).split_at_mut(whole * group);
            Kernels::active().nibble_groups_u16(codes, which, &planes, out);
            Kernels::active().nibble_groups_u16(tail, last, &planes, rest);
        }
    });
    Ok(())
}
