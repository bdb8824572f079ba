//! Values of codes in groups, of codes in words, and of 2 of 4, equal their formulas on every instruction set that has a
//! function for them, at every length and address.

mod common;

use common::{generator, tables};
use half::{bf16, f16};
use sparsefmt_kernels::Groups;

const SCALES: [f32; 10] = [1.0, -0.25, 0.0, 3.7e-5, 1e4, 6e37, f32::INFINITY, f32::NAN, 1e-41, -500.0];
const POINTS: [f32; 6] = [0.0, 8.0, 16.0, 255.5, f32::INFINITY, -3.0];

/// What a product becomes: all NaN are one.
fn product(code: u8, how: (usize, bool), (point, scale): (f32, f32), finite: bool, most: f32) -> f32 {
    let code = match how {
        (8, true) => f32::from(code as i8),
        (4, true) if code > 7 => f32::from(code) - 16.0,
        _ => f32::from(code),
    };
    let x = (code - point) * scale;
    match (x.is_nan(), finite) {
        (true, true) => 0.0,
        (true, false) => f32::NAN,
        (false, true) => x.clamp(-most, most),
        (false, false) => x,
    }
}

macro_rules! rows_agree {
    ($test:ident, $name:ident, $t:ty, $most:expr, $narrow:expr) => {
        #[test]
        fn $test() {
            let mut next = generator(5);
            for (group, len) in [(2, 7), (16, 64), (16, 41), (32, 200), (40, 80), (128, 640), (100, 100), (8, 0)] {
                for (bits, signed, finite, stream) in (0..16).map(|i| (4 + (i & 4), i & 1 > 0, i & 2 > 0, i & 8 > 0)) {
                    let count = |len: usize| len.div_ceil(group);
                    let codes: Vec<u8> = (0..(len * bits as usize).div_ceil(8)).map(|_| next() as u8).collect();
                    let scale: Vec<f32> = (0..count(len)).map(|_| SCALES[next() as usize % 10]).collect();
                    let point: Vec<f32> = (0..count(len)).map(|_| POINTS[next() as usize % 6]).collect();
                    let bits = bits as usize;
                    let want: Vec<$t> = (0..len)
                        .map(|i| {
                            let code = if bits == 8 { codes[i] } else { codes[i / 2] >> (i % 2 * 4) & 15 };
                            let how = (point[i / group], scale[i / group]);
                            $narrow(product(code, (bits, signed), how, finite, $most))
                        })
                        .collect();
                    let groups = Groups { bits, signed, group, point: &point, scale: &scale, finite };
                    for (kernels, skip) in tables().flat_map(|kernels| (0..9).map(move |skip| (kernels, skip))) {
                        let mut room = vec![7; len + skip];
                        let done = kernels.$name(&codes, groups, &mut room[skip..], stream);
                        let context = format!("{:?}, {bits} bits, {len} in {group}, {signed}", kernels.isa());
                        assert!(!done || room[skip..] == want, "{context}: {:?} {want:?}", &room[skip..]);
                        assert!(room[..skip].iter().all(|&item| item == 7) && (done || room.iter().all(|&i| i == 7)));
                    }
                }
            }
        }
    };
}

/// The one NaN that definitions write.
fn half_bits(x: f32) -> u16 {
    if x.is_nan() { 0x7E00 } else { f16::from_f32(x).to_bits() }
}

fn brain_bits(x: f32) -> u16 {
    if x.is_nan() { 0x7FC0 } else { bf16::from_f32(x).to_bits() }
}

rows_agree!(rows_of_f16_agree, group_rows_f16, u16, 65504.0, half_bits);
rows_agree!(rows_of_bf16_agree, group_rows_bf16, u16, f32::from_bits(0x7F7F_0000), brain_bits);
rows_agree!(rows_of_f32_agree, group_rows_f32, u32, f32::MAX, f32::to_bits);

#[test]
fn columns_of_words_agree() {
    let mut next = generator(9);
    for words in [0, 1, 2, 7, 64] {
        let tile: Vec<[u32; 16]> = (0..words).map(|_| std::array::from_fn(|_| next() as u32)).collect();
        let at: Vec<i32> = (0..8 * words).map(|_| (next() % 5) as i32).collect();
        let groups: Vec<[[f32; 16]; 2]> = (0..5)
            .map(|_| {
                [std::array::from_fn(|_| (next() % 17) as f32), std::array::from_fn(|_| next() as i8 as f32 / 64.0)]
            })
            .collect();
        let want = |narrow: fn(f32) -> u16| -> Vec<u16> {
            let item = |row: usize, column: usize| {
                let [point, scale] = &groups[at[column] as usize];
                let code = (tile[column / 8][row] >> (column % 8 * 4) & 15) as f32;
                narrow((code - point[row]) * scale[row])
            };
            (0..16).flat_map(|row| (0..8 * words).map(move |column| (row, column))).map(|(r, c)| item(r, c)).collect()
        };
        for kernels in tables() {
            let mut out = vec![7; 128 * words];
            if let Some(done) = kernels.word_columns_f16(&tile, &at, &groups, &mut out) {
                assert!(done && out == want(half_bits), "{:?}, {words} words", kernels.isa());
            }
            if let Some(done) = kernels.word_columns_bf16(&tile, &at, &groups, &mut out) {
                assert!(done && out == want(brain_bits), "{:?}, {words} words", kernels.isa());
            }
            for outside in [-1, 5] {
                let wrong = vec![outside; at.len()];
                let found = kernels.word_columns_f16(&tile, &wrong, &groups, &mut out);
                assert!(words == 0 || found != Some(true), "{:?}", kernels.isa());
            }
        }
    }
}

#[test]
fn two_of_four_come_back() {
    const MASKS: [u8; 6] = [0b0011, 0b0101, 0b0110, 0b1001, 0b1010, 0b1100];
    let mut next = generator(11);
    for blocks in [0, 1, 2, 9] {
        let groups: Vec<u8> = (0..16 * blocks).map(|_| (next() % 6) as u8).collect();
        let slots: Vec<u16> = (0..32 * blocks).map(|_| next() as u16).collect();
        let mut codes = vec![0u8; 6 * blocks];
        for (i, &code) in groups.iter().enumerate() {
            (0..3).for_each(|bit| codes[(3 * i + bit) / 8] |= (code >> bit & 1) << ((3 * i + bit) % 8));
        }
        let (mut want, mut slot) = (vec![0; 64 * blocks], slots.iter());
        for (i, item) in want.iter_mut().enumerate() {
            if MASKS[usize::from(groups[i / 4])] >> (i % 4) & 1 == 1 {
                *item = *slot.next().expect("two for each group");
            }
        }
        for (kernels, skip) in tables().flat_map(|kernels| (0..9).map(move |skip| (kernels, skip))) {
            for stream in [false, true] {
                let mut room = vec![7; want.len() + skip];
                if let Some(done) = kernels.nm24_unpack(&codes, &slots, &mut room[skip..], stream) {
                    assert!(done && room[skip..] == want, "{:?}, {blocks} blocks", kernels.isa());
                }
                for (bit, code) in (0..groups.len()).flat_map(|i| [(3 * i, 6), (3 * i, 7)]) {
                    let mut wrong = codes.clone();
                    (0..3).for_each(|b| {
                        let at = bit + b;
                        wrong[at / 8] = wrong[at / 8] & !(1 << (at % 8)) | (code >> b & 1) << (at % 8);
                    });
                    let found = kernels.nm24_unpack(&wrong, &slots, &mut room[skip..], stream);
                    assert_ne!(found, Some(true), "{:?}, code {code} at bit {bit}", kernels.isa());
                }
            }
        }
    }
}
