//! What can be wrong with a line; see `sparsefmt.kernels.matrix_market`.

#![allow(missing_docs, reason = "the definitions in Python say what they mean")]
pub const INDEX: i64 = 1;
pub const ROW: i64 = 2;
pub const COL: i64 = 3;
pub const NUMBER: i64 = 4;
pub const FEW: i64 = 5;
pub const EXTRA: i64 = 6;
pub const MORE: i64 = 7;
pub const FEWER: i64 = 8;
pub const FRACTION: i64 = 9;
pub const WIDE: i64 = 10;
pub const TRIANGLE: i64 = 11;
pub const DIAGONAL: i64 = 12;
pub const IMAGINARY: i64 = 13;

/// 0 or a code; the line, counted from 1; the byte where it begins, or the number of entries found; the sides of the
/// diagonal that have entries: 1 below, 2 above.
pub type Outcome = (i64, u64, u64, usize);
