//! Products on every instruction set are within the bound of sums in float64, whatever the lengths.

use sparsefmt_kernels::{Blocks, Chunk, Isa, Kernels, NM24_BF16_GROUPS, Nm24Bf16Rows, Pairs, Strided};

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

/// The columns whose bit is set.
fn set_bits(bits: &[u8], cols: usize) -> Vec<usize> {
    (0..cols).filter(|i| bits[i / 8] >> (i % 8) & 1 == 1).collect()
}

fn close(got: f32, terms: impl Iterator<Item = f64>, what: &str) {
    let (mut sum, mut size) = (0.0, 0.0);
    for term in terms {
        sum += term;
        size += term.abs();
    }
    assert!((f64::from(got) - sum).abs() <= size * 1e-5 + 1e-12, "{what}: {got}, want {sum}");
}

#[test]
fn dots_agree() {
    for cols in (0..140usize).chain([255, 256, 1000]) {
        let mut next = generator(cols as u64 + 1);
        let bits: Vec<u8> = (0..cols.div_ceil(8)).map(|_| next() as u8 | next() as u8 & (cols as u8)).collect();
        let (x, at) = (floats(&mut next, cols), set_bits(&bits, cols));
        for spare in [0, 100] {
            let values = floats(&mut next, at.len() + spare);
            let halves: Vec<u16> = (0..at.len() + spare).map(|_| (next() as u16 & 0x83FF) | 0x3800).collect();
            let bf16_lanes: Vec<u16> = values.iter().map(|value| (value.to_bits() >> 16) as u16).collect();
            let codes: Vec<u8> = (0..at.len() + spare + 1).map(|_| next() as u8).collect();
            let scale = floats(&mut next, cols.div_ceil(64));
            let bytes: Vec<u8> = (0..cols).map(|_| (next() as u8).max(1)).collect();
            for kernels in tables() {
                let name = format!("{:?}, {cols} columns, {spare} to spare", kernels.isa());
                let term = |i: usize, value: f64| value * f64::from(x[at[i]]);
                let (sum, used) = kernels.dot_f32(&values, &bits, &x);
                assert_eq!(used, at.len(), "{name}");
                close(sum, (0..at.len()).map(|i| term(i, f64::from(values[i]))), &name);
                if let Some((sum, used)) = kernels.dot_f16(&halves, &bits, &x) {
                    assert_eq!(used, at.len(), "{name}");
                    let wide = |bits: u16| f64::from(half::f16::from_bits(bits).to_f32());
                    close(sum, (0..at.len()).map(|i| term(i, wide(halves[i]))), &name);
                }
                if let Some((sum, used)) = kernels.dot_bf16(&bf16_lanes, &bits, &x) {
                    assert_eq!(used, at.len(), "{name}");
                    let wide = |bits: u16| f64::from(f32::from_bits(u32::from(bits) << 16));
                    close(sum, (0..at.len()).map(|i| term(i, wide(bf16_lanes[i]))), &name);
                }
                for (width, start) in [(8, 0), (8, 1), (4, 0), (4, 1)] {
                    let code = |i: usize| match width {
                        8 => codes[start + i] as i8,
                        _ => (codes[(start + i) / 2] >> ((start + i) % 2 * 4) << 4) as i8 >> 4,
                    };
                    let scaled = |i: usize| f64::from(code(i)) * f64::from(scale[at[i] / 64]);
                    if let Some((sum, used)) = kernels.dot_codes((&codes, width, start), &bits, &x, &scale) {
                        assert_eq!(used, at.len(), "{name}");
                        close(sum, (0..at.len()).map(|i| term(i, scaled(i))), &name);
                    }
                    let (sum, used) = kernels.dot_integers((&codes, width, start), &bits, &bytes, &scale);
                    assert_eq!(used, at.len(), "{name}");
                    let whole = |i: usize| f64::from(bytes[at[i]]) - 128.0;
                    close(sum, (0..at.len()).map(|i| scaled(i) * whole(i)), &name);
                }
                // Fewer values than bits: those that are there count, and nothing else happens.
                let half = &values[..at.len() / 2];
                let (sum, _) = kernels.dot_f32(half, &bits, &x);
                close(sum, (0..half.len()).map(|i| term(i, f64::from(half[i]))), &name);
            }
        }
    }
}

macro_rules! dots {
    ($j:literal, $name:ident) => {
        for chunks in 0..9 {
            let mut next = generator(chunks as u64);
            let bits: Vec<u8> = (0..2 * chunks).map(|_| next() as u8).collect();
            let at = set_bits(&bits, 16 * chunks);
            let mut x = vec![Chunk::<$j>::ZERO; chunks];
            x.iter_mut().flat_map(|x| &mut x.0).for_each(|x| x.copy_from_slice(&floats(&mut next, 16)));
            for spare in [0, 16] {
                let values = floats(&mut next, at.len() + spare);
                for kernels in tables() {
                    let mut sums = [0.5; $j];
                    kernels.$name(&values, &bits, &x, &mut sums);
                    for (j, &sum) in sums.iter().enumerate() {
                        let item = |at: usize| f64::from(x[at / 16].0[j][at % 16]);
                        let terms = at.iter().zip(&values).map(|(&at, &value)| f64::from(value) * item(at));
                        close(sum, terms.chain([0.5]), stringify!($name));
                    }
                }
            }
        }
    };
}

#[test]
fn dots_of_a_few_columns_agree() {
    dots!(4, dots_4);
    dots!(8, dots_8);
    dots!(16, dots_16);
}

#[test]
fn rows_agree() {
    for width in (1..=64).step_by(5).chain([16, 32, 48, 64]) {
        let mut next = generator(width as u64);
        let (rows, stride, first) = (19, width + 7, 3);
        let items = floats(&mut next, rows * stride);
        let x = Strided { items: &items, rows, stride, first, width };
        let item = |row: usize, column: usize| f64::from(items[row * stride + first + column]);
        let values = floats(&mut next, 23);
        let indices: Vec<i32> = (0..23).map(|_| (next() % rows as u32) as i32).collect();
        let wide: Vec<i64> = indices.iter().map(|&index| i64::from(index)).collect();
        for kernels in tables() {
            let (mut short, mut long) = (vec![0.25; width], vec![0.25; width]);
            kernels.csr_row_i32(&indices, &values, &x, &mut short).expect("indices are in range");
            kernels.csr_row_i64(&wide, &values, &x, &mut long).expect("indices are in range");
            assert_eq!(short, long);
            for (column, &sum) in short.iter().enumerate() {
                let terms = (0..23).map(|i| f64::from(values[i]) * item(indices[i] as usize, column));
                close(sum, terms.chain([0.25]), "a row");
            }
            for bad in [-1, rows as i32, i32::MAX, i32::MIN] {
                let mut broken = indices.clone();
                broken[11] = bad;
                assert_eq!(kernels.csr_row_i32(&broken, &values, &x, &mut short), Err(11));
                assert_eq!(kernels.csr_dot_i32(&broken, &values, &items[..rows]), Err(11));
            }
            let sum = kernels.csr_dot_i64(&wide, &values, &items[..rows]).expect("indices are in range");
            close(sum, (0..23).map(|i| f64::from(values[i]) * f64::from(items[indices[i] as usize])), "a dot");
        }
    }
}

#[test]
fn rows_of_blocks_agree() {
    for width in (1..=64).step_by(5).chain([16, 32, 48, 64]) {
        for (r, across, depth) in [(1, 4, 4), (4, 4, 4), (3, 5, 2), (8, 8, 8), (19, 20, 17), (16, 16, 16), (35, 33, 33)]
        {
            let mut next = generator((width * 100 + r) as u64);
            for (rows, stride, first) in [(r, width + 7, 3), (r - 1, width, 0)] {
                let items = floats(&mut next, 40 * stride);
                let x = Strided { items: &items, rows: 40, stride, first, width };
                let starts: Vec<usize> = (0..7).map(|_| next() as usize % (41 - depth)).collect();
                let stored = floats(&mut next, starts.len() * r * across);
                let w = Blocks { items: &stored, area: r * across, across, depth, rows, starts: &starts };
                for kernels in tables() {
                    let mut sums = vec![0.25; rows * stride];
                    kernels.bsr_spmm_row(&w, &x, &mut sums, stride);
                    for (at, &sum) in sums.iter().enumerate() {
                        let (row, column) = (at / stride, at % stride);
                        if column >= width {
                            assert_eq!(sum, 0.25);
                            continue;
                        }
                        let terms = (0..7 * depth).map(|i| {
                            let value = stored[i / depth * r * across + row * across + i % depth];
                            let item = items[(starts[i / depth] + i % depth) * stride + first + column];
                            f64::from(value) * f64::from(item)
                        });
                        close(sum, terms.chain([0.25]), "a block");
                    }
                }
            }
        }
    }
}

#[test]
fn blocks_that_stick_out_are_refused() {
    let (items, x) = ([1.0; 32], [1.0; 40]);
    let x = Strided { items: &x, rows: 10, stride: 4, first: 0, width: 4 };
    let good = Blocks { items: &items, area: 16, across: 4, depth: 4, rows: 4, starts: &[0, 6] };
    let bad = [
        Blocks { starts: &[0, 7], ..good },
        Blocks { starts: &[0, usize::MAX], ..good },
        Blocks { starts: &[0], ..good },
        Blocks { rows: 5, ..good },
        Blocks { rows: usize::MAX, ..good },
        Blocks { depth: 5, ..good },
        Blocks { area: 0, ..good },
    ];
    for kernels in tables() {
        let mut sums = [0.0; 16];
        kernels.bsr_spmm_row(&good, &x, &mut sums, 4);
        assert_eq!(sums, [8.0; 16]);
        for w in &bad {
            let refused = std::panic::catch_unwind(|| kernels.bsr_spmm_row(w, &x, &mut [0.0; 64], 4));
            assert!(refused.is_err(), "{w:?}");
        }
        let refused = std::panic::catch_unwind(|| kernels.bsr_spmm_row(&good, &x, &mut [0.0; 15], 4));
        assert!(refused.is_err());
    }
}

#[test]
fn what_is_not_finite_is_found() {
    for len in [0, 1, 15, 16, 17, 100] {
        for kernels in tables() {
            let mut items = vec![f32::MAX; len];
            assert!(kernels.all_finite(&items));
            for (at, bad) in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY].into_iter().enumerate().filter(|_| len > 0) {
                items[at * (len - 1) / 2] = bad;
                assert!(!kernels.all_finite(&items), "{bad} of {len}");
                items[at * (len - 1) / 2] = -0.0;
            }
        }
    }
}

#[test]
fn pairs_agree() {
    const ROWS: [(usize, usize); 6] = [(0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3)];
    let wide = |bits: u16| f64::from(f32::from_bits(u32::from(bits) << 16));
    for seed in 0..30 {
        let mut next = generator(seed);
        let mut bf16_lanes =
            |len| floats(&mut next, len).iter().map(|x| (x.to_bits() >> 16) as u16).collect::<Vec<_>>();
        let (x, values) = (bf16_lanes(4 * NM24_BF16_GROUPS * 64), bf16_lanes(2 * NM24_BF16_GROUPS));
        let codes: Vec<usize> = (0..NM24_BF16_GROUPS).map(|_| next() as usize % 6).collect();
        let word = codes.iter().enumerate().fold(0u64, |word, (i, &code)| word | (code as u64) << (3 * i));
        let rows: &[[u16; 64]; 4 * NM24_BF16_GROUPS] = x.as_chunks().0.first_chunk().expect("as many");
        // The upper two bytes belong to the next groups, and do not count.
        let codes_at = (word | 0xFFFF << 48).to_le_bytes();
        let w = Nm24Bf16Rows { codes: &codes_at, values: &values, strides: (0, 0), rows: 1, to_come: (&[], &[]) };
        for (kernels, width) in tables().flat_map(|kernels| [64, 49, 17, 1].map(|width| (kernels, width))) {
            let mut pairs = Box::new(Pairs::ZERO);
            kernels.nm24_bf16_pack(rows, &mut pairs);
            let mut sums = vec![f32::NAN; width];
            kernels.nm24_bf16_add(&w, &pairs, &mut sums, (width, width), true);
            sums.iter_mut().for_each(|sum| *sum += 0.5);
            for (column, &sum) in sums.iter().enumerate() {
                let terms = (0..2 * NM24_BF16_GROUPS).map(|i| {
                    let (low, high) = ROWS[codes[i / 2]];
                    let row = 4 * (i / 2) + if i % 2 == 0 { low } else { high };
                    wide(values[i]) * wide(x[row * 64 + column])
                });
                close(sum, terms.chain([0.5]), "pairs");
            }
        }
    }
}
