//! The entries of small codebooks: the portable loop, compiled for wider registers.

use crate::args::nearest_centroid::{Entries, Keys, Table};
use crate::scalar;

pub(crate) const TABLE: Table = Table { nearest, searched: false };

/// See [`crate::Kernels::nearest_centroid_u16`].
#[target_feature(enable = "avx2")]
fn nearest(src: &[u16], keys: Keys, entries: &Entries, codes: &mut [u8]) -> bool {
    scalar::nearest_centroid::nearest(src, keys, entries, codes)
}
