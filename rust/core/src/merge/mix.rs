//! Delta, trim, vote and mean of all models in one pass.

use super::voted::{Voted, elected, shares_of};
use super::{Basis, Divide, Model, Rule, Stored, StoredMut, TILE, Vote, read_delta};
use crate::room::filled;
use crate::{Error, Result, par};
use sparsefmt_kernels::{Kernels, MERGE_MODELS, MergeShare, MergeStraight, MergeTile};
use std::ops::Range;

/// Working space of one thread.
struct Tile {
    base: MergeTile,
    votes: MergeTile,
    mixed: MergeTile,
    divisor: MergeTile,
    deltas: Vec<MergeTile>,
    shares: Vec<MergeShare>,
    /// The weights of the shares.
    weights: Vec<f32>,
    /// The voices of the shares.
    voices: Vec<f32>,
}

impl Tile {
    fn new(models: &[Model<'_>], rule: &Rule) -> Result<Self> {
        let zeros = MergeTile([0.0; TILE]);
        let shares = shares_of(models, rule)?;
        let (mut weights, mut voices) = (filled(1.0, models.len())?, filled(1.0, models.len())?);
        weights.iter_mut().zip(&shares).for_each(|(weight, share)| *weight = share.weight);
        voices.iter_mut().zip(&shares).for_each(|(voice, share)| *voice = share.voice);
        let deltas = filled(zeros, models.len())?;
        Ok(Self { base: zeros, votes: zeros, mixed: zeros, divisor: zeros, deltas, shares, weights, voices })
    }

    /// The weighted sum, product and sum rounded together by way of float64.
    fn add_fused(&mut self) {
        self.mixed.fill(-0.0); // what is added to it keeps its sign, as a first term
        Kernels::active().merge_add_together(&self.deltas, &self.weights, &mut self.mixed);
    }

    /// Elects signs, and adds up what agrees.
    fn add_agreeing(&mut self, rule: &Rule) {
        let kernels = Kernels::active();
        self.votes.fill(0.0);
        match rule.vote {
            Vote::Mass => kernels.merge_add(&self.deltas, &self.voices, &mut self.votes),
            _ => kernels.merge_add_signs(&self.deltas, &self.voices, &mut self.votes),
        }
        kernels.merge_elect(&mut self.votes, elected(rule.zero));
        self.mixed.fill(0.0);
        self.divisor.fill(0.0);
        kernels.merge_agree(&self.deltas, &self.shares, &self.votes, &mut self.mixed, &mut self.divisor);
        if matches!(rule.divide, Divide::Weights | Divide::Number) {
            kernels.merge_mean(&mut self.mixed, &self.divisor, rule.floor);
        }
    }

    /// Adds up everything.
    fn add_all(&mut self, rule: &Rule) {
        self.mixed.fill(0.0);
        Kernels::active().merge_add(&self.deltas, &self.weights, &mut self.mixed);
        if matches!(rule.divide, Divide::Weights | Divide::Number) {
            let divisor = self.shares.iter().fold(0.0, |sum, share| sum + share.share);
            let divisor = if rule.floor > 0.0 { divisor.max(rule.floor) } else { divisor };
            Kernels::active().merge_divide(&mut self.mixed[..], if divisor == 0.0 { 1.0 } else { divisor });
        }
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
    let (kernels, (seed, start), length) = (Kernels::active(), place, range.len());
    let mut finite = true;
    if rule.basis != Basis::Plain {
        finite = base.read(range.clone(), None, &mut tile.base[..length]);
    }
    for (model, delta) in models.iter().zip(&mut tile.deltas) {
        let delta = &mut delta[..length];
        finite &= read_delta(model.items, rule.basis, range.clone(), &tile.base[..length], delta);
        model.keep.apply(delta, seed, start, range.start);
        if model.scale != 1.0 {
            kernels.merge_multiply(delta, model.scale);
        }
        if model.divisor != 1.0 {
            kernels.merge_divide(delta, model.divisor);
        }
    }
    if rule.basis == Basis::Plain {
        tile.add_fused();
    } else if rule.vote == Vote::None {
        tile.add_all(rule);
    } else {
        tile.add_agreeing(rule);
    }
    if rule.divide == Divide::Total {
        kernels.merge_divide(&mut tile.mixed[..], rule.total);
    }
    if rule.basis != Basis::Plain {
        kernels.merge_finish(&mut tile.mixed, rule.lambda, &tile.base);
    }
    if finite { None } else { first_not_finite(base, models, rule, &range) }
}

/// The position in a range of the first item that is not finite in any of the models.
fn first_not_finite(base: Stored<'_>, models: &[Model<'_>], rule: &Rule, range: &Range<usize>) -> Option<usize> {
    let anchor = (rule.basis != Basis::Plain).then_some(base);
    let all = anchor.into_iter().chain(models.iter().map(|model| model.items));
    all.filter_map(|items| items.not_finite(range.clone())).min()
}

/// Merges a range without tiles, where all is bfloat16, nothing is dropped and nobody votes; gives whether all items
/// are finite, or `None` where that is not so.
fn merge_straight(
    base: Stored<'_>,
    models: &[Model<'_>],
    rule: &Rule,
    range: Range<usize>,
    out: &mut StoredMut<'_>,
) -> Option<bool> {
    let summed = match rule.basis {
        Basis::Plain => true,
        Basis::Difference => rule.vote == Vote::None,
        Basis::Given => false,
    };
    if !summed || !matches!(rule.divide, Divide::Not | Divide::Total) || models.len() > MERGE_MODELS {
        return None;
    }
    let (mut items, mut weights): ([&[u16]; MERGE_MODELS], _) = ([&[]; MERGE_MODELS], [0.0; MERGE_MODELS]);
    for ((model, items), weight) in models.iter().zip(&mut items).zip(&mut weights) {
        if !model.keep.all() || (model.scale, model.divisor) != (1.0, 1.0) {
            return None;
        }
        (*items, *weight) = (model.items.bfloat16()?.get(range.clone())?, model.weight);
    }
    let base = if rule.basis == Basis::Plain { None } else { Some(base.bfloat16()?.get(range)?) };
    let divisor = if rule.divide == Divide::Total { rule.total } else { 1.0 };
    let how = MergeStraight { base, weights: &weights[..models.len()], divisor, factor: rule.lambda };
    let StoredMut::BFloat16(out) = out else { return None };
    Some(Kernels::active().merge_straight(&items[..models.len()], how, out))
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
        if let Some(finite) = merge_straight(base, models, rule, range.clone(), &mut out) {
            let mut tiles = range.clone().step_by(TILE).map(|at| at..(at + TILE).min(range.end));
            let place =
                |tile: Range<usize>| first_not_finite(base, models, rule, &tile).map(|place| tile.start + place);
            return Ok(if finite { None } else { tiles.find_map(place) });
        }
        let (mut voted, mut tile) = (Voted::new(base, models, rule)?, Tile::new(models, rule)?);
        let mut bad = None;
        for at in range.clone().step_by(TILE) {
            let end = (at + TILE).min(range.end);
            let mut here = out.part(at - range.start..end - range.start);
            if let Some(finite) = voted.as_mut().and_then(|voted| voted.tile((seed, start), at..end, &mut here)) {
                let found = if finite { None } else { first_not_finite(base, models, rule, &(at..end)) };
                bad = bad.or(found.map(|place| at + place));
                continue;
            }
            let found = merge_tile(base, models, rule, (seed, start), at..end, &mut tile);
            bad = bad.or(found.map(|place| at + place));
            out.narrow(at - range.start, &tile.mixed[..end - at]);
        }
        Ok(bad)
    });
    let found = found.into_iter().collect::<Result<Vec<_>>>()?;
    Ok(found.into_iter().flatten().next())
}
