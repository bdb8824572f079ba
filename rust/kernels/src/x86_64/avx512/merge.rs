//! Merging, tile by tile.

use crate::x86_64::avx2::merge::{between, between_bf16};
use crate::x86_64::avx2::merge_straight::straight;
use crate::x86_64::avx2::merge_voted::voted;

crate::x86_64::compiled_merge::compiled_merge!("avx512f,avx512bw,avx512vl", between, between_bf16, straight, voted);
