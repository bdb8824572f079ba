//! Arguments of moving items between columns and slots, and their signatures.

pub(crate) type Pack<T> = unsafe fn(&[T], &[u8], &[u8], &mut [T]) -> usize;
pub(crate) type Keep<T> = unsafe fn(&[T], &[u8], &mut [T]);

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) pack_slots_u8: Pack<u8>,
    pub(crate) pack_slots_u16: Pack<u16>,
    pub(crate) pack_slots_u32: Pack<u32>,
    pub(crate) pack_slots_u64: Pack<u64>,
    pub(crate) keep_slots_u8: Keep<u8>,
    pub(crate) keep_slots_u16: Keep<u16>,
    pub(crate) keep_slots_u32: Keep<u32>,
    pub(crate) keep_slots_u64: Keep<u64>,
}
