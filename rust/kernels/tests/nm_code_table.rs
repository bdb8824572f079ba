//! Packing and unpacking codes by bytes at every length on every instruction set equals a plain definition.

mod common;

use common::{generator, tables};
use sparsefmt_kernels::NmCodeTable;

/// Reads bit `at`, LSB first.
fn bit(bytes: &[u8], at: usize) -> u8 {
    bytes[at / 8] >> (at % 8) & 1
}

#[test]
fn units_agree() {
    for width in 0..=7 {
        let mut random = generator(width as usize + 1);
        let mut next = || (random() >> 24) as u8;
        let full: [u8; 256] = std::array::from_fn(|_| next());
        let code: [u8; 256] = std::array::from_fn(|i| if i == 200 { 0x80 } else { next() & ((1 << width) - 1) });
        let mask: [u8; 128] = std::array::from_fn(|i| if i == (1 << width) - 1 { 0 } else { next() | 1 });
        let table = NmCodeTable::new(full, code, mask, width);
        let width = width as usize;
        for len in (0..200usize).chain([1024]).map(|eights| eights * 8) {
            for spoiled in [None, Some(0), Some(len / 2), Some(len.saturating_sub(1))] {
                let mut keep: Vec<u8> = (0..len).map(|_| next()).map(|byte| byte - u8::from(byte == 200)).collect();
                if let Some(byte) = spoiled.and_then(|at| keep.get_mut(at)) {
                    *byte = 200;
                }
                let is_over = keep.contains(&200);
                let want: Vec<u8> = keep.iter().map(|&byte| full[usize::from(byte)]).collect();
                for kernels in tables() {
                    let (mut got, mut codes) = (vec![0xAA; len], vec![0xAA; len / 8 * width]);
                    assert_eq!(
                        kernels.pack_nm_codes(&keep, &table, &mut got, &mut codes),
                        is_over,
                        "{:?}",
                        kernels.isa()
                    );
                    assert_eq!(got, want, "{:?}, len {len}", kernels.isa());
                    for at in 0..if is_over { 0 } else { len * width } {
                        let want = code[usize::from(keep[at / width])] >> (at % width) & 1;
                        assert_eq!(bit(&codes, at), want, "{:?}, len {len}, width {width}", kernels.isa());
                    }
                }
                let codes: Vec<u8> = (0..len / 8 * width).map(|_| next()).collect();
                let fields = (0..len).map(|i| (0..width).map(|b| bit(&codes, i * width + b) << b).sum::<u8>());
                let want: Vec<u8> = fields.map(|field| mask[usize::from(field)]).collect();
                for kernels in tables() {
                    let mut got = vec![0xAA; len];
                    let bad = kernels.unpack_nm_codes(&codes, &table, &mut got);
                    assert_eq!((bad, &got), (want.contains(&0), &want), "{:?}, len {len}", kernels.isa());
                }
            }
        }
    }
}
