//! Delta, trim, vote and mean of all models in one pass.

use super::{Basis, Keep, Stored, StoredMut, TILE, read_delta};
use crate::room::filled;
use crate::{Error, Result, par};
use std::ops::Range;

/// How signs are elected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Vote {
    /// All agree.
    None,
    /// The sign of the sum.
    Mass,
    /// The sign of the sum of signs.
    Count,
}

/// What a vote of zero elects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Zero {
    /// Nothing.
    Base,
    /// Plus.
    Plus,
    /// Minus.
    Minus,
}

/// What the sum is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Divide {
    /// Nothing.
    Not,
    /// The weights of those that agree.
    Weights,
    /// The number of those that agree.
    Number,
    /// A number for all elements.
    Total,
}

/// See `sparsefmt.kernels.merge.Rule`.
#[derive(Clone, Copy, Debug)]
pub struct Rule {
    /// How signs are elected.
    pub vote: Vote,
    /// Whether weights count in the vote.
    pub weighted_vote: bool,
    /// What a vote of zero elects.
    pub zero: Zero,
    /// What the sum is divided by.
    pub divide: Divide,
    /// What the models are.
    pub basis: Basis,
    /// The number for [`Divide::Total`].
    pub total: f32,
    /// What the mean is multiplied by.
    pub lambda: f32,
    /// The least that is divided by, if positive.
    pub floor: f32,
}

/// One model.
#[derive(Clone, Copy, Debug)]
pub struct Model<'a> {
    /// Its items.
    pub items: Stored<'a>,
    /// Which of them stay.
    pub keep: Keep<'a>,
    /// Its weight.
    pub weight: f32,
    /// What its task vector is multiplied by.
    pub scale: f32,
    /// What its task vector is then divided by.
    pub divisor: f32,
}

/// The sign as numpy has it.
#[inline(always)]
fn sign(x: f32) -> f32 {
    if x > 0.0 {
        1.0
    } else if x < 0.0 {
        -1.0
    } else if x == 0.0 {
        0.0
    } else {
        x
    }
}

/// The first value that is not finite.
fn not_finite(values: &[f32]) -> Option<usize> {
    let largest = values.iter().map(|x| x.to_bits() & 0x7FFF_FFFF).max().unwrap_or(0);
    if largest < 0x7F80_0000 { None } else { values.iter().position(|x| !x.is_finite()) }
}

/// Working space of one thread.
struct Tile {
    base: [f32; TILE],
    votes: [f32; TILE],
    mixed: [f32; TILE],
    divisor: [f32; TILE],
    deltas: Vec<[f32; TILE]>,
}

/// The weighted sum, product and sum rounded together by way of float64.
fn add_fused(models: &[Model<'_>], tile: &mut Tile, length: usize) {
    for (k, (model, delta)) in models.iter().zip(&tile.deltas).enumerate() {
        let wide = f64::from(model.weight);
        for (mixed, &x) in tile.mixed[..length].iter_mut().zip(delta) {
            *mixed = if k == 0 { model.weight * x } else { (wide * f64::from(x) + f64::from(*mixed)) as f32 };
        }
    }
}

/// Elects the signs of a tile.
fn elect(models: &[Model<'_>], rule: &Rule, tile: &mut Tile, length: usize) {
    let votes = &mut tile.votes[..length];
    votes.fill(0.0);
    for (model, delta) in models.iter().zip(&tile.deltas) {
        let weight = if rule.weighted_vote { model.weight } else { 1.0 };
        if rule.vote == Vote::Mass {
            votes.iter_mut().zip(delta).for_each(|(vote, &x)| *vote += weight * x);
        } else {
            votes.iter_mut().zip(delta).for_each(|(vote, &x)| *vote += sign(weight * x));
        }
    }
    let none = match rule.zero {
        Zero::Base => 0.0,
        Zero::Plus => 1.0,
        Zero::Minus => -1.0,
    };
    votes.iter_mut().for_each(|vote| *vote = if *vote == 0.0 { none } else { sign(*vote) });
}

/// Adds up what agrees.
fn add_agreeing(models: &[Model<'_>], rule: &Rule, tile: &mut Tile, length: usize) {
    let (votes, mixed, divisor) = (&tile.votes[..length], &mut tile.mixed[..length], &mut tile.divisor[..length]);
    mixed.fill(0.0);
    divisor.fill(0.0);
    for (model, delta) in models.iter().zip(&tile.deltas) {
        let voice = if rule.weighted_vote { model.weight } else { 1.0 };
        let share = if rule.divide == Divide::Weights { model.weight } else { 1.0 };
        for (((mixed, divisor), &vote), &x) in mixed.iter_mut().zip(divisor.iter_mut()).zip(votes).zip(delta) {
            let agrees = voice * x * vote > 0.0;
            *mixed += if agrees { model.weight * x } else { 0.0 };
            *divisor += if agrees { share } else { 0.0 };
        }
    }
    if matches!(rule.divide, Divide::Weights | Divide::Number) {
        for (mixed, &divisor) in mixed.iter_mut().zip(&*divisor) {
            let divisor = if rule.floor > 0.0 && divisor < rule.floor { rule.floor } else { divisor };
            *mixed /= if divisor == 0.0 { 1.0 } else { divisor };
        }
    }
}

/// Adds up everything.
fn add_all(models: &[Model<'_>], rule: &Rule, tile: &mut Tile, length: usize) {
    let mixed = &mut tile.mixed[..length];
    mixed.fill(0.0);
    let mut divisor = 0.0;
    for (model, delta) in models.iter().zip(&tile.deltas) {
        mixed.iter_mut().zip(delta).for_each(|(mixed, &x)| *mixed += model.weight * x);
        divisor += if rule.divide == Divide::Weights { model.weight } else { 1.0 };
    }
    if matches!(rule.divide, Divide::Weights | Divide::Number) {
        let divisor = if rule.floor > 0.0 { divisor.max(rule.floor) } else { divisor };
        let divisor = if divisor == 0.0 { 1.0 } else { divisor };
        mixed.iter_mut().for_each(|mixed| *mixed /= divisor);
    }
}

/// Merges one tile; gives the position in it of the first item that is not finite.
fn merge_tile(
    base: Stored<'_>,
    models: &[Model<'_>],
    rule: &Rule,
    place: (u64, u64),
    range: Range<usize>,
    tile: &mut Tile,
) -> Option<usize> {
    let (seed, start) = place;
    let length = range.len();
    let mut bad = None;
    let worse = |bad: Option<usize>, found: Option<usize>| found.map_or(bad, |at| Some(bad.map_or(at, |b| b.min(at))));
    if rule.basis != Basis::Plain {
        base.widen(range.clone(), &mut tile.base[..length]);
        bad = not_finite(&tile.base[..length]);
    }
    for (model, delta) in models.iter().zip(&mut tile.deltas) {
        let delta = &mut delta[..length];
        read_delta(model.items, Basis::Given, range.clone(), &tile.base[..length], delta);
        bad = worse(bad, not_finite(delta));
        if rule.basis == Basis::Difference {
            delta.iter_mut().zip(&tile.base).for_each(|(x, &base)| *x -= base);
        }
        model.keep.apply(delta, seed, start, range.start);
        if model.scale != 1.0 {
            delta.iter_mut().for_each(|x| *x *= model.scale);
        }
        if model.divisor != 1.0 {
            delta.iter_mut().for_each(|x| *x /= model.divisor);
        }
    }
    if rule.basis == Basis::Plain {
        add_fused(models, tile, length);
    } else if rule.vote == Vote::None {
        add_all(models, rule, tile, length);
    } else {
        elect(models, rule, tile, length);
        add_agreeing(models, rule, tile, length);
    }
    let mixed = &mut tile.mixed[..length];
    if rule.divide == Divide::Total {
        mixed.iter_mut().for_each(|mixed| *mixed /= rule.total);
    }
    if rule.basis != Basis::Plain {
        if rule.lambda != 1.0 {
            mixed.iter_mut().for_each(|mixed| *mixed *= rule.lambda);
        }
        mixed.iter_mut().zip(&tile.base).for_each(|(mixed, &base)| *mixed += base);
    }
    bad
}

/// Writes one merged stretch; gives the position in it of the first item that is NaN or infinite.
///
/// # Errors
/// There are no models, or the arrays have different lengths.
pub fn merge_mix(
    base: Stored<'_>,
    models: &[Model<'_>],
    rule: &Rule,
    seed: u64,
    start: u64,
    out: StoredMut<'_>,
) -> Result<Option<usize>> {
    let length = out.len();
    if models.is_empty() {
        return Err(Error::Length { name: "models", got: 0, want: 1 });
    }
    if rule.basis != Basis::Plain {
        base.check("base", length)?;
    }
    for model in models {
        model.items.check("models", length)?;
        if !model.keep.mask.is_empty() && model.keep.mask.len() != length {
            return Err(Error::Length { name: "masks", got: model.keep.mask.len(), want: length });
        }
    }
    let ranges = par::cut(length, TILE, length * 4 * (models.len() + 1));
    let outs = out.split(&ranges);
    let found = par::map(ranges.into_iter().zip(outs).collect(), |(range, mut out)| {
        let zeros = [0.0; TILE];
        let mut tile =
            Tile { base: zeros, votes: zeros, mixed: zeros, divisor: zeros, deltas: filled(zeros, models.len())? };
        let mut bad = None;
        for at in range.clone().step_by(TILE) {
            let end = (at + TILE).min(range.end);
            let found = merge_tile(base, models, rule, (seed, start), at..end, &mut tile);
            bad = bad.or(found.map(|place| at + place));
            out.narrow(at - range.start, &tile.mixed[..end - at]);
        }
        Ok(bad)
    });
    let found = found.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().flatten().next())
}
