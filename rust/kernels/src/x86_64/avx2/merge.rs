//! Merging, tile by tile.

crate::x86_64::compiled_merge::compiled_merge!("avx2");
