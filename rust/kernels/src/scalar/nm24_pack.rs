//! 2 of 4: a group of 16-bit items is a word of 64 bits, and what it becomes is looked up.

use crate::args::topk::Order;
use crate::scalar::topk::topk_bits;

/// The highest bit of every item of a group.
const HIGHEST: u64 = 0x8000_8000_8000_8000;
/// All other bits.
const LOWER: u64 = !HIGHEST;

/// For each outcome of the six comparisons in a group, the mask of the two that are beaten by one at most; see [`top`].
const TOP: [u8; 64] = {
    // Bits 0 to 5 tell whether the first of these is at least the second.
    const PAIRS: [(usize, usize); 6] = [(0, 3), (0, 2), (0, 1), (1, 3), (1, 2), (2, 3)];
    let mut table = [0; 64];
    let mut outcome = 0;
    while outcome < 64 {
        let (mut beaten, mut pair) = ([0; 4], 0);
        while pair < 6 {
            let (first, second) = PAIRS[pair];
            beaten[if outcome >> pair & 1 == 1 { second } else { first }] += 1;
            pair += 1;
        }
        let mut place = 0;
        while place < 4 {
            table[outcome] |= ((beaten[place] < 2) as u8) << place;
            place += 1;
        }
        outcome += 1;
    }
    table
};

/// What a mask of a group becomes.
#[derive(Clone, Copy)]
struct Entry {
    places: [u8; 2],
    /// All bits of a slot that is kept, else none.
    kept: [u16; 2],
    code: u8,
    over: bool,
}

const ENTRIES: [Entry; 16] = {
    let mut table = [Entry { places: [0; 2], kept: [0; 2], code: 0, over: false }; 16];
    let mut mask = 0;
    while mask < 16 {
        let groups = complete(mask as u64);
        let entry = &mut table[mask];
        entry.code = groups.code as u8 & 7;
        entry.over = groups.over & 1 == 1;
        let (mut place, mut slot) = (0, 0);
        while place < 4 && slot < 2 {
            if groups.full >> place & 1 == 1 {
                entry.places[slot] = place;
                entry.kept[slot] = if mask >> place & 1 == 1 { u16::MAX } else { 0 };
                slot += 1;
            }
            place += 1;
        }
        mask += 1;
    }
    table
};

/// The bits of the two largest of four keys below 0x8000; equal keys: the first.
#[inline(always)]
fn top(keys: u64) -> u64 {
    // The highest bit of an item stays where the key is at least its rival's.
    let at_least = |rivals: u64| (keys | HIGHEST).wrapping_sub(rivals);
    let (by_one, by_two, by_three) = (keys.rotate_right(16), keys.rotate_right(32), keys.rotate_right(48));
    let won = at_least(by_one) & 0x0000_8000_8000_8000
        | (at_least(by_two) & 0x0000_0000_8000_8000) >> 1
        | (at_least(by_three) & 0x8000) >> 2;
    let won = won >> 13;
    u64::from(TOP[((won | won >> 14 | won >> 29) & 63) as usize])
}

/// The bits of the items of a group that are not zero.
#[inline(always)]
fn nonzero(items: u64) -> u64 {
    let bits = ((items & LOWER).wrapping_add(LOWER) | items) & HIGHEST;
    (bits >> 15 | bits >> 30 | bits >> 45 | bits >> 60) & 15
}

#[inline(always)]
fn word(items: [u16; 4]) -> u64 {
    items.iter().rev().fold(0, |word, &item| word << 16 | u64::from(item))
}

/// The lesser of each item of `a`, below 0x8000, and of `b`, the same in all items and below 0x8000.
#[inline(always)]
fn least(a: u64, b: u64) -> u64 {
    let larger = ((a | HIGHEST).wrapping_sub(b) & HIGHEST) >> 15;
    let larger = larger.wrapping_mul(0xFFFF);
    a & !larger | b & larger
}

/// See [`crate::Kernels::nm24_pack`].
pub(crate) fn pack(items: &[u16], order: Option<Order<u16>>, zero: u16, codes: &mut [u8], slots: &mut [u16]) -> bool {
    let zeros = word([zero; 4]);
    match order {
        None => all(items, codes, slots, |group| nonzero(group & zeros)),
        Some(order) if order.signed || order.mask.min(order.top) > 0x7FFF || order.mask > 0x7FFF => {
            all(items, codes, slots, |group| {
                let items = [group as u16, (group >> 16) as u16, (group >> 32) as u16, (group >> 48) as u16];
                let mut top = [0];
                topk_bits(&items, order, (2, 4), &mut top);
                nonzero(group & zeros) & u64::from(top[0])
            })
        }
        Some(order) => {
            let (mask, most) = (word([order.mask; 4]), word([order.top; 4]));
            all(items, codes, slots, |group| nonzero(group & zeros) & top(least(group & mask, most)))
        }
    }
}

/// Packs all groups, of which `keep` gives the bits of what is kept; tells whether one has too many.
#[inline(always)]
fn all(items: &[u16], codes: &mut [u8], slots: &mut [u16], keep: impl Fn(u64) -> u64) -> bool {
    let mut over = false;
    let rooms = codes.as_chunks_mut::<6>().0.iter_mut().zip(slots.as_chunks_mut::<32>().0);
    for (block, (codes, slots)) in items.as_chunks::<64>().0.iter().zip(rooms) {
        let mut fields = 0;
        for (i, (group, slots)) in block.as_chunks::<4>().0.iter().zip(slots.as_chunks_mut::<2>().0).enumerate() {
            let Entry { places, kept, code, over: more } = ENTRIES[(keep(word(*group)) & 15) as usize];
            *slots = [0, 1].map(|slot| group[usize::from(places[slot] & 3)] & kept[slot]);
            fields |= u64::from(code) << (4 * i);
            over |= more;
        }
        codes.copy_from_slice(&thirds(fields).to_le_bytes()[..6]);
    }
    over
}

/// The lowest bit of every group.
const LOWEST: u64 = 0x1111_1111_1111_1111;

/// The lowest bit that is set in each group.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
fn first(bits: u64) -> u64 {
    let before = (bits << 1 & (LOWEST * 14)) | (bits << 2 & (LOWEST * 12)) | (bits << 3 & (LOWEST * 8));
    bits & !before
}

/// Two bits of each group: those of `above`, at most one, and the lowest of `equal`.
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub(crate) fn two(above: u64, equal: u64) -> u64 {
    let one = first(equal);
    let groups = (above | above >> 1 | above >> 2 | above >> 3) & LOWEST;
    above | one | (first(equal & !one) & !(groups * 15))
}

/// What 16 groups of 4 bits become.
pub(crate) struct Groups {
    /// Two bits in each group.
    pub(crate) full: u64,
    /// The code of each, in 4 bits.
    pub(crate) code: u64,
    /// Not zero: a group has more than 2 bits.
    pub(crate) over: u64,
}

/// Completes 16 groups and finds their codes, by logic on all of them at once.
#[inline(always)]
pub(crate) const fn complete(keep: u64) -> Groups {
    let (b0, b1, b2, b3) = (keep, keep >> 1, keep >> 2, keep >> 3);
    let (low, high) = (b0 | b1, b2 | b3);
    let (both_low, both_high) = (b0 & b1, b2 & b3);
    let short = !(both_low | both_high | (low & high)) & LOWEST;
    let full = keep | short << 2 | (short & !low) << 3;
    let (f0, f1, f2, f3) = (full, full >> 1, full >> 2, full >> 3);
    let first = ((f0 & !f1) | (f2 & f3)) & LOWEST;
    let second = ((f0 & f3) | (f1 & f2)) & LOWEST;
    let third = (f3 & !f0) & LOWEST;
    let over = ((both_low & high) | (low & both_high)) & LOWEST;
    Groups { full, code: first | second << 1 | third << 2, over }
}

/// Fields of 3 bits, side by side, from such in 4 bits.
#[inline(always)]
pub(crate) fn thirds(fields: u64) -> u64 {
    let word = fields & 0x0707_0707_0707_0707 | fields >> 1 & 0x3838_3838_3838_3838;
    let word = word & 0x003F_003F_003F_003F | word >> 2 & 0x0FC0_0FC0_0FC0_0FC0;
    let word = word & 0x0000_0FFF_0000_0FFF | word >> 4 & 0x00FF_F000_00FF_F000;
    word & 0x00FF_FFFF | word >> 8 & 0xFFFF_FF00_0000
}
