//! The body of Matrix Market files, read strictly: every line is an entry, a comment or blank; each number has one
//! reading or is a fault with its line.
//!
//! The text is cut into pieces at the ends of lines. A first pass counts the entries of each piece, so that in a second
//! one every piece knows where its entries go.

pub mod fault;
mod field;
mod number;
mod text;

pub use text::matrix_market_text;

use crate::Index;
use crate::error::{Error, Result};
use crate::par;
use field::{Field, field};
use number::{Line, is_blank};

/// 0 or a code of [`fault`]; the line, counted from 1; the byte where it begins, or the number of entries found; the
/// sides of the diagonal that have entries: 1 below, 2 above.
pub type Outcome = (i64, u64, u64, usize);

/// Which half of the matrix is listed, and what follows for the other one.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Symmetry {
    General,
    Symmetric,
    Skew,
    Hermitian,
}

fn symmetry(code: usize) -> Result<Symmetry> {
    const ALL: [Symmetry; 4] = [Symmetry::General, Symmetry::Symmetric, Symmetry::Skew, Symmetry::Hermitian];
    ALL.get(code).copied().ok_or(Error::Parameter { name: "symmetry", got: code })
}

impl Field {
    /// Items of 8 bytes per value.
    fn width(self) -> usize {
        match self {
            Self::Pattern => 0,
            Self::Complex => 2,
            _ => 1,
        }
    }

    /// Reads a value into `out`.
    #[inline]
    fn read(self, line: &mut Line<'_>, symmetry: Symmetry, out: &mut [u64]) -> std::result::Result<(), i64> {
        let wide = |fits: bool| if fits { Ok(()) } else { Err(fault::WIDE) };
        match self {
            Self::Pattern => {}
            Self::Signed => {
                let value = line.whole()?;
                wide(i64::try_from(value).is_ok() && !(symmetry == Symmetry::Skew && value == i128::from(i64::MIN)))?;
                out[0] = value as u64;
            }
            Self::Unsigned => {
                let value = line.whole()?;
                wide(u64::try_from(value).is_ok())?;
                out[0] = value as u64;
            }
            Self::Real => out[0] = line.real()?.to_bits(),
            Self::Complex => {
                out[0] = line.real()?.to_bits();
                out[1] = line.real()?.to_bits();
            }
        }
        Ok(())
    }
}

/// A part of the text: whole lines.
struct Piece<'a> {
    text: &'a [u8],
    /// Bytes, lines and entries before it.
    start: usize,
    lines: u64,
    entries: usize,
}

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

/// What a piece gives: the first lines with an entry below and above the diagonal, and its first fault.
#[derive(Default)]
struct Told {
    below: Option<(u64, u64)>,
    above: Option<(u64, u64)>,
    fault: Option<Outcome>,
}

/// Reads every entry of a piece by `read`, which is told the entry's number in the piece.
fn each(
    piece: &Piece<'_>,
    room: usize,
    told: &mut Told,
    mut read: impl FnMut(usize, &mut Line<'_>, &mut Told, (u64, u64)) -> std::result::Result<(), i64>,
) {
    let (mut entry, mut lines) = (0, piece.lines);
    for (at, text) in Lines::new(piece.text) {
        let place = (lines, (piece.start + at) as u64);
        lines += 1;
        let mut line = Line(text);
        line.skip();
        if line.0.first().is_none_or(|&b| b == b'%') {
            continue;
        }
        let mut done = if entry < room { read(entry, &mut line, told, place) } else { Err(fault::MORE) };
        line.skip();
        if done.is_ok() && !line.0.is_empty() {
            done = Err(fault::EXTRA);
        }
        if let Err(code) = done {
            told.fault = Some((code, place.0, place.1, 0));
            return;
        }
        entry += 1;
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
        let mut told = Told::default();
        each(&piece, row.len(), &mut told, |entry, line, told, place| {
            let r = line.index()?;
            let c = line.index()?;
            if r == 0 || r > shape.0 as u64 {
                return Err(fault::ROW);
            }
            if c == 0 || c > shape.1 as u64 {
                return Err(fault::COL);
            }
            let items = &mut values[entry * width..(entry + 1) * width];
            field.read(line, symmetry, items)?;
            if symmetry != Symmetry::General {
                if r == c {
                    match symmetry {
                        Symmetry::Skew => return Err(fault::DIAGONAL),
                        Symmetry::Hermitian if field == Field::Complex && items[1] << 1 != 0 => {
                            return Err(fault::IMAGINARY);
                        }
                        _ => {}
                    }
                } else {
                    (if r > c { &mut told.below } else { &mut told.above }).get_or_insert(place);
                }
            }
            row[entry] = I::cut((r - 1) as usize);
            col[entry] = I::cut((c - 1) as usize);
            Ok(())
        });
        told
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
        let mut told = Told::default();
        each(&piece, values.len() / width, &mut told, |entry, line, _, _| {
            field.read(line, symmetry, &mut values[entry * width..(entry + 1) * width])
        });
        told
    });
    Ok(outcome(told, kind.2, lines, entries, want))
}
