//! Every kernel at every length on every instruction set equals a plain definition.

mod common;

use common::{generator, tables};

/// Items of which about two in `one_in` have a bit set.
fn items(len: usize, one_in: u64, seed: usize) -> Vec<u64> {
    let mut next = generator(seed);
    (0..len)
        .map(|_| match next() % one_in {
            0 => next(),
            1 => 1 << 63 | 1 << 31 | 1 << 15 | 1 << 7,
            _ => 0,
        })
        .collect()
}

macro_rules! nonzero_bits_agrees {
    ($test:ident, $t:ty, $name:ident) => {
        #[test]
        fn $test() {
            for len in (0..200).chain([1023, 1024, 1025]) {
                for one_in in [1, 2, 10] {
                    for zero in [<$t>::MAX, <$t>::MAX >> 1] {
                        let src: Vec<$t> = items(len, one_in, len).iter().map(|&v| v as $t).collect();
                        let mut want = vec![0u8; len.div_ceil(8)];
                        for (i, &v) in src.iter().enumerate() {
                            want[i / 8] |= u8::from(v & zero != 0) << (i % 8);
                        }
                        let total: usize = want.iter().map(|b| b.count_ones() as usize).sum();
                        for kernels in tables() {
                            let mut got = vec![0xAAu8; len.div_ceil(8)];
                            let count = kernels.$name(&src, zero, &mut got);
                            assert_eq!(
                                (count, &got),
                                (total, &want),
                                "{:?}, len {len}, one in {one_in}",
                                kernels.isa()
                            );
                        }
                    }
                }
            }
        }
    };
}

nonzero_bits_agrees!(nonzero_bits_u8_agrees, u8, nonzero_bits_u8);
nonzero_bits_agrees!(nonzero_bits_u16_agrees, u16, nonzero_bits_u16);
nonzero_bits_agrees!(nonzero_bits_u32_agrees, u32, nonzero_bits_u32);
nonzero_bits_agrees!(nonzero_bits_u64_agrees, u64, nonzero_bits_u64);
