//! Arguments of packing 2 of 4, and their signatures.

use crate::args::topk::Order;

pub(crate) type Pack = unsafe fn(&[u16], Option<Order<u16>>, u16, &mut [u8], &mut [u16]) -> bool;

/// Functions for one instruction set.
#[derive(Clone, Copy)]
pub(crate) struct Table {
    pub(crate) pack: Pack,
}
