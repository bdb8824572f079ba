//! The part of the table that puts items in their columns, with its length assertions.

use crate::args::nontemporal::NonTemporal;
use crate::args::scatter::{Pair, Table};
use crate::scalar::compress::place;
use crate::tables::kernels::Kernels;
#[cfg(target_arch = "x86_64")]
use crate::x86_64::avx512;

pub(crate) const SCALAR: Table = Table {
    scatter_u8: place::<u8>,
    scatter_u16: place::<u16>,
    scatter_u32: place::<u32>,
    scatter_u64: place::<u64>,
    scatter_pair: place::<Pair>,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table = Table {
    scatter_u8: avx512::scatter::scatter_u8,
    scatter_u16: avx512::scatter::scatter_u16,
    scatter_u32: avx512::scatter::scatter_u32,
    scatter_u64: avx512::scatter::scatter_u64,
    ..SCALAR
};

macro_rules! place {
    ($name:ident, $t:ty) => {
        impl Kernels {
            /// Puts each item of `src` at its index in `dst`, and zeros elsewhere; false, and `dst` holds anything,
            /// unless the indices ascend without repeating and lie in `0..dst.len()`. With `stream` it writes past the
            /// caches where it can.
            ///
            /// # Panics
            /// There are not as many items as indices.
            #[must_use]
            pub fn $name(&self, indices: &[i32], src: &[$t], dst: &mut [$t], stream: bool) -> bool {
                assert_eq!(src.len(), indices.len(), "items of src");
                Self::nontemporal(stream, |_| {
                    // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted
                    // above; what is written past the caches is waited for before `nontemporal` returns.
                    unsafe { (self.scatter.$name)(indices, src, dst, stream) }
                })
            }
        }

        impl NonTemporal {
            /// See the method of [`Kernels`] of the same name.
            ///
            /// # Panics
            /// As there.
            #[must_use]
            pub fn $name(&self, indices: &[i32], src: &[$t], dst: &mut [$t]) -> bool {
                assert_eq!(src.len(), indices.len(), "items of src");
                // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above;
                // what is written past the caches is waited for before `nontemporal` returns.
                unsafe { (Kernels::active().scatter.$name)(indices, src, dst, self.stream) }
            }
        }
    };
}

place!(scatter_u8, u8);
place!(scatter_u16, u16);
place!(scatter_u32, u32);
place!(scatter_u64, u64);
place!(scatter_pair, Pair);
