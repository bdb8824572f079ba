//! Values of blocks and of codes in groups agree on every instruction set, bit for bit but for the bits of NaN.

mod common;

use common::{generator, tables};
use sparsefmt_kernels::BlockKind;

fn same(got: &[f32], want: &[f32]) -> bool {
    got.iter().zip(want).all(|(a, b)| a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()))
}

#[test]
fn blocks_agree() {
    let all: Vec<_> = tables().collect();
    for kind in (0..20).filter_map(BlockKind::from_number) {
        let (values, bytes) = kind.sizes();
        let mut random = generator(values + bytes);
        for count in [0, 1, 2, 17] {
            let blocks: Vec<u8> = (0..count * bytes).map(|_| (random() >> 24) as u8).collect();
            let made: Vec<Vec<f32>> = all
                .iter()
                .map(|kernels| {
                    let mut out = vec![0.0; count * values];
                    kernels.gguf_f32(kind, &blocks, &mut out);
                    out
                })
                .collect();
            assert!(made.iter().all(|out| same(out, &made[0])), "{kind:?}, {count} blocks");
        }
    }
}

#[test]
fn products_agree() {
    let all: Vec<_> = tables().collect();
    let mut random = generator(3);
    for len in (0..70).chain([512, 513]) {
        let codes: Vec<u8> = (0..len).map(|_| (random() >> 24) as u8).collect();
        let mut floats = || (0..len).map(|_| f32::from_bits((random() >> 16) as u32)).collect::<Vec<_>>();
        let (point, scale) = (floats(), floats());
        for kernels in &all {
            let mut out = vec![0.0; len];
            kernels.grid_values_f32(&codes, &point, &scale, &mut out);
            for (i, out) in out.iter().enumerate() {
                let want = (f32::from(codes[i]) - point[i]) * scale[i];
                let want = if want.is_nan() { f32::NAN } else { want };
                assert_eq!(out.to_bits(), want.to_bits(), "{:?}, {i} of {len}", kernels.isa());
            }
        }
    }
}
