//! The part of the table that merges rows, with its length assertions.

use crate::{Kernels, scalar};

type Merge<T> = unsafe fn(&[T], usize, &mut [T]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Merges {
    pub(crate) merge_u8: Merge<u8>,
    pub(crate) merge_u16: Merge<u16>,
    pub(crate) merge_u32: Merge<u32>,
    pub(crate) merge_u64: Merge<u64>,
}

pub(crate) const SCALAR: Merges = Merges {
    merge_u8: scalar::merge::merge::<u8>,
    merge_u16: scalar::merge::merge::<u16>,
    merge_u32: scalar::merge::merge::<u32>,
    merge_u64: scalar::merge::merge::<u64>,
};

macro_rules! merge {
    ($name:ident, $t:ty) => {
        /// Sets the bits in `any` that are set at its place in any of the rows, which begin at every `stride`-th item of
        /// `rows`, and no others.
        ///
        /// # Panics
        /// `stride` is 0, or the last row is shorter than `any`.
        pub fn $name(&self, rows: &[$t], stride: usize, any: &mut [$t]) {
            let last = rows.chunks(stride).next_back().map_or(any.len(), <[$t]>::len);
            assert!(any.len() <= last.min(stride), "items of any");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.merges.$name)(rows, stride, any) }
        }
    };
}

impl Kernels {
    merge!(merge_u8, u8);
    merge!(merge_u16, u16);
    merge!(merge_u32, u32);
    merge!(merge_u64, u64);
}
