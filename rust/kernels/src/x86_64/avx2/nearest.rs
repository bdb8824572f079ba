//! The entries of small codebooks: the portable loop, compiled for wider registers.

use crate::nearest::{Entries, Keys, Table};
use crate::scalar;

pub(crate) const TABLE: Table = Table { nearest, searched: false };

/// See [`crate::Kernels::nearest_u16`].
#[target_feature(enable = "avx2")]
fn nearest(src: &[u16], keys: Keys, entries: &Entries, codes: &mut [u8]) -> bool {
    scalar::nearest::nearest(src, keys, entries, codes)
}
