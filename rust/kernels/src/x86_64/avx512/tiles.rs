//! What prepares tiles and adds them up: loops that the compiler turns into registers of 16 items.

use crate::scalar::tiles as plain;
use crate::tiles::{BlockSums, Extent, PairTile, TILE_DEPTH, TILE_WIDTH, Table};

pub(crate) const TABLE: Table = Table { extent, extent_of_brains, cut_part, pair_rows, add_sums };

/// See [`crate::Kernels::extent`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn extent(items: &[f32]) -> Extent {
    plain::extent(items)
}

/// See [`crate::Kernels::extent_of_brains`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn extent_of_brains(items: &[u16]) -> Extent {
    plain::extent_of_brains(items)
}

/// See [`crate::Kernels::cut_part`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn cut_part(items: &mut [f32], part: &mut [u16]) -> bool {
    plain::cut_part(items, part)
}

/// See [`crate::Kernels::pair_rows`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn pair_rows(rows: &[[u16; TILE_WIDTH]; TILE_DEPTH], tile: &mut PairTile) {
    plain::pair_rows(rows, tile)
}

/// See [`crate::Kernels::add_sums`].
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
fn add_sums(block: &BlockSums, sums: (&mut [f32], usize), shape: (usize, usize), first: bool) {
    plain::add_sums(block, sums, shape, first)
}
