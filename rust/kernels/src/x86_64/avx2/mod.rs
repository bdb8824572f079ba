//! Kernels for AVX2 with BMI2 (Haswell, Zen 1 and later).

pub(crate) mod affine;
pub(crate) mod compress;
pub(crate) mod csr;
pub(crate) mod dots;
pub(crate) mod fours;
pub(crate) mod halves;
pub(crate) mod lookup;
pub(crate) mod mask;
pub(crate) mod nearest;
pub(crate) mod panels;
pub(crate) mod product;
pub(crate) mod ranks;
pub(crate) mod slots;
pub(crate) mod split;
pub(crate) mod top;
pub(crate) mod two_of_four;
pub(crate) mod units;
