//! Look-ups by codes equal indexing, at every length on every instruction set.

mod common;

use common::tables;
use sparsefmt_kernels::Isa;

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

/// The value of a code of float8_e4m3fn times a factor, cut off to bfloat16, or to a float16 that it is normal in.
fn scaled(code: u8, factor: f32, halves: bool) -> u16 {
    let (exponent, mantissa) = (i32::from(code >> 3 & 15), f32::from(code & 7) / 8.0);
    let magnitude = if exponent == 0 { mantissa / 64.0 } else { (1.0 + mantissa) * 2f32.powi(exponent - 7) };
    let value = if code & 0x80 == 0 { magnitude * factor } else { -magnitude * factor };
    let (bits, sign) = (value.to_bits() & 0x7FFF_FFFF, (value.to_bits() >> 16) as u16 & 0x8000);
    match code & 0x7F {
        0x7F => 0x7FFF - u16::from(code >> 7),
        0 => sign,
        _ if halves => sign | ((bits >> 13) - (112 << 10)) as u16,
        _ => sign | (bits >> 16) as u16,
    }
}

#[test]
fn floats_have_the_entries_of_their_table() {
    for kernels in tables() {
        for (factor, halves) in [(1.0, false), (0.37, false), (-3e-5, false), (1e30, false), (1.0, true), (0.7, true)] {
            let table: [u16; 256] = std::array::from_fn(|code| scaled(code as u8, factor, halves));
            let floats = kernels.float_table(&table);
            assert!(floats.is_some() || kernels.isa() != Isa::Avx2, "{factor}, {halves}");
            let Some(floats) = floats else { continue };
            for len in (0..100).chain([256, 1023]) {
                let codes: Vec<u8> = (0..len).map(|i| (i * 167 + len) as u8).collect();
                for stream in [false, true] {
                    for first in [0, 1] {
                        let mut out = vec![0; len + first];
                        assert!(kernels.float_values_u16(&codes, &floats, &mut out[first..], stream));
                        let mut pairs = out[first..].iter().zip(&codes);
                        assert!(pairs.all(|(&got, &code)| got == table[usize::from(code)]), "{:?}", kernels.isa());
                    }
                }
            }
            for code in (0..256).filter(|code| code & 0x7F != 0x7F) {
                let mut other = table;
                other[code] ^= 1;
                let other = kernels.float_table(&other);
                assert!(other.is_none(), "{:?}, {code}", kernels.isa());
            }
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
