//! The entries of small codebooks, by counting the limits below.

use crate::args::nearest_centroid::{Entries, Keys};

const LANES: usize = 32;

/// See [`crate::Kernels::nearest_centroid_u16`].
#[inline(always)]
pub(crate) fn nearest(src: &[u16], keys: Keys, entries: &Entries, codes: &mut [u8]) -> bool {
    let mut odd = false;
    for (src, codes) in src.chunks(LANES).zip(codes.chunks_mut(LANES)) {
        let (mut key, mut above) = ([0u16; LANES], [0u16; LANES]);
        for (key, &item) in key.iter_mut().zip(src) {
            let negative = ((item as i16) >> 15) as u16 & keys.flip_negative;
            *key = item ^ negative ^ keys.flip;
            odd |= keys.is_odd(item);
        }
        for &limit in &entries.limits[..entries.count.min(31)] {
            for (above, &key) in above.iter_mut().zip(&key) {
                *above += u16::from(key > limit);
            }
        }
        for (code, &above) in codes.iter_mut().zip(&above) {
            *code = entries.codes[usize::from(above) & 31];
        }
    }
    odd
}
