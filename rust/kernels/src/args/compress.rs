//! Arguments of kernels that move items by a mask of bits, and their signatures.

pub(crate) type Compress<T> = unsafe fn(&[T], &[u8], &mut [T]) -> usize;
/// If the last argument says so, writes past the caches, which the caller must wait for by a fence.
pub(crate) type Expand<T> = unsafe fn(&[T], &[u8], &mut [T], bool) -> usize;
pub(crate) type Positions<I> = unsafe fn(&[u8], I, &mut [I]) -> usize;
/// Writes past the caches, as above.
pub(crate) type Drain<T> = unsafe fn(&mut [T], &mut [T]);
pub(crate) type Pair = [u64; 2];

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) compress_u8: Compress<u8>,
    pub(crate) compress_u16: Compress<u16>,
    pub(crate) compress_u32: Compress<u32>,
    pub(crate) compress_u64: Compress<u64>,
    pub(crate) compress_pair: Compress<Pair>,
    pub(crate) expand_u8: Expand<u8>,
    pub(crate) expand_u16: Expand<u16>,
    pub(crate) expand_u32: Expand<u32>,
    pub(crate) expand_u64: Expand<u64>,
    pub(crate) expand_pair: Expand<Pair>,
    pub(crate) drain_u8: Drain<u8>,
    pub(crate) drain_u16: Drain<u16>,
    pub(crate) drain_u32: Drain<u32>,
    pub(crate) drain_u64: Drain<u64>,
    pub(crate) drain_pair: Drain<Pair>,
    pub(crate) positions_i32: Positions<i32>,
    pub(crate) positions_i64: Positions<i64>,
    pub(crate) count_bits: unsafe fn(&[u8]) -> usize,
}
