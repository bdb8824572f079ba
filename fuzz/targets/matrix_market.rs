//! The body of Matrix Market files: a fault with its line, or numbers that are written and read as the same ones.
#![no_main]

use libfuzzer_sys::fuzz_target;
use sparsefmt::matrix_market::{matrix_market_entries, matrix_market_text, matrix_market_values};

fuzz_target!(|input: &[u8]| {
    let Some((&[field, symmetry, shape, count], text)) = input.split_first_chunk::<4>() else { return };
    let (field, symmetry, count) = (usize::from(field % 5), usize::from(symmetry % 5), usize::from(count % 16));
    let (rows, cols) = (usize::from(shape % 16), usize::from(shape / 16));
    let width = [0, 1, 1, 1, 2][field];
    for width in [width, 0, 1, 2] {
        let (mut row, mut col, mut values) = (vec![0i64; count], vec![0i64; count], vec![0u64; count * width]);
        let kind = (field, symmetry, 0);
        let read = matrix_market_entries(text, 1, (rows, cols), kind, &mut row, &mut col, &mut values);
        if let Ok((0, ..)) = read {
            assert!(row.iter().all(|&r| (r as usize) < rows) && col.iter().all(|&c| (c as usize) < cols));
            again(field, &row, &col, &values, (rows, cols));
        }
        drop(matrix_market_values(text, 1, kind, &mut values));
    }
});

/// What was read, written and read again.
fn again(field: usize, row: &[i64], col: &[i64], values: &[u64], shape: (usize, usize)) {
    let mut text = vec![0u8; 100 * row.len() + 100];
    let room = text.len();
    for size in [room, row.len() * (42 + values.len() / row.len().max(1) * 25)] {
        text.resize(size, 0);
        let Ok(used) = matrix_market_text(row, col, values, field, &mut text) else { continue };
        let (mut r, mut c, mut v) = (vec![0; row.len()], vec![0; row.len()], vec![0; values.len()]);
        let read = matrix_market_entries(&text[..used], 1, shape, (field, 0, 0), &mut r, &mut c, &mut v);
        assert!(matches!(read, Ok((0, ..))), "{read:?}: {:?}", String::from_utf8_lossy(&text[..used]));
        assert!(r == row && c == col && v == values, "other numbers come back");
        return;
    }
}
