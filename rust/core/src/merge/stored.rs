//! Items as they are stored, read as float32 and written from it.

use crate::{Error, Result};
use half::f16;
use sparsefmt_kernels::{Kernels, MERGE_TILE, MergeItems};
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

impl<'a> Stored<'a> {
    /// The items, if they are bfloat16.
    pub(super) const fn bfloat16(&self) -> Option<&'a [u16]> {
        match self {
            Self::BFloat16(items) => Some(items),
            _ => None,
        }
    }

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

    /// Reads a range that lies within the items into as many values, less those of a base; gives whether all items are
    /// finite.
    pub(super) fn read(&self, range: Range<usize>, base: Option<&[f32]>, dst: &mut [f32]) -> bool {
        let items = match self {
            Self::Single(items) => MergeItems::Single(&items[range]),
            Self::BFloat16(items) => MergeItems::BFloat16(&items[range]),
            Self::Float16(items) => MergeItems::Float16(&items[range]),
        };
        Kernels::active().merge_read(items, base, dst)
    }

    /// The position in a range, at most a tile long, of the first item that is NaN or infinite.
    pub(super) fn not_finite(&self, range: Range<usize>) -> Option<usize> {
        let mut values = [0.0; MERGE_TILE];
        let values = &mut values[..range.len()];
        self.read(range, None, values);
        values.iter().position(|x| !x.is_finite())
    }
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
            Self::BFloat16(items) => Kernels::active().narrow_bf16(values, &mut items[at..][..values.len()]),
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

    /// Those of a range that lies within.
    pub(super) fn part(&mut self, range: Range<usize>) -> StoredMut<'_> {
        match self {
            Self::Single(items) => StoredMut::Single(&mut items[range]),
            Self::BFloat16(items) => StoredMut::BFloat16(&mut items[range]),
            Self::Float16(items) => StoredMut::Float16(&mut items[range]),
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
