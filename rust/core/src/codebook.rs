//! Codes of values and values of codes.

use crate::{Error, Item, Result, par};
use std::ops::Range;

/// Slots that count and look up: 8 or 16 bits.
pub trait Slot: Item + Into<usize> {
    /// How many values there are.
    const VALUES: usize = 1 << (8 * size_of::<Self>());
}

impl Slot for u8 {}
impl Slot for u16 {}

fn check_length(name: &'static str, got: usize, want: usize) -> Result<()> {
    if got == want { Ok(()) } else { Err(Error::Length { name, got, want }) }
}

type Bins = Box<[u32; 1 << 16]>;

fn bins() -> Result<Bins> {
    let full = vec![0u32; 1 << 16].into_boxed_slice();
    full.try_into().map_err(|_| Error::Memory { bytes: 4 << 16 })
}

/// Counts how often each value occurs into `counts` ([`Slot::VALUES`]).
///
/// Two sets of bins take turns, because an increment waits for the one before it where the values are equal.
///
/// # Errors
/// `counts` has another length.
pub fn histogram<T: Slot>(slots: &[T], counts: &mut [i64]) -> Result<()> {
    check_length("counts", counts.len(), T::VALUES)?;
    counts.fill(0);
    if slots.len() < 1 << 15 {
        slots.iter().for_each(|&slot| counts[slot.into()] += 1);
        return Ok(());
    }
    // No bin counts beyond 32 bits.
    for part in slots.chunks(1 << 31) {
        let found = par::map(par::shares(part).collect(), |share: &[T]| {
            let (mut even, mut odd) = (bins()?, bins()?);
            let (blocks, tail) = share.as_chunks::<8>();
            for block in blocks {
                for pair in block.as_chunks::<2>().0 {
                    even[pair[0].into() & 0xFFFF] += 1;
                    odd[pair[1].into() & 0xFFFF] += 1;
                }
            }
            tail.iter().for_each(|&slot| even[slot.into() & 0xFFFF] += 1);
            Ok([even, odd])
        });
        for bins in found {
            let [even, odd] = bins?;
            for (count, (even, odd)) in counts.iter_mut().zip(even.iter().zip(&odd[..])) {
                *count += i64::from(*even) + i64::from(*odd);
            }
        }
    }
    Ok(())
}

/// `codes[i] = table[slots[i]]`, with a table of [`Slot::VALUES`] entries.
///
/// # Errors
/// Lengths differ from that.
pub fn lookup<T: Slot>(slots: &[T], table: &[u8], codes: &mut [u8]) -> Result<()> {
    check_length("table", table.len(), T::VALUES)?;
    check_length("codes", codes.len(), slots.len())?;
    let table = &table[..T::VALUES];
    each_piece(slots, codes, |slots, codes| {
        for (&slot, code) in slots.iter().zip(codes) {
            *code = table[slot.into()];
        }
    });
    Ok(())
}

/// Runs `work` on pieces of `input` and `output`, which have the same length.
fn each_piece<T: Sync, U: Send>(input: &[T], output: &mut [U], work: impl Fn(&[T], &mut [U]) + Sync + Send) {
    let ranges = par::cut(input.len(), 64, size_of_val(input) + size_of_val(output));
    let outs = par::split_mut(output, ranges.iter().map(ExactSizeIterator::len));
    par::map(ranges.into_iter().zip(outs).collect(), |(range, out)| work(&input[range], out));
}

/// What [`assign`] takes: float32 or float64.
pub trait Real: Copy + PartialOrd + Send + Sync + 'static {
    /// Beyond every threshold.
    const INFINITY: Self;
    /// In double precision, exactly.
    fn wide(self) -> f64;
    /// The largest value that is not above `limit`: a value is above one if and only if it is above the other.
    fn floor_of(limit: f64) -> Self;
}

impl Real for f64 {
    const INFINITY: Self = Self::INFINITY;
    fn wide(self) -> f64 {
        self
    }
    fn floor_of(limit: f64) -> Self {
        limit
    }
}

impl Real for f32 {
    const INFINITY: Self = Self::INFINITY;
    fn wide(self) -> f64 {
        f64::from(self)
    }
    fn floor_of(limit: f64) -> Self {
        let near = limit as Self;
        if f64::from(near) > limit { near.next_down() } else { near }
    }
}

/// The value up to which (inclusive) a value goes to the lower of two entries.
fn midpoint(low: f64, high: f64) -> f64 {
    let middle = 0.5 * low + 0.5 * high;
    if middle < high { middle } else { low }
}

/// A codebook prepared for search.
struct Search<T> {
    /// Ascending, completed by infinity.
    limits: [T; 256],
    /// How many of them there are, and the power of two above that number, halved.
    count: usize,
    half: usize,
    /// The code behind so many limits.
    code: [u8; 256],
}

impl<T: Real> Search<T> {
    fn new(codebook: &[T]) -> Result<Self> {
        if !(1..=256).contains(&codebook.len()) {
            return Err(Error::Parameter { name: "k", got: codebook.len() });
        }
        let mut search = Self { limits: [T::INFINITY; 256], count: 0, half: 0, code: [0; 256] };
        let mut entry = codebook[0].wide();
        for (at, next) in codebook.iter().map(|entry| entry.wide()).enumerate() {
            if !next.is_finite() || next < entry {
                return Err(Error::Value { name: "codebook", at, want: "finite and ascending" });
            }
            if next > entry {
                search.limits[search.count] = T::floor_of(midpoint(entry, next));
                search.count += 1;
                search.code[search.count] = at as u8;
            }
            entry = next;
        }
        search.half = (search.count + 1).next_power_of_two() / 2;
        Ok(search)
    }

    fn fill(&self, values: &[T], codes: &mut [u8]) {
        let (blocks, tail) = values.as_chunks::<16>();
        let (outs, rest) = codes.as_chunks_mut::<16>();
        for (block, out) in blocks.iter().zip(outs) {
            *out = self.above(block).map(|above| self.code[usize::from(above)]);
        }
        for (&value, code) in tail.iter().zip(rest) {
            *code = self.code[usize::from(self.above(&[value])[0])];
        }
    }

    /// How many limits each value is above: by counting where there are few, else by halving.
    #[inline]
    fn above<const N: usize>(&self, values: &[T; N]) -> [u8; N] {
        let mut above = [0u8; N];
        if self.count < 16 {
            for limit in &self.limits[..self.count] {
                for (above, value) in above.iter_mut().zip(values) {
                    *above += u8::from(value > limit);
                }
            }
            return above;
        }
        let mut step = self.half;
        while step > 0 {
            for (above, value) in above.iter_mut().zip(values) {
                let limit = &self.limits[(usize::from(*above) + step - 1) & 255];
                *above += if value > limit { step as u8 } else { 0 };
            }
            step /= 2;
        }
        above
    }
}

/// Writes the index of the nearest entry of `codebook` for each value: of two equally near ones the lower, of equal
/// ones the lowest. NaN goes to 0.
///
/// # Errors
/// The codebook has not 1 to 256 entries, or they are not finite or fall; lengths differ.
pub fn assign<T: Real>(values: &[T], codebook: &[T], codes: &mut [u8]) -> Result<()> {
    check_length("codes", codes.len(), values.len())?;
    let search = Search::new(codebook)?;
    each_piece(values, codes, |values, codes| search.fill(values, codes));
    Ok(())
}

/// The parts of `range` (places in rows of `n` items) that lie in one row each, with that row.
fn rows_of(range: Range<usize>, n: usize) -> impl Iterator<Item = (usize, Range<usize>)> {
    let mut at = range.start;
    std::iter::from_fn(move || {
        let row = at.checked_div(n)?;
        let part = at..range.end.min((row + 1) * n);
        at = part.end;
        (!part.is_empty()).then_some((row, part))
    })
}

/// `out[r, i] = table[r, codes[r, i]]` for `rows` rows; `table` has 256 items for each row, or for all.
///
/// # Errors
/// Lengths differ from that.
pub fn decode_lut<T: crate::nm::Slot>(codes: &[u8], rows: usize, table: &[T], out: &mut [T]) -> Result<()> {
    check_length("out", out.len(), codes.len())?;
    let (tables, _) = table.as_chunks::<256>();
    let shared = table.len() == 256;
    check_length("table", table.len(), if shared { 256 } else { rows.saturating_mul(256) })?;
    let n = codes.len().checked_div(rows).unwrap_or(0);
    check_length("codes", codes.len(), n * rows)?;
    let n = if shared { codes.len() } else { n };
    let ranges = par::cut(codes.len(), 64, codes.len() + size_of_val(out));
    let outs = par::split_mut(out, ranges.iter().map(ExactSizeIterator::len));
    par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out)| {
        for (row, part) in rows_of(range, n) {
            let (here, rest) = std::mem::take(&mut out).split_at_mut(part.len());
            let table = &tables[row];
            T::look_up(&codes[part], 8, table, &mut [], here);
            out = rest;
        }
    });
    Ok(())
}
