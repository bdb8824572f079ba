//! Entries as lines of a Matrix Market file.

use super::field::{Field, field};
use crate::Index;
use crate::error::{Error, Result};
use std::io::Write;

/// The most bytes that an index, counted from 1, and what separates it take.
const INDEX: usize = 21;
/// The same for a number: `-2.2250738585072014e-308`.
const NUMBER: usize = 25;

/// Writes `row col [value]` lines, counted from 1, or only values where `row` and `col` are empty; returns the bytes
/// used. A real number is the shortest decimal that reads back as the same float64.
///
/// # Errors
/// [`Error::Length`] where the arrays do not fit together or `out` has no room.
pub fn matrix_market_text<I: Index>(
    row: &[I],
    col: &[I],
    values: &[u64],
    kind: usize,
    out: &mut [u8],
) -> Result<usize> {
    let field = field(kind)?;
    let width = field.width();
    let count = values.len().checked_div(width).unwrap_or(row.len());
    let placed = !row.is_empty();
    let room = count * (2 * INDEX * usize::from(placed) + width * NUMBER);
    for (name, got, want) in [
        ("row", row.len(), if placed { count } else { 0 }),
        ("col", col.len(), row.len()),
        ("values", values.len(), count * width),
        ("out", out.len(), out.len().max(room)),
    ] {
        if got != want {
            return Err(Error::Length { name, got, want });
        }
    }
    let size = out.len();
    let mut rest = out;
    let full = |_: std::io::Error| Error::Length { name: "out", got: size, want: room };
    for entry in 0..count {
        if placed {
            let (r, c) = (i128::from(row[entry].to_i64()) + 1, i128::from(col[entry].to_i64()) + 1);
            write!(rest, "{r} {c}{}", if width > 0 { " " } else { "" }).map_err(full)?;
        }
        match field {
            Field::Pattern => Ok(()),
            Field::Signed => write!(rest, "{}", values[entry] as i64),
            Field::Unsigned => write!(rest, "{}", values[entry]),
            Field::Real => real(&mut rest, values[entry]),
            Field::Complex => real(&mut rest, values[2 * entry])
                .and_then(|()| write!(rest, " "))
                .and_then(|()| real(&mut rest, values[2 * entry + 1])),
        }
        .map_err(full)?;
        writeln!(rest).map_err(full)?;
    }
    Ok(size - rest.len())
}

/// A real number; NaN keeps its sign.
fn real(out: &mut &mut [u8], bits: u64) -> std::io::Result<()> {
    let value = f64::from_bits(bits);
    match (value.is_nan(), value.is_sign_negative()) {
        (true, false) => write!(out, "nan"),
        (true, true) => write!(out, "-nan"),
        (false, _) => write!(out, "{value:?}"),
    }
}
