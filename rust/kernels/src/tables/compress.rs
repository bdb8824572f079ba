//! The part of the table that moves items by a mask of bits, with its length assertions.

#[cfg(target_arch = "aarch64")]
use crate::aarch64::neon;
use crate::args::compress::{Pair, Table};
use crate::scalar;
use crate::tables::kernels::Kernels;
#[cfg(target_arch = "x86_64")]
use crate::x86_64::{avx2, avx512};

pub(crate) const SCALAR: Table = Table {
    compress_u8: scalar::compress::compress::<u8>,
    compress_u16: scalar::compress::compress::<u16>,
    compress_u32: scalar::compress::compress::<u32>,
    compress_u64: scalar::compress::compress::<u64>,
    compress_pair: scalar::compress::compress::<Pair>,
    expand_u8: scalar::compress::expand::<u8>,
    expand_u16: scalar::compress::expand::<u16>,
    expand_u32: scalar::compress::expand::<u32>,
    expand_u64: scalar::compress::expand::<u64>,
    expand_pair: scalar::compress::expand::<Pair>,
    drain_u8: scalar::compress::drain::<u8>,
    drain_u16: scalar::compress::drain::<u16>,
    drain_u32: scalar::compress::drain::<u32>,
    drain_u64: scalar::compress::drain::<u64>,
    drain_pair: scalar::compress::drain::<Pair>,
    positions_i32: scalar::compress::positions_i32,
    positions_i64: scalar::compress::positions_i64,
    count_bits: scalar::compress::count_bits,
};

#[cfg(target_arch = "aarch64")]
pub(crate) const NEON: Table = Table {
    compress_u8: neon::compress::compress_u8,
    compress_u16: neon::compress::compress_u16,
    compress_u32: neon::compress::compress_u32,
    compress_u64: neon::compress::compress_u64,
    expand_u8: neon::compress::expand_u8,
    expand_u16: neon::compress::expand_u16,
    expand_u32: neon::compress::expand_u32,
    expand_u64: neon::compress::expand_u64,
    positions_i32: neon::compress::positions_i32,
    count_bits: neon::compress::count_bits,
    ..SCALAR
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Table = Table {
    compress_u8: avx2::compress::compress_u8,
    compress_u16: avx2::compress::compress_u16,
    compress_u32: avx2::compress::compress_u32,
    expand_u8: avx2::compress::expand_u8,
    expand_u16: avx2::compress::expand_u16,
    expand_u32: avx2::compress::expand_u32,
    drain_u8: avx2::compress::drain_u8,
    drain_u16: avx2::compress::drain_u16,
    drain_u32: avx2::compress::drain_u32,
    drain_u64: avx2::compress::drain_u64,
    drain_pair: avx2::compress::drain_pair,
    positions_i32: avx2::compress::positions_i32,
    count_bits: avx2::compress::count_bits,
    ..SCALAR
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Table = Table {
    compress_u8: avx512::compress::compress_u8,
    compress_u16: avx512::compress::compress_u16,
    compress_u32: avx512::compress::compress_u32,
    compress_u64: avx512::compress::compress_u64,
    expand_u8: avx512::compress::expand_u8,
    expand_u16: avx512::compress::expand_u16,
    expand_u32: avx512::compress::expand_u32,
    expand_u64: avx512::compress::expand_u64,
    drain_u8: avx512::compress::drain_u8,
    drain_u16: avx512::compress::drain_u16,
    drain_u32: avx512::compress::drain_u32,
    drain_u64: avx512::compress::drain_u64,
    drain_pair: avx512::compress::drain_pair,
    positions_i32: avx512::compress::positions_i32,
    positions_i64: avx512::compress::positions_i64,
    ..AVX2
};

macro_rules! items {
    ($compress:ident, $expand:ident, $drain:ident, $t:ty) => {
        /// Moves the items of `src` whose bit (LSB first) is set to the front of `dst`; what `dst` cannot hold is
        /// dropped. Returns the number of set bits; those behind the last item do not count. The items of `dst` behind
        /// those that were moved are unspecified.
        ///
        /// # Panics
        /// `bits` is not `ceil(src.len() / 8)` long.
        pub fn $compress(&self, src: &[$t], bits: &[u8], dst: &mut [$t]) -> usize {
            assert_eq!(bits.len(), src.len().div_ceil(8), "bytes of bits");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.compress.$compress)(src, bits, dst) }
        }

        /// Fills `dst` with the items of `src`, in order, where a bit (LSB first) is set, and with zeros elsewhere and
        /// where `src` is used up. Returns the number of set bits; those behind the last item do not count. With
        /// `stream` it writes past the caches where it can.
        ///
        /// # Panics
        /// `bits` is not `ceil(dst.len() / 8)` long.
        pub fn $expand(&self, src: &[$t], bits: &[u8], dst: &mut [$t], stream: bool) -> usize {
            assert_eq!(bits.len(), dst.len().div_ceil(8), "bytes of bits");
            Self::nontemporal(stream, |_| {
                // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above;
                // what is written past the caches is waited for before `nontemporal` returns.
                unsafe { (self.compress.$expand)(src, bits, dst, stream) }
            })
        }

        /// Moves `buffer` to `dst`, past the caches, and leaves zeros in it.
        ///
        /// # Panics
        /// The two differ in length.
        pub fn $drain(&self, buffer: &mut [$t], dst: &mut [$t]) {
            assert_eq!(buffer.len(), dst.len(), "items of dst");
            Self::nontemporal(true, |_| {
                // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above;
                // what is written past the caches is waited for before `nontemporal` returns.
                unsafe { (self.compress.$drain)(buffer, dst) }
            });
        }
    };
}

macro_rules! positions {
    ($name:ident, $i:ty) => {
        /// Writes `first` plus the place of each set bit (LSB first) to the front of `dst`; what `dst` cannot hold is
        /// dropped. Returns the number of set bits. The items of `dst` behind them are unspecified.
        pub fn $name(&self, bits: &[u8], first: $i, dst: &mut [$i]) -> usize {
            // SAFETY: `for_isa` hands out a table only when the CPU has its features.
            unsafe { (self.compress.$name)(bits, first, dst) }
        }
    };
}

impl Kernels {
    items!(compress_u8, expand_u8, drain_u8, u8);
    items!(compress_u16, expand_u16, drain_u16, u16);
    items!(compress_u32, expand_u32, drain_u32, u32);
    items!(compress_u64, expand_u64, drain_u64, u64);
    items!(compress_pair, expand_pair, drain_pair, Pair);
    positions!(positions_i32, i32);
    positions!(positions_i64, i64);

    /// Returns the number of set bits.
    #[must_use]
    pub fn count_bits(&self, bits: &[u8]) -> usize {
        // SAFETY: `for_isa` hands out a table only when the CPU has its features.
        unsafe { (self.compress.count_bits)(bits) }
    }
}
