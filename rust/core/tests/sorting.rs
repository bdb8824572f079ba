//! Coordinates in any order, for shapes that use every way to cut keys into buckets.

use proptest::prelude::*;
use sparsefmt::{Coo, Csr, Error, Index, Stop, par};

/// Compares with a stable sort of the positions.
fn check<I: Index + std::fmt::Debug>(row: &[I], col: &[I], shape: (usize, usize)) {
    let mut want: Vec<i64> = (0..row.len() as i64).collect();
    want.sort_by_key(|&at| (row[at as usize], col[at as usize]));
    let mut order = vec![-1; row.len()];
    let coo = Coo::new(row, col, shape).expect("one length");
    assert_eq!(sparsefmt::coo_order(coo, &mut order, &Stop::new(&|| false)), Ok(()));
    assert!(order == want, "order, {shape:?}");
    if shape.0 > 1 << 24 {
        return;
    }
    let slots: Vec<u64> = (0..row.len() as u64).collect();
    let (mut indptr, mut indices) = (vec![I::cut(9); shape.0 + 1], vec![I::cut(9); row.len()]);
    let mut sorted = slots.clone();
    let done = sparsefmt::coo_to_csr(coo, &slots, &mut indptr, &mut indices, &mut sorted, &Stop::new(&|| false));
    assert_eq!(done, Ok(()));
    assert!(sorted.iter().map(|&at| at as i64).eq(want.iter().copied()), "slots, {shape:?}");
    assert!(indices.iter().eq(want.iter().map(|&at| &col[at as usize])), "indices, {shape:?}");
    let mut counted = vec![I::cut(9); shape.0 + 1];
    let rows: Vec<I> = want.iter().map(|&at| row[at as usize]).collect();
    assert_eq!(sparsefmt::compress_rows(&rows, &mut counted), Ok(()));
    assert!(indptr == counted, "indptr, {shape:?}");
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(60) })]

    #[test]
    fn sorts_as_a_stable_sort_does(
        n in prop_oneof![0..300usize, 30_000..90_000usize],
        shape in prop::sample::select(vec![
            (1, 1), (2, 100_000), (100_000, 2), (1, 40_000), (40_000, 1), (700, 900), (3000, 1 << 40),
            (1 << 20, 1 << 20), (1 << 31, 1 << 31), (1 << 40, 1 << 20), (1 << 62, 1 << 62),
        ]),
        crowded in any::<bool>(),
        mut seed in 1..u64::MAX,
    ) {
        par::set_threads(3);
        let mut next = |bound: usize| {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            // Crowded: most in one row, and many in one place.
            (seed % (if crowded && seed % 8 != 0 { 2.min(bound) } else { bound }) as u64) as i64
        };
        let row: Vec<i64> = (0..n).map(|_| next(shape.0)).collect();
        let col: Vec<i64> = (0..n).map(|_| next(shape.1)).collect();
        check(&row, &col, shape);
        if shape.0.max(shape.1) <= 1 << 31 {
            let short = |values: &[i64]| values.iter().map(|&value| value as i32).collect::<Vec<_>>();
            check(&short(&row), &short(&col), shape);
        }
    }
}

/// Csr of random slots: about `per_row` in each row, at ascending columns.
fn csr(shape: (usize, usize), per_row: usize) -> (Vec<i32>, Vec<i32>) {
    let (mut indptr, mut indices, mut seed) = (vec![0], Vec::new(), 7u64);
    let step = 2 * shape.1 / per_row;
    for _ in 0..shape.0 {
        let mut col = 0;
        loop {
            seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            col += 1 + (seed >> 33) as usize % step;
            if col >= shape.1 {
                break;
            }
            indices.push(col as i32);
        }
        indptr.push(indices.len() as i32);
    }
    (indptr, indices)
}

/// Transposes by sorting, and compares with one slot after the other; then with offsets that are wrong.
fn transposes<T: sparsefmt::Item + std::fmt::Debug>(shape: (usize, usize), per_row: usize, slot: fn(usize) -> T) {
    let (indptr, indices) = csr(shape, per_row);
    let slots: Vec<T> = (0..indices.len()).map(slot).collect();
    assert!(slots.len() > 1 << 18, "{} slots are not sorted", slots.len());
    let mut starts = vec![0; shape.1 + 1];
    indices.iter().for_each(|&col| starts[col as usize + 1] += 1);
    (0..shape.1).for_each(|col| starts[col + 1] += starts[col]);
    let (mut next, mut want, mut want_slots) = (starts.clone(), vec![-1; slots.len()], slots.clone());
    for row in 0..shape.0 {
        for at in indptr[row] as usize..indptr[row + 1] as usize {
            let to = &mut next[indices[at] as usize];
            (want[*to as usize], want_slots[*to as usize]) = (row as i32, slots[at]);
            *to += 1;
        }
    }
    let (mut got, mut got_slots) = (vec![-1; slots.len()], slots.clone());
    let csr = Csr::new(&indptr, &indices, shape).expect("fits");
    let done = sparsefmt::csr_transpose(csr, &slots, &starts, &mut got, &mut got_slots, &Stop::new(&|| false));
    assert_eq!(done, Ok(()));
    assert!(got == want && got_slots == want_slots, "{shape:?}");
    for (at, by) in [(shape.1 / 2, 1), (shape.1 / 2, -1), (shape.1 - 1, -1), (1, 1)] {
        let mut wrong = starts.clone();
        wrong[at] += by;
        let done = sparsefmt::csr_transpose(csr, &slots, &wrong, &mut got, &mut got_slots, &Stop::new(&|| false));
        assert!(done.is_err(), "{shape:?}, offset {at} wrong by {by}");
    }
}

#[test]
fn transposes_many_columns() {
    par::set_threads(3);
    for shape in [(3_000, 9_000), (3_000, 70_000), (200_000, 9_000), (3_000, 1_000_000)] {
        let per_row = 400_000 / shape.0;
        transposes::<u16>(shape, per_row, |at| at as u16);
        transposes::<u32>(shape, per_row, |at| at as u32);
        transposes::<u64>(shape, per_row, |at| at as u64);
    }
}

#[test]
fn a_transposition_stops_when_it_is_told_to() {
    for cols in [4_000, 400_000] {
        let (rows, slots) = (100, vec![0u32; 400_000]);
        let indptr: Vec<i32> = (0..=rows).map(|row| row * 4_000).collect();
        let indices: Vec<i32> = (0..rows).flat_map(|_| (0..4_000).map(|at| at * (cols / 4_000))).collect();
        let mut ends: Vec<i32> = (0..=cols).map(|col| (col - 1).div_euclid(cols / 4_000) * rows + rows).collect();
        ends[0] = 0;
        let csr = Csr::new(&indptr, &indices, (rows as usize, cols as usize)).expect("fits");
        let (mut out, mut moved) = (indices.clone(), slots.clone());
        let done = sparsefmt::csr_transpose(csr, &slots, &ends, &mut out, &mut moved, &Stop::new(&|| false));
        assert_eq!(done, Ok(()));
        let stop = Stop::new(&|| true);
        std::thread::sleep(std::time::Duration::from_millis(60)); // so that it is asked at once
        let done = sparsefmt::csr_transpose(csr, &slots, &ends, &mut out, &mut moved, &stop);
        assert_eq!(done, Err(Error::Stopped), "{cols} columns");
    }
}
