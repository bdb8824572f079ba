//! Items by width, and the two widths of indices.

use sparsefmt_kernels::{CsrRow, Kernels, NonTemporal, Strided};

/// Something that may travel in 32 bits, next to a key of 32 bits.
pub trait Word: Copy {
    /// Whether 32 bits hold it; the two functions are called only then.
    const FITS: bool;

    /// In 32 bits.
    fn to_word(self) -> u32;

    /// Back from 32 bits.
    fn from_word(word: u32) -> Self;
}

macro_rules! word {
    ($t:ty) => {
        impl Word for $t {
            const FITS: bool = size_of::<$t>() <= 4;
            #[inline]
            fn to_word(self) -> u32 {
                self as u32
            }
            #[inline]
            fn from_word(word: u32) -> Self {
                word as Self
            }
        }
    };
}

word!(u8);
word!(u16);
word!(u32);
word!(u64);
word!(i64);

impl Word for [u64; 2] {
    const FITS: bool = false;
    fn to_word(self) -> u32 {
        self[0] as u32
    }
    fn from_word(word: u32) -> Self {
        [u64::from(word); 2]
    }
}

/// Something of 1, 2, 4, 8 or 16 bytes that is moved and never interpreted.
pub trait Item: Word + Default + PartialEq + Send + Sync + 'static {
    /// The mask `zero` (see [`Item::is_nonzero`]) as an item; 16-byte items use it for each half.
    fn mask(zero: u64) -> Self;

    /// Whether a bit of `zero` is set in the item: the zero rule.
    fn is_nonzero(self, zero: Self) -> bool;

    /// One bit per item of `src` into `bits` (`ceil(src.len() / 8)` bytes); returns the number of set bits.
    fn nonzero_bits(src: &[Self], zero: Self, bits: &mut [u8]) -> usize;

    /// Moves the items of `src` whose bit is set to the front of `dst`, see `Kernels::compress_u16`.
    fn compress(src: &[Self], bits: &[u8], dst: &mut [Self]) -> usize;

    /// Spreads the items of `src` over the set bits, with zeros elsewhere, see `Kernels::expand_u16`.
    fn expand(src: &[Self], bits: &[u8], dst: &mut [Self], stream: bool) -> usize;

    /// Puts each item of `src` at its index in `dst`, and zeros elsewhere, see `Kernels::scatter_u32`; complete
    /// for all threads only when `Kernels::nontemporal` returns.
    fn place(out: &NonTemporal, indices: &[i32], src: &[Self], dst: &mut [Self]) -> bool;

    /// Moves `buffer` to `dst` and leaves zeros in it, see `Kernels::drain_u16`; complete as `place`.
    fn drain(out: &NonTemporal, buffer: &mut [Self], dst: &mut [Self]);
}

macro_rules! moves {
    ($compress:ident, $expand:ident, $place:ident, $drain:ident) => {
        #[inline]
        fn compress(src: &[Self], bits: &[u8], dst: &mut [Self]) -> usize {
            Kernels::active().$compress(src, bits, dst)
        }
        #[inline]
        fn expand(src: &[Self], bits: &[u8], dst: &mut [Self], stream: bool) -> usize {
            Kernels::active().$expand(src, bits, dst, stream)
        }
        #[inline]
        fn place(out: &NonTemporal, indices: &[i32], src: &[Self], dst: &mut [Self]) -> bool {
            out.$place(indices, src, dst)
        }
        #[inline]
        fn drain(out: &NonTemporal, buffer: &mut [Self], dst: &mut [Self]) {
            out.$drain(buffer, dst);
        }
    };
}

macro_rules! item {
    ($t:ty, $nonzero_bits:ident, $compress:ident, $expand:ident, $place:ident, $drain:ident) => {
        impl Item for $t {
            fn mask(zero: u64) -> Self {
                zero as Self
            }
            #[inline]
            fn is_nonzero(self, zero: Self) -> bool {
                self & zero != 0
            }
            #[inline]
            fn nonzero_bits(src: &[Self], zero: Self, bits: &mut [u8]) -> usize {
                Kernels::active().$nonzero_bits(src, zero, bits)
            }
            moves!($compress, $expand, $place, $drain);
        }
    };
}

item!(u8, nonzero_bits_u8, compress_u8, expand_u8, scatter_u8, drain_u8);
item!(u16, nonzero_bits_u16, compress_u16, expand_u16, scatter_u16, drain_u16);
item!(u32, nonzero_bits_u32, compress_u32, expand_u32, scatter_u32, drain_u32);
item!(u64, nonzero_bits_u64, compress_u64, expand_u64, scatter_u64, drain_u64);

impl Item for [u64; 2] {
    fn mask(zero: u64) -> Self {
        [zero; 2]
    }
    #[inline]
    fn is_nonzero(self, zero: Self) -> bool {
        (self[0] & zero[0]) | (self[1] & zero[1]) != 0
    }
    fn nonzero_bits(src: &[Self], zero: Self, bits: &mut [u8]) -> usize {
        let mut count = 0;
        for (byte, items) in bits.iter_mut().zip(src.chunks(8)) {
            *byte = items.iter().enumerate().fold(0, |acc, (i, item)| acc | (u8::from(item.is_nonzero(zero)) << i));
            count += byte.count_ones() as usize;
        }
        count
    }
    moves!(compress_pair, expand_pair, scatter_pair, drain_pair);
}

/// int32 or int64, as SciPy uses them.
pub trait Index: Copy + Default + Ord + Send + Sync + 'static {
    /// The value if it lies in `0..bound`. `bound` is at most `i64::MAX`.
    fn below(self, bound: usize) -> Option<usize>;

    /// As int64.
    fn to_i64(self) -> i64;

    /// From a count; the caller chose the width so that it fits, else the value is cut off (never a bad access:
    /// every use is checked).
    fn cut(value: usize) -> Self;

    /// Writes `first` plus the place of each set bit to the front of `dst`, see `Kernels::positions_i32`.
    fn positions(bits: &[u8], first: usize, dst: &mut [Self]) -> usize;

    /// All of them as int32, if that is what they are.
    fn narrow(indices: &[Self]) -> Option<&[i32]>;

    /// The sum of `values[i] * x[indices[i]]`, see `Kernels::csr_dot_i32`.
    ///
    /// # Errors
    /// The position of an index that is out of range.
    fn dot(indices: &[Self], values: &[f32], x: &[f32]) -> Result<f32, usize>;

    /// Adds `values[i]` times row `indices[i]` of `x`, see `Kernels::csr_row_i32`.
    ///
    /// # Errors
    /// The position of an index that is out of range.
    fn add_rows(indices: &[Self], values: &[f32], x: &Strided<'_>, sums: &mut [f32]) -> Result<(), usize>;

    /// Sums of `values[i]` times `x[indices[i]]`, and of what `sums` hold if there are `more`.
    ///
    /// # Errors
    /// The position of an index that is out of range.
    fn add_8(row: CsrRow<'_, Self>, x: &[[f32; 8]], sums: &mut [f32; 8], more: bool) -> Result<(), usize>;

    /// The same for 16 columns.
    ///
    /// # Errors
    /// As [`Index::add_8`].
    fn add_16(row: CsrRow<'_, Self>, x: &[[f32; 16]], sums: &mut [f32; 16], more: bool) -> Result<(), usize>;

    /// The same for 32 columns.
    ///
    /// # Errors
    /// As [`Index::add_8`].
    fn add_32(row: CsrRow<'_, Self>, x: &[[f32; 32]], sums: &mut [f32; 32], more: bool) -> Result<(), usize>;
}

macro_rules! index {
    ($t:ty, $narrow:expr, $positions:ident, $dot:ident, $row:ident, $wide_8:ident, $wide_16:ident, $wide_32:ident) => {
        impl Index for $t {
            #[inline]
            fn below(self, bound: usize) -> Option<usize> {
                let value = self as usize; // a negative one becomes larger than any bound
                (value < bound).then_some(value)
            }
            #[inline]
            fn to_i64(self) -> i64 {
                i64::from(self)
            }
            #[inline]
            fn cut(value: usize) -> Self {
                value as Self
            }
            #[inline]
            fn positions(bits: &[u8], first: usize, dst: &mut [Self]) -> usize {
                Kernels::active().$positions(bits, Self::cut(first), dst)
            }
            #[inline]
            fn narrow(indices: &[Self]) -> Option<&[i32]> {
                ($narrow)(indices)
            }
            fn dot(indices: &[Self], values: &[f32], x: &[f32]) -> Result<f32, usize> {
                Kernels::active().$dot(indices, values, x)
            }
            fn add_rows(indices: &[Self], values: &[f32], x: &Strided<'_>, sums: &mut [f32]) -> Result<(), usize> {
                Kernels::active().$row(indices, values, x, sums)
            }
            fn add_8(row: CsrRow<'_, Self>, x: &[[f32; 8]], sums: &mut [f32; 8], more: bool) -> Result<(), usize> {
                Kernels::active().$wide_8(row, x, sums, more)
            }
            fn add_16(row: CsrRow<'_, Self>, x: &[[f32; 16]], sums: &mut [f32; 16], more: bool) -> Result<(), usize> {
                Kernels::active().$wide_16(row, x, sums, more)
            }
            fn add_32(row: CsrRow<'_, Self>, x: &[[f32; 32]], sums: &mut [f32; 32], more: bool) -> Result<(), usize> {
                Kernels::active().$wide_32(row, x, sums, more)
            }
        }
    };
}

index!(i32, Some, positions_i32, csr_dot_i32, csr_row_i32, csr_spmm_8_i32, csr_spmm_16_i32, csr_spmm_32_i32);
index!(i64, |_| None, positions_i64, csr_dot_i64, csr_row_i64, csr_spmm_8_i64, csr_spmm_16_i64, csr_spmm_32_i64);

/// A bound from outside as [`Index::below`] takes it.
pub(crate) fn bound(bound: usize) -> usize {
    bound.min(i64::MAX as usize)
}
