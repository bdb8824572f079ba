//! Look-ups by codes equal indexing, at every length on every instruction set.

mod common;

use common::tables;

#[test]
fn every_code_finds_its_entry() {
    let table: [u16; 256] = std::array::from_fn(|i| (i as u16).wrapping_mul(40503) ^ 0x5A5A);
    let small: [u16; 16] = std::array::from_fn(|i| table[i]);
    for kernels in tables() {
        for len in (0..200).chain([256, 1023]) {
            let codes: Vec<u8> = (0..len).map(|i| (i * 167 + len) as u8).collect();
            let mut out = vec![0; len];
            kernels.lookup_u16(&codes, &table, &mut out);
            assert!(out.iter().zip(&codes).all(|(&got, &code)| got == table[usize::from(code)]), "{:?}", kernels.isa());
            let pairs: Vec<u8> = codes.iter().take(len.div_ceil(2)).copied().collect();
            kernels.lookup_nibbles_u16(&pairs, &small, &mut out);
            let nibble = |i: usize| usize::from(pairs[i / 2] >> (i % 2 * 4) & 15);
            assert!((0..len).all(|i| out[i] == small[nibble(i)]), "{:?}, {len}", kernels.isa());
        }
    }
}
