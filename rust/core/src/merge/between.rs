//! Magnitudes between two borders: counted, and listed.

use super::{Basis, Stored, TILE, read_delta};
use crate::{Error, Result, par};
use sparsefmt_kernels::Kernels;
use std::ops::Range;

/// Elements of a run that are looked at, where not all are.
const GROUP: usize = 32;
/// How far the group that counts moves on from run to run.
const TURN: usize = 37;

/// The magnitudes of a range, see [`merge_between`].
#[derive(Default)]
struct Found {
    above: usize,
    seen: usize,
    keys: Vec<u32>,
}

impl Found {
    /// Adds at most a tile of differences.
    fn add(&mut self, delta: &[f32], borders: (i32, i32)) -> Result<()> {
        let mut keys = [0; TILE];
        let found = Kernels::active().merge_between(delta, borders.0, borders.1, &mut keys);
        self.counted(delta.len(), found, &keys)
    }

    /// Adds at most a tile of items of a model, if a kernel takes them as they are.
    fn add_items(&mut self, base: &[u16], model: &[u16], borders: (i32, i32)) -> Option<Result<()>> {
        let mut keys = [0; TILE];
        let found = Kernels::active().merge_between_bf16(base, model, borders, &mut keys)?;
        Some(self.counted(model.len(), found, &keys))
    }

    fn counted(&mut self, seen: usize, (above, count): (usize, usize), keys: &[u32; TILE]) -> Result<()> {
        self.seen += seen;
        self.above += above;
        self.keys.try_reserve(count).map_err(|_| Error::Memory { bytes: size_of_val(&self.keys[..]) })?;
        self.keys.extend_from_slice(&keys[..count]);
        Ok(())
    }
}

/// Writes the magnitudes of a task vector in `low..high`, in order, to the front of `keys` if there is room; gives how
/// many are `high` or more, how many there were to write, and how many were looked at. Of every run of 32 times `every`
/// elements only 32 are, see `sparsefmt.kernels.merge`.
///
/// # Errors
/// The arrays have different lengths, or `every` is 0.
pub fn merge_between(
    base: Stored<'_>,
    model: Stored<'_>,
    basis: Basis,
    (low, high): (u32, u32),
    every: usize,
    keys: &mut [u32],
) -> Result<(usize, usize, usize)> {
    if basis == Basis::Difference {
        base.check("base", model.len())?;
    }
    let run = GROUP.checked_mul(every).filter(|&run| run > 0).ok_or(Error::Parameter { name: "every", got: every })?;
    let borders = (i32::try_from(low).unwrap_or(i32::MAX), i32::try_from(high).unwrap_or(i32::MAX));
    let work = model.len() / every * 8;
    let ranges = par::cut(model.len().div_ceil(run), TILE.div_ceil(run), work);
    let found = par::map(ranges, |runs: Range<usize>| {
        let (mut anchor, mut delta, mut found) = ([0.0; TILE], [0.0; TILE], Found::default());
        let mut take = |range: Range<usize>| {
            let length = range.len();
            if basis == Basis::Difference
                && let (Some(base), Some(model)) = (base.bfloat16(), model.bfloat16())
                && let Some(done) = found.add_items(&base[range.clone()], &model[range.clone()], borders)
            {
                return done;
            }
            if basis == Basis::Difference {
                base.read(range.clone(), None, &mut anchor[..length]);
            }
            read_delta(model, basis, range, &anchor[..length], &mut delta[..length]);
            found.add(&delta[..length], borders)
        };
        if every == 1 {
            let end = model.len().min(runs.end * run);
            (runs.start * run..end).step_by(TILE).try_for_each(|at| take(at..(at + TILE).min(end)))?;
        } else {
            for at in runs {
                let start = at * run + GROUP * (TURN * at % every);
                take(start.min(model.len())..(start + GROUP).min(model.len()))?;
            }
        }
        Ok(found)
    });
    let (mut above, mut seen, mut within) = (0, 0, 0);
    for part in found {
        let part: Found = part?;
        if let Some(room) = keys.get_mut(within..within + part.keys.len()) {
            room.copy_from_slice(&part.keys);
        }
        (above, seen, within) = (above + part.above, seen + part.seen, within + part.keys.len());
    }
    Ok((above, within, seen))
}
