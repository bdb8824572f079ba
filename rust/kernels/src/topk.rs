//! The part of the table that finds the n largest of every group, with its length assertions.

use crate::{Kernels, scalar};

/// How items rank: by an unsigned key that grows with the magnitude.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Order<T> {
    /// Whether items are two's complement, and rank by their absolute value.
    pub signed: bool,
    /// The bits that count.
    pub mask: T,
    /// The largest key: what is larger ranks as this.
    pub top: T,
}

/// Items that have a key.
pub(crate) trait Key: Copy + Default + Ord + From<u8> {
    /// The key of an item.
    fn key(self, order: Order<Self>) -> Self;

    /// Where the key of `first` is as large as that of `second`: takes 1 from `one` and adds 1 to `other`.
    fn compare<const L: usize>(first: &[Self; L], second: &[Self; L], one: &mut [Self; L], other: &mut [Self; L]);
}

macro_rules! key {
    ($t:ty, $signed:ty) => {
        impl Key for $t {
            #[inline(always)]
            fn key(self, order: Order<Self>) -> Self {
                let value = if order.signed { (self as $signed).unsigned_abs() } else { self };
                (value & order.mask).min(order.top)
            }

            #[inline(always)]
            fn compare<const L: usize>(
                first: &[Self; L],
                second: &[Self; L],
                one: &mut [Self; L],
                other: &mut [Self; L],
            ) {
                for lane in 0..L {
                    let won = Self::from(first[lane] >= second[lane]);
                    other[lane] = other[lane].wrapping_add(won);
                    one[lane] = one[lane].wrapping_sub(won);
                }
            }
        }
    };
}

key!(u8, i8);
key!(u16, i16);
key!(u32, i32);
key!(u64, i64);

type TopBits<T> = unsafe fn(&[T], Order<T>, (usize, usize), &mut [u8]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Tops {
    topk_bits_u8: TopBits<u8>,
    topk_bits_u16: TopBits<u16>,
    topk_bits_u32: TopBits<u32>,
    topk_bits_u64: TopBits<u64>,
}

pub(crate) const SCALAR: Tops = Tops {
    topk_bits_u8: scalar::topk::topk_bits::<u8>,
    topk_bits_u16: scalar::topk::topk_bits::<u16>,
    topk_bits_u32: scalar::topk::topk_bits::<u32>,
    topk_bits_u64: scalar::topk::topk_bits::<u64>,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX2: Tops = Tops {
    topk_bits_u8: crate::x86_64::avx2::topk::topk_bits_u8,
    topk_bits_u16: crate::x86_64::avx2::topk::topk_bits_u16,
    topk_bits_u32: crate::x86_64::avx2::topk::topk_bits_u32,
    topk_bits_u64: crate::x86_64::avx2::topk::topk_bits_u64,
};

#[cfg(target_arch = "x86_64")]
pub(crate) const AVX512: Tops = Tops {
    topk_bits_u8: crate::x86_64::avx512::topk::topk_bits_u8,
    topk_bits_u16: crate::x86_64::avx512::topk::topk_bits_u16,
    topk_bits_u32: crate::x86_64::avx512::topk::topk_bits_u32,
    topk_bits_u64: crate::x86_64::avx512::topk::topk_bits_u64,
};

macro_rules! topk_bits {
    ($name:ident, $t:ty) => {
        /// Writes a bit per item, LSB first: set for the `n` largest keys of every run of `m` items; equal keys: the
        /// lower position. The last run may be shorter. The last byte is completed by zeros.
        ///
        /// # Panics
        /// `bits` is not `ceil(items.len() / 8)` long, or m is not in 1..=32.
        pub fn $name(&self, items: &[$t], order: Order<$t>, (n, m): (usize, usize), bits: &mut [u8]) {
            assert_eq!(bits.len(), items.len().div_ceil(8), "bytes of bits");
            assert!((1..=32).contains(&m), "runs of {m}");
            // SAFETY: `for_isa` hands out a table only when the CPU has its features; lengths were asserted above.
            unsafe { (self.tops.$name)(items, order, (n, m), bits) }
        }
    };
}

impl Kernels {
    topk_bits!(topk_bits_u8, u8);
    topk_bits!(topk_bits_u16, u16);
    topk_bits!(topk_bits_u32, u32);
    topk_bits!(topk_bits_u64, u64);
}
