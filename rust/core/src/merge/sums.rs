//! What is found out about a whole tensor: histograms of magnitudes, and float64 sums over fixed blocks.

use super::keep::magnitude;
use super::{Basis, Keep, Stored, TILE, read_delta};
use crate::room::filled;
use crate::{Error, Result, par};
use sparsefmt_kernels::{Kernels, MERGE_LANES as LANES, MergeLanes};

/// Elements that are added up together, whatever the threads.
const BLOCK: usize = 1 << 16;

/// Adds up lanes: halves are added until one is left.
fn halved(mut lanes: MergeLanes) -> f64 {
    let mut width = LANES;
    while width > 1 {
        width /= 2;
        for i in 0..width {
            lanes[i] += lanes[i + width];
        }
    }
    lanes[0]
}

/// How many magnitudes of a tile are one integer.
fn equal_to(delta: &[f32], key: u32) -> u32 {
    let (Ok(key), mut room) = (i32::try_from(key), [0; TILE]) else { return 0 };
    let mut above = |key: i32| Kernels::active().merge_between(delta, key, key, &mut room).0 as u32;
    above(key) - key.checked_add(1).map_or(0, &mut above)
}

/// Adds to `counts` how often each magnitude occurs, see `sparsefmt.kernels.merge`.
///
/// # Errors
/// The arrays have different lengths, or there are too few counts.
pub fn merge_histogram(
    base: Stored<'_>,
    model: Stored<'_>,
    basis: Basis,
    shift: u32,
    prefix: Option<u32>,
    counts: &mut [i64],
) -> Result<()> {
    if basis == Basis::Difference {
        base.check("base", model.len())?;
    }
    if shift > 31 {
        return Err(Error::Parameter { name: "shift", got: shift as usize });
    }
    let want = if prefix.is_some() { 1 << shift } else { 1 << (31 - shift) };
    if counts.len() < want {
        return Err(Error::Length { name: "counts", got: counts.len(), want });
    }
    let low = (1u32 << shift) - 1;
    let ranges = par::joined(par::cut(model.len(), TILE, model.len() * 8));
    let found = par::map(ranges, |range| {
        let mut own = filled(0u32, want)?;
        let (mut anchor, mut delta) = ([0.0; TILE], [0.0; TILE]);
        for at in range.clone().step_by(TILE) {
            let tile = at..(at + TILE).min(range.end);
            let length = tile.len();
            if basis == Basis::Difference {
                base.read(tile.clone(), None, &mut anchor[..length]);
            }
            read_delta(model, basis, tile, &anchor[..length], &mut delta[..length]);
            if let (Some(key), 0) = (prefix, shift) {
                own[0] += equal_to(&delta[..length], key);
                continue;
            }
            for x in &delta[..length] {
                let key = magnitude(*x);
                match prefix {
                    None => own[(key >> shift) as usize] += 1,
                    Some(prefix) if key >> shift == prefix => own[(key & low) as usize] += 1,
                    Some(_) => {}
                }
            }
        }
        Ok(own)
    });
    for own in found {
        counts.iter_mut().zip(own?).for_each(|(count, own)| *count += i64::from(own));
    }
    Ok(())
}

/// Cuts a tensor into blocks with the rows of `sums` that belong to them, and fills each.
fn by_blocks(
    length: usize,
    columns: usize,
    sums: &mut [f64],
    fill: impl Fn(std::ops::Range<usize>, &mut [f64]) -> Result<()> + Sync + Send,
) -> Result<()> {
    let blocks = length.div_ceil(BLOCK);
    if sums.len() != blocks * columns {
        return Err(Error::Length { name: "sums", got: sums.len(), want: blocks * columns });
    }
    let tasks: Vec<_> = sums.chunks_mut(columns.max(1)).enumerate().collect();
    par::run(tasks, |(block, row)| fill(block * BLOCK..((block + 1) * BLOCK).min(length), row))
}

/// Writes the products of all pairs of task vectors (i, j), i <= j, to `sums` (blocks, pairs).
///
/// # Errors
/// The arrays have different lengths.
pub fn merge_gram(base: Stored<'_>, models: &[Stored<'_>], basis: Basis, sums: &mut [f64]) -> Result<()> {
    let length = models.first().map_or(0, Stored::len);
    if basis == Basis::Difference {
        base.check("base", length)?;
    }
    for model in models {
        model.check("models", length)?;
    }
    let pairs = models.len() * (models.len() + 1) / 2;
    by_blocks(length, pairs, sums, |block, row| {
        let mut lanes = filled([0.0; LANES], pairs)?;
        let mut anchor = [0.0; TILE];
        let mut deltas = filled([0.0; TILE], models.len())?;
        for at in block.clone().step_by(TILE) {
            let tile = at..(at + TILE).min(block.end);
            let size = tile.len();
            if basis == Basis::Difference {
                base.read(tile.clone(), None, &mut anchor[..size]);
            }
            for (model, delta) in models.iter().zip(&mut deltas) {
                read_delta(*model, basis, tile.clone(), &anchor[..size], &mut delta[..size]);
            }
            let mut lanes = lanes.iter_mut();
            for (i, a) in deltas.iter().enumerate() {
                for (b, lanes) in deltas[i..].iter().zip(&mut lanes) {
                    Kernels::active().merge_products(&a[..size], &b[..size], lanes);
                }
            }
        }
        row.iter_mut().zip(lanes).for_each(|(sum, lanes)| *sum = halved(lanes));
        Ok(())
    })
}

/// Writes what magnitudes sum to before and after a mask to `sums` (blocks, 2).
///
/// # Errors
/// The arrays have different lengths.
pub fn merge_norms(
    base: Stored<'_>,
    model: Stored<'_>,
    basis: Basis,
    keep: &Keep<'_>,
    place: (u64, u64),
    sums: &mut [f64],
) -> Result<()> {
    let length = model.len();
    if basis == Basis::Difference {
        base.check("base", length)?;
    }
    if !keep.mask.is_empty() && keep.mask.len() != length {
        return Err(Error::Length { name: "mask", got: keep.mask.len(), want: length });
    }
    let (seed, start) = place;
    by_blocks(length, 2, sums, |block, row| {
        let mut lanes = [[0.0; LANES]; 2];
        let (mut anchor, mut delta) = ([0.0; TILE], [0.0; TILE]);
        for at in block.clone().step_by(TILE) {
            let tile = at..(at + TILE).min(block.end);
            let size = tile.len();
            if basis == Basis::Difference {
                base.read(tile.clone(), None, &mut anchor[..size]);
            }
            let delta = &mut delta[..size];
            read_delta(model, basis, tile, &anchor[..size], delta);
            Kernels::active().merge_magnitudes(delta, &mut lanes[0]);
            keep.apply(delta, seed, start, at);
            Kernels::active().merge_magnitudes(delta, &mut lanes[1]);
        }
        row.iter_mut().zip(lanes).for_each(|(sum, lanes)| *sum = halved(lanes));
        Ok(())
    })
}

/// The position of the first item that is NaN or infinite.
#[must_use]
pub fn merge_finite(items: Stored<'_>) -> Option<usize> {
    let mut values = [0.0; TILE];
    (0..items.len()).step_by(TILE).find_map(|at| {
        let tile = at..(at + TILE).min(items.len());
        let finite = items.read(tile.clone(), None, &mut values[..tile.len()]);
        if finite { None } else { items.not_finite(tile).map(|place| at + place) }
    })
}
