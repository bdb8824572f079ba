//! Copies of columns that start on a line of the cache.

use crate::Result;
use crate::room::filled;

/// A copy that starts at a multiple of 64 bytes: loads of whole registers that cross lines cost twice as much.
pub(super) struct Aligned {
    items: Vec<f32>,
    start: usize,
    len: usize,
}

impl Aligned {
    pub(super) fn new(source: &[f32]) -> Result<Self> {
        let mut made = Self::zeros(source.len())?;
        made.items_mut().copy_from_slice(source);
        Ok(made)
    }

    pub(super) fn zeros(len: usize) -> Result<Self> {
        let items = filled(0.0, len + 16)?;
        let start = items.as_ptr().align_offset(64).min(16);
        Ok(Self { items, start, len })
    }

    pub(super) fn items_mut(&mut self) -> &mut [f32] {
        &mut self.items[self.start..self.start + self.len]
    }

    pub(super) fn items(&self) -> &[f32] {
        &self.items[self.start..self.start + self.len]
    }
}
