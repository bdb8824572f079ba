//! Any arrays give a result or an error: no panic, no access out of bounds, no end of time.

use proptest::collection::vec;
use proptest::prelude::*;
use sparsefmt::{BitRows, Coo, Csr, Error, Index, Matrix, MatrixMut, Stop};

/// Values that offsets and indices should have, and those that they should never have.
fn value() -> impl Strategy<Value = i64> {
    prop_oneof![
        8 => 0..12i64,
        1 => -3..0i64,
        1 => prop::sample::select(vec![
            i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1, i64::from(i32::MIN), i64::from(i32::MAX), 1 << 40,
        ]),
    ]
}

fn values(most: usize) -> impl Strategy<Value = Vec<i64>> {
    (vec(value(), 0..most), any::<bool>()).prop_map(|(mut values, ascending)| {
        if ascending {
            values.sort_unstable();
        }
        values
    })
}

fn length() -> impl Strategy<Value = usize> {
    prop_oneof![
        8 => 0..10usize,
        1 => prop::sample::select(vec![1 << 31, 1 << 40, 1 << 62, i64::MAX as usize, usize::MAX]),
    ]
}

/// What functions are called with: nothing fits, except now and then.
#[derive(Clone, Debug)]
struct Hostile {
    offsets: Vec<i64>,
    more_offsets: Vec<i64>,
    indices: Vec<i64>,
    more_indices: Vec<i64>,
    items: Vec<u16>,
    bits: Vec<u8>,
    shape: (usize, usize),
    stride: usize,
    first_row: i64,
    fit: bool,
}

fn hostile() -> impl Strategy<Value = Hostile> {
    let arrays = (values(6), values(12), values(12), values(12), vec(0..3u16, 0..40), vec(0..4u8, 0..12));
    (arrays, (length(), length()), length(), value(), any::<bool>()).prop_map(
        |(arrays, shape, stride, first_row, fit)| {
            let (offsets, more_offsets, indices, more_indices, items, bits) = arrays;
            Hostile { offsets, more_offsets, indices, more_indices, items, bits, shape, stride, first_row, fit }
        },
    )
}

/// Cuts or fills up to `len`, so that the first checks of lengths pass.
fn fit<T: Copy + Default>(values: &mut Vec<T>, len: Option<usize>) {
    if let Some(len) = len.filter(|&len| len < 1000) {
        values.resize(len, T::default());
    }
}

fn call<I: Index>(mut h: Hostile, cast: impl Fn(i64) -> I) {
    let (rows, cols) = h.shape;
    let mut slots = h.items.clone();
    if h.fit {
        fit(&mut h.offsets, rows.checked_add(1));
        fit(&mut h.more_offsets, cols.checked_add(1));
        fit(&mut h.items, rows.checked_mul(cols));
        fit(&mut h.bits, rows.checked_mul(h.stride));
        let len = h.indices.len();
        fit(&mut h.more_indices, Some(len));
        fit(&mut slots, Some(len));
    }
    let cast = |values: &[i64]| values.iter().map(|&value| cast(value)).collect::<Vec<I>>();
    let (offsets, more_offsets) = (cast(&h.offsets), cast(&h.more_offsets));
    let (indices, more_indices) = (cast(&h.indices), cast(&h.more_indices));
    let (mut out_indices, mut out_slots) = (indices.clone(), slots.clone());
    let (mut out, mut out_bits, mut out_offsets) = (h.items.clone(), h.bits.clone(), offsets.clone());
    let (out_indices, out_slots) = (&mut out_indices[..], &mut out_slots[..]);

    let (shape, stride) = (h.shape, h.stride);
    let csr = Csr::new(&offsets, &indices, shape);
    let coo = Coo::new(&indices, &more_indices, shape);
    let rows_of_bits = Matrix::new("bits", &h.bits, rows, stride);
    let bits = rows_of_bits.clone().and_then(|bits| BitRows::new(bits, &offsets, cols));
    if let Ok(w) = Matrix::new("w", &h.items, rows, cols) {
        drop(sparsefmt::dense_row_counts(w, 1, &mut out_offsets));
        drop(sparsefmt::dense_to_csr(w, 1, &offsets, out_indices, out_slots));
        drop(sparsefmt::dense_col_counts(w, 1, &mut out_offsets));
        drop(sparsefmt::dense_to_csc(w, 1, &more_offsets, out_indices, out_slots));
        let mut counts = vec![I::default(); rows.min(20)];
        let _ = MatrixMut::new("bits", &mut out_bits, rows, stride)
            .and_then(|bits| sparsefmt::dense_to_bits(w, 1, bits, &mut counts));
        let _ = bits.clone().and_then(|bits| sparsefmt::bits_gather(w, bits, out_slots));
    }
    let stop = Stop::new(&|| false);
    if let Ok(csr) = csr {
        let _ = dense(&mut out, shape).and_then(|out| sparsefmt::csr_to_dense(csr, &slots, out));
        drop(sparsefmt::csr_transpose(csr, &slots, &more_offsets, out_indices, out_slots, &stop));
        let _ = dense(&mut out_bits, (rows, stride)).and_then(|bits| sparsefmt::csr_to_bits(csr, bits));
    }
    if let (Ok(columns), Ok(out)) = (Csr::of_cols(&more_offsets, &indices, rows), dense(&mut out, shape)) {
        drop(sparsefmt::csc_to_dense(columns, &slots, h.first_row, out));
    }
    if let Ok(coo) = coo {
        let _ = dense(&mut out, shape).and_then(|out| sparsefmt::coo_to_dense(coo, &slots, h.first_row, out));
        drop(sparsefmt::coo_order(coo, &mut h.indices.clone(), &stop));
        drop(sparsefmt::coo_to_csr(coo, &slots, &mut out_offsets, out_indices, out_slots, &stop));
        drop(sparsefmt::coo_check(coo));
    }
    if let Ok(bits) = bits {
        let _ = dense(&mut out, shape).and_then(|out| sparsefmt::bits_to_dense(bits, &slots, out));
        drop(sparsefmt::bits_to_indices(bits, out_indices));
    }
    drop(sparsefmt::count_indices(&indices, &mut out_offsets));
    drop(sparsefmt::expand_indptr(&offsets, out_indices));
    drop(sparsefmt::compress_rows(&indices, &mut out_offsets));
    drop(sparsefmt::csr_check(&offsets, &indices, cols));
    let _ = rows_of_bits.and_then(|bits| sparsefmt::bits_check(bits, &offsets, cols));
}

fn dense<T>(items: &mut [T], shape: (usize, usize)) -> Result<MatrixMut<'_, T>, Error> {
    MatrixMut::new("out", items, shape.0, shape.1)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_arrays_give_ok_or_error(hostile in hostile()) {
        call(hostile.clone(), |value| value as i32);
        call(hostile, |value| value);
    }

    /// Work that is cut into tasks: the same with a long array.
    #[test]
    fn long_arrays_give_ok_or_error(wrong in vec((0..40_000usize, value()), 0..3), cols in 1..9usize) {
        let rows = 40_000 / cols;
        let dense: Vec<u64> = (0..rows * cols).map(|i| u64::from(i % 3 == 0)).collect();
        let mut offsets = vec![0i64; rows + 1];
        let w = Matrix::new("w", &dense, rows, cols).expect("fits");
        sparsefmt::dense_row_counts(w, 1, &mut offsets[1..]).expect("fits");
        for row in 0..rows {
            offsets[row + 1] += offsets[row];
        }
        let total = offsets[rows] as usize;
        for &(at, value) in &wrong {
            offsets[at % (rows + 1)] = value;
        }
        let (mut indices, mut slots) = (vec![0i64; total], vec![0u64; total]);
        let done = sparsefmt::dense_to_csr(w, 1, &offsets, &mut indices, &mut slots);
        prop_assert!(done.is_ok() || !wrong.is_empty());
        for &(at, value) in &wrong {
            indices[at % total] = value;
        }
        call(Hostile {
            offsets, more_offsets: vec![0; cols + 1], indices: indices.clone(), more_indices: indices,
            items: vec![1; rows * cols], bits: vec![3; rows], shape: (rows, cols), stride: 1, first_row: 0, fit: false,
        }, |value| value);
    }
}
