//! Arguments of packing 2 of 4, and their signatures.

use crate::args::topk::Order;

pub(crate) type Pack = unsafe fn(&[u16], Option<Order<u16>>, u16, &mut [u8], &mut [u16]) -> bool;

/// If the last argument says so, writes past the caches, which the caller must wait for by a fence.
pub(crate) type Unpack = unsafe fn(&[u8], &[u16], &mut [u16], bool) -> bool;

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) pack: Pack,
    /// None where masks and expansion by them are as fast.
    pub(crate) unpack: Option<Unpack>,
}
