//! Portable kernels: the meaning in Rust, and what every faster table falls back to.

pub(crate) mod affine;
pub(crate) mod blocks;
pub(crate) mod compress;
pub(crate) mod csr;
pub(crate) mod halves;
pub(crate) mod lookup;
pub(crate) mod mask;
pub(crate) mod nearest;
pub(crate) mod pairs;
pub(crate) mod panels;
pub(crate) mod places;
pub(crate) mod product;
pub(crate) mod ranks;
pub(crate) mod slots;
pub(crate) mod split;
pub(crate) mod tiles;
pub(crate) mod top;
pub(crate) mod two_of_four;
pub(crate) mod units;
