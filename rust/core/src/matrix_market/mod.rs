//! The body of Matrix Market files, read strictly: every line is an entry, a comment or blank; each number has one
//! reading or is a fault with its line.
//!
//! The text is cut into pieces at the ends of lines. A first pass counts the entries of each piece, so that in a second
//! one every piece knows where its entries go.

pub mod fault;
mod field;
mod lines;
mod number;
mod plain;
mod product;
mod text;

pub use fault::Outcome;
pub use text::matrix_market_text;

use crate::Index;
use crate::error::{Error, Result};
use crate::par;
use field::{field, symmetry};
use lines::{Entries, Piece, Told, Values, each};
use number::is_blank;

/// Bytes of a piece, about.
const PIECE: usize = 1 << 20;

/// Cuts the text at the ends of lines and counts; also returns the lines and entries of all of it.
fn pieces(text: &[u8], first_line: u64) -> (Vec<Piece<'_>>, u64, usize) {
    let mut cuts = vec![0];
    while let Some(&last) = cuts.last()
        && last < text.len()
    {
        let from = (last + PIECE).min(text.len());
        cuts.push(text[from..].iter().position(|&b| b == b'\n').map_or(text.len(), |at| from + at + 1));
    }
    let parts: Vec<(usize, &[u8])> = cuts.windows(2).map(|w| (w[0], &text[w[0]..w[1]])).collect();
    let counts = par::map(parts.clone(), |(_, part)| count(part));
    let (mut lines, mut entries) = (first_line, 0);
    let mut found = Vec::with_capacity(parts.len());
    for ((start, text), (more_lines, more_entries)) in parts.into_iter().zip(counts) {
        found.push(Piece { text, start, lines, entries });
        lines += more_lines as u64;
        entries += more_entries;
    }
    (found, lines, entries)
}

/// Lines and entries of whole lines.
fn count(part: &[u8]) -> (usize, usize) {
    let (mut lines, mut odd) = (0usize, usize::from(part.first().is_some_and(|&b| b <= b'%')));
    for (some, after) in part.chunks(128).zip(part.get(1..).unwrap_or(&[]).chunks(128)) {
        let (mut ends, mut strange) = (0u8, 0u8);
        for (a, b) in some.iter().zip(after) {
            ends += u8::from(*a == b'\n');
            strange |= u8::from(*a == b'\n') & u8::from(*b <= b'%');
        }
        lines += usize::from(ends);
        odd += usize::from(strange);
    }
    lines += usize::from(!part.is_empty()); // the last line ends with the piece
    if odd == 0 {
        return (lines, lines);
    }
    let entries = Lines::new(part).filter(|(_, line)| is_entry(line)).count();
    (lines, entries)
}

/// Whether a line is neither blank nor a comment.
fn is_entry(line: &[u8]) -> bool {
    line.iter().find(|&&b| !is_blank(b)).is_some_and(|&b| b != b'%')
}

/// Lines with the place where they begin.
struct Lines<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a [u8]) -> Self {
        Self { text, at: 0 }
    }
}

impl<'a> Iterator for Lines<'a> {
    type Item = (usize, &'a [u8]);

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        let rest = self.text.get(self.at..).filter(|rest| !rest.is_empty())?;
        let end = rest.iter().position(|&b| b == b'\n');
        let (start, line) = (self.at, &rest[..end.unwrap_or(rest.len())]);
        self.at += line.len() + 1;
        Some((start, line))
    }
}

/// The first fault in the order of the file; `sides` were seen before.
fn outcome(told: Vec<Told>, sides: usize, lines: u64, entries: usize, want: usize) -> Outcome {
    let seen = |side: usize| (sides & side != 0).then_some((0, 0));
    let (mut below, mut above) = (seen(1), seen(2));
    for piece in told {
        below = below.or(piece.below);
        above = above.or(piece.above);
        if let (Some(a), Some(b)) = (below, above) {
            let (line, at) = std::cmp::max(a, b);
            return (fault::TRIANGLE, line, at, 3);
        }
        if let Some(fault) = piece.fault {
            return fault;
        }
    }
    let code = if entries < want { fault::FEWER } else { 0 };
    let sides = usize::from(below.is_some()) | usize::from(above.is_some()) << 1;
    (code, lines - 1, entries as u64, sides)
}

/// Reads the entries of a `coordinate` file: `row col [value]`, counted from 1, into `row` and `col`, counted from 0,
/// and `values`, two of them for a complex number. `kind` is the field, the symmetry, and the sides of the diagonal
/// that earlier parts of the text had entries on.
///
/// # Errors
/// [`Error::Length`] where the arrays do not fit together; faults of the text are in the outcome.
pub fn matrix_market_entries<I: Index>(
    text: &[u8],
    first_line: u64,
    shape: (usize, usize),
    kind: (usize, usize, usize),
    row: &mut [I],
    col: &mut [I],
    values: &mut [u64],
) -> Result<Outcome> {
    let (field, symmetry) = (field(kind.0)?, symmetry(kind.1)?);
    let (want, width) = (row.len(), field.width());
    for (name, got, want) in [("col", col.len(), want), ("values", values.len(), want.saturating_mul(width))] {
        if got != want {
            return Err(Error::Length { name, got, want });
        }
    }
    let (parts, lines, entries) = pieces(text, first_line);
    let counts: Vec<usize> = lengths(&parts, entries);
    let rows = par::split_mut(row, counts.iter().copied());
    let cols = par::split_mut(col, counts.iter().copied());
    let items = par::split_mut(values, counts.iter().map(|n| n * width));
    let tasks: Vec<_> = parts.into_iter().zip(rows).zip(cols.into_iter().zip(items)).collect();
    let told = par::map(tasks, |((piece, row), (col, values))| {
        each(&piece, Entries { start: piece.start, kind: (field, symmetry), shape, row, col, values })
    });
    Ok(outcome(told, kind.2, lines, entries, want))
}

/// Entries of every piece.
fn lengths(parts: &[Piece<'_>], entries: usize) -> Vec<usize> {
    let ends = parts.iter().skip(1).map(|p| p.entries).chain([entries]);
    parts.iter().zip(ends).map(|(p, end)| end - p.entries).collect()
}

/// Reads the values of an `array` file, one a line, two of `values` for a complex number.
///
/// # Errors
/// [`Error::Parameter`] for a field without values; faults of the text are in the outcome.
pub fn matrix_market_values(
    text: &[u8],
    first_line: u64,
    kind: (usize, usize, usize),
    values: &mut [u64],
) -> Result<Outcome> {
    let (field, symmetry) = (field(kind.0)?, symmetry(kind.1)?);
    let width = field.width();
    if width == 0 || !values.len().is_multiple_of(width) {
        return Err(Error::Parameter { name: "field", got: kind.0 });
    }
    let want = values.len() / width;
    let (parts, lines, entries) = pieces(text, first_line);
    let items = par::split_mut(values, lengths(&parts, entries).into_iter().map(|n| n * width));
    let told = par::map(parts.into_iter().zip(items).collect(), |(piece, values)| {
        each(&piece, Values { kind: (field, symmetry), values })
    });
    Ok(outcome(told, kind.2, lines, entries, want))
}
