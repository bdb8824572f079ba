//! The signatures of kernels that find nonzero items.

pub(crate) type NonzeroBits<T> = unsafe fn(&[T], T, &mut [u8]) -> usize;

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) nonzero_bits_u8: NonzeroBits<u8>,
    pub(crate) nonzero_bits_u16: NonzeroBits<u16>,
    pub(crate) nonzero_bits_u32: NonzeroBits<u32>,
    pub(crate) nonzero_bits_u64: NonzeroBits<u64>,
}
