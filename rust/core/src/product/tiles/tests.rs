//! With the model of tiles, so that they run everywhere.

use super::super::masked::Masked;
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
        let rows: Vec<Vec<bool>> = (0..rows).map(|_| (0..cols).map(|_| next() % one_in == 0).collect()).collect();
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
    let done = run_on(TileUnit::Model, w, values, Right::Singles(x), &mut into).expect("sound");
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
        let brains: Vec<u16> = singles.iter().map(|&value| bf16::from_f32(value).to_bits()).collect();
        let of_halves: Vec<f32> = halves.iter().map(|&bits| f16::from_bits(bits).to_f32()).collect();
        let of_brains: Vec<f32> = brains.iter().map(|&bits| bf16::from_bits(bits).to_f32()).collect();
        let cases = [
            ("float32", Values::singles(&singles), &singles),
            ("float16", Values::shorts(&halves, "float16").expect("known"), &of_halves),
            ("bfloat16", Values::shorts(&brains, "bfloat16").expect("known"), &of_brains),
        ];
        for (name, values, wide) in cases {
            let got = product(&w, &values, &x, k).unwrap_or_else(|| panic!("{name}, {rows} x {cols} x {k}"));
            let off = error(&w, wide, &x, k, &got);
            assert!(off <= 3.0 * (cols + 2) as f64, "{name}, {rows} x {cols} x {k}: {off} eps");
        }
    }
}
