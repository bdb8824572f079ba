//! Rows merged into one, a strip of all rows at a time, so that nothing is stored but the result.

use crate::merge::Merges;
use crate::scalar;
use std::arch::x86_64::{__m256i, _mm256_loadu_si256, _mm256_or_si256, _mm256_setzero_si256, _mm256_storeu_si256};

pub(crate) const TABLE: Merges = Merges { merge_u8, merge_u16, merge_u32, merge_u64 };

/// Registers per strip: four lines of the cache.
const REGISTERS: usize = 8;

macro_rules! merge {
    ($name:ident, $t:ty) => {
        /// See [`crate::Kernels::merge_u16`].
        #[target_feature(enable = "avx2")]
        pub(crate) fn $name(rows: &[$t], stride: usize, any: &mut [$t]) {
            const LANES: usize = 32 / size_of::<$t>();
            let (strips, tail) = any.as_chunks_mut::<{ REGISTERS * LANES }>();
            let mut start = 0;
            for strip in strips {
                let mut merged: [__m256i; REGISTERS] = [_mm256_setzero_si256(); REGISTERS];
                for row in rows.chunks(stride) {
                    let items = &row[start..][..REGISTERS * LANES];
                    for (merged, items) in merged.iter_mut().zip(items.as_chunks::<LANES>().0) {
                        // SAFETY: `items` is 32 readable bytes; the load needs no alignment.
                        let items = unsafe { _mm256_loadu_si256(items.as_ptr().cast()) };
                        *merged = _mm256_or_si256(*merged, items);
                    }
                }
                for (room, merged) in strip.as_chunks_mut::<LANES>().0.iter_mut().zip(merged) {
                    // SAFETY: `room` is 32 writable bytes; the store needs no alignment.
                    unsafe { _mm256_storeu_si256(room.as_mut_ptr().cast(), merged) };
                }
                start += REGISTERS * LANES;
            }
            if !tail.is_empty() {
                scalar::merge::merge(&rows[start.min(rows.len())..], stride, tail);
            }
        }
    };
}

merge!(merge_u8, u8);
merge!(merge_u16, u16);
merge!(merge_u32, u32);
merge!(merge_u64, u64);
