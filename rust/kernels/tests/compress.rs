//! Moves by a mask: every kernel at every length on every instruction set equals a plain definition.

mod common;

use common::{generator, tables};

/// Lengths, each with masks that have none, few, half or all bits set.
fn masks() -> impl Iterator<Item = (usize, Vec<u8>)> {
    let lengths = (0..200).chain([1023, 1024, 1025]);
    lengths.flat_map(|len| [0, 1, 4, 8].map(|in_eight| (len, mask(len, in_eight))))
}

/// The mask with bits behind the last item, which do not count.
fn overfull(bits: &[u8], len: usize) -> Vec<u8> {
    let mut bits = bits.to_vec();
    if let Some(last) = bits.last_mut().filter(|_| !len.is_multiple_of(8)) {
        *last |= 0xFF << (len % 8);
    }
    bits
}

fn mask(len: usize, in_eight: u64) -> Vec<u8> {
    let mut random = generator(len * 8 + in_eight as usize + 1);
    let mut bits = vec![0u8; len.div_ceil(8)];
    for i in 0..len {
        bits[i / 8] |= u8::from(random() % 8 < in_eight) << (i % 8);
    }
    bits
}

fn places(bits: &[u8]) -> Vec<usize> {
    (0..8 * bits.len()).filter(|i| bits[i / 8] >> (i % 8) & 1 == 1).collect()
}

/// No more room than needed, a little more, more than a register more, and too little.
fn rooms(need: usize) -> [usize; 6] {
    [need, need + 3, need + 80, need.saturating_sub(1), need.saturating_sub(70), need / 2]
}

macro_rules! items_agree {
    ($test:ident, $t:ty, $item:expr, $compress:ident, $expand:ident, $drain:ident) => {
        #[test]
        fn $test() {
            let mut random = generator(7);
            let source: Vec<$t> = (0..1025).map(|_| $item(random())).collect();
            let dirty = $item(0x5A5A_5A5A_5A5A_5A5A_u64);
            for (len, bits) in masks() {
                let places = places(&bits);
                let bits = overfull(&bits, len);
                for kernels in tables() {
                    let isa = kernels.isa();
                    let src = &source[..len];
                    let want: Vec<$t> = places.iter().map(|&at| src[at]).collect();
                    for room in rooms(places.len()) {
                        let mut got = vec![dirty; room];
                        assert_eq!(kernels.$compress(src, &bits, &mut got), places.len());
                        let held = room.min(places.len());
                        assert_eq!(got[..held], want[..held], "{isa:?}, {len} items");
                    }

                    // As many items as bits, more of them, and too few.
                    for have in [places.len(), places.len() + 80, places.len() / 2] {
                        let have = &source[..have.min(source.len())];
                        let mut want = vec![<$t>::default(); len];
                        for (&at, &item) in places.iter().zip(have) {
                            want[at] = item;
                        }
                        for (stream, shift) in [(false, 0), (true, 0), (true, 1)] {
                            let mut got = vec![dirty; len + shift];
                            assert_eq!(kernels.$expand(have, &bits, &mut got[shift..], stream), places.len());
                            assert_eq!(got[shift..], want, "{isa:?}, {len} items, stream: {stream}");
                        }
                    }

                    for shift in [0, 1, 5] {
                        let (mut buffer, mut got) = (src.to_vec(), vec![dirty; len + shift]);
                        kernels.$drain(&mut buffer, &mut got[shift..]);
                        assert_eq!((&got[shift..], buffer), (src, vec![<$t>::default(); len]), "{isa:?}, {len} items");
                    }
                }
            }
        }
    };
}

items_agree!(items_of_1_byte_agree, u8, |v: u64| v as u8, compress_u8, expand_u8, drain_u8);
items_agree!(items_of_2_bytes_agree, u16, |v: u64| v as u16, compress_u16, expand_u16, drain_u16);
items_agree!(items_of_4_bytes_agree, u32, |v: u64| v as u32, compress_u32, expand_u32, drain_u32);
items_agree!(items_of_8_bytes_agree, u64, |v: u64| v, compress_u64, expand_u64, drain_u64);
items_agree!(items_of_16_bytes_agree, [u64; 2], |v: u64| [v, !v], compress_pair, expand_pair, drain_pair);

macro_rules! positions_agree {
    ($test:ident, $i:ty, $name:ident) => {
        #[test]
        fn $test() {
            for (len, bits) in masks() {
                for first in [0, 1000, <$i>::MAX - 5] {
                    let want: Vec<$i> = places(&bits).iter().map(|&at| first.wrapping_add(at as $i)).collect();
                    for kernels in tables() {
                        for room in rooms(want.len()) {
                            let mut got = vec![-7; room];
                            assert_eq!(kernels.$name(&bits, first, &mut got), want.len());
                            assert_eq!(kernels.count_bits(&bits), want.len());
                            let held = room.min(want.len());
                            assert_eq!(got[..held], want[..held], "{:?}, {len} bits", kernels.isa());
                        }
                    }
                }
            }
        }
    };
}

positions_agree!(positions_in_int32_agree, i32, positions_i32);
positions_agree!(positions_in_int64_agree, i64, positions_i64);

macro_rules! places_agree {
    ($test:ident, $t:ty, $item:expr, $place:ident) => {
        #[test]
        fn $test() {
            let mut random = generator(9);
            let source: Vec<$t> = (0..1025).map(|_| $item(random())).collect();
            let dirty = $item(0x5A5A_5A5A_5A5A_5A5A_u64);
            for (len, bits) in masks() {
                let indices: Vec<i32> = places(&bits).iter().map(|&at| at as i32).collect();
                let src = &source[..indices.len()];
                let mut want = vec![<$t>::default(); len];
                for (&at, &item) in indices.iter().zip(src) {
                    want[at as usize] = item;
                }
                for kernels in tables() {
                    let isa = kernels.isa();
                    for (stream, shift) in [(false, 0), (true, 0), (true, 1), (false, 3)] {
                        let mut got = vec![dirty; len + shift];
                        assert!(kernels.$place(&indices, src, &mut got[shift..], stream), "{isa:?}, {len} items");
                        assert_eq!(got[shift..], want, "{isa:?}, {len} items, stream: {stream}");
                    }
                    let refused = |indices: &[i32], why: &str| {
                        let mut got = vec![dirty; len];
                        let fine = kernels.$place(indices, &source[..indices.len()], &mut got, true);
                        assert!(!fine, "{isa:?}, {len} items, {why}");
                    };
                    for wrong in [-1, i32::MIN, len as i32, i32::MAX] {
                        let mut indices = indices[..indices.len().min(1000)].to_vec();
                        indices.insert(if wrong < 0 { 0 } else { indices.len() }, wrong);
                        refused(&indices, "beyond an end");
                    }
                    for at in [1, 5, 16, 48, 64, 65, 100, 200, 500].into_iter().filter(|&at| at < indices.len()) {
                        let mut twice = indices[..indices.len().min(1000)].to_vec();
                        twice.insert(at, twice[at - 1]);
                        refused(&twice, "one twice");
                        let mut swapped = indices.clone();
                        swapped.swap(at - 1, at);
                        refused(&swapped, "two swapped");
                        let mut wrong = indices.clone();
                        wrong[at] = i32::MIN + at as i32;
                        refused(&wrong, "a negative one");
                    }
                }
            }
        }
    };
}

places_agree!(items_of_1_byte_in_places_agree, u8, |v: u64| v as u8, scatter_u8);
places_agree!(items_of_2_bytes_in_places_agree, u16, |v: u64| v as u16, scatter_u16);
places_agree!(items_of_4_bytes_in_places_agree, u32, |v: u64| v as u32, scatter_u32);
places_agree!(items_of_8_bytes_in_places_agree, u64, |v: u64| v, scatter_u64);
places_agree!(items_of_16_bytes_in_places_agree, [u64; 2], |v: u64| [v, !v], scatter_pair);
