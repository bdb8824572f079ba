//! CSR, COO, bitmasks and blocks of any offsets and indices: a result or an error; what the check calls sound decodes.
#![no_main]

use libfuzzer_sys::fuzz_target;
use parts::{Parts, narrow};
use sparsefmt::bsr::{self, Block, Blocks};
use sparsefmt::{BitRows, Coo, Csr, Index, Matrix, MatrixMut, Stop};

mod parts;

/// Elements of a matrix that is made; larger ones are only looked at.
const MOST: usize = 1 << 14;

fn any<I: Index>(offsets: &[I], more: &[I], indices: &[I], rest: &mut Parts<'_>) {
    let (rows, cols) = (if rest.byte() % 8 > 0 { offsets.len().saturating_sub(1) } else { rest.length() }, rest.length());
    let (items, stop) = (vec![7u16; indices.len()], Stop::new(&|| false));
    let size = rows.checked_mul(cols).filter(|&size| size <= MOST);
    let mut out = vec![0u16; size.unwrap_or(0)];
    let sound = matches!(sparsefmt::csr_check(offsets, indices, cols), Ok(None));
    if let (Ok(csr), Some(_)) = (Csr::new(offsets, indices, (rows, cols)), size) {
        let done = MatrixMut::new("out", &mut out, rows, cols).and_then(|out| sparsefmt::csr_to_dense(csr, &items, out));
        assert!(done.is_ok() || !sound || i64::try_from(cols).is_err(), "{done:?} of what the check calls sound");
        let (mut places, mut slots) = (indices.to_vec(), items.clone());
        drop(sparsefmt::csr_transpose(csr, &items, more, &mut places, &mut slots, &stop));
        let mut bits = vec![0u8; rows * cols.div_ceil(8)];
        drop(MatrixMut::new("bits", &mut bits, rows, cols.div_ceil(8)).and_then(|bits| sparsefmt::csr_to_bits(csr, bits)));
    }
    let mut row = indices.to_vec();
    row.reverse();
    if let Ok(coo) = Coo::new(&row, indices, (rows, cols)) {
        let sound = matches!(sparsefmt::coo_check(coo), Ok(None));
        if size.is_some() {
            let done =
                MatrixMut::new("out", &mut out, rows, cols).and_then(|out| sparsefmt::coo_to_dense(coo, &items, 0, out));
            assert!(done.is_ok() || !sound, "{done:?} of what the check calls sound");
        }
        drop(sparsefmt::coo_order(coo, &mut vec![0; row.len()], &stop));
    }
    let packed = rest.bytes();
    let stride = if rest.byte() % 4 > 0 { cols.div_ceil(8) } else { rest.length() };
    if let Ok(bits) = Matrix::new("bits", &packed, rows, stride) {
        let sound = matches!(sparsefmt::bits_check(bits, offsets, cols), Ok(None));
        if let Ok(view) = BitRows::new(bits, offsets, cols) {
            drop(sparsefmt::bits_to_indices(view, &mut row));
            if size.is_some() {
                let done = MatrixMut::new("out", &mut out, rows, cols)
                    .and_then(|out| sparsefmt::bits_to_dense(view, &items, out));
                let fits = offsets.last().is_some_and(|last| last.to_i64() == items.len() as i64);
                assert!(done.is_ok() || !sound || !fits, "{done:?} of what the check calls sound");
            }
        }
    }
    if let Ok(block) = Block::new(rest.length(), rest.length()) {
        if let (Ok(blocks), Some(_)) = (Blocks::new(offsets, indices, block, (rows, cols)), size) {
            let area = block.r.saturating_mul(block.c).saturating_mul(indices.len());
            if area <= MOST {
                let items = vec![7u16; area];
                drop(MatrixMut::new("out", &mut out, rows, cols).and_then(|out| bsr::to_dense(blocks, &items, out)));
                drop(bsr::row_counts(blocks, &items, &mut vec![0i64; rows]));
            }
        }
    }
    let mut counts = offsets.to_vec();
    drop(sparsefmt::count_indices(indices, &mut counts));
    drop(sparsefmt::compress_rows(indices, &mut counts));
    drop(sparsefmt::expand_indptr(offsets, &mut row));
}

fuzz_target!(|input: &[u8]| {
    let mut rest = Parts(input);
    let (offsets, more, indices) = (rest.any_offsets(), rest.any_offsets(), rest.numbers());
    if rest.byte() % 2 == 0 {
        any(&offsets, &more, &indices, &mut rest);
    } else {
        any(&narrow(&offsets), &narrow(&more), &narrow(&indices), &mut rest);
    }
});
