//! Coordinates in any order, for shapes that use every way to cut keys into buckets.

use proptest::prelude::*;
use sparsefmt::{Index, par};

/// Compares with a stable sort of the positions.
fn check<I: Index + std::fmt::Debug>(row: &[I], col: &[I], shape: (usize, usize)) {
    let mut want: Vec<i64> = (0..row.len() as i64).collect();
    want.sort_by_key(|&at| (row[at as usize], col[at as usize]));
    let mut order = vec![-1; row.len()];
    assert_eq!(sparsefmt::coo_order(row, col, shape, &mut order), Ok(()));
    assert!(order == want, "order, {shape:?}");
    if shape.0 > 1 << 24 {
        return;
    }
    let slots: Vec<u64> = (0..row.len() as u64).collect();
    let (mut indptr, mut indices) = (vec![I::cut(9); shape.0 + 1], vec![I::cut(9); row.len()]);
    let mut sorted = slots.clone();
    let done = sparsefmt::coo_to_csr(row, col, &slots, shape, &mut indptr, &mut indices, &mut sorted);
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
