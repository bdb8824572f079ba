//! Merging, tile by tile.

use crate::x86_64::avx2::merge::between;
use crate::x86_64::avx2::merge_straight::straight;

crate::x86_64::compiled_merge::compiled_merge!("avx512f,avx512bw,avx512vl", between, straight);
