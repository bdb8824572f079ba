//! With the model of tiles, so that they run everywhere.

use super::super::masked_rows::Masked;
use super::super::values::Values;
use super::parts::Parts;
use super::{Right, run_on};
use crate::{Matrix, MatrixMut, Result};
use half::{bf16, f16};
use sparsefmt_kernels::{Kernels, TileUnit};
use std::ops::Range;

/// A bit for each column.
struct Bits {
    cols: usize,
    rows: Vec<Vec<bool>>,
    offsets: Vec<usize>,
}

impl Bits {
    /// About one in `one_in` is set.
    fn new(rows: usize, cols: usize, one_in: u64, next: &mut impl FnMut() -> u64) -> Self {
        let rows: Vec<Vec<bool>> =
            (0..rows).map(|_| (0..cols).map(|_| next().is_multiple_of(one_in)).collect()).collect();
        let mut offsets = vec![0];
        for row in &rows {
            offsets.push(offsets[offsets.len() - 1] + row.iter().filter(|&&bit| bit).count());
        }
        Self { cols, rows, offsets }
    }

    fn slots(&self) -> usize {
        self.offsets[self.rows.len()]
    }
}

impl Masked for Bits {
    fn shape(&self) -> (usize, usize) {
        (self.rows.len(), self.cols)
    }
    fn bits(&self, row: usize, bits: &mut [u8]) -> Result<()> {
        // What lies behind the columns does not count.
        bits.fill(0xFF);
        for (column, &bit) in self.rows[row].iter().enumerate() {
            bits[column / 8] &= !(1 << (column % 8)) | u8::from(bit) << (column % 8);
        }
        Ok(())
    }
    fn slots(&self, row: usize) -> Result<Range<usize>> {
        Ok(self.offsets[row]..self.offsets[row + 1])
    }
    fn nbytes(&self) -> usize {
        self.rows.len() * self.cols / 8
    }
}

fn generator(seed: usize) -> impl FnMut() -> u64 {
    let mut state = (seed as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    move || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state >> 8
    }
}

/// A number with all its bits, of a magnitude between 2^-`spread` and 2.
fn number(next: &mut impl FnMut() -> u64, spread: u64) -> f32 {
    let bits = next();
    let exponent = 127 - (next() % (spread + 1)) as u32;
    f32::from_bits(exponent << 23 | (bits as u32 & 0x807F_FFFF))
}

/// The product, if tiles take it.
fn product(w: &Bits, values: &Values<'_>, x: &[f32], k: usize) -> Option<Vec<f32>> {
    let mut out = vec![f32::NAN; w.rows.len() * k];
    let x = Matrix::new("x", x, w.cols, k).expect("shape");
    let mut into = MatrixMut::new("out", &mut out, w.rows.len(), k).expect("shape");
    let done = run_on(TileUnit::Model, w, values, Right::F32(x), &mut into).expect("sound");
    done.then_some(out)
}

/// The largest error, in units of eps(float32) times the sum of absolute products.
fn error(w: &Bits, values: &[f32], x: &[f32], k: usize, got: &[f32]) -> f64 {
    let mut worst = 0.0f64;
    for (row, got) in got.chunks(k).enumerate() {
        let mut slots = values[w.offsets[row]..w.offsets[row + 1]].iter();
        let (mut sums, mut sizes) = (vec![0.0f64; k], vec![0.0f64; k]);
        for column in (0..w.cols).filter(|&column| w.rows[row][column]) {
            let value = f64::from(*slots.next().expect("a value"));
            for j in 0..k {
                let term = value * f64::from(x[column * k + j]);
                sums[j] += term;
                sizes[j] += term.abs();
            }
        }
        for j in 0..k {
            let off = (f64::from(got[j]) - sums[j]).abs();
            assert!(off == 0.0 || sizes[j] > 0.0, "row {row}, column {j}: {} for nothing", got[j]);
            worst = worst.max(if off == 0.0 { 0.0 } else { off / sizes[j] / f64::from(f32::EPSILON) });
        }
    }
    worst
}

const SHAPES: [(usize, usize, usize); 9] = [
    (16, 1, 17),
    (33, 2, 17),
    (32, 32, 32),
    (40, 31, 33),
    (17, 130, 48),
    (64, 128, 64),
    (50, 700, 20),
    (16, 1100, 49),
    (31, 513, 290),
];

#[test]
fn sums_keep_the_bound() {
    for (at, (rows, cols, k)) in SHAPES.into_iter().enumerate() {
        let mut next = generator(at);
        let w = Bits::new(rows, cols, 2, &mut next);
        let x: Vec<f32> = (0..cols * k).map(|i| if i % 7 == 3 { 0.0 } else { number(&mut next, 30) }).collect();
        let singles: Vec<f32> = (0..w.slots()).map(|_| number(&mut next, 12)).collect();
        let halves: Vec<u16> = singles.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
        let bf16_lanes: Vec<u16> = singles.iter().map(|&value| bf16::from_f32(value).to_bits()).collect();
        let of_halves: Vec<f32> = halves.iter().map(|&bits| f16::from_bits(bits).to_f32()).collect();
        let of_brains: Vec<f32> = bf16_lanes.iter().map(|&bits| bf16::from_bits(bits).to_f32()).collect();
        let cases = [
            ("float32", Values::singles(&singles), &singles),
            ("float16", Values::shorts(&halves, "float16").expect("known"), &of_halves),
            ("bfloat16", Values::shorts(&bf16_lanes, "bfloat16").expect("known"), &of_brains),
        ];
        for (name, values, wide) in cases {
            let got = product(&w, &values, &x, k).unwrap_or_else(|| panic!("{name}, {rows} x {cols} x {k}"));
            let off = error(&w, wide, &x, k, &got);
            assert!(off <= 3.0 * (cols + 2) as f64, "{name}, {rows} x {cols} x {k}: {off} eps");
        }
    }
}

/// One product, over values that are `common` but for one.
fn with_one(common: f32, odd: f32, dtype: &str, x_common: f32, x_odd: f32) -> Option<Vec<f32>> {
    let mut next = generator(5);
    let w = Bits::new(40, 70, 1, &mut next);
    let mut values = vec![common; w.slots()];
    values[1234] = odd;
    let mut x = vec![x_common; 70 * 20];
    x[777] = x_odd;
    let bf16_lanes: Vec<u16> = values.iter().map(|&value| bf16::from_f32(value).to_bits()).collect();
    let halves: Vec<u16> = values.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
    let held = match dtype {
        "float16" => Values::shorts(&halves, dtype)?,
        "bfloat16" => Values::shorts(&bf16_lanes, dtype)?,
        _ => Values::singles(&values),
    };
    product(&w, &held, &x, 20)
}

#[test]
fn numbers_that_parts_cannot_hold_go_another_way() {
    for dtype in ["float16", "bfloat16", "float32"] {
        assert!(with_one(0.5, 0.25, dtype, 1.0, 2.0).is_some());
        assert!(with_one(0.5, 0.0, dtype, 1.0, -0.0).is_some());
        assert!(with_one(0.0, 0.0, dtype, 0.0, 0.0).is_some());
        for odd in [f32::INFINITY, f32::NEG_INFINITY, f32::NAN] {
            assert!(with_one(0.5, odd, dtype, 1.0, 2.0).is_none(), "{dtype}, {odd}");
        }
        for odd in [f32::MAX, 1e-40, f32::from_bits(1), f32::MIN_POSITIVE] {
            assert!(with_one(0.5, 0.25, dtype, 1.1, odd).is_none(), "{dtype}, x {odd}");
        }
    }
    // The least numbers of float16 are no burden, those of other dtypes are.
    assert!(with_one(0.5, 6e-8, "float16", 1.1, 1e-23).is_some());
    for dtype in ["bfloat16", "float32"] {
        assert!(with_one(0.5, 1e-8, dtype, 1.1, 1e-8).is_some(), "{dtype}");
        for odd in [1e-40, 1e-37, f32::MAX] {
            assert!(with_one(0.5, odd, dtype, 1.1, 2.0).is_none(), "{dtype}, {odd}");
        }
        assert!(with_one(0.5, 1e-22, dtype, 1.1, 1e-12).is_none(), "{dtype}");
    }
    // What is decided by the product of the largest ones.
    assert!(with_one(0.5, 1e17, "float32", 1.1, 1e18).is_some());
    assert!(with_one(0.5, 1e18, "float32", 1.1, 1e19).is_none());
}

#[test]
fn few_bits_make_few_parts() {
    let (halves, bf16_lanes, singles) = ([0u16], [0u16], [0.0f32]);
    let parts = |values: &Values<'_>, x: &[f32]| {
        let parts = Parts::new(values, Kernels::active().extent(x), 64).expect("numbers as any");
        (parts.left, parts.right)
    };
    let half = Values::shorts(&halves, "float16").expect("known");
    let bf16_items = Values::shorts(&bf16_lanes, "bfloat16").expect("known");
    assert_eq!(parts(&half, &[1.1, 1.0]), (2, 3));
    assert_eq!(parts(&half, &[f16::from_f32(1.1).to_f32()]), (2, 2));
    assert_eq!(parts(&half, &[bf16::from_f32(1.1).to_f32(), 0.0, -256.0]), (2, 1));
    assert_eq!(parts(&bf16_items, &[1.1]), (1, 3));
    assert_eq!(parts(&Values::singles(&singles), &[0.0]), (3, 1));
}

/// Rows are summed alike whoever does it, and whatever stands beside them.
#[test]
fn rows_do_not_depend_on_their_neighbours() {
    let mut next = generator(9);
    let (rows, cols, k) = (150, 600, 40);
    let w = Bits::new(rows, cols, 2, &mut next);
    let values: Vec<f32> = (0..w.slots()).map(|_| number(&mut next, 5)).collect();
    let x: Vec<f32> = (0..cols * k).map(|_| number(&mut next, 5)).collect();
    let all = product(&w, &Values::singles(&values), &x, k).expect("numbers as any");
    for start in [0, 1, 77] {
        let some = Bits {
            cols,
            rows: w.rows[start..start + 50].to_vec(),
            offsets: w.offsets[start..=start + 50].iter().map(|at| at - w.offsets[start]).collect(),
        };
        let values = &values[w.offsets[start]..w.offsets[start + 50]];
        let got = product(&some, &Values::singles(values), &x, k).expect("numbers as any");
        assert_eq!(got, all[start * k..(start + 50) * k], "from row {start}");
    }
}

/// bfloat16 on both sides: one product, no limits, and what is not finite in `w` stays.
#[test]
fn brains_are_multiplied_as_they_are() {
    let mut next = generator(3);
    let (rows, cols, k) = (45, 300, 35);
    let w = Bits::new(rows, cols, 2, &mut next);
    let mut bf16_items = || bf16::from_f32(number(&mut next, 9)).to_bits();
    let mut held: Vec<u16> = (0..w.slots()).map(|_| bf16_items()).collect();
    let x: Vec<u16> = (0..cols * k).map(|_| bf16_items()).collect();
    let wide = |bits: &[u16]| bits.iter().map(|&bits| bf16::from_bits(bits).to_f32()).collect::<Vec<_>>();
    let run = |held: &[u16]| {
        let values = Values::shorts(held, "bfloat16").expect("known");
        let mut out = vec![f32::NAN; rows * k];
        let x = Matrix::new("x", &x, cols, k).expect("shape");
        let mut into = MatrixMut::new("out", &mut out, rows, k).expect("shape");
        assert!(run_on(TileUnit::Model, &w, &values, Right::Bf16(x), &mut into).expect("sound"));
        out
    };
    let out = run(&held);
    let off = error(&w, &wide(&held), &wide(&x), k, &out);
    assert!(off <= 3.0 * (cols + 2) as f64, "{off} eps");
    held[w.offsets[7]] = bf16::INFINITY.to_bits();
    let changed = run(&held);
    assert!(changed[7 * k..8 * k].iter().all(|sum| sum.is_infinite()));
    assert_eq!((&changed[..7 * k], &changed[8 * k..]), (&out[..7 * k], &out[8 * k..]));
}

#[test]
fn thin_matrices_are_left_to_others() {
    let mut next = generator(4);
    for (rows, cols, one_in, k) in [(40, 64, 5, 64), (40, 64, 1, 16), (15, 64, 1, 64), (40, 0, 1, 64)] {
        let w = Bits::new(rows, cols, one_in, &mut next);
        let values = vec![1.0; w.slots()];
        assert!(product(&w, &Values::singles(&values), &vec![1.0; cols * k], k).is_none());
    }
}

/// Bits that lead beyond the slots of their row are an error, wherever they stand.
#[test]
fn offsets_that_lie_are_found() {
    let mut next = generator(6);
    let mut w = Bits::new(40, 700, 2, &mut next);
    let values = vec![1.0; w.slots()];
    w.offsets[20] -= 1;
    let (x, mut out) = (vec![1.0; 700 * 20], vec![0.0; 40 * 20]);
    let x = Matrix::new("x", &x, 700, 20).expect("shape");
    let mut out = MatrixMut::new("out", &mut out, 40, 20).expect("shape");
    let done = run_on(TileUnit::Model, &w, &Values::singles(&values), Right::F32(x), &mut out);
    assert!(done.is_err_and(|error| error.to_string().contains("row_offsets")));
}

/// Numbers of a bell curve, against sums of float32 that start anew every 384 products, as BLAS has them.
#[test]
fn errors_are_no_larger_than_those_of_blas() {
    let mut next = generator(8);
    let (rows, cols, k) = (32, 2048, 17);
    let mut normal = || (0..12).map(|_| (next() % 4096) as f32 / 4096.0).sum::<f32>() - 6.0;
    let values: Vec<f32> = (0..rows * cols).map(|_| f16::from_f32(normal()).to_f32()).collect();
    let x: Vec<f32> = (0..cols * k).map(|_| normal()).collect();
    let mut next = generator(8);
    let w = Bits::new(rows, cols, 1, &mut next);
    let halves: Vec<u16> = values.iter().map(|&value| f16::from_f32(value).to_bits()).collect();
    let got = product(&w, &Values::shorts(&halves, "float16").expect("known"), &x, k).expect("numbers as any");
    let (mut ours, mut theirs) = (0.0, 0.0);
    for (row, got) in values.chunks(cols).zip(got.chunks(k)) {
        for (j, &got) in got.iter().enumerate() {
            let terms = || row.iter().zip(x[j..].iter().step_by(k));
            let exact: f64 = terms().map(|(&w, &x)| f64::from(w) * f64::from(x)).sum();
            let pairs: Vec<_> = terms().collect();
            let blas: f32 =
                pairs.chunks(384).map(|some| some.iter().fold(0.0, |sum, (w, x)| w.mul_add(**x, sum))).sum();
            ours += (f64::from(got) - exact).powi(2);
            theirs += (f64::from(blas) - exact).powi(2);
        }
    }
    assert!(ours < theirs, "{ours} against {theirs}");
}
