//! The lines of a piece one after the other, and what becomes of their entries.

use super::fault::{self, Outcome};
use super::field::{Field, Symmetry};
use super::number::Line;
use super::plain;
use crate::Index;

/// A part of the text: whole lines.
pub(super) struct Piece<'a> {
    pub(super) text: &'a [u8],
    /// Bytes, lines and entries before it.
    pub(super) start: usize,
    pub(super) lines: u64,
    pub(super) entries: usize,
}

/// What a piece gives: the first lines with an entry below and above the diagonal, and its first fault.
#[derive(Default)]
pub(super) struct Told {
    pub(super) below: Option<(u64, u64)>,
    pub(super) above: Option<(u64, u64)>,
    pub(super) fault: Option<Outcome>,
}

/// A line with an entry: which one in its piece, its number, and the byte where it begins.
#[derive(Clone, Copy)]
pub(super) struct Place {
    entry: usize,
    line: u64,
    at: usize,
}

/// What a line gives, or a fault.
type Taken<T> = Result<T, i64>;

/// Where the entries of a piece go.
pub(super) trait Take {
    /// Entries that there may be.
    fn room(&self) -> usize;

    /// Takes the entry that stands at `place` of `text` if its line is plain, and finds where the next line begins.
    fn plain(&mut self, text: &[u8], place: Place, told: &mut Told) -> Taken<Option<usize>>;

    /// Takes the entry of any line.
    fn careful(&mut self, line: &mut Line<'_>, place: Place, told: &mut Told) -> Taken<()>;
}

/// Reads every entry of a piece.
pub(super) fn each(piece: &Piece<'_>, mut take: impl Take) -> Told {
    let (text, room) = (piece.text, take.room());
    let (mut told, mut place) = (Told::default(), Place { entry: 0, line: piece.lines, at: 0 });
    while place.at < text.len() {
        let end = if place.entry < room { take.plain(text, place, &mut told) } else { Ok(None) };
        let done = match end {
            Ok(Some(at)) => {
                place = Place { entry: place.entry + 1, line: place.line + 1, at };
                continue;
            }
            Ok(None) => {
                let rest = &text[place.at..];
                let line = &rest[..rest.iter().position(|&b| b == b'\n').unwrap_or(rest.len())];
                let done = careful(line, room, place, &mut take, &mut told);
                if let Ok(entries) = done {
                    place.entry += entries;
                }
                done.map(|_| place.at + line.len() + 1)
            }
            Err(code) => Err(code),
        };
        match done {
            Ok(at) => (place.line, place.at) = (place.line + 1, at),
            Err(code) => {
                told.fault = Some((code, place.line, (piece.start + place.at) as u64, 0));
                break;
            }
        }
    }
    told
}

/// Reads any line; how many entries it holds.
#[inline(never)]
fn careful(text: &[u8], room: usize, place: Place, take: &mut impl Take, told: &mut Told) -> Taken<usize> {
    let mut line = Line(text);
    line.skip();
    if line.0.first().is_none_or(|&b| b == b'%') {
        return Ok(0);
    }
    if place.entry >= room {
        return Err(fault::MORE);
    }
    take.careful(&mut line, place, told)?;
    line.skip();
    if line.0.is_empty() { Ok(1) } else { Err(fault::EXTRA) }
}

/// Rows, columns and values.
pub(super) struct Entries<'a, I> {
    /// Bytes before the piece.
    pub(super) start: usize,
    pub(super) kind: (Field, Symmetry),
    pub(super) shape: (usize, usize),
    pub(super) row: &'a mut [I],
    pub(super) col: &'a mut [I],
    pub(super) values: &'a mut [u64],
}

impl<I: Index> Entries<'_, I> {
    #[inline(always)]
    fn is_inside(&self, r: u64, c: u64) -> Taken<()> {
        match (r.wrapping_sub(1) < self.shape.0 as u64, c.wrapping_sub(1) < self.shape.1 as u64) {
            (false, _) => Err(fault::ROW),
            (_, false) => Err(fault::COL),
            _ => Ok(()),
        }
    }

    /// Puts a row and a column, counted from 1, in their place; the value is in its place already.
    #[inline(always)]
    fn put(&mut self, r: u64, c: u64, place: Place, told: &mut Told) -> Taken<()> {
        if self.kind.1 != Symmetry::General {
            self.is_listed(r, c, place, told)?;
        }
        self.row[place.entry] = I::cut((r - 1) as usize);
        self.col[place.entry] = I::cut((c - 1) as usize);
        Ok(())
    }

    /// Whether the symmetry has such an entry; notes on which side of the diagonal it is.
    #[inline(never)]
    fn is_listed(&self, r: u64, c: u64, place: Place, told: &mut Told) -> Taken<()> {
        let (field, symmetry) = self.kind;
        if r != c {
            let side = if r > c { &mut told.below } else { &mut told.above };
            side.get_or_insert((place.line, (self.start + place.at) as u64));
            return Ok(());
        }
        match symmetry {
            Symmetry::Skew => Err(fault::DIAGONAL),
            Symmetry::Hermitian if field == Field::Complex && self.values[2 * place.entry + 1] << 1 != 0 => {
                Err(fault::IMAGINARY)
            }
            _ => Ok(()),
        }
    }
}

impl<I: Index> Take for Entries<'_, I> {
    fn room(&self) -> usize {
        self.row.len()
    }

    #[inline(always)]
    fn plain(&mut self, text: &[u8], place: Place, told: &mut Told) -> Taken<Option<usize>> {
        // One by one, so that the loop of each field has its own code.
        let found = match self.kind.0 {
            Field::Pattern => plain::entry(text, place.at, Field::Pattern, &mut []),
            Field::Real => plain::entry(text, place.at, Field::Real, &mut self.values[place.entry..=place.entry]),
            field => {
                let width = field.width();
                plain::entry(text, place.at, field, &mut self.values[place.entry * width..(place.entry + 1) * width])
            }
        };
        let Some((r, c, next)) = found else { return Ok(None) };
        self.is_inside(r, c)?;
        self.put(r, c, place, told)?;
        Ok(Some(next))
    }

    fn careful(&mut self, line: &mut Line<'_>, place: Place, told: &mut Told) -> Taken<()> {
        let (r, c) = (line.index()?, line.index()?);
        self.is_inside(r, c)?;
        let width = self.kind.0.width();
        self.kind.0.read(line, self.kind.1, &mut self.values[place.entry * width..(place.entry + 1) * width])?;
        self.put(r, c, place, told)
    }
}

/// Values alone.
pub(super) struct Values<'a> {
    pub(super) kind: (Field, Symmetry),
    pub(super) values: &'a mut [u64],
}

impl Values<'_> {
    fn items(&mut self, entry: usize) -> &mut [u64] {
        let width = self.kind.0.width();
        &mut self.values[entry * width..(entry + 1) * width]
    }
}

impl Take for Values<'_> {
    fn room(&self) -> usize {
        self.values.len() / self.kind.0.width()
    }

    #[inline]
    fn plain(&mut self, text: &[u8], place: Place, _told: &mut Told) -> Taken<Option<usize>> {
        let field = self.kind.0;
        Ok(plain::value(text, place.at, field, self.items(place.entry)))
    }

    fn careful(&mut self, line: &mut Line<'_>, place: Place, _told: &mut Told) -> Taken<()> {
        let (field, symmetry) = self.kind;
        field.read(line, symmetry, self.items(place.entry))
    }
}
