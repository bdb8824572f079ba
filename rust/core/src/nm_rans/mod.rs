//! N:M whose codes are streams of an asymmetric numeral system (rANS), a stream per block of rows.
//!
//! What a group, a context and a stream are: see the definitions in `sparsefmt.kernels.nm_rans`. Blocks are independent of
//! each other and go to the threads; in a block, four states take turns, so that one need not wait for another.

mod block;
mod chain;
mod encoder;
mod model;

use crate::bits::codes_at;
use crate::nm::Pattern;
use crate::room::filled;
use crate::{Error, Matrix, MatrixMut, Result, par};
use block::{Decoder, LANES};
use chain::Chain;
use encoder::Script;
use model::Model;
pub use model::Tables;

/// Patterns with more codes are counted one group at a time.
const HISTOGRAM: u32 = 256;

/// How rows are cut into groups and blocks.
#[derive(Clone, Copy, Debug)]
pub struct Layout {
    /// N of M.
    pub pattern: Pattern,
    /// Groups per row.
    pub groups: usize,
    /// Rows per block.
    pub height: usize,
}

impl Layout {
    fn check(&self, codes: Option<usize>) -> Result<()> {
        if self.height == 0 || !self.height.is_multiple_of(LANES) {
            return Err(Error::Parameter { name: "height", got: self.height });
        }
        check_bytes(self.pattern, self.groups, codes)
    }
}

/// Checks the bytes of a row of codes.
fn check_bytes(pattern: Pattern, groups: usize, codes: Option<usize>) -> Result<()> {
    let bits = groups.checked_mul(pattern.bits() as usize);
    let want = bits.ok_or(Error::Parameter { name: "groups", got: groups })?.div_ceil(8);
    match codes {
        Some(got) if got < want => Err(Error::Length { name: "codes", got, want }),
        _ => Ok(()),
    }
}

/// Adds the number of decisions to `counts[column, context, kept]`, one column per column of groups or one for all.
///
/// # Errors
/// A code that names no mask; arrays of the wrong shape.
pub fn count(
    codes: Matrix<'_, u8>,
    pattern: Pattern,
    groups: usize,
    contexts: usize,
    counts: &mut [i64],
) -> Result<()> {
    check_bytes(pattern, groups, Some(codes.cols()))?;
    let chain = Chain::new(pattern, contexts)?;
    let one = counts.len() == 2 * contexts && groups != 1;
    let want = if one { 1 } else { groups } * 2 * contexts;
    if counts.len() != want {
        return Err(Error::Length { name: "counts", got: counts.len(), want });
    }
    let ranges = par::cut(groups, 8, codes.items().len().saturating_mul(16));
    let found = par::map(ranges.clone(), |range| {
        let columns = if one { 1 } else { range.len() };
        let column = |group: usize| if one { 0 } else { group - range.start };
        let mut sums = filled(0i64, columns * 2 * contexts)?;
        let listed = if pattern.count() <= HISTOGRAM { pattern.count() as usize } else { 0 };
        let mut seen = filled(0i64, columns * listed)?;
        let mut add = |at: usize, mask: u32, times: i64| {
            chain.walk(mask, |context, bit| sums[2 * (at * contexts + context) + bit] += times);
        };
        let mut found = filled(0u32, if codes.rows() > 0 { range.len() } else { 0 })?;
        for row in 0..codes.rows() {
            codes_at(codes.row(row), range.start * pattern.bits() as usize, pattern.bits(), &mut found);
            for (group, &got) in range.clone().zip(&found) {
                if got >= pattern.count() {
                    return Err(Error::Code { row, group, got, bound: pattern.count() });
                }
                if listed == 0 {
                    add(column(group), chain.mask(got).unwrap_or(0), 1);
                } else {
                    seen[column(group) * listed + got as usize] += 1;
                }
            }
        }
        for (at, &times) in seen.iter().enumerate().filter(|(_, times)| **times > 0) {
            add(at / listed, chain.mask((at % listed) as u32).unwrap_or(0), times);
        }
        Ok(sums)
    });
    for (range, sums) in ranges.into_iter().zip(found) {
        let first = if one { 0 } else { range.start * 2 * contexts };
        counts[first..].iter_mut().zip(sums?).for_each(|(count, sum)| *count += sum);
    }
    Ok(())
}

/// Writes the streams of all blocks one behind the other to the front of `out` if there is room, and their lengths;
/// gives the bytes of all.
///
/// # Errors
/// A code that names no mask, or that the tables exclude; arrays of the wrong shape.
pub fn pack(
    codes: Matrix<'_, u8>,
    layout: Layout,
    tables: Tables<'_>,
    lengths: &mut [i64],
    out: &mut [u8],
) -> Result<usize> {
    layout.check(Some(codes.cols()))?;
    let Layout { pattern, groups, height } = layout;
    let (chain, model) = (Chain::new(pattern, tables.tables.cols())?, Model::new(tables, groups)?);
    let blocks = codes.rows().div_ceil(height);
    if lengths.len() != blocks {
        return Err(Error::Length { name: "lengths", got: lengths.len(), want: blocks });
    }
    let script = Script::new(&chain, &model, tables.tables);
    let found = par::map((0..blocks).collect(), |block: usize| {
        let rows = block * height..codes.rows().min((block + 1) * height);
        script.stream(codes, groups, pattern.bits(), rows)
    });
    let streams = found.into_iter().collect::<Result<Vec<_>>>()?;
    lengths.iter_mut().zip(&streams).for_each(|(length, stream)| *length = stream.len() as i64);
    let total = streams.iter().map(Vec::len).sum();
    if let Some(out) = out.get_mut(..total) {
        let places = par::split_mut(out, streams.iter().map(Vec::len));
        places.into_iter().zip(&streams).for_each(|(to, stream)| to.copy_from_slice(stream));
    }
    Ok(total)
}

/// The streams of blocks.
#[derive(Clone, Copy, Debug)]
pub struct Streams<'a> {
    /// Of all blocks.
    pub bytes: &'a [u8],
    /// Where each begins, and where the last ends.
    pub offsets: &'a [i64],
}

impl<'a> Streams<'a> {
    /// The stream of each of so many blocks.
    fn blocks(&self, count: usize) -> Result<Vec<&'a [u8]>> {
        let Self { bytes, offsets } = *self;
        if offsets.len() != count + 1 {
            return Err(Error::Length { name: "offsets", got: offsets.len(), want: count + 1 });
        }
        let place = |at: usize| usize::try_from(offsets[at]).ok();
        let piece = |at: usize| bytes.get(place(at)?..place(at + 1)?).ok_or(()).ok();
        (0..count).map(|at| piece(at).ok_or(Error::Offsets { name: "offsets", at })).collect()
    }
}

/// The inverse of [`pack`]: the codes of `codes.rows()` rows. Gives the first damaged block, if there is one.
///
/// # Errors
/// Offsets, classes or tables that cannot be; arrays of the wrong shape.
pub fn unpack(
    streams: Streams<'_>,
    layout: Layout,
    tables: Tables<'_>,
    codes: MatrixMut<'_, u8>,
) -> Result<Option<usize>> {
    layout.check(Some(codes.cols()))?;
    let Layout { pattern, groups, height } = layout;
    let (chain, model) = (Chain::new(pattern, tables.tables.cols())?, Model::new(tables, groups)?);
    let rows = codes.rows();
    let blocks: Vec<_> = (0..rows).step_by(height).map(|low| low..rows.min(low + height)).collect();
    let pieces = streams.blocks(blocks.len())?;
    let tasks = codes.split(&blocks).into_iter().zip(pieces).collect();
    let found = par::map(tasks, |(mut codes, stream): (MatrixMut<'_, u8>, &[u8])| {
        let rows = codes.rows();
        Decoder::new(stream, &chain, &model)?.unpack(groups, pattern.bits(), codes.items_mut(), rows)
    });
    Ok(found.iter().position(Option::is_none))
}

/// What [`unpack`] gives for `rows` rows.
///
/// # Errors
/// As `unpack`.
pub fn check(streams: Streams<'_>, rows: usize, layout: Layout, tables: Tables<'_>) -> Result<Option<usize>> {
    layout.check(None)?;
    let Layout { pattern, groups, height } = layout;
    let (chain, model) = (Chain::new(pattern, tables.tables.cols())?, Model::new(tables, groups)?);
    let pieces = streams.blocks(rows.div_ceil(height))?;
    let found = par::map(pieces.into_iter().enumerate().collect(), |(block, stream): (usize, &[u8])| {
        Decoder::new(stream, &chain, &model)?.check(groups, height.min(rows - block * height))
    });
    Ok(found.iter().position(Option::is_none))
}
