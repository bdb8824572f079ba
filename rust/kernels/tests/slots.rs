//! Packing slots at every length on every instruction set equals a plain definition.

mod common;

use common::{generator, tables};

/// Bits of which about `tenths` in ten are set.
fn bits(len: usize, tenths: u64, next: &mut impl FnMut() -> u64) -> Vec<u8> {
    let mut bits = vec![0u8; len.div_ceil(8)];
    for i in 0..len {
        bits[i / 8] |= u8::from(next() % 10 < tenths) << (i % 8);
    }
    bits
}

fn is_set(bits: &[u8], i: usize) -> bool {
    bits[i / 8] >> (i % 8) & 1 == 1
}

macro_rules! slots_agree {
    ($test:ident, $t:ty, $pack:ident, $keep:ident) => {
        #[test]
        fn $test() {
            for len in (0..200).chain([1023, 1024, 1025]) {
                for tenths in [0, 3, 5, 9, 10] {
                    let mut next = generator(len * 11 + tenths as usize);
                    let src: Vec<$t> = (0..len).map(|_| next() as $t | 1).collect();
                    let full = bits(len, tenths, &mut next);
                    let keep: Vec<u8> = bits(len, 7, &mut next).iter().zip(&full).map(|(k, f)| k & f).collect();
                    let chosen = (0..len).filter(|&i| is_set(&full, i));
                    let want: Vec<$t> = chosen.map(|i| if is_set(&keep, i) { src[i] } else { 0 }).collect();
                    for room in [want.len(), want.len() + 7, want.len() + 100, want.len() / 2] {
                        for kernels in tables() {
                            let mut got = vec![7; room];
                            assert_eq!(
                                kernels.$pack(&src, &keep, &full, &mut got),
                                want.len(),
                                "{:?}, len {len}",
                                kernels.isa()
                            );
                            let moved = room.min(want.len());
                            assert_eq!(got[..moved], want[..moved], "{:?}, len {len}, {tenths} in ten", kernels.isa());
                        }
                    }
                    let kept: Vec<$t> = (0..len).map(|i| if is_set(&full, i) { src[i] } else { 0 }).collect();
                    for kernels in tables() {
                        let mut got = vec![7; len];
                        kernels.$keep(&src, &full, &mut got);
                        assert_eq!(got, kept, "{:?}, len {len}, {tenths} in ten", kernels.isa());
                    }
                }
            }
        }
    };
}

slots_agree!(slots_u8_agree, u8, pack_slots_u8, keep_slots_u8);
slots_agree!(slots_u16_agree, u16, pack_slots_u16, keep_slots_u16);
slots_agree!(slots_u32_agree, u32, pack_slots_u32, keep_slots_u32);
slots_agree!(slots_u64_agree, u64, pack_slots_u64, keep_slots_u64);
