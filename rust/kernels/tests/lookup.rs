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

#[test]
fn groups_find_their_tables() {
    let tables256: Box<[[u8; 32]; 256]> =
        Box::new(std::array::from_fn(|t| std::array::from_fn(|i| (t * 37 + i * 101) as u8)));
    for kernels in tables() {
        for (group, groups) in [(1, 0), (1, 9), (3, 5), (8, 1), (8, 33), (16, 7), (24, 2), (64, 3)] {
            let pairs: Vec<u8> = (0..group * groups).map(|i| (i * 151 + group) as u8).collect();
            let which: Vec<u8> = (0..groups).map(|i| (i * 91 + 200) as u8).collect();
            let mut out = vec![0; 2 * pairs.len()];
            kernels.nibble_groups_u16(&pairs, &which, &tables256, &mut out);
            let want = |i: usize| {
                let table = &tables256[usize::from(which[i / 2 / group])];
                let code = usize::from(pairs[i / 2] >> (i % 2 * 4) & 15);
                u16::from_le_bytes([table[code], table[16 + code]])
            };
            assert!((0..out.len()).all(|i| out[i] == want(i)), "{:?}, {group} x {groups}", kernels.isa());
        }
    }
}

#[test]
fn every_code_of_a_run_has_its_value() {
    for kernels in tables() {
        for len in 0..200 {
            let pairs: Vec<u8> = (0..len).step_by(2).map(|i| (i * 37 + len) as u8).collect();
            let mut out = vec![f32::NAN; len];
            kernels.run_nibbles_f32(&pairs, (3, 7.0, 0.5), &mut out);
            let code = |i: usize| pairs[i / 2] >> (i % 2 * 4) & 15;
            let want = |i: usize| (f32::from(code(i) ^ 3) - 7.0) * 0.5;
            assert!((0..len).all(|i| out[i] == want(i)), "{:?}, {len}", kernels.isa());
        }
    }
}
