//! Kernels for affine codes at every length on every instruction set equal the portable ones.

mod common;

use common::{agree, generator};

/// Finite values of all sizes; one in `hole` is any bits, NaN and infinity among them.
fn floats(len: usize, hole: u64, next: &mut impl FnMut() -> u64) -> Vec<f32> {
    let mut one = || {
        let (bits, choice) = (next(), next());
        if choice % hole == 0 { f32::from_bits(bits as u32) } else { (bits % 20_001) as f32 / 64.0 - 156.0 }
    };
    (0..len).map(|_| one()).collect()
}

fn bits(values: &[f32]) -> Vec<u32> {
    values.iter().map(|x| if x.is_nan() { u32::MAX } else { x.to_bits() }).collect()
}

fn lengths() -> impl Iterator<Item = usize> {
    (0..200).chain([1023, 1024, 1025])
}

#[test]
fn extremes_agree() {
    for len in lengths() {
        for (group, hole) in [(1, 9), (3, 50), (64, 300), (100, 1000), (4096, 5000)] {
            let x = floats(len, hole, &mut generator(len + hole as usize));
            let count = len.div_ceil(group);
            agree(&format!("len {len}, group {group}"), |kernels| {
                let (mut low, mut high) = (vec![7.0; count], vec![7.0; count]);
                kernels.extremes_f32(&x, group, &mut low, &mut high);
                (bits(&low), bits(&high))
            });
        }
    }
}

#[test]
fn quantize_and_dequantize_agree() {
    for len in lengths() {
        let mut next = generator(len);
        let (x, scale) = (floats(len, 20, &mut next), floats(len, 20, &mut next));
        let low: Vec<f32> = (0..len).map(|_| -((next() % 256) as f32)).collect();
        let (codes, points): (Vec<u8>, Vec<u8>) = (0..len).map(|_| (next() as u8, next() as u8)).unzip();
        agree(&format!("len {len}"), |kernels| {
            let (mut got, mut back) = (vec![7; len], vec![7.0; len]);
            kernels.quantize_f32(&x, &scale, &low, 254.0, &mut got);
            kernels.dequantize_f32(&codes, &points, &scale, (-448.0, 65504.0), &mut back);
            (got, bits(&back))
        });
    }
}

#[test]
fn codes_are_quotients_rounded_to_even() {
    let x = [2.5, 3.5, -2.5, 0.5, 1e30, -1e30, f32::NAN, f32::INFINITY, 126.5, -126.4, 0.0];
    let want = [2, 4, -2, 0, 127, -127, 0, 127, 126, -126, 0];
    agree("ties", |kernels| {
        let mut codes = [9; 11];
        kernels.quantize_f32(&x, &[1.0; 11], &[-127.0; 11], 254.0, &mut codes);
        assert_eq!(codes.map(|code| code as i8), want);
    });
}

#[test]
fn sixteen_bits_are_widened_and_narrowed_alike() {
    let every: Vec<u16> = (0..=u16::MAX).collect();
    agree("every value", |kernels| {
        let (mut halves, mut bf16_lanes) = (vec![0.0; 1 << 16], vec![0.0; 1 << 16]);
        kernels.widen_f16(&every, &mut halves);
        kernels.widen_bf16(&every, &mut bf16_lanes);
        (bits(&halves), bits(&bf16_lanes))
    });
    for len in lengths() {
        let mut next = generator(len);
        // Next to the values of 16 bits and in the middle between them.
        let mut near = |shift: u32| {
            let bits = (next() as u32) << shift;
            f32::from_bits(bits.wrapping_add([0, 1, u32::MAX, 1 << (shift - 1), (1 << (shift - 1)) + 1][len % 5]))
        };
        let x: Vec<f32> = (0..len).map(|i| near([13, 16][i % 2])).map(|x| if x.is_nan() { 0.0 } else { x }).collect();
        agree(&format!("len {len}"), |kernels| {
            let (mut halves, mut bf16_lanes) = (vec![7; len], vec![7; len]);
            kernels.narrow_f16(&x, &mut halves);
            kernels.narrow_bf16(&x, &mut bf16_lanes);
            (halves, bf16_lanes)
        });
    }
}

#[test]
fn nibbles_agree() {
    for len in lengths() {
        let mut next = generator(len);
        let codes: Vec<u8> = (0..len).map(|_| next() as u8).collect();
        agree(&format!("len {len}"), |kernels| {
            let (mut bytes, mut back) = (vec![7; len.div_ceil(2)], vec![7; len]);
            kernels.pack_nibbles(&codes, &mut bytes);
            kernels.unpack_nibbles(&bytes, &mut back);
            let signed: Vec<u8> = codes.iter().map(|code| ((code & 15) ^ 8).wrapping_sub(8)).collect();
            assert_eq!(back, signed);
            assert!(len % 2 == 0 || bytes.last().is_some_and(|byte| byte >> 4 == 0));
            bytes
        });
    }
}
