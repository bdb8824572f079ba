//! Every function against a plain definition, at every number of columns from 0 to 200, for every width.

use sparsefmt::{BitRows, Coo, Csr, Index, Item, Matrix, MatrixMut, Stop, par};

/// A small generator, so that the tests repeat.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}

/// The plain definitions: coordinates in row-major order, and what follows from them.
struct Plain<T, I> {
    shape: (usize, usize),
    dense: Vec<T>,
    row: Vec<I>,
    col: Vec<I>,
    slots: Vec<T>,
    indptr: Vec<I>,
    /// Column by column: offsets, rows, slots.
    csc: (Vec<I>, Vec<I>, Vec<T>),
    bits: Vec<u8>,
    stride: usize,
}

const ZERO: u64 = u64::MAX;

fn out<'a, T>(name: &'static str, items: &'a mut [T], shape: (usize, usize)) -> sparsefmt::Result<MatrixMut<'a, T>> {
    MatrixMut::new(name, items, shape.0, shape.1)
}

fn offsets<I: Index>(of: &[I], bound: usize) -> Vec<I> {
    (0..=bound).map(|b| I::cut(of.iter().filter(|i| i.to_i64() < b as i64).count())).collect()
}

impl<T: Item, I: Index> Plain<T, I> {
    fn new(shape: (usize, usize), one_in: u64) -> Self {
        let (rows, cols) = shape;
        let mut random = Random((cols as u64 + 1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let mut item = || if random.next().is_multiple_of(one_in) { T::mask(random.next() | 1) } else { T::default() };
        let dense: Vec<T> = (0..rows * cols).map(|_| item()).collect();
        let at: Vec<usize> = (0..dense.len()).filter(|&at| dense[at] != T::default()).collect();
        let mut by_col = at.clone();
        by_col.sort_by_key(|at| (at % cols, at / cols));
        let stride = cols.div_ceil(8) + cols % 3;
        let mut bits = vec![0u8; rows * stride];
        for at in &at {
            bits[at / cols * stride + at % cols / 8] |= 1 << (at % cols % 8);
        }
        let row: Vec<I> = at.iter().map(|at| I::cut(at / cols)).collect();
        let col: Vec<I> = at.iter().map(|at| I::cut(at % cols)).collect();
        Self {
            shape,
            slots: at.iter().map(|&at| dense[at]).collect(),
            indptr: offsets(&row, rows),
            csc: (
                offsets(&col, cols),
                by_col.iter().map(|at| I::cut(at / cols)).collect(),
                by_col.iter().map(|&at| dense[at]).collect(),
            ),
            dense,
            row,
            col,
            bits,
            stride,
        }
    }

    fn dense(&self) -> sparsefmt::Result<Matrix<'_, T>> {
        Matrix::new("w", &self.dense, self.shape.0, self.shape.1)
    }

    fn check(&self) -> sparsefmt::Result<()>
    where
        T: std::fmt::Debug,
        I: std::fmt::Debug,
    {
        let (rows, cols) = self.shape;
        let n = self.slots.len();
        let dirty = || T::mask(0x5A5A_5A5A_5A5A_5A5A);
        let (mut indices, mut slots) = (vec![I::cut(9); n], vec![dirty(); n]);
        let mut dense = vec![dirty(); self.dense.len()];

        let w = self.dense()?;
        sparsefmt::dense_to_csr(w, ZERO, &self.indptr, &mut indices, &mut slots)?;
        assert_eq!((&indices, &slots), (&self.col, &self.slots));
        let csr = Csr::new(&self.indptr, &self.col, self.shape)?;
        sparsefmt::csr_to_dense(csr, &self.slots, out("out", &mut dense, self.shape)?)?;
        assert_eq!(dense, self.dense);

        slots.fill(dirty());
        sparsefmt::dense_to_csc(w, ZERO, &self.csc.0, &mut indices, &mut slots)?;
        assert_eq!((&indices, &slots), (&self.csc.1, &self.csc.2));
        slots.fill(dirty());
        sparsefmt::csr_transpose(csr, &self.slots, &self.csc.0, &mut indices, &mut slots, &Stop::new(&|| false))?;
        assert_eq!((&indices, &slots), (&self.csc.1, &self.csc.2));
        dense.fill(dirty());
        let columns = Csr::new(&self.csc.0, &self.csc.1, (cols, rows))?;
        sparsefmt::csc_to_dense(columns, &self.csc.2, 0, out("out", &mut dense, self.shape)?)?;
        assert_eq!(dense, self.dense);

        dense.fill(dirty());
        let coo = Coo::new(&self.row, &self.col, self.shape)?;
        sparsefmt::coo_to_dense(coo, &self.slots, 0, out("out", &mut dense, self.shape)?)?;
        assert_eq!(dense, self.dense);

        let mut bits = vec![0x5A; self.bits.len()];
        let mut counts = vec![I::cut(9); rows];
        sparsefmt::dense_to_bits(w, ZERO, out("bits", &mut bits, (rows, self.stride))?, &mut counts)?;
        assert_eq!(bits, self.bits);
        bits.fill(0x5A);
        sparsefmt::csr_to_bits(csr, out("bits", &mut bits, (rows, self.stride))?)?;
        assert_eq!(bits, self.bits);
        slots.fill(dirty());
        let masked = BitRows::new(Matrix::new("bits", &bits, rows, self.stride)?, &self.indptr, cols)?;
        sparsefmt::bits_gather(w, masked, &mut slots)?;
        assert_eq!(slots, self.slots);
        indices.fill(I::cut(9));
        sparsefmt::bits_to_indices(masked, &mut indices)?;
        assert_eq!(indices, self.col);
        dense.fill(dirty());
        sparsefmt::bits_to_dense(masked, &self.slots, out("out", &mut dense, self.shape)?)?;
        assert_eq!(dense, self.dense);

        self.check_counts(counts)
    }

    fn check_counts(&self, by_bits: Vec<I>) -> sparsefmt::Result<()>
    where
        I: std::fmt::Debug,
    {
        let (rows, cols) = self.shape;
        let differences = |offsets: &[I]| -> Vec<I> {
            offsets.windows(2).map(|pair| I::cut((pair[1].to_i64() - pair[0].to_i64()) as usize)).collect()
        };
        let mut counts = vec![I::cut(9); rows];
        sparsefmt::dense_row_counts(self.dense()?, ZERO, &mut counts)?;
        assert_eq!((&counts, &by_bits), (&differences(&self.indptr), &differences(&self.indptr)));
        let mut counts = vec![I::cut(9); cols];
        sparsefmt::dense_col_counts(self.dense()?, ZERO, &mut counts)?;
        assert_eq!(counts, differences(&self.csc.0));
        counts.fill(I::cut(9));
        sparsefmt::count_indices(&self.col, &mut counts)?;
        assert_eq!(counts, differences(&self.csc.0));
        assert_eq!(sparsefmt::count_nonzero(&self.slots, ZERO), self.slots.len());

        let mut row = vec![I::cut(9); self.row.len()];
        sparsefmt::expand_indptr(&self.indptr, &mut row)?;
        assert_eq!(row, self.row);
        let mut indptr = vec![I::cut(9); rows + 1];
        sparsefmt::compress_rows(&self.row, &mut indptr)?;
        assert_eq!(indptr, self.indptr);

        assert_eq!(sparsefmt::csr_check(&self.indptr, &self.col, cols)?, None);
        assert_eq!(sparsefmt::coo_check(Coo::new(&self.row, &self.col, self.shape)?)?, None);
        let bits = Matrix::new("bits", &self.bits, rows, self.stride)?;
        assert_eq!(sparsefmt::bits_check(bits, &self.indptr, cols)?, None);
        let mut order = vec![9; self.row.len()];
        let backwards = |values: &[I]| values.iter().rev().copied().collect::<Vec<_>>();
        let (row, col) = (backwards(&self.row), backwards(&self.col));
        let coo = Coo::new(&row, &col, self.shape)?;
        sparsefmt::coo_order(coo, &mut order, &Stop::new(&|| false))?;
        assert!(order.iter().rev().copied().eq(0..self.row.len() as i64));

        let slots: Vec<T> = self.slots.iter().rev().copied().collect();
        let (mut indices, mut sorted) = (vec![I::cut(9); row.len()], slots.clone());
        sparsefmt::coo_to_csr(coo, &slots, &mut indptr, &mut indices, &mut sorted, &Stop::new(&|| false))?;
        assert!((&indptr, &indices) == (&self.indptr, &self.col) && sorted == self.slots);
        Ok(())
    }
}

fn every_length<T: Item + std::fmt::Debug>() {
    par::set_threads(3);
    for cols in 0..200 {
        for one_in in [1, 2, 10] {
            Plain::<T, i32>::new((5, cols), one_in).check().expect("arrays that fit");
            Plain::<T, i64>::new((3, cols), one_in).check().expect("arrays that fit");
        }
    }
    Plain::<T, i32>::new((90, 700), 3).check().expect("arrays that fit");
    Plain::<T, i32>::new((0, 7), 3).check().expect("arrays that fit");
}

#[test]
fn items_of_1_byte() {
    every_length::<u8>();
}

#[test]
fn items_of_2_bytes() {
    every_length::<u16>();
}

#[test]
fn items_of_4_bytes() {
    every_length::<u32>();
}

#[test]
fn items_of_8_bytes() {
    every_length::<u64>();
}

#[test]
fn items_of_16_bytes() {
    every_length::<[u64; 2]>();
}

/// Outputs of 64 MiB are written past the caches; rows of 4099 items begin at any alignment.
#[test]
fn large_outputs() -> sparsefmt::Result<()> {
    for (rows, cols) in [(4096, 4096), (4096, 4099), (9, 2_000_000)] {
        let mut random = Random(3);
        let dense: Vec<u32> = (0..rows * cols).map(|_| random.next() as u32).map(|v| v * (v >> 31)).collect();
        let mut indptr = vec![0i32; rows + 1];
        let w = Matrix::new("w", &dense, rows, cols)?;
        sparsefmt::dense_row_counts(w, ZERO, &mut indptr[1..])?;
        for row in 0..rows {
            indptr[row + 1] += indptr[row];
        }
        let n = indptr[rows] as usize;
        let (mut indices, mut slots) = (vec![0; n], vec![0; n]);
        sparsefmt::dense_to_csr(w, ZERO, &indptr, &mut indices, &mut slots)?;
        let mut back = vec![9; rows * cols];
        let csr = Csr::new(&indptr, &indices, (rows, cols))?;
        sparsefmt::csr_to_dense(csr, &slots, out("out", &mut back, (rows, cols))?)?;
        assert!(back == dense, "csr, {cols} columns");
        let stride = cols.div_ceil(8);
        let mut bits = vec![0; rows * stride];
        sparsefmt::csr_to_bits(csr, out("bits", &mut bits, (rows, stride))?)?;
        back.fill(9);
        let masked = BitRows::new(Matrix::new("bits", &bits, rows, stride)?, &indptr, cols)?;
        sparsefmt::bits_to_dense(masked, &slots, out("out", &mut back, (rows, cols))?)?;
        assert!(back == dense, "bits, {cols} columns");
    }
    Ok(())
}
