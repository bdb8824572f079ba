//! Products with many columns for AVX2 with FMA: the portable loops, compiled for it.

use crate::args::panels::{Panel, PanelRows, Table};
use crate::scalar::panels as plain;

pub(crate) const TABLE: Table = Table { narrowest: 16, add: &[add_16, add_32, add_64] };

macro_rules! add {
    ($name:ident, $w:literal) => {
        /// See [`crate::Kernels::add_panel`].
        #[target_feature(enable = "avx2,fma,bmi1,bmi2,popcnt")]
        fn $name(w: &PanelRows<'_>, cursors: &mut [usize], x: &Panel, sums: &mut [f32]) {
            plain::add::<$w, true>(w, cursors, x, sums);
        }
    };
}
add!(add_16, 16);
add!(add_32, 32);
add!(add_64, 64);
