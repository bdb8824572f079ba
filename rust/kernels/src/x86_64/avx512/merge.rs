//! Merging, tile by tile.

use crate::x86_64::avx2::merge::between;

crate::x86_64::compiled_merge::compiled_merge!("avx512f,avx512bw,avx512vl", between);
