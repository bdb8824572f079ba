//! Arguments of scattering items to columns, and their signatures.

/// If the last argument says so, writes past the caches, which the caller must wait for by a fence.
pub(crate) type Place<T> = unsafe fn(&[i32], &[T], &mut [T], bool) -> bool;
pub(crate) type Pair = [u64; 2];

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) scatter_u8: Place<u8>,
    pub(crate) scatter_u16: Place<u16>,
    pub(crate) scatter_u32: Place<u32>,
    pub(crate) scatter_u64: Place<u64>,
    pub(crate) scatter_pair: Place<Pair>,
}
