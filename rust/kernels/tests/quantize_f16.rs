//! Kernels for float16 and bfloat16 in groups equal the portable ones on every instruction set, and the rounded
//! products that the fast ones use give the codes of the quotients.

mod common;

use common::{agree, generator, tables};
use half::{bf16, f16};
use sparsefmt_kernels::Kernels;

/// The code as the meaning says: the quotient in float32, rounded to even.
fn quotient(x: f32, scale: f32) -> f32 {
    (x / scale).round_ties_even()
}

/// The code by the reciprocal, by way of 14 binary places.
fn product(x: f32, scale: f32) -> f32 {
    let places = (x * (1.0 / scale) * 16384.0).round_ties_even() / 16384.0;
    places.round_ties_even()
}

/// All pairs of significands of 11 bits with all powers of two between them that matter: larger numbers have the same
/// products and quotients but for powers of two, which change no bit of either while nothing is subnormal in float32.
#[test]
fn products_round_to_the_code_of_the_quotient() {
    for scale in 1024..2048u16 {
        for x in 1024..2048u16 {
            let (x, scale) = (f32::from(x), f32::from(scale));
            for power in [0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0] {
                let (want, got) = (quotient(x * power, scale), product(x * power, scale));
                assert!(want == got || (want > 127.0 && got > 127.0), "{x} * {power} / {scale}");
            }
        }
    }
}

/// Every float16 and bfloat16 by scales of all exponents, hostile ones among them.
#[test]
fn every_item_by_many_scales() {
    let items: Vec<u16> = (0..=u16::MAX).collect();
    let mut scales = vec![0, 1, 2, 3, 0x3FF, 0x400, 0x401, 0x3C00, 0x7BFF, 0x7C00, 0x7E00, 0x8000, 0xBC00];
    let mut next = generator(5);
    scales.extend((0..20).map(|_| next() as u16 & 0x7FFF));
    for scale in scales {
        for most in [7.0, 127.0] {
            agree(&format!("scale {scale:#x}, up to {most}"), |kernels| {
                let (mut first, mut second) = (vec![0; items.len()], vec![0; items.len()]);
                kernels.quantize_f16(&items, items.len(), &[scale], most, &mut first);
                kernels.quantize_bf16(&items, items.len(), &[scale], most, &mut second);
                (first, second)
            });
        }
    }
}

fn cases() -> impl Iterator<Item = (usize, usize)> {
    let groups = [1, 2, 3, 16, 31, 32, 33, 64, 100, 4096];
    (0..140).chain([1023, 1024, 1025]).flat_map(move |len| groups.map(|group| (len, group)))
}

#[test]
fn groups_of_all_lengths_agree() {
    for (len, group) in cases() {
        let mut next = generator(len * 5000 + group);
        let count = len.div_ceil(group);
        let src: Vec<u16> = (0..len).map(|_| next() as u16 & 0xBFFF).collect();
        let half: Vec<u16> = (0..count).map(|_| next() as u16 & 0x3FFF).collect();
        let scale: Vec<f32> = (0..count)
            .map(|_| {
                if next().is_multiple_of(9) { f32::from_bits(next() as u32) } else { f32::from(next() as u16) / 999.0 }
            })
            .collect();
        let codes: Vec<u8> = (0..len).map(|_| next() as u8).collect();
        agree(&format!("len {len}, group {group}"), |kernels| {
            let (mut most, mut first, mut second) = (vec![9; count], vec![9; len], vec![9; len]);
            kernels.magnitudes_u16(&src, group, &mut most);
            kernels.quantize_f16(&src, group, &half, 127.0, &mut first);
            kernels.quantize_bf16(&src, group, &half, 7.0, &mut second);
            let mut values = [vec![9; len], vec![9; len], vec![9; len], vec![9; len]];
            kernels.dequantize_f16(&codes, group, &scale, &mut values[0]);
            kernels.dequantize_bf16(&codes, group, &scale, &mut values[1]);
            if group.is_multiple_of(2) || count <= 1 {
                let bytes = &codes[..len.div_ceil(2)];
                kernels.nibbles_to_f16(bytes, group, &scale, &mut values[2]);
                kernels.nibbles_to_bf16(bytes, group, &scale, &mut values[3]);
            }
            (most, first, second, values)
        });
    }
}

#[test]
fn values_are_products_rounded_once_and_within_the_dtype() {
    let codes: Vec<u8> = (0..=255).collect();
    for scale in [1.0, 0.1, 600.0, 6e-8, 1e30, f32::MAX, f32::NAN, f32::INFINITY, 0.0] {
        let exact = |code: u8| f32::from(code as i8) * scale;
        let want: Vec<u16> = codes
            .iter()
            .map(|&code| match exact(code) {
                x if x.is_nan() => 0,
                x => f16::from_f32(x.clamp(-65504.0, 65504.0)).to_bits(),
            })
            .collect();
        let most = bf16::MAX.to_f32();
        let wide: Vec<u16> = codes
            .iter()
            .map(|&code| match exact(code) {
                x if x.is_nan() => 0,
                x => bf16::from_f32(x.clamp(-most, most)).to_bits(),
            })
            .collect();
        for kernels in tables() {
            let mut got = [vec![9; 256], vec![9; 256]];
            kernels.dequantize_f16(&codes, 256, &[scale], &mut got[0]);
            kernels.dequantize_bf16(&codes, 256, &[scale], &mut got[1]);
            assert_eq!(got, [want.clone(), wide.clone()], "{:?}, scale {scale}", kernels.isa());
        }
    }
}

#[test]
#[should_panic(expected = "groups start with a byte")]
fn nibbles_of_odd_groups_panic() {
    Kernels::active().nibbles_to_f16(&[0; 3], 3, &[1.0; 2], &mut [0; 6]);
}

#[test]
#[should_panic(expected = "groups of 6 items")]
fn a_scale_too_few_panics() {
    Kernels::active().quantize_f16(&[0; 6], 3, &[0; 1], 7.0, &mut [0; 6]);
}
