//! 2 of 4 of 16-bit items without a step in memory: `ld4` brings the items of a place into a register, where each lane is a
//! group; what is kept, what completes it, and its code are logic on such registers; `st2` writes the slots.

use super::registers::{load_fours_u16, store_pairs_u16};
use crate::args::topk::Order;
use std::arch::aarch64::{
    int16x8_t, uint16x8_t, uint16x8x2_t, uint16x8x4_t, vabsq_s16, vandq_u16, vbicq_u16, vbslq_u16, vcgeq_u16,
    vcgtq_u16, vdupq_n_u16, veorq_u16, vgetq_lane_u64, vld1q_s16, vmaxvq_u16, vminq_u16, vmvnq_u16, vornq_u16,
    vorrq_u16, vpaddq_u16, vreinterpretq_s16_u16, vreinterpretq_u16_s16, vreinterpretq_u64_u16, vshlq_u16, vsliq_n_u16,
    vtstq_u16,
};

/// How items rank.
#[derive(Clone, Copy)]
struct Rank {
    signed: bool,
    mask: uint16x8_t,
    top: uint16x8_t,
}

impl Rank {
    #[inline]
    #[target_feature(enable = "neon")]
    fn keys(self, items: uint16x8_t) -> uint16x8_t {
        let value = if self.signed { vreinterpretq_u16_s16(vabsq_s16(vreinterpretq_s16_u16(items))) } else { items };
        vminq_u16(vandq_u16(value, self.mask), self.top)
    }
}

/// Set where at least two are.
#[inline]
#[target_feature(enable = "neon")]
fn majority(a: uint16x8_t, b: uint16x8_t, c: uint16x8_t) -> uint16x8_t {
    vbslq_u16(veorq_u16(a, b), c, a)
}

/// The two largest of each lane's four keys, of equal ones the first: those that win two of their three comparisons.
#[inline]
#[target_feature(enable = "neon")]
fn top([a, b, c, d]: [uint16x8_t; 4]) -> [uint16x8_t; 4] {
    let (ab, ac, ad) = (vcgeq_u16(a, b), vcgeq_u16(a, c), vcgeq_u16(a, d));
    let (ba, bc, bd) = (vcgtq_u16(b, a), vcgeq_u16(b, c), vcgeq_u16(b, d));
    let (ca, cb, cd) = (vcgtq_u16(c, a), vcgtq_u16(c, b), vcgeq_u16(c, d));
    [majority(ab, ac, ad), majority(ba, bc, bd), majority(ca, cb, cd), vmvnq_u16(majority(ad, bd, cd))]
}

/// How far left the code of each lane goes, so that four of them stand side by side.
static SHIFTS: [i16; 8] = [0, 3, 6, 9, 0, 3, 6, 9];

#[inline]
#[target_feature(enable = "neon")]
fn shifts() -> int16x8_t {
    // SAFETY: 16 readable bytes; the load needs the alignment of an item.
    unsafe { vld1q_s16(SHIFTS.as_ptr()) }
}

/// Packs 8 groups: their slots, their codes where [`SHIFTS`] says, and where there are more than two.
#[inline]
#[target_feature(enable = "neon")]
fn eight(items: &[u16; 32], rank: Option<Rank>, zeros: uint16x8_t, slots: &mut [u16; 16]) -> (uint16x8_t, uint16x8_t) {
    let uint16x8x4_t(a, b, c, d) = load_fours_u16(items);
    let items = [a, b, c, d];
    let mut keep = items.map(|items| vtstq_u16(items, zeros));
    if let Some(rank) = rank {
        for (keep, top) in keep.iter_mut().zip(top(items.map(|items| rank.keys(items)))) {
            *keep = vandq_u16(*keep, top);
        }
    }
    let [k0, k1, k2, k3] = keep;
    let (low, high) = (vorrq_u16(k0, k1), vorrq_u16(k2, k3));
    let (both_low, both_high) = (vandq_u16(k0, k1), vandq_u16(k2, k3));
    let over = vorrq_u16(vandq_u16(both_low, high), vandq_u16(low, both_high));
    // The complement of those with two: their third place is taken, and the fourth where none of the first two is.
    let two = vorrq_u16(vorrq_u16(both_low, both_high), vandq_u16(low, high));
    let (f2, f3) = (vornq_u16(k2, two), vornq_u16(k3, vorrq_u16(two, low)));
    // With exactly two set: the first is place 0, 1 or 2, the second 3, 2 or 1.
    let kept = |at: usize| vandq_u16(items[at], keep[at]);
    let first = vbslq_u16(k0, kept(0), vbslq_u16(k1, kept(1), kept(2)));
    let second = vbslq_u16(f3, kept(3), vbslq_u16(f2, kept(2), kept(1)));
    store_pairs_u16(slots, uint16x8x2_t(first, second));
    let c0 = vorrq_u16(vbicq_u16(k0, k1), vandq_u16(f2, f3));
    let c1 = vorrq_u16(vandq_u16(k0, f3), vandq_u16(k1, f2));
    let c2 = vbicq_u16(f3, k0);
    let codes = vandq_u16(vsliq_n_u16::<2>(vsliq_n_u16::<1>(c0, c1), c2), vdupq_n_u16(7));
    (vshlq_u16(codes, shifts()), over)
}

/// See [`crate::Kernels::nm24_pack`].
#[target_feature(enable = "neon")]
pub(crate) fn pack(items: &[u16], order: Option<Order<u16>>, zero: u16, codes: &mut [u8], slots: &mut [u16]) -> bool {
    let (zeros, mut over) = (vdupq_n_u16(zero), vdupq_n_u16(0));
    let rank =
        order.map(|order| Rank { signed: order.signed, mask: vdupq_n_u16(order.mask), top: vdupq_n_u16(order.top) });
    let rooms = codes.as_chunks_mut::<6>().0.iter_mut().zip(slots.as_chunks_mut::<32>().0);
    for (block, (codes, slots)) in items.as_chunks::<64>().0.iter().zip(rooms) {
        let ([low, high], [front, back]) = (block.as_chunks::<32>().0, slots.as_chunks_mut::<16>().0) else { continue };
        let (low, more) = eight(low, rank, zeros, front);
        let (high, still) = eight(high, rank, zeros, back);
        over = vorrq_u16(over, vorrq_u16(more, still));
        let pairs = vpaddq_u16(low, high);
        let word = vgetq_lane_u64::<0>(vreinterpretq_u64_u16(vpaddq_u16(pairs, pairs)));
        // Four fields of 12 bits in 16 each.
        let word = word & 0x0000_0FFF_0000_0FFF | word >> 4 & 0x00FF_F000_00FF_F000;
        let word = word & 0x00FF_FFFF | word >> 8 & 0xFFFF_FF00_0000;
        codes.copy_from_slice(&word.to_le_bytes()[..6]);
    }
    vmaxvq_u16(over) != 0
}
