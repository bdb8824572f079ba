//! The search for entries agrees with counting on every instruction set, for every item.

mod common;

use common::tables;
use sparsefmt_kernels::{Entries, Keys};

const FLOAT: Keys = Keys { flip_negative: 0x7FFF, flip: 0x8000, infinity: 0x7C00 };
const SIGNED: Keys = Keys { flip_negative: 0, flip: 0x8000, infinity: 0 };
const UNSIGNED: Keys = Keys { flip_negative: 0, flip: 0, infinity: 0 };

#[test]
fn every_item_finds_its_entry() {
    let items: Vec<u16> = (0..=u16::MAX).collect();
    let mut state = 1u64;
    for count in 0..=31 {
        let mut limits = [0xFFFF; 32];
        for limit in &mut limits[..count] {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            *limit = (state >> 48) as u16;
        }
        limits[..count].sort_unstable();
        let entries = Entries { limits, codes: std::array::from_fn(|i| 7 * i as u8), count };
        for keys in [FLOAT, SIGNED, UNSIGNED] {
            for kernels in tables() {
                for len in [0, 1, 31, 32, 33, items.len()] {
                    let mut codes = vec![255; len];
                    let odd = kernels.nearest_centroid_u16(&items[..len], keys, &entries, &mut codes);
                    assert_eq!(odd, keys.infinity != 0 && len > 0x7C00, "{:?}", kernels.isa());
                    for (&item, &code) in items.iter().zip(&codes) {
                        let above = limits[..count].iter().filter(|&&limit| keys.key(item) > limit).count();
                        assert_eq!(code, 7 * above as u8, "{:?}, {count} limits, item {item:#x}", kernels.isa());
                    }
                }
            }
        }
    }
}

#[test]
fn keys_rise_with_values() {
    let mut halves: Vec<u16> = (0..=u16::MAX).filter(|bits| bits & 0x7FFF < 0x7C00).collect();
    halves.sort_by_key(|&bits| FLOAT.key(bits));
    let values: Vec<f32> = halves.iter().map(|&bits| half::f16::from_bits(bits).to_f32()).collect();
    assert!(values.windows(2).all(|pair| pair[0] <= pair[1]));
    assert!((0..i16::MAX).all(|i| SIGNED.key(i as u16) < SIGNED.key((i + 1) as u16) && SIGNED.key(!i as u16) < 0x8000));
}
