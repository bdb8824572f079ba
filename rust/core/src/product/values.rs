//! Slots as float32.

use crate::affine::{BFloat16, Float8E4M3, Float8E5M2, Float16, Int8, Int16, Number, Scale, UInt8, UInt16};
use crate::{Error, Result};
use sparsefmt_kernels::{Kernels, prefetch_near};
use std::ops::Range;

type Widen<T> = fn(&[T], &mut [f32]);

/// How slots are stored.
#[derive(Clone, Copy, Debug)]
pub(super) enum Slots<'a> {
    F16(&'a [u16]),
    Bf16(&'a [u16]),
    F32(&'a [f32]),
    Bytes(&'a [u8], Widen<u8>),
    Shorts(&'a [u16], Widen<u16>),
    /// Codes of 4 or 8 bits; 4 bits: a stream, the low half of a byte first.
    Codes(&'a [u8], usize),
    /// A stream of codes of any other number of bits.
    Stream(&'a [u8], usize),
    /// The same, with a table of 256 entries for each row, or for all.
    Book(&'a [u8], usize, &'a [[f32; 256]]),
}

/// Scales and zero points: one for `group` columns of a row.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scales<'a> {
    scale: Scale<'a>,
    zero_point: Option<&'a [u8]>,
    rows: usize,
    per_row: usize,
    pub(super) group: usize,
}

/// The slots of a matrix and what they mean.
#[derive(Clone, Copy, Debug)]
pub struct Values<'a> {
    pub(super) slots: Slots<'a>,
    pub(super) scales: Option<Scales<'a>>,
    /// Whether `x` is to be rounded to 8 bits.
    pub(super) in_integers: bool,
}

/// What stands beside codes.
#[derive(Clone, Copy, Debug)]
pub enum Coding<'a> {
    /// Scales and zero points in rows of so many, each for `group` columns; they serve all rows if there is one row.
    Affine {
        /// The scales.
        scale: Scale<'a>,
        /// As many zero points.
        zero_point: Option<&'a [u8]>,
        /// Rows and columns of them.
        shape: (usize, usize),
        /// Columns of the matrix for each.
        group: usize,
    },
    /// Tables of 256 entries, one for each row or for all.
    Book(&'a [f32]),
}

impl<'a> Values<'a> {
    /// Items of 1 byte, of the dtype of that name; none if it is another one.
    #[must_use]
    pub fn bytes(items: &'a [u8], dtype: &str) -> Option<Self> {
        let widen: Widen<u8> = match dtype {
            "int8" => Int8::widen,
            "uint8" => UInt8::widen,
            "float8_e4m3fn" => Float8E4M3::widen,
            "float8_e5m2" => Float8E5M2::widen,
            _ => return None,
        };
        Some(Self { slots: Slots::Bytes(items, widen), scales: None, in_integers: false })
    }

    /// Items of 2 bytes, of the dtype of that name; none if it is another one.
    #[must_use]
    pub fn shorts(items: &'a [u16], dtype: &str) -> Option<Self> {
        let slots = match dtype {
            "float16" => Slots::F16(items),
            "bfloat16" => Slots::Bf16(items),
            "int16" => Slots::Shorts(items, Int16::widen),
            "uint16" => Slots::Shorts(items, UInt16::widen),
            _ => return None,
        };
        Some(Self { slots, scales: None, in_integers: false })
    }

    /// float32.
    #[must_use]
    pub fn singles(items: &'a [f32]) -> Self {
        Self { slots: Slots::F32(items), scales: None, in_integers: false }
    }

    /// The same, to be multiplied in integers, with `x` rounded to 8 bits.
    #[must_use]
    pub fn in_integers(self) -> Self {
        Self { in_integers: true, ..self }
    }

    /// Codes of 1 to 8 bits in one stream.
    ///
    /// # Errors
    /// Another number of bits; scales, zero points or tables of another number than said.
    pub fn coded(stream: &'a [u8], bits: usize, coding: Coding<'a>) -> Result<Self> {
        match coding {
            Coding::Affine { scale, zero_point, shape: (rows, per_row), group } => {
                let want = rows.saturating_mul(per_row);
                let got = match scale {
                    Scale::F16(scale) => scale.len(),
                    Scale::F32(scale) => scale.len(),
                };
                for got in [got, zero_point.map_or(want, <[u8]>::len)] {
                    if got != want {
                        return Err(Error::Length { name: "scale", got, want });
                    }
                }
                if group == 0 || !(1..=8).contains(&bits) {
                    return Err(Error::Parameter { name: "bits", got: bits });
                }
                let scales = Some(Scales { scale, zero_point, rows, per_row, group });
                let whole = bits == 4 || bits == 8;
                let slots = if whole { Slots::Codes(stream, bits) } else { Slots::Stream(stream, bits) };
                Ok(Self { slots, scales, in_integers: false })
            }
            Coding::Book(table) => {
                let (tables, rest) = table.as_chunks();
                if !(1..=8).contains(&bits) || tables.is_empty() || !rest.is_empty() {
                    return Err(Error::Parameter { name: "bits", got: bits });
                }
                Ok(Self { slots: Slots::Book(stream, bits, tables), scales: None, in_integers: false })
            }
        }
    }

    /// The number of slots.
    pub(super) fn len(&self) -> usize {
        match self.slots {
            Slots::F16(items) | Slots::Bf16(items) | Slots::Shorts(items, _) => items.len(),
            Slots::F32(items) => items.len(),
            Slots::Bytes(items, _) => items.len(),
            Slots::Codes(stream, bits) | Slots::Stream(stream, bits) | Slots::Book(stream, bits, _) => {
                stream.len().saturating_mul(8) / bits
            }
        }
    }

    /// Bytes of the slots.
    pub(super) fn nbytes(&self) -> usize {
        match self.slots {
            Slots::F16(items) | Slots::Bf16(items) | Slots::Shorts(items, _) => size_of_val(items),
            Slots::F32(items) => size_of_val(items),
            Slots::Bytes(items, _) | Slots::Codes(items, _) | Slots::Stream(items, _) | Slots::Book(items, ..) => {
                items.len()
            }
        }
    }

    /// Asks for `count` slots from `at` on to be brought near.
    #[inline]
    pub(super) fn prefetch(&self, at: usize, count: usize) {
        match self.slots {
            Slots::F16(items) | Slots::Bf16(items) | Slots::Shorts(items, _) => prefetch_near(items, at, count),
            Slots::F32(items) => prefetch_near(items, at, count),
            Slots::Bytes(items, _) => prefetch_near(items, at, count),
            Slots::Codes(stream, bits) | Slots::Stream(stream, bits) | Slots::Book(stream, bits, _) => {
                prefetch_near(stream, at / 8 * bits, count.div_ceil(8) * bits);
            }
        }
    }

    /// Checks that the scales and tables serve so many rows and columns.
    pub(super) fn check(&self, rows: usize, cols: usize) -> Result<()> {
        if let Some(scales) = self.scales {
            let per_row = cols.div_ceil(scales.group);
            if (scales.rows != 1 && scales.rows < rows) || (scales.per_row != 1 && scales.per_row < per_row) {
                return Err(Error::Length { name: "scale", got: scales.rows, want: rows });
            }
        }
        match self.slots {
            Slots::Book(_, _, tables) if tables.len() != 1 && tables.len() < rows => {
                Err(Error::Length { name: "codebook", got: tables.len(), want: rows })
            }
            _ => Ok(()),
        }
    }

    /// Writes the values of slots from `at` on; of affine codes, the codes.
    pub(super) fn widen(&self, row: usize, at: usize, out: &mut [f32]) -> Result<()> {
        let end = at.saturating_add(out.len());
        if end > self.len() {
            return Err(Error::Length { name: "slots", got: self.len(), want: end });
        }
        match self.slots {
            Slots::F16(items) => Float16::widen(&items[at..end], out),
            Slots::Bf16(items) => BFloat16::widen(&items[at..end], out),
            Slots::F32(items) => out.copy_from_slice(&items[at..end]),
            Slots::Bytes(items, widen) => widen(&items[at..end], out),
            Slots::Shorts(items, widen) => widen(&items[at..end], out),
            Slots::Codes(stream, bits) | Slots::Stream(stream, bits) => {
                let signed = self.scales.is_some_and(|scales| scales.zero_point.is_none());
                if bits == 8 {
                    let widen: Widen<u8> = if signed { Int8::widen } else { UInt8::widen };
                    widen(&stream[at..end], out);
                    return Ok(());
                }
                let shift = if signed { 8 - bits } else { 0 };
                each_code(stream, bits, at, out, |code| {
                    if signed { f32::from((code << shift) as i8 >> shift) } else { f32::from(code) }
                });
            }
            Slots::Book(stream, bits, tables) => {
                let table = &tables[if tables.len() == 1 { 0 } else { row }];
                each_code(stream, bits, at, out, |code| table[usize::from(code)]);
            }
        }
        Ok(())
    }

    /// Turns codes of one row into values: `columns` gives the column range of a scale, and the codes in it.
    pub(super) fn scale_bits(&self, row: usize, first: usize, bits: &[u8], codes: &mut [f32]) {
        let Some(scales) = self.scales else { return };
        let end = first + bits.len() * 8;
        if scales.per_row == 1 || first / scales.group == (end - 1) / scales.group {
            scales.apply(row, first, codes);
            return;
        }
        let (mut at, mut column) = (0, first);
        while column < end {
            let next = ((column / scales.group + 1) * scales.group).min(end);
            let count = count_bits(bits, column - first..next - first);
            let stop = (at + count).min(codes.len());
            scales.apply(row, column, &mut codes[at..stop]);
            (at, column) = (stop, next);
        }
    }
}

/// How many of these bits are set.
fn count_bits(bits: &[u8], range: Range<usize>) -> usize {
    let (first, last) = (range.start / 8, range.end / 8);
    let high = |byte: usize, from: usize| bits.get(byte).map_or(0, |bits| bits.checked_shr(from as u32).unwrap_or(0));
    let low = |byte: usize, to: usize| bits.get(byte).map_or(0, |bits| bits & ((1u16 << to) - 1) as u8);
    if first == last {
        return (low(first, range.end % 8) >> (range.start % 8)).count_ones() as usize;
    }
    let inside = bits.get(first + 1..last).unwrap_or_default();
    let ends = high(first, range.start % 8).count_ones() + low(last, range.end % 8).count_ones();
    ends as usize + inside.iter().map(|byte| byte.count_ones() as usize).sum::<usize>()
}

/// Turns codes into values by a scale and a zero point.
fn dequantize((scale, point): (f32, f32), codes: &mut [f32]) {
    codes.iter_mut().for_each(|code| *code = (*code - point) * scale);
}

impl<'a> Scales<'a> {
    /// The scales, as they are stored.
    pub(super) fn scale(&self) -> Scale<'a> {
        self.scale
    }

    /// Scale and zero point of a column.
    fn entry(&self, row: usize, column: usize) -> (f32, f32) {
        // Columns that stick out hold zeros, whatever the scale.
        let group = if self.per_row == 1 { 0 } else { (column / self.group).min(self.per_row.saturating_sub(1)) };
        let at = if self.rows == 1 { 0 } else { row * self.per_row } + group;
        let scale = match self.scale {
            Scale::F16(scale) => half::f16::from_bits(scale[at]).to_f32(),
            Scale::F32(scale) => scale[at],
        };
        (scale, self.zero_point.map_or(0.0, |points| f32::from(points[at])))
    }

    /// Turns codes of columns that share a scale into values.
    pub(super) fn apply(&self, row: usize, column: usize, codes: &mut [f32]) {
        dequantize(self.entry(row, column), codes);
    }

    /// The same for codes of any columns of a row.
    pub(super) fn apply_each(&self, row: usize, columns: impl Iterator<Item = usize>, codes: &mut [f32]) {
        let mut known = (usize::MAX, (0.0, 0.0));
        for (code, column) in codes.iter_mut().zip(columns) {
            let group = if self.per_row == 1 { 0 } else { column / self.group };
            if known.0 != group {
                known = (group, self.entry(row, column));
            }
            *code = (*code - known.1.1) * known.1.0;
        }
    }

    /// The same for codes of some columns side by side, and of others.
    pub(super) fn apply_runs<'c>(&self, row: usize, runs: impl Iterator<Item = (usize, &'c mut [f32])>) {
        let (mut shared, mut entry) = (0..0, (0.0, 0.0));
        for (column, codes) in runs {
            if !shared.contains(&column) {
                shared = if self.per_row == 1 {
                    0..usize::MAX
                } else {
                    let first = column - column % self.group;
                    first..first.saturating_add(self.group)
                };
                entry = self.entry(row, column);
            }
            if column + codes.len() > shared.end {
                self.apply_each(row, column.., codes);
                continue;
            }
            dequantize(entry, codes);
        }
    }

    /// The scale of every 64 columns of a row, if they share one, without a zero point; tells whether they do.
    pub(super) fn row(&self, row: usize, cols: usize, out: &mut Vec<f32>) -> bool {
        if self.zero_point.is_some() || (self.per_row > 1 && !self.group.is_multiple_of(64)) {
            return false;
        }
        let len = cols.div_ceil(64);
        let repeat = if self.per_row == 1 { len } else { self.group / 64 }.max(1);
        let start = if self.rows == 1 { 0 } else { row * self.per_row };
        let range = start..start + len.div_ceil(repeat);
        // The scales behind, to be repeated in front of them.
        out.resize(len + range.len(), 0.0);
        let (repeated, scales) = out.split_at_mut(len);
        match self.scale {
            Scale::F16(scale) => Kernels::active().widen_f16(&scale[range], scales),
            Scale::F32(scale) => scales.copy_from_slice(&scale[range]),
        }
        if repeat == 2 {
            let (pairs, last) = repeated.as_chunks_mut::<2>();
            pairs.iter_mut().zip(&*scales).for_each(|(pair, &scale)| *pair = [scale; 2]);
            last.iter_mut().zip(scales.last()).for_each(|(last, &scale)| *last = scale);
        } else {
            repeated.chunks_mut(repeat).zip(scales).for_each(|(part, &mut scale)| part.fill(scale));
        }
        out.truncate(len);
        true
    }
}

/// Codes that are looked at together.
const RUN: usize = 256;

/// Calls `value` with the codes from `at` on; there are enough.
fn each_code(stream: &[u8], bits: usize, at: usize, out: &mut [f32], value: impl Fn(u8) -> f32) {
    let mut done = 0;
    while done < out.len() {
        let mut codes = [0; RUN + 8];
        let lead = (at + done) % 8;
        let count = (out.len() - done).min(RUN);
        fetch(stream, bits, at + done - lead, &mut codes[..lead + count]);
        for (out, &code) in out[done..done + count].iter_mut().zip(&codes[lead..]) {
            *out = value(code);
        }
        done += count;
    }
}

/// Writes the codes from `at` on, a multiple of 8; there are enough.
pub(super) fn fetch(stream: &[u8], bits: usize, at: usize, codes: &mut [u8]) {
    let bytes = &stream[at / 8 * bits..][..codes.len() / 8 * bits + (codes.len() % 8 * bits).div_ceil(8)];
    match bits {
        4 => Kernels::active().unpack_nibbles(bytes, codes),
        8 => codes.copy_from_slice(bytes),
        _ => crate::stream::unpack_here(bytes, bits, codes),
    }
    if bits == 4 {
        codes.iter_mut().for_each(|code| *code &= 15);
    }
}
