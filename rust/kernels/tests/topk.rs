//! The n largest of every group at every length on every instruction set equal a plain definition.

mod common;

use common::{generator, tables};
use sparsefmt_kernels::Order;

macro_rules! top_bits_agrees {
    ($test:ident, $t:ty, $signed:ty, $name:ident) => {
        #[test]
        fn $test() {
            let every = <$t>::MAX;
            let float = Order { signed: false, mask: every >> 1, top: every >> 2 };
            let whole = Order { signed: false, mask: every, top: every };
            for (m, order) in (1..=32).flat_map(|m| [float, whole, Order { signed: true, ..whole }].map(|o| (m, o))) {
                let lens: Vec<usize> =
                    if m % 4 == 0 { (0..200).chain([2048]).collect() } else { vec![0, 1, m, 130, 199] };
                for (len, n) in lens.into_iter().flat_map(|len| [1, m / 2 + 1, m].map(|n| (len, n))) {
                    let mut next = generator(len * 37 + n * 5 + m);
                    let special = [0, 1, 1 << (<$t>::BITS - 1), every, every >> 1];
                    let items: Vec<$t> = (0..len)
                        .map(|_| if next() % 2 == 0 { special[next() as usize % 5] } else { next() as $t })
                        .collect();
                    let mut want = vec![0u8; len.div_ceil(8)];
                    for (group, items) in items.chunks(m).enumerate() {
                        let mut ranked: Vec<_> = items.iter().enumerate().collect();
                        ranked.sort_by_key(|&(i, &item)| {
                            let value = if order.signed { (item as $signed).unsigned_abs() } else { item };
                            (std::cmp::Reverse((value & order.mask).min(order.top)), i)
                        });
                        for (i, _) in ranked.into_iter().take(n) {
                            want[(group * m + i) / 8] |= 1 << ((group * m + i) % 8);
                        }
                    }
                    for kernels in tables() {
                        let mut got = vec![0xAA; want.len()];
                        kernels.$name(&items, order, (n, m), &mut got);
                        assert_eq!(got, want, "{:?}, {n} of {m}, len {len}, {order:?}", kernels.isa());
                    }
                }
            }
        }
    };
}

top_bits_agrees!(top_bits_u8_agrees, u8, i8, topk_bits_u8);
top_bits_agrees!(top_bits_u16_agrees, u16, i16, topk_bits_u16);
top_bits_agrees!(top_bits_u32_agrees, u32, i32, topk_bits_u32);
top_bits_agrees!(top_bits_u64_agrees, u64, i64, topk_bits_u64);
