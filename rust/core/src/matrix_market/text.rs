//! Entries as lines of a Matrix Market file.

use super::field::{Field, field};
use crate::Index;
use crate::error::{Error, Result};
use crate::par;
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
    let most = 2 * INDEX * usize::from(placed) + width * NUMBER;
    let room = count.saturating_mul(most);
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
    // Each piece writes to the front of a room of its own; then they are moved together.
    let ranges = par::cut(count, 1, room);
    let rooms = par::split_mut(&mut *out, ranges.iter().map(|range| range.len() * most));
    let starts: Vec<usize> = ranges.iter().map(|range| range.start * most).collect();
    let lengths = par::map(ranges.into_iter().zip(rooms).collect(), |(range, room)| {
        let mut text = Text { room, used: 0 };
        for entry in range {
            if placed {
                text.index(row[entry].to_i64());
                text.byte(b' ');
                text.index(col[entry].to_i64());
                text.bytes(if width > 0 { b" " } else { b"" });
            }
            match field {
                Field::Pattern => {}
                Field::Signed => text.bytes(itoa::Buffer::new().format(values[entry] as i64).as_bytes()),
                Field::Unsigned => text.bytes(itoa::Buffer::new().format(values[entry]).as_bytes()),
                Field::Real => text.real(values[entry]),
                Field::Complex => {
                    text.real(values[2 * entry]);
                    text.byte(b' ');
                    text.real(values[2 * entry + 1]);
                }
            }
            text.byte(b'\n');
        }
        text.used
    });
    let mut used = 0;
    for (start, length) in starts.into_iter().zip(lengths) {
        out.copy_within(start..start + length, used);
        used += length;
    }
    Ok(used)
}

/// Text in room for the most that there may be.
struct Text<'a> {
    room: &'a mut [u8],
    used: usize,
}

impl Text<'_> {
    #[inline]
    fn byte(&mut self, byte: u8) {
        self.room[self.used] = byte;
        self.used += 1;
    }

    #[inline]
    fn bytes(&mut self, bytes: &[u8]) {
        self.room[self.used..self.used + bytes.len()].copy_from_slice(bytes);
        self.used += bytes.len();
    }

    /// An index, counted from 0, as the one counted from 1.
    #[inline]
    fn index(&mut self, index: i64) {
        match index.checked_add(1) {
            Some(index) => self.bytes(itoa::Buffer::new().format(index).as_bytes()),
            None => self.bytes(b"9223372036854775808"),
        }
    }

    /// A real number; NaN keeps its sign.
    #[inline]
    fn real(&mut self, bits: u64) {
        let value = f64::from_bits(bits);
        if (1e-4..1e16).contains(&value.abs()) {
            self.bytes(zmij::Buffer::new().format_finite(value).as_bytes());
        } else {
            self.odd(value);
        }
    }

    /// A number with an exponent, or none.
    fn odd(&mut self, value: f64) {
        let mut text = [0; NUMBER];
        let mut rest = &mut text[..];
        let done = match (value.is_nan(), value.is_sign_negative()) {
            (true, false) => write!(rest, "nan"),
            (true, true) => write!(rest, "-nan"),
            (false, _) => write!(rest, "{value:?}"),
        };
        debug_assert!(done.is_ok(), "a number takes {NUMBER} bytes at most");
        let used = NUMBER - rest.len();
        self.bytes(&text[..used]);
    }
}
