//! Kernels for AVX-512 with BW, VL and VBMI2 (Ice Lake, Zen 4 and later).

pub(crate) mod affine;
pub(crate) mod blocks;
pub(crate) mod compress;
pub(crate) mod csr;
pub(crate) mod dots;
pub(crate) mod fours;
pub(crate) mod halves;
pub(crate) mod lookup;
pub(crate) mod mask;
pub(crate) mod nearest;
mod orders;
pub(crate) mod pairs;
pub(crate) mod panels;
pub(crate) mod places;
pub(crate) mod product;
pub(crate) mod ranks;
pub(crate) mod select;
pub(crate) mod short_ranks;
pub(crate) mod slots;
pub(crate) mod split;
pub(crate) mod tiles;
pub(crate) mod top;
pub(crate) mod two_of_four;
pub(crate) mod units;
