//! Items as they are stored, read as float32 and written from it.

use crate::{Error, Result};
use half::f16;
use sparsefmt_kernels::Kernels;
use std::ops::Range;

/// Items of a tensor.
#[derive(Clone, Copy, Debug)]
pub enum Stored<'a> {
    /// float32.
    Single(&'a [u32]),
    /// bfloat16.
    BFloat16(&'a [u16]),
    /// float16.
    Float16(&'a [u16]),
}

/// Items that are written.
#[derive(Debug)]
pub enum StoredMut<'a> {
    /// float32.
    Single(&'a mut [u32]),
    /// bfloat16.
    BFloat16(&'a mut [u16]),
    /// float16.
    Float16(&'a mut [u16]),
}

impl Stored<'_> {
    /// The number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Single(items) => items.len(),
            Self::BFloat16(items) | Self::Float16(items) => items.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// # Errors
    /// The number of items is another one.
    pub(super) const fn check(&self, name: &'static str, want: usize) -> Result<()> {
        if self.len() == want { Ok(()) } else { Err(Error::Length { name, got: self.len(), want }) }
    }

    /// Reads a range that lies within the items into as many values.
    pub(super) fn widen(&self, range: Range<usize>, dst: &mut [f32]) {
        match self {
            Self::Single(items) => {
                dst.iter_mut().zip(&items[range]).for_each(|(dst, &bits)| *dst = f32::from_bits(bits))
            }
            Self::BFloat16(items) => Kernels::active().widen_bf16(&items[range], dst),
            Self::Float16(items) => Kernels::active().widen_f16(&items[range], dst),
        }
    }
}

/// A bfloat16, to nearest, ties to even; one NaN.
#[inline(always)]
fn to_bfloat16(x: f32) -> u16 {
    let bits = x.to_bits();
    let rounded = bits.wrapping_add(0x7FFF + (bits >> 16 & 1)) >> 16;
    if bits & 0x7FFF_FFFF > 0x7F80_0000 { 0x7FC0 } else { rounded as u16 }
}

impl<'a> StoredMut<'a> {
    /// The number of items.
    #[must_use]
    pub const fn len(&self) -> usize {
        match self {
            Self::Single(items) => items.len(),
            Self::BFloat16(items) | Self::Float16(items) => items.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Writes values, each rounded once; every NaN becomes the same one.
    pub(super) fn narrow(&mut self, at: usize, values: &[f32]) {
        match self {
            Self::Single(items) => items[at..][..values.len()]
                .iter_mut()
                .zip(values)
                .for_each(|(dst, x)| *dst = if x.is_nan() { 0x7FC0_0000 } else { x.to_bits() }),
            Self::BFloat16(items) => {
                items[at..][..values.len()].iter_mut().zip(values).for_each(|(dst, &x)| *dst = to_bfloat16(x));
            }
            Self::Float16(items) => {
                let items = &mut items[at..][..values.len()];
                if values.iter().all(|x| x.abs() < 65520.0) {
                    Kernels::active().narrow_f16(values, items);
                } else {
                    items.iter_mut().zip(values).for_each(|(dst, &x)| {
                        *dst = if x.is_nan() { 0x7E00 } else { f16::from_f32(x).to_bits() };
                    });
                }
            }
        }
    }

    /// Splits into parts of these lengths.
    pub(super) fn split(self, ranges: &[Range<usize>]) -> Vec<StoredMut<'a>> {
        let lengths = ranges.iter().map(ExactSizeIterator::len);
        match self {
            Self::Single(items) => crate::par::split_mut(items, lengths).into_iter().map(Self::Single).collect(),
            Self::BFloat16(items) => crate::par::split_mut(items, lengths).into_iter().map(Self::BFloat16).collect(),
            Self::Float16(items) => crate::par::split_mut(items, lengths).into_iter().map(Self::Float16).collect(),
        }
    }
}
