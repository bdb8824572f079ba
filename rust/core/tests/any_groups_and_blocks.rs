//! Whatever the arrays hold, the functions for N:M and blocks give Ok or an error: no panic, no bad access.

use proptest::collection::vec;
use proptest::prelude::*;
use sparsefmt::bsr::{self, Block, Blocks};
use sparsefmt::nm::{self, NmRows, Order, Pattern, Ranked};
use sparsefmt::{Csr, Error, Index, Matrix, MatrixMut, nm_radix};

fn pattern() -> impl Strategy<Value = Pattern> {
    (1usize..=32).prop_flat_map(|m| (1..=m).prop_map(move |n| Pattern::new(n, m).expect("1 <= n <= m <= 32")))
}

/// Offsets that mostly make sense, or are anything at all.
fn offsets(most: i32) -> impl Strategy<Value = Vec<i32>> {
    let sorted = vec(0..=most, 0..6).prop_map(|mut offsets| {
        offsets.sort_unstable();
        offsets
    });
    let special = prop_oneof![0..=most, Just(-1), Just(i32::MAX), Just(i32::MIN), any::<i32>()];
    prop_oneof![sorted, vec(special, 0..6)]
}

fn columns() -> impl Strategy<Value = Vec<i32>> {
    vec(prop_oneof![4 => 0..40i32, 1 => any::<i32>()], 0..20)
}

fn items() -> impl Strategy<Value = Vec<u16>> {
    vec(prop_oneof![Just(0u16), Just(0x8000), any::<u16>()], 0..200)
}

fn wide(values: &[i32]) -> Vec<i64> {
    values.iter().map(|&v| (i64::from(v) << 31) | i64::from(v)).collect()
}

/// The items that fit into whole rows, as a matrix.
fn matrix<T>(items: &[T], rows: usize) -> Matrix<'_, T> {
    let cols = items.len().checked_div(rows).unwrap_or(0);
    Matrix::new("w", &items[..rows * cols], rows, cols).expect("the length fits")
}

fn matrix_mut<T>(items: &mut [T], rows: usize) -> MatrixMut<'_, T> {
    let cols = items.len().checked_div(rows).unwrap_or(0);
    MatrixMut::new("out", &mut items[..rows * cols], rows, cols).expect("the length fits")
}

fn order(name: &str) -> Order<u16> {
    u16::order(name).expect("a dtype of two bytes")
}

fn nm_from_csr<I: Index>((csr, slots): (Csr<'_, I>, &[u16]), pattern: Pattern) -> Result<(), Error> {
    let rows = csr.rows();
    let (mut codes, mut out) = (vec![1u8; rows * 40], vec![1u16; rows * 80]);
    let (codes, out) = (matrix_mut(&mut codes, rows), matrix_mut(&mut out, rows));
    nm::from_csr(csr, slots, pattern, codes, out).map(drop)
}

fn bsr_from_csr<I: Index>(
    (csr, slots): (Csr<'_, I>, &[u16]),
    block: Block,
    out_indptr: &[i32],
) -> [Result<(), Error>; 2] {
    let mut counts = vec![1i32; csr.rows().div_ceil(block.r)];
    let (mut indices, mut blocks) = (vec![1i32; 30], vec![1u16; 900]);
    let counted = bsr::csr_block_counts(csr, slots, block, &mut counts);
    [counted, bsr::from_csr(csr, slots, block, out_indptr, &mut indices, &mut blocks)]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    #[test]
    fn any_dense_gives_ok_or_error(
        pattern in pattern(), w in items(), rows in 0usize..5, out_rows in 0usize..5,
        codes in 0usize..300, slots in 0usize..300, zero in any::<u64>(),
    ) {
        let (w, order) = (matrix(&w, rows), order("float16"));
        let (mut codes, mut slots) = (vec![1u8; codes], vec![1u16; slots]);
        for rows in [rows, out_rows] {
            let _ = nm::encode(w, zero, pattern, matrix_mut(&mut codes, rows), matrix_mut(&mut slots, rows));
            let (codes, slots) = (matrix_mut(&mut codes, rows), matrix_mut(&mut slots, rows));
            let _ = nm::prune_encode(w, zero, order, pattern, codes, slots);
        }
        let _ = nm::prune(w, order, pattern, matrix_mut(&mut slots, out_rows));
        let keys: Vec<u64> = w.items().iter().map(|&v| u64::from(v)).collect();
        let _ = nm::select(matrix(&keys, rows), pattern, matrix_mut(&mut codes, out_rows));
    }

    #[test]
    fn any_codes_and_slots_give_ok_or_error(
        pattern in pattern(), codes in vec(any::<u8>(), 0..200), slots in items(), rows in 0usize..5,
        cols in 0usize..200, indptr in offsets(50), room in 0usize..60,
    ) {
        let (codes, slots) = (matrix(&codes, rows), matrix(&slots, rows));
        for cols in [usize::MAX, 1 << 40].into_iter().filter(|_| rows > 0 && slots.cols() > 0) {
            prop_assert!(NmRows::new(codes, pattern, (rows, cols)).and_then(|nm| nm::check(nm, slots)).is_err());
        }
        let Ok(nm) = NmRows::new(codes, pattern, (rows, cols)) else { return Ok(()) };
        let _ = nm::check(nm, slots);
        let mut out = vec![1; rows * cols];
        let decoded = nm::decode(nm, slots, matrix_mut(&mut out, rows));
        let mut counts = vec![1i32; rows];
        let counted = nm::row_counts(nm, slots, &mut counts);
        prop_assert!(rows * cols == 0 || decoded == counted);
        let (mut indices, mut out) = (vec![1i32; room], vec![1u16; room]);
        let _ = nm::to_csr(nm, slots, &indptr, &mut indices, &mut out);
        if counted.is_ok() {
            let mut indptr = vec![0];
            counts.iter().for_each(|count| indptr.push(indptr[indptr.len() - 1] + count));
            let stored = indptr[rows] as usize;
            let (mut indices, mut out) = (vec![1i32; stored], vec![1u16; stored]);
            prop_assert_eq!(nm::to_csr(nm, slots, &indptr, &mut indices, &mut out), Ok(()));
            prop_assert!(out.iter().all(|&item| item != 0) && indices.iter().all(|&c| (c as usize) < cols));
        }
    }

    #[test]
    fn any_words_and_slots_give_ok_or_error(
        pattern in prop_oneof![pattern(), Just(Pattern::new(2, 4).expect("fits"))], w in items(), rows in 0usize..5,
        bytes in vec(any::<u8>(), 0..300), slots in items(), cols in 0usize..200,
        per in prop_oneof![Just(17), 0usize..20], out_rows in 0usize..5,
    ) {
        let (mut words, mut packed) = (vec![1u8; bytes.len()], vec![1u16; slots.len()]);
        for rows in [rows, out_rows] {
            let (words, packed) = (matrix_mut(&mut words, rows), matrix_mut(&mut packed, rows));
            let _ = nm_radix::encode(matrix(&w, rows), 0x7FFF, pattern, per, words, packed);
        }
        let mut out = vec![1; rows.max(out_rows) * cols];
        for out_rows in [rows, out_rows] {
            let out = MatrixMut::new("out", &mut out[..out_rows * cols], out_rows, cols).expect("fits");
            let decoded = nm_radix::decode(matrix(&bytes, rows), pattern, per, matrix(&slots, rows), out);
            prop_assert!(!matches!(decoded, Err(Error::Code { .. })), "words name positions, whatever they hold");
        }
    }

    #[test]
    fn any_csr_gives_ok_or_error(
        pattern in pattern(), indptr in offsets(25), indices in columns(), slots in items(), cols in 0usize..60,
        r in 1usize..6, c in 1usize..6, out_indptr in offsets(25),
    ) {
        let huge = Block::new(1 << 40, 1 << 20).expect("can be counted");
        for block in [Block::new(r, c).expect("not empty"), huge] {
            for cols in [cols, usize::MAX >> 1] {
                if let Ok(csr) = Csr::of_cols(&indptr, &indices, cols) {
                    let _ = nm_from_csr((csr, &slots), pattern);
                    let _ = bsr_from_csr((csr, &slots), block, &out_indptr);
                }
                let (indptr, indices) = (wide(&indptr), wide(&indices));
                if let Ok(csr) = Csr::of_cols(&indptr, &indices, cols) {
                    let _ = nm_from_csr((csr, &slots), pattern);
                    let _ = bsr_from_csr((csr, &slots), block, &out_indptr);
                }
            }
        }
    }

    #[test]
    fn any_blocks_give_ok_or_error(
        w in items(), rows in 0usize..9, r in 1usize..6, c in 1usize..6, indptr in offsets(20), indices in columns(),
        blocks in items(), cols in 0usize..60, mut out_indptr in offsets(60), zero in any::<u64>(),
    ) {
        let (w, block) = (matrix(&w, rows), Block::new(r, c).expect("not empty"));
        prop_assert_eq!(bsr::block_counts(w, zero, block, &mut vec![1i32; rows.div_ceil(r)]), Ok(()));
        let (mut out_indices, mut out) = (vec![1i32; 50], vec![1u16; 300]);
        let _ = bsr::from_dense(w, zero, block, &indptr, &mut out_indices, &mut out);
        let rows = indptr.len().saturating_sub(1) * r;
        for rows in [rows, rows.saturating_sub(1)] {
            let Ok(bsr) = Blocks::new(&indptr, &indices, block, (rows, cols)) else { continue };
            let _ = bsr::to_dense(bsr, &blocks, matrix_mut(&mut vec![1; rows * cols], rows));
            let _ = bsr::row_counts(bsr, &blocks, &mut vec![1i32; rows]);
            out_indptr.resize(rows + 1, out_indptr.last().copied().unwrap_or(0));
            let _ = bsr::to_csr(bsr, &blocks, &out_indptr, &mut out_indices, &mut out);
        }
    }
}

/// Encodes, prunes and encodes in one pass, checks and decodes 2 rows.
fn round_trip(pattern: Pattern, w: &[u16], cols: usize) {
    let order = order("uint16");
    let mut pruned = vec![1; w.len()];
    nm::prune(matrix(w, 2), order, pattern, matrix_mut(&mut pruned, 2)).expect("shapes fit");
    let arrays = |fill: u8| (vec![fill; cols * 8], vec![u16::from(fill); 2 * (cols + 32)]);
    let ((mut codes, mut slots), (mut same_codes, mut same_slots)) = (arrays(1), arrays(2));
    let outs = (matrix_mut(&mut codes, 2), matrix_mut(&mut slots, 2));
    assert_eq!(nm::encode(matrix(&pruned, 2), u64::MAX, pattern, outs.0, outs.1), Ok(None));
    let outs = (matrix_mut(&mut same_codes, 2), matrix_mut(&mut same_slots, 2));
    nm::prune_encode(matrix(w, 2), u64::MAX, order, pattern, outs.0, outs.1).expect("shapes fit");
    assert!(codes == same_codes && slots == same_slots, "{pattern:?}, {cols} columns");
    let packed = NmRows::new(matrix(&codes, 2), pattern, (2, cols)).expect("rows are long enough");
    assert_eq!(nm::check(packed, matrix(&slots, 2)), Ok(None));
    let mut out = vec![3; w.len()];
    nm::decode(packed, matrix(&slots, 2), matrix_mut(&mut out, 2)).expect("codes are good");
    assert!(out == pruned, "{pattern:?}, {cols} columns");
}

#[test]
fn every_pattern_round_trips_at_many_column_counts() {
    for (n, m) in (1..=32).flat_map(|m| (1..=m).map(move |n| (n, m))) {
        for cols in [0, 1, m - 1, m, m + 1, 7 * m + m / 2, 8 * m, 2048, 2048 / m * m + 1, 4100] {
            let mut state = (n * 37 + m * 101 + cols) as u32 | 1;
            let mut next = || {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                state
            };
            let w: Vec<u16> = (0..2 * cols).map(|_| if next() % 3 == 0 { 0 } else { next() as u16 }).collect();
            round_trip(Pattern::new(n, m).expect("1 <= n <= m <= 32"), &w, cols);
        }
    }
}

#[test]
fn groups_without_bits_take_no_time() {
    let pattern = Pattern::new(4, 4).expect("fits");
    let words = Matrix::new("words", &[0u8, 0], 2, 1).expect("fits");
    assert_eq!(nm_radix::check(words, pattern, 1 << 62, 5), Ok(None));
    // A power of one fits into a word however many groups have it: they were counted one by one.
    let mut back: [u8; 0] = [];
    assert_eq!(nm_radix::unpack(words, pattern, 3, u32::MAX as usize, matrix_mut(&mut back, 2)), Ok(()));
}

/// Dense to words at once equals codes first, words after; so does the way back.
#[test]
fn rows_of_words_equal_one_step_after_the_other() {
    for (n, m, per, bits) in [(2, 4, 17, 44), (2, 4, 5, 13), (1, 4, 1, 2), (3, 4, 3, 6), (4, 8, 7, 43), (4, 16, 6, 65)]
    {
        let pattern = Pattern::new(n, m).expect("fits");
        for groups in (1..40).chain([135, 136, 137, 153, 272, 1000]) {
            let w: Vec<u16> = (0..3 * groups * m).map(|i| if (i + i / m) % m < n { i as u16 | 1 } else { 0 }).collect();
            let code_bytes = (groups * pattern.bits() as usize).div_ceil(8);
            // More than they need, so that there is a byte behind the last word.
            let word_bytes = (groups.div_ceil(per) * bits).div_ceil(8) + 1;
            let (mut codes, mut slots) = (vec![7u8; 3 * code_bytes], vec![7u16; 3 * groups * n]);
            let (mut words, mut want) = (vec![7u8; 3 * word_bytes], vec![9u8; 3 * word_bytes]);
            let encoded =
                nm::encode(matrix(&w, 3), 0x7FFF, pattern, matrix_mut(&mut codes, 3), matrix_mut(&mut slots, 3));
            assert_eq!(encoded, Ok(None));
            assert_eq!(nm_radix::pack(matrix(&codes, 3), pattern, groups, per, matrix_mut(&mut want, 3)), Ok(()));
            let (mut kept, mut out) = (vec![9u16; slots.len()], vec![9u16; w.len()]);
            let (into, room) = (matrix_mut(&mut words, 3), matrix_mut(&mut kept, 3));
            assert_eq!(nm_radix::encode(matrix(&w, 3), 0x7FFF, pattern, per, into, room), Ok(None));
            assert_eq!((&words, &kept), (&want, &slots), "{n}:{m}, {groups} groups by {per}");
            let mut back = vec![9u8; codes.len()];
            assert_eq!(nm_radix::unpack(matrix(&words, 3), pattern, groups, per, matrix_mut(&mut back, 3)), Ok(()));
            assert_eq!(back, codes, "{n}:{m}, {groups} groups by {per}");
            let decoded = nm_radix::decode(matrix(&words, 3), pattern, per, matrix(&slots, 3), matrix_mut(&mut out, 3));
            assert_eq!((decoded, out), (Ok(()), w), "{n}:{m}, {groups} groups by {per}");
        }
    }
}

#[test]
fn as_many_rows_as_can_be_counted_are_an_error_without_offsets() {
    let one = Block::new(1, 1).expect("a block");
    for rows in [usize::MAX, usize::MAX - 1] {
        assert!(Blocks::new(&[0i32], &[], one, (rows, 1)).is_err());
    }
}
