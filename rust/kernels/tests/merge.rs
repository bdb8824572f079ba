//! Merging rows at every length on every instruction set equals a plain definition.

use sparsefmt_kernels::{Isa, Kernels};

/// A small generator, so that the tests need no crate and repeat.
fn generator(seed: u64) -> impl FnMut() -> u64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    }
}

macro_rules! merge_agrees {
    ($test:ident, $t:ty, $name:ident) => {
        #[test]
        fn $test() {
            for (len, count) in (0..200).chain([1024]).flat_map(|len| [0usize, 1, 2, 16].map(|count| (len, count))) {
                for stride in [len.max(1), len + 3] {
                    let mut next = generator((len * 17 + count + stride) as u64);
                    let items = if count == 0 { 0 } else { (count - 1) * stride + len.max(1) };
                    let rows: Vec<$t> = (0..items).map(|_| if next() % 9 == 0 { next() as $t } else { 0 }).collect();
                    let merged = |i: usize| (0..count).fold(0, |any, row| any | rows[row * stride + i]);
                    let want: Vec<$t> = (0..len).map(merged).collect();
                    for kernels in Isa::ALL.into_iter().filter_map(Kernels::for_isa) {
                        let mut got = vec![7; len];
                        kernels.$name(&rows, stride, &mut got);
                        assert_eq!(got, want, "{:?}, {count} rows of {len}", kernels.isa());
                    }
                }
            }
        }
    };
}

merge_agrees!(merge_u8_agrees, u8, merge_u8);
merge_agrees!(merge_u16_agrees, u16, merge_u16);
merge_agrees!(merge_u32_agrees, u32, merge_u32);
merge_agrees!(merge_u64_agrees, u64, merge_u64);

#[test]
#[should_panic(expected = "items of any")]
fn a_last_row_that_is_too_short_is_refused() {
    Kernels::active().merge_u16(&[0; 14], 10, &mut [0; 5]);
}
