//! Products with many columns: the portable loops with fused multiplications.

use crate::args::panels::{Panel, PanelRows, Table};
use crate::scalar::panels as plain;

pub(crate) const TABLE: Table = Table { narrowest: 16, add: &[add_16, add_32, add_64] };

macro_rules! add {
    ($name:ident, $w:literal) => {
        /// See [`crate::Kernels::add_panel`].
        #[target_feature(enable = "neon")]
        fn $name(w: &PanelRows<'_>, cursors: &mut [usize], x: &Panel, sums: &mut [f32]) {
            plain::add::<$w, true>(w, cursors, x, sums);
        }
    };
}
add!(add_16, 16);
add!(add_32, 32);
add!(add_64, 64);
