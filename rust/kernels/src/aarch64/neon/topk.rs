//! The n largest of every group of 4 or 8 items: `ld4` brings items of the same place into one register, where each lane
//! is a group, and every pair of places is compared once.

use super::registers::{
    load_fours_u8, load_fours_u16, load_fours_u32, low_bytes, lowest_bytes, store_half_u8, store_u8,
};
use crate::args::topk::Order;
use crate::scalar;
use std::arch::aarch64::{
    uint8x16_t, uint16x8_t, uint32x4_t, vabsq_s8, vabsq_s16, vabsq_s32, vaddq_u8, vaddq_u16, vaddq_u32, vandq_u8,
    vandq_u16, vandq_u32, vcgeq_u8, vcgeq_u16, vcgeq_u32, vcltq_u8, vcltq_u16, vcltq_u32, vdupq_n_u8, vdupq_n_u16,
    vdupq_n_u32, vminq_u8, vminq_u16, vminq_u32, vmovn_u16, vorrq_u16, vreinterpretq_s8_u8, vreinterpretq_s16_u16,
    vreinterpretq_s32_u32, vreinterpretq_u8_s8, vreinterpretq_u16_s16, vreinterpretq_u16_u8, vreinterpretq_u32_s32,
    vshrq_n_u16, vsliq_n_u8, vsliq_n_u16, vsliq_n_u32, vsubq_u8, vsubq_u16, vsubq_u32, vuzp1q_u8, vuzp1q_u16,
    vuzp1q_u32, vuzp2q_u8, vuzp2q_u16, vuzp2q_u32,
};

/// Groups that are worked on at once.
const GROUPS: usize = 16;

macro_rules! selected {
    (
        $module:ident, $t:ty, $vector:ty, $fours:ident, $dup:ident, $abs:ident, $to_signed:ident,
        $to_unsigned:ident, $and:ident, $min:ident, $at_least:ident, $below:ident, $add:ident, $sub:ident, $insert:ident,
        $even:ident, $odd:ident
    ) => {
        mod $module {
            use super::*;

            /// Lanes of a register.
            pub(super) const LANES: usize = 16 / size_of::<$t>();

            /// What [`Order`] asks for, in registers.
            #[derive(Clone, Copy)]
            pub(super) struct Rank {
                signed: bool,
                mask: $vector,
                top: $vector,
                n: $vector,
            }

            impl Rank {
                #[inline]
                #[target_feature(enable = "neon")]
                pub(super) fn new(order: Order<$t>, n: usize) -> Self {
                    Self { signed: order.signed, mask: $dup(order.mask), top: $dup(order.top), n: $dup(n as $t) }
                }

                #[inline]
                #[target_feature(enable = "neon")]
                fn keys(self, items: $vector) -> $vector {
                    let value = if self.signed { $to_unsigned($abs($to_signed(items))) } else { items };
                    $min($and(value, self.mask), self.top)
                }
            }

            /// The mask of each lane's group, in the lowest bits: places that fewer than n others beat.
            #[inline]
            #[target_feature(enable = "neon")]
            fn chosen<const M: usize>(keys: [$vector; M], n: $vector) -> $vector {
                // A place is beaten by all behind it, but for those that lose against it.
                let mut beaten = [n; M];
                for (place, beaten) in beaten.iter_mut().enumerate() {
                    *beaten = $dup((M - 1 - place) as $t);
                }
                for second in 1..M {
                    for first in 0..second {
                        let won = $at_least(keys[first], keys[second]);
                        beaten[first] = $add(beaten[first], won);
                        beaten[second] = $sub(beaten[second], won);
                    }
                }
                let kept = |place: usize| $below(beaten[place], n);
                let low = $insert::<3>($insert::<2>($insert::<1>(kept(0), kept(1)), kept(2)), kept(3));
                if M == 4 {
                    return $and(low, $dup(15));
                }
                let middle = $insert::<5>($insert::<4>(low, kept(M - 4)), kept(M - 3));
                $insert::<7>($insert::<6>(middle, kept(M - 2)), kept(M - 1))
            }

            #[inline]
            #[target_feature(enable = "neon")]
            pub(super) fn of_4(items: &[$t; 4 * LANES], rank: Rank) -> $vector {
                let fours = $fours(items);
                chosen([fours.0, fours.1, fours.2, fours.3].map(|items| rank.keys(items)), rank.n)
            }

            #[inline]
            #[target_feature(enable = "neon")]
            pub(super) fn of_8(items: &[$t; 8 * LANES], rank: Rank) -> $vector {
                let [a, b] = [0, 1].map(|half| {
                    let fours = $fours(&items.as_chunks().0[half]);
                    [fours.0, fours.1, fours.2, fours.3].map(|items| rank.keys(items))
                });
                let place = |at: usize| {
                    if at < 4 { $even(a[at], b[at]) } else { $odd(a[at % 4], b[at % 4]) }
                };
                chosen([0, 1, 2, 3, 4, 5, 6, 7].map(place), rank.n)
            }
        }
    };
}

selected!(
    bytes,
    u8,
    uint8x16_t,
    load_fours_u8,
    vdupq_n_u8,
    vabsq_s8,
    vreinterpretq_s8_u8,
    vreinterpretq_u8_s8,
    vandq_u8,
    vminq_u8,
    vcgeq_u8,
    vcltq_u8,
    vaddq_u8,
    vsubq_u8,
    vsliq_n_u8,
    vuzp1q_u8,
    vuzp2q_u8
);
selected!(
    shorts,
    u16,
    uint16x8_t,
    load_fours_u16,
    vdupq_n_u16,
    vabsq_s16,
    vreinterpretq_s16_u16,
    vreinterpretq_u16_s16,
    vandq_u16,
    vminq_u16,
    vcgeq_u16,
    vcltq_u16,
    vaddq_u16,
    vsubq_u16,
    vsliq_n_u16,
    vuzp1q_u16,
    vuzp2q_u16
);
selected!(
    words,
    u32,
    uint32x4_t,
    load_fours_u32,
    vdupq_n_u32,
    vabsq_s32,
    vreinterpretq_s32_u32,
    vreinterpretq_u32_s32,
    vandq_u32,
    vminq_u32,
    vcgeq_u32,
    vcltq_u32,
    vaddq_u32,
    vsubq_u32,
    vsliq_n_u32,
    vuzp1q_u32,
    vuzp2q_u32
);

/// The masks of 16 groups of 4, two to a byte.
#[inline]
#[target_feature(enable = "neon")]
fn put_4(masks: uint8x16_t, room: &mut [u8; 8]) {
    let pairs = vreinterpretq_u16_u8(masks);
    store_half_u8(room, vmovn_u16(vorrq_u16(pairs, vshrq_n_u16::<4>(pairs))));
}

/// Bytes of masks from as many registers as 16 groups fill.
macro_rules! joined {
    (bytes, $mask:expr) => {
        $mask(0)
    };
    (shorts, $mask:expr) => {
        low_bytes($mask(0), $mask(1))
    };
    (words, $mask:expr) => {
        lowest_bytes([$mask(0), $mask(1), $mask(2), $mask(3)])
    };
}

macro_rules! topk_bits {
    ($name:ident, $t:ty, $module:tt) => {
        /// See [`crate::Kernels::topk_bits_u16`].
        #[target_feature(enable = "neon")]
        pub(crate) fn $name(items: &[$t], order: Order<$t>, (n, m): (usize, usize), bits: &mut [u8]) {
            use $module::{Rank, of_4, of_8};
            if !matches!(m, 4 | 8) {
                return scalar::topk::topk_bits(items, order, (n, m), bits);
            }
            let (blocks, rank) = (items.len() / GROUPS / m, Rank::new(order, n.min(m)));
            let (head, rest) = items.split_at(blocks * GROUPS * m);
            let (outs, last) = bits.split_at_mut(blocks * GROUPS * m / 8);
            if m == 4 {
                for (items, out) in head.as_chunks::<{ 4 * GROUPS }>().0.iter().zip(outs.as_chunks_mut::<8>().0) {
                    put_4(joined!($module, |at: usize| of_4(&items.as_chunks().0[at], rank)), out);
                }
            } else {
                for (items, out) in head.as_chunks::<{ 8 * GROUPS }>().0.iter().zip(outs.as_chunks_mut::<16>().0) {
                    store_u8(out, joined!($module, |at: usize| of_8(&items.as_chunks().0[at], rank)));
                }
            }
            scalar::topk::topk_bits(rest, order, (n, m), last);
        }
    };
}

topk_bits!(topk_bits_u8, u8, bytes);
topk_bits!(topk_bits_u16, u16, shorts);
topk_bits!(topk_bits_u32, u32, words);
