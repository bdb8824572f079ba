//! Nonzero masks.

use std::ops::BitAnd;

/// See [`crate::Kernels::nonzero_bits_u16`].
pub(crate) fn nonzero_bits<T>(src: &[T], zero: T, bits: &mut [u8]) -> usize
where
    T: Copy + Default + PartialEq + BitAnd<Output = T>,
{
    let mut count = 0;
    for (byte, items) in bits.iter_mut().zip(src.chunks(8)) {
        *byte = items.iter().enumerate().fold(0, |acc, (i, &item)| acc | (u8::from(item & zero != T::default()) << i));
        count += byte.count_ones() as usize;
    }
    count
}
