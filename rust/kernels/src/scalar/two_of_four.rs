//! 2 of 4, group by group.

use crate::scalar::top::top_bits;
use crate::top::Order;
use crate::two_of_four::complete;

/// See [`crate::Kernels::pack_two_of_four`].
pub(crate) fn pack(items: &[u16], order: Option<Order<u16>>, zero: u16, codes: &mut [u8], slots: &mut [u16]) -> bool {
    let mut over = 0;
    let rooms = codes.as_chunks_mut::<6>().0.iter_mut().zip(slots.as_chunks_mut::<32>().0);
    for (block, (codes, slots)) in items.as_chunks::<64>().0.iter().zip(rooms) {
        over |= pack_block(block, order, zero, codes, slots);
    }
    over != 0
}

/// 16 groups; gives 0 if none has too many items.
fn pack_block(
    items: &[u16; 64],
    order: Option<Order<u16>>,
    zero: u16,
    codes: &mut [u8; 6],
    slots: &mut [u16; 32],
) -> u64 {
    let mut top = [u8::MAX; 8];
    if let Some(order) = order {
        top_bits(items, order, (2, 4), &mut top);
    }
    let nonzero = items.iter().enumerate().fold(0, |bits, (i, item)| bits | u64::from(item & zero != 0) << i);
    let keep = nonzero & u64::from_le_bytes(top);
    let groups = complete(keep);
    let packed = (0..16).fold(0, |bits, i| bits | (groups.code >> (4 * i) & 7) << (3 * i));
    codes.copy_from_slice(&packed.to_le_bytes()[..6]);
    let full = (0..64).filter(|i| groups.full >> i & 1 == 1);
    for (slot, i) in slots.iter_mut().zip(full) {
        *slot = if keep >> i & 1 == 1 { items[i] } else { 0 };
    }
    groups.over
}
