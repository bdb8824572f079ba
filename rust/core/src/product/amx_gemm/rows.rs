//! Rows of `w` as parts of their values.

use super::super::masked_rows::Masked;
use super::super::panel::check_cursors;
use super::super::values::Slots;
use super::work::Work;
use crate::Result;
use half::f16;
use sparsefmt_kernels::{Extent, Kernels, LeftRows, TILE_DEPTH, TILE_ROWS};
use std::ops::Range;

/// Items behind those that are spread, so that the last ones are loaded as the others are: a whole register.
const SPARE: usize = 32;

/// Some rows of `w`: their bits, and how far their slots were read.
pub(super) struct DecodedRows<'a, M> {
    work: &'a Work<'a, M>,
    rows: Range<usize>,
    bits: Vec<u8>,
    /// Bytes of bits of a row.
    stride: usize,
    cursors: Vec<usize>,
    /// Values of a piece of a row, and a part of them.
    values: Vec<f32>,
    part: Vec<u16>,
}

impl<'a, M: Masked> DecodedRows<'a, M> {
    pub(super) fn new(work: &'a Work<'a, M>, rows: Range<usize>, depth: &Range<usize>) -> Result<Self> {
        let cols = work.w.shape().1;
        let stride = cols.div_ceil(8) + 8;
        let mut bits = vec![0; stride * rows.len()];
        let mut cursors = Vec::with_capacity(rows.len());
        for (row, bits) in rows.clone().zip(bits.chunks_mut(stride)) {
            work.w.bits(row, bits)?;
            if let Some((last, rest)) = bits[cols / 8..].split_first_mut() {
                *last &= (1u16 << (cols % 8)).wrapping_sub(1) as u8;
                rest.fill(0);
            }
            let before = Kernels::active().count_bits(&bits[..depth.start / 8]);
            cursors.push(work.w.slots(row)?.start + before);
        }
        Ok(Self { work, rows, bits, stride, cursors, values: Vec::new(), part: Vec::new() })
    }

    /// Decodes some columns, of which there is a multiple of [`TILE_DEPTH`] but for the last ones of the matrix.
    pub(super) fn decode(&mut self, piece: Range<usize>, left: &mut LeftRows) -> Result<()> {
        let width = piece.len().next_multiple_of(TILE_DEPTH);
        let Self { work, values, part, .. } = self;
        let (mut found, mut halves) = (Extent::NONE, 0);
        for (at, cursor) in self.cursors.iter_mut().enumerate() {
            let bits = &self.bits[at * self.stride + piece.start / 8..][..width / 8];
            let count = Kernels::active().count_bits(bits);
            let slots = *cursor..*cursor + count;
            *cursor = slots.end;
            work.values.prefetch(slots.end, count);
            if let Slots::Bf16(items) = work.values.slots {
                if work.parts.limits.is_some() {
                    let items = items.get(slots.clone()).unwrap_or_default();
                    found = found.and(Kernels::active().extent_bf16(items));
                }
                let items = items.get(slots.start..items.len().min(slots.end + SPARE)).unwrap_or_default();
                Kernels::active().expand_u16(items, bits, &mut left.row_mut(0, at)[..width], false);
                continue;
            }
            if let Slots::F16(items) = work.values.slots
                && work.values.scales.is_none()
            {
                let items = items.get(slots.start..items.len().min(slots.end + SPARE)).unwrap_or_default();
                let [high, low] = left.both_mut(at);
                halves = halves.max(Kernels::active().split_f16(items, bits, &mut high[..width], &mut low[..width]));
                continue;
            }
            values.resize(count, 0.0);
            part.resize(count + SPARE, 0);
            work.values.widen(self.rows.start + at, slots.start, values)?;
            work.values.scale_bits(self.rows.start + at, piece.start, bits, values);
            found = found.and(Kernels::active().extent(values));
            let mut beyond = false;
            for number in 0..left.parts() {
                beyond = Kernels::active().cut_part(values, &mut part[..count]);
                Kernels::active().expand_u16(part, bits, &mut left.row_mut(number, at)[..width], false);
            }
            work.note(beyond);
        }
        found.most = found.most.max(f16::from_bits(halves).to_f32().to_bits());
        work.note(work.parts.limits.is_some_and(|limits| !limits.allow(found)));
        for part in 0..left.parts() {
            for row in self.rows.len()..TILE_ROWS {
                left.row_mut(part, row)[..width].fill(0);
            }
        }
        Ok(())
    }

    /// Checks that the bits before column `end` did not lead beyond the slots of their row.
    pub(super) fn check(&self, end: usize) -> Result<()> {
        if end < self.work.w.shape().1 {
            return Ok(());
        }
        check_cursors(self.work.w, self.rows.clone(), &self.cursors)
    }
}
