//! Products of rows of 2:4 and of compressed rows, on every instruction set, are within the bound of sums in float64.

use sparsefmt_kernels::{Isa, Kernels, Nm24Row};

/// The places of the two values of each code.
const PAIRS: [[usize; 2]; 6] = [[0, 1], [0, 2], [1, 2], [0, 3], [1, 3], [2, 3]];

/// A small generator, so that the tests need no crate and repeat.
fn generator(seed: u64) -> impl FnMut() -> u32 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 24) as u32
    }
}

fn floats(next: &mut impl FnMut() -> u32, len: usize) -> Vec<f32> {
    (0..len).map(|_| (next() % 2001) as f32 / 1000.0 - 1.0).collect()
}

fn tables() -> impl Iterator<Item = &'static Kernels> {
    Isa::ALL.into_iter().filter_map(Kernels::for_isa)
}

fn close(got: f32, terms: impl Iterator<Item = f64>, what: &str) {
    let (mut sum, mut size) = (0.0, 0.0);
    for term in terms {
        sum += term;
        size += term.abs();
    }
    assert!((f64::from(got) - sum).abs() <= size * 1e-5 + 1e-12, "{what}: {got}, want {sum}");
}

/// Codes of groups, 3 bits each, and `spare` bytes behind them.
fn packed(codes: &[usize], spare: usize) -> Vec<u8> {
    let mut bytes = vec![0; (3 * codes.len()).div_ceil(8)];
    for (group, &code) in codes.iter().enumerate() {
        for bit in (0..3).filter(|bit| code >> bit & 1 == 1) {
            bytes[(3 * group + bit) / 8] |= 1 << ((3 * group + bit) % 8);
        }
    }
    bytes.resize(bytes.len() + spare, 0xFF);
    bytes
}

/// Compares both sums of a pair of rows, where there is a kernel, and tells whether there is one.
fn compare<T>(
    rows: &[Nm24Row<'_, T>; 2],
    found: Option<[f32; 2]>,
    codes: &[Vec<usize>; 2],
    x: &[f64],
    value: impl Fn(&Nm24Row<'_, T>, usize) -> f64,
    what: &str,
) -> bool {
    let Some(found) = found else { return false };
    for ((row, codes), sum) in rows.iter().zip(codes).zip(found) {
        let column = |slot: usize| slot / 2 * 4 + PAIRS[codes[slot / 2]][slot % 2];
        let terms = (0..2 * codes.len()).filter(|&slot| column(slot) < x.len());
        close(sum, terms.map(|slot| value(row, slot) * x[column(slot)]), what);
    }
    true
}

#[test]
fn rows_of_2_4_agree() {
    for cols in (0..40usize).chain([63, 64, 65, 127, 128, 129, 192, 255, 256, 300, 1000, 1024]) {
        let mut next = generator(cols as u64 + 1);
        let groups = cols.div_ceil(4);
        let codes = [0, 1].map(|_| (0..groups).map(|_| next() as usize % 6).collect::<Vec<_>>());
        let (x, scale) = (floats(&mut next, cols), [0, 1].map(|_| floats(&mut next, cols.div_ceil(64))));
        let bytes: Vec<u8> = (0..cols).map(|_| (next() as u8).max(1)).collect();
        let (wide, whole) = (
            x.iter().map(|&x| f64::from(x)).collect::<Vec<_>>(),
            bytes.iter().map(|&x| f64::from(x) - 128.0).collect::<Vec<_>>(),
        );
        for spare in [0, 300] {
            let stored = codes.each_ref().map(|codes| packed(codes, spare));
            let len = 2 * groups + spare;
            let mut values = [0, 1].map(|_| floats(&mut next, len));
            // Slots of columns that are not there hold zeros.
            for (values, codes) in values.iter_mut().zip(&codes) {
                for slot in (0..2 * groups).filter(|slot| slot / 2 * 4 + PAIRS[codes[slot / 2]][slot % 2] >= cols) {
                    values[slot] = 0.0;
                }
            }
            let halves = values.each_ref().map(|row| row.iter().map(|&x| half::f16::from_f32(x).to_bits()).collect());
            let bf16_lanes = values.each_ref().map(|row| row.iter().map(|&x| (x.to_bits() >> 16) as u16).collect());
            let (halves, bf16_lanes): ([Vec<u16>; 2], [Vec<u16>; 2]) = (halves, bf16_lanes);
            let stream = [0, 1].map(|_| (0..len).map(|_| next() as u8).collect::<Vec<_>>());
            for kernels in tables() {
                let name = format!("{:?}, {cols} columns, {spare} to spare", kernels.isa());
                let rows = |at: usize| Nm24Row { codes: &stored[at], values: &values[at][..], scale: &[] };
                let rows = [rows(0), rows(1)];
                let value = |row: &Nm24Row<'_, f32>, slot: usize| f64::from(row.values[slot]);
                let has = compare(&rows, kernels.nm24_dot_f32(&rows, &x), &codes, &wide, value, &name);
                assert_eq!(has, kernels.isa() != Isa::Scalar, "{name}");
                for (items, is_half) in [(&halves, true), (&bf16_lanes, false)] {
                    let rows = |at: usize| Nm24Row { codes: &stored[at], values: &items[at][..], scale: &[] };
                    let rows = [rows(0), rows(1)];
                    let found =
                        if is_half { kernels.nm24_dot_f16(&rows, &x) } else { kernels.nm24_dot_bf16(&rows, &x) };
                    let value = |row: &Nm24Row<'_, u16>, slot: usize| {
                        let bits = row.values[slot];
                        f64::from(if is_half {
                            half::f16::from_bits(bits).to_f32()
                        } else {
                            f32::from_bits(u32::from(bits) << 16)
                        })
                    };
                    assert_eq!(compare(&rows, found, &codes, &wide, value, &name), has, "{name}");
                }
                for width in [8, 4] {
                    let rows = |at: usize| Nm24Row { codes: &stored[at], values: &stream[at][..], scale: &scale[at] };
                    let rows = [rows(0), rows(1)];
                    let at = |row: &Nm24Row<'_, u8>, slot: usize| slot / 2 * 4 / 64 % row.scale.len().max(1);
                    let value = |row: &Nm24Row<'_, u8>, slot: usize| {
                        let code = match width {
                            8 => row.values[slot] as i8,
                            _ => (row.values[slot / 2] >> (slot % 2 * 4) << 4) as i8 >> 4,
                        };
                        f64::from(code) * f64::from(row.scale[at(row, slot)])
                    };
                    let found = kernels.nm24_dot_codes(&rows, width, &x);
                    assert_eq!(compare(&rows, found, &codes, &wide, value, &name), has, "{name}");
                    let found = kernels.nm24_dot_integers(&rows, width, &bytes);
                    // Columns that are not there have no item to be left out by, so that only whole groups are compared.
                    if cols % 4 == 0 {
                        assert_eq!(compare(&rows, found, &codes, &whole, value, &name), has, "{name}");
                    }
                }
            }
        }
    }
}

#[test]
fn a_code_that_names_no_pair_is_found() {
    for cols in [4, 128, 132, 512] {
        for group in [0, cols / 8, cols / 4 - 1] {
            for wrong in [6, 7] {
                let mut codes = vec![3; cols / 4];
                codes[group] = wrong;
                let (bad, good) = (packed(&codes, 0), packed(&vec![3; cols / 4], 0));
                let (x, values, bytes, scale) = (vec![1.0; cols], vec![1.0; cols], vec![1u8; cols], vec![1.0; cols]);
                for kernels in tables() {
                    for both in [[&bad, &good], [&good, &bad], [&bad, &bad]] {
                        let rows = both.map(|codes| Nm24Row { codes, values: &values[..], scale: &[] });
                        assert_eq!(kernels.nm24_dot_f32(&rows, &x), None);
                        let rows = both.map(|codes| Nm24Row { codes, values: &bytes[..], scale: &scale });
                        for width in [8, 4] {
                            assert_eq!(kernels.nm24_dot_codes(&rows, width, &x), None);
                            assert_eq!(kernels.nm24_dot_integers(&rows, width, &bytes), None);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn rows_that_are_too_short_are_no_danger() {
    let (codes, values, x) = (vec![0; 20], vec![1.0; 70], vec![1.0; 512]);
    for kernels in tables() {
        for (codes, values) in [(&codes[..0], &values[..]), (&codes[..13], &values[..]), (&codes[..], &values[..0])] {
            let rows = [Nm24Row { codes, values, scale: &[] }; 2];
            if let Some(found) = kernels.nm24_dot_f32(&rows, &x) {
                assert!(found.iter().all(|sum| *sum <= values.len() as f32));
            }
        }
    }
}

macro_rules! wide {
    ($w:literal, $short:ident, $long:ident) => {
        for len in (0..20).chain([100, 1000]) {
            let mut next = generator(len as u64 + $w);
            let rows = 37;
            let x: Vec<[f32; $w]> = floats(&mut next, rows * $w).as_chunks().0.to_vec();
            let values = floats(&mut next, len);
            let indices: Vec<i32> = (0..len).map(|_| (next() % rows as u32) as i32).collect();
            let wide: Vec<i64> = indices.iter().map(|&index| i64::from(index)).collect();
            for kernels in tables() {
                for (more, before) in [(true, 0.25), (false, 0.0)] {
                    let (mut short, mut long) = ([0.25; $w], [0.25; $w]);
                    kernels.$short((&indices, &values), &x, &mut short, more).expect("indices are in range");
                    kernels.$long((&wide, &values), &x, &mut long, more).expect("indices are in range");
                    assert_eq!(short, long);
                    for (column, &sum) in short.iter().enumerate() {
                        let terms = (0..len).map(|i| f64::from(values[i]) * f64::from(x[indices[i] as usize][column]));
                        close(sum, terms.chain([before]), stringify!($short));
                    }
                }
                for bad in [-1, rows as i32, i32::MAX, i32::MIN] {
                    for at in [0, len / 2, len.saturating_sub(1)].into_iter().filter(|&at| at < len) {
                        let mut broken = indices.clone();
                        broken[at] = bad;
                        assert_eq!(kernels.$short((&broken, &values), &x, &mut [0.0; $w], true), Err(at));
                    }
                }
            }
        }
    };
}

#[test]
fn some_columns_of_compressed_rows_agree() {
    wide!(8, csr_spmm_8_i32, csr_spmm_8_i64);
    wide!(16, csr_spmm_16_i32, csr_spmm_16_i64);
    wide!(32, csr_spmm_32_i32, csr_spmm_32_i64);
}

#[test]
fn compressed_rows_near_and_far_agree() {
    for cols in [1usize, 16, 63, 64, 65, 100, 1000] {
        for step in [1, 2, 4, 5, 60] {
            let mut next = generator((cols * step) as u64);
            // Ascending, in runs that begin again, so that some 16 are near each other and some are not.
            let indices: Vec<i32> = (0..200).map(|i| (i * step % cols) as i32).collect();
            let (values, x) = (floats(&mut next, 200), floats(&mut next, cols));
            for kernels in tables() {
                for len in [0, 1, 15, 16, 17, 64, 200] {
                    let sum = kernels.csr_dot_i32(&indices[..len], &values[..len], &x).expect("indices are in range");
                    let terms = (0..len).map(|i| f64::from(values[i]) * f64::from(x[indices[i] as usize]));
                    close(sum, terms, "a dot");
                    for at in (0..len).step_by(7) {
                        for bad in [-1, cols as i32, i32::MAX, i32::MIN] {
                            let mut broken = indices.clone();
                            broken[at] = bad;
                            assert_eq!(kernels.csr_dot_i32(&broken[..len], &values[..len], &x), Err(at));
                        }
                    }
                }
            }
        }
    }
}
