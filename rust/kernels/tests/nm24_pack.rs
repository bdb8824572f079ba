//! Packing 2 of 4 at once gives on every instruction set what a plain definition gives, group by group.

mod common;

use common::{generator, tables};
use sparsefmt_kernels::Order;

const FLOAT: Order<u16> = Order { signed: false, mask: 0x7FFF, top: 0x7C00 };
const SIGNED: Order<u16> = Order { signed: true, mask: 0xFFFF, top: 0xFFFF };
const WHOLE: Order<u16> = Order { signed: false, mask: 0xFFFF, top: 0xFFFF };

/// The places of the slots, those of them that are kept, and whether more should be.
fn places(group: [u16; 4], order: Option<Order<u16>>, zero: u16) -> ([usize; 2], Vec<usize>, bool) {
    let mut kept: Vec<usize> = (0..4).collect();
    if let Some(order) = order {
        let key = |i: usize| {
            let value = if order.signed { (group[i] as i16).unsigned_abs() } else { group[i] };
            (value & order.mask).min(order.top)
        };
        kept.sort_by_key(|&i| (std::cmp::Reverse(key(i)), i));
        kept.truncate(2);
    }
    kept.retain(|&i| group[i] & zero != 0);
    kept.sort_unstable();
    let mut full = kept.clone();
    for place in [2, 3] {
        if full.len() < 2 && !full.contains(&place) {
            full.push(place);
        }
    }
    full.sort_unstable();
    ([full[0], full[1]], kept.clone(), kept.len() > 2)
}

fn check(items: &[u16], order: Option<Order<u16>>, zero: u16) {
    let masks = [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]];
    let (mut codes, mut slots, mut over, mut at) = (vec![0; items.len() / 64 * 6], Vec::new(), false, 0);
    for group in items.as_chunks::<4>().0 {
        let (full, kept, more) = places(*group, order, zero);
        over |= more;
        slots.extend(full.map(|i| if kept.contains(&i) { group[i] } else { 0 }));
        let code = masks.iter().position(|&mask| mask == full).expect("one of six");
        (0..3).for_each(|bit| codes[(at + bit) / 8] |= ((code >> bit & 1) << ((at + bit) % 8)) as u8);
        at += 3;
    }
    for kernels in tables() {
        let (mut got, mut packed) = (vec![0xAA; codes.len()], vec![0xAAAA; slots.len()]);
        assert_eq!(kernels.nm24_pack(items, order, zero, &mut got, &mut packed), over, "{:?}", kernels.isa());
        if !over {
            assert_eq!(packed, slots, "{:?}, {order:?}", kernels.isa());
            assert_eq!(got, codes, "{:?}, {order:?}", kernels.isa());
        }
    }
}

#[test]
fn every_pattern_of_zeros_ties_and_infinities() {
    let values = [0, 0x8000, 1, 0x8001, 0x3C00, 0x7C00, 0xFC01];
    for order in [None, Some(FLOAT), Some(SIGNED), Some(WHOLE)] {
        for zero in [0x7FFF, 0xFFFF] {
            let all = |i: usize| [i, i / 7, i / 49, i / 343].map(|i| values[i % 7]);
            let mut items: Vec<u16> = (0..7 * 7 * 7 * 7).flat_map(all).collect();
            items.resize(items.len().next_multiple_of(64), 0);
            // Without an order, most blocks hold an overfull group; with fewer nonzeros none does.
            check(&items, order, zero);
            let two = |group: &[u16; 4]| group.iter().filter(|&&item| item & zero != 0).count() <= 2;
            let mut few: Vec<u16> =
                items.as_chunks::<4>().0.iter().filter(|group| two(group)).flatten().copied().collect();
            few.resize(few.len().next_multiple_of(64), 0);
            check(&few, order, zero);
        }
    }
}

#[test]
fn random_items() {
    let mut next = generator(7);
    for order in [Some(FLOAT), Some(SIGNED), Some(WHOLE)] {
        let items: Vec<u16> = (0..64 * 50).map(|_| next() as u16).collect();
        check(&items, order, 0x7FFF);
        check(&items[..64], order, 0x7FFF);
        check(&[], order, 0x7FFF);
    }
}
