//! Rows merged into one: the portable loop, in registers of 32 bytes.

use crate::merge::Merges;
use crate::scalar;

pub(crate) const TABLE: Merges = Merges { merge_u8, merge_u16, merge_u32, merge_u64 };

macro_rules! merge {
    ($name:ident, $t:ty) => {
        /// See [`crate::Kernels::merge_u16`].
        #[target_feature(enable = "avx2")]
        pub(crate) fn $name(rows: &[$t], stride: usize, any: &mut [$t]) {
            scalar::merge::merge(rows, stride, any);
        }
    };
}

merge!(merge_u8, u8);
merge!(merge_u16, u16);
merge!(merge_u32, u32);
merge!(merge_u64, u64);
