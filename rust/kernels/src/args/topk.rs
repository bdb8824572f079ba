//! Arguments of finding the n largest of a group, and their signatures.

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

pub(crate) type TopBits<T> = unsafe fn(&[T], Order<T>, (usize, usize), &mut [u8]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) topk_bits_u8: TopBits<u8>,
    pub(crate) topk_bits_u16: TopBits<u16>,
    pub(crate) topk_bits_u32: TopBits<u32>,
    pub(crate) topk_bits_u64: TopBits<u64>,
}
