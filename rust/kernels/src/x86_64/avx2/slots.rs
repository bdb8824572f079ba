//! Packing items by a bit mask: compressed, after what is not kept became zero.

use super::compress;
use crate::scalar;

/// Items that are packed at once.
const TILE: usize = 512;

macro_rules! pack_slots {
    ($name:ident, $t:ty, $compress:ident) => {
        /// See [`crate::Kernels::pack_slots_u16`].
        #[target_feature(enable = "avx2,bmi1,bmi2,popcnt")]
        pub(crate) fn $name(src: &[$t], keep: &[u8], full: &[u8], dst: &mut [$t]) -> usize {
            let mut count = 0;
            let masks = keep.chunks(TILE / 8).zip(full.chunks(TILE / 8));
            for (items, (keep, full)) in src.chunks(TILE).zip(masks) {
                let room = dst.get_mut(count..).unwrap_or_default();
                if keep == full {
                    count += compress::$compress(items, full, room);
                } else {
                    let mut kept = [0; TILE];
                    scalar::slots::keep_slots(items, keep, &mut kept[..items.len()]);
                    count += compress::$compress(&kept[..items.len()], full, room);
                }
            }
            count
        }
    };
}

pack_slots!(pack_slots_u8, u8, compress_u8);
pack_slots!(pack_slots_u16, u16, compress_u16);
pack_slots!(pack_slots_u32, u32, compress_u32);
